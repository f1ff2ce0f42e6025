//! The commit log on damaged, cut, exchanged and missing files.

use std::fs;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::entry::AuditDraft;
use crate::audit::entry::AuditEntry;
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::store::error::OpenError;
use crate::store::log::frame;
use crate::store::log::frame::Kind;
use crate::store::log::frame::StoreId;
use crate::store::log::group;
use crate::store::log::group::Logged;
use crate::store::log::group::Made;
use crate::store::log::read;
use crate::store::log::read::End;
use crate::store::log::segment;
use crate::store::log::segment::FRAMES_AT;
use crate::store::log::segment::Spares;
use crate::store::log::write::AppendError;
use crate::store::log::write::Writer;

/// The store all of these logs belong to.
const STORE: StoreId = StoreId(*b"0123456789abcdef");
/// What the refusal must say, and the damage to some segments.
type Case = (&'static str, fn(&[PathBuf]));
/// When everything happens.
const AT: Timestamp = Timestamp::from_millis(1);

/// A transaction that can be told from others.
fn transaction(number: u32) -> Logged {
    Logged {
        changes: vec![
            Made::DeleteDirectory(DirectoryId(number)),
            Made::PutSetting {
                name: "name".into(),
                value: number.to_le_bytes().as_slice().into(),
            },
        ],
        history: Vec::new(),
        audit: vec![AuditEntry {
            number: u64::from(number),
            at: AT,
            draft: AuditDraft {
                actor: Actor::System,
                action: "test".to_owned(),
                target: String::new(),
                detail: "x".repeat(usize::try_from(number % 7).unwrap()),
            },
        }],
    }
}

/// Appends transactions `first` to `first + count - 1` as one frame. Returns where it ends.
fn append(writer: &mut Writer, first: u32, count: u32) -> Result<(), AppendError> {
    let group: Vec<Logged> = (first..first + count).map(transaction).collect();
    let body = group::encode(group.iter());
    let seq = u64::from(first);
    writer.append(frame::encode(STORE, Kind::Group, seq, AT, &body), seq, AT)
}

/// A writer of a new log in `dir`.
fn begin(dir: &Path) -> Writer {
    let spares = Arc::new(Spares::new(dir, 0, 0).unwrap());
    Writer::begin(spares, STORE, AT).unwrap()
}

/// Everything after transaction `after`, and where the log ends.
fn replay(dir: &Path, after: u64) -> Result<(Vec<Logged>, End), OpenError> {
    let segments = read::list(dir)?;
    let mut seen = Vec::new();
    let mut next = after + 1;
    let end = read::replay::<OpenError>(&segments, STORE, after, after, &mut |transaction| {
        assert_eq!(transaction.seq, next);
        next += 1;
        seen.push(transaction.logged);
        Ok(())
    })?;
    assert_eq!(end.next_seq, next);
    Ok((seen, end))
}

/// Transactions `first` to `last`.
fn transactions(first: u32, last: u32) -> Vec<Logged> {
    (first..=last).map(transaction).collect()
}

/// A log of three frames with transactions 1, 2 to 4, 5: its only segment, and where each ends.
fn small(dir: &Path) -> (PathBuf, Vec<u64>) {
    let mut writer = begin(dir);
    let path = dir.join(segment::name(1));
    let mut ends = Vec::new();
    for (first, count) in [(1, 1), (2, 3), (5, 1)] {
        append(&mut writer, first, count).unwrap();
        ends.push(replay(dir, 0).unwrap().1.tip.offset);
    }
    (path, ends)
}

/// How many transactions the first `frames` frames of [`small`] hold.
fn held(frames: usize) -> u32 {
    [0, 1, 4, 5][frames]
}

#[test]
fn a_log_is_read_back_from_any_point() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    for after in 0..=5_u32 {
        let (seen, end) = replay(dir.path(), u64::from(after)).unwrap();
        assert_eq!(seen, transactions(after + 1, 5), "{after}");
        assert_eq!((end.next_seq, end.cut), (6, None), "{after}");
    }
}

#[test]
fn a_log_that_ends_before_the_state_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let error = replay(dir.path(), 6).unwrap_err().to_string();
    assert!(error.contains("ends before transaction 6"), "{error}");
}

#[test]
fn an_end_that_the_state_has_is_not_cut_off_when_it_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ends) = small(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(ends[1]).unwrap() + 40] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let segments = read::list(dir.path()).unwrap();
    // Transaction 5 is in the state, wholly or in part.
    for after in [5, 4] {
        let error = read::replay::<OpenError>(&segments, STORE, after, 5, &mut |_| Ok(()));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("ends before transaction 5"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "nothing was given up");
    }
    // It is not: a torn tail like any other.
    let end = read::replay::<OpenError>(&segments, STORE, 4, 4, &mut |_| Ok(()));
    assert_eq!(end.unwrap().next_seq, 5);
}

