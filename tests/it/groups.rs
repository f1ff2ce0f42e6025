//! Members that come and go over several connections at once, and a large group that is read meanwhile.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;

use serde_json::json;

use crate::dice::Dice;
use crate::harness::Appliance;
use crate::harness::Directory;
use crate::roster::CONNECTIONS;
use crate::roster::crowd;
use crate::roster::group;
use crate::roster::members;
use crate::roster::one_member;
use crate::roster::patch;
use crate::wire::Answer;
use crate::wire::Request;
use crate::wire::Wire;

/// Members of the large group: more than are copied at once, and more than are sent at once.
const CROWD: usize = 4500;

/// The revision in an ETag.
fn revision(etag: &str) -> u64 {
    let number = etag
        .strip_prefix("W/\"")
        .and_then(|rest| rest.strip_suffix('"'));
    number.and_then(|number| number.parse().ok()).unwrap()
}

/// Each of the users comes or goes by a PATCH of its own. Returns what was answered.
fn take_turns(
    wire: &mut Wire,
    directory: &Directory,
    group: &str,
    dice: &mut Dice,
    turns: &[(String, bool)],
) -> Vec<Answer> {
    let path = format!("/Groups/{group}");
    let answers = turns.iter().map(|(id, comes)| {
        let operations = json!([one_member(*comes, id, dice.below(3))]);
        let request = directory.request("PATCH", &path).json(&patch(&operations));
        wire.send(&request).unwrap()
    });
    answers.collect()
}

#[test]
fn members_that_come_and_go_at_once_are_all_right_after_each_round() {
    const ROUNDS: usize = 20;
    const USERS: usize = 40;
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let users = crowd(&appliance, &directory, USERS);
    let id = group(&appliance, &directory, "Optics", &users[..USERS / 2]);
    let path = format!("/Groups/{id}");
    let mut inside: BTreeSet<String> = users[..USERS / 2].iter().cloned().collect();
    let mut wires: Vec<Wire> = (0..=CONNECTIONS).map(|_| appliance.connect()).collect();
    let mut reader = appliance.connect();
    let mut last = 2;
    for round in 0..ROUNDS {
        let mut turn = dice.fork(0);
        // Some already are where they go: these turns change nothing.
        let turns: Vec<(String, bool)> = users
            .iter()
            .filter(|_| dice.below(3) > 0)
            .map(|id| (id.clone(), turn.below(2) == 0))
            .collect();
        let real = turns
            .iter()
            .filter(|(id, comes)| inside.contains(id) != *comes);
        let real = u64::try_from(real.count()).unwrap();
        let name = format!("Optics {round}");
        let dice: Vec<Dice> = (1..=5).map(|number| dice.fork(number)).collect();
        let (directory, id, path, turns, name) = (&directory, &id, &path, &turns, &name);
        let answers: Vec<Answer> = thread::scope(|scope| {
            let (renamer, changers) = wires.split_first_mut().unwrap();
            let threads = changers.iter_mut().zip(dice).enumerate();
            let threads: Vec<_> = threads
                .map(|(number, (wire, mut dice))| {
                    let own = turns.iter().skip(number).step_by(CONNECTIONS);
                    let own: Vec<_> = own.cloned().collect();
                    scope.spawn(move || take_turns(wire, directory, id, &mut dice, &own))
                })
                .collect();
            // Somebody gives it another name meanwhile.
            let body = patch(&json!([{"op": "Replace", "path": "displayName", "value": name}]));
            let renamed = renamer.send(&directory.request("PATCH", path).json(&body));
            let answers = threads.into_iter().map(|thread| thread.join().unwrap());
            answers.flatten().chain([renamed.unwrap()]).collect()
        });
        for answer in &answers {
            assert_eq!(answer.status, 204, "seed {seed}, round {round}: {answer:?}");
        }
        for (id, comes) in turns {
            if *comes {
                inside.insert(id.clone());
            } else {
                inside.remove(id);
            }
        }
        let read = reader.send(&directory.request("GET", path)).unwrap();
        let group = read.json();
        assert_eq!(members(&group), inside, "seed {seed}, round {round}");
        assert_eq!(group["displayName"], name.as_str());
        // Each change moved the revision by one, and what changed nothing did not.
        last += real + 1;
        assert_eq!(
            revision(read.header("etag").unwrap()),
            last,
            "seed {seed}, round {round}"
        );
        let bare = format!("{path}?excludedAttributes=members");
        let bare = reader
            .send(&directory.request("GET", &bare))
            .unwrap()
            .json();
        assert_eq!(bare.get("members"), None, "no key at all");
    }
}

