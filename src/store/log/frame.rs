//! The bytes of a frame: what is written and synced in one piece.
//!
//! ```text
//! 0  magic F7 'R' 'C' FF   4  length of body   8  CRC-32   12  kind, three zeros
//! 16 seq of the first transaction   24  time   32  body, zeros to a multiple of 8
//! ```
//!
//! The checksum covers the store's identity, all of the head but magic and itself, and the body.
//! Frames begin at multiples of eight, so a search for one after damage needs to look only there;
//! the magic holds two bytes that UTF-8 text never holds.

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::base::clock::Timestamp;

/// Bytes before the body.
pub const HEAD_BYTES: usize = 32;
/// Frames begin at multiples of this many bytes.
pub const ALIGN_BYTES: usize = 8;
/// How a frame begins.
pub const MAGIC: [u8; 4] = [0xf7, b'R', b'C', 0xff];
/// Longest body. A group stops growing at 1 MiB; one transaction alone has up to 32 MiB.
pub const BODY_BYTES_MAX: usize = 64 << 20;

/// Which store something belongs to; made once, at its first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreId(pub [u8; 16]);

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A group of transactions.
    Group,
    /// No transaction: the store was opened, and the log could be written.
    Opened,
    /// No transaction: the log goes on in the next segment, which was durable before. Shows that a
    /// segment is missing when it is the last.
    Closed,
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the frame holds.
    pub kind: Kind,
    /// Number of the first transaction in it, or of the next one when there is none in it.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Length of the body.
    body_bytes: usize,
    /// Checksum.
    crc: u32,
}

/// The bytes of a frame with this body.
pub fn encode(store: StoreId, kind: Kind, seq: u64, at: Timestamp, body: &[u8]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(HEAD_BYTES);
    bytes::put_u8(
        &mut rest,
        match kind {
            Kind::Group => 1,
            Kind::Opened => 2,
            Kind::Closed => 3,
        },
    );
    rest.extend_from_slice(&[0; 3]);
    bytes::put_u64(&mut rest, seq);
    bytes::put_time(&mut rest, at);
    let mut out = Vec::with_capacity(body.len().saturating_add(HEAD_BYTES + ALIGN_BYTES));
    out.extend_from_slice(&MAGIC);
    bytes::put_count(&mut out, body.len());
    bytes::put_u32(&mut out, checksum(store, body.len(), &rest, body));
    out.extend_from_slice(&rest);
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(ALIGN_BYTES), 0);
    out
}

/// The checksum of a frame.
fn checksum(store: StoreId, body_bytes: usize, rest_of_head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&store.0);
    hasher.update(&u64::try_from(body_bytes).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(rest_of_head);
    hasher.update(body);
    hasher.finalize()
}

impl Head {
    /// Reads a head. Nothing but [`Head::holds`] tells whether it is one.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when no frame begins like this.
    pub fn decode(head: &[u8; HEAD_BYTES]) -> Result<Self, BadBytes> {
        let mut input = Input::new(head);
        if input.array::<4>()? != MAGIC {
            return Err(BadBytes);
        }
        let body_bytes = input.count()?;
        let crc = input.u32()?;
        let kind = match input.array()? {
            [1, 0, 0, 0] => Kind::Group,
            [2, 0, 0, 0] => Kind::Opened,
            [3, 0, 0, 0] => Kind::Closed,
            _ => return Err(BadBytes),
        };
        if body_bytes > BODY_BYTES_MAX {
            return Err(BadBytes);
        }
        Ok(Self {
            kind,
            seq: input.u64()?,
            at: input.time()?,
            body_bytes,
            crc,
        })
    }

    /// Bytes of the body with the zeros behind it.
    pub const fn padded_body_bytes(&self) -> usize {
        self.body_bytes.next_multiple_of(ALIGN_BYTES)
    }

    /// The body, when head and body are as they were written. `head` is what this was read from.
    pub fn holds<'a>(
        &self,
        store: StoreId,
        head: &[u8; HEAD_BYTES],
        padded_body: &'a [u8],
    ) -> Option<&'a [u8]> {
        let (body, zeros) = padded_body.split_at_checked(self.body_bytes)?;
        let rest_of_head = head.get(12..)?;
        let sound = zeros.iter().all(|byte| *byte == 0)
            && checksum(store, self.body_bytes, rest_of_head, body) == self.crc;
        sound.then_some(body)
    }
}
