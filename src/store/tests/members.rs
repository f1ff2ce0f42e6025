//! Random memberships against a model: nested groups, loops, deletions and what comes back, with
//! restarts, bases and rebuilt states between them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::prop;
use proptest::prop_oneof;
use proptest::proptest;
use proptest::test_runner::Config;

use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::scim::schema::ResourceKind;
use crate::store::Store;
use crate::store::change::AsRead;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::MemberStep;
use crate::store::change::NewRecord;
use crate::store::change::Select;
use crate::store::change::Unknown;
use crate::store::desk::Chore;
use crate::store::error::CommitError;
use crate::store::error::Reject;
use crate::store::tests::AT;
use crate::store::tests::crash;
use crate::store::tests::create_directory;
use crate::store::tests::id;
use crate::store::tests::open;
use crate::store::tests::plain;
use crate::store::tests::rejected;
use crate::store::tests::wait_until;

/// Numbers below are users, those from here on groups,
const GROUPS: u32 = 14;
/// up to here. The last two are never made.
const ALL: u32 = 24;

/// One step.
#[derive(Clone, Debug)]
enum Step {
    /// Creates a resource, or brings it back.
    Create(u32),
    /// Deletes it.
    Delete(u32),
    /// Changes the members of a group.
    Members(u32, Vec<(u8, Vec<u32>)>, bool),
    /// Forgets a deleted resource.
    Forget(u32),
    /// Closes and opens again.
    Reopen,
    /// Goes on with a copy made while the store was open.
    Crash,
    /// Goes through everything that is stored.
    Chore(Chore),
}

/// Any step.
fn step() -> impl Strategy<Value = Step> {
    let ids = prop::collection::vec(0..ALL, 0..6);
    let steps = prop::collection::vec((0..3_u8, ids), 1..4);
    let chore = prop_oneof![Just(Chore::Verify), Just(Chore::Base), Just(Chore::Rebuild)];
    prop_oneof![
        8 => (0..ALL - 2).prop_map(Step::Create),
        4 => (0..ALL - 2).prop_map(Step::Delete),
        16 => (GROUPS..ALL, steps, proptest::bool::ANY)
            .prop_map(|(group, steps, strict)| Step::Members(group, steps, strict)),
        2 => (0..ALL - 2).prop_map(Step::Forget),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
        1 => chore.prop_map(Step::Chore),
    ]
}

/// What the store should hold.
#[derive(Clone, Debug, Default)]
struct Model {
    /// Resources that exist, with their revisions.
    live: BTreeMap<u32, u64>,
    /// Deleted ones that can come back.
    deleted: BTreeSet<u32>,
    /// Memberships: group and member.
    edges: BTreeSet<(u32, u32)>,
}

/// What a number is.
fn kind(number: u32) -> ResourceKind {
    if number < GROUPS {
        ResourceKind::User
    } else {
        ResourceKind::Group
    }
}

/// The record of a resource at a revision.
fn record(number: u32, revision: u64) -> NewRecord {
    NewRecord {
        revision: Revision(revision),
        created: AT,
        modified: AT,
        keys: Vec::new(),
        unique: Vec::new(),
        label: (number >= GROUPS).then(|| format!("Group {number}").into()),
        body: format!("{{\"number\":{number}}}").into_bytes().into(),
    }
}

/// A change of a group's members.
fn members(
    directory: DirectoryId,
    number: u32,
    steps: Vec<MemberStep>,
    unknown: Unknown,
    revision: u64,
) -> Change {
    Change::Members {
        directory,
        group: id(number),
        expect: Expect::Exists,
        steps,
        unknown,
        read: Some(AsRead {
            revision: Revision(revision),
            record: record(number, 0),
        }),
    }
}

impl Model {
    /// Whether a number means something.
    fn known(&self, number: u32) -> bool {
        self.live.contains_key(&number) || self.deleted.contains(&number)
    }

