//! The ladder of a start: every rung, and every refusal.

use std::fs;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::ident::DirectoryId;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::cell::Op;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::error::OpenError;
use crate::store::health::Rung;
use crate::store::log::read;
use crate::store::record::Stored;
use crate::store::state::State;
use crate::store::tests::USER;
use crate::store::tests::body;
use crate::store::tests::copy_all;
use crate::store::tests::create_directory;
use crate::store::tests::file_like;
use crate::store::tests::id;
use crate::store::tests::open;
use crate::store::tests::plain;
use crate::store::tests::put;
use crate::store::tests::try_open;
use crate::store::tests::user;
use crate::store::tests::with_history;

/// Users of [`filled`].
const USERS: u32 = 300;

/// Damages the store in a directory.
type Damage = Box<dyn Fn(&Path)>;
/// What a damage is called, the damage, and what the refusal must say.
type Case = (&'static str, fn(&Path), &'static str);

/// What a user of [`filled`] is.
fn expected(number: u32) -> Option<Box<[u8]>> {
    (number % 10 != 3).then(|| {
        let large = if number.is_multiple_of(50) { 9000 } else { 900 };
        user(1, &format!("user {number}"), large).body
    })
}

/// A closed store with users, some of them large, some deleted again.
fn filled(dir: &Path) {
    let store = open(dir);
    let directory = create_directory(&store, "entra").unwrap();
    for first in (0..USERS).step_by(50) {
        let creates = (first..first + 50).map(|number| {
            let large = if number.is_multiple_of(50) { 9000 } else { 900 };
            let record = user(1, &format!("user {number}"), large);
            put(directory, number, Expect::Absent, record)
        });
        store
            .commit(with_history(directory, creates.collect()))
            .unwrap();
    }
    let deletes = (0..USERS).filter(|number| number % 10 == 3);
    let deletes = deletes.map(|number| Change::DeleteResource {
        directory,
        kind: USER,
        id: id(number),
        expect: Expect::Exists,
        names: Vec::new(),
    });
    store.commit(plain(deletes.collect())).unwrap();
    drop(store);
    // So that a start reads every record, as after a crash.
    fs::remove_file(dir.join("index.snapshot")).unwrap();
}

/// Opens the store and compares everything with what [`filled`] wrote. Returns the rungs.
fn check(dir: &Path, label: &str) -> Vec<Rung> {
    let store = open(dir);
    let directory = DirectoryId(1);
    for number in 0..USERS {
        assert_eq!(
            body(&store, directory, number),
            expected(number),
            "{label}: {number}"
        );
    }
    let ids = (0..USERS)
        .filter(|number| expected(*number).is_some())
        .map(id);
    let (count, page) = store.page(directory, USER, 0, usize::MAX);
    assert_eq!((count, page), (270, ids.collect()), "{label}");
    assert_eq!(store.history_last(directory), 6, "{label}");
    assert_eq!(store.health().seq, 8, "{label}");
    store.health().rungs
}

/// Changes bytes of a file.
fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

/// Takes a user out of the state without telling it: what sled does when it loses a page.
fn lose_cell(dir: &Path, number: u32) {
    let state = State::open(&dir.join("sled")).unwrap();
    let key = Key::Resource(DirectoryId(1), USER, id(number));
    let (mark, _content) = state.get(&key).unwrap().unwrap();
    let op = Op {
        key,
        old: Some(mark),
        new: None,
        ticket: 0,
    };
    state.apply(&[op], &state.meta().unwrap().unwrap()).unwrap();
}

/// Puts an older copy of a user into the state without telling it.
fn bring_back_cell(dir: &Path) {
    let state = State::open(&dir.join("sled")).unwrap();
    let key = Key::Resource(DirectoryId(1), USER, id(1));
    let content: Arc<[u8]> = Stored::new(&user(1, "older", 5), 1, 0).unwrap().content;
    let op = Op {
        new: Some((Mark::of(&key, &content), content)),
        old: None,
        key,
        ticket: 0,
    };
    state.apply(&[op], &state.meta().unwrap().unwrap()).unwrap();
}

#[test]
fn whatever_happens_to_the_state_nothing_is_lost() {
    let original = tempfile::tempdir().unwrap();
    filled(original.path());
    let db_bytes = fs::metadata(original.path().join("sled/db")).unwrap().len();
    let damages: Vec<(String, Damage)> = [1_u64, 2, 5, 10, 20, 40]
        .into_iter()
        .flat_map(|part| {
            let at = db_bytes / 41 * part;
            let flip = move |dir: &Path| overwrite(&dir.join("sled/db"), at, &[0xa5; 16]);
            let zero = move |dir: &Path| overwrite(&dir.join("sled/db"), at, &[0; 4096]);
            let cut = move |dir: &Path| {
                let file = File::options()
                    .write(true)
                    .open(dir.join("sled/db"))
                    .unwrap();
                file.set_len(at).unwrap();
            };
            [
                (format!("flip at {at}"), Box::new(flip) as Damage),
                (format!("zeros at {at}"), Box::new(zero)),
                (format!("cut at {at}"), Box::new(cut)),
            ]
        })
        .chain([
            (
                "state missing".to_owned(),
                Box::new(|dir: &Path| fs::remove_dir_all(dir.join("sled")).unwrap()) as _,
            ),
            (
                "state empty".to_owned(),
                Box::new(|dir: &Path| File::create(dir.join("sled/db")).map(drop).unwrap()) as _,
            ),
            (
                "user lost".to_owned(),
                Box::new(|dir: &Path| lose_cell(dir, 7)) as _,
            ),
            (
                "user older".to_owned(),
                Box::new(|dir: &Path| bring_back_cell(dir)) as _,
            ),
        ])
        .collect();
    let mut mended = 0;
    for (label, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        copy_all(original.path(), dir.path());
        damage(dir.path());
        let rungs = check(dir.path(), &label);
        fs::remove_file(dir.path().join("index.snapshot")).unwrap();
        let aside = file_like(dir.path(), "sled.bad.");
        let was = rungs
            .iter()
            .any(|rung| matches!(rung, Rung::Rebuilt { .. }));
        assert_eq!(was, aside.is_some(), "{label}: {rungs:?}");
        let dropped = |rung: &Rung| matches!(rung, Rung::SnapshotsDropped { .. });
        mended += u32::from(was || rungs.iter().any(dropped));
        assert_eq!(
            check(dir.path(), &label),
            [],
            "{label}: the second start is clean"
        );
    }
    assert!(
        mended >= 2,
        "a replay alone mends no lost and no older user"
    );
}

