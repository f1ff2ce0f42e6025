//! A disk that fails: a library loaded into the real binary makes chosen calls on chosen files fail, stop short, get lost,
//! wait or hang (`tests/faults/inject.c`).
//!
//! Whatever fails: a write is answered with 2xx or 503, never with anything else; reads go on until the process ends, ten
//! seconds later, with 70; and after a start without the fault everything acknowledged is there and writes are taken.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

use crate::people;
use crate::people::Crew;
use crate::people::Reader;
use crate::people::Writer;
use crate::process::Access;
use crate::process::Process;
use crate::process::pause;

/// Writers at once.
const WRITERS: usize = 4;
/// Bytes of a user.
const SMALL_BYTES: usize = 500;
/// Bytes of a user when a segment is to be filled.
const LARGE_BYTES: usize = 200_000;
/// How long they write before the fault, and again after it.
const WRITING: Duration = Duration::from_millis(700);
/// Reads go on for this long at least, less a second in which the fault may have shown already.
const READS_GO_ON: Duration = Duration::from_secs(9);
/// When a process that cannot go on must have ended: ten seconds for readers and some to stop.
const END_WITHIN: Duration = Duration::from_secs(45);
/// `EX_SOFTWARE`: a supervised restart is the way out.
const RESTART: i32 = 70;

/// The library, compiled once; the reason when it cannot be.
fn library() -> Result<&'static Path, &'static str> {
    static LIBRARY: OnceLock<Result<(TempDir, PathBuf), String>> = OnceLock::new();
    let built = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("inject.so");
        let source = crate::sources::root().join("tests/faults/inject.c");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let output = Command::new(&compiler)
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .map_err(|error| format!("no C compiler: {}: {error}", compiler.display()))?;
        assert!(output.status.success(), "{output:?}");
        Ok((folder, library))
    });
    match built {
        Ok((_folder, library)) => Ok(library),
        Err(why) => Err(why),
    }
}

/// A process whose disk fails on command; nothing runs yet. `None`, with the reason printed, where it cannot be had.
fn faulty() -> Option<Faulty> {
    let library = match library() {
        Ok(library) => library,
        Err(why) => {
            tell(&format!("skipped: {why}"));
            return None;
        }
    };
    let mut process = Process::new();
    let rules = process.folder().join("faults");
    process.set("LD_PRELOAD", library);
    process.set("FAULT_FILE", &rules);
    Some(Faulty { process, rules })
}

/// Prints why a test was skipped.
#[expect(clippy::print_stdout, reason = "whoever skips says why")]
fn tell(text: &str) {
    println!("{text}");
}

/// A process whose disk fails on command.
struct Faulty {
    /// The process.
    process: Process,
    /// The file with the rules.
    rules: PathBuf,
}

impl Faulty {
    /// From now on these rules hold, one a line.
    fn inject(&self, rules: &str) {
        let new = self.rules.with_extension("new");
        fs::write(&new, rules).unwrap();
        fs::rename(&new, &self.rules).unwrap();
    }

    /// Nothing fails any more. Asserts that something did.
    fn heal(&self, name: &str) {
        let hits = fs::read_to_string(self.rules.with_extension("hits")).unwrap_or_default();
        assert!(!hits.is_empty(), "{name}: no rule met a call");
        fs::remove_file(self.rules.with_extension("hits")).unwrap();
        self.inject("");
    }

    /// Starts it and waits until it answers.
    fn start(&mut self) -> Access {
        self.process.spawn();
        self.process.ready()
    }
}

/// What is to come of a fault while the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Writes are refused, and the process ends for a restart.
    Restart,
    /// The process ends for a restart; whether writes are refused before is its choice, as the log takes them.
    RestartOnly,
    /// Nobody notices.
    Nothing,
}

/// One row: name, rules, bytes of a user, what is to come of it.
type Row = (&'static str, &'static str, usize, End);

