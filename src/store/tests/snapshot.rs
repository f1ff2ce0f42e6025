//! A snapshot is loaded as it was taken, and found useless when it is damaged.

use std::fs;
use std::path::Path;

use crate::base::ident::DirectoryId;
use crate::store::Store;
use crate::store::cell::Key;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::Index;
use crate::store::health::Rung;
use crate::store::log::frame::StoreId;
use crate::store::log::read;
use crate::store::snapshot::path;
use crate::store::snapshot::read::Useless;
use crate::store::snapshot::read::load;
use crate::store::snapshot::write::take;
use crate::store::tests::USER;
use crate::store::tests::body;
use crate::store::tests::copy_all;
use crate::store::tests::crash;
use crate::store::tests::create_directory;
use crate::store::tests::id;
use crate::store::tests::open;
use crate::store::tests::plain;
use crate::store::tests::put;
use crate::store::tests::token_change;
use crate::store::tests::user;
use crate::store::tests::wait_until;
use crate::store::tests::with_history;

/// The store that the snapshots say they belong to.
const STORE: StoreId = StoreId([7; 16]);

/// A store with some of everything.
fn filled(dir: &Path) -> Store {
    let store = open(dir);
    for name in ["one", "two"] {
        let directory = create_directory(&store, name).unwrap();
        let puts = (0..5000).map(|number| {
            let record = user(1, &format!("user {number}"), 0);
            put(directory, number, Expect::Absent, record)
        });
        let mut changes: Vec<_> = puts.collect();
        let token = format!("{name}aaaaaaa");
        changes.push(token_change(&token, Some(directory), Expect::Absent));
        store.commit(with_history(directory, changes)).unwrap();
    }
    let setting = Change::PutSetting {
        name: "a setting".to_owned(),
        value: b"value".as_slice().into(),
        expect: Expect::Absent,
    };
    store.commit(plain(vec![setting])).unwrap();
    store
}

#[test]
fn a_snapshot_holds_what_memory_holds() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    assert!(load(dir.path(), STORE).unwrap().is_none());
    let taken = take(dir.path(), STORE, &store)
        .unwrap()
        .put_to_use()
        .unwrap();
    let (memory, found) = load(dir.path(), STORE).unwrap().unwrap();
    assert_eq!((found, found.seq), (taken, 5));
    let live = store.memory();
    assert_eq!(memory.seq, live.seq);
    assert_eq!(memory.born_last, live.born_last);
    assert_eq!(memory.directory_last, live.directory_last);
    assert_eq!(memory.audit_last, live.audit_last);
    assert_eq!(memory.names, live.names);
    assert_eq!(memory.settings.len(), live.settings.len());
    for (token, held) in &live.tokens {
        let loaded = &memory.tokens[token];
        assert_eq!((&loaded.row, loaded.mark), (&held.row, held.mark));
    }
    for (directory, expected) in &live.directories {
        let loaded = &memory.directories[directory];
        assert_eq!(loaded.held.row, expected.held.row);
        assert_eq!(loaded.history, expected.history);
        let (loaded, expected) = (&loaded.shelf(USER).indexes, &expected.shelf(USER).indexes);
        assert_eq!(loaded.count(), 5000);
        assert_eq!(loaded.live_bytes(), expected.live_bytes());
        assert_eq!(loaded.page(0, usize::MAX), expected.page(0, usize::MAX));
        for number in (0..5000).step_by(7) {
            assert_eq!(loaded.get(id(number)), expected.get(id(number)));
            let name = format!("user {number}");
            assert_eq!(loaded.lookup(Index::UserName, &name), [id(number)]);
        }
    }
}

#[test]
fn a_damaged_snapshot_is_useless_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    take(dir.path(), STORE, &store)
        .unwrap()
        .put_to_use()
        .unwrap();
    let whole = fs::read(path(dir.path())).unwrap();
    let step = whole.len() / 400;
    for at in (0..80).chain((80..whole.len()).step_by(step)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(path(dir.path()), &bytes).unwrap();
        assert!(load(dir.path(), STORE).is_err(), "a flip at {at}");
        fs::write(path(dir.path()), &whole[..at]).unwrap();
        assert!(load(dir.path(), STORE).is_err(), "a cut at {at}");
    }
    fs::write(path(dir.path()), &whole).unwrap();
    let foreign = load(dir.path(), StoreId([8; 16])).err();
    assert!(matches!(foreign, Some(Useless::Foreign)));
    let mut newer = whole;
    newer[8] = 9;
    fs::write(path(dir.path()), &newer).unwrap();
    let newer = load(dir.path(), STORE).err();
    assert!(matches!(newer, Some(Useless::Newer)));
}

/// Puts user `number` of directory 1 at a revision.
fn change(store: &Store, number: u32, revision: u64) {
    let record = user(revision, &format!("user {number} at {revision}"), 0);
    let change = put(DirectoryId(1), number, Expect::Exists, record);
    store
        .commit(with_history(DirectoryId(1), vec![change]))
        .unwrap();
}

