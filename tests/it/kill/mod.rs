//! Nothing acknowledged is lost: parallel writers over TLS against the real binary, SIGKILL at a random moment, again.
//!
//! Every writer owns its users and groups and knows what was acknowledged of them and what was under way when the process
//! died; all of them share one group. After the restart each acknowledged write must be there, each write under way wholly
//! there or wholly absent, and record, `userName`, `displayName`, `externalId`, `members.value`, `groups`, lists and counts must
//! agree. At times the store is compacted meanwhile, or ends cleanly before a round, so that bases and snapshots of the
//! indexes are what a start begins with. `ROLLCALL_KILL_ROUNDS` sets the rounds (default 4), `ROLLCALL_KILL_SEED` repeats the
//! choices of a run (not the moments: those belong to the machine).

mod check;
mod world;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::dice::Dice;
use crate::kill::check::check;
use crate::kill::world::Kind;
use crate::kill::writer::Writer;
use crate::process::Access;
use crate::process::Process;
use crate::process::pause;

/// Writers at once.
const WRITERS: u64 = 8;
/// Latest moment of a kill after the writers began, in milliseconds.
const KILL_WITHIN_MS: u64 = 900;
/// Rounds over one store. Then a new one, as checking everybody who ever was takes longer each time.
const ROUNDS_A_STORE: u64 = 10;
/// Of how many restarts one is killed while it starts.
const KILL_WHILE_STARTING: u64 = 4;

/// Of how many rounds one has the store compacted while the writers write.
const COMPACT_BESIDE: u64 = 3;
/// Of how many rounds one ends with a clean stop, so that the next begins with a snapshot of the indexes.
const STOP_AFTER: u64 = 3;

/// A process over one store, and those who write to it.
struct Stage {
    /// The process.
    process: Process,
    /// The writers.
    writers: Vec<Writer>,
    /// The id of the group that all writers share.
    everybody: String,
}

/// What all rounds came to.
#[derive(Debug, Default)]
struct Sum {
    /// Writes that were acknowledged.
    acknowledged: u64,
    /// Users that were made, or were to be.
    users: usize,
    /// Groups.
    groups: usize,
    /// Acknowledged writes that are not there.
    lost: Vec<String>,
    /// Places where two ways of asking disagree, or a write is there in part.
    disagreements: Vec<String>,
}

#[test]
fn acknowledged_writes_survive_sigkill() {
    let rounds = number("ROLLCALL_KILL_ROUNDS").unwrap_or(4);
    let seed = number("ROLLCALL_KILL_SEED").unwrap_or_else(Dice::seed);
    let mut dice = Dice::new(seed);
    let mut sum = Sum::default();
    let mut round = 0;
    while round < rounds {
        let mut stage = Stage::new(&mut dice);
        for _ in 0..ROUNDS_A_STORE.min(rounds - round) {
            stage.round(&mut dice, &mut sum);
            assert!(
                sum.lost.is_empty() && sum.disagreements.is_empty(),
                "seed {seed}, round {round}: {sum:#?}\n{}",
                stage.process.output()
            );
            round += 1;
        }
        stage.verify(seed);
        for writer in &stage.writers {
            sum.users += writer.count(Kind::User);
            sum.groups += writer.count(Kind::Group);
        }
    }
    let summary = format!(
        "kill: seed {seed}, {rounds} rounds, {} acknowledged writes, {} users, {} groups, {} lost, {} disagreements",
        sum.acknowledged,
        sum.users,
        sum.groups,
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

impl Stage {
    /// A new store with nothing in it but the group of all writers.
    fn new(dice: &mut Dice) -> Self {
        let mut process = Process::new();
        process.spawn();
        let access = process.ready();
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Everybody",
        });
        let request = access.request("POST", "/Groups").json(&group);
        let answer = access.connect().unwrap().send(&request).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        let everybody = answer.json()["id"].as_str().unwrap().to_owned();
        process.kill();
        Self {
            process,
            writers: (0..WRITERS)
                .map(|number| Writer::new(number, dice, &everybody))
                .collect(),
            everybody,
        }
    }

    /// Lets the writers write, kills the process under them, starts it again and compares.
    fn round(&mut self, dice: &mut Dice, sum: &mut Sum) {
        self.start(dice);
        let access = self.process.ready();
        self.write_until_killed(&access, dice, sum);
        self.start(dice);
        let access = self.process.ready();
        check(&access, &self.everybody, &mut self.writers, sum).unwrap();
        if dice.below(STOP_AFTER) == 0 {
            self.process.stop();
        } else {
            self.process.kill();
        }
    }

    /// Starts the process; now and then it is killed while it starts, and started again.
    fn start(&mut self, dice: &mut Dice) {
        self.process.spawn();
        if dice.below(KILL_WHILE_STARTING) == 0 {
            pause(Duration::from_millis(dice.below(120)));
            self.process.kill();
            self.process.spawn();
        }
    }

    /// Lets the writers write, kills the process, and waits for the writers to notice.
    fn write_until_killed(&mut self, access: &Access, dice: &mut Dice, sum: &mut Sum) {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let writers = std::mem::take(&mut self.writers).into_iter();
        let threads: Vec<_> = writers
            .map(|mut writer| {
                let (access, acknowledged) = (access.clone(), Arc::clone(&acknowledged));
                thread::spawn(move || {
                    // The error is the death of the process: what was under way is noted in the writer.
                    let _killed: io::Error = write(&mut writer, &access, &acknowledged);
                    writer
                })
            })
            .collect();
        let compact = dice.below(COMPACT_BESIDE) == 0;
        let compact = compact.then(|| self.process.begin(&["storage", "compact"]));
        pause(Duration::from_millis(20 + dice.below(KILL_WITHIN_MS)));
        self.process.kill();
        if let Some(mut compact) = compact {
            // Done, or cut off.
            compact.wait().unwrap();
        }
        let threads = threads.into_iter();
        self.writers = threads.map(|thread| thread.join().unwrap()).collect();
        sum.acknowledged += acknowledged.load(Ordering::SeqCst);
    }

    /// Has the store and its history verify themselves.
    fn verify(&mut self, seed: u64) {
        self.process.spawn();
        self.process.ready();
        for what in [["storage", "verify"], ["audit", "verify"]] {
            let (status, verified) = self.process.operate(&what);
            assert_eq!(status, 0, "seed {seed}, {what:?}: {verified:#}");
        }
        self.process.kill();
    }
}

/// Writes until the connection breaks.
fn write(writer: &mut Writer, access: &Access, acknowledged: &AtomicU64) -> io::Error {
    let mut wire = match access.connect() {
        Ok(wire) => wire,
        Err(error) => return error,
    };
    loop {
        if let Err(error) = writer.step(access, &mut wire) {
            return error;
        }
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}
