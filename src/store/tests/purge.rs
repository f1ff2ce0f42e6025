//! Deleted directories, and transactions the state has only half of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::base::ident::DirectoryId;
use crate::base::ident::DirectoryName;
use crate::base::ident::TokenId;
use crate::store::applier::Applier;
use crate::store::cell::Key;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::Index;
use crate::store::error::OpenError;
use crate::store::health::Rung;
use crate::store::log::read;
use crate::store::memory::Memory;
use crate::store::meta::Meta;
use crate::store::queue::Work;
use crate::store::replay;
use crate::store::state::State;
use crate::store::tests::USER;
use crate::store::tests::body;
use crate::store::tests::copy_all;
use crate::store::tests::crash;
use crate::store::tests::create_directory;
use crate::store::tests::directory_change;
use crate::store::tests::id;
use crate::store::tests::open;
use crate::store::tests::plain;
use crate::store::tests::put;
use crate::store::tests::token_change;
use crate::store::tests::user;
use crate::store::tests::wait_until;
use crate::store::tests::with_history;

/// How many cells of `directory` the closed store in `dir` has, tombstone included.
fn cells_of(dir: &Path, directory: DirectoryId) -> usize {
    let state = State::open(&dir.join("sled")).unwrap();
    let mut count = 0;
    state
        .scan(&mut |key, _cell| {
            let belongs = match key {
                Key::Purge(of)
                | Key::Directory(of)
                | Key::History(of)
                | Key::Token(of, _)
                | Key::Resource(of, _, _)
                | Key::Member(of, _, _)
                | Key::Deleted(of, _) => of == directory,
                Key::Counter(_) | Key::Setting(_) => false,
            };
            count += usize::from(belongs);
            Ok(())
        })
        .unwrap();
    count
}

#[test]
fn a_deleted_directory_is_gone_at_once_and_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let directory = create_directory(&store, "entra").unwrap();
    let kept = create_directory(&store, "kept").unwrap();
    let token = TokenId::parse("aaaaaaaaaa").unwrap();
    let mut changes: Vec<Change> = (0..400)
        .map(|n| put(directory, n, Expect::Absent, user(1, &format!("{n}"), 3900)))
        .collect();
    changes.push(token_change("aaaaaaaaaa", Some(directory), Expect::Absent));
    store.commit(with_history(directory, changes)).unwrap();
    let create = put(kept, 1, Expect::Absent, user(1, "mara", 0));
    store.commit(plain(vec![create])).unwrap();
    store
        .commit(plain(vec![Change::DeleteDirectory { id: directory }]))
        .unwrap();
    let check = |store: &crate::store::Store| {
        let name = DirectoryName::parse("entra").unwrap();
        assert_eq!(store.directory(&name), None);
        assert_eq!(store.token(token), None);
        assert_eq!(body(store, directory, 1), None);
        assert_eq!(store.lookup(directory, USER, Index::UserName, "1"), []);
        assert_eq!(store.page(directory, USER, 0, 9), (0, vec![]));
        assert!(body(store, kept, 1).is_some());
    };
    check(&store);
    let copy = crash(dir.path());
    // Its name is free; its number is not.
    assert_eq!(create_directory(&store, "entra").unwrap(), DirectoryId(3));
    drop(store);
    let store = open(copy.path());
    check(&store);
    drop(store);
    for dir in [dir, copy] {
        // The purge goes on with the next start, until nothing is left.
        let store = open(dir.path());
        wait_until("the purge ends", || store.health().purging == 0);
        drop(store);
        assert_eq!(cells_of(dir.path(), directory), 0);
        assert_eq!(open(dir.path()).health().rungs, []);
    }
}

/// A state in `dir` that has only the first `steps` batches of the log there.
fn half(dir: &Path, steps: usize) -> Meta {
    fs::remove_dir_all(dir.join("sled")).unwrap();
    let segments = read::list(&dir.join("log")).unwrap();
    let store = segments.last().unwrap().header.unwrap().store;
    let (mut memory, mut works) = (Memory::default(), Vec::new());
    read::replay::<OpenError>(&segments, store, 0, 0, &mut |transaction| {
        let effects = memory.apply(transaction.seq, &transaction.logged);
        works.push(Work::new(transaction.seq, effects));
        Ok(())
    })
    .unwrap();
    let state = Arc::new(State::open(&dir.join("sled")).unwrap());
    let mut applier = Applier::new(state, Meta::empty(store), []);
    let mut works = works.into();
    for _step in 0..steps {
        applier.step(&mut works).unwrap();
    }
    applier.state.checkpoint().unwrap();
    applier.meta
}