/// Faults while the process runs.
const RUNNING: [Row; 17] = [
    (
        "write to the log fails",
        "fail:EIO write state/log/0",
        SMALL_BYTES,
        End::Restart,
    ),
    (
        "write to the log is torn",
        "torn write state/log/0",
        SMALL_BYTES,
        End::Restart,
    ),
    (
        "write to the log finds no room",
        "fail:ENOSPC write state/log/0",
        SMALL_BYTES,
        End::Restart,
    ),
    (
        "sync of the log fails",
        "fail:EIO sync state/log/0",
        SMALL_BYTES,
        End::Restart,
    ),
    (
        "sync of the log fails once",
        "fail:EIO sync state/log/0 after 5 times 1",
        SMALL_BYTES,
        End::Restart,
    ),
    (
        "sync of the log fails once, and what was written is gone",
        "lose write state/log/0 after 5 times 1\nfail:EIO sync state/log/0 after 5 times 1",
        SMALL_BYTES,
        End::Restart,
    ),
    (
        "next segment gets no name",
        "fail:EIO rename state/log/0",
        LARGE_BYTES,
        End::Restart,
    ),
    (
        "next segment is not synced",
        "fail:EIO sync state/log/spare",
        LARGE_BYTES,
        End::Restart,
    ),
    (
        "sync of the log hangs",
        "hang sync state/log/0",
        SMALL_BYTES,
        End::RestartOnly,
    ),
    (
        "write to the log hangs",
        "hang write state/log/0",
        SMALL_BYTES,
        End::RestartOnly,
    ),
    (
        "next segment hangs",
        "hang sync state/log/spare",
        LARGE_BYTES,
        End::RestartOnly,
    ),
    (
        "write to the state fails",
        "fail:EIO write state/sled/",
        SMALL_BYTES,
        End::RestartOnly,
    ),
    (
        "write to the state finds no room",
        "fail:ENOSPC write state/sled/",
        SMALL_BYTES,
        End::RestartOnly,
    ),
    (
        "sync of the state fails",
        "fail:EIO sync state/sled/",
        SMALL_BYTES,
        End::RestartOnly,
    ),
    (
        "write to the state hangs",
        "hang write state/sled/",
        SMALL_BYTES,
        End::RestartOnly,
    ),
    (
        "every sync takes its time",
        "delay:200 sync state/",
        SMALL_BYTES,
        End::Nothing,
    ),
    (
        "every write and read stops short",
        "short write state/\nshort read state/",
        SMALL_BYTES,
        End::Nothing,
    ),
];

#[test]
fn a_disk_that_fails_under_writers_loses_nothing_acknowledged() {
    if faulty().is_none() {
        return;
    }
    // They mostly wait, so all at once.
    thread::scope(|scope| {
        let rows = RUNNING.map(|row| (row, scope.spawn(move || fail_while_running(row))));
        let failed = rows
            .into_iter()
            .filter_map(|((name, ..), row)| row.join().is_err().then_some(name));
        let failed: Vec<_> = failed.collect();
        assert!(failed.is_empty(), "{failed:?}");
    });
}

/// One row of [`RUNNING`].
fn fail_while_running((name, rules, bytes, end): Row) {
    let Some(mut faulty) = faulty() else {
        return;
    };
    let access = faulty.start();
    let crew = Crew::start(&access, Writer::some(WRITERS, bytes));
    pause(WRITING);
    let writers = crew.stop();
    assert!(people::last_write(&writers).is_some(), "{name}: no writes");
    assert_eq!(people::first_refusal(&writers), None, "{name}");
    let reader = Reader::start(&access, &writers);
    faulty.inject(rules);
    let crew = Crew::start(&access, writers);
    let writers = if end == End::Nothing {
        pause(READS_GO_ON);
        let writers = crew.stop();
        assert_eq!(people::first_refusal(&writers), None, "{name}");
        let last = people::last_write(&writers).unwrap();
        assert!(last.elapsed() < READS_GO_ON / 2, "{name}: writes stopped");
        assert!(reader.stop().is_some(), "{name}: nobody read");
        faulty.process.kill();
        writers
    } else {
        let ended = faulty.process.ended(END_WITHIN);
        let code = ended.and_then(|status| status.code());
        let output = faulty.process.complaints();
        assert_eq!(code, Some(RESTART), "{name}:\n{output}");
        let writers = crew.stop();
        let (read, refused) = (reader.stop(), people::first_refusal(&writers));
        assert!(read.is_some(), "{name}: nobody read");
        if end == End::Restart {
            let refused = refused.unwrap_or_else(|| panic!("{name}: nobody was refused"));
            let reading = read.map(|last| last.duration_since(refused));
            assert!(
                reading >= Some(READS_GO_ON),
                "{name}: reads for {reading:?}"
            );
        }
        writers
    };
    faulty.heal(name);
    all_there(name, &mut faulty, writers);
}

/// Starts without a fault: everything acknowledged is there, and writes are taken.
fn all_there(name: &str, faulty: &mut Faulty, mut writers: Vec<Writer>) {
    let access = faulty.start();
    let wrong = people::check(&access, &mut writers).unwrap();
    let output = faulty.process.complaints();
    assert!(wrong.is_empty(), "{name}: {wrong:#?}\n{output}");
    let before = Instant::now();
    let crew = Crew::start(&access, writers);
    pause(WRITING);
    let mut writers = crew.stop();
    let last = people::last_write(&writers);
    assert!(last > Some(before), "{name}: no writes");
    let wrong = people::check(&access, &mut writers).unwrap();
    assert!(wrong.is_empty(), "{name}, after it: {wrong:#?}");
}

