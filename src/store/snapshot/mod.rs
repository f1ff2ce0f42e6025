//! A snapshot of the indexes, so that a start need not read every record: it loads the snapshot and
//! replays the log from there. It says nothing that state and log do not say: when it is missing,
//! damaged or too old, the start reads the records.
//!
//! ```text
//! index.snapshot
//!   header    64 bytes: magic, format, CRC, store, seq, time
//!   sections  each: length, CRC, then its kind and what it holds
//!     rows      everything that is no resource, as of transaction `seq`
//!     stretch   some of the resources of one kind in one directory
//!     labels    what some of the groups of one directory are called
//!     members   who is in some of the groups of one directory
//!     end       the transaction at which the last stretch was taken; how many sections there are
//! ```
//!
//! Stretches are taken one after the other while others write. Replaying the log from `seq + 1`
//! makes them agree, because what a transaction does is absolute; so the state must be at the last
//! stretch or behind it when the snapshot is used, and the log must reach back to `seq + 1`.

pub mod read;
pub mod write;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::base::clock::Timestamp;
use crate::store::header::Form;
use crate::store::log::frame::StoreId;

/// The snapshot.
pub const FILE: &str = "index.snapshot";
/// A snapshot being written.
const UNFINISHED: &str = "index.snapshot.tmp";
/// How a snapshot begins.
const FORM: Form = Form {
    magic: *b"ROLLSNAP",
    format: 2,
    oldest: 2,
    bytes: 64,
};
/// Longest section. A stretch of the largest resources stays below it.
const SECTION_BYTES_MAX: usize = 1 << 30;

/// What a section holds.
mod kind {
    /// Everything that is no resource.
    pub const ROWS: u8 = 1;
    /// Some of the resources of one kind in one directory.
    pub const STRETCH: u8 = 2;
    /// Nothing more comes.
    pub const END: u8 = 3;
    /// What some of the groups of one directory are called.
    pub const LABELS: u8 = 4;
    /// Who is in some of the groups of one directory.
    pub const MEMBERS: u8 = 5;
}

/// What a snapshot says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The store it belongs to.
    pub store: StoreId,
    /// The log behind this transaction is needed beside it.
    pub seq: u64,
    /// The transaction at which the last of it was taken: the state must have it.
    pub end_seq: u64,
    /// When it was begun.
    pub at: Timestamp,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Where the snapshot is in the store's directory `dir`.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Removes the snapshot, when there is one: the next start reads every record.
///
/// # Errors
///
/// What the machine says.
pub fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_file(path(dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes a snapshot that was not finished. Returns its path when there was one.
///
/// # Errors
///
/// What the machine says.
pub fn remove_unfinished(dir: &Path) -> io::Result<Option<PathBuf>> {
    let path = dir.join(UNFINISHED);
    match fs::remove_file(&path) {
        Ok(()) => Ok(Some(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
