//! Reading who is in which group, and what is left of deleted resources.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::scim::schema::ResourceKind;
use crate::store::change::Index;
use crate::store::memory::Directory;
use crate::store::record::Record;
use crate::store::row::DeletedRow;
use crate::store::view::Cached;
use crate::store::view::View;

/// Memberships that are copied while writers wait.
const STRETCH_MEMBERS: usize = 4096;

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: ResourceId,
    /// What it is.
    pub kind: ResourceKind,
}

/// A group that a resource is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOf {
    /// Its id.
    pub id: ResourceId,
    /// What it is called.
    pub label: Arc<str>,
    /// Whether the resource is a member itself, and not only of a group that is.
    pub direct: bool,
}

/// A deleted resource that nobody can restore any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Its id.
    pub id: ResourceId,
    /// Its memberships: pairs of group and member.
    pub memberships: Vec<(ResourceId, ResourceId)>,
}

/// Up to `count` members of a group behind `after`.
fn stretch(
    found: &Directory,
    group: ResourceId,
    after: Option<ResourceId>,
    count: usize,
) -> Vec<Member> {
    let members = found.edges.members(found.ends(), group, after, count);
    let members = members.into_iter();
    members.map(|(id, kind)| Member { id, kind }).collect()
}

impl View {
    /// Calls `read` with a directory, when it exists.
    fn in_directory<T>(
        &self,
        directory: DirectoryId,
        read: impl FnOnce(&Directory) -> Option<T>,
    ) -> Option<T> {
        read(self.memory().directories.get(&directory)?)
    }

    /// The members of a group in the order of their ids. Nothing when it is gone, or not at this
    /// revision any more: then it has to be read again.
    pub fn members(
        &self,
        directory: DirectoryId,
        group: ResourceId,
        revision: Revision,
    ) -> Option<Vec<Member>> {
        self.gather(directory, group, |at| at == revision)
    }

    /// The members of a group, at whatever revision: those that were there all the time, and some of
    /// those that came or went meanwhile.
    pub fn members_now(&self, directory: DirectoryId, group: ResourceId) -> Vec<Member> {
        let members = self.gather(directory, group, |_revision| true);
        members.unwrap_or_default()
    }

    /// The members of a group, as long as it is at a revision that fits.
    fn gather(
        &self,
        directory: DirectoryId,
        group: ResourceId,
        fits: impl Fn(Revision) -> bool,
    ) -> Option<Vec<Member>> {
        let mut members: Vec<Member> = Vec::new();
        loop {
            let after = members.last().map(|member| member.id);
            let stretch = self.in_directory(directory, |found| {
                let slot = found.shelf(ResourceKind::Group).indexes.get(group)?;
                let stretch = || stretch(found, group, after, STRETCH_MEMBERS);
                fits(slot.revision).then(stretch)
            })?;
            let whole = stretch.len() < STRETCH_MEMBERS;
            members.extend(stretch);
            if whole {
                return Some(members);
            }
        }
    }

    /// The first members of a group in the order of their ids.
    pub fn first_members(
        &self,
        directory: DirectoryId,
        group: ResourceId,
        count: usize,
    ) -> Vec<Member> {
        let members =
            self.in_directory(directory, |found| Some(stretch(found, group, None, count)));
        members.unwrap_or_default()
    }

    /// A group with its members, copied in one piece, when memory has both: who reads a group that
    /// others keep changing gets it this way, since it is in memory then.
    pub fn group_at_once(
        &self,
        directory: DirectoryId,
        group: ResourceId,
    ) -> Option<(Arc<Record>, Vec<Member>)> {
        let key = (directory, ResourceKind::Group, group);
        let memory = self.memory();
        let (cached, _expected) = self.look_in(&memory, key);
        let Cached::Hit(record) = cached else {
            return None;
        };
        let found = memory.directories.get(&directory)?;
        Some((record, stretch(found, group, None, usize::MAX)))
    }

    /// What the resource of this id is, when there is one.
    pub fn kind_of(&self, directory: DirectoryId, id: ResourceId) -> Option<ResourceKind> {
        self.in_directory(directory, |found| Some(found.ends().node(id)?.kind()))
    }

