//! The store as a whole, through its face. What all of its tests use is here.

mod faults;
mod groups;
mod ladder;
mod members;
mod model;
mod purge;
mod snapshot;
mod upkeep;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::audit::history::Action;
use crate::base::actor::Actor;
use crate::base::clock::ManualClock;
use crate::base::clock::Timestamp;
use crate::base::ident::CountedIds;
use crate::base::ident::DirectoryId;
use crate::base::ident::DirectoryName;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::base::ident::TokenId;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::store::Settings;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::Committed;
use crate::store::change::Expect;
use crate::store::change::HistoryDraft;
use crate::store::change::Index;
use crate::store::change::NewRecord;
use crate::store::change::Transaction;
use crate::store::chronicle::Retention;
use crate::store::error::CommitError;
use crate::store::error::OpenError;
use crate::store::error::Reject;
use crate::store::row::DirectoryRow;
use crate::store::row::Scope;
use crate::store::row::TokenRow;
use crate::store::view::Cached;

/// When everything happens.
const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// How long entries are kept.
const RETENTION: Retention = Retention {
    history: Duration::from_secs(400 * 86_400),
    audit: Duration::from_secs(800 * 86_400),
};
/// A user.
const USER: ResourceKind = ResourceKind::User;

/// Settings of a store in `dir` with small segments.
fn settings(dir: &Path) -> Settings {
    Settings {
        dir: dir.to_owned(),
        segment_bytes: 64 << 10,
        reserve_bytes: 0,
        free_soft_bytes: 0,
        free_hard_bytes: 0,
        cache_bytes: 100_000,
        base_log_bytes: u64::MAX,
        retention: RETENTION,
    }
}

/// Opens the store in `dir`.
fn try_open(dir: &Path) -> Result<Store, OpenError> {
    let clock = Arc::new(ManualClock::new(AT));
    Store::open(&settings(dir), clock, &CountedIds::default(), &|_doing| {})
}

/// Opens the store in `dir`.
fn open(dir: &Path) -> Store {
    try_open(dir).unwrap()
}

/// Copies `dir` as a crash would leave it: without closing anything.
fn crash(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_all(dir, copy.path());
    copy
}

/// Copies a directory while others write in it: a file may be gone before it is copied.
fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_all(&entry.path(), &target);
            continue;
        }
        match fs::copy(entry.path(), &target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
            Ok(_) | Err(_) => {}
        }
    }
}

/// The only file in `dir` whose name begins so.
fn file_like(dir: &Path, begin: &str) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries.find(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(begin)
    })
}

/// The `number`th resource id.
fn id(number: u32) -> ResourceId {
    let mut bytes = [0; 16];
    // Spread like random ids, so that neighbours in number are not neighbours on disk.
    bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    ResourceId::from_bytes(bytes)
}

/// A user called `name` at a revision, with this much in it.
fn user(revision: u64, name: &str, bytes: usize) -> NewRecord {
    NewRecord {
        revision: Revision(revision),
        created: AT,
        modified: AT,
        keys: vec![
            (Index::UserName, name.into()),
            (Index::DisplayName, "all".into()),
        ],
        unique: vec![Index::UserName],
        label: None,
        body: format!(
            "{{\"userName\":\"{name}\",\"x\":\"{}\"}}",
            "x".repeat(bytes)
        )
        .into_bytes()
        .into(),
    }
}

/// Puts user `number`.
fn put(directory: DirectoryId, number: u32, expect: Expect, record: NewRecord) -> Change {
    Change::PutResource {
        directory,
        kind: USER,
        id: id(number),
        expect,
        record,
    }
}

/// Changes with one history entry for user 0 of `directory`.
fn with_history(directory: DirectoryId, changes: Vec<Change>) -> Transaction {
    Transaction {
        changes,
        history: vec![HistoryDraft {
            directory,
            kind: USER,
            id: id(0),
            action: Action::Updated,
            revision: Revision(1),
            actor: Actor::System,
            request: None,
            payload: b"{}".to_vec(),
        }],
        audit: Vec::new(),
    }
}

/// Changes and nothing else.
fn plain(changes: Vec<Change>) -> Transaction {
    Transaction {
        changes,
        ..Transaction::default()
    }
}

/// Creates a directory.
fn create_directory(store: &Store, name: &str) -> Result<DirectoryId, CommitError> {
    let committed = store.commit(plain(vec![directory_change(0, name, Expect::Absent)]))?;
    Ok(committed.directory.unwrap())
}

