//! The bytes of the files of history and audit: names, headers, frames.
//!
//! ```text
//! header  "ROLLCHRN" format CRC-32 store place first-number time hash-before, zeros to 128
//! frame   magic F7 'R' 'H' FF   4 length of body   8 CRC-32   12 body
//! body    1 hash salt header payload  |  2 hash hash-of-payload header  |  3 hash from through time
//! ```
//!
//! The checksum of a frame covers the store's identity, so that a file of another store is not
//! mistaken for one of this. A body of kind 2 is an entry whose payload was erased, one of kind 3
//! says which entries were never written.

use std::path::Path;
use std::path::PathBuf;

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::audit::chain;
use crate::audit::chain::Hash;
use crate::audit::chain::Salt;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::store::header::Form;
use crate::store::log::frame::StoreId;

/// How a file begins.
const FORM: Form = Form {
    magic: *b"ROLLCHRN",
    format: 1,
    oldest: 1,
    bytes: HEADER_BYTES,
};
/// Bytes of a file's header.
pub const HEADER_BYTES: usize = 128;
/// [`HEADER_BYTES`] as an offset.
pub const FRAMES_AT: u64 = 128;
/// How a frame begins; holds two bytes that UTF-8 text never holds.
pub const FRAME_MAGIC: [u8; 4] = [0xf7, b'R', b'H', 0xff];
/// Bytes of a frame before its body.
pub const HEAD_BYTES: usize = 12;
/// Longest body: a transaction has up to 32 MiB.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Folder of the histories.
pub const HISTORY: &str = "history";
/// Folder of the audit.
pub const AUDIT: &str = "audit";

/// Which series of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The audit.
    Audit,
    /// The history of a directory.
    History(DirectoryId),
}

impl Place {
    /// Its number on disk: directories count from 1.
    pub const fn number(self) -> u32 {
        match self {
            Self::Audit => 0,
            Self::History(id) => id.0,
        }
    }

    /// The place of that number.
    pub const fn of_number(number: u32) -> Self {
        match number {
            0 => Self::Audit,
            id => Self::History(DirectoryId(id)),
        }
    }

    /// Its folder, in the store's directory.
    pub fn folder(self, dir: &Path) -> PathBuf {
        match self {
            Self::Audit => dir.join(AUDIT),
            Self::History(id) => dir.join(HISTORY).join(id.0.to_string()),
        }
    }

    /// How its files end.
    const fn ending(self) -> &'static str {
        match self {
            Self::Audit => ".audit",
            Self::History(_) => ".history",
        }
    }

    /// Its file that begins with entry `first`.
    pub fn file(self, dir: &Path, first: u64) -> PathBuf {
        let ending = self.ending();
        self.folder(dir).join(format!("{first:020}{ending}"))
    }

    /// The first entry of its file of that name.
    pub fn first_of(self, name: &str) -> Option<u64> {
        let digits = name.strip_suffix(self.ending())?;
        let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    }
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The store it belongs to.
    pub store: StoreId,
    /// The series it belongs to.
    pub place: Place,
    /// The first entry in it.
    pub first: u64,
    /// When that was committed.
    pub at: Timestamp,
    /// Hash of the entry before it.
    pub before: Hash,
}

impl Header {
    /// The header's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        fields.extend_from_slice(&self.store.0);
        bytes::put_u32(&mut fields, self.place.number());
        bytes::put_u64(&mut fields, self.first);
        bytes::put_time(&mut fields, self.at);
        fields.extend_from_slice(&self.before);
        FORM.encode(&fields)
    }

    /// Reads what [`Header::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when it is not a header of a known format.
    pub fn decode(header: &[u8]) -> Result<Self, BadBytes> {
        let mut input = FORM.decode(header).map_err(|_bad| BadBytes)?;
        Ok(Self {
            store: StoreId(input.array()?),
            place: Place::of_number(input.u32()?),
            first: input.u64()?,
            at: input.time()?,
            before: input.array()?,
        })
    }
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// An entry.
    Entry {
        /// All of it but the payload.
        header: &'a [u8],
        /// What the payload's hash is salted with.
        salt: Salt,
        /// The payload.
        payload: &'a [u8],
    },
    /// An entry whose payload was erased.
    Erased {
        /// All of it but the payload.
        header: &'a [u8],
        /// The salted hash of what the payload was.
        payload: Hash,
    },
    /// Entries that were never written here: the commit log did not have them any more.
    Gap {
        /// The first of them.
        from: u64,
        /// The last of them.
        through: u64,
        /// When that was noticed.
        at: Timestamp,
    },
}