    /// How many members a group has.
    pub fn member_count(&self, directory: DirectoryId, group: ResourceId) -> usize {
        let count = self.in_directory(directory, |found| {
            Some(found.edges.member_count(found.ends(), group))
        });
        count.unwrap_or_default()
    }

    /// What the resource is that has this id and is in a group.
    pub fn member(
        &self,
        directory: DirectoryId,
        group: ResourceId,
        member: ResourceId,
    ) -> Option<Member> {
        self.in_directory(directory, |found| {
            let ends = found.ends();
            let there = found.edges.has(ends, group, member);
            let kind = ends.node(member)?.kind();
            there.then_some(Member { id: member, kind })
        })
    }

    /// The groups of a resource: first those it is a member of, then those that have one of them as
    /// a member.
    pub fn groups_of(&self, directory: DirectoryId, member: ResourceId) -> Vec<GroupOf> {
        let groups = self.in_directory(directory, |found| {
            let groups = found.edges.groups_through(found.ends(), member);
            let groups = groups.into_iter().map(|(id, direct)| GroupOf {
                id,
                label: found.labels.get(&id).map(Arc::clone).unwrap_or_default(),
                direct,
            });
            Some(groups.collect())
        });
        groups.unwrap_or_default()
    }

    /// The groups that a resource is a member of itself.
    pub fn direct_groups(&self, directory: DirectoryId, member: ResourceId) -> Vec<ResourceId> {
        let groups = self.in_directory(directory, |found| {
            Some(found.edges.groups(found.ends(), member))
        });
        groups.unwrap_or_default()
    }

    /// How many memberships there are in all directories, and how many of which an end is deleted.
    pub fn membership_count(&self) -> (usize, usize) {
        let memory = self.memory();
        let counts = memory.directories.values();
        counts.fold((0, 0), |(count, hidden), found| {
            let edges = &found.edges;
            (
                edges.count().saturating_add(count),
                edges.hidden_count().saturating_add(hidden),
            )
        })
    }

    /// Whether each membership of a directory is known at both ends, as far as their number tells.
    pub fn is_balanced(&self, directory: DirectoryId) -> bool {
        let balanced = self.in_directory(directory, |found| Some(found.edges.is_balanced()));
        balanced.unwrap_or(true)
    }

    /// Groups that a resource is in and that do not know it as a member: pairs of group and member.
    /// There are none.
    pub fn lopsided(
        &self,
        directory: DirectoryId,
        id: ResourceId,
    ) -> Vec<(ResourceId, ResourceId)> {
        let wrong = self.in_directory(directory, |found| Some(found.edges.check(found.ends(), id)));
        wrong.unwrap_or_default()
    }

    /// What is left of a deleted resource, until nobody can restore it any more.
    pub fn deleted(&self, directory: DirectoryId, id: ResourceId) -> Option<DeletedRow> {
        self.in_directory(directory, |found| Some(found.deleted.get(&id)?.row.clone()))
    }

    /// The resource that was called so and was deleted last, until nobody can restore it any more.
    pub fn deleted_by(
        &self,
        directory: DirectoryId,
        kind: ResourceKind,
        index: Index,
        name: &str,
    ) -> Option<(ResourceId, DeletedRow)> {
        self.in_directory(directory, |found| {
            let id = *found.deleted_names.get(&(kind, index, name.into()))?;
            Some((id, found.deleted.get(&id)?.row.clone()))
        })
    }

    /// Up to `count` resources of a directory that were deleted before `at`.
    pub(in crate::store) fn expired(
        &self,
        directory: DirectoryId,
        at: Timestamp,
        count: usize,
    ) -> Vec<Expired> {
        let expired = self.in_directory(directory, |found| {
            let expired = found.deleted.iter();
            let expired = expired.filter(|(_id, held)| held.row.at < at).take(count);
            let expired = expired.map(|(id, _held)| Expired {
                id: *id,
                memberships: found.edges.hidden_of(*id),
            });
            Some(expired.collect())
        });
        expired.unwrap_or_default()
    }
}