    /// The members of a group after these steps; nothing when they are refused.
    fn after(&self, group: u32, steps: &[(u8, Vec<u32>)], strict: bool) -> Option<BTreeSet<u32>> {
        let of = |(of, member): &(u32, u32)| (*of == group).then_some(*member);
        let mut members: BTreeSet<u32> = self.edges.iter().filter_map(of).collect();
        for (what, ids) in steps {
            if *what == 1 {
                members.retain(|member| !ids.contains(member));
                continue;
            }
            let known: BTreeSet<u32> = ids.iter().copied().filter(|n| self.known(*n)).collect();
            let strange = ids.iter().any(|number| !self.known(*number));
            if strange && (strict || known.is_empty()) {
                return None;
            }
            if *what == 2 {
                members.clear();
            }
            members.extend(known);
        }
        Some(members)
    }

    /// The groups of a resource, those it is in through others last.
    fn groups_of(&self, member: u32) -> (BTreeSet<u32>, BTreeSet<u32>) {
        let above = |member: u32| {
            let edges = self.edges.iter().filter(move |(_, other)| *other == member);
            let groups = edges.map(|(group, _)| *group);
            groups.filter(|group| self.live.contains_key(group))
        };
        let direct: BTreeSet<u32> = above(member).collect();
        let mut all = direct.clone();
        loop {
            let more: BTreeSet<u32> = all.iter().flat_map(|group| above(*group)).collect();
            let before = all.len();
            all.extend(more);
            if all.len() == before {
                break;
            }
        }
        if !direct.contains(&member) {
            all.remove(&member);
        }
        (direct.clone(), all.difference(&direct).copied().collect())
    }
}

/// Deletes a resource.
fn delete(store: &Store, directory: DirectoryId, model: &mut Model, number: u32) {
    let gone = Change::DeleteResource {
        directory,
        kind: kind(number),
        id: id(number),
        expect: Expect::Exists,
        names: Vec::new(),
    };
    if !model.live.contains_key(&number) {
        assert_eq!(rejected(store.commit(plain(vec![gone]))), Reject::Missing);
        return;
    }
    let mut changes = Vec::new();
    for group in model.groups_of(number).0 {
        if group == number {
            continue;
        }
        let leave = vec![MemberStep::Leave(id(number))];
        let revision = model.live.get_mut(&group).unwrap();
        changes.push(members(directory, group, leave, Unknown::Refuse, *revision));
        *revision += 1;
    }
    if !changes.is_empty() {
        let alone = store.commit(plain(vec![gone.clone()]));
        assert_eq!(rejected(alone), Reject::Stale);
    }
    changes.push(gone);
    store.commit(plain(changes)).unwrap();
    model.live.remove(&number);
    model.deleted.insert(number);
}

/// Changes the members of a group.
fn change(
    store: &Store,
    directory: DirectoryId,
    model: &mut Model,
    (group, steps, strict): (u32, &[(u8, Vec<u32>)], bool),
) {
    let unknown = if strict {
        Unknown::Refuse
    } else {
        Unknown::LeaveOut
    };
    let asked = steps.iter().map(|(what, ids)| {
        let ids = ids.iter().map(|number| id(*number)).collect();
        match what {
            0 => MemberStep::Add(ids),
            1 => MemberStep::Remove(ids),
            _ => MemberStep::Set(ids),
        }
    });
    let revision = model.live.get(&group).copied().unwrap_or(1);
    let made = members(directory, group, asked.collect(), unknown, revision);
    let outcome = store.commit(plain(vec![made]));
    if !model.live.contains_key(&group) {
        assert_eq!(rejected(outcome), Reject::Missing);
        return;
    }
    let Some(after) = model.after(group, steps, strict) else {
        let reject = rejected(outcome);
        assert!(matches!(reject, Reject::UnknownMembers { .. }), "{reject}");
        return;
    };
    let before = model.edges.clone();
    model.edges.retain(|(of, _)| *of != group);
    model
        .edges
        .extend(after.iter().map(|member| (group, *member)));
    let changed = before != model.edges;
    let revision = model.live.get_mut(&group).unwrap();
    *revision += u64::from(changed);
    let told = &outcome.unwrap().members[0];
    assert_eq!((told.changed, told.revision.0), (changed, *revision));
}

