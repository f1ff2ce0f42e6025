//! Committing what a use case prepared, and preparing it again when somebody was faster.

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

/// How often a write is prepared again after somebody else changed the resource, before it is
/// prepared inside the commit thread, where nobody can.
const ATTEMPTS: usize = 8;

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

impl Directory {
    /// Changes the resource `id` as `judge` decides, however often others change it meanwhile.
    pub(in crate::directory) fn change(
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
