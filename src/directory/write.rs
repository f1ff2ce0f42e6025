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
use crate::directory::keys;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::resource::Note;
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

/// Up to so many bytes a resource, or what is to become of it, is dealt with on a thread that must
/// not wait: some tens of microseconds. Nearly every user is smaller.
pub const PROMPT_BYTES_MAX: usize = 16 << 10;

/// What a use case wants to happen to a resource it has read.
pub enum Decision {
    /// Nothing: it already is as asked.
    Keep,
    /// The new state, and the history payload.
    Put(Resource, Vec<u8>),
    /// It is to go; the history payload.
    Delete(Vec<u8>),
}

/// A use case's judgement of a resource: run once for each attempt.
pub type Judge =
    dyn Fn(&Resource, &mut Vec<Note>) -> Result<Decision, DirectoryError> + Send + Sync;

/// A transaction and the answer to give once it is durable.
struct Prepared {
    /// What to commit; `None` when nothing changes.
    transaction: Option<Transaction>,
    /// The answer.
    written: Written,
}

/// A write that was understood and not begun.
pub struct Intent {
    /// What it is about.
    kind: ResourceKind,
    /// What is to be done.
    what: What,
    /// What was tolerated in the request.
    notes: Vec<Note>,
}

/// What an [`Intent`] is to do.
enum What {
    /// To commit this, which depends on nothing that can change meanwhile.
    Put(Box<(Transaction, Written)>),
    /// To change a resource as it then is.
    Change(ResourceId, Arc<Judge>),
}

/// How far [`Directory::begin`] got.
pub enum Begun {
    /// There was nothing to commit.
    Done(Written),
    /// The commit thread has it.
    Submitted(Submitted),
    /// Not at all: it takes longer than a thread that must not wait may take.
    NotPromptly(Intent),
}

/// A write on its way to the disk.
pub struct Submitted {
    /// What it is about.
    kind: ResourceKind,
    /// The answer once it is durable.
    written: Written,
    /// The same once more, should somebody be faster.
    again: Option<Intent>,
}

impl Submitted {
    /// The answer, now that it is durable.
    pub fn acknowledged(self) -> Written {
        let mut written = self.written;
        if let Some(mut intent) = self.again {
            written.notes.append(&mut intent.notes);
        }
        written
    }
}

impl Intent {
    /// To commit `transaction` and answer `written`.
    pub(in crate::directory) fn put(
        kind: ResourceKind,
        transaction: Transaction,
        written: Written,
    ) -> Self {
        Self {
            kind,
            what: What::Put(Box::new((transaction, written))),
            notes: Vec::new(),
        }
    }

