//! Files of history and audit: written, read back, cut, damaged, let go. What all of them use is here.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::audit::bytes::Input;
use crate::audit::entry::AuditDraft;
use crate::audit::entry::AuditEntry;
use crate::audit::history::Action;
use crate::audit::history::HistoryEntry;
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::ident::CountedIds;
use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::scim::schema::ResourceKind;
use crate::store::chronicle::Chronicle;
use crate::store::chronicle::Entries;
use crate::store::chronicle::Retention;
use crate::store::chronicle::file;
use crate::store::chronicle::file::Content;
use crate::store::chronicle::file::FRAMES_AT;
use crate::store::chronicle::file::Place;
use crate::store::chronicle::position::Position;
use crate::store::chronicle::scan::Scan;
use crate::store::log::frame::StoreId;

/// When everything begins.
const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// A day.
const DAY_MS: i64 = 86_400_000;
/// The directory.
const DIRECTORY: DirectoryId = DirectoryId(3);
/// Its history.
const PLACE: Place = Place::History(DIRECTORY);
/// The store.
const STORE: StoreId = StoreId([7; 16]);
/// How long entries are kept.
const RETENTION: Retention = Retention {
    history: Duration::from_secs(400 * 86_400),
    audit: Duration::from_secs(800 * 86_400),
};

/// Opens what is in `dir`.
fn open(dir: &Path) -> Chronicle {
    let salts = Box::new(CountedIds::default());
    let (chronicle, _damage) = Chronicle::open(dir, STORE, RETENTION, salts).unwrap();
    chronicle.publish();
    chronicle
}

/// The `number`th resource.
fn id(number: u8) -> ResourceId {
    ResourceId::from_bytes([number; 16])
}

/// An entry about a resource.
fn entry(number: u64, previous: u64, about: u8, at: Timestamp) -> HistoryEntry {
    HistoryEntry {
        number,
        previous,
        at,
        directory: DIRECTORY,
        kind: "User".into(),
        id: id(about),
        action: Action::Updated,
        revision: Revision(number),
        actor: Actor::System,
        request: None,
        payload: format!("{{\"n\":{number}}}").into_bytes().into(),
    }
}

/// What transaction `number` leaves: one entry, about one of two resources in turn.
fn turn(number: u64) -> Entries {
    let previous = number.saturating_sub(2);
    let about = if number.is_multiple_of(2) { 2 } else { 1 };
    Entries {
        history: vec![entry(number, previous, about, AT)],
        ..Entries::default()
    }
}

/// What a transaction leaves in the audit.
fn act(number: u64, at: Timestamp) -> Entries {
    Entries {
        audit: vec![AuditEntry {
            number,
            at,
            draft: AuditDraft {
                actor: Actor::System,
                action: "token.create".to_owned(),
                target: format!("token {number}"),
                detail: "{}".to_owned(),
            },
        }],
        ..Entries::default()
    }
}

/// Appends transactions `from` to `through`.
fn append(chronicle: &mut Chronicle, from: u64, through: u64) {
    for number in from..=through {
        chronicle.append(number, &turn(number)).unwrap();
    }
    chronicle.flush().unwrap();
}

/// Six entries in one file, synced, nothing open. Returns the file's bytes.
fn six(dir: &Path) -> Vec<u8> {
    let mut chronicle = open(dir);
    append(&mut chronicle, 1, 6);
    chronicle.sync(AT).unwrap();
    assert_eq!(chronicle.synced_seq(), 6);
    fs::read(PLACE.file(dir, 1)).unwrap()
}

/// What verifying finds, as entries and words.
fn verify(dir: &Path, last: u64) -> Vec<(Option<u64>, String)> {
    let mut chronicle = open(dir);
    chronicle.flush().unwrap();
    problems(&chronicle, last)
}

/// What verifying finds in a chronicle that is open.
fn problems(chronicle: &Chronicle, last: u64) -> Vec<(Option<u64>, String)> {
    let report = chronicle.reader().verify(PLACE, last).unwrap();
    assert_eq!(
        report.problems_found,
        u64::try_from(report.problems.len()).unwrap()
    );
    let problems = report.problems.into_iter();
    problems.map(|found| (found.entry, found.what)).collect()
}