#[test]
fn leftovers_of_sled_are_removed_before_it_stumbles_over_them() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    for (name, content) in [
        ("snap.FFFFFFFFFFFFFFFF.generating", b"".as_slice()),
        ("snap.00000000000FFFFF.generating", b"half a snapshot"),
    ] {
        let file = dir.path().join("sled").join(name);
        File::create(&file).unwrap().write_all(content).unwrap();
        let rungs = check(dir.path(), name);
        assert_eq!(rungs, [Rung::LeftoverRemoved { file }]);
    }
}

#[test]
fn only_the_latest_bad_state_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    for _time in 0..2 {
        // No rung below helps against this.
        overwrite(&dir.path().join("sled/conf"), 0, b"damaged");
        let rungs = check(dir.path(), "damaged");
        assert!(
            rungs
                .iter()
                .any(|rung| matches!(rung, Rung::Rebuilt { .. })),
            "{rungs:?}"
        );
    }
    let bad = fs::read_dir(dir.path()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str().unwrap().starts_with("sled.bad.")
    });
    assert_eq!(bad.count(), 1);
}

#[test]
fn a_second_open_is_told_that_the_store_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = try_open(dir.path()).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("in use by another process"), "{text}");
    assert!(create_directory(&store, "entra").is_ok());
    drop(store);
    assert_eq!(open(dir.path()).directories().len(), 1);
}

/// The last segment of the log.
fn last_segment(dir: &Path) -> PathBuf {
    let entries = fs::read_dir(dir.join("log")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let segments = paths.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
    segments.max().unwrap()
}

#[test]
fn what_a_replay_cannot_mend_is_refused_and_named() {
    let original = tempfile::tempdir().unwrap();
    filled(original.path());
    let cases: [Case; 5] = [
        (
            "log missing",
            |dir| fs::remove_dir_all(dir.join("log")).unwrap(),
            "no segment of the commit log",
        ),
        (
            "last segment missing",
            |dir| fs::remove_file(last_segment(dir)).unwrap(),
            "says that the commit log goes on there",
        ),
        (
            "end of the log lost",
            |dir| overwrite(&last_segment(dir), 4096, &vec![0; 60_000]),
            "which the state already holds",
        ),
        (
            "state missing and log damaged",
            |dir| {
                fs::remove_dir_all(dir.join("sled")).unwrap();
                overwrite(&dir.join("log/00000000000000000001.log"), 4200, &[1; 8]);
            },
            "transaction 1 is missing",
        ),
        (
            "state missing and the log's beginning too",
            |dir| {
                fs::remove_dir_all(dir.join("sled")).unwrap();
                fs::remove_file(dir.join("log/00000000000000000001.log")).unwrap();
            },
            "the commit log begins only with transaction",
        ),
    ];
    for (label, damage, text) in cases {
        let dir = tempfile::tempdir().unwrap();
        copy_all(original.path(), dir.path());
        damage(dir.path());
        for _try in 0..2 {
            let error = try_open(dir.path()).err().unwrap();
            assert!(
                matches!(error, OpenError::Damaged { .. }),
                "{label}: {error}"
            );
            assert!(error.to_string().contains(text), "{label}: {error}");
        }
    }
}

#[test]
fn damage_in_a_segment_that_is_not_needed_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let file = dir.path().join("log/00000000000000000001.log");
    assert_ne!(file, last_segment(dir.path()));
    overwrite(&file, 0, b"damaged");
    let rungs = check(dir.path(), "old segment");
    let what = "its header is not readable".to_owned();
    assert_eq!(rungs, [Rung::OldSegmentDamaged { file, what }]);
}

#[test]
fn a_torn_tail_is_cut_and_said() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let segments = read::list(&dir.path().join("log")).unwrap();
    let store = segments[0].header.unwrap().store;
    let end = read::replay::<OpenError>(&segments, store, 8, 8, &mut |_transaction| Ok(()));
    let (file, offset) = end.map(|end| (end.tip.path, end.tip.offset)).unwrap();
    overwrite(&file, offset, b"half a frame that was never acknowledged");
    let rungs = check(dir.path(), "torn");
    let bytes = 40;
    assert_eq!(
        rungs,
        [Rung::TailCut {
            file,
            offset,
            bytes
        }]
    );
    assert_eq!(check(dir.path(), "after the cut"), []);
}

#[test]
fn a_newer_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    overwrite(&last_segment(dir.path()), 8, &[9]);
    let error = try_open(dir.path()).err().unwrap();
    assert!(
        matches!(error, OpenError::Newer { found: 9, .. }),
        "{error}"
    );
}
