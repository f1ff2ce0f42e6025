//! Committing what a use case prepared, and preparing it again when somebody was faster.
//!
//! There are two ways. [`Directory::finish`] waits for the disk and belongs on a thread that may.
//! [`Directory::begin`] never waits: it prepares what memory alone can tell, hands it to the commit
//! thread and is told the outcome later, so that a write costs no thread of its own.

use std::sync::Arc;
use std::sync::OnceLock;

use crate::audit::history::Action;
use crate::base::clock::Timestamp;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::directory::Act;
use crate::directory::Directory;
use crate::directory::Stored;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::directory::intent::Begun;
use crate::directory::intent::Decision;
use crate::directory::intent::Intent;
use crate::directory::intent::Prepared;
use crate::directory::intent::Submitted;
use crate::directory::intent::Task;
use crate::directory::intent::What;
use crate::directory::keys;
use crate::directory::members;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::resource::Resource;
use crate::scim::schema::ResourceKind;
use crate::store::Then;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::HistoryDraft;
use crate::store::change::NewRecord;
use crate::store::change::TRANSACTION_BYTES_MAX;
use crate::store::change::Transaction;
use crate::store::error::CommitError;
use crate::store::error::Reject;
use crate::store::error::StoreError;
use crate::store::record::KEY_BYTES_MAX;
use crate::store::record::KEYS_MAX;
use crate::store::record::Record;
use crate::store::view::Cached;

/// How often a write is prepared again after somebody else changed the resource, before it is
/// prepared inside the commit thread, where nobody can.
const ATTEMPTS: usize = 8;

/// A resource in more groups than this is not deleted on a thread that must not wait.
const PROMPT_GROUPS_MAX: usize = 16;

/// Up to so many bytes a resource, or what is to become of it, is dealt with on a thread that must
/// not wait: some tens of microseconds. Nearly every user is smaller.
pub const PROMPT_BYTES_MAX: usize = 16 << 10;

impl Directory {
    /// Begins a write without waiting for anything. `then` is told what came of it, unless it is
    /// dropped here; who hears of a failure goes on with [`Directory::settle`].
    ///
    /// # Errors
    ///
    /// Why there is nothing to commit.
    pub fn begin(&self, intent: Intent, act: &Act, then: Then) -> Result<Begun, DirectoryError> {
        let kind = intent.kind;
        let (transaction, written, again) = match intent.what {
            What::Put(put) => {
                let (transaction, written) = *put;
                (transaction, written, None)
            }
            What::Change(ref task) if task.deletes && !self.is_light(task.id) => {
                return Ok(Begun::NotPromptly(intent));
            }
            What::Change(ref task) => {
                let record = match self.store.resource_cached(self.row.id, kind, task.id) {
                    Cached::Absent => None,
                    Cached::Hit(record) if record.body.len() <= PROMPT_BYTES_MAX => Some(record),
                    Cached::Hit(_) | Cached::Cold => return Ok(Begun::NotPromptly(intent)),
                };
                let prepared = self.prepare(task, record.as_ref(), act)?;
                let mut written = prepared.written;
                let Some(transaction) = prepared.transaction else {
                    written.notes.extend(intent.notes);
                    return Ok(Begun::Done(written));
                };
                (transaction, written, Some(intent))
            }
        };
        self.store
            .submit(transaction, then)
            .map_err(|error| self.commit_error(kind, error))?;
        Ok(Begun::Submitted(Submitted {
            kind,
            written,
            again,
        }))
    }

    /// Goes on after a submitted write failed; `None` when nobody told its outcome. Waits.
    ///
    /// # Errors
    ///
    /// As [`Directory::finish`].
    pub fn settle(
        &self,
        submitted: Submitted,
        act: &Act,
        error: Option<CommitError>,
    ) -> Result<Written, DirectoryError> {
        match (error, submitted.again) {
            (Some(error), Some(intent)) if is_overtaken(&error) => self.finish(intent, act),
            (error, _) => {
                let error = error.unwrap_or_else(|| self.store.gone());
                Err(self.commit_error(submitted.kind, error))
            }
        }
    }

    /// Does a write and waits until it is durable.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`].
    pub fn finish(&self, intent: Intent, act: &Act) -> Result<Written, DirectoryError> {
        let kind = intent.kind;
        let mut written = match intent.what {
            What::Put(put) => {
                let (transaction, mut written) = *put;
                let committed = self.store.commit(transaction);
                let committed = committed.map_err(|error| self.commit_error(kind, error))?;
                members::decided(&mut written, &committed);
                written
            }
            What::Change(task) => self.change(&task, act)?,
        };
        written.notes.extend(intent.notes);
        Ok(written)
    }

