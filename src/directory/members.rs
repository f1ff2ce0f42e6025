//! Who is to be in a group: from what a request says to what the store decides.

use serde_json::Map;

use crate::audit::history::Action;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::directory::Act;
use crate::directory::Directory;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::scim::filter::Filter;
use crate::scim::json::shortened;
use crate::scim::members::Member;
use crate::scim::members::MemberStep;
use crate::scim::resource::Note;
use crate::scim::resource::Resource;
use crate::scim::resource::memberships;
use crate::scim::resource::memberships::GroupOf;
use crate::scim::resource::memberships::MemberOf;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::store::change;
use crate::store::change::AsRead;
use crate::store::change::Change;
use crate::store::change::Committed;
use crate::store::change::Expect;
use crate::store::change::HistoryDraft;
use crate::store::change::Unknown;
use crate::store::error::StoreError;
use crate::store::record::Record;
use crate::store::relations;

/// The code of the note that somebody who never existed was left out of a group.
pub const MEMBER_UNKNOWN: &str = "group.member_unknown";
/// The code of the note that a list of members took more away than it brought. Entra sends such a list
/// when it believes that it saw all members: it is carried out, and worth a look.
pub const REPLACE_SHRANK: &str = "group.replace_shrank";
/// Unknown members that a refusal names at most.
const NAMED_MAX: usize = 20;

/// What a request wants of a group's members.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Step after step.
    pub steps: Vec<MemberStep>,
    /// What happens to ids that never were anybody's.
    pub unknown: Unknown,
}

/// What a wish comes to.
pub struct Resolved {
    /// Step after step, each with ids.
    steps: Vec<change::MemberStep>,
    /// Whether that is only so as long as the group is at the revision it was read at.
    at_revision: bool,
}

impl Wish {
    /// To take these steps. `whole` when they come with a whole group, which is worth more than
    /// its members.
    pub fn new(steps: Vec<MemberStep>, whole: bool, profile: Profile) -> Self {
        let unknown = match (profile, whole) {
            (Profile::Strict, _) => Unknown::Refuse,
            (Profile::Entra, true) => Unknown::LeaveOutAll,
            (Profile::Entra, false) => Unknown::LeaveOut,
        };
        Self { steps, unknown }
    }
}

impl Directory {
    /// The change that makes the members of group `id` what `wish` wants. `read` is the group as it
    /// was read; none when the same transaction puts it.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::UnknownMembers`].
    pub(in crate::directory) fn members_change(
        &self,
        id: ResourceId,
        wish: &Wish,
        revision: Revision,
        read: Option<AsRead>,
        act: &Act,
        notes: &mut Vec<Note>,
    ) -> Result<Change, DirectoryError> {
        let resolved = self.resolve(id, revision, wish, notes)?;
        let at_revision = read.is_some() && (resolved.at_revision || act.if_match.is_some());
        Ok(Change::Members {
            directory: self.row.id,
            group: id,
            expect: if at_revision {
                Expect::Revision(revision)
            } else {
                Expect::Exists
            },
            steps: resolved.steps,
            unknown: wish.unknown,
            read,
        })
    }

    /// Turns what clients call members into ids.
    fn resolve(
        &self,
        group: ResourceId,
        revision: Revision,
        wish: &Wish,
        notes: &mut Vec<Note>,
    ) -> Result<Resolved, DirectoryError> {
        let mut resolved = Resolved {
            steps: Vec::with_capacity(wish.steps.len()),
            at_revision: false,
        };
        for step in &wish.steps {
            let step = match step {
                MemberStep::Add(members) => {
                    change::MemberStep::Add(self.ids(members, wish.unknown, notes)?)
                }
                MemberStep::Set(members) => {
                    change::MemberStep::Set(self.ids(members, wish.unknown, notes)?)
                }
                MemberStep::Clear => change::MemberStep::Set(Vec::new()),
                MemberStep::Remove(values) => {
                    let ids = values.iter().filter_map(|value| ResourceId::parse(value));
                    change::MemberStep::Remove(ids.collect())
                }
                MemberStep::RemoveMatching(filter) => {
                    resolved.at_revision = true;
                    let ids = self.matching(group, revision, &resolved.steps, filter);
                    change::MemberStep::Remove(ids)
                }
            };
            resolved.steps.push(step);
        }
        Ok(resolved)
    }