    /// To change the resource `id` as `judge` decides.
    pub(in crate::directory) fn change(
        kind: ResourceKind,
        id: ResourceId,
        judge: Arc<Judge>,
        notes: Vec<Note>,
    ) -> Self {
        Self {
            kind,
            what: What::Change(id, judge),
            notes,
        }
    }
}

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
            What::Change(id, ref judge) => {
                let record = match self.store.resource_cached(self.row.id, kind, id) {
                    Cached::Absent => None,
                    Cached::Hit(record) if record.body.len() <= PROMPT_BYTES_MAX => Some(record),
                    Cached::Hit(_) | Cached::Cold => return Ok(Begun::NotPromptly(intent)),
                };
                let prepared = self.prepare(kind, id, record.as_ref(), act, &**judge)?;
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
            // Somebody was faster.
            (Some(CommitError::Rejected(Reject::Changed { .. })), Some(intent)) => {
                self.finish(intent, act)
            }
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
                let (transaction, written) = *put;
                self.store
                    .commit(transaction)
                    .map_err(|error| self.commit_error(kind, error))?;
                written
            }
            What::Change(id, judge) => self.change(kind, id, act, judge)?,
        };
        written.notes.extend(intent.notes);
        Ok(written)
    }

    /// Changes the resource `id` as `judge` decides, however often others change it meanwhile.
    fn change(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        act: &Act,
        judge: Arc<Judge>,
    ) -> Result<Written, DirectoryError> {
        for _ in 0..ATTEMPTS {
            let record = self.store.resource(self.row.id, kind, id)?;
            let prepared = self.prepare(kind, id, record.as_ref(), act, &*judge)?;
            let Some(transaction) = prepared.transaction else {
                return Ok(prepared.written);
            };
            match self.store.commit(transaction) {
                Ok(_) => return Ok(prepared.written),
                // Somebody was faster: read again.
                Err(CommitError::Rejected(Reject::Changed { .. })) => {}
                Err(error) => return Err(self.commit_error(kind, error)),
            }
        }
        self.change_inside(kind, id, act, judge)
    }

    /// The last attempt: read, judged and committed inside the commit thread.
    fn change_inside(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        act: &Act,
        judge: Arc<Judge>,
    ) -> Result<Written, DirectoryError> {
        let outcome = Arc::new(OnceLock::new());
        let (directory, act, slot) = (self.clone(), act.clone(), Arc::clone(&outcome));
        let committed = self.store.commit_with(Box::new(move |view| {
            let prepared = view
                .resource(directory.row.id, kind, id)
                .map_err(DirectoryError::from)
                .and_then(|record| directory.prepare(kind, id, record.as_ref(), &act, &*judge));
            let (result, transaction) = match prepared {
                Ok(prepared) => (Ok(prepared.written), prepared.transaction),
                Err(error) => (Err(error), None),
            };
            // The slot is filled once: this closure runs once.
            drop(slot.set(result));
            transaction
        }));
        if let Err(error) = committed {
            return Err(self.commit_error(kind, error));
        }
        match Arc::into_inner(outcome).and_then(OnceLock::into_inner) {
            Some(result) => result,
            None => Err(DirectoryError::Commit(CommitError::Failed)),
        }
    }

    /// Judges `record` and says what to commit and what to answer.
    fn prepare(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        record: Option<&Arc<Record>>,
        act: &Act,
        judge: &Judge,
    ) -> Result<Prepared, DirectoryError> {
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
        let (change, action, payload, stored) = match judge(&resource, &mut notes)? {
            Decision::Keep => {
                let written = Written {
                    stored: Stored::new(id, record),
                    changed: false,
                    notes,
                };
                return Ok(Prepared {
                    transaction: None,
                    written,
                });
            }
            Decision::Put(new, payload) => {
                let new = self.record(kind, id, &new, revision, record.created, self.clock.now());
                let stored = Stored::written(id, &new);
                let change = Change::PutResource {
                    directory: self.row.id,
                    kind,
                    id,
                    expect,
                    record: new,
                };
                (change, Action::Updated, payload, stored)
            }
            Decision::Delete(payload) => {
                let change = Change::DeleteResource {
                    directory: self.row.id,
                    kind,
                    id,
                    expect,
                };
                (change, Action::Deleted, payload, Stored::new(id, record))
            }
        };
        let transaction = self.transaction(change, kind, id, action, revision, act, payload);
        Ok(Prepared {
            transaction: Some(transaction),
            written: Written {
                stored,
                changed: true,
                notes,
            },
        })
    }

    /// The record that stores `resource`.
    pub(in crate::directory) fn record(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        resource: &Resource,
        revision: Revision,
        created: Timestamp,
        modified: Timestamp,
    ) -> NewRecord {
        NewRecord {
            revision,
            created,
            modified,
            keys: keys::keys(resource),
            unique: keys::unique(kind, &self.registry),
            label: keys::label(resource),
            body: resource.to_stored(id).into(),
        }
    }

    /// One change and its history entry.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a history entry consists of"
    )]
    pub(in crate::directory) fn transaction(
        &self,
        change: Change,
        kind: ResourceKind,
        id: ResourceId,
        action: Action,
        revision: Revision,
        act: &Act,
        payload: Vec<u8>,
    ) -> Transaction {
        Transaction {
            changes: vec![change],
            history: vec![HistoryDraft {
                directory: self.row.id,
                kind,
                id,
                action,
                revision,
                actor: act.actor.clone(),
                request: Some(act.request),
                payload,
            }],
            audit: Vec::new(),
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
            CommitError::Rejected(Reject::Missing) => DirectoryError::NotFound { kind },
            CommitError::Rejected(Reject::DirectoryGone) => DirectoryError::DirectoryGone,
            CommitError::Rejected(Reject::TooLarge) => too_large().into(),
            other => DirectoryError::Commit(other),
        }
    }
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
