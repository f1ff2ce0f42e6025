//! The published state in memory: everything readers see, and the only place that turns a
//! committed change into what the state on disk has to do. The commit thread and a replay after a
//! restart go through the same function, so they cannot differ.

mod load;
mod members;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::ident::DirectoryId;
use crate::base::ident::DirectoryName;
use crate::base::ident::ResourceId;
use crate::base::ident::TokenId;
use crate::scim::schema::ResourceKind;
use crate::store::cell::Counter;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::cell::Op;
use crate::store::change::Index;
use crate::store::edges::Edges;
use crate::store::index::Indexes;
use crate::store::index::Loader;
use crate::store::log::group::Logged;
use crate::store::log::group::Made;
pub(in crate::store) use crate::store::memory::members::ReadyMembers;
use crate::store::record::Record;
use crate::store::record::Stored;
use crate::store::row::DeletedRow;
use crate::store::row::DirectoryRow;
use crate::store::row::TokenRow;

/// A row with the mark of its bytes on disk.
#[derive(Debug)]
pub(in crate::store) struct Held<T: ?Sized> {
    /// The row.
    pub row: Arc<T>,
    /// The mark.
    pub mark: Mark,
}

/// A committed record that the state on disk does not have yet.
#[derive(Debug)]
pub(in crate::store) struct Pending {
    /// Which change put it: see [`Op::ticket`].
    pub ticket: u64,
    /// The record.
    pub record: Arc<Record>,
}

/// What is left of a deleted resource.
#[derive(Clone, Debug)]
pub(in crate::store) struct DeletedHeld {
    /// The row.
    pub row: DeletedRow,
    /// Its mark on disk.
    pub mark: Mark,
    /// Which change put it, while the state on disk does not have it: see [`Op::ticket`].
    pub ticket: Option<u64>,
}

/// One kind of resource in one directory.
#[derive(Debug, Default)]
pub(in crate::store) struct Shelf {
    /// Its indexes.
    pub indexes: Indexes,
    /// Records the state on disk does not have yet.
    pub pending: HashMap<ResourceId, Pending>,
}

/// One directory.
#[derive(Debug)]
pub(in crate::store) struct Directory {
    /// Its row.
    pub held: Held<DirectoryRow>,
    /// The number of its last history entry, and its mark once there is one.
    pub history: (u64, Option<Mark>),
    /// Its users.
    users: Shelf,
    /// Its groups.
    groups: Shelf,
    /// Who is in which group.
    pub edges: Edges,
    /// Groups with members of which the state on disk does not know yet whether they came or went, and
    /// which change was the last: see [`Op::ticket`].
    pub pending_members: HashMap<ResourceId, u64>,
    /// What its groups are called.
    pub labels: HashMap<ResourceId, Arc<str>>,
    /// What is left of deleted resources.
    pub deleted: BTreeMap<ResourceId, DeletedHeld>,
    /// The same by what they were called, the latest of those that were called the same.
    pub deleted_names: BTreeMap<(ResourceKind, Index, Box<str>), ResourceId>,
}

impl Directory {
    /// An empty directory.
    fn new(held: Held<DirectoryRow>) -> Self {
        Self {
            held,
            history: (0, None),
            users: Shelf::default(),
            groups: Shelf::default(),
            edges: Edges::default(),
            pending_members: HashMap::new(),
            labels: HashMap::new(),
            deleted: BTreeMap::new(),
            deleted_names: BTreeMap::new(),
        }
    }

    /// Its resources of one kind.
    pub const fn shelf(&self, kind: ResourceKind) -> &Shelf {
        match kind {
            ResourceKind::User => &self.users,
            ResourceKind::Group => &self.groups,
        }
    }

    /// Its resources of one kind, to change.
    const fn shelf_mut(&mut self, kind: ResourceKind) -> &mut Shelf {
        match kind {
            ResourceKind::User => &mut self.users,
            ResourceKind::Group => &mut self.groups,
        }
    }
}

/// Everything readers see.
#[derive(Debug, Default)]
pub(in crate::store) struct Memory {
    /// Directories by number.
    pub directories: BTreeMap<DirectoryId, Directory>,
    /// Directories by name.
    pub names: HashMap<DirectoryName, DirectoryId>,
    /// Tokens.
    pub tokens: HashMap<TokenId, Held<TokenRow>>,
    /// Settings.
    pub settings: BTreeMap<Box<str>, Held<[u8]>>,
    /// The last transaction in here.
    pub seq: u64,
    /// The highest directory number ever given, and its mark once there is one.
    pub directory_last: (u32, Option<Mark>),
    /// The number of the last audit entry, and its mark once there is one.
    pub audit_last: (u64, Option<Mark>),
    /// The highest birth number given.
    pub born_last: u64,
    /// The last ticket given; see [`Op::ticket`].
    tickets: u64,
    /// Deleted directories whose cells the state still had when it was loaded.
    pub purges: BTreeMap<DirectoryId, Mark>,
    /// Resources out of the state, until all are there.
    loading: HashMap<(DirectoryId, ResourceKind), Loader>,
    /// Groups and their members out of the state, until all resources are there.
    loading_members: HashMap<DirectoryId, Vec<(ResourceId, Vec<ResourceId>)>>,
}