/// Room that is missing for a while: writes are refused, nothing else happens, and they resume by themselves.
#[test]
fn writes_resume_by_themselves_when_a_segment_finds_room_again() {
    let Some(mut faulty) = faulty() else {
        return;
    };
    let access = faulty.start();
    let mut writers = Writer::some(WRITERS, LARGE_BYTES);
    for rule in [
        "fail:ENOSPC write state/log/spare",
        "fail:ENOSPC rename state/log/0",
    ] {
        people::forget_refusals(&mut writers);
        faulty.inject(rule);
        let crew = Crew::start(&access, writers);
        // Longer than a store that failed would go on.
        let ended = faulty.process.ended(Duration::from_secs(12));
        assert_eq!(ended, None, "{rule}: {}", faulty.process.complaints());
        writers = crew.stop();
        let last = people::last_write(&writers).unwrap();
        let refused = people::first_refusal(&writers);
        assert!(refused.is_some(), "{rule}: no refusal");
        let reader = Reader::start(&access, &writers);
        pause(WRITING);
        assert!(reader.stop().is_some(), "{rule}: reads go on");
        faulty.heal(rule);
        let crew = Crew::start(&access, writers);
        pause(Duration::from_secs(4));
        writers = crew.stop();
        let again = people::last_write(&writers);
        assert!(again > Some(last), "{rule}: writes resume");
        let wrong = people::check(&access, &mut writers).unwrap();
        assert!(wrong.is_empty(), "{rule}: {wrong:#?}");
    }
}

/// Faults while the process starts: name, rules, what it says when it does not start; `None` when it starts.
const STARTING: [(&str, &str, Option<&str>); 12] = [
    (
        "sync of the log",
        "fail:EIO sync state/log/0",
        Some("cannot sync"),
    ),
    (
        "write to the log",
        "fail:EIO write state/log/0",
        Some("cannot write"),
    ),
    (
        "torn write to the log",
        "torn write state/log/0",
        Some("cannot write"),
    ),
    (
        "no room in the log",
        "fail:ENOSPC write state/log/0",
        Some("Make room"),
    ),
    (
        "read of the log",
        "fail:EIO read state/log/0",
        Some("cannot read"),
    ),
    (
        "read of the log, later",
        "fail:EIO read state/log/0 after 2",
        Some("cannot read"),
    ),
    (
        "short reads and writes",
        "short read state/\nshort write state/",
        None,
    ),
    (
        "no room in the state",
        "fail:ENOSPC write state/sled/",
        Some("Make room"),
    ),
    (
        "write to the state",
        "fail:EIO write state/sled/",
        Some("cannot"),
    ),
    (
        "open of the state",
        "fail:EACCES open state/sled/db",
        Some("must belong to the user"),
    ),
    (
        "no more files",
        "fail:EMFILE open state/sled/db",
        Some("cannot open"),
    ),
    (
        "one read of the state",
        "fail:EIO read state/sled/db times 1",
        None,
    ),
];

#[test]
fn a_disk_that_fails_at_the_start_loses_nothing_acknowledged() {
    let Some(mut faulty) = faulty() else {
        return;
    };
    let mut writers = Writer::some(WRITERS, SMALL_BYTES);
    for (name, rules, refusal) in STARTING {
        let access = faulty.start();
        let crew = Crew::start(&access, writers);
        pause(WRITING / 2);
        writers = crew.stop();
        faulty.process.kill();
        faulty.inject(rules);
        let before = faulty.process.complaints().len();
        faulty.process.spawn();
        if let Some(text) = refusal {
            let ended = faulty.process.ended(END_WITHIN);
            let complaints = faulty.process.complaints();
            let complaint = complaints.get(before..).unwrap_or_default();
            assert_eq!(
                ended.and_then(|status| status.code()),
                Some(1),
                "{name}: {complaint}"
            );
            assert!(
                complaint.contains(text) && complaint.contains("state/"),
                "{name}: {complaint}"
            );
        } else {
            let access = faulty.process.ready();
            let wrong = people::check(&access, &mut writers).unwrap();
            assert!(wrong.is_empty(), "{name}: {wrong:#?}");
            faulty.process.kill();
        }
        faulty.heal(name);
        let access = faulty.start();
        let wrong = people::check(&access, &mut writers).unwrap();
        assert!(
            wrong.is_empty(),
            "{name}: {wrong:#?}\n{}",
            faulty.process.complaints()
        );
        faulty.process.kill();
    }
}