    /// Does a task, however often others change the resource meanwhile.
    fn change(&self, task: &Arc<Task>, act: &Act) -> Result<Written, DirectoryError> {
        for _ in 0..ATTEMPTS {
            let record = self.store.resource(self.row.id, task.kind, task.id)?;
            let mut prepared = self.prepare(task, record.as_ref(), act)?;
            let Some(transaction) = prepared.transaction else {
                return Ok(prepared.written);
            };
            match self.store.commit(transaction) {
                Ok(committed) => {
                    members::decided(&mut prepared.written, &committed);
                    return Ok(prepared.written);
                }
                Err(error) if is_overtaken(&error) => {}
                Err(error) => return Err(self.commit_error(task.kind, error)),
            }
        }
        self.change_inside(task, act)
    }

    /// The last attempt: read, judged and committed inside the commit thread.
    fn change_inside(&self, task: &Arc<Task>, act: &Act) -> Result<Written, DirectoryError> {
        let kind = task.kind;
        let outcome = Arc::new(OnceLock::new());
        let (directory, act, slot) = (self.clone(), act.clone(), Arc::clone(&outcome));
        let task = Arc::clone(task);
        let committed = self.store.commit_with(Box::new(move |view| {
            let prepared = view
                .resource(directory.row.id, kind, task.id)
                .map_err(DirectoryError::from)
                .and_then(|record| directory.prepare(&task, record.as_ref(), &act));
            let (result, transaction) = match prepared {
                Ok(prepared) => (Ok(prepared.written), prepared.transaction),
                Err(error) => (Err(error), None),
            };
            // The slot is filled once: this closure runs once.
            drop(slot.set(result));
            transaction
        }));
        let committed = committed.map_err(|error| self.commit_error(kind, error))?;
        match Arc::into_inner(outcome).and_then(OnceLock::into_inner) {
            Some(result) => {
                let mut written = result?;
                if let Some(committed) = committed {
                    members::decided(&mut written, &committed);
                }
                Ok(written)
            }
            None => Err(DirectoryError::Commit(CommitError::Failed)),
        }
    }

    /// Judges `record` and says what to commit and what to answer.
    fn prepare(
        &self,
        task: &Task,
        record: Option<&Arc<Record>>,
        act: &Act,
    ) -> Result<Prepared, DirectoryError> {
        let (kind, id) = (task.kind, task.id);
        let record = record.ok_or(DirectoryError::NotFound { kind })?;
        if let Some(if_match) = &act.if_match
            && !if_match.holds(record.revision)
        {
            return Err(DirectoryError::VersionMismatch {
                current: record.revision,
            });
        }
        let resource = Resource::from_stored(kind, &record.body)
            .ok_or(DirectoryError::Store(StoreError::Damaged(id)))?;
        let mut notes = Vec::new();
        let expect = Expect::Revision(record.revision);
        let revision = record.revision.next();
        let (mut changes, mut history) = (Vec::new(), Vec::new());
        let (action, payload, stored) = match (task.judge)(&resource, &mut notes)? {
            Decision::Keep if task.wish.is_some() => {
                let stored = Stored::new(id, record);
                (Action::Updated, b"{}".to_vec(), stored)
            }
            Decision::Keep => {
                return Ok(Prepared {
                    transaction: None,
                    written: Written {
                        stored: Stored::new(id, record),
                        changed: false,
                        notes,
                    },
                });
            }
            Decision::Put(new, payload) => {
                let new = self.record(id, &new, revision, record.created, self.clock.now());
                let stored = Stored::written(id, &new);
                changes.push(Change::PutResource {
                    directory: self.row.id,
                    kind,
                    id,
                    expect,
                    record: new,
                });
                (Action::Updated, payload, stored)
            }
            Decision::Delete(payload) => {
                (changes, history) = self.delete_changes(&resource, id, expect, act)?;
                (Action::Deleted, payload, Stored::new(id, record))
            }
        };
        let changed = !changes.is_empty();
        if let Some(wish) = &task.wish {
            let read = (!changed).then(|| self.as_read(&resource, record));
            changes.push(self.members_change(id, wish, record.revision, read, act, &mut notes)?);
        }
        history.push(self.draft(kind, id, action, revision, act, payload));
        Ok(Prepared {
            transaction: Some(Transaction {
                changes,
                history,
                audit: Vec::new(),
            }),
            written: Written {
                stored,
                changed,
                notes,
            },
        })
    }