/// Puts a directory.
fn directory_change(number: u32, name: &str, expect: Expect) -> Change {
    Change::PutDirectory {
        row: DirectoryRow {
            id: DirectoryId(number),
            name: DirectoryName::parse(name).unwrap(),
            profile: Profile::Entra,
            users_only: false,
            enabled: true,
            created: AT,
            revision: Revision(1),
        },
        expect,
    }
}

/// Puts a token.
fn token_change(id: &str, directory: Option<DirectoryId>, expect: Expect) -> Change {
    Change::PutToken {
        row: TokenRow {
            id: TokenId::parse(id).unwrap(),
            directory,
            scope: Scope::Provision,
            label: "label".to_owned(),
            hash: "hash".to_owned(),
            digest: [1, 2, 3],
            created: AT,
            expires: None,
            rotate_by: None,
            revoked: None,
            last_used: None,
            revision: Revision(1),
        },
        expect,
    }
}

/// Waits until `done`, which somebody else brings about soon.
fn wait_until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// What a commit is rejected for.
fn rejected(outcome: Result<Committed, CommitError>) -> Reject {
    match outcome {
        Err(CommitError::Rejected(reject)) => reject,
        other => panic!("not rejected: {other:?}"),
    }
}

/// The body of user `number`.
fn body(store: &Store, directory: DirectoryId, number: u32) -> Option<Box<[u8]>> {
    let record = store.resource(directory, USER, id(number)).unwrap();
    record.map(|record| record.body.clone())
}

#[test]
fn what_is_committed_is_read_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let directory = create_directory(&store, "entra").unwrap();
    assert_eq!(directory, DirectoryId(1));
    let record = user(1, "mara", 10_000);
    let committed = store
        .commit(with_history(
            directory,
            vec![
                put(directory, 1, Expect::Absent, record.clone()),
                token_change("aaaaaaaaaa", Some(directory), Expect::Absent),
                token_change("bbbbbbbbbb", None, Expect::Absent),
                Change::PutSetting {
                    name: "key".to_owned(),
                    value: b"value".as_slice().into(),
                    expect: Expect::Absent,
                },
            ],
        ))
        .unwrap();
    assert_eq!((committed.seq, committed.at), (2, AT));
    assert_eq!(committed.history, [1]);
    for _restart in 0..3 {
        assert_eq!(body(&store, directory, 1).as_ref(), Some(&record.body));
        assert!(matches!(
            store.resource_cached(directory, USER, id(1)),
            Cached::Hit(_)
        ));
        assert_eq!(
            store.resource_cached(directory, USER, id(2)),
            Cached::Absent
        );
        let found = |index, key| store.lookup(directory, USER, index, key);
        assert_eq!(found(Index::UserName, "mara"), [id(1)]);
        assert_eq!(found(Index::UserName, "Mara"), []);
        assert_eq!(found(Index::DisplayName, "all"), [id(1)]);
        assert_eq!(found(Index::Email, "mara"), []);
        assert_eq!(store.page(directory, USER, 0, 5), (1, vec![id(1)]));
        assert_eq!(store.count(directory, ResourceKind::Group), 0);
        assert_eq!(store.tokens(directory).len(), 1);
        assert_eq!(store.appliance_tokens().len(), 1);
        assert_eq!(
            store
                .token(TokenId::parse("bbbbbbbbbb").unwrap())
                .unwrap()
                .directory,
            None
        );
        assert_eq!(store.setting("key").as_deref(), Some(b"value".as_slice()));
        assert_eq!(store.setting("other"), None);
        assert_eq!(store.directories().len(), 1);
        assert_eq!(
            store
                .directory(&DirectoryName::parse("entra").unwrap())
                .unwrap()
                .id,
            directory
        );
        assert_eq!(store.history_last(directory), 1);
        let health = store.health();
        assert_eq!((health.writable, health.seq, health.users), (Ok(()), 2, 1));
        assert_eq!((health.failed_since, health.damaged_reads), (None, 0));
        drop(store);
        store = open(dir.path());
        assert_eq!(store.health().rungs, []);
        assert_eq!(store.health().applied_seq, 2);
    }
}

