//! Who is in which group: memberships between resources that exist, from both ends, in some twenty
//! bytes for each; and those of which an end is deleted and may come back.
//!
//! An end is a node: the number of a resource's slot. Members stand in the order of their ids,
//! which is the order of the state's keys. A membership counts once both ends exist: who deletes a
//! resource hides its memberships and changes none.

mod hidden;
mod list;
mod member;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::HashSet;

use crate::base::ident::ResourceId;
use crate::scim::schema::ResourceKind;
use crate::store::edges::hidden::Hidden;
use crate::store::edges::list::List;
use crate::store::edges::list::Lists;
use crate::store::edges::member::Member;
use crate::store::edges::member::before;
use crate::store::edges::member::up_to;
use crate::store::index::Indexes;

/// A map of all resources pays off for one membership to so many of them.
const MEMBERS_WORTH_A_MAP: usize = 4;

/// A user or a group by the number of its slot: twice the number, and one more for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) struct Node(u32);

impl Node {
    /// The resource in this slot.
    fn new(kind: ResourceKind, number: u32) -> Option<Self> {
        let group = u32::from(kind == ResourceKind::Group);
        Some(Self(number.checked_mul(2)?.checked_add(group)?))
    }

    /// What it is.
    pub const fn kind(self) -> ResourceKind {
        if self.0.is_multiple_of(2) {
            ResourceKind::User
        } else {
            ResourceKind::Group
        }
    }

    /// The number of its slot.
    const fn number(self) -> u32 {
        self.0 / 2
    }
}

/// The ends of memberships: every resource of a directory, by id and by slot.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Ends<'a> {
    /// Its users.
    pub users: &'a Indexes,
    /// Its groups.
    pub groups: &'a Indexes,
}

impl<'a> Ends<'a> {
    /// How many there are.
    const fn count(self) -> usize {
        self.users.count().saturating_add(self.groups.count())
    }

    /// All of them.
    fn nodes(self) -> impl Iterator<Item = (ResourceId, Node)> + 'a {
        let of = |kind, indexes: &'a Indexes| {
            let numbers = indexes.numbers();
            numbers.filter_map(move |(id, number)| Some((id, Node::new(kind, number)?)))
        };
        of(ResourceKind::User, self.users).chain(of(ResourceKind::Group, self.groups))
    }

    /// The resource with this id, when it exists.
    pub fn node(&self, id: ResourceId) -> Option<Node> {
        let user = self.users.number_of(id);
        let user = user.and_then(|number| Node::new(ResourceKind::User, number));
        user.or_else(|| self.group(id))
    }

    /// The group with this id, when it exists.
    pub fn group(&self, id: ResourceId) -> Option<Node> {
        Node::new(ResourceKind::Group, self.groups.number_of(id)?)
    }

    /// The id of a resource.
    pub fn id(&self, node: Node) -> Option<ResourceId> {
        match node.kind() {
            ResourceKind::User => self.users.id_of(node.number()),
            ResourceKind::Group => self.groups.id_of(node.number()),
        }
    }
}

/// A membership as it is found: who, and what that is.
pub(in crate::store) type Found = (ResourceId, ResourceKind);

/// The memberships of one directory.
#[derive(Debug, Default)]
pub(in crate::store) struct Edges {
    /// The members of each group, in the order of their ids.
    members: Lists<Member>,
    /// The groups in which each user is, by slot.
    groups_of_users: Lists<u32>,
    /// The groups in which each group is, by slot.
    groups_of_groups: Lists<u32>,
    /// Memberships of which an end does not exist.
    hidden: Hidden,
    /// How many memberships have both ends.
    count: usize,
}

impl Edges {
    /// How many memberships there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// How many memberships there are of which an end is deleted.
    pub fn hidden_count(&self) -> usize {
        self.hidden.count()
    }

    /// The groups in which the nodes of a kind are.
    const fn groups_of(&self, kind: ResourceKind) -> &Lists<u32> {
        match kind {
            ResourceKind::User => &self.groups_of_users,
            ResourceKind::Group => &self.groups_of_groups,
        }
    }

    /// The groups in which the nodes of a kind are, to change.
    const fn groups_of_mut(&mut self, kind: ResourceKind) -> &mut Lists<u32> {
        match kind {
            ResourceKind::User => &mut self.groups_of_users,
            ResourceKind::Group => &mut self.groups_of_groups,
        }
    }