    /// Whether deleting a resource concerns few others, and nothing has to be read from the disk.
    fn is_light(&self, id: ResourceId) -> bool {
        let groups = self.store.direct_groups(self.row.id, id);
        let cached = |group: &ResourceId| {
            let kind = ResourceKind::Group;
            let found = self.store.resource_cached(self.row.id, kind, *group);
            matches!(found, Cached::Hit(_))
        };
        groups.len() <= PROMPT_GROUPS_MAX
            && groups.iter().all(cached)
            && self.managed(id).is_empty()
    }

    /// The record that stores `resource` again as it was read, to the byte, at this revision.
    pub(in crate::directory) fn record_again(
        &self,
        resource: &Resource,
        read: &Record,
        revision: Revision,
    ) -> NewRecord {
        let body = read.body.clone();
        self.record_of(resource, body, revision, read.created, read.modified)
    }

    /// The record that stores `resource`.
    pub(in crate::directory) fn record(
        &self,
        id: ResourceId,
        resource: &Resource,
        revision: Revision,
        created: Timestamp,
        modified: Timestamp,
    ) -> NewRecord {
        let body = resource.to_stored(id).into();
        self.record_of(resource, body, revision, created, modified)
    }

    /// The record that stores `resource`, whose stored form is `body`.
    fn record_of(
        &self,
        resource: &Resource,
        body: Box<[u8]>,
        revision: Revision,
        created: Timestamp,
        modified: Timestamp,
    ) -> NewRecord {
        NewRecord {
            revision,
            created,
            modified,
            keys: keys::keys(resource),
            unique: keys::unique(resource.kind(), &self.registry),
            label: keys::label(resource),
            body,
        }
    }

    /// A history entry to be.
    pub(in crate::directory) fn draft(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        action: Action,
        revision: Revision,
        act: &Act,
        payload: Vec<u8>,
    ) -> HistoryDraft {
        HistoryDraft {
            directory: self.row.id,
            kind,
            id,
            action,
            revision,
            actor: act.actor.clone(),
            request: Some(act.request),
            payload,
        }
    }

    /// What a refused commit means for the caller.
    pub(in crate::directory) fn commit_error(
        &self,
        kind: ResourceKind,
        error: CommitError,
    ) -> DirectoryError {
        match error {
            CommitError::Rejected(Reject::Taken { index, by }) => {
                let holder = self.store.resource(self.row.id, kind, by).ok().flatten();
                let active = holder
                    .and_then(|record| Resource::from_stored(kind, &record.body))
                    .map(|resource| resource.active());
                DirectoryError::Taken {
                    kind,
                    index,
                    by,
                    active,
                }
            }
            CommitError::Rejected(Reject::UnknownMembers { ids }) => {
                let values = ids.iter().map(ToString::to_string).collect();
                DirectoryError::UnknownMembers { values }
            }
            CommitError::Rejected(Reject::Missing) => DirectoryError::NotFound { kind },
            CommitError::Rejected(Reject::DirectoryGone) => DirectoryError::DirectoryGone,
            CommitError::Rejected(Reject::TooLarge) => too_large().into(),
            other => DirectoryError::Commit(other),
        }
    }
}

/// Whether somebody was faster, so that the resource has to be read again. What is missing may be a
/// group that was to be told of a deletion; reading tells whether it is the resource itself.
const fn is_overtaken(error: &CommitError) -> bool {
    matches!(
        error,
        CommitError::Rejected(Reject::Changed { .. } | Reject::Stale | Reject::Missing)
    )
}

/// The refusal of a resource that the store does not take. Small bodies add up: through PATCH a
/// resource can become as large as a transaction, which holds it three times (new, and old beside
/// new in the history).
fn too_large() -> ScimError {
    let detail = format!(
        "the resource is too large to be stored: userName, displayName, externalId, manager and \
         each address in emails may have {} KiB, the addresses may be some {}, and the whole resource \
         may have {} MiB",
        KEY_BYTES_MAX >> 10,
        KEYS_MAX,
        (TRANSACTION_BYTES_MAX / 3) >> 20,
    );
    ScimError::new(Condition::ValueType, detail)
}
