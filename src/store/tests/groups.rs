//! Transactions that meet: in one group, from many threads, inside the commit thread.

use std::collections::BTreeSet;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::thread;

use crate::base::ident::Revision;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::HistoryDraft;
use crate::store::change::Index;
use crate::store::error::CommitError;
use crate::store::error::Reject;
use crate::store::log::group::Made;
use crate::store::memory::Memory;
use crate::store::staging::Staging;
use crate::store::tests::AT;
use crate::store::tests::USER;
use crate::store::tests::crash;
use crate::store::tests::create_directory;
use crate::store::tests::directory_change;
use crate::store::tests::id;
use crate::store::tests::open;
use crate::store::tests::plain;
use crate::store::tests::put;
use crate::store::tests::user;
use crate::store::tests::with_history;

#[test]
fn of_two_creates_of_one_name_in_a_group_one_wins() {
    let memory = Memory::default();
    let mut group = Staging::new(&memory, AT);
    let created = group.add(plain(vec![directory_change(0, "entra", Expect::Absent)]));
    let directory = created.unwrap().directory.unwrap();
    let again = group.add(plain(vec![directory_change(0, "entra", Expect::Absent)]));
    assert_eq!(again, Err(Reject::NameTaken));
    let create = |number, name| {
        with_history(
            directory,
            vec![put(directory, number, Expect::Absent, user(1, name, 0))],
        )
    };
    let taken = Err(Reject::Taken {
        index: Index::UserName,
        by: id(1),
    });
    assert_eq!(group.add(create(1, "mara")).unwrap().history, [1]);
    assert_eq!(group.add(create(2, "mara")), taken);
    assert_eq!(group.add(create(1, "ines")), Err(Reject::Exists));
    // Numbers have no gap where one was rejected.
    assert_eq!(group.add(create(3, "ines")).unwrap().history, [2]);
    // A rename frees the name for the next, and takes the new one.
    let first = Expect::Revision(Revision(1));
    let rename = put(directory, 1, first, user(2, "nora", 0));
    assert_eq!(group.add(plain(vec![rename.clone()])).unwrap().seq, 4);
    assert_eq!(
        group.add(plain(vec![rename])),
        Err(Reject::Changed {
            current: Revision(2)
        })
    );
    assert_eq!(group.add(create(4, "nora")), taken);
    assert_eq!(group.add(create(5, "mara")).unwrap().seq, 5);
    // A directory that goes takes everything along.
    let delete = Change::DeleteDirectory { id: directory };
    assert_eq!(group.add(plain(vec![delete])).unwrap().seq, 6);
    assert_eq!(group.add(create(6, "x")), Err(Reject::DirectoryGone));
    let created = group.add(plain(vec![directory_change(0, "entra", Expect::Absent)]));
    assert_ne!(created.unwrap().directory, Some(directory));
    assert_eq!(group.group.len(), 7);
}

#[test]
fn sixteen_threads_neither_lose_nor_share_anything() {
    const THREADS: u32 = 16;
    const EACH: u32 = 40;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let directory = create_directory(&store, "entra").unwrap();
    let work = |thread: u32| {
        let (mut numbers, mut won) = (Vec::new(), 0);
        for round in 0..EACH {
            let number = thread * EACH + round;
            let name = format!("own {number}");
            let create = put(directory, number, Expect::Absent, user(1, &name, 300));
            let committed = store.commit(with_history(directory, vec![create])).unwrap();
            numbers.extend(committed.history);
            // Everybody sees it at once, by id and by name.
            assert!(
                store
                    .resource(directory, USER, id(number))
                    .unwrap()
                    .is_some()
            );
            let found = store.lookup(directory, USER, Index::UserName, &name);
            assert_eq!(found, [id(number)]);
            // All threads want the same names; each is had once.
            let contested = 100_000 + number;
            let name = format!("contested {round}");
            let create = put(directory, contested, Expect::Absent, user(1, &name, 0));
            match store.commit(plain(vec![create])) {
                Ok(_committed) => won += 1,
                Err(CommitError::Rejected(Reject::Taken { .. })) => {}
                Err(other) => panic!("{other}"),
            }
        }
        (numbers, won)
    };
    let results: Vec<(Vec<u64>, u32)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || work(n))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(results.iter().map(|(_numbers, won)| won).sum::<u32>(), EACH);
    let numbers: BTreeSet<u64> = results
        .into_iter()
        .flat_map(|(numbers, _won)| numbers)
        .collect();
    assert!(numbers.into_iter().eq(1..=u64::from(THREADS * EACH)));
    let copy = crash(dir.path());
    let expected = store.page(directory, USER, 0, usize::MAX);
    drop(store);
    for dir in [dir, copy] {
        let store = open(dir.path());
        assert_eq!(store.page(directory, USER, 0, usize::MAX), expected);
        assert_eq!(store.history_last(directory), u64::from(THREADS * EACH));
        for id in &expected.1 {
            assert!(store.resource(directory, USER, *id).unwrap().is_some());
        }
    }
}

