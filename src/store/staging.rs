//! Deciding a group of transactions: conditions are checked against the published state and
//! everything the group has decided before, and what is left undecided by the caller (numbers,
//! times, births) is decided here. Nothing is published; a rejected transaction leaves no trace.

mod entries;
mod members;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::base::ident::DirectoryName;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::base::ident::TokenId;
use crate::scim::schema::ResourceKind;
use crate::store::cell::SETTING_NAME_BYTES_MAX;
use crate::store::change::Change;
use crate::store::change::Committed;
use crate::store::change::Expect;
use crate::store::change::HistoryDraft;
use crate::store::change::Index;
use crate::store::change::MemberStep;
use crate::store::change::MembersChanged;
use crate::store::change::NewRecord;
use crate::store::change::TRANSACTION_BYTES_MAX;
use crate::store::change::Transaction;
use crate::store::error::Reject;
use crate::store::log::group::Logged;
use crate::store::log::group::Made;
use crate::store::memory::Memory;
use crate::store::record::RECORD_BYTES_MAX;
use crate::store::record::Stored;
use crate::store::row::DirectoryRow;
use crate::store::row::TokenRow;
use crate::store::staging::entries::Numbered;

/// Bytes that a member takes in a transaction, roughly: its id, and the text of it in the history.
const MEMBER_BYTES: usize = 64;

/// Names a resource.
type ResourceKey = (DirectoryId, ResourceKind, ResourceId);

/// What conditions and numbers are decided by.
#[derive(Clone, Copy, Debug)]
struct Current {
    /// The resource's revision.
    revision: Revision,
    /// Its birth number.
    born: u64,
    /// Number of its last history entry.
    history: u64,
    /// When it last changed.
    modified: Timestamp,
}

impl Current {
    /// What is known of a stored resource.
    const fn of(stored: &Stored) -> Self {
        Self {
            revision: stored.header.revision,
            born: stored.header.born,
            history: stored.header.history,
            modified: stored.header.modified,
        }
    }
}

/// Decisions on top of the published state.
#[derive(Debug, Default)]
struct Delta {
    /// Resources put, and those deleted.
    resources: HashMap<ResourceKey, Option<Stored>>,
    /// Members that came to groups or went.
    members: HashMap<(DirectoryId, ResourceId), HashMap<ResourceId, bool>>,
    /// Deleted resources of which something is left, and those of which nothing is any more.
    left: HashMap<(DirectoryId, ResourceId), bool>,
    /// Resources put with this key. They may have lost it again since.
    holders: HashMap<(DirectoryId, ResourceKind, Index, Arc<str>), Vec<ResourceId>>,
    /// Directories put, and those deleted.
    directories: BTreeMap<DirectoryId, Option<Arc<DirectoryRow>>>,
    /// Tokens put.
    tokens: HashMap<TokenId, Arc<TokenRow>>,
    /// Settings put.
    settings: HashSet<Box<str>>,
    /// Last history number.
    histories: HashMap<DirectoryId, u64>,
    /// Last directory number.
    directory_last: Option<u32>,
    /// Last audit number.
    audit_last: Option<u64>,
    /// Last birth number.
    born_last: Option<u64>,
}

impl Delta {
    /// Takes in what was decided on top of this.
    fn merge(&mut self, later: Self) {
        self.resources.extend(later.resources);
        for (key, ids) in later.holders {
            self.holders.entry(key).or_default().extend(ids);
        }
        for (group, members) in later.members {
            self.members.entry(group).or_default().extend(members);
        }
        self.left.extend(later.left);
        self.directories.extend(later.directories);
        self.tokens.extend(later.tokens);
        self.settings.extend(later.settings);
        self.histories.extend(later.histories);
        self.directory_last = later.directory_last.or(self.directory_last);
        self.audit_last = later.audit_last.or(self.audit_last);
        self.born_last = later.born_last.or(self.born_last);
    }
}

/// A group of transactions being decided.
pub struct Staging<'a> {
    /// The published state.
    memory: &'a Memory,
    /// When the group is committed.
    at: Timestamp,
    /// What its transactions decided.
    decided: Delta,
    /// Its transactions.
    pub group: Vec<Logged>,
    /// Its changes.
    pub changes: usize,
    /// Its bytes, roughly.
    pub bytes: usize,
}

