//! The base: the whole state in one compressed file, from which it can be rebuilt together with
//! the commit log behind it. Once there is a base, older segments of the log are not needed.
//!
//! ```text
//! base/<seq>.base
//!   header    64 bytes: magic, format, CRC, store, seq, time
//!   blocks    each: compressed length, length, CRC, number of cells; then LZ4 of cells in the order of their keys
//!   footer    where each block is and with which key it begins; count and hash of all cells
//!   trailer   24 bytes: where the footer is, its length and CRC, magic
//! ```
//!
//! Cells are written while the state goes on: the tables before the resources are of transaction
//! `seq`, a resource may be of a later one. Replaying the log from `seq + 1` makes all of them
//! agree, because what a transaction does is absolute. A base counts once it was read back.

pub mod check;
pub mod read;
pub mod write;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::base::clock::Timestamp;
use crate::store::cell::Tally;
use crate::store::folder;
use crate::store::header::BadHeader;
use crate::store::header::Form;
use crate::store::log::frame::StoreId;
use crate::store::log::segment;

/// Folder of the bases.
pub const FOLDER: &str = "base";
/// The newest format this program reads, and the one it writes.
pub const FORMAT: u32 = 2;
/// A base being written.
const UNFINISHED: &str = "base.tmp";
/// How a base's name ends.
const SUFFIX: &str = ".base";
/// How a base begins.
const FORM: Form = Form {
    magic: *b"ROLLBASE",
    format: FORMAT,
    oldest: 1,
    bytes: HEADER_BYTES,
};
/// How a base ends.
const MAGIC_END: [u8; 8] = *b"BASE.END";
/// Bytes of the header.
const HEADER_BYTES: usize = 64;
/// Bytes of the trailer.
const TRAILER_BYTES: usize = 24;
/// Bytes before a block's compressed cells.
const BLOCK_HEAD_BYTES: usize = 16;
/// Bytes of cells, uncompressed, after which a block is closed.
const BLOCK_BYTES: usize = 256 << 10;
/// Most bytes of a block's cells, uncompressed: one resource of the largest size, and some more.
const BLOCK_BYTES_MAX: usize = 32 << 20;

/// Why a base cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The machine refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not what any writer of this format writes.
    #[error("it is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A newer Rollcall wrote it: its format.
    #[error("it has the newer format {0}")]
    Newer(u32),
    /// It belongs to another store.
    #[error("it belongs to another store")]
    Foreign,
}

/// Damage at an offset.
const fn damaged(offset: u64, what: &'static str) -> BaseError {
    BaseError::Damaged { offset, what }
}

/// What a base says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The store it belongs to.
    pub store: StoreId,
    /// The log behind this transaction is needed beside it.
    pub seq: u64,
    /// When it was begun.
    pub at: Timestamp,
}

impl Header {
    /// The header's bytes.
    fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        fields.extend_from_slice(&self.store.0);
        bytes::put_u64(&mut fields, self.seq);
        bytes::put_time(&mut fields, self.at);
        FORM.encode(&fields)
    }

    /// Reads what [`Header::encode`] wrote.
    fn decode(header: &[u8]) -> Result<Self, BaseError> {
        let read = || -> Result<Self, BadHeader> {
            let mut input = FORM.decode(header)?;
            Ok(Self {
                store: StoreId(input.array()?),
                seq: input.u64()?,
                at: input.time()?,
            })
        };
        read().map_err(|bad| match bad {
            BadHeader::Newer(newer) => BaseError::Newer(newer),
            BadHeader::Damaged => damaged(0, "its header is not readable"),
        })
    }
}

/// One block, as the footer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    /// Where it begins.
    offset: u64,
    /// The key of its first cell.
    first_key: Box<[u8]>,
}

/// What is behind the blocks.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Footer {
    /// The blocks in order.
    blocks: Vec<Block>,
    /// What the file holds.
    tally: Tally,
    /// The transaction the state was at when the last cell was written.
    end_seq: u64,
}

impl Footer {
    /// The footer's bytes.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        bytes::put_u64(&mut out, self.tally.cells);
        bytes::put_u64(&mut out, self.tally.hash);
        bytes::put_u64(&mut out, self.end_seq);
        bytes::put_count(&mut out, self.blocks.len());
        for block in &self.blocks {
            bytes::put_u64(&mut out, block.offset);
            bytes::put_bytes(&mut out, &block.first_key);
        }
        out
    }

    /// Reads what [`Footer::encode`] wrote.
    fn decode(footer: &[u8]) -> Result<Self, BadBytes> {
        let mut input = Input::new(footer);
        let tally = Tally {
            cells: input.u64()?,
            hash: input.u64()?,
        };
        let end_seq = input.u64()?;
        let count = input.count()?;
        let mut blocks = Vec::new();
        for _ in 0..count {
            blocks.push(Block {
                offset: input.u64()?,
                first_key: input.bytes()?.into(),
            });
        }
        input.end()?;
        Ok(Self {
            blocks,
            tally,
            end_seq,
        })
    }
}

/// The name of the base of transaction `seq`.
fn name(seq: u64) -> String {
    format!("{seq:020}{SUFFIX}")
}

/// The bases in the store's directory `dir`, newest first, by their names.
///
/// # Errors
///
/// What the machine says.
pub fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = folder::list(&dir.join(FOLDER), |name| {
        name.strip_suffix(SUFFIX)?.parse().ok()
    })?;
    found.reverse();
    Ok(found)
}

/// Removes a base that was not finished. Returns its path when there was one.
///
/// # Errors
///
/// What the machine says.
pub fn remove_unfinished(dir: &Path) -> io::Result<Option<PathBuf>> {
    let path = dir.join(FOLDER).join(UNFINISHED);
    match fs::remove_file(&path) {
        Ok(()) => Ok(Some(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes all bases older than the one of transaction `seq`.
///
/// # Errors
///
/// What the machine says.
pub fn remove_older(dir: &Path, seq: u64) -> io::Result<()> {
    for (older, path) in list(dir)? {
        if older < seq {
            fs::remove_file(path)?;
        }
    }
    segment::sync_dir(&dir.join(FOLDER))
}

#[cfg(test)]
mod tests;