/// The numbers of a resource's story.
fn story(chronicle: &Chronicle, about: u8, newest: Option<u64>) -> Vec<u64> {
    let resource = (DIRECTORY, ResourceKind::User, id(about));
    let reader = chronicle.reader();
    let (mut numbers, mut before) = (Vec::new(), None);
    loop {
        let page = reader.story(resource, newest, before, 2).unwrap();
        assert!(page.entries.len() <= 2);
        numbers.extend(page.entries.iter().map(|entry| entry.number));
        match page.next {
            Some(next) => before = Some(next),
            None => return numbers,
        }
    }
}

/// Every number in the files, in their order, with gaps.
fn numbers(dir: &Path) -> Vec<(u64, u64)> {
    let chronicle = open(dir);
    let mut found = Vec::new();
    for part in chronicle.reader().parts(PLACE).unwrap() {
        let file = fs::File::open(&part.path).unwrap();
        let mut scan = Scan::new(&file, STORE, FRAMES_AT, part.end);
        while scan.step().unwrap().is_some() {
            let (_hash, content) = file::content(scan.body()).unwrap();
            found.push(content.numbers().unwrap());
        }
    }
    found
}

/// Where the frames of a file begin, and where the last ends.
fn offsets(bytes: &[u8]) -> Vec<usize> {
    let mut at = usize::try_from(FRAMES_AT).unwrap();
    let mut found = vec![at];
    while at < bytes.len() {
        at += 12 + file::head(&bytes[at..]).unwrap().0;
        found.push(at);
    }
    found
}

#[test]
fn what_is_written_is_read_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let mut chronicle = open(dir.path());
    append(&mut chronicle, 1, 9);
    assert_eq!(problems(&chronicle, 9), []);
    assert_eq!(story(&chronicle, 1, Some(9)), [9, 7, 5, 3, 1]);
    assert_eq!(story(&chronicle, 2, Some(8)), [8, 6, 4, 2]);
    // Of a deleted one nobody knows the last entry.
    assert_eq!(story(&chronicle, 2, None), [8, 6, 4, 2]);
    assert!(story(&chronicle, 3, None).is_empty());
    let resource = (DIRECTORY, ResourceKind::User, id(1));
    let page = chronicle.reader().story(resource, Some(9), Some(3), 5);
    assert_eq!(page.unwrap().entries, [entry(1, 0, 1, AT)]);
    let group = (DIRECTORY, ResourceKind::Group, id(1));
    let page = chronicle.reader().story(group, None, None, 5).unwrap();
    assert_eq!(page.entries, [], "another kind");
    // More is found although the file was indexed before.
    append(&mut chronicle, 10, 11);
    assert_eq!(story(&chronicle, 1, Some(11))[..2], [11, 9]);
    assert_eq!(problems(&chronicle, 11), []);
}

#[test]
fn the_audit_is_paged_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut chronicle = open(dir.path());
    for number in 1..=5 {
        chronicle.append(number, &act(number, AT)).unwrap();
    }
    chronicle.flush().unwrap();
    for (before, count, expected, next) in [
        (None, 2, &[5, 4][..], Some(4)),
        (Some(4), 2, &[3, 2], Some(2)),
        (Some(2), 2, &[1], None),
        (None, 5, &[5, 4, 3, 2, 1], None),
        (Some(1), 5, &[], None),
    ] {
        let page = chronicle.reader().audit(before, count).unwrap();
        let numbers: Vec<_> = page.entries.iter().map(|entry| entry.number).collect();
        assert_eq!((&*numbers, page.next), (expected, next), "{before:?}");
    }
    let page = chronicle.reader().audit(None, 1).unwrap();
    assert_eq!(page.entries, act(5, AT).audit);
    let report = chronicle.reader().verify(Place::Audit, 5).unwrap();
    assert_eq!((report.entries, report.problems), (5, Vec::new()));
}