/// Bytes that a transaction will take, roughly.
fn bytes_of(transaction: &Transaction) -> usize {
    let changes = transaction.changes.iter().map(|change| match change {
        Change::PutResource { record, .. } => {
            let keys = record.keys.iter().map(|(_index, key)| key.len());
            record.body.len().saturating_add(keys.sum())
        }
        Change::Members { steps, read, .. } => {
            let ids = steps.iter().map(|step| match step {
                MemberStep::Add(ids) | MemberStep::Remove(ids) | MemberStep::Set(ids) => ids.len(),
                MemberStep::Leave(_) => 1,
            });
            let ids: usize = ids.sum();
            let body = read.as_ref().map_or(0, |read| read.record.body.len());
            // Beside the id itself there is its text in the history.
            ids.saturating_mul(MEMBER_BYTES).saturating_add(body)
        }
        Change::Forget { memberships, .. } => memberships.len().saturating_mul(32),
        Change::PutSetting { value, .. } => value.len(),
        Change::PutToken { .. }
        | Change::PutDirectory { .. }
        | Change::DeleteResource { .. }
        | Change::DeleteDirectory { .. } => 0,
    });
    let history = transaction.history.iter().map(|draft| draft.payload.len());
    let audit = transaction.audit.iter().map(|draft| draft.detail.len());
    let parts = changes.chain(history).chain(audit);
    parts.map(|bytes| bytes.saturating_add(256)).sum()
}

impl<'a> Staging<'a> {
    /// A group without transactions.
    pub fn new(memory: &'a Memory, at: Timestamp) -> Self {
        Self {
            memory,
            at,
            decided: Delta::default(),
            group: Vec::new(),
            changes: 0,
            bytes: 0,
        }
    }

    /// Decides one more transaction.
    ///
    /// # Errors
    ///
    /// [`Reject`]: it is not part of the group.
    pub fn add(&mut self, transaction: Transaction) -> Result<Committed, Reject> {
        let bytes = bytes_of(&transaction);
        if bytes > TRANSACTION_BYTES_MAX {
            return Err(Reject::TooLarge);
        }
        let mut attempt = Attempt {
            memory: self.memory,
            decided: &self.decided,
            own: Delta::default(),
            logged: Logged::default(),
            at: self.at,
            created: None,
            drafts: transaction.history.into_iter().map(Some).collect(),
            numbered: Vec::new(),
            members: Vec::new(),
            left: HashSet::new(),
        };
        for change in transaction.changes {
            attempt.decide(change)?;
        }
        attempt.finish_history()?;
        for draft in transaction.audit {
            attempt.audit(draft, self.at);
        }
        let Attempt {
            own,
            logged,
            created,
            members,
            ..
        } = attempt;
        let changes = logged.changes.len();
        self.decided.merge(own);
        let nth = u64::try_from(self.group.len()).unwrap_or(u64::MAX);
        let committed = Committed {
            seq: self.memory.seq.saturating_add(1).saturating_add(nth),
            at: self.at,
            directory: created,
            history: logged.history.iter().map(|entry| entry.number).collect(),
            members,
        };
        if logged == Logged::default() {
            // Everything was as asked: there is nothing to remember.
            let seq = committed.seq.saturating_sub(1);
            return Ok(Committed { seq, ..committed });
        }
        self.group.push(logged);
        self.changes = self.changes.saturating_add(changes);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(committed)
    }
}

/// One transaction being decided on top of the published state and the group.
struct Attempt<'a> {
    /// The published state.
    memory: &'a Memory,
    /// What the group decided.
    decided: &'a Delta,
    /// What this transaction decided.
    own: Delta,
    /// The transaction as it will be logged.
    logged: Logged,
    /// When it is committed.
    at: Timestamp,
    /// The number a new directory was given.
    created: Option<DirectoryId>,
    /// History entries to be, until each has its number.
    drafts: Vec<Option<HistoryDraft>>,
    /// Those that have it.
    numbered: Vec<Numbered>,
    /// What came of changes of members.
    members: Vec<MembersChanged>,
    /// Groups that were told that a member is deleted: group and member.
    left: HashSet<(DirectoryId, ResourceId, ResourceId)>,
}

