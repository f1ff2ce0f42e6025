//! Memberships of which an end does not exist: it was deleted and can be restored. Each is kept
//! once, at a group that is gone or else at a member that is.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Bound;

use crate::base::ident::ResourceId;

/// The highest id.
const LAST: ResourceId = ResourceId::from_bytes([u8::MAX; 16]);

/// Memberships of which an end does not exist.
#[derive(Debug, Default)]
pub struct Hidden {
    /// The members of groups that are gone, in the order of their ids.
    of_groups: BTreeMap<ResourceId, Vec<ResourceId>>,
    /// Members that are gone of groups: pairs of group and member.
    by_group: BTreeSet<(ResourceId, ResourceId)>,
    /// The same, the member first.
    by_member: BTreeSet<(ResourceId, ResourceId)>,
}

/// Everything that begins with `first` in a set of pairs, behind `after`.
fn beginning(
    set: &BTreeSet<(ResourceId, ResourceId)>,
    first: ResourceId,
    after: Option<ResourceId>,
) -> impl Iterator<Item = ResourceId> {
    let from = match after {
        Some(after) => Bound::Excluded((first, after)),
        None => Bound::Included((first, ResourceId::NIL)),
    };
    let until = Bound::Included((first, LAST));
    // A range must not begin behind its end.
    let empty = after == Some(LAST);
    let range = (!empty).then(|| set.range((from, until)));
    range.into_iter().flatten().map(|(_first, second)| *second)
}

impl Hidden {
    /// How many there are.
    pub fn count(&self) -> usize {
        let of_groups: usize = self.of_groups.values().map(Vec::len).sum();
        of_groups.saturating_add(self.by_group.len())
    }

    /// Whether there is this one.
    pub fn has(&self, group: ResourceId, member: ResourceId) -> bool {
        let members = self.of_groups.get(&group);
        members.is_some_and(|members| members.binary_search(&member).is_ok())
            || self.by_group.contains(&(group, member))
    }

    /// The members of a group, in no order.
    pub fn members(&self, group: ResourceId) -> impl Iterator<Item = ResourceId> {
        self.first_members(group, None, usize::MAX)
    }

    /// The first members of a group behind `after`: `count` of them are among these.
    pub fn first_members(
        &self,
        group: ResourceId,
        after: Option<ResourceId>,
        count: usize,
    ) -> impl Iterator<Item = ResourceId> {
        let members = self.of_groups.get(&group).map(|members| {
            let at = members.partition_point(|member| Some(*member) <= after);
            members.get(at..).unwrap_or_default()
        });
        let members = members.unwrap_or_default().iter().copied().take(count);
        members.chain(beginning(&self.by_group, group, after).take(count))
    }

    /// The first group behind `after` that has any.
    pub fn group_after(&self, after: Option<ResourceId>) -> Option<ResourceId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let gone = self.of_groups.range((from, Bound::Unbounded)).next();
        let gone = gone.map(|(group, _members)| *group);
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded((after, LAST)));
        let there = self.by_group.range((from, Bound::Unbounded)).next();
        let there = there.map(|(group, _member)| *group);
        match (gone, there) {
            (Some(gone), Some(there)) => Some(gone.min(there)),
            (found, None) | (None, found) => found,
        }
    }

    /// Puts a member of a group in that is gone.
    pub fn put_of_group(&mut self, group: ResourceId, member: ResourceId) {
        if !self.has(group, member) {
            let members = self.of_groups.entry(group).or_default();
            let at = members.partition_point(|other| *other < member);
            members.insert(at, member);
        }
    }

    /// Puts all members of a group in that has gone; they are in order.
    pub fn put_all_of_group(
        &mut self,
        group: ResourceId,
        members: impl Iterator<Item = ResourceId>,
    ) {
        let mut members = members.peekable();
        if members.peek().is_none() {
            return;
        }
        let all = self.of_groups.entry(group).or_default();
        all.extend(members);
        all.sort_unstable();
        all.dedup();
    }

    /// Puts a member of a group in that is gone itself.
    pub fn put_of_member(&mut self, group: ResourceId, member: ResourceId) {
        if !self.has(group, member) {
            self.by_group.insert((group, member));
            self.by_member.insert((member, group));
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, group: ResourceId, member: ResourceId) {
        self.by_group.remove(&(group, member));
        self.by_member.remove(&(member, group));
        if let Some(members) = self.of_groups.get_mut(&group) {
            if let Ok(at) = members.binary_search(&member) {
                members.remove(at);
            }
            if members.is_empty() {
                self.of_groups.remove(&group);
            }
        }
    }

    /// Takes everything out that was kept at a resource: its members, and the groups it is in.
    pub fn take(&mut self, id: ResourceId) -> (Vec<ResourceId>, Vec<ResourceId>) {
        let members = self.of_groups.remove(&id).unwrap_or_default();
        let groups: Vec<ResourceId> = beginning(&self.by_member, id, None).collect();
        for group in &groups {
            self.by_group.remove(&(*group, id));
            self.by_member.remove(&(id, *group));
        }
        (members, groups)
    }

    /// Everything about a resource that is gone: pairs of group and member. What is kept at another
    /// group that is gone too is not among it, and goes with that.
    pub fn of(&self, id: ResourceId) -> Vec<(ResourceId, ResourceId)> {
        let members = self.members(id).map(|member| (id, member));
        let groups = beginning(&self.by_member, id, None).map(|group| (group, id));
        members.chain(groups).collect()
    }
}