#[test]
fn a_file_cut_at_any_byte_is_written_again_from_the_log() {
    let origin = tempfile::tempdir().unwrap();
    let bytes = six(origin.path());
    for keep_position in [true, false] {
        for length in 0..bytes.len() {
            let dir = tempfile::tempdir().unwrap();
            let mut chronicle = open(dir.path());
            append(&mut chronicle, 1, 2);
            chronicle.sync(AT).unwrap();
            drop(chronicle);
            fs::write(PLACE.file(dir.path(), 1), &bytes[..length]).unwrap();
            if !keep_position {
                fs::remove_file(Position::path(dir.path())).unwrap();
            }
            let mut chronicle = open(dir.path());
            // Before the second entry ended, what was synced is gone: all of the log is needed.
            let whole = length >= offsets(&bytes)[2];
            let behind = if whole && keep_position { 2 } else { 0 };
            assert_eq!(chronicle.seq, behind, "{length}");
            append(&mut chronicle, behind + 1, 6);
            chronicle.sync(AT).unwrap();
            assert_eq!(problems(&chronicle, 6), [], "{length}");
            let all: Vec<_> = (1..=6).map(|number| (number, number)).collect();
            assert_eq!(numbers(dir.path()), all, "{length}");
        }
    }
}

#[test]
fn a_bit_flipped_anywhere_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = six(dir.path());
    assert_eq!(verify(dir.path(), 6), []);
    let path = PLACE.file(dir.path(), 1);
    let chronicle = open(dir.path());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, &damaged).unwrap();
        let found = problems(&chronicle, 6);
        assert!(!found.is_empty(), "byte {at}");
        // In an entry, it is named.
        let nth = offsets(&bytes).iter().filter(|begin| **begin <= at).count();
        if nth > 0 {
            let nth = u64::try_from(nth).unwrap();
            assert_eq!(found[0].0, Some(nth), "byte {at}: {found:?}");
        }
    }
}

/// The file of six with another payload in entry 3: its checksum mended, its hash not.
fn forged(bytes: &[u8]) -> Vec<u8> {
    let frames = offsets(bytes);
    let (hash, content) = file::content(&bytes[frames[2] + 12..frames[3]]).unwrap();
    let Content::Entry { header, salt, .. } = content else {
        panic!("{content:?}");
    };
    let payload = b"{\"n\":4}";
    let content = Content::Entry {
        header,
        salt,
        payload,
    };
    let mut file = bytes[..frames[2]].to_vec();
    file::put(&mut file, STORE, &hash, &content);
    file.extend_from_slice(&bytes[frames[3]..]);
    file
}

/// The first file of an audit.
fn foreign() -> Vec<u8> {
    let other = tempfile::tempdir().unwrap();
    let mut chronicle = open(other.path());
    chronicle.append(1, &act(1, AT)).unwrap();
    chronicle.flush().unwrap();
    fs::read(Place::Audit.file(other.path(), 1)).unwrap()
}

#[test]
fn whatever_is_done_to_a_file_is_told_with_its_entry() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = six(dir.path());
    let frames = offsets(&bytes);
    let frame = |nth: usize| bytes[frames[nth - 1]..frames[nth]].to_vec();
    let file = |order: &[usize]| {
        let mut file = bytes[..frames[0]].to_vec();
        file.extend(order.iter().flat_map(|nth| frame(*nth)));
        file
    };
    let forged = forged(&bytes);
    let foreign = foreign();
    let changed = "it is not as it was written";
    let foreign_file = "the file belongs to another store, or to another folder of this one";
    let chronicle = open(dir.path());
    for (name, harm, expected) in [
        ("nothing", bytes.clone(), vec![]),
        ("forged", forged, vec![(Some(3), changed)]),
        (
            "cut",
            file(&[1, 2, 3, 4]),
            vec![(Some(5), "entries 5 to 6 are missing at the end")],
        ),
        (
            "taken out",
            file(&[1, 2, 4, 5, 6]),
            vec![(Some(4), "entry 3 is missing")],
        ),
        (
            "reordered",
            file(&[1, 2, 4, 3, 5, 6]),
            vec![
                (Some(4), "entry 3 is missing"),
                (Some(3), "it stands behind a later entry"),
            ],
        ),
        (
            "foreign",
            foreign,
            vec![
                (None, foreign_file),
                (Some(1), "entries 1 to 6 are missing at the end"),
            ],
        ),
    ] {
        fs::write(PLACE.file(dir.path(), 1), harm).unwrap();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(entry, what)| (entry, what.to_owned()))
            .collect();
        assert_eq!(problems(&chronicle, 6), expected, "{name}");
    }
}

