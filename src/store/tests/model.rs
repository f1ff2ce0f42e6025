//! Random operations against a model, with clean and unclean restarts between them.

use std::collections::BTreeMap;

use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prelude::prop;
use proptest::prop_oneof;
use proptest::proptest;
use proptest::test_runner::Config;

use crate::base::ident::DirectoryId;
use crate::base::ident::Revision;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::Index;
use crate::store::change::NewRecord;
use crate::store::error::CommitError;
use crate::store::error::Reject;
use crate::store::tests::USER;
use crate::store::tests::crash;
use crate::store::tests::create_directory;
use crate::store::tests::id;
use crate::store::tests::open;
use crate::store::tests::plain;
use crate::store::tests::user;
use crate::store::tests::with_history;

/// One step.
#[derive(Clone, Debug)]
enum Step {
    /// Creates the directory of that name, or deletes it when it is there.
    Directory(u8),
    /// Puts users into a directory, all or none: number, name, size.
    Put(u8, Vec<(u32, u8, usize)>),
    /// Deletes a user.
    Delete(u8, u32),
    /// Sets a setting.
    Setting(u8, u8),
    /// Closes and opens again.
    Reopen,
    /// Goes on with a copy made while the store was open.
    Crash,
}

/// Any step.
fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![
        8 => 0..900_usize,
        1 => 4000..4200_usize,
        1 => 8000..40_000_usize,
    ];
    let users = prop::collection::vec((0..24_u32, 0..24_u8, size), 1..6);
    prop_oneof![
        1 => (0..3_u8).prop_map(Step::Directory),
        16 => (0..3_u8, users).prop_map(|(directory, users)| Step::Put(directory, users)),
        6 => (0..3_u8, 0..24_u32).prop_map(|(directory, user)| Step::Delete(directory, user)),
        1 => (0..3_u8, any::<u8>()).prop_map(|(name, value)| Step::Setting(name, value)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

/// What a directory should hold.
#[derive(Clone, Debug, Default)]
struct Directory {
    /// Users by number, with the order of their creation.
    users: BTreeMap<u32, (u64, NewRecord)>,
    /// Last history number.
    history: u64,
}

/// What the store should hold.
#[derive(Clone, Debug, Default)]
struct Model {
    /// Directories by name.
    directories: BTreeMap<u8, (DirectoryId, Directory)>,
    /// Settings.
    settings: BTreeMap<u8, u8>,
    /// Counts creations.
    born: u64,
}

/// The key of a name.
fn name(name: u8) -> String {
    format!("name {name}")
}

impl Model {
    /// Puts users as the store should, or says whether it should refuse.
    fn put(&mut self, to: u8, users: &[(u32, u8, usize)]) -> Option<(DirectoryId, Vec<Change>)> {
        let mut born = self.born;
        let (of, directory) = self.directories.get_mut(&to)?;
        let mut after = directory.clone();
        let mut changes = Vec::new();
        let mut taken = false;
        for (number, key, bytes) in users {
            let key = name(*key);
            let held = |(other, (_born, record)): (&u32, &(u64, NewRecord))| {
                other != number && *record.keys[0].1 == *key
            };
            taken |= after.users.iter().any(held);
            let (first, revision) = match after.users.get(number) {
                Some((first, record)) => (*first, record.revision.next()),
                None => {
                    born += 1;
                    (born, Revision::FIRST)
                }
            };
            let record = user(revision.0, &key, *bytes);
            after.users.insert(*number, (first, record.clone()));
            changes.push(Change::PutResource {
                directory: *of,
                kind: USER,
                id: id(*number),
                expect: if revision == Revision::FIRST {
                    Expect::Absent
                } else {
                    Expect::Revision(Revision(revision.0 - 1))
                },
                record,
            });
        }
        if !taken {
            after.history += 1;
            *directory = after;
            self.born = born;
        }
        Some((*of, changes))
    }
}

/// Makes one step in the store and in the model.
fn make(store: &Store, model: &mut Model, step: &Step) {
    match step {
        Step::Directory(to) => {
            if let Some((id, _directory)) = model.directories.remove(to) {
                let delete = Change::DeleteDirectory { id };
                store.commit(plain(vec![delete])).unwrap();
            } else {
                let id = create_directory(store, &format!("directory-{to}")).unwrap();
                model.directories.insert(*to, (id, Directory::default()));
            }
        }
        Step::Put(to, users) => {
            let before = model.directories.get(to).map(|(_id, found)| found.history);
            let Some((id, changes)) = model.put(*to, users) else {
                return;
            };
            let after = model.directories[to].1.history;
            match store.commit(with_history(id, changes)) {
                Ok(committed) => assert_eq!(committed.history, [after]),
                Err(CommitError::Rejected(Reject::Taken { .. })) => {
                    assert_eq!(before, Some(after));
                }
                Err(other) => panic!("{other}"),
            }
        }
        Step::Delete(to, number) => {
            let Some((directory, found)) = model.directories.get_mut(to) else {
                return;
            };
            let delete = Change::DeleteResource {
                directory: *directory,
                kind: USER,
                id: id(*number),
                expect: Expect::Exists,
                names: Vec::new(),
            };
            let outcome = store.commit(plain(vec![delete]));
            let there = found.users.remove(number).is_some();
            assert_eq!(outcome.is_ok(), there, "{outcome:?}");
        }
        Step::Setting(to, value) => {
            let put = Change::PutSetting {
                name: name(*to),
                value: [*value].into(),
                expect: Expect::Any,
            };
            store.commit(plain(vec![put])).unwrap();
            model.settings.insert(*to, *value);
        }
        Step::Reopen | Step::Crash => {}
    }
}

/// Compares everything.
fn compare(store: &Store, model: &Model) {
    assert_eq!(store.directories().len(), model.directories.len());
    for (of, directory) in model.directories.values() {
        assert_eq!(store.history_last(*of), directory.history);
        let mut users: Vec<_> = directory.users.iter().collect();
        users.sort_by_key(|(_number, (born, _record))| *born);
        let ids: Vec<_> = users.iter().map(|(number, _)| id(**number)).collect();
        assert_eq!(store.page(*of, USER, 0, 100), (ids.len(), ids.clone()));
        assert_eq!(
            store.page(*of, USER, 3, 2).1,
            ids.iter().copied().skip(3).take(2).collect::<Vec<_>>()
        );
        assert_eq!(store.lookup(*of, USER, Index::DisplayName, "all"), ids);
        for (number, (_born, record)) in users {
            let found = store.resource(*of, USER, id(*number)).unwrap().unwrap();
            assert_eq!(found.revision, record.revision);
            assert_eq!(found.body, record.body);
            let by_name = store.lookup(*of, USER, Index::UserName, &record.keys[0].1);
            assert_eq!(by_name, [id(*number)]);
        }
        for key in 0..24 {
            let held = directory
                .users
                .values()
                .any(|(_, record)| *record.keys[0].1 == *name(key));
            let found = store.lookup(*of, USER, Index::UserName, &name(key));
            assert_eq!(found.len(), usize::from(held));
        }
    }
    for (key, value) in &model.settings {
        assert_eq!(
            store.setting(&name(*key)).as_deref(),
            Some([*value].as_slice())
        );
    }
}

proptest! {
    #![proptest_config(Config { cases: 24, max_shrink_iters: 200, ..Config::default() })]
    #[test]
    fn the_store_is_what_was_committed(steps in prop::collection::vec(step(), 1..60)) {
        let mut dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let mut model = Model::default();
        make(&store, &mut model, &Step::Directory(0));
        for step in &steps {
            make(&store, &mut model, step);
            match step {
                Step::Reopen => {
                    drop(store);
                    store = open(dir.path());
                    compare(&store, &model);
                }
                Step::Crash => {
                    let copy = crash(dir.path());
                    drop(store);
                    dir = copy;
                    store = open(dir.path());
                    compare(&store, &model);
                }
                Step::Directory(_) | Step::Put(..) | Step::Delete(..) | Step::Setting(..) => {}
            }
        }
        compare(&store, &model);
        drop(store);
        compare(&open(dir.path()), &model);
    }
}