#[test]
fn a_half_applied_transaction_is_gone_on_with_where_it_stopped() {
    let original = tempfile::tempdir().unwrap();
    let store = open(original.path());
    let directory = create_directory(&store, "entra").unwrap();
    let many = |range: std::ops::Range<u32>, revision| {
        let changes = range.map(|n| {
            let record = user(
                revision,
                &format!("{n}"),
                500 * usize::try_from(revision).unwrap(),
            );
            put(directory, n, Expect::Any, record)
        });
        changes.collect::<Vec<_>>()
    };
    store.commit(plain(many(0..200, 1))).unwrap();
    let mut changes = many(0..100, 30);
    changes.push(Change::PutResource {
        directory,
        kind: USER,
        id: id(0),
        expect: Expect::Exists,
        record: user(31, "0", 1),
    });
    changes.extend((150..200).map(|n| Change::DeleteResource {
        directory,
        kind: USER,
        id: id(n),
        expect: Expect::Exists,
        names: Vec::new(),
    }));
    store.commit(with_history(directory, changes)).unwrap();
    let expected = store.page(directory, USER, 0, usize::MAX);
    let bodies: Vec<_> = (0..200).map(|n| body(&store, directory, n)).collect();
    drop(store);
    let mut halves = 0;
    for steps in 0..14 {
        let dir = tempfile::tempdir().unwrap();
        copy_all(original.path(), dir.path());
        let meta = half(dir.path(), steps);
        halves += usize::from(meta.done > 0);
        let store = open(dir.path());
        assert_eq!(
            store.page(directory, USER, 0, usize::MAX),
            expected,
            "{steps}"
        );
        let now: Vec<_> = (0..200).map(|n| body(&store, directory, n)).collect();
        assert_eq!(now, bodies, "{steps}");
        assert_eq!(store.history_last(directory), 1, "{steps}");
        drop(store);
        let state = State::open(&dir.path().join("sled")).unwrap();
        let meta = state.meta().unwrap().unwrap();
        assert_eq!((meta.seq, meta.done), (3, 0), "{steps}");
        assert!(replay::verify(&state, &meta).is_ok(), "{steps}");
    }
    assert!(halves > 5, "{halves}");
}

#[test]
fn a_transaction_of_every_kind_is_gone_on_with_after_each_of_its_operations() {
    let original = tempfile::tempdir().unwrap();
    let store = open(original.path());
    let old = create_directory(&store, "old").unwrap();
    let setting = |value: usize| Change::PutSetting {
        name: "large".to_owned(),
        // Large enough that every batch ends behind it.
        value: vec![7; (1 << 20) + value].into(),
        expect: Expect::Any,
    };
    let new = DirectoryId(2);
    let changes = [
        token_change("aaaaaaaaaa", Some(old), Expect::Absent),
        Change::DeleteDirectory { id: old },
        directory_change(0, "old", Expect::Absent),
        put(new, 1, Expect::Absent, user(1, "mara", 0)),
        token_change("bbbbbbbbbb", Some(new), Expect::Absent),
        directory_change(2, "new", Expect::Exists),
    ];
    // One batch an operation: between any two of them the process may end.
    let changes = (1..).zip(changes);
    let changes = changes.flat_map(|(nth, change)| [setting(nth), change]);
    store.commit(with_history(new, changes.collect())).unwrap();
    drop(store);
    let (mut steps, mut done) = (0, BTreeSet::new());
    loop {
        let dir = tempfile::tempdir().unwrap();
        copy_all(original.path(), dir.path());
        let meta = half(dir.path(), steps);
        done.insert(meta.done);
        for _start in 0..2 {
            let store = open(dir.path());
            let rungs = store.health().rungs;
            let mended = |rung: &Rung| !matches!(rung, Rung::Replayed { .. });
            assert!(!rungs.iter().any(mended), "{steps}: {rungs:?}");
            let names = store
                .directories()
                .into_iter()
                .map(|row| row.name.to_string());
            assert!(names.eq(["new".to_owned()]), "{steps}");
            let token = |id| store.token(TokenId::parse(id).unwrap()).is_some();
            assert_eq!(
                (token("aaaaaaaaaa"), token("bbbbbbbbbb")),
                (false, true),
                "{steps}"
            );
            assert!(body(&store, new, 1).is_some(), "{steps}");
            assert_eq!(store.history_last(new), 1, "{steps}");
        }
        if meta.seq == 2 {
            break;
        }
        steps += 1;
    }
    assert!(done.len() > 6, "{done:?}");
}