    /// The ids of members. What has another form than an id is nobody's.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::UnknownMembers`], with all that are nobody's, where these are. Whether ids
    /// are somebody's is decided when they are committed.
    fn ids(
        &self,
        members: &[Member],
        unknown: Unknown,
        notes: &mut Vec<Note>,
    ) -> Result<Vec<ResourceId>, DirectoryError> {
        let mut ids = Vec::with_capacity(members.len());
        let mut strange = Vec::new();
        for member in members {
            match ResourceId::parse(&member.value) {
                Some(id) => ids.push(id),
                None => strange.push(&*member.value),
            }
        }
        let refused = match unknown {
            Unknown::Refuse => !strange.is_empty(),
            Unknown::LeaveOut => !strange.is_empty() && !ids.iter().any(|id| self.was_ever(*id)),
            Unknown::LeaveOutAll => false,
        };
        if refused {
            let named = members.iter().filter_map(|member| {
                let id = ResourceId::parse(&member.value);
                if id.is_some_and(|id| self.was_ever(id)) {
                    return None;
                }
                let strange = || format!("\"{}\"", shortened(&member.value));
                Some(id.map_or_else(strange, |id| id.to_string()))
            });
            let values = named.take(NAMED_MAX).collect();
            return Err(DirectoryError::UnknownMembers { values });
        }
        for value in strange {
            Note::add(notes, MEMBER_UNKNOWN, value);
        }
        Ok(ids)
    }

    /// Whether an id is somebody's, or was until not long ago.
    fn was_ever(&self, id: ResourceId) -> bool {
        let directory = self.row.id;
        self.store.kind_of(directory, id).is_some() || self.store.deleted(directory, id).is_some()
    }

    /// The members of a group that a filter chooses, or that it may have once `before` is done.
    fn matching(
        &self,
        group: ResourceId,
        revision: Revision,
        before: &[change::MemberStep],
        filter: &Filter,
    ) -> Vec<ResourceId> {
        // A group that has changed meanwhile is refused by its revision, and comes again.
        let members = self.store.members(self.row.id, group, revision);
        let mut members: Vec<MemberOf> =
            members.unwrap_or_default().iter().map(member_of).collect();
        let added = before.iter().flat_map(|step| match step {
            change::MemberStep::Add(ids) | change::MemberStep::Set(ids) => ids.as_slice(),
            change::MemberStep::Remove(_) | change::MemberStep::Leave(_) => &[],
        });
        for id in added {
            let kind = self.store.kind_of(self.row.id, *id);
            members.extend(kind.map(|kind| MemberOf { id: *id, kind }));
        }
        members.retain(|member| {
            // The URL does not depend on the request: a filter on `$ref` sees what is behind it.
            let mut tree = Map::new();
            memberships::put_members(&mut tree, "", std::slice::from_ref(member));
            let mut elements = tree.values().filter_map(|list| list.get(0));
            elements.any(|element| filter.matches_element(element))
        });
        members.into_iter().map(|member| member.id).collect()
    }

    /// The changes, with their history, that tell the groups of a resource that it is deleted.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Store`] when a group cannot be read.
    pub(in crate::directory) fn leaves(
        &self,
        id: ResourceId,
        act: &Act,
    ) -> Result<Vec<(Change, HistoryDraft)>, DirectoryError> {
        let groups = self.store.direct_groups(self.row.id, id);
        let mut leaves = Vec::with_capacity(groups.len());
        for group in groups.into_iter().filter(|group| *group != id) {
            let kind = ResourceKind::Group;
            // A group that went meanwhile needs no telling.
            let Some(record) = self.store.resource(self.row.id, kind, group)? else {
                continue;
            };
            let resource = Resource::from_stored(kind, &record.body)
                .ok_or(DirectoryError::Store(StoreError::Damaged(group)))?;
            let change = Change::Members {
                directory: self.row.id,
                group,
                expect: Expect::Exists,
                steps: vec![change::MemberStep::Leave(id)],
                unknown: Unknown::Refuse,
                read: Some(self.as_read(&resource, &record)),
            };
            let revision = record.revision.next();
            let payload = b"{}".to_vec();
            leaves.push((
                change,
                self.draft(kind, group, Action::Updated, revision, act, payload),
            ));
        }
        Ok(leaves)
    }

    /// A group as it was read. By its body, to the byte, the store sees whether anything but members
    /// has changed meanwhile.
    pub(in crate::directory) fn as_read(&self, group: &Resource, read: &Record) -> AsRead {
        let revision = read.revision;
        AsRead {
            revision,
            record: self.record_again(group, read, revision),
        }
    }
}

/// Takes into the answer what the commit decided.
pub(in crate::directory) fn decided(written: &mut Written, committed: &Committed) {
    let stored = &mut written.stored;
    let told = committed.members.iter();
    for told in told.filter(|told| told.group == stored.id) {
        written.changed |= told.changed;
        stored.revision = told.revision;
        stored.modified = told.modified;
        if told.shrank {
            Note::add(&mut written.notes, REPLACE_SHRANK, "members");
        }
        for id in &told.unknown {
            Note::add(&mut written.notes, MEMBER_UNKNOWN, &id.to_string());
        }
    }
}

/// A member as answers show it.
pub fn member_of(member: &relations::Member) -> MemberOf {
    MemberOf {
        id: member.id,
        kind: member.kind,
    }
}

/// A group of a user as answers show it.
pub fn group_of(group: &relations::GroupOf) -> GroupOf<'_> {
    GroupOf {
        id: group.id,
        display: &group.label,
        direct: group.direct,
    }
}
