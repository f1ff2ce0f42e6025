//! What is done beside the work: bases and the log they make superfluous, rebuilt states,
//! verification and repair, all while the store serves.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::ManualClock;
use crate::base::ident::CountedIds;
use crate::base::ident::DirectoryId;
use crate::store::Settings;
use crate::store::Store;
use crate::store::base;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::desk::Chore;
use crate::store::desk::Reports;
use crate::store::error::OpenError;
use crate::store::health::Rung;
use crate::store::log::read;
use crate::store::record::Stored;
use crate::store::tests::AT;
use crate::store::tests::USER;
use crate::store::tests::body;
use crate::store::tests::crash;
use crate::store::tests::create_directory;
use crate::store::tests::id;
use crate::store::tests::plain;
use crate::store::tests::put;
use crate::store::tests::settings;
use crate::store::tests::try_open;
use crate::store::tests::user;
use crate::store::tests::wait_until;

/// Users of [`filled`].
const USERS: u32 = 600;
/// How long a chore may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the store in `dir`; nothing is kept in memory, so that every read is one of the state.
fn open(dir: &Path, base_log_bytes: u64) -> Store {
    let settings = Settings {
        cache_bytes: 0,
        base_log_bytes,
        ..settings(dir)
    };
    let clock = Arc::new(ManualClock::new(AT));
    Store::open(&settings, clock, &CountedIds::default(), &|_doing| {}).unwrap()
}

/// What user `number` is at a revision.
fn record(number: u32, revision: u64) -> crate::store::change::NewRecord {
    let bytes = if number.is_multiple_of(50) { 9000 } else { 900 };
    let revision_and_name = format!("user {number} at {revision}");
    user(revision, &revision_and_name, bytes)
}

/// Puts users `numbers` at a revision.
fn write(store: &Store, directory: DirectoryId, numbers: std::ops::Range<u32>, revision: u64) {
    let expect = if revision == 1 {
        Expect::Absent
    } else {
        Expect::Exists
    };
    for first in numbers.clone().step_by(20) {
        let some = first..numbers.end.min(first + 20);
        let puts = some.map(|number| put(directory, number, expect, record(number, revision)));
        store.commit(plain(puts.collect())).unwrap();
    }
}

/// A store with users.
fn filled(dir: &Path) -> (Store, DirectoryId) {
    let store = open(dir, u64::MAX);
    let directory = create_directory(&store, "entra").unwrap();
    write(&store, directory, 0..USERS, 1);
    (store, directory)
}

/// Compares all users with what they are at `revision`.
fn check(store: &Store, directory: DirectoryId, revision: u64) {
    for number in 0..USERS {
        let expected = Some(record(number, revision).body);
        assert_eq!(body(store, directory, number), expected, "{number}");
    }
    assert_eq!(store.count(directory, USER), 600);
}

/// Has a chore done.
fn done(store: &Store, chore: Chore) -> Reports {
    store.chore(chore, PATIENCE).unwrap().unwrap()
}

/// The first transactions of the segments of the log in `dir`.
fn segments(dir: &Path) -> Vec<u64> {
    let segments = read::list(&dir.join("log")).unwrap();
    segments.iter().map(|segment| segment.first_seq).collect()
}

/// Waits until everything that is committed is in the state.
fn settle(store: &Store) {
    wait_until("the state has everything", || {
        store.health().applied_seq == store.health().seq
    });
}

/// Damages the state: what sled does when it opens and has lost what it had.
fn lose_state(dir: &Path) {
    for name in ["sled", "sled.2"] {
        match fs::remove_dir_all(dir.join(name)) {
            Ok(()) | Err(_) => {}
        }
    }
}

