//! What the programs in `tests/bench` may do with rooms that are private otherwise: drive the store without HTTP, TLS,
//! tokens or JSON of requests around it. Nothing of the product uses it, so nothing of it is in the `rollcall` binary.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::audit::history::Action;
use crate::base::actor::Actor;
use crate::base::clock::Clock;
use crate::base::clock::SystemClock;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::base::ident::DirectoryName;
use crate::base::ident::IdSource;
use crate::base::ident::RandomIds;
use crate::base::ident::RequestId;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::directory::keys;
use crate::scim::resource::Resource;
use crate::scim::resource::parse;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::registry::Registry;
use crate::store::Settings;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::HistoryDraft;
use crate::store::change::NewRecord;
use crate::store::change::Transaction;
use crate::store::chronicle::Retention;
use crate::store::row::DirectoryRow;

/// The kind of all that is written.
const KIND: ResourceKind = ResourceKind::User;

/// How long writes took.
#[derive(Clone, Debug)]
pub struct Writes {
    /// From the first to the last.
    pub took: Duration,
    /// Each of them, until it was durable.
    pub latencies: Vec<Duration>,
}

/// What [`store_writes`] measured.
#[derive(Clone, Debug)]
pub struct StoreWrites {
    /// One transaction for each user: creating it.
    pub create: Writes,
    /// One transaction for each user: replacing it.
    pub replace: Writes,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}: {why}")]
pub struct MeasureError {
    /// What was being done.
    doing: &'static str,
    /// Why it failed.
    why: String,
}

impl MeasureError {
    /// A failure while `doing` something.
    fn new(doing: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Self {
        move |why| Self {
            doing,
            why: why.to_string(),
        }
    }
}

/// Opens a store in the empty folder `dir`, creates `users` (bodies of a POST) from `writers` threads and then replaces each
/// with another `displayName`, each write a transaction with its history entry, as a request would make it. Records are
/// made before the clock runs.
///
/// # Errors
///
/// [`MeasureError`] when a body is no user, or the store refuses.
pub fn store_writes(
    dir: &Path,
    writers: usize,
    users: Vec<Value>,
) -> Result<StoreWrites, MeasureError> {
    let clock = Arc::new(SystemClock);
    let ids = RandomIds::default();
    let registry = Registry::new(Profile::Entra, false);
    let people: Vec<_> = users
        .into_iter()
        .map(|body| {
            let resource = parse::parse(body, &registry, KIND, &mut Vec::new());
            Ok((
                ids.resource_id(),
                resource.map_err(|error| MeasureError::new("read a user")(&error))?,
            ))
        })
        .collect::<Result<_, _>>()?;
    let store = Store::open(&settings(dir), clock.clone(), &ids, &|_step| {})
        .map_err(|error| MeasureError::new("open the store")(&error))?;
    let prepare = Prepare {
        directory: make_directory(&store, clock.now())?,
        registry,
        now: clock.now(),
        ids,
    };
    let create = people
        .iter()
        .map(|(id, user)| prepare.create(*id, user))
        .collect();
    let create = commit_all(&store, writers, create)?;
    let replace = people
        .into_iter()
        .enumerate()
        .map(|(number, (id, user))| prepare.replace(number, id, user))
        .collect::<Result<_, _>>()?;
    let replace = commit_all(&store, writers, replace)?;
    store.shutdown();
    Ok(StoreWrites { create, replace })
}

/// The product's own sizes, without what guards a full disk.
fn settings(dir: &Path) -> Settings {
    Settings {
        dir: dir.to_owned(),
        segment_bytes: 64 << 20,
        reserve_bytes: 0,
        free_soft_bytes: 0,
        free_hard_bytes: 0,
        cache_bytes: 48 << 20,
        base_log_bytes: 128 << 20,
        retention: Retention {
            history: Duration::from_secs(86_400),
            audit: Duration::from_secs(86_400),
        },
    }
}

/// Makes the directory that everything is in.
fn make_directory(store: &Store, created: Timestamp) -> Result<DirectoryId, MeasureError> {
    let failed = MeasureError::new("make a directory");
    let row = DirectoryRow {
        id: DirectoryId(0),
        name: DirectoryName::parse("measure").map_err(|error| failed(&error))?,
        profile: Profile::Entra,
        users_only: false,
        enabled: true,
        created,
        revision: Revision::FIRST,
    };
    let expect = Expect::Absent;
    let transaction = Transaction {
        changes: vec![Change::PutDirectory { row, expect }],
        ..Transaction::default()
    };
    let committed = store.commit(transaction).map_err(|error| failed(&error))?;
    committed
        .directory
        .ok_or_else(|| failed(&"it was given no number"))
}

/// Makes transactions.
struct Prepare {
    /// The directory they are in.
    directory: DirectoryId,
    /// Its schemas.
    registry: Registry,
    /// When everything happens.
    now: Timestamp,
    /// Ids of requests.
    ids: RandomIds,
}

impl Prepare {
    /// Creates `user`.
    fn create(&self, id: ResourceId, user: &Resource) -> Transaction {
        let record = self.record(Revision::FIRST, id, user);
        self.transaction(id, Expect::Absent, record, Action::Created, b"{}".to_vec())
    }

