//! Disks that fail or are full: no panic, no lie, reads go on.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Resource;
use rustix::process::Rlimit;

use crate::base::clock::ManualClock;
use crate::base::ident::CountedIds;
use crate::base::ident::DirectoryId;
use crate::store::Settings;
use crate::store::Store;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::cell::Op;
use crate::store::change::Expect;
use crate::store::commit::Committer;
use crate::store::commit::Job;
use crate::store::error::CommitError;
use crate::store::error::StoreError;
use crate::store::health::Rung;
use crate::store::memory::Effects;
use crate::store::queue::Queue;
use crate::store::queue::Work;
use crate::store::startup;
use crate::store::tests::AT;
use crate::store::tests::USER;
use crate::store::tests::body;
use crate::store::tests::create_directory;
use crate::store::tests::directory_change;
use crate::store::tests::id;
use crate::store::tests::open;
use crate::store::tests::plain;
use crate::store::tests::put;
use crate::store::tests::settings;
use crate::store::tests::user;
use crate::store::tests::wait_until;
use crate::store::view::View;

/// Tells the test below that it is the child, and where its store is.
const CHILD: &str = "ROLLCALL_TEST_FAULT_DIR";

/// Creates users until it fails. Returns how many were acknowledged, and the error.
fn fill(store: &Store, directory: DirectoryId, bytes: usize) -> (u32, CommitError) {
    for number in 0..10_000 {
        let record = user(1, &format!("user {number}"), bytes);
        let create = put(directory, number, Expect::Absent, record);
        if let Err(error) = store.commit(plain(vec![create])) {
            return (number, error);
        }
    }
    panic!("nothing failed");
}

/// After a failure: writes are refused, health says why and since when, everything acknowledged is
/// read.
fn check_failed(store: &Store, directory: DirectoryId, acknowledged: u32) {
    let health = store.health();
    assert!(health.writable.is_err());
    assert_eq!(health.failed_since, Some(AT));
    let again = create_directory(store, "other").unwrap_err();
    assert!(matches!(again, CommitError::ReadOnly { .. }), "{again}");
    assert_eq!(
        store.count(directory, USER),
        usize::try_from(acknowledged).unwrap()
    );
    for number in 0..acknowledged {
        assert!(body(store, directory, number).is_some(), "{number}");
    }
    assert_eq!(body(store, directory, acknowledged), None);
}

#[test]
fn a_log_that_cannot_go_on_fails_the_group_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let directory = create_directory(&store, "entra").unwrap();
    let spare = dir.path().join("log/spare");
    wait_until("the next segment is made", || spare.exists());
    fs::remove_file(&spare).unwrap();
    fs::create_dir(&spare).unwrap();
    let (acknowledged, error) = fill(&store, directory, 1000);
    assert_eq!(error, CommitError::Failed);
    check_failed(&store, directory, acknowledged);
    let reason = store.health().writable.unwrap_err();
    assert!(
        reason.contains("the commit log cannot be written"),
        "{reason}"
    );
    drop(store);
    fs::remove_dir(&spare).unwrap();
    let store = open(dir.path());
    assert_eq!(
        store.count(directory, USER),
        usize::try_from(acknowledged).unwrap()
    );
    assert!(create_directory(&store, "other").is_ok());
}

#[test]
fn a_disk_that_refuses_every_write_loses_nothing_acknowledged() {
    if let Some(dir) = std::env::var_os(CHILD) {
        child(Path::new(&dir));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // A limit on the size of files makes writes fail for the whole process, so it needs one of its
    // own; the shell keeps the signal from ending it.
    let name = "store::tests::faults::a_disk_that_refuses_every_write_loses_nothing_acknowledged";
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
    let store = open(dir.path());
    let directory = DirectoryId(1);
    let text = fs::read_to_string(dir.path().join("acknowledged")).unwrap();
    let acknowledged: u32 = text.parse().unwrap();
    for number in 0..acknowledged {
        assert!(body(&store, directory, number).is_some(), "{number}");
    }
    assert!(create_directory(&store, "other").is_ok());
}

/// Lets every write past 24 KiB of a file fail, and writes until that shows.
fn child(dir: &Path) {
    let store = open(dir);
    let directory = create_directory(&store, "entra").unwrap();
    let limit = |bytes| {
        let maximum = rustix::process::getrlimit(Resource::Fsize).maximum;
        let limit = Rlimit {
            current: bytes,
            maximum,
        };
        rustix::process::setrlimit(Resource::Fsize, limit).unwrap();
    };
    limit(Some(24 << 10));
    let (acknowledged, error) = fill(&store, directory, 5000);
    // The log meets the limit first, unless sled's own thread happened to flush before.
    assert!(
        matches!(error, CommitError::Failed | CommitError::ReadOnly { .. }),
        "{error}"
    );
    check_failed(&store, directory, acknowledged);
    limit(None);
    fs::write(dir.join("acknowledged"), acknowledged.to_string()).unwrap();
}

/// Opens the store with a hard mark.
fn open_with_mark(dir: &Path, free_hard_bytes: u64, reserve_bytes: u64) -> Store {
    let settings = Settings {
        free_hard_bytes,
        reserve_bytes,
        ..settings(dir)
    };
    let clock = Arc::new(ManualClock::new(AT));
    Store::open(&settings, clock, &CountedIds::default(), &|_doing| {}).unwrap()
}

#[test]
fn below_the_hard_mark_writes_are_refused_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_mark(dir.path(), 0, 8192);
    let directory = create_directory(&store, "entra").unwrap();
    let reserve = dir.path().join("reserve");
    wait_until("the reserve is made", || reserve.exists());
    drop(store);
    // No disk has this much room: what a full one looks like.
    let store = open_with_mark(dir.path(), u64::MAX, 8192);
    assert_eq!(store.health().rungs, [Rung::ReserveUsed { bytes: 8192 }]);
    assert!(!reserve.exists());
    let error = create_directory(&store, "other").unwrap_err();
    assert_eq!(error, CommitError::NoSpace);
    let health = store.health();
    assert!(health.writable.unwrap_err().contains("nearly full"));
    assert_eq!((health.space_low, health.failed_since), (true, None));
    assert!(store.directory_by_id(directory).is_some());
    drop(store);
    let store = open_with_mark(dir.path(), 0, 0);
    assert!(create_directory(&store, "other").is_ok());
}