#[test]
fn an_erased_payload_leaves_a_chain_that_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = six(dir.path());
    let frames = offsets(&bytes);
    let (hash, content) = file::content(&bytes[frames[2] + 12..frames[3]]).unwrap();
    let Content::Entry {
        header,
        salt,
        payload,
    } = content
    else {
        panic!("{content:?}");
    };
    let payload = crate::audit::chain::payload_hash(&salt, payload);
    let mut erased = bytes[..frames[2]].to_vec();
    file::put(
        &mut erased,
        STORE,
        &hash,
        &Content::Erased { header, payload },
    );
    erased.extend_from_slice(&bytes[frames[3]..]);
    fs::write(PLACE.file(dir.path(), 1), &erased).unwrap();
    fs::remove_file(Position::path(dir.path())).unwrap();
    let chronicle = open(dir.path());
    let report = chronicle.reader().verify(PLACE, 6).unwrap();
    assert_eq!(
        (report.entries, report.erased, report.problems),
        (6, 1, Vec::new())
    );
    let resource = (DIRECTORY, ResourceKind::User, id(1));
    let page = chronicle.reader().story(resource, Some(3), None, 1);
    let without = HistoryEntry {
        payload: Box::default(),
        ..entry(3, 1, 1, AT)
    };
    assert_eq!(page.unwrap().entries, [without]);
    // The header is read as it was: nothing but the payload is gone.
    assert!(HistoryEntry::decode_header(&mut Input::new(header)).is_ok());
}

#[test]
fn damage_in_the_middle_is_kept_and_read_past() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = six(dir.path());
    let frames = offsets(&bytes);
    bytes[frames[2] + 20] ^= 1;
    fs::write(PLACE.file(dir.path(), 1), &bytes).unwrap();
    fs::remove_file(Position::path(dir.path())).unwrap();
    let salts = Box::new(CountedIds::default());
    let (mut chronicle, damage) = Chronicle::open(dir.path(), STORE, RETENTION, salts).unwrap();
    let (at, to) = (frames[2] as u64, frames[3] as u64);
    assert_eq!(damage, [(PLACE.file(dir.path(), 1), at, to)]);
    append(&mut chronicle, 1, 8);
    assert_eq!(
        fs::read(PLACE.file(dir.path(), 1)).unwrap()[..bytes.len()],
        bytes
    );
    // The story goes on where the lost entry pointed.
    assert_eq!(story(&chronicle, 1, Some(7)), [7, 5, 1]);
    assert_eq!(
        problems(&chronicle, 8),
        [
            (Some(3), format!("bytes {at} to {to} are damaged")),
            (Some(4), "entry 3 is missing".to_owned()),
        ]
    );
}

#[test]
fn entries_that_the_log_has_no_more_leave_a_gap_that_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut chronicle = open(dir.path());
    append(&mut chronicle, 1, 2);
    append(&mut chronicle, 6, 7);
    assert_eq!(chronicle.gaps, [(PLACE, 3, 5)]);
    chronicle.sync(AT).unwrap();
    assert_eq!(
        numbers(dir.path()),
        [(1, 1), (2, 2), (3, 5), (6, 6), (7, 7)]
    );
    assert_eq!(
        problems(&chronicle, 7),
        [(
            Some(3),
            "entries 3 to 5 were never written: the commit log did not reach back to them"
                .to_owned()
        )]
    );
    assert_eq!(story(&chronicle, 1, Some(7)), [7, 1]);
}