#[test]
fn what_is_prepared_inside_sees_everything_and_nobody_comes_between() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let directory = create_directory(&store, "entra").unwrap();
    let create = put(directory, 1, Expect::Absent, user(1, "0", 0));
    store.commit(plain(vec![create])).unwrap();
    let count_up = || {
        for _round in 0..25 {
            let committed = store.commit_with(Box::new(move |view| {
                let record = view.resource(directory, USER, id(1)).unwrap().unwrap();
                let revision = record.revision;
                let next = user(revision.next().0, &revision.to_string(), 0);
                Some(plain(vec![put(
                    directory,
                    1,
                    Expect::Revision(revision),
                    next,
                )]))
            }));
            assert!(committed.unwrap().is_some());
        }
    };
    thread::scope(|scope| {
        for _thread in 0..4 {
            scope.spawn(count_up);
        }
    });
    let record = store.resource(directory, USER, id(1)).unwrap().unwrap();
    assert_eq!(record.revision, Revision(101));
    assert_eq!(store.commit_with(Box::new(|_view| None)), Ok(None));
}

#[test]
fn a_panic_while_preparing_belongs_to_whoever_asked() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        store.commit_with(Box::new(|_view| panic!("in the preparation")))
    }));
    assert!(panicked.is_err());
    assert_eq!(store.health().writable, Ok(()));
    assert!(create_directory(&store, "entra").is_ok());
}

#[test]
fn a_closed_store_refuses_writes_and_answers_reads() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let directory = create_directory(&store, "entra").unwrap();
    store.shutdown();
    store.shutdown();
    let error = create_directory(&store, "other").unwrap_err();
    assert!(matches!(error, CommitError::ReadOnly { .. }), "{error}");
    assert!(store.directory_by_id(directory).is_some());
}

#[test]
fn each_history_entry_names_the_one_before_it_of_the_same_resource() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let directory = create_directory(&store, "entra").unwrap();
    let about = |numbers: &[u32], changes: Vec<Change>| {
        let one = with_history(directory, Vec::new()).history.remove(0);
        let entry = |number: &u32| HistoryDraft {
            id: id(*number),
            ..one.clone()
        };
        let mut transaction = plain(changes);
        transaction.history = numbers.iter().map(entry).collect();
        transaction
    };
    let create = |number, name: &str| put(directory, number, Expect::Absent, user(1, name, 0));
    let update = |number, name: &str| {
        let expect = Expect::Revision(Revision(1));
        put(directory, number, expect, user(2, name, 0))
    };
    let memory = store.memory();
    let mut group = Staging::new(&memory, AT);
    for transaction in [
        about(&[1, 2], vec![create(1, "mara"), create(2, "ines")]),
        about(&[1], vec![update(1, "mara")]),
        // Twice about one resource, in one transaction.
        about(
            &[2, 1, 2],
            vec![
                update(2, "ines"),
                put(directory, 1, Expect::Any, user(3, "mara", 0)),
            ],
        ),
        // A change without an entry leaves the number where it was.
        plain(vec![put(directory, 1, Expect::Any, user(4, "mara", 0))]),
        about(
            &[1],
            vec![Change::DeleteResource {
                directory,
                kind: USER,
                id: id(1),
                expect: Expect::Any,
                names: Vec::new(),
            }],
        ),
    ] {
        group.add(transaction).unwrap();
    }
    let entries = group.group.iter().flat_map(|logged| &logged.history);
    let numbers: Vec<_> = entries
        .map(|entry| (entry.number, entry.previous))
        .collect();
    assert_eq!(
        numbers,
        [(1, 0), (2, 0), (3, 1), (4, 2), (5, 4), (6, 3), (7, 6)]
    );
    let made = group.group.iter().flat_map(|logged| &logged.changes);
    let stored: Vec<_> = made
        .filter_map(|made| match made {
            Made::PutResource { stored, .. } => Some(stored.header.history),
            _ => None,
        })
        .collect();
    assert_eq!(stored, [1, 2, 3, 5, 6, 6]);
}
