//! Nothing acknowledged is lost: parallel writers over TLS against the real binary, SIGKILL at a random moment, again.
//!
//! Every writer owns its users and knows of each what was acknowledged and what was under way when the process died.
//! After the restart each acknowledged write must be there, each write under way wholly there or wholly absent, and
//! record, `userName`, `externalId`, list and count must agree. `ROLLCALL_KILL_ROUNDS` sets the rounds (default 4),
//! `ROLLCALL_KILL_SEED` repeats the choices of a run (not the moments: those belong to the machine).

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::dice::Dice;
use crate::process::Access;
use crate::process::Process;
use crate::process::pause;
use crate::wire::Answer;
use crate::wire::Wire;

/// Writers at once.
const WRITERS: u64 = 8;
/// Latest moment of a kill after the writers began, in milliseconds.
const KILL_WITHIN_MS: u64 = 900;
/// How many of a user's former names are looked for.
const OLD_NAMES: usize = 4;
/// Rounds over one store. Then a new one, as checking everybody who ever was takes longer each time.
const ROUNDS_A_STORE: u64 = 10;
/// Of how many restarts one is killed while it starts.
const KILL_WHILE_STARTING: u64 = 4;

/// What a user is to be: two attributes that always change together, and a name that is indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    /// `userName`
    name: String,
    /// `title` and `nickName`, equal.
    mark: String,
}

/// One user of a writer.
#[derive(Clone, Debug)]
struct User {
    /// Its number; `externalId` is made of it and never changes.
    external: String,
    /// Its id, once acknowledged.
    id: Option<String>,
    /// What was acknowledged; `None` = not there.
    known: Option<State>,
    /// What was asked for and not acknowledged. `Some(None)` = a deletion.
    pending: Option<Option<State>>,
    /// Names it once had, which must be free.
    old_names: Vec<String>,
}

/// A writer: its users live on over all rounds.
#[derive(Debug)]
struct Writer {
    /// Its number, part of the names it gives.
    number: u64,
    /// Its chance.
    dice: Dice,
    /// Everybody it ever made.
    users: Vec<User>,
}

/// What all rounds came to.
#[derive(Debug, Default)]
struct Sum {
    /// Writes that were acknowledged.
    acknowledged: u64,
    /// Acknowledged writes that are not there.
    lost: Vec<String>,
    /// Places where two ways of asking disagree, or a write is there in part.
    disagreements: Vec<String>,
}

impl Writer {
    /// A writer that has made nobody yet.
    fn new(number: u64, dice: &mut Dice) -> Self {
        Self {
            number,
            dice: dice.fork(number),
            users: Vec::new(),
        }
    }
}

/// How many users the writers made.
fn count(writers: &[Writer]) -> usize {
    writers.iter().map(|writer| writer.users.len()).sum()
}