#[test]
fn a_damaged_copy_is_an_error_of_that_resource_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let directory = create_directory(&store, "entra").unwrap();
    let creates = (0..3).map(|number| {
        let record = user(1, &format!("user {number}"), 100);
        put(directory, number, Expect::Absent, record)
    });
    store.commit(plain(creates.collect())).unwrap();
    drop(store);
    // A cache that holds nothing: every read goes to the disk.
    let settings = Settings {
        cache_bytes: 0,
        ..settings(dir.path())
    };
    let clock = Arc::new(ManualClock::new(AT));
    let store = Store::open(&settings, clock, &CountedIds::default(), &|_doing| {}).unwrap();
    let key = Key::Resource(directory, USER, id(1));
    let state = store.state();
    let (mark, _content) = state.get(&key).unwrap().unwrap();
    let lost = Op {
        key,
        old: Some(mark),
        new: None,
        ticket: 0,
    };
    state
        .apply(&[lost], &state.meta().unwrap().unwrap())
        .unwrap();
    drop(state);
    let error = store.resource(directory, USER, id(1)).unwrap_err();
    assert_eq!(error, StoreError::Damaged(id(1)));
    assert_eq!(store.health().damaged_reads, 1);
    for sound in [0, 2] {
        assert!(body(&store, directory, sound).is_some());
    }
    assert_eq!(store.health().writable, Ok(()));
    wait_until("it is repaired", || {
        store.resource(directory, USER, id(1)).is_ok()
    });
    assert!(body(&store, directory, 1).is_some());
    assert_eq!(store.health().repaired, 1);
}

#[test]
fn without_room_for_a_segment_writes_are_refused_until_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let directory = create_directory(&open(dir.path()), "entra").unwrap();
    let spare = dir.path().join("log/spare");
    fs::remove_file(&spare).ok();
    // Above the hard mark, and yet no disk has room for such a segment.
    let settings = Settings {
        segment_bytes: 1 << 60,
        ..settings(dir.path())
    };
    let clock = Arc::new(ManualClock::new(AT));
    let store = Store::open(&settings, clock, &CountedIds::default(), &|_doing| {}).unwrap();
    assert_eq!(store.health().writable, Ok(()));
    let (acknowledged, error) = fill(&store, directory, 1000);
    assert_eq!(error, CommitError::NoSpace);
    // The keeper measures the room meanwhile, which does not make a segment.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2500) {
        assert!(store.health().writable.unwrap_err().contains("nearly full"));
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert!(body(&store, directory, acknowledged - 1).is_some());
    drop(store);
    let store = open(dir.path());
    assert_eq!(
        store.count(directory, USER),
        usize::try_from(acknowledged).unwrap()
    );
    assert!(create_directory(&store, "other").is_ok());
}

#[test]
fn an_applier_that_stalls_with_a_full_queue_holds_up_no_one() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(AT));
    let settings = settings(dir.path());
    let opened = startup::open(&settings, &*clock, &CountedIds::default(), &|_doing| {});
    let opened = opened.map_err(|error| error.to_string()).unwrap();
    let state = Arc::clone(&opened.applier.state);
    let view = View::new(
        opened.memory,
        state,
        0,
        clock,
        opened.lock,
        opened.chronicle.reader(),
    );
    let queue = Arc::new(Queue::default());
    let content: Arc<[u8]> = vec![0; 65 << 20].into();
    let key = Key::Setting("large".into());
    let new = Some((Mark::of(&key, &content), content));
    let op = Op {
        key,
        old: None,
        new,
        ticket: 0,
    };
    let effects = Effects {
        ops: vec![op],
        garbage: Vec::new(),
    };
    // Nobody takes it out again.
    queue.push([Work::new(1, effects)]);
    view.status().stall();
    let (jobs, jobs_in) = mpsc::sync_channel(2);
    let committer = Committer {
        view: view.clone(),
        writer: opened.writer,
        store: opened.store,
        queue,
        bell: Arc::default(),
        jobs: jobs_in,
    };
    let (reply, answer) = mpsc::sync_channel(1);
    let transaction = plain(vec![directory_change(0, "entra", Expect::Absent)]);
    let then = Box::new(move |outcome| drop(reply.send(outcome)));
    jobs.send(Job::Commit { transaction, then }).ok().unwrap();
    jobs.send(Job::Stop).ok().unwrap();
    committer.run();
    let error = answer.recv().unwrap().unwrap_err();
    assert!(matches!(error, CommitError::ReadOnly { .. }), "{error}");
    assert_eq!(view.directories(), []);
}