#[test]
fn files_go_when_their_last_entry_is_older_than_the_retention() {
    let dir = tempfile::tempdir().unwrap();
    let mut chronicle = open(dir.path());
    let mut now = AT;
    // One entry a day, for 500 days: a new file every thirty.
    for number in 1..=500 {
        let mut entries = act(number, now);
        entries.history.push(entry(number, number - 1, 1, now));
        chronicle.append(number, &entries).unwrap();
        chronicle.sync(now).unwrap();
        now = now.plus_millis(DAY_MS);
    }
    let firsts = |chronicle: &Chronicle, place| -> Vec<u64> {
        let parts = chronicle.reader().parts(place).unwrap();
        parts.iter().map(|part| part.first).collect()
    };
    let expected: Vec<u64> = (0..14).map(|nth| 91 + 30 * nth).collect();
    assert_eq!(firsts(&chronicle, PLACE), expected);
    assert_eq!(problems(&chronicle, 500), []);
    assert_eq!(story(&chronicle, 1, Some(500)).last(), Some(&91));
    let all: Vec<u64> = (0..17).map(|nth| 1 + 30 * nth).collect();
    assert_eq!(
        firsts(&chronicle, Place::Audit),
        all,
        "the audit is kept longer"
    );
    // A file that the retention did not let go is missed.
    fs::remove_file(PLACE.file(dir.path(), 91)).unwrap();
    let missing = (Some(91), "entries 91 to 120 are missing".to_owned());
    assert_eq!(problems(&chronicle, 500), [missing]);
    // Nothing more happens: in the end nothing is left but an empty file that holds the place.
    now = now.plus_millis(401 * DAY_MS);
    assert!(chronicle.is_due(now));
    chronicle.sync(now).unwrap();
    assert_eq!(firsts(&chronicle, PLACE), [501]);
    drop(chronicle);
    let mut chronicle = open(dir.path());
    assert_eq!(problems(&chronicle, 500), []);
    chronicle
        .append(
            501,
            &Entries {
                history: vec![entry(501, 500, 1, now)],
                ..Entries::default()
            },
        )
        .unwrap();
    chronicle.flush().unwrap();
    assert_eq!(problems(&chronicle, 501), []);
    assert_eq!(story(&chronicle, 1, Some(501)), [501]);
}

#[test]
fn a_file_that_is_large_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut chronicle = open(dir.path());
    let mut number = 0;
    let mut large = |at| {
        number += 1;
        let mut entries = turn(number);
        entries.history[0].at = at;
        entries.history[0].payload = vec![b'x'; 8 << 20].into();
        chronicle.append(number, &entries).unwrap();
    };
    for _nth in 0..9 {
        large(AT);
    }
    // The same day, beyond 64 MiB; then the next day, beyond one.
    large(AT.plus_millis(DAY_MS));
    chronicle.sync(AT).unwrap();
    let parts = chronicle.reader().parts(PLACE).unwrap();
    let firsts: Vec<_> = parts.iter().map(|part| part.first).collect();
    assert_eq!(firsts, [1, 9, 10]);
    assert_eq!(problems(&chronicle, 10), []);
    assert_eq!(story(&chronicle, 1, Some(9)), [9, 7, 5, 3, 1]);
}

#[test]
fn a_deleted_directory_takes_its_history_along_once_that_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    six(dir.path());
    let mut chronicle = open(dir.path());
    let deleted = Entries {
        deleted: vec![DIRECTORY],
        ..act(1, AT)
    };
    chronicle.append(7, &deleted).unwrap();
    chronicle.flush().unwrap();
    assert!(PLACE.file(dir.path(), 1).exists());
    chronicle.sync(AT).unwrap();
    assert!(!PLACE.folder(dir.path()).exists());
    drop(chronicle);
    let chronicle = open(dir.path());
    assert_eq!(chronicle.seq, 7, "nothing is missed");
    assert_eq!(chronicle.reader().audit(None, 9).unwrap().entries.len(), 1);
}

#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    six(dir.path());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("history")), 0o700);
    assert_eq!(mode(&PLACE.folder(dir.path())), 0o700);
    assert_eq!(mode(&PLACE.file(dir.path(), 1)), 0o600);
    assert_eq!(mode(&Position::path(dir.path())), 0o600);
}