    /// Whether a resource that exists is in a group that exists.
    pub fn has(&self, ends: Ends<'_>, group: ResourceId, member: ResourceId) -> bool {
        let (Some(group), Some(node)) = (ends.group(group), ends.node(member)) else {
            return false;
        };
        // The shorter list is that of the member, nearly always.
        let groups = self.groups_of(node.kind()).get(node.number());
        groups.is_some_and(|groups| groups.has(group.number()))
    }

    /// Whether there is this membership, whatever its ends.
    pub fn has_any(&self, ends: Ends<'_>, group: ResourceId, member: ResourceId) -> bool {
        self.has(ends, group, member) || self.hidden.has(group, member)
    }

    /// Whether a group has any members, whatever they are.
    pub fn has_members(&self, ends: Ends<'_>, group: ResourceId) -> bool {
        self.member_count(ends, group) > 0 || self.hidden.members(group).next().is_some()
    }

    /// How many members a group has that exist.
    pub fn member_count(&self, ends: Ends<'_>, group: ResourceId) -> usize {
        let group = ends.group(group);
        let list = group.and_then(|group| self.members.get(group.number()));
        list.map_or(0, List::len)
    }

    /// Up to `count` members of a group that exist, in the order of their ids, after `after`.
    pub fn members(
        &self,
        ends: Ends<'_>,
        group: ResourceId,
        after: Option<ResourceId>,
        count: usize,
    ) -> Vec<Found> {
        let group = ends.group(group);
        let Some(list) = group.and_then(|group| self.members.get(group.number())) else {
            return Vec::new();
        };
        let passed = after.map(|after| up_to(ends, after));
        let passed = |member| passed.as_ref().is_some_and(|passed| passed(member));
        let found = list.after(passed).take(count);
        found
            .filter_map(|member| Some((ends.id(member.node)?, member.node.kind())))
            .collect()
    }

    /// All members of a group, deleted ones among them, whether it exists or not. In no order.
    pub fn all_members(&self, ends: Ends<'_>, group: ResourceId) -> Vec<ResourceId> {
        let live = self.members(ends, group, None, usize::MAX);
        let live = live.into_iter().map(|(id, _kind)| id);
        live.chain(self.hidden.members(group)).collect()
    }

    /// The groups that exist and have this resource, which exists, as a member: by id.
    pub fn groups(&self, ends: Ends<'_>, member: ResourceId) -> Vec<ResourceId> {
        let Some(node) = ends.node(member) else {
            return Vec::new();
        };
        let list = self.groups_of(node.kind()).get(node.number());
        let list = list.into_iter().flat_map(List::all);
        list.filter_map(|number| ends.groups.id_of(number))
            .collect()
    }

    /// The groups of a resource, each with whether it is a member itself: first those, then the
    /// groups that have one of those before as a member. Loops end.
    pub fn groups_through(&self, ends: Ends<'_>, member: ResourceId) -> Vec<(ResourceId, bool)> {
        let Some(node) = ends.node(member) else {
            return Vec::new();
        };
        let of = |node: Node| {
            let list = self.groups_of(node.kind()).get(node.number());
            list.into_iter().flat_map(List::all)
        };
        let mut found: Vec<u32> = of(node).collect();
        let direct = found.len();
        if direct == 0 {
            return Vec::new();
        }
        let mut seen: HashSet<u32> = found.iter().copied().collect();
        let mut at = 0;
        while let Some(group) = found.get(at).copied() {
            at = at.saturating_add(1);
            if let Some(node) = Node::new(ResourceKind::Group, group) {
                found.extend(of(node).filter(|group| seen.insert(*group)));
            }
        }
        // A group that is in a loop is no member of itself through others.
        let own = (node.kind() == ResourceKind::Group).then(|| node.number());
        let groups = found.into_iter().enumerate();
        groups
            .filter(|(place, group)| *place < direct || Some(*group) != own)
            .filter_map(|(place, group)| Some((ends.groups.id_of(group)?, place < direct)))
            .collect()
    }