#[test]
fn a_base_makes_older_log_superfluous_and_the_state_is_rebuilt_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, directory) = filled(dir.path());
    let before = segments(dir.path());
    assert!(before.len() > 5, "{before:?}");
    let base = done(&store, Chore::Base).base.unwrap();
    assert_eq!(
        base.cells,
        600 + 2,
        "users, the directory, the counter of directories"
    );
    wait_until("the log is recycled", || segments(dir.path()).len() == 1);
    // What comes after the base is in the log alone.
    write(&store, directory, 0..USERS, 2);
    let copy = crash(dir.path());
    lose_state(copy.path());
    let store = open(copy.path(), u64::MAX);
    check(&store, directory, 2);
    let rungs = store.health().rungs;
    assert!(
        rungs
            .iter()
            .any(|rung| matches!(rung, Rung::Rebuilt { .. })),
        "{rungs:?}"
    );
    done(&store, Chore::Verify);
    drop(store);
    let store = open(copy.path(), u64::MAX);
    check(&store, directory, 2);
    assert_eq!(store.health().rungs, []);
}

#[test]
fn a_base_is_written_when_the_log_has_grown_and_writing_goes_on_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let (store, directory) = filled(dir.path());
    drop(store);
    let store = open(dir.path(), 200_000);
    for revision in 2..12 {
        write(&store, directory, 0..USERS, revision);
    }
    wait_until("a base is written", || store.health().base.is_some());
    let copy = crash(dir.path());
    lose_state(copy.path());
    let rebuilt = open(copy.path(), u64::MAX);
    check(&rebuilt, directory, 11);
    let verified = done(&rebuilt, Chore::Verify).verification.unwrap();
    assert!(verified.agrees && verified.damaged == 0, "{verified:?}");
}

#[test]
fn a_rebuilt_state_takes_the_place_of_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, directory) = filled(dir.path());
    write(&store, directory, 0..USERS, 2);
    let writer = {
        let store = store.clone();
        std::thread::spawn(move || write(&store, directory, 0..USERS, 3))
    };
    done(&store, Chore::Rebuild);
    writer.join().unwrap();
    check(&store, directory, 3);
    let verified = done(&store, Chore::Verify).verification.unwrap();
    assert!(verified.agrees && verified.damaged == 0, "{verified:?}");
    let copy = crash(dir.path());
    drop(store);
    for dir in [dir, copy] {
        let store = open(dir.path(), u64::MAX);
        check(&store, directory, 3);
        assert!(dir.path().join("sled.2").exists());
        assert!(!dir.path().join("sled").exists());
        // And again, from the second to the third.
        done(&store, Chore::Rebuild);
        check(&store, directory, 3);
        drop(store);
        assert!(!dir.path().join("sled.2").exists());
        assert_eq!(open(dir.path(), u64::MAX).health().rungs, []);
    }
}

/// What a cell holds that was changed behind everybody's back.
fn old_copy(key: &Key) -> (Mark, Arc<[u8]>) {
    let content = Stored::new(&user(1, "older", 5), 1, 0).unwrap().content;
    (Mark::of(key, &content), content)
}

#[test]
fn what_a_verification_finds_is_repaired_from_the_log_and_the_base() {
    let dir = tempfile::tempdir().unwrap();
    let (store, directory) = filled(dir.path());
    done(&store, Chore::Base);
    // Some are in the base alone, some in the log.
    write(&store, directory, 0..100, 2);
    settle(&store);
    let key = |number| Key::Resource(directory, USER, id(number));
    let state = store.state();
    for number in [7, 300, 599] {
        state.mend(&key(number), None).unwrap();
    }
    for number in [8, 50, 301] {
        let (mark, content) = old_copy(&key(number));
        state.mend(&key(number), Some((mark, &content))).unwrap();
    }
    let nobody = key(USERS + 1);
    let (mark, content) = old_copy(&nobody);
    state.mend(&nobody, Some((mark, &content))).unwrap();
    state.mend(&Key::Directory(directory), None).unwrap();
    drop(state);
    let found = done(&store, Chore::Verify).verification.unwrap();
    assert_eq!((found.damaged, found.surplus), (7, 1));
    wait_until("everything is repaired", || store.health().repaired == 8);
    let again = done(&store, Chore::Verify).verification.unwrap();
    assert_eq!((again.damaged, again.surplus, again.agrees), (0, 0, true));
    for number in 0..USERS {
        let expected = record(number, if number < 100 { 2 } else { 1 }).body;
        assert_eq!(body(&store, directory, number), Some(expected), "{number}");
    }
    drop(store);
    assert_eq!(open(dir.path(), u64::MAX).health().rungs, []);
}