/// Forgets a deleted resource.
fn forget(store: &Store, directory: DirectoryId, model: &mut Model, number: u32) {
    let expired = store.expired(directory, AT.plus_millis(1), 100);
    let expired = expired.into_iter().find(|found| found.id == id(number));
    assert_eq!(expired.is_some(), model.deleted.contains(&number));
    let Some(expired) = expired else { return };
    let forgotten = Change::Forget {
        directory,
        id: id(number),
        memberships: expired.memberships,
    };
    store.commit(plain(vec![forgotten])).unwrap();
    model.deleted.remove(&number);
    let gone = |number: &u32| !model.known(*number);
    let edges = model.edges.clone();
    let kept = edges.into_iter().filter(|(group, member)| {
        // What is kept at a group that is gone too goes with that.
        !gone(group) && (!gone(member) || model.deleted.contains(group))
    });
    model.edges = kept.collect();
}

/// Makes one step in the store and in the model.
fn make(store: &Store, directory: DirectoryId, model: &mut Model, step: &Step) {
    match step {
        Step::Create(number) => {
            if model.live.contains_key(number) {
                return;
            }
            let put = Change::PutResource {
                directory,
                kind: kind(*number),
                id: id(*number),
                expect: Expect::Absent,
                record: record(*number, 1),
            };
            store.commit(plain(vec![put])).unwrap();
            model.live.insert(*number, 1);
            model.deleted.remove(number);
        }
        Step::Delete(number) => delete(store, directory, model, *number),
        Step::Members(group, steps, strict) => {
            change(store, directory, model, (*group, steps, *strict));
        }
        Step::Forget(number) => forget(store, directory, model, *number),
        Step::Chore(chore) => {
            let reports = store
                .chore(*chore, Duration::from_secs(60))
                .unwrap()
                .unwrap();
            if *chore == Chore::Verify {
                let verified = reports.verification.unwrap();
                let wrong = (verified.damaged, verified.surplus, verified.agrees);
                assert_eq!(wrong, (0, 0, true));
            }
            // A copy made while a state is being removed would be of no moment that ever was.
            wait_until("no other state is left", || {
                store.parts().is_ok_and(|parts| parts.other_states == 0)
            });
        }
        Step::Reopen | Step::Crash => {}
    }
}