/// Whether a thing at `current`, or absent, is as expected.
fn check(expect: Expect, current: Option<Revision>) -> Result<(), Reject> {
    match (expect, current) {
        (Expect::Any, _) | (Expect::Absent, None) | (Expect::Exists, Some(_)) => Ok(()),
        (Expect::Absent, Some(_)) => Err(Reject::Exists),
        (Expect::Exists | Expect::Revision(_), None) => Err(Reject::Missing),
        (Expect::Revision(expected), Some(current)) if expected == current => Ok(()),
        (Expect::Revision(_), Some(current)) => Err(Reject::Changed { current }),
    }
}

impl Attempt<'_> {
    /// Decides one change.
    fn decide(&mut self, change: Change) -> Result<(), Reject> {
        let made = match change {
            Change::Members {
                directory,
                group,
                expect,
                steps,
                unknown,
                read,
            } => return self.change_members((directory, group), expect, &steps, unknown, read),
            Change::PutResource {
                directory,
                kind,
                id,
                expect,
                record,
            } => self.put_resource((directory, kind, id), expect, &record),
            Change::DeleteResource {
                directory,
                kind,
                id,
                expect,
                names,
            } => self.delete_resource((directory, kind, id), expect, names),
            Change::Forget {
                directory,
                id,
                memberships,
            } => self.forget(directory, id, memberships),
            Change::PutToken { row, expect } => self.put_token(row, expect),
            Change::PutDirectory { row, expect } => self.put_directory(row, expect),
            Change::DeleteDirectory { id } => {
                self.directory(id).ok_or(Reject::Missing)?;
                self.own.directories.insert(id, None);
                Ok(Made::DeleteDirectory(id))
            }
            Change::PutSetting {
                name,
                value,
                expect,
            } => self.put_setting(name, &value, expect),
        };
        self.logged.changes.push(made?);
        Ok(())
    }

    /// A directory as it now is.
    fn directory(&self, id: DirectoryId) -> Option<&Arc<DirectoryRow>> {
        let own = self.own.directories.get(&id);
        match own.or_else(|| self.decided.directories.get(&id)) {
            Some(decided) => decided.as_ref(),
            None => self
                .memory
                .directories
                .get(&id)
                .map(|found| &found.held.row),
        }
    }

    /// A resource as it now is.
    fn resource(&self, key: ResourceKey) -> Option<Current> {
        let own = self.own.resources.get(&key);
        if let Some(decided) = own.or_else(|| self.decided.resources.get(&key)) {
            return decided.as_ref().map(Current::of);
        }
        let (directory, kind, id) = key;
        let slot = self.memory.directories.get(&directory)?;
        let slot = slot.shelf(kind).indexes.get(id)?;
        Some(Current {
            revision: slot.revision,
            born: slot.born,
            history: slot.history,
            modified: slot.modified,
        })
    }

    /// Whether a resource, as it now is, has this key.
    fn has_key(&self, resource: ResourceKey, index: Index, key: &str) -> bool {
        let own = self.own.resources.get(&resource);
        if let Some(decided) = own.or_else(|| self.decided.resources.get(&resource)) {
            return decided.as_ref().is_some_and(|stored| {
                let mut keys = stored.header.keys.iter();
                keys.any(|(other, text)| *other == index && **text == *key)
            });
        }
        let (directory, kind, id) = resource;
        let slot = self.memory.directories.get(&directory);
        let slot = slot.and_then(|found| found.shelf(kind).indexes.get(id));
        slot.is_some_and(|slot| slot.has_key(index, key))
    }

    /// Another resource that now has this key.
    fn holder(&self, of: ResourceKey, index: Index, key: &Arc<str>) -> Option<ResourceId> {
        let (directory, kind, id) = of;
        let published = self.memory.directories.get(&directory);
        let published = published.map(|found| found.shelf(kind).indexes.lookup(index, key));
        let place = (directory, kind, index, Arc::clone(key));
        let deltas = [&self.own, self.decided];
        let put = deltas.iter().filter_map(|delta| delta.holders.get(&place));
        let mut candidates = published
            .into_iter()
            .flatten()
            .chain(put.flatten().copied());
        candidates.find(|other| *other != id && self.has_key((directory, kind, *other), index, key))
    }

    /// Decides that a resource is put.
    fn put_resource(
        &mut self,
        resource: ResourceKey,
        expect: Expect,
        record: &NewRecord,
    ) -> Result<Made, Reject> {
        let (directory, kind, id) = resource;
        self.directory(directory).ok_or(Reject::DirectoryGone)?;
        let current = self.resource(resource);
        check(expect, current.map(|current| current.revision))?;
        let born_last = self.own.born_last.or(self.decided.born_last);
        let born_last = born_last.unwrap_or(self.memory.born_last);
        let born = current.map_or_else(|| born_last.saturating_add(1), |current| current.born);
        if self.is_deleted(directory, id) {
            // It comes back: nothing is left of its deletion.
            let back = self.forget(directory, id, Vec::new())?;
            self.logged.changes.push(back);
        }
        let entry = self.number_entries(resource, current.map(|current| current.history));
        let history = entry.or_else(|| current.map(|current| current.history));
        let history = history.unwrap_or_default();
        let stored = Stored::new(record, born, history).ok_or(Reject::TooLarge)?;
        let keys = &stored.header.keys;
        for (index, key) in keys {
            if record.unique.contains(index)
                && let Some(by) = self.holder(resource, *index, key)
            {
                return Err(Reject::Taken { index: *index, by });
            }
        }
        self.own.born_last = Some(born_last.max(born));
        for (index, key) in keys {
            let place = (directory, kind, *index, Arc::clone(key));
            self.own.holders.entry(place).or_default().push(id);
        }
        self.own.resources.insert(resource, Some(stored.clone()));
        Ok(Made::PutResource {
            directory,
            kind,
            id,
            stored,
        })
    }

    /// Decides that a token is put.
    fn put_token(&mut self, row: TokenRow, expect: Expect) -> Result<Made, Reject> {
        if let Some(directory) = row.directory {
            self.directory(directory).ok_or(Reject::DirectoryGone)?;
        }
        let own = self.own.tokens.get(&row.id);
        let current = own.or_else(|| self.decided.tokens.get(&row.id));
        let current = current.or_else(|| Some(&self.memory.tokens.get(&row.id)?.row));
        check(expect, current.map(|current| current.revision))?;
        if current.is_some_and(|current| current.directory != row.directory) {
            return Err(Reject::Exists);
        }
        let row = Arc::new(row);
        self.own.tokens.insert(row.id, Arc::clone(&row));
        Ok(Made::PutToken(row))
    }

    /// Whether a directory other than `id` now has this name.
    fn name_taken(&self, id: DirectoryId, name: &DirectoryName) -> bool {
        let deltas = [&self.own, self.decided];
        let put = deltas.iter().flat_map(|delta| delta.directories.keys());
        let mut candidates = put.chain(self.memory.names.get(name));
        candidates.any(|other| {
            *other != id && self.directory(*other).is_some_and(|row| row.name == *name)
        })
    }

    /// Decides that a directory is put.
    fn put_directory(&mut self, mut row: DirectoryRow, expect: Expect) -> Result<Made, Reject> {
        let current = self.directory(row.id).map(|row| row.revision);
        check(expect, current)?;
        if self.name_taken(row.id, &row.name) {
            return Err(Reject::NameTaken);
        }
        if current.is_none() {
            // A number that was given once is never given again: 0 asks for a new one, any other
            // means a directory that is gone.
            if row.id.0 != 0 {
                return Err(Reject::DirectoryGone);
            }
            let last = self.own.directory_last.or(self.decided.directory_last);
            let last = last.unwrap_or(self.memory.directory_last.0);
            row.id = DirectoryId(last.saturating_add(1));
            self.own.directory_last = Some(row.id.0);
            self.created = Some(row.id);
        }
        let row = Arc::new(row);
        self.own.directories.insert(row.id, Some(Arc::clone(&row)));
        Ok(Made::PutDirectory(row))
    }

    /// Decides that a setting is put.
    fn put_setting(&mut self, name: String, value: &[u8], expect: Expect) -> Result<Made, Reject> {
        if name.len() > SETTING_NAME_BYTES_MAX || value.len() > RECORD_BYTES_MAX {
            return Err(Reject::TooLarge);
        }
        let name = name.into_boxed_str();
        let there = self.own.settings.contains(&name)
            || self.decided.settings.contains(&name)
            || self.memory.settings.contains_key(&name);
        // A setting has no revision of its own: it is at 0 for ever.
        check(expect, there.then_some(Revision(0)))?;
        self.own.settings.insert(name.clone());
        let value = value.into();
        Ok(Made::PutSetting { name, value })
    }
}