    /// The users that are in a group or in a group that is in it, whatever the depth: each
    /// with its birth number, by which lists are sorted. In no order.
    pub fn users_within(&self, ends: Ends<'_>, group: ResourceId) -> Vec<(u64, ResourceId)> {
        let Some(group) = ends.group(group) else {
            return Vec::new();
        };
        let mut groups = vec![group];
        let mut seen: HashSet<Node> = groups.iter().copied().collect();
        let mut users = Vec::new();
        while let Some(group) = groups.pop() {
            let list = self.members.get(group.number());
            let list = list.into_iter().flat_map(List::all);
            for member in list.filter(|member| seen.insert(member.node)) {
                match member.node.kind() {
                    ResourceKind::Group => groups.push(member.node),
                    ResourceKind::User => users.extend(ends.users.born(member.node.number())),
                }
            }
        }
        users
    }

    /// Up to `count` memberships behind `after`, deleted ends among them: pairs of group and member
    /// in the order of the state's keys.
    pub fn after(
        &self,
        ends: Ends<'_>,
        after: Option<(ResourceId, ResourceId)>,
        count: usize,
    ) -> Vec<(ResourceId, ResourceId)> {
        let mut found = Vec::new();
        let mut place = after.map(|(group, member)| (group, Some(member)));
        while found.len() < count {
            let wanted = count.saturating_sub(found.len());
            if let Some((group, member)) = place {
                let live = self.members(ends, group, member, wanted);
                let mut here: Vec<ResourceId> = live.into_iter().map(|(id, _kind)| id).collect();
                here.extend(self.hidden.first_members(group, member, wanted));
                here.sort_unstable();
                here.dedup();
                here.truncate(wanted);
                found.extend(here.into_iter().map(|member| (group, member)));
                if found.len() >= count {
                    break;
                }
            }
            let group = place.map(|(group, _member)| group);
            let live = ends.groups.ids_after(group, 1).first().copied();
            let next = match (live, self.hidden.group_after(group)) {
                (Some(live), Some(hidden)) => live.min(hidden),
                (Some(next), None) | (None, Some(next)) => next,
                (None, None) => break,
            };
            place = Some((next, None));
        }
        found
    }

    /// Lets members of a group come and go, whatever their ends. `nodes` says where each is, as far as
    /// it was known before.
    pub fn change(
        &mut self,
        ends: Ends<'_>,
        group: ResourceId,
        members: &[(ResourceId, bool)],
        nodes: &[Option<Node>],
    ) {
        let end = ends.group(group);
        let mut nodes = nodes.iter().copied();
        for (member, came) in members {
            let node = nodes.next().flatten();
            // The slot may have been given away since.
            let node = node.filter(|node| ends.id(*node) == Some(*member));
            match (end, node) {
                (Some(end), Some(node)) if *came => self.link(ends, end, (*member, node)),
                (_, _) if *came => self.put(ends, group, *member),
                (_, _) => self.remove(ends, group, *member),
            }
        }
    }

    /// Puts a membership in, whatever its ends.
    pub fn put(&mut self, ends: Ends<'_>, group: ResourceId, member: ResourceId) {
        match (ends.group(group), ends.node(member)) {
            (Some(group), Some(node)) => self.link(ends, group, (member, node)),
            (None, _) => self.hidden.put_of_group(group, member),
            (Some(_), None) => self.hidden.put_of_member(group, member),
        }
    }

    /// Takes a membership out, whatever its ends.
    pub fn remove(&mut self, ends: Ends<'_>, group: ResourceId, member: ResourceId) {
        if let (Some(group), Some(node)) = (ends.group(group), ends.node(member)) {
            self.unlink(ends, group, (member, node));
        }
        self.hidden.remove(group, member);
    }

    /// Puts in all memberships that the state has, by group: the order of their ids, which is that of
    /// the state's keys, is the fastest.
    pub fn load(&mut self, ends: Ends<'_>, groups: Vec<(ResourceId, Vec<ResourceId>)>) {
        let count: usize = groups.iter().map(|(_group, members)| members.len()).sum();
        if count < ends.count() / MEMBERS_WORTH_A_MAP {
            for (group, members) in groups {
                members
                    .iter()
                    .for_each(|member| self.put(ends, group, *member));
            }
            return;
        }
        // Looking each up in the indexes would take most of a start.
        let nodes: HashMap<ResourceId, Node> = ends.nodes().collect();
        for (group, members) in groups {
            let end = nodes.get(&group);
            let end = end.filter(|end| end.kind() == ResourceKind::Group);
            for member in members {
                match (end, nodes.get(&member)) {
                    (Some(end), Some(node)) => self.link(ends, *end, (member, *node)),
                    (None, _) => self.hidden.put_of_group(group, member),
                    (Some(_), None) => self.hidden.put_of_member(group, member),
                }
            }
        }
    }

