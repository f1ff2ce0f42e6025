//! What a crash may leave in the state's folder, and what a newer version may have written there: the real binary starts
//! over the one with everything, and refuses the other.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::people;
use crate::people::Crew;
use crate::people::Writer;
use crate::process::Process;
use crate::process::pause;

/// Writers at once.
const WRITERS: usize = 4;
/// How long they write.
const WRITING: Duration = Duration::from_millis(400);
/// How long a refusal may take.
const REFUSAL_WITHIN: Duration = Duration::from_secs(20);

/// Something in the folder of the state: what, and how it gets there.
type Leftover = (&'static str, fn(&Path));

/// A file with some bytes in it, in a folder that may be missing.
fn plant(file: &Path, bytes: &[u8]) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
}

/// A copy of a folder of files.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// The folder of the state in use.
fn in_use(state: &Path) -> PathBuf {
    let name = fs::read_to_string(state.join("sled.current")).unwrap();
    state.join(name.trim_end())
}

/// The folder that the next rebuild would fill.
fn rebuilt(state: &Path) -> PathBuf {
    let number: u64 = in_use(state)
        .extension()
        .and_then(|number| number.to_str()?.parse().ok())
        .unwrap();
    state.join(format!("sled.{}", number + 1))
}

/// What a crash may leave.
const LEFTOVERS: [Leftover; 16] = [
    ("half of a snapshot of sled", |state| {
        plant(
            &in_use(state).join("snap.FFFFFFFFFFFFFFFF.generating"),
            &[7; 99],
        );
    }),
    ("a snapshot of sled with nothing in it", |state| {
        plant(&in_use(state).join("snap.FFFFFFFFFFFFFFFF.generating"), b"");
    }),
    ("a conf of sled with nothing in it", |state| {
        plant(&in_use(state).join("conf"), b"");
    }),
    ("half of a spare segment", |state| {
        plant(&state.join("log/spare.tmp"), &[0; 5000]);
    }),
    ("a spare segment of another size", |state| {
        plant(&state.join("log/spare"), &[0; 5000]);
    }),
    ("half of a base", |state| {
        plant(&state.join("base/base.tmp"), &[7; 5000]);
    }),
    ("a base with nothing in it", |state| {
        plant(&state.join("base/base.tmp"), b"");
    }),
    ("half of a snapshot of the indexes", |state| {
        plant(&state.join("index.snapshot.tmp"), &[7; 5000]);
    }),
    ("a snapshot of the indexes with nothing in it", |state| {
        plant(&state.join("index.snapshot.tmp"), b"");
    }),
    ("a state that was begun to be rebuilt", |state| {
        plant(&rebuilt(state).join("db"), &[7; 5000]);
        plant(&rebuilt(state).join("conf"), b"");
    }),
    ("an empty folder of a rebuilt state", |state| {
        fs::create_dir_all(rebuilt(state)).unwrap();
    }),
    ("the state before a rebuild", |state| {
        copy(&in_use(state), &state.join("sled"));
    }),
    ("the state after a rebuild, not put to use yet", |state| {
        copy(&in_use(state), &rebuilt(state));
    }),
    ("half of the file that names the state in use", |state| {
        plant(&state.join("sled.current.tmp"), b"sled");
    }),
    ("only the state after a rebuild, not put to use", |state| {
        fs::rename(in_use(state), rebuilt(state)).unwrap();
    }),
    ("no state at all", |state| {
        fs::remove_dir_all(in_use(state)).unwrap();
    }),
];

/// A killed process whose state has users, and who they are. After `rollcall storage compact`, so that the commit log alone
/// is not enough.
fn filled() -> (Process, Vec<Writer>) {
    let mut process = Process::new();
    process.spawn();
    let access = process.ready();
    let crew = Crew::start(&access, Writer::some(WRITERS, 500));
    pause(WRITING);
    let writers = crew.stop();
    let compacted = Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .args(["storage", "compact", "--socket"])
        .arg(process.state().join("admin.sock"))
        .output()
        .unwrap();
    assert!(compacted.status.success(), "{compacted:?}");
    let crew = Crew::start(&access, writers);
    pause(WRITING);
    let writers = crew.stop();
    process.kill();
    (process, writers)
}

#[test]
fn whatever_a_crash_leaves_behind_a_start_has_everything() {
    let (mut process, mut writers) = filled();
    for (name, leave) in LEFTOVERS {
        leave(&process.state());
        process.spawn();
        let access = process.ready();
        let wrong = people::check(&access, &mut writers).unwrap();
        let said = process.complaints();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}\n{said}");
        let crew = Crew::start(&access, writers);
        pause(WRITING / 4);
        writers = crew.stop();
        process.kill();
    }
}

/// Puts a format that nobody has made yet behind the magic of a file.
fn newer(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[8..12].copy_from_slice(&99_u32.to_le_bytes());
    fs::write(file, bytes).unwrap();
}

/// The last file in a folder with this ending.
fn last(folder: &Path, ending: &str) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    paths.sort();
    paths.pop().unwrap()
}

#[test]
fn a_newer_format_is_refused_and_left_as_it_is() {
    let rows: [Leftover; 2] = [
        ("a segment of the log", |state| {
            newer(&last(&state.join("log"), ".log"));
        }),
        ("the state", |state| {
            let db = sled::open(in_use(state)).unwrap();
            let mut meta = db.get(b"\0meta").unwrap().unwrap().to_vec();
            meta[..4].copy_from_slice(&99_u32.to_le_bytes());
            db.insert(b"\0meta", meta).unwrap();
            db.flush().unwrap();
        }),
    ];
    for (name, upgrade) in rows {
        let (mut process, _writers) = filled();
        upgrade(&process.state());
        process.spawn();
        let ended = process.ended(REFUSAL_WITHIN);
        let said = process.complaints();
        assert_eq!(
            ended.and_then(|status| status.code()),
            Some(1),
            "{name}: {said}"
        );
        for part in [
            "newer Rollcall",
            "99",
            "Install the newer version",
            "restore the backup",
        ] {
            assert!(said.contains(part), "{name}: {part}: {said}");
        }
        let aside = fs::read_dir(process.state()).unwrap();
        let aside = aside.map(|entry| entry.unwrap().file_name());
        let aside: Vec<_> = aside
            .filter(|name| name.to_string_lossy().starts_with("sled.bad."))
            .collect();
        assert!(aside.is_empty(), "{name}: {aside:?}");
    }
}