/// Compares everything.
fn compare(store: &Store, directory: DirectoryId, model: &Model) {
    let ids = |numbers: &BTreeSet<u32>| -> BTreeSet<ResourceId> {
        numbers.iter().map(|number| id(*number)).collect()
    };
    let mut count = 0;
    for (number, revision) in &model.live {
        let record = store.resource(directory, kind(*number), id(*number));
        assert_eq!(record.unwrap().unwrap().revision, Revision(*revision));
        let (direct, through) = model.groups_of(*number);
        let groups = store.groups_of(directory, id(*number));
        for (is_direct, wanted) in [(true, &direct), (false, &through)] {
            let found = groups.iter().filter(|group| group.direct == is_direct);
            let found: BTreeSet<_> = found.map(|group| group.id).collect();
            assert_eq!(found, ids(wanted), "groups of {number}");
        }
        assert!(groups.iter().all(|group| group.label.starts_with("Group ")));
        let select = Select::HasMember(id(*number));
        let found = store.select(directory, ResourceKind::Group, &select);
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), ids(&direct));
        assert_eq!(store.lopsided(directory, id(*number)), []);
        assert!(store.is_balanced(directory));
        if kind(*number) == ResourceKind::User {
            continue;
        }
        let members = model.edges.iter().filter(|(group, _)| group == number);
        let members = members.map(|(_, member)| *member);
        let members: BTreeSet<u32> = members.filter(|n| model.live.contains_key(n)).collect();
        let found = store
            .members(directory, id(*number), Revision(*revision))
            .unwrap();
        assert!(found.is_sorted_by_key(|member| member.id));
        let found_ids: BTreeSet<_> = found.iter().map(|member| member.id).collect();
        assert_eq!(found_ids, ids(&members), "members of {number}");
        assert_eq!(store.member_count(directory, id(*number)), members.len());
        count += members.len();
        assert_eq!(store.members(directory, id(*number), Revision(0)), None);
        for other in 0..ALL {
            let member = store.member(directory, id(*number), id(other));
            let wanted = members.contains(&other).then(|| kind(other));
            assert_eq!(member.map(|member| member.kind), wanted);
        }
        let within = |user: &u32| {
            let (direct, through) = model.groups_of(*user);
            *user < GROUPS && (direct.contains(number) || through.contains(number))
        };
        let within: BTreeSet<u32> = model.live.keys().copied().filter(within).collect();
        let select = Select::InGroup(id(*number));
        let found = store.select(directory, ResourceKind::User, &select);
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), ids(&within));
    }
    for number in 0..ALL {
        let left = store.deleted(directory, id(number));
        assert_eq!(left.is_some(), model.deleted.contains(&number), "{number}");
        assert!(left.is_none_or(|left| left.kind == kind(number)));
    }
    let hidden = model.edges.len() - count;
    assert_eq!(store.membership_count(), (count, hidden));
}

proptest! {
    #![proptest_config(Config { cases: 16, max_shrink_iters: 400, ..Config::default() })]
    #[test]
    fn memberships_are_what_was_committed(steps in prop::collection::vec(step(), 1..90)) {
        let mut dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let directory = create_directory(&store, "entra").unwrap();
        let mut model = Model::default();
        for step in &steps {
            make(&store, directory, &mut model, step);
            match step {
                Step::Reopen => {
                    drop(store);
                    store = open(dir.path());
                }
                Step::Crash => {
                    let copy = crash(dir.path());
                    drop(store);
                    dir = copy;
                    store = open(dir.path());
                }
                Step::Create(_)
                | Step::Delete(_)
                | Step::Members(..)
                | Step::Forget(_)
                | Step::Chore(_) => {}
            }
            compare(&store, directory, &model);
        }
        drop(store);
        let store = open(dir.path());
        compare(&store, directory, &model);
        make(&store, directory, &mut model, &Step::Chore(Chore::Verify));
    }
}

#[test]
fn a_group_that_changed_otherwise_has_to_be_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let directory = create_directory(&store, "entra").unwrap();
    let mut model = Model::default();
    for number in [1, 2, GROUPS] {
        make(&store, directory, &mut model, &Step::Create(number));
    }
    let add = |number, revision| {
        let steps = vec![MemberStep::Add(vec![id(number)])];
        plain(vec![members(
            directory,
            GROUPS,
            steps,
            Unknown::Refuse,
            revision,
        )])
    };
    // Read at revision 1, changed since by another membership only.
    store.commit(add(1, 1)).unwrap();
    let told = store.commit(add(2, 1)).unwrap().members;
    assert_eq!((told[0].changed, told[0].revision), (true, Revision(3)));
    // Changed since in its JSON.
    let put = Change::PutResource {
        directory,
        kind: ResourceKind::Group,
        id: id(GROUPS),
        expect: Expect::Revision(Revision(3)),
        record: NewRecord {
            body: b"{}".as_slice().into(),
            ..record(GROUPS, 4)
        },
    };
    store.commit(plain(vec![put])).unwrap();
    let remove = vec![MemberStep::Remove(vec![id(1)])];
    let remove = members(directory, GROUPS, remove, Unknown::Refuse, 3);
    let outcome = store.commit(plain(vec![remove]));
    assert_eq!(outcome, Err(CommitError::Rejected(Reject::Stale)));
}