#[test]
fn a_cut_log_holds_what_is_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ends) = small(dir.path());
    let whole = fs::read(&path).unwrap();
    for length in FRAMES_AT..=ends[2] + 8 {
        let mut cut = whole.clone();
        cut[usize::try_from(length).unwrap()..].fill(0);
        fs::write(&path, &cut).unwrap();
        // A frame of which only the zeros at its end are gone is whole.
        let index = |at: u64| usize::try_from(at).unwrap();
        let frames = ends
            .iter()
            .filter(|at| cut[..index(**at)] == whole[..index(**at)]);
        let frames = frames.count();
        let (seen, end) = replay(dir.path(), 0).unwrap();
        assert_eq!(seen, transactions(1, held(frames)), "{length}");
        let sound = [FRAMES_AT, ends[0], ends[1], ends[2]][frames];
        let torn = cut[index(sound)..].iter().any(|byte| *byte != 0);
        assert_eq!(end.cut.is_some(), torn, "{length}");
        // What was cut is gone: a second start finds nothing to cut.
        assert_eq!(replay(dir.path(), 0).unwrap().1.cut, None, "{length}");
    }
}

#[test]
fn a_segment_that_has_become_shorter_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ends) = small(dir.path());
    let whole = fs::read(&path).unwrap();
    let all = u64::try_from(whole.len()).unwrap();
    for length in [FRAMES_AT, ends[0], ends[1] + 8, ends[2], all - 1] {
        fs::write(&path, &whole[..usize::try_from(length).unwrap()]).unwrap();
        let error = replay(dir.path(), 0).unwrap_err().to_string();
        let part = format!("the file has {length} bytes, but was made with {all}");
        assert!(error.contains(&part), "{length}: {error}");
    }
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ends) = small(dir.path());
    let whole = fs::read(&path).unwrap();
    for at in (FRAMES_AT..ends[2]).chain([ends[2] + 3]) {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[usize::try_from(at).unwrap()] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
            let frames = ends.iter().filter(|end| **end <= at).count();
            match replay(dir.path(), 0) {
                // The last frame, or the zeros behind it: a torn tail, and cut.
                Ok((seen, end)) => {
                    assert!(frames >= 2, "{at} {bit}");
                    assert_eq!(seen, transactions(1, held(frames)), "{at} {bit}");
                    assert!(end.cut.is_some(), "{at} {bit}");
                }
                // An earlier one: refused, and the offset of the bad frame is named.
                Err(OpenError::Damaged { file, offset, .. }) => {
                    assert!(frames < 2, "{at} {bit}");
                    assert_eq!(file, path, "{at} {bit}");
                    assert_eq!(offset, [FRAMES_AT, ends[0]][frames], "{at} {bit}");
                }
                Err(other) => panic!("{at} {bit}: {other}"),
            }
        }
    }
}

#[test]
fn a_zeroed_block_in_the_middle_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ends) = small(dir.path());
    let file = File::options().write(true).open(&path).unwrap();
    let bytes = usize::try_from(ends[1] - ends[0]).unwrap();
    file.write_all_at(&vec![0; bytes], ends[0]).unwrap();
    let error = replay(dir.path(), 0).unwrap_err();
    let text = error.to_string();
    for part in [
        path.to_str().unwrap(),
        &format!("at byte {}", ends[0]),
        "transaction 5 follows",
        "start again",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_older_frame_behind_the_end_is_not_part_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ends) = small(dir.path());
    let old = frame::encode(STORE, Kind::Group, 5, AT, &group::encode([].iter()));
    let other = frame::encode(
        StoreId([0; 16]),
        Kind::Group,
        6,
        AT,
        &group::encode([].iter()),
    );
    for frame in [old, other] {
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&frame, ends[2] + 64).unwrap();
        let (seen, end) = replay(dir.path(), 0).unwrap();
        assert_eq!(seen, transactions(1, 5));
        assert!(end.cut.is_some());
    }
}

/// A log of several segments with transactions 1 to 2400, three a frame.
fn large(dir: &Path) -> Vec<PathBuf> {
    let mut writer = begin(dir);
    for first in (1..2400).step_by(3) {
        append(&mut writer, first, 3).unwrap();
    }
    let segments = read::list(dir).unwrap();
    let paths: Vec<PathBuf> = segments.into_iter().map(|found| found.path).collect();
    assert!(paths.len() > 2, "{paths:?}");
    paths
}

#[test]
fn a_log_of_several_segments_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    large(dir.path());
    for after in [0, 1, 800, 1600, 2399] {
        let (seen, _end) = replay(dir.path(), u64::from(after)).unwrap();
        assert_eq!(seen, transactions(after + 1, 2400), "{after}");
    }
    let end = replay(dir.path(), 0).unwrap().1;
    let spares = Arc::new(Spares::new(dir.path(), 0, 0).unwrap());
    let mut writer = Writer::open(spares, STORE, end.tip, 0).unwrap();
    append(&mut writer, 2401, 400).unwrap();
    append(&mut writer, 2801, 1).unwrap();
    assert_eq!(replay(dir.path(), 0).unwrap().0, transactions(1, 2801));
}

