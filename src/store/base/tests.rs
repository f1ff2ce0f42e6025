//! A base is written, read back, and found out when it is damaged.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::scim::schema::ResourceKind;
use crate::store::base;
use crate::store::base::BaseError;
use crate::store::base::Header;
use crate::store::base::read::Base;
use crate::store::base::read::Cell;
use crate::store::base::write::Finished;
use crate::store::base::write::Writer;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::log::frame::StoreId;

/// The store of all bases here.
const STORE: StoreId = StoreId([7; 16]);
/// When they are begun.
const AT: Timestamp = Timestamp::from_millis(9);

/// The cell of user `number`: every tenth is large.
fn cell(number: u8) -> Cell {
    let id = ResourceId::from_bytes([number; 16]);
    let key = Key::Resource(DirectoryId(1), ResourceKind::User, id);
    let bytes = if number.is_multiple_of(10) {
        90_000
    } else {
        300
    };
    let content: Vec<u8> = (0_u32..bytes)
        .map(|at| number ^ u8::try_from(at * 31 % 256).unwrap())
        .collect();
    (key.clone(), Mark::of(&key, &content), content.into())
}

/// Writes a base of these cells, and reads it back.
fn write(dir: &Path, numbers: impl Iterator<Item = u8>) -> (PathBuf, Finished) {
    let header = Header {
        store: STORE,
        seq: 41,
        at: AT,
    };
    let mut writer = Writer::begin(dir, header).unwrap();
    for (key, mark, content) in numbers.map(cell) {
        writer.add(&key, mark, &content).unwrap();
    }
    let mut read_back = writer.finish(43).unwrap();
    let finished = loop {
        if let Some(finished) = read_back.step().unwrap() {
            break finished;
        }
    };
    let [(seq, path)] = <[_; 1]>::try_from(base::list(dir).unwrap()).unwrap();
    assert_eq!(seq, 41);
    (path, finished)
}

/// All cells of a base, or what is wrong with it.
fn read(path: &Path) -> Result<Vec<Cell>, BaseError> {
    let base = Base::open(path, STORE)?;
    let mut cells = Vec::new();
    for number in 0..base.blocks() {
        cells.extend(base.block(number)?);
    }
    Ok(cells)
}

#[test]
fn a_base_holds_what_was_written() {
    for count in [0, 1, 100, 255] {
        let dir = tempfile::tempdir().unwrap();
        let (path, finished) = write(dir.path(), 0..count);
        let base = Base::open(&path, STORE).unwrap();
        assert_eq!(base.header().seq, 41);
        assert_eq!(base.end_seq(), 43);
        assert_eq!(
            finished,
            Finished {
                seq: 41,
                at: AT,
                cells: u64::from(count),
                bytes: fs::metadata(&path).unwrap().len(),
            }
        );
        assert_eq!(
            read(&path).unwrap(),
            (0..count).map(cell).collect::<Vec<_>>()
        );
        for number in 0..=255 {
            let expected = (number < count).then(|| cell(number));
            assert_eq!(base.get(&cell(number).0).unwrap(), expected, "{number}");
        }
    }
}

#[test]
fn damage_anywhere_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _finished) = write(dir.path(), 0..3);
    let whole = fs::read(&path).unwrap();
    let cells = read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        assert!(read(&path).ok().as_ref() != Some(&cells), "a flip at {at}");
        fs::write(&path, &whole[..at]).unwrap();
        assert!(read(&path).ok().as_ref() != Some(&cells), "a cut at {at}");
    }
}

#[test]
fn another_store_and_a_newer_format_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _finished) = write(dir.path(), 0..3);
    let foreign = Base::open(&path, StoreId([8; 16]));
    assert!(matches!(foreign, Err(BaseError::Foreign)));
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 3;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(Base::open(&path, STORE), Err(BaseError::Newer(3))));
}

#[test]
fn an_unfinished_base_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let header = Header {
        store: STORE,
        seq: 1,
        at: AT,
    };
    let writer = Writer::begin(dir.path(), header).unwrap();
    drop(writer);
    assert!(base::list(dir.path()).unwrap().is_empty());
    assert!(base::remove_unfinished(dir.path()).unwrap().is_some());
    assert!(base::remove_unfinished(dir.path()).unwrap().is_none());
}