/// What a transaction asks of the state on disk.
#[derive(Debug, Default)]
pub(in crate::store) struct Effects {
    /// Changes of cells, in an order that depends on nothing but the transaction.
    pub ops: Vec<Op>,
    /// Directories that went: to be dropped where nobody waits.
    pub garbage: Vec<Directory>,
}

impl Effects {
    /// None yet, and room for those of a transaction: a vector that grows beyond a hundred thousand by
    /// one takes room for as many again, and they may wait for long.
    fn room_for(logged: &Logged) -> Self {
        let memberships = logged.changes.iter().map(|change| match change {
            Made::Members { members, .. } => members.len(),
            Made::Forget { memberships, .. } => memberships.len(),
            // A resource, and what is left of it.
            _ => 2,
        });
        // How far a history is, and the audit.
        let others = logged.history.len().saturating_add(1);
        Self {
            ops: Vec::with_capacity(memberships.sum::<usize>().saturating_add(others)),
            garbage: Vec::new(),
        }
    }
}

/// A cell out of the state is not what any writer of this format writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct BadCell;

/// The key of a token's row.
pub(in crate::store) fn token_key(row: &TokenRow) -> Key {
    Key::Token(row.directory.unwrap_or(DirectoryId(0)), row.id)
}

impl Memory {
    /// Publishes transaction `seq`.
    pub fn apply(&mut self, seq: u64, logged: &Logged) -> Effects {
        let ready = self.ready(logged);
        self.apply_ready(seq, logged, ready)
    }

    /// Publishes transaction `seq`, of which [`Memory::ready`] has made what can be made before.
    pub fn apply_ready(
        &mut self,
        seq: u64,
        logged: &Logged,
        mut ready: VecDeque<ReadyMembers>,
    ) -> Effects {
        let mut effects = Effects::room_for(logged);
        for change in &logged.changes {
            self.apply_change(seq, change, &mut ready, &mut effects);
        }
        // Entries are numbered in the order of a transaction, so its last one of a directory says
        // how far the directory is.
        let mut histories: Vec<DirectoryId> = Vec::new();
        for entry in logged.history.iter().rev() {
            if !histories.contains(&entry.directory) {
                histories.push(entry.directory);
                effects
                    .ops
                    .push(self.count_history(entry.directory, entry.number));
            }
        }
        if let Some(entry) = logged.audit.last() {
            self.audit_last.0 = entry.number;
            let key = Key::Counter(Counter::Audit);
            let value = entry.number.to_le_bytes();
            effects
                .ops
                .push(put(key, &mut self.audit_last.1, value.as_slice().into()));
        }
        self.seq = seq;
        effects
    }

    /// Publishes one change.
    fn apply_change(
        &mut self,
        seq: u64,
        change: &Made,
        ready: &mut VecDeque<ReadyMembers>,
        effects: &mut Effects,
    ) {
        let ops = &mut effects.ops;
        match change {
            Made::PutResource {
                directory,
                kind,
                id,
                stored,
            } => ops.push(self.put_resource((*directory, *kind, *id), stored)),
            Made::DeleteResource {
                directory,
                kind,
                id,
                left,
            } => {
                ops.push(self.delete_resource(*directory, *kind, *id));
                let left = left.as_ref();
                ops.extend(left.map(|left| self.put_deleted(*directory, *id, left.clone())));
            }
            Made::Members {
                directory,
                group,
                members,
            } => {
                let ready = ready.pop_front().unwrap_or_default();
                self.change_members(*directory, *group, members, ready, ops);
            }
            Made::Forget {
                directory,
                id,
                memberships,
            } => self.forget(*directory, *id, memberships, ops),
            Made::PutToken(row) => {
                let key = token_key(row);
                let mut mark = self.tokens.get(&row.id).map(|held| held.mark);
                let op = put(key, &mut mark, row.encode().into());
                self.tokens.extend(mark.map(|mark| {
                    let row = Arc::clone(row);
                    (row.id, Held { row, mark })
                }));
                ops.push(op);
            }
            Made::PutDirectory(row) => self.put_directory(row, ops),
            Made::DeleteDirectory(id) => {
                let mut mark = self.purges.get(id).copied();
                ops.push(put(
                    Key::Purge(*id),
                    &mut mark,
                    seq.to_le_bytes().as_slice().into(),
                ));
                effects.garbage.extend(self.delete_directory(*id));
            }
            Made::PutSetting { name, value } => {
                let key = Key::Setting(name.clone());
                let mut mark = self.settings.get(name).map(|held| held.mark);
                let op = put(key, &mut mark, Arc::clone(value));
                self.settings.extend(mark.map(|mark| {
                    let row = Arc::clone(value);
                    (name.clone(), Held { row, mark })
                }));
                ops.push(op);
            }
        }
    }