/// What user `number` of directory 1 is.
fn name_of(store: &Store, number: u32) -> String {
    let body = body(store, DirectoryId(1), number).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    body["userName"].as_str().unwrap().to_owned()
}

#[test]
fn a_start_uses_the_snapshot_of_a_clean_stop_and_verifies_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()));
    let store = open(dir.path());
    assert_eq!(store.health().snapshot.map(|taken| taken.seq), Some(5));
    wait_until("the state is verified", || {
        store.health().verification.is_some()
    });
    assert!(store.health().verification.unwrap().agrees);
    // Writes, deletions and a crash: memory is brought to where the state is, and then both.
    for number in 0..100 {
        change(&store, number, 2);
    }
    let delete = Change::DeleteDirectory { id: DirectoryId(2) };
    store.commit(plain(vec![delete])).unwrap();
    for early in [true, false] {
        if !early {
            wait_until("the purge ends", || store.health().purging == 0);
        }
        let copy = crash(dir.path());
        for _start in 0..2 {
            let store = open(copy.path());
            assert_eq!(store.health().seq, 106);
            assert!(store.health().snapshot.is_some());
            assert_eq!(name_of(&store, 7), "user 7 at 2");
            assert_eq!(name_of(&store, 4999), "user 4999");
            assert_eq!(store.count(DirectoryId(1), USER), 5000);
            assert_eq!(
                store.lookup(DirectoryId(1), USER, Index::UserName, "user 7"),
                []
            );
            assert_eq!(store.directories().len(), 1);
            assert_eq!(store.history_last(DirectoryId(1)), 101);
            wait_until("the state is verified", || {
                store.health().verification.is_some()
            });
            let verified = store.health().verification.unwrap();
            assert_eq!((verified.damaged, verified.surplus), (0, 0));
            wait_until("the purge ends", || store.health().purging == 0);
        }
    }
}

#[test]
fn damage_that_a_quick_start_does_not_see_is_found_and_repaired_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let settled = || store.health().applied_seq == store.health().seq;
    wait_until("the state has everything", settled);
    let key = Key::Resource(DirectoryId(1), USER, id(7));
    store.state().mend(&key, None).unwrap();
    drop(store);
    let store = open(dir.path());
    assert!(store.health().snapshot.is_some());
    wait_until("it is repaired", || store.health().repaired == 1);
    assert_eq!(name_of(&store, 7), "user 7");
    assert_eq!(store.health().rungs, []);
}

#[test]
fn a_snapshot_that_state_and_log_do_not_fit_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()));
    let older = tempfile::tempdir().unwrap();
    copy_all(dir.path(), older.path());
    let store = open(dir.path());
    for number in 0..100 {
        change(&store, number, 2);
    }
    drop(store);
    // The state as it was before: it lacks what the snapshot knows, and the log has it.
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    fs::create_dir(dir.path().join("sled")).unwrap();
    copy_all(&older.path().join("sled"), &dir.path().join("sled"));
    let store = open(dir.path());
    assert_eq!(store.health().snapshot, None);
    assert_eq!(name_of(&store, 7), "user 7 at 2");
    drop(store);
    let mut bytes = fs::read(path(dir.path())).unwrap();
    bytes[100] ^= 1;
    fs::write(path(dir.path()), bytes).unwrap();
    let store = open(dir.path());
    assert_eq!(store.health().snapshot, None);
    assert_eq!(name_of(&store, 7), "user 7 at 2");
}

#[test]
fn damage_in_log_that_only_the_snapshot_needs_costs_the_snapshot_and_a_new_base() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()));
    let older = fs::read(path(dir.path())).unwrap();
    let store = open(dir.path());
    for number in 0..400 {
        change(&store, number, 2);
    }
    drop(store);
    fs::write(path(dir.path()), older).unwrap();
    let segments = read::list(&dir.path().join("log")).unwrap();
    let damaged = &segments[segments.len() - 2].path;
    assert!(segments.len() > 3, "{segments:?}");
    let mut bytes = fs::read(damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(damaged, bytes).unwrap();
    let store = open(dir.path());
    let rungs = store.health().rungs;
    assert!(
        matches!(&*rungs, [Rung::OldSegmentDamaged { file, .. }] if file == damaged),
        "{rungs:?}"
    );
    assert_eq!(store.health().snapshot, None);
    assert_eq!(name_of(&store, 399), "user 399 at 2");
    wait_until("there is a base behind it", || {
        store.health().base.is_some()
    });
    wait_until("the damaged log is gone", || !damaged.exists());
    drop(store);
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    let store = open(dir.path());
    assert_eq!(name_of(&store, 399), "user 399 at 2");
    assert_eq!(store.history_last(DirectoryId(1)), 401);
}