/// Changes that a store with users mara (1, at revision 3) and ines (2) and token `aaaaaaaaaa` in
/// `directory` rejects, and why.
fn rejects_of_resources(directory: DirectoryId) -> Vec<(Change, Reject)> {
    let delete = |number, expect| Change::DeleteResource {
        directory,
        kind: USER,
        id: id(number),
        expect,
        names: Vec::new(),
    };
    let taken = |by| Reject::Taken {
        index: Index::UserName,
        by: id(by),
    };
    let changed = Reject::Changed {
        current: Revision(3),
    };
    let stale = Expect::Revision(Revision(2));
    let put_any = put;
    let put = |number, expect, name| put(directory, number, expect, user(1, name, 0));
    let large = user(1, "x", 17 << 20);
    let (gone, any) = (DirectoryId(7), Expect::Any);
    vec![
        (put(1, Expect::Absent, "x"), Reject::Exists),
        (put(1, stale, "x"), changed.clone()),
        (put(9, Expect::Exists, "x"), Reject::Missing),
        (put(9, stale, "x"), Reject::Missing),
        (put(9, any, "mara"), taken(1)),
        (put(1, any, "ines"), taken(2)),
        (put_any(directory, 9, any, large), Reject::TooLarge),
        (
            put_any(gone, 9, any, user(1, "x", 0)),
            Reject::DirectoryGone,
        ),
        (delete(9, any), Reject::Missing),
        (delete(1, stale), changed),
    ]
}

/// As [`rejects_of_resources`], for everything else.
fn rejects_of_rows(directory: DirectoryId) -> Vec<(Change, Reject)> {
    let setting = |name: &str, expect| Change::PutSetting {
        name: name.to_owned(),
        value: Box::default(),
        expect,
    };
    let known = "aaaaaaaaaa";
    let (gone, any) = (DirectoryId(7), Expect::Any);
    let stale = Expect::Revision(Revision(2));
    let changed = Reject::Changed {
        current: Revision(1),
    };
    vec![
        (
            token_change(known, Some(directory), Expect::Absent),
            Reject::Exists,
        ),
        (token_change(known, Some(directory), stale), changed.clone()),
        (token_change(known, None, any), Reject::Exists),
        (
            token_change("bbbbbbbbbb", Some(gone), any),
            Reject::DirectoryGone,
        ),
        (
            directory_change(0, "entra", Expect::Absent),
            Reject::NameTaken,
        ),
        (
            directory_change(0, "other", Expect::Exists),
            Reject::Missing,
        ),
        (directory_change(7, "other", any), Reject::DirectoryGone),
        (directory_change(1, "other", stale), changed),
        (Change::DeleteDirectory { id: gone }, Reject::Missing),
        (setting("a", Expect::Exists), Reject::Missing),
        (setting(&"a".repeat(129), any), Reject::TooLarge),
    ]
}

#[test]
fn a_condition_that_does_not_hold_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let directory = create_directory(&store, "entra").unwrap();
    let commit = |changes| store.commit(plain(changes));
    commit(vec![
        put(directory, 1, Expect::Any, user(3, "mara", 0)),
        put(directory, 2, Expect::Any, user(1, "ines", 0)),
        token_change("aaaaaaaaaa", Some(directory), Expect::Any),
    ])
    .unwrap();
    let rows = rejects_of_rows(directory);
    for (change, reject) in rejects_of_resources(directory).into_iter().chain(rows) {
        let text = format!("{change:?}");
        let text = text.get(..200).unwrap_or(&text);
        // What comes before a change that is rejected is not made either.
        let before = put(directory, 5, Expect::Absent, user(1, "before", 0));
        assert_eq!(rejected(commit(vec![before, change])), reject, "{text}");
        assert_eq!(body(&store, directory, 5), None, "{text}");
    }
    assert_eq!(store.count(directory, USER), 2);
    assert_eq!(store.health().seq, 2);
}

#[test]
fn a_later_change_of_a_transaction_sees_the_earlier_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let directory = create_directory(&store, "entra").unwrap();
    let delete = |number| Change::DeleteResource {
        directory,
        kind: USER,
        id: id(number),
        expect: Expect::Exists,
        names: Vec::new(),
    };
    let first = Expect::Revision(Revision(1));
    let committed = store.commit(plain(vec![
        put(directory, 1, Expect::Absent, user(1, "mara", 0)),
        put(directory, 1, first, user(2, "ines", 5000)),
        put(directory, 2, Expect::Absent, user(1, "mara", 0)),
        delete(2),
        put(directory, 3, Expect::Absent, user(1, "mara", 0)),
    ]));
    committed.unwrap();
    let copy = crash(dir.path());
    for store in [store, open(copy.path())] {
        assert_eq!(body(&store, directory, 1), Some(user(2, "ines", 5000).body));
        assert_eq!(body(&store, directory, 2), None);
        assert_eq!(
            store.lookup(directory, USER, Index::UserName, "mara"),
            [id(3)]
        );
        assert_eq!(store.page(directory, USER, 0, 9), (2, vec![id(1), id(3)]));
    }
}
