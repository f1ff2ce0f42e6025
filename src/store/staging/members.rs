//! Deciding who is in a group: what of the steps changes anything, and whether ids mean anybody.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::scim::schema::ResourceKind;
use crate::store::change::AsRead;
use crate::store::change::Expect;
use crate::store::change::Index;
use crate::store::change::MemberStep;
use crate::store::change::MembersChanged;
use crate::store::change::Unknown;
use crate::store::error::Reject;
use crate::store::log::group::Made;
use crate::store::row::DeletedRow;
use crate::store::staging::Attempt;
use crate::store::staging::Current;
use crate::store::staging::ResourceKey;
use crate::store::staging::check;

/// Ids that a refusal names at most.
const NAMED_MAX: usize = 20;

/// Names a group.
type GroupKey = (DirectoryId, ResourceId);

impl Attempt<'_> {
    /// Whether there is a user or a group with this id now.
    fn exists(&self, directory: DirectoryId, id: ResourceId) -> bool {
        let mut kinds = ResourceKind::ALL.into_iter();
        kinds.any(|kind| self.resource((directory, kind, id)).is_some())
    }

    /// Whether something is left of a deleted resource with this id.
    pub(super) fn is_deleted(&self, directory: DirectoryId, id: ResourceId) -> bool {
        let own = self.own.left.get(&(directory, id));
        let decided = own.or_else(|| self.decided.left.get(&(directory, id)));
        decided.copied().unwrap_or_else(|| {
            let published = self.memory.directories.get(&directory);
            published.is_some_and(|found| found.deleted.contains_key(&id))
        })
    }

    /// Tells who is a member of a group now, whatever the ends.
    fn membership(&self, group: GroupKey) -> impl Fn(ResourceId) -> bool {
        let own = self.own.members.get(&group);
        let decided = self.decided.members.get(&group);
        let found = self.memory.directories.get(&group.0);
        // Of a group that is just being made nobody is.
        let found = found.filter(|found| found.edges.has_members(found.ends(), group.1));
        move |member| {
            let came = own.and_then(|members| members.get(&member));
            let came = came.or_else(|| decided?.get(&member));
            came.copied().unwrap_or_else(|| {
                found.is_some_and(|found| found.edges.has_any(found.ends(), group.1, member))
            })
        }
    }

    /// All members that a group now has, deleted ones among them.
    fn members(&self, group: GroupKey) -> HashSet<ResourceId> {
        let found = self.memory.directories.get(&group.0);
        let published = found.map(|found| found.edges.all_members(found.ends(), group.1));
        let mut members: HashSet<ResourceId> = published.into_iter().flatten().collect();
        for delta in [self.decided, &self.own] {
            for (member, came) in delta.members.get(&group).into_iter().flatten() {
                if *came {
                    members.insert(*member);
                } else {
                    members.remove(member);
                }
            }
        }
        members
    }

    /// The groups that a resource is in and that exist now.
    fn groups_of(&self, directory: DirectoryId, member: ResourceId) -> HashSet<ResourceId> {
        let found = self.memory.directories.get(&directory);
        let published = found.map(|found| found.edges.groups(found.ends(), member));
        let mut groups: HashSet<ResourceId> = published.into_iter().flatten().collect();
        for delta in [self.decided, &self.own] {
            for ((of, group), members) in &delta.members {
                match members.get(&member).filter(|_came| *of == directory) {
                    Some(true) => drop(groups.insert(*group)),
                    Some(false) => drop(groups.remove(group)),
                    None => {}
                }
            }
        }
        groups.retain(|group| {
            let key = (directory, ResourceKind::Group, *group);
            self.resource(key).is_some()
        });
        groups
    }

    /// Decides a change of members.
    pub(super) fn change_members(
        &mut self,
        group: GroupKey,
        expect: Expect,
        steps: &[MemberStep],
        unknown: Unknown,
        read: Option<AsRead>,
    ) -> Result<(), Reject> {
        let (directory, id) = group;
        let resource = (directory, ResourceKind::Group, id);
        self.directory(directory).ok_or(Reject::DirectoryGone)?;
        let current = self.resource(resource);
        check(expect, current.map(|current| current.revision))?;
        let current = current.ok_or(Reject::Missing)?;
        let mut wanted = Wanted::default();
        for step in steps {
            self.take_step(group, step, unknown, &mut wanted)?;
        }
        let mut members: Vec<(ResourceId, bool)> = wanted.members.into_iter().collect();
        // The order of a map differs from run to run; that of the state's keys does not.
        members.sort_unstable();
        let is_member = self.membership(group);
        members.retain(|(member, came)| is_member(*member) != *came);
        drop(is_member);
        let changed = !members.is_empty() || !wanted.left.is_empty();
        let (came, count) = (
            members.iter().filter(|(_id, came)| *came).count(),
            members.len(),
        );
        let now = if changed {
            self.put_again(resource, current, read)?
        } else {
            if read.is_some() {
                self.drop_entries(resource);
            }
            current
        };
        if changed {
            self.note_members(resource, &members, &wanted.left);
        }
        if !members.is_empty() {
            let own = self.own.members.entry(group).or_default();
            own.extend(members.iter().copied());
            self.logged.changes.push(Made::Members {
                directory,
                group: id,
                members,
            });
        }
        let replaces = |step: &MemberStep| matches!(step, MemberStep::Set(ids) if !ids.is_empty());
        let shrank = steps.iter().any(replaces) && came.saturating_mul(2) < count;
        let left = wanted.left.into_iter();
        self.left.extend(left.map(|member| (directory, id, member)));
        self.members.push(MembersChanged {
            group: id,
            changed,
            revision: now.revision,
            modified: now.modified,
            unknown: wanted.unknown,
            shrank,
        });
        Ok(())
    }

    /// Takes one step.
    fn take_step(
        &self,
        group: GroupKey,
        step: &MemberStep,
        unknown: Unknown,
        wanted: &mut Wanted,
    ) -> Result<(), Reject> {
        match step {
            MemberStep::Add(ids) => {
                for id in self.known(group.0, ids, unknown, wanted)? {
                    wanted.members.insert(id, true);
                }
            }
            MemberStep::Remove(ids) => {
                wanted.members.extend(ids.iter().map(|id| (*id, false)));
            }
            MemberStep::Set(ids) => {
                let ids = self.known(group.0, ids, unknown, wanted)?;
                for came in wanted.members.values_mut() {
                    *came = false;
                }
                let members = self.members(group).into_iter();
                wanted.members.extend(members.map(|id| (id, false)));
                wanted.members.extend(ids.into_iter().map(|id| (id, true)));
            }
            MemberStep::Leave(id) => {
                if self.membership(group)(*id) {
                    wanted.left.push(*id);
                }
            }
        }
        Ok(())
    }

    /// Those of the ids that mean a resource, be it deleted.
    fn known(
        &self,
        directory: DirectoryId,
        ids: &[ResourceId],
        unknown: Unknown,
        wanted: &mut Wanted,
    ) -> Result<Vec<ResourceId>, Reject> {
        let is_known =
            |id: &ResourceId| self.exists(directory, *id) || self.is_deleted(directory, *id);
        let (known, strange): (Vec<ResourceId>, Vec<ResourceId>) =
            ids.iter().copied().partition(is_known);
        let refused = match unknown {
            Unknown::Refuse => !strange.is_empty(),
            Unknown::LeaveOut => known.is_empty() && !strange.is_empty(),
            Unknown::LeaveOutAll => false,
        };
        if refused {
            let ids = strange.into_iter().take(NAMED_MAX).collect();
            return Err(Reject::UnknownMembers { ids });
        }
        wanted.unknown.extend(strange);
        Ok(known)
    }

    /// Stores a group again whose members change: its revision moves, unless the transaction has put
    /// it anyway.
    fn put_again(
        &mut self,
        resource: ResourceKey,
        current: Current,
        read: Option<AsRead>,
    ) -> Result<Current, Reject> {
        let Some(AsRead {
            revision,
            mut record,
        }) = read
        else {
            return Ok(current);
        };
        if current.revision != revision && !self.has_body(resource, current, &record.body) {
            return Err(Reject::Stale);
        }
        record.revision = current.revision.next();
        record.modified = self.at;
        for draft in self.drafts.iter_mut().flatten() {
            if draft.is_about(resource) {
                draft.revision = record.revision;
            }
        }
        let put = self.put_resource(resource, Expect::Exists, &record)?;
        self.logged.changes.push(put);
        let stored = self.own.resources.get(&resource);
        Ok(stored.and_then(Option::as_ref).map_or(current, Current::of))
    }

    /// Whether memory knows that the resource, as it now is, has this JSON.
    fn has_body(&self, resource: ResourceKey, current: Current, body: &[u8]) -> bool {
        let own = self.own.resources.get(&resource);
        if let Some(decided) = own.or_else(|| self.decided.resources.get(&resource)) {
            return decided.as_ref().is_some_and(|stored| stored.body() == body);
        }
        let (directory, kind, id) = resource;
        let found = self.memory.directories.get(&directory);
        let pending = found.and_then(|found| found.shelf(kind).pending.get(&id));
        pending.is_some_and(|pending| {
            pending.record.revision == current.revision && *pending.record.body == *body
        })
    }

    /// Decides that a resource is deleted.
    pub(super) fn delete_resource(
        &mut self,
        resource: ResourceKey,
        expect: Expect,
        names: Vec<(Index, Box<str>)>,
    ) -> Result<Made, Reject> {
        let (directory, kind, id) = resource;
        self.directory(directory).ok_or(Reject::DirectoryGone)?;
        let current = self.resource(resource).ok_or(Reject::Missing)?;
        check(expect, Some(current.revision))?;
        for group in self.groups_of(directory, id) {
            // A loop of one goes as a whole.
            if group != id && !self.left.contains(&(directory, group, id)) {
                return Err(Reject::Stale);
            }
        }
        let history = self.number_entries(resource, Some(current.history));
        self.own.resources.insert(resource, None);
        self.own.left.insert((directory, id), true);
        Ok(Made::DeleteResource {
            directory,
            kind,
            id,
            left: Some(DeletedRow {
                kind,
                at: self.at,
                revision: current.revision.next(),
                history: history.unwrap_or(current.history),
                names,
            }),
        })
    }

    /// Decides that nothing is left of a deleted resource.
    pub(super) fn forget(
        &mut self,
        directory: DirectoryId,
        id: ResourceId,
        memberships: Vec<(ResourceId, ResourceId)>,
    ) -> Result<Made, Reject> {
        if !self.is_deleted(directory, id) {
            return Err(Reject::Missing);
        }
        self.own.left.insert((directory, id), false);
        for (group, member) in &memberships {
            let members = self.own.members.entry((directory, *group)).or_default();
            members.insert(*member, false);
        }
        Ok(Made::Forget {
            directory,
            id,
            memberships,
        })
    }
}

/// What the steps of a change come to.
#[derive(Debug, Default)]
struct Wanted {
    /// Who is to be a member, and who not.
    members: HashMap<ResourceId, bool>,
    /// Members that are deleted.
    left: Vec<ResourceId>,
    /// Ids that never were any resource's.
    unknown: Vec<ResourceId>,
}