    /// Makes the hidden memberships of a resource count that has come into being.
    pub fn attach(&mut self, ends: Ends<'_>, id: ResourceId) {
        let Some(node) = ends.node(id) else {
            return;
        };
        let (members, groups) = self.hidden.take(id);
        for member in members {
            match ends.node(member) {
                Some(end) => self.link(ends, node, (member, end)),
                None => self.hidden.put_of_member(id, member),
            }
        }
        for group in groups {
            match ends.group(group) {
                Some(end) => self.link(ends, end, (id, node)),
                None => self.hidden.put_of_group(group, id),
            }
        }
    }

    /// Hides the memberships of a resource that is about to go.
    pub fn detach(&mut self, ends: Ends<'_>, id: ResourceId) {
        let Some(node) = ends.node(id) else {
            return;
        };
        for group in self.groups(ends, id) {
            if let Some(end) = ends.group(group) {
                self.unlink(ends, end, (id, node));
                self.hidden.put_of_member(group, id);
            }
        }
        if node.kind() == ResourceKind::Group {
            let number = node.number();
            let members = self.members.take(number);
            let members: Vec<Member> = members.iter().flat_map(List::all).collect();
            for end in members.iter().map(|member| member.node) {
                let groups = self.groups_of_mut(end.kind());
                groups.remove(end.number(), number, |other| other < number);
            }
            self.count = self.count.saturating_sub(members.len());
            let ids = members.iter().filter_map(|member| ends.id(member.node));
            self.hidden.put_all_of_group(id, ids);
        }
    }

    /// All hidden memberships of a deleted resource: pairs of group and member.
    pub fn hidden_of(&self, id: ResourceId) -> Vec<(ResourceId, ResourceId)> {
        self.hidden.of(id)
    }

    /// Whether there are as many memberships seen from one end as from the other. When there are, and
    /// [`Edges::check`] finds nothing, both ends say the same of each.
    pub fn is_balanced(&self) -> bool {
        let groups = [&self.groups_of_users, &self.groups_of_groups];
        let groups: usize = groups.into_iter().map(Lists::entries).sum();
        groups == self.count && self.members.entries() == self.count
    }

    /// Checks that the groups a resource is in have it as a member. Returns what is wrong.
    pub fn check(&self, ends: Ends<'_>, id: ResourceId) -> Vec<(ResourceId, ResourceId)> {
        let Some(node) = ends.node(id) else {
            return Vec::new();
        };
        let mut wrong = Vec::new();
        for group in self.groups(ends, id) {
            let end = ends.group(group);
            let list = end.and_then(|end| self.members.get(end.number()));
            let before = before(ends, id);
            if !list.is_some_and(|list| list.holds(Member::new(id, node), before)) {
                wrong.push((group, id));
            }
        }
        wrong
    }

    /// Links two ends that exist; nothing when they are linked already.
    fn link(&mut self, ends: Ends<'_>, group: Node, (id, node): (ResourceId, Node)) {
        let number = group.number();
        let groups = self.groups_of_mut(node.kind());
        if groups.insert(node.number(), number, |other| other < number) {
            let entry = Member::new(id, node);
            self.members.put(number, entry, before(ends, id));
            self.count = self.count.saturating_add(1);
        }
    }

    /// Parts two ends that exist; nothing when they are not linked.
    fn unlink(&mut self, ends: Ends<'_>, group: Node, (id, node): (ResourceId, Node)) {
        let number = group.number();
        let groups = self.groups_of_mut(node.kind());
        if groups.remove(node.number(), number, |other| other < number) {
            let entry = Member::new(id, node);
            self.members.remove(number, entry, before(ends, id));
            self.count = self.count.saturating_sub(1);
        }
    }
}