#[test]
fn acknowledged_writes_survive_sigkill() {
    let rounds = number("ROLLCALL_KILL_ROUNDS").unwrap_or(4);
    let seed = number("ROLLCALL_KILL_SEED").unwrap_or_else(Dice::seed);
    let mut dice = Dice::new(seed);
    let mut writers = Vec::new();
    let mut sum = Sum::default();
    let mut process = Process::new();
    let mut users = 0;
    for round in 0..rounds {
        if round % ROUNDS_A_STORE == 0 {
            users += count(&writers);
            writers = (0..WRITERS)
                .map(|number| Writer::new(number, &mut dice))
                .collect();
            process = Process::new();
        }
        start(&mut process, &mut dice);
        let access = process.ready();
        writers = write_until_killed(&mut process, &access, writers, &mut dice, &mut sum);
        start(&mut process, &mut dice);
        let access = process.ready();
        check(&access, &mut writers, &mut sum).unwrap();
        process.kill();
        assert!(
            sum.lost.is_empty() && sum.disagreements.is_empty(),
            "seed {seed}, round {round}: {sum:#?}\n{}",
            process.output()
        );
    }
    let summary = format!(
        "kill: seed {seed}, {rounds} rounds, {} acknowledged writes, {} users, {} lost, {} disagreements",
        sum.acknowledged,
        users + count(&writers),
        sum.lost.len(),
        sum.disagreements.len()
    );
    tell(&summary);
    assert!(sum.acknowledged > rounds, "the writers wrote: {summary}");
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().unwrap();
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// Prints for those who ask with `--nocapture`.
#[expect(clippy::print_stdout, reason = "the sum of a long run is for people")]
fn tell(text: &str) {
    println!("{text}");
}

/// Starts the process; now and then it is killed while it starts, and started again.
fn start(process: &mut Process, dice: &mut Dice) {
    process.spawn();
    if dice.below(KILL_WHILE_STARTING) == 0 {
        pause(Duration::from_millis(dice.below(120)));
        process.kill();
        process.spawn();
    }
}

/// Lets the writers write, kills the process, and waits for the writers to notice.
fn write_until_killed(
    process: &mut Process,
    access: &Access,
    writers: Vec<Writer>,
    dice: &mut Dice,
    sum: &mut Sum,
) -> Vec<Writer> {
    let acknowledged = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = writers
        .into_iter()
        .map(|mut writer| {
            let (access, acknowledged) = (access.clone(), Arc::clone(&acknowledged));
            thread::spawn(move || {
                // The error is the death of the process: what was under way is noted in the user.
                let _killed: io::Error = write(&mut writer, &access, &acknowledged);
                writer
            })
        })
        .collect();
    pause(Duration::from_millis(20 + dice.below(KILL_WITHIN_MS)));
    process.kill();
    let writers = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    sum.acknowledged += acknowledged.load(Ordering::SeqCst);
    writers
}

/// Writes until the connection breaks.
fn write(writer: &mut Writer, access: &Access, acknowledged: &AtomicU64) -> io::Error {
    let mut wire = match access.connect() {
        Ok(wire) => wire,
        Err(error) => return error,
    };
    loop {
        if let Err(error) = step(writer, access, &mut wire) {
            return error;
        }
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

/// One write of a random kind.
fn step(writer: &mut Writer, access: &Access, wire: &mut Wire) -> io::Result<()> {
    let living: Vec<usize> = (0..writer.users.len())
        .filter(|&at| writer.users[at].known.is_some())
        .collect();
    let kind = writer.dice.below(10);
    if living.is_empty() || kind < 4 {
        return create(writer, access, wire);
    }
    let at = living[writer.dice.index(living.len())];
    let serial = writer.dice.below(1 << 32);
    let user = &mut writer.users[at];
    let id = user.id.clone().unwrap();
    let known = user.known.clone().unwrap();
    let path = format!("/Users/{id}");
    if kind == 9 {
        user.pending = Some(None);
        let answer = wire.send(&access.request("DELETE", &path))?;
        assert_eq!(answer.status, 204, "{answer:?}");
        user.known = None;
        user.old_names.push(known.name);
    } else {
        let name = if kind < 6 {
            format!("renamed-{serial:x}-{}", user.external)
        } else {
            known.name.clone()
        };
        let next = State {
            name,
            mark: format!("mark {serial:x}"),
        };
        user.pending = Some(Some(next.clone()));
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [
                {"op": "Replace", "path": "title", "value": next.mark},
                {"op": "Replace", "path": "userName", "value": next.name},
                {"op": "Replace", "path": "nickName", "value": next.mark},
            ],
        });
        let answer = wire.send(&access.request("PATCH", &path).json(&body))?;
        assert_eq!(answer.status, 200, "{answer:?}");
        if next.name != known.name {
            user.old_names.push(known.name);
        }
        user.known = Some(next);
    }
    user.pending = None;
    Ok(())
}

/// Creates a user.
fn create(writer: &mut Writer, access: &Access, wire: &mut Wire) -> io::Result<()> {
    let external = format!("w{}-{}", writer.number, writer.users.len());
    let state = State {
        name: format!("{external}@northbridge.example"),
        mark: "created".to_owned(),
    };
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "externalId": external, "userName": state.name,
        "title": state.mark, "nickName": state.mark, "active": true,
        "emails": [{"type": "work", "primary": true, "value": format!("{external}@mail.northbridge.example")}],
    });
    writer.users.push(User {
        external,
        id: None,
        known: None,
        pending: Some(Some(state.clone())),
        old_names: Vec::new(),
    });
    let answer = wire.send(&access.request("POST", "/Users").json(&body))?;
    assert_eq!(answer.status, 201, "{answer:?}");
    let user = writer.users.last_mut().unwrap();
    user.id = answer.json()["id"].as_str().map(str::to_owned);
    user.known = Some(state);
    user.pending = None;
    Ok(())
}