#[test]
fn a_frame_larger_than_a_segment_gets_one_of_its_own_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = begin(dir.path());
    append(&mut writer, 1, 3).unwrap();
    append(&mut writer, 4, 5000).unwrap();
    append(&mut writer, 5004, 1).unwrap();
    assert_eq!(replay(dir.path(), 0).unwrap().0, transactions(1, 5004));
    assert_eq!(read::list(dir.path()).unwrap().len(), 3);
}

#[test]
fn a_segment_without_transactions_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = begin(dir.path());
    let mut next = 1;
    for count in [5000, 5000, 1] {
        let seq = u64::from(next);
        let opened = frame::encode(STORE, Kind::Opened, seq, AT, b"1.0.0");
        writer.append(opened, seq, AT).unwrap();
        append(&mut writer, next, count).unwrap();
        next += count;
        let (seen, end) = replay(dir.path(), 0).unwrap();
        assert_eq!(seen, transactions(1, next - 1));
        assert_eq!(end.cut, None);
    }
    assert_eq!(read::list(dir.path()).unwrap().len(), 3);
}

#[test]
fn missing_exchanged_and_damaged_segments_are_found() {
    let damages: [Case; 4] = [
        ("is missing although", |paths| {
            fs::remove_file(&paths[1]).unwrap();
        }),
        ("begins after transaction", |paths| {
            fs::remove_file(&paths[0]).unwrap();
        }),
        ("is missing although", |paths| {
            let file = File::options().write(true).open(&paths[1]).unwrap();
            file.write_all_at(&[0; 64], FRAMES_AT + 4096).unwrap();
        }),
        ("header is not readable", |paths| {
            let file = File::options().write(true).open(&paths[1]).unwrap();
            file.write_all_at(&[0; 64], 0).unwrap();
        }),
    ];
    for (expected, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        let paths = large(dir.path());
        damage(&paths);
        let error = replay(dir.path(), 0).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        // Nobody needs the old segments to go on at the end.
        assert!(replay(dir.path(), 2400).is_ok(), "{expected}");
    }
}

#[test]
fn the_last_segment_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let mut paths = large(dir.path());
    while paths.len() > 1 {
        let gone = paths.pop().unwrap();
        fs::remove_file(&gone).unwrap();
        for after in [0, 1] {
            let error = replay(dir.path(), after).unwrap_err().to_string();
            for part in [gone.to_str().unwrap(), "it is missing, although"] {
                assert!(error.contains(part), "{part}: {error}");
            }
        }
    }
}

#[test]
fn a_segment_of_another_past_is_found() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let paths = large(dir.path());
    let mut writer = begin(other.path());
    // The same numbers in the same places, but other frames.
    for first in (1..2400).step_by(3) {
        let group: Vec<Logged> = (first + 7..first + 10).map(transaction).collect();
        let (body, seq) = (group::encode(group.iter()), u64::from(first));
        let frame = frame::encode(STORE, Kind::Group, seq, AT, &body);
        writer.append(frame, seq, AT).unwrap();
    }
    fs::copy(other.path().join(paths[1].file_name().unwrap()), &paths[1]).unwrap();
    let error = replay(dir.path(), 0).unwrap_err().to_string();
    assert!(error.contains("does not continue the segment"), "{error}");
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _ends) = small(dir.path());
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[3], 8).unwrap();
    let error = replay(dir.path(), 0).unwrap_err();
    assert!(matches!(
        error,
        OpenError::Newer {
            found: 3,
            known: 2,
            ..
        }
    ));
    let text = error.to_string();
    assert!(
        text.contains("newer Rollcall") && text.contains("backup"),
        "{text}"
    );
}

#[test]
fn a_disk_that_takes_nothing_is_an_error_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let mut tip = replay(dir.path(), 0).unwrap().1.tip;
    tip.path = dir.path().join("full");
    symlink("/dev/full", &tip.path).unwrap();
    let spares = Arc::new(Spares::new(dir.path(), 0, 0).unwrap());
    let mut writer = Writer::open(spares, STORE, tip, 0).unwrap();
    let error = append(&mut writer, 6, 1).unwrap_err();
    assert!(matches!(error, AppendError::Failed { .. }), "{error}");
    assert_eq!(replay(dir.path(), 0).unwrap().0, transactions(1, 5));
}

#[test]
fn without_room_for_a_segment_the_log_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (_path, ends) = small(dir.path());
    let tip = replay(dir.path(), 0).unwrap().1.tip;
    // No disk has this much room.
    let spares = Arc::new(Spares::new(dir.path(), 0, u64::MAX).unwrap());
    let mut writer = Writer::open(spares, STORE, tip, 0).unwrap();
    let error = append(&mut writer, 6, 4000).unwrap_err();
    assert!(matches!(error, AppendError::Space), "{error}");
    append(&mut writer, 6, 1).unwrap();
    let (seen, end) = replay(dir.path(), 0).unwrap();
    assert_eq!(seen, transactions(1, 6));
    assert!(end.tip.offset > ends[2]);
}
