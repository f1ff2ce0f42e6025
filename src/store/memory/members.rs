//! Memberships, and what is left of deleted resources, in the published state.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::cell::Op;
use crate::store::edges::Edges;
use crate::store::edges::Ends;
use crate::store::edges::Node;
use crate::store::log::group::Logged;
use crate::store::log::group::Made;
use crate::store::memory::DeletedHeld;
use crate::store::memory::Directory;
use crate::store::memory::Memory;
use crate::store::memory::put;
use crate::store::row::DeletedRow;

/// An operation that takes a membership out of the state.
fn without(directory: DirectoryId, group: ResourceId, member: ResourceId) -> Op {
    let key = Key::Member(directory, group, member);
    let old = Some(Mark::of(&key, &[]));
    Op {
        key,
        old,
        new: None,
        ticket: 0,
    }
}

/// An operation that puts a membership into the state.
fn with(directory: DirectoryId, group: ResourceId, member: ResourceId) -> Op {
    let key = Key::Member(directory, group, member);
    let mark = Mark::of(&key, &[]);
    Op {
        key,
        old: None,
        new: Some((mark, Arc::default())),
        ticket: 0,
    }
}

/// What can be made of a change of members before it is published.
#[derive(Debug, Default)]
pub(in crate::store) struct ReadyMembers {
    /// Where each member is, as far as it exists.
    nodes: Vec<Option<Node>>,
    /// What the state has to do.
    ops: Vec<Op>,
}

impl Directory {
    /// The ends of its memberships.
    pub const fn ends(&self) -> Ends<'_> {
        Ends {
            users: &self.users.indexes,
            groups: &self.groups.indexes,
        }
    }

    /// Its memberships to change, and their ends.
    const fn edges_mut(&mut self) -> (&mut Edges, Ends<'_>) {
        let ends = Ends {
            users: &self.users.indexes,
            groups: &self.groups.indexes,
        };
        (&mut self.edges, ends)
    }

    /// Makes the memberships count of a resource that has come.
    pub(super) fn attach(&mut self, id: ResourceId) {
        let (edges, ends) = self.edges_mut();
        edges.attach(ends, id);
    }

    /// Hides the memberships of a resource that is about to go.
    pub(super) fn detach(&mut self, id: ResourceId) {
        let (edges, ends) = self.edges_mut();
        edges.detach(ends, id);
    }

    /// Takes in what is left of a deleted resource.
    pub(super) fn insert_deleted(&mut self, id: ResourceId, held: DeletedHeld) {
        for (index, name) in &held.row.names {
            let name = (held.row.kind, *index, name.clone());
            let later = self.deleted_names.get(&name);
            let later = later.and_then(|other| self.deleted.get(other));
            if later.is_none_or(|later| later.row.at <= held.row.at) {
                self.deleted_names.insert(name, id);
            }
        }
        self.deleted.insert(id, held);
    }

    /// Takes out what is left of a deleted resource.
    fn remove_deleted(&mut self, id: ResourceId) -> Option<DeletedHeld> {
        let held = self.deleted.remove(&id)?;
        for (index, name) in &held.row.names {
            let name = (held.row.kind, *index, name.clone());
            if self.deleted_names.get(&name) == Some(&id) {
                self.deleted_names.remove(&name);
            }
        }
        Some(held)
    }

    /// Takes in memberships out of the state.
    pub(super) fn load_members(&mut self, groups: Vec<(ResourceId, Vec<ResourceId>)>) {
        let (edges, ends) = self.edges_mut();
        edges.load(ends, groups);
    }
}