/// Compares everything the writers know with what the server says; the writers then know what is.
fn check(access: &Access, writers: &mut [Writer], sum: &mut Sum) -> io::Result<()> {
    let mut wire = access.connect()?;
    let mut expected = BTreeSet::new();
    for user in writers.iter_mut().flat_map(|writer| &mut writer.users) {
        check_user(access, &mut wire, user, sum)?;
        if user.known.is_some() {
            expected.extend(user.id.clone());
        }
    }
    let mut listed = BTreeSet::new();
    loop {
        let path = format!("/Users?count=500&startIndex={}", listed.len() + 1);
        let page = wire.send(&access.request("GET", &path))?.json();
        let resources = page["Resources"].as_array().cloned().unwrap_or_default();
        if page["totalResults"] != expected.len() {
            sum.disagreements.push(format!(
                "totalResults {} for {} users",
                page["totalResults"],
                expected.len()
            ));
        }
        let before = listed.len();
        listed.extend(
            resources
                .iter()
                .filter_map(|user| user["id"].as_str())
                .map(str::to_owned),
        );
        if resources.is_empty() || listed.len() == before {
            break;
        }
    }
    for id in expected.symmetric_difference(&listed) {
        sum.disagreements
            .push(format!("list and model disagree about {id}"));
    }
    Ok(())
}

/// Compares one user.
fn check_user(access: &Access, wire: &mut Wire, user: &mut User, sum: &mut Sum) -> io::Result<()> {
    let by_external = find(access, wire, "externalId", &user.external)?;
    if by_external.len() > 1 {
        sum.disagreements.push(format!(
            "{}: externalId finds {}",
            user.external,
            by_external.len()
        ));
    }
    if user.id.is_none() {
        // A creation without an answer: the id is learnt now, if there is one.
        user.id = by_external
            .first()
            .and_then(|found| found["id"].as_str())
            .map(str::to_owned);
    }
    let record = match &user.id {
        Some(id) => read(&wire.send(&access.request("GET", &format!("/Users/{id}")))?),
        None => None,
    };
    let seen = record.as_ref().map(|(state, _)| state.clone());
    if let Some((_, problem @ Some(_))) = &record {
        sum.disagreements.push(format!("{user:?}: {problem:?}"));
    }
    let after = user.pending.clone().unwrap_or_else(|| user.known.clone());
    if seen != user.known && seen != after {
        sum.lost.push(format!("{user:?} is {seen:?}"));
    }
    check_names(access, wire, user, seen.as_ref(), &after, sum)?;
    if by_external.len() != usize::from(seen.is_some()) {
        sum.disagreements.push(format!(
            "{user:?}: externalId finds {}, GET {seen:?}",
            by_external.len()
        ));
    }
    if let Some(old) = user
        .known
        .take()
        .filter(|old| seen.as_ref().is_none_or(|state| state.name != old.name))
    {
        user.old_names.push(old.name);
    }
    user.known = seen;
    user.pending = None;
    Ok(())
}

/// Compares what each name that the user has or had finds.
fn check_names(
    access: &Access,
    wire: &mut Wire,
    user: &User,
    seen: Option<&State>,
    after: &Option<State>,
    sum: &mut Sum,
) -> io::Result<()> {
    let mut names: Vec<String> = user
        .old_names
        .iter()
        .rev()
        .take(OLD_NAMES)
        .cloned()
        .collect();
    names.extend(
        user.known
            .iter()
            .chain(after)
            .map(|state| state.name.clone()),
    );
    names.sort();
    names.dedup();
    for name in names {
        let found = find(access, wire, "userName", &name)?;
        let here = seen.is_some_and(|state| state.name == name);
        let ids: Vec<Option<&str>> = found.iter().map(|found| found["id"].as_str()).collect();
        let wanted: Vec<Option<&str>> = if here {
            vec![user.id.as_deref()]
        } else {
            Vec::new()
        };
        if ids != wanted {
            sum.disagreements.push(format!(
                "{user:?}: userName {name} finds {ids:?}, not {wanted:?}"
            ));
        }
    }
    Ok(())
}

/// The state in a GET by id, with what is wrong about it; `None` when the user is not there.
fn read(answer: &Answer) -> Option<(State, Option<String>)> {
    if answer.status == 404 {
        return None;
    }
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let state = State {
        name: text("userName"),
        mark: text("title"),
    };
    let whole = answer.status == 200
        && body["nickName"] == body["title"]
        && body["emails"][0]["value"]
            == format!("{}@mail.northbridge.example", text("externalId")).as_str();
    Some((state, (!whole).then(|| format!("{answer:?}"))))
}

/// Whom a filter finds.
fn find(access: &Access, wire: &mut Wire, attribute: &str, value: &str) -> io::Result<Vec<Value>> {
    let value = value.replace('@', "%40");
    let answer = wire.send(&access.request(
        "GET",
        &format!("/Users?filter={attribute}+eq+%22{value}%22"),
    ))?;
    assert_eq!(answer.status, 200, "{answer:?}");
    Ok(answer.json()["Resources"]
        .as_array()
        .cloned()
        .unwrap_or_default())
}