    /// Publishes a resource.
    fn put_resource(
        &mut self,
        (directory, kind, id): (DirectoryId, ResourceKind, ResourceId),
        stored: &Stored,
    ) -> Op {
        let key = Key::Resource(directory, kind, id);
        let mark = Mark::of(&key, &stored.content);
        self.born_last = self.born_last.max(stored.header.born);
        self.tickets = self.tickets.saturating_add(1);
        let ticket = self.tickets;
        let mut old = None;
        // A replay may meet a resource of a directory that was deleted later in the same
        // transaction: the state has its tombstone already, and this must not bring it back.
        if let Some(directory) = self.directories.get_mut(&directory) {
            let shelf = directory.shelf_mut(kind);
            old = shelf.indexes.get(id).map(|slot| slot.mark);
            shelf.indexes.put(id, mark, &stored.header);
            let record = Arc::new(stored.record(mark.crc));
            shelf.pending.insert(id, Pending { ticket, record });
            if let Some(label) = &stored.header.label {
                directory.labels.insert(id, Arc::clone(label));
            }
            if old.is_none() {
                directory.attach(id);
            }
        }
        Op {
            key,
            old,
            new: Some((mark, Arc::clone(&stored.content))),
            ticket,
        }
    }

    /// Takes a resource out.
    fn delete_resource(
        &mut self,
        directory: DirectoryId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Op {
        let removed = self.directories.get_mut(&directory).and_then(|directory| {
            directory.detach(id);
            directory.labels.remove(&id);
            let shelf = directory.shelf_mut(kind);
            shelf.pending.remove(&id);
            shelf.indexes.remove(id)
        });
        Op {
            key: Key::Resource(directory, kind, id),
            old: removed.map(|slot| slot.mark),
            new: None,
            ticket: 0,
        }
    }

    /// Publishes a directory's row.
    fn put_directory(&mut self, row: &Arc<DirectoryRow>, ops: &mut Vec<Op>) {
        let held = self
            .directories
            .get(&row.id)
            .map(|directory| &directory.held);
        let mut mark = held.map(|held| held.mark);
        if let Some(held) = held {
            self.names.remove(&held.row.name);
        }
        ops.push(put(Key::Directory(row.id), &mut mark, row.encode().into()));
        if let Some(mark) = mark {
            let held = Held {
                row: Arc::clone(row),
                mark,
            };
            self.insert_directory(held);
        }
        // Counted with every change, not only with a new directory: a replay of a transaction that
        // the state has in part must come to the same operations, and knows the number already.
        self.directory_last.0 = self.directory_last.0.max(row.id.0);
        let value = self.directory_last.0.to_le_bytes();
        let key = Key::Counter(Counter::Directory);
        ops.push(put(
            key,
            &mut self.directory_last.1,
            value.as_slice().into(),
        ));
    }

    /// Makes a directory known by number and name.
    fn insert_directory(&mut self, held: Held<DirectoryRow>) {
        self.names.insert(held.row.name.clone(), held.row.id);
        match self.directories.get_mut(&held.row.id) {
            Some(directory) => directory.held = held,
            None => {
                self.directories.insert(held.row.id, Directory::new(held));
            }
        }
    }

    /// Takes a directory out, with its tokens and resources.
    fn delete_directory(&mut self, id: DirectoryId) -> Option<Directory> {
        // First: in a replay its tokens may be here while it is gone from the state already.
        self.tokens
            .retain(|_id, held| held.row.directory != Some(id));
        let directory = self.directories.remove(&id)?;
        if self.names.get(&directory.held.row.name) == Some(&id) {
            self.names.remove(&directory.held.row.name);
        }
        Some(directory)
    }

    /// Notes how far a directory's history is.
    fn count_history(&mut self, id: DirectoryId, number: u64) -> Op {
        let mut gone = None;
        let mark = self.directories.get_mut(&id).map(|directory| {
            directory.history.0 = number;
            &mut directory.history.1
        });
        let value = number.to_le_bytes();
        put(
            Key::History(id),
            mark.unwrap_or(&mut gone),
            value.as_slice().into(),
        )
    }

    /// Forgets that these records wait for the state on disk: it has them now.
    pub fn settle<'a>(&mut self, ops: impl Iterator<Item = &'a Op>) {
        for op in ops {
            let Key::Resource(directory, kind, id) = &op.key else {
                self.settle_other(op);
                continue;
            };
            if let Some(directory) = self.directories.get_mut(directory) {
                let pending = &mut directory.shelf_mut(*kind).pending;
                // A later change of the same resource still waits, and has another ticket.
                if pending
                    .get(id)
                    .is_some_and(|pending| pending.ticket == op.ticket)
                {
                    pending.remove(id);
                }
            }
        }
    }
}

/// Puts a cell whose mark was `mark`, and notes its new one there.
fn put(key: Key, mark: &mut Option<Mark>, content: Arc<[u8]>) -> Op {
    let new = Mark::of(&key, &content);
    let old = mark.replace(new);
    Op {
        key,
        old,
        new: Some((new, content)),
        ticket: 0,
    }
}