impl Content<'_> {
    /// The first and the last number it stands for.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when the entry's header does not begin like one.
    pub fn numbers(&self) -> Result<(u64, u64), BadBytes> {
        match self {
            Self::Entry { header, .. } | Self::Erased { header, .. } => {
                // Every version of both kinds of entry begins with the version and the number.
                let mut input = Input::new(header);
                input.u8()?;
                let number = input.u64()?;
                Ok((number, number))
            }
            Self::Gap { from, through, .. } => Ok((*from, *through)),
        }
    }

    /// Its hash behind an entry with the hash `before`.
    pub fn hash(&self, before: &Hash) -> Hash {
        match self {
            Self::Entry {
                header,
                salt,
                payload,
            } => chain::link(before, header, &chain::payload_hash(salt, payload)),
            Self::Erased { header, payload } => chain::link(before, header, payload),
            Self::Gap { from, through, .. } => chain::gap(before, *from, *through),
        }
    }
}

/// Appends a frame.
pub fn put(out: &mut Vec<u8>, store: StoreId, hash: &Hash, content: &Content<'_>) {
    let mut body = Vec::with_capacity(256);
    match content {
        Content::Entry {
            header,
            salt,
            payload,
        } => {
            bytes::put_u8(&mut body, 1);
            body.extend_from_slice(hash);
            body.extend_from_slice(salt);
            bytes::put_bytes(&mut body, header);
            body.extend_from_slice(payload);
        }
        Content::Erased { header, payload } => {
            bytes::put_u8(&mut body, 2);
            body.extend_from_slice(hash);
            body.extend_from_slice(payload);
            bytes::put_bytes(&mut body, header);
        }
        Content::Gap { from, through, at } => {
            bytes::put_u8(&mut body, 3);
            body.extend_from_slice(hash);
            bytes::put_u64(&mut body, *from);
            bytes::put_u64(&mut body, *through);
            bytes::put_time(&mut body, *at);
        }
    }
    out.extend_from_slice(&FRAME_MAGIC);
    bytes::put_count(out, body.len());
    bytes::put_u32(out, checksum(store, &body));
    out.extend_from_slice(&body);
}

/// The checksum of a frame.
fn checksum(store: StoreId, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&store.0);
    hasher.update(&u64::try_from(body.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// Length of the body of the frame that begins like this, and its checksum; nothing when no frame
/// begins so.
pub fn head(head: &[u8]) -> Option<(usize, u32)> {
    let mut input = Input::new(head);
    if input.array::<4>().ok()? != FRAME_MAGIC {
        return None;
    }
    let (length, crc) = (input.count().ok()?, input.u32().ok()?);
    (length <= BODY_BYTES_MAX).then_some((length, crc))
}

/// Whether a body is as it was written.
pub fn sound(store: StoreId, crc: u32, body: &[u8]) -> bool {
    checksum(store, body) == crc
}

/// Reads a body: the hash that stands with it, and what it holds.
///
/// # Errors
///
/// [`BadBytes`] when no writer of this format writes it.
pub fn content(body: &[u8]) -> Result<(Hash, Content<'_>), BadBytes> {
    let mut input = Input::new(body);
    let kind = input.u8()?;
    let hash = input.array()?;
    let content = match kind {
        1 => {
            let salt = input.array()?;
            let header = input.bytes()?;
            let payload = input.rest();
            Content::Entry {
                header,
                salt,
                payload,
            }
        }
        2 => {
            let payload = input.array()?;
            let header = input.bytes()?;
            input.end()?;
            Content::Erased { header, payload }
        }
        3 => {
            let (from, through, at) = (input.u64()?, input.u64()?, input.time()?);
            input.end()?;
            Content::Gap { from, through, at }
        }
        _ => return Err(BadBytes),
    };
    Ok((hash, content))
}