impl Memory {
    /// Makes what can be made of a transaction's changes of members before it is published, and
    /// while others read: one for each such change.
    pub fn ready(&self, logged: &Logged) -> VecDeque<ReadyMembers> {
        let changes = logged.changes.iter().filter_map(|change| match change {
            Made::Members {
                directory,
                group,
                members,
            } => Some((*directory, *group, members)),
            _ => None,
        });
        let ready = changes.map(|(directory, group, members)| {
            let found = self.directories.get(&directory);
            let node = |id| found.and_then(|found| found.ends().node(id));
            let op = |(member, came): &(ResourceId, bool)| match came {
                true => with(directory, group, *member),
                false => without(directory, group, *member),
            };
            ReadyMembers {
                nodes: members
                    .iter()
                    .map(|(member, _came)| node(*member))
                    .collect(),
                ops: members.iter().map(op).collect(),
            }
        });
        ready.collect()
    }

    /// Publishes that members came and went. The operations depend on nothing but the transaction:
    /// a replay of one that the state has in part must come to the same.
    pub(super) fn change_members(
        &mut self,
        directory: DirectoryId,
        group: ResourceId,
        members: &[(ResourceId, bool)],
        mut ready: ReadyMembers,
        ops: &mut Vec<Op>,
    ) {
        self.tickets = self.tickets.saturating_add(1);
        let ticket = self.tickets;
        if let Some(found) = self.directories.get_mut(&directory) {
            let (edges, ends) = found.edges_mut();
            edges.change(ends, group, members, &ready.nodes);
            found.pending_members.insert(group, ticket);
        }
        // Operations reach the state in their order: with the last one it has them all.
        if let Some(last) = ready.ops.last_mut() {
            last.ticket = ticket;
        }
        ops.append(&mut ready.ops);
    }

    /// Publishes what is left of a resource that was deleted.
    pub(super) fn put_deleted(
        &mut self,
        directory: DirectoryId,
        id: ResourceId,
        row: DeletedRow,
    ) -> Op {
        self.tickets = self.tickets.saturating_add(1);
        let ticket = self.tickets;
        let key = Key::Deleted(directory, id);
        let directory = self.directories.get_mut(&directory);
        let was = directory.as_ref().and_then(|found| found.deleted.get(&id));
        let mut mark = was.map(|held| held.mark);
        let mut op = put(key, &mut mark, row.encode().into());
        op.ticket = ticket;
        if let (Some(directory), Some(mark)) = (directory, mark) {
            let ticket = Some(ticket);
            directory.insert_deleted(id, DeletedHeld { row, mark, ticket });
        }
        op
    }

    /// Publishes that nothing is left of a deleted resource.
    pub(super) fn forget(
        &mut self,
        directory: DirectoryId,
        id: ResourceId,
        memberships: &[(ResourceId, ResourceId)],
        ops: &mut Vec<Op>,
    ) {
        let found = self.directories.get_mut(&directory);
        let mut removed = None;
        if let Some(found) = found {
            removed = found.remove_deleted(id);
            for (group, member) in memberships {
                let (edges, ends) = found.edges_mut();
                edges.remove(ends, *group, *member);
            }
        }
        ops.push(Op {
            key: Key::Deleted(directory, id),
            old: removed.map(|held| held.mark),
            new: None,
            ticket: 0,
        });
        let gone = memberships.iter();
        ops.extend(gone.map(|(group, member)| without(directory, *group, *member)));
    }

    /// Forgets that a membership, or what is left of a resource, waits for the state on disk.
    pub(super) fn settle_other(&mut self, op: &Op) {
        match &op.key {
            Key::Member(directory, group, _member) => {
                if let Some(directory) = self.directories.get_mut(directory)
                    && directory.pending_members.get(group) == Some(&op.ticket)
                {
                    directory.pending_members.remove(group);
                }
            }
            Key::Deleted(directory, id) => {
                let directory = self.directories.get_mut(directory);
                let held = directory.and_then(|directory| directory.deleted.get_mut(id));
                if let Some(held) = held.filter(|held| held.ticket == Some(op.ticket)) {
                    held.ticket = None;
                }
            }
            Key::Purge(_)
            | Key::Directory(_)
            | Key::History(_)
            | Key::Counter(_)
            | Key::Setting(_)
            | Key::Token(..)
            | Key::Resource(..) => {}
        }
    }
}