#[test]
fn a_read_that_finds_damage_has_it_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let (store, directory) = filled(dir.path());
    settle(&store);
    let key = Key::Resource(directory, USER, id(9));
    store.state().mend(&key, None).unwrap();
    assert!(store.resource(directory, USER, id(9)).is_err());
    wait_until("it is repaired", || {
        store.resource(directory, USER, id(9)).is_ok()
    });
    check(&store, directory, 1);
    assert!(store.health().damaged_reads > 0);
}

#[test]
fn what_nobody_has_is_lost_until_it_is_written_or_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (store, directory) = filled(dir.path());
    done(&store, Chore::Base);
    wait_until("the log is recycled", || segments(dir.path()).len() == 1);
    fs::remove_file(base_of(dir.path())).unwrap();
    for number in [3, 4] {
        let key = Key::Resource(directory, USER, id(number));
        store.state().mend(&key, None).unwrap();
    }
    assert_eq!(store.lost(), [""; 0]);
    let found = done(&store, Chore::Verify).verification.unwrap();
    assert_eq!(found.damaged, 2);
    assert!(store.wait_for_repairs(PATIENCE));
    let name = |number| format!("User {} of directory {}", id(number), directory.0);
    let mut lost = store.lost();
    lost.sort();
    let mut expected = [name(3), name(4)];
    expected.sort();
    assert_eq!(lost, expected);
    assert_eq!((store.health().lost, store.health().repairing), (2, 0));
    let again = put(directory, 3, Expect::Exists, record(3, 2));
    store.commit(plain(vec![again])).unwrap();
    assert_eq!(store.lost(), [name(4)]);
    let gone = Change::DeleteResource {
        directory,
        kind: USER,
        id: id(4),
        expect: Expect::Exists,
        names: Vec::new(),
    };
    store.commit(plain(vec![gone])).unwrap();
    assert_eq!((store.lost().len(), store.health().lost), (0, 0));
    settle(&store);
    let found = done(&store, Chore::Verify).verification.unwrap();
    assert!(found.agrees && found.damaged == 0, "{found:?}");
}

/// The only base in `dir`.
fn base_of(dir: &Path) -> PathBuf {
    let [(_seq, path)] = <[_; 1]>::try_from(base::list(dir).unwrap()).unwrap();
    path
}

#[test]
fn a_damaged_base_is_replaced_and_without_one_a_lost_state_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (store, directory) = filled(dir.path());
    done(&store, Chore::Base);
    wait_until("the log is recycled", || segments(dir.path()).len() == 1);
    drop(store);
    let path = base_of(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len() - 30;
    bytes[end] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let lost = crash(dir.path());
    lose_state(lost.path());
    for _try in 0..2 {
        let error = try_open(lost.path()).err().unwrap();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("no base reaches that far"), "{text}");
    }
    let store = open(dir.path(), u64::MAX);
    check(&store, directory, 1);
    assert!(matches!(&*store.health().rungs, [Rung::BaseDamaged { file, .. }] if *file == path));
    wait_until("another base is written", || store.health().base.is_some());
    drop(store);
    lose_state(dir.path());
    check(&open(dir.path(), u64::MAX), directory, 1);
}

#[test]
fn a_base_that_is_damaged_where_it_lies_is_found_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (store, directory) = filled(dir.path());
    assert_eq!(store.check_base(), None, "there is none");
    done(&store, Chore::Base);
    assert_eq!(store.check_base(), None);
    let path = base_of(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let what = store.check_base().unwrap();
    assert!(what.contains(path.to_str().unwrap()), "{what}");
    wait_until("another base is written", || store.health().base.is_some());
    assert_eq!(store.check_base(), None);
    drop(store);
    lose_state(dir.path());
    check(&open(dir.path(), u64::MAX), directory, 1);
}