/// Reads a large group until told to stop. Returns which members it had at which revision.
fn read_whole(
    wire: &mut Wire,
    request: &Request,
    stop: &AtomicBool,
) -> Vec<(u64, BTreeSet<String>)> {
    let mut seen = Vec::new();
    loop {
        let done = stop.load(Ordering::SeqCst);
        let answer = wire.send(request).unwrap();
        assert_eq!(answer.status, 200);
        let group = answer.json();
        let group = group.get("Resources").map_or(&group, |list| &list[0]);
        let version = group["meta"]["version"].as_str().unwrap();
        if let Some(etag) = answer.header("etag") {
            assert_eq!(etag, version);
        }
        seen.push((revision(version), members(group)));
        if done {
            return seen;
        }
    }
}

/// Lets a new user come in the place of an old one, again and again, by one PATCH each. Returns at which revision the
/// group was when who had gone and who had come.
fn replace_some(
    wire: &mut Wire,
    directory: &Directory,
    group: &str,
    pairs: &[(String, String)],
) -> Vec<(u64, String, String)> {
    let path = format!("/Groups/{group}");
    let changes = pairs.iter().map(|(old, new)| {
        let operations = json!([one_member(false, old, 0), one_member(true, new, 1)]);
        let request = directory.request("PATCH", &path).json(&patch(&operations));
        let answer = wire.send(&request).unwrap();
        assert_eq!(answer.status, 204, "{answer:?}");
        let revision = revision(answer.header("etag").unwrap());
        (revision, old.clone(), new.clone())
    });
    changes.collect()
}

#[test]
fn a_large_group_that_others_change_is_read_as_it_was_at_one_revision() {
    const SPARE: usize = 60;
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let users = crowd(&appliance, &directory, CROWD + SPARE);
    let (inside, spare) = users.split_at(CROWD);
    let id = group(&appliance, &directory, "Everybody", inside);
    let path = format!("/Groups/{id}");
    // Those who go are at both ends and in the middle.
    let gone = inside.iter().step_by(CROWD / SPARE);
    let pairs: Vec<(String, String)> = gone.cloned().zip(spare.iter().cloned()).collect();
    let requests = [
        directory.request("GET", &path),
        directory.request("GET", "/Groups?filter=displayName+eq+%22everybody%22"),
    ];
    let stop = AtomicBool::new(false);
    let mut wires: Vec<Wire> = (0..4).map(|_| appliance.connect()).collect();
    let (seen, changes) = thread::scope(|scope| {
        let (readers, writers) = wires.split_at_mut(2);
        let (directory, stop, id) = (&directory, &stop, &id);
        let readers: Vec<_> = readers
            .iter_mut()
            .zip(&requests)
            .map(|(wire, request)| scope.spawn(move || read_whole(wire, request, stop)))
            .collect();
        let writers: Vec<_> = writers
            .iter_mut()
            .zip(pairs.chunks(SPARE / 2))
            .map(|(wire, pairs)| scope.spawn(move || replace_some(wire, directory, id, pairs)))
            .collect();
        let changes = writers
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        let changes: Vec<_> = changes.collect();
        stop.store(true, Ordering::SeqCst);
        let seen = readers
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        (seen.collect::<Vec<_>>(), changes)
    });
    let first = changes
        .iter()
        .map(|(revision, ..)| *revision)
        .min()
        .unwrap();
    let changes: BTreeMap<u64, _> = changes
        .into_iter()
        .map(|(revision, old, new)| (revision, (old, new)))
        .collect();
    assert!(
        changes
            .keys()
            .copied()
            .eq(first..first + u64::try_from(SPARE).unwrap()),
        "each change has a revision of its own, and nobody else has one"
    );
    let at = |revision: u64| {
        let mut members: BTreeSet<String> = inside.iter().cloned().collect();
        for (old, new) in changes.range(..=revision).map(|(_, change)| change) {
            assert!(members.remove(old) && members.insert(new.clone()));
        }
        members
    };
    for (revision, members) in &seen {
        assert_eq!(*members, at(*revision), "as it was at revision {revision}");
    }
    assert_eq!(
        seen.iter().map(|(revision, _)| *revision).max(),
        changes.keys().next_back().copied(),
        "who reads after the last change sees it"
    );
}