    /// Replaces `user` by one with another `displayName`.
    fn replace(
        &self,
        number: usize,
        id: ResourceId,
        user: Resource,
    ) -> Result<Transaction, MeasureError> {
        let new = format!("Changed {number}");
        let old = user.text("displayName").unwrap_or_default();
        let payload = json!({"displayName": {"old": old, "new": new}}).to_string();
        let mut tree = user.into_tree();
        tree.insert("displayName".to_owned(), Value::String(new));
        let user = parse::settle(KIND, tree, &self.registry)
            .map_err(|error| MeasureError::new("change a user")(&error))?;
        let record = self.record(Revision::FIRST.next(), id, &user);
        let expect = Expect::Revision(Revision::FIRST);
        Ok(self.transaction(id, expect, record, Action::Updated, payload.into_bytes()))
    }

    /// The record of `user`, with the keys that the directory would give it.
    fn record(&self, revision: Revision, id: ResourceId, user: &Resource) -> NewRecord {
        NewRecord {
            revision,
            created: self.now,
            modified: self.now,
            keys: keys::keys(user),
            unique: keys::unique(KIND, &self.registry),
            label: None,
            body: user.to_stored(id).into(),
        }
    }

    /// One change and its history entry.
    fn transaction(
        &self,
        id: ResourceId,
        expect: Expect,
        record: NewRecord,
        action: Action,
        payload: Vec<u8>,
    ) -> Transaction {
        let (directory, kind, revision) = (self.directory, KIND, record.revision);
        let change = Change::PutResource {
            directory,
            kind,
            id,
            expect,
            record,
        };
        let history = HistoryDraft {
            directory,
            kind,
            id,
            action,
            revision,
            actor: Actor::System,
            request: Some(RequestId::random(&self.ids)),
            payload,
        };
        Transaction {
            changes: vec![change],
            history: vec![history],
            audit: Vec::new(),
        }
    }
}

/// Commits all transactions, shared out among `writers` threads.
fn commit_all(
    store: &Store,
    writers: usize,
    transactions: Vec<Transaction>,
) -> Result<Writes, MeasureError> {
    let share = transactions.len().div_ceil(writers.max(1)).max(1);
    let mut shares = Vec::new();
    let mut rest = transactions.into_iter();
    while rest.len() > 0 {
        shares.push(rest.by_ref().take(share).collect::<Vec<_>>());
    }
    let failed = MeasureError::new("commit");
    let began = Instant::now();
    let outcomes: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(|| commit_each(store, share)))
            .collect();
        running
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    let took = began.elapsed();
    let mut latencies = Vec::new();
    for outcome in outcomes {
        let outcome = outcome.map_err(|_panic| failed(&"a writer panicked"))?;
        latencies.extend(outcome?);
    }
    Ok(Writes { took, latencies })
}

/// Commits one transaction after the other.
fn commit_each(store: &Store, share: Vec<Transaction>) -> Result<Vec<Duration>, MeasureError> {
    share
        .into_iter()
        .map(|transaction| {
            let began = Instant::now();
            store
                .commit(transaction)
                .map_err(|error| MeasureError::new("commit")(&error))?;
            Ok(began.elapsed())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::measure::store_writes;

    #[test]
    fn each_user_is_created_and_replaced_once() {
        let users = |count: u32| {
            let user = |number| {
                json!({
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                    "userName": format!("u{number}"),
                })
            };
            (0..count).map(user).collect()
        };
        for (writers, count) in [(1, 1), (3, 10), (4, 2)] {
            let dir = tempfile::tempdir().unwrap();
            let measured = store_writes(dir.path(), writers, users(count)).unwrap();
            let counts = [measured.create, measured.replace].map(|writes| writes.latencies.len());
            assert_eq!(
                counts.map(u32::try_from),
                [Ok(count), Ok(count)],
                "{writers}"
            );
        }
    }

    #[test]
    fn what_is_no_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(store_writes(dir.path(), 1, vec![json!({"userName": 7})]).is_err());
    }
}
