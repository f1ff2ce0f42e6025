//! How far history and audit are on disk: one small file, replaced as a whole after everything it
//! speaks of was synced. What is behind it is in the commit log.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::audit::chain::Hash;
use crate::base::clock::Timestamp;
use crate::store::chronicle::file::HISTORY;
use crate::store::chronicle::file::Place;
use crate::store::log::frame::StoreId;
use crate::store::log::segment;

/// The format this program reads and writes.
const FORMAT: u32 = 1;
/// How the file begins.
const MAGIC: [u8; 8] = *b"ROLLPOSN";

/// How far one series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its last entry.
    pub last: u64,
    /// When that was committed.
    pub last_at: Timestamp,
    /// That entry's hash.
    pub hash: Hash,
    /// The first entry that its retention has left.
    pub kept_from: u64,
    /// The first entry of its last file.
    pub first: u64,
    /// Where that file ends.
    pub end: u64,
}

/// How far all of them are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The store they belong to.
    pub store: StoreId,
    /// The last transaction whose entries are in the files.
    pub seq: u64,
    /// Each series that has entries.
    pub marks: BTreeMap<Place, Mark>,
}

impl Position {
    /// The file, in the store's directory.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join(HISTORY).join("position")
    }

    /// Reads the file; nothing when there is none, or one that says nothing.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn read(dir: &Path, store: StoreId) -> io::Result<Option<Self>> {
        let content = match fs::read(Self::path(dir)) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let position = Self::decode(&content).ok();
        Ok(position.filter(|position| position.store == store))
    }

    /// Replaces the file, durably.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let path = Self::path(dir);
        let unfinished = path.with_extension("tmp");
        let mut file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&self.encode())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        segment::sync_dir(&dir.join(HISTORY))
    }

    /// The file's bytes.
    fn encode(&self) -> Vec<u8> {
        let mut rest = Vec::new();
        rest.extend_from_slice(&self.store.0);
        bytes::put_u64(&mut rest, self.seq);
        bytes::put_count(&mut rest, self.marks.len());
        for (place, mark) in &self.marks {
            bytes::put_u32(&mut rest, place.number());
            bytes::put_u64(&mut rest, mark.last);
            bytes::put_time(&mut rest, mark.last_at);
            rest.extend_from_slice(&mark.hash);
            bytes::put_u64(&mut rest, mark.kept_from);
            bytes::put_u64(&mut rest, mark.first);
            bytes::put_u64(&mut rest, mark.end);
        }
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        bytes::put_u32(&mut out, FORMAT);
        bytes::put_u32(&mut out, crc32fast::hash(&rest));
        out.extend_from_slice(&rest);
        out
    }

    /// Reads what [`Position::encode`] wrote.
    fn decode(content: &[u8]) -> Result<Self, BadBytes> {
        let mut input = Input::new(content);
        if input.array()? != MAGIC || input.u32()? != FORMAT {
            return Err(BadBytes);
        }
        if input.u32()? != crc32fast::hash(input.rest()) {
            return Err(BadBytes);
        }
        let (store, seq, count) = (StoreId(input.array()?), input.u64()?, input.count()?);
        let mut marks = BTreeMap::new();
        for _nth in 0..count {
            let place = Place::of_number(input.u32()?);
            let mark = Mark {
                last: input.u64()?,
                last_at: input.time()?,
                hash: input.array()?,
                kept_from: input.u64()?,
                first: input.u64()?,
                end: input.u64()?,
            };
            marks.insert(place, mark);
        }
        input.end()?;
        Ok(Self { store, seq, marks })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::base::clock::Timestamp;
    use crate::base::ident::DirectoryId;
    use crate::store::chronicle::file::Place;
    use crate::store::chronicle::position::Mark;
    use crate::store::chronicle::position::Position;
    use crate::store::log::frame::StoreId;

    #[test]
    fn a_position_is_read_back_and_no_damaged_one_is() {
        let mark = |last| Mark {
            last,
            last_at: Timestamp::from_millis(6),
            hash: [5; 32],
            kept_from: 2,
            first: 3,
            end: 4,
        };
        let marks = [
            (Place::Audit, mark(7)),
            (Place::History(DirectoryId(9)), mark(8)),
        ];
        let position = Position {
            store: StoreId([7; 16]),
            seq: 12,
            marks: BTreeMap::from(marks),
        };
        let bytes = position.encode();
        assert_eq!(Position::decode(&bytes), Ok(position));
        for at in 0..bytes.len() {
            assert!(Position::decode(&bytes[..at]).is_err(), "cut at {at}");
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Position::decode(&damaged).is_err(), "flipped at {at}");
        }
    }
}
