//! What the state says of itself: which store it belongs to, how far it is, what it holds.

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::store::cell::Tally;
use crate::store::log::frame::StoreId;

/// The newest format of the state this program reads, and the one it writes.
pub const FORMAT: u32 = 2;
/// The oldest format it reads: without memberships and deleted resources.
const OLDEST: u32 = 1;

/// How far the state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The store it belongs to.
    pub store: StoreId,
    /// The last transaction wholly in it.
    pub seq: u64,
    /// How many operations of the next transaction are in it.
    pub done: u32,
    /// What it holds.
    pub tally: Tally,
}

impl Meta {
    /// A state with nothing in it.
    pub fn empty(store: StoreId) -> Self {
        Self {
            store,
            seq: 0,
            done: 0,
            tally: Tally::default(),
        }
    }

    /// Its bytes, as the state keeps them.
    pub fn encode(&self) -> Vec<u8> {
        let mut rest = Vec::new();
        rest.extend_from_slice(&self.store.0);
        bytes::put_u64(&mut rest, self.seq);
        bytes::put_u32(&mut rest, self.done);
        bytes::put_u64(&mut rest, self.tally.cells);
        bytes::put_u64(&mut rest, self.tally.hash);
        let mut out = Vec::new();
        bytes::put_u32(&mut out, FORMAT);
        bytes::put_u32(&mut out, crc32fast::hash(&rest));
        out.extend_from_slice(&rest);
        out
    }

    /// Reads what [`Meta::encode`] wrote, or a newer format.
    ///
    /// # Errors
    ///
    /// [`BadBytes`].
    pub fn decode(value: &[u8]) -> Result<Result<Self, u32>, BadBytes> {
        let mut input = Input::new(value);
        match input.u32()? {
            OLDEST..=FORMAT => {}
            newer if newer > FORMAT => return Ok(Err(newer)),
            _ => return Err(BadBytes),
        }
        if input.u32()? != crc32fast::hash(input.rest()) {
            return Err(BadBytes);
        }
        let meta = Self {
            store: StoreId(input.array()?),
            seq: input.u64()?,
            done: input.u32()?,
            tally: Tally {
                cells: input.u64()?,
                hash: input.u64()?,
            },
        };
        input.end()?;
        Ok(Ok(meta))
    }
}
