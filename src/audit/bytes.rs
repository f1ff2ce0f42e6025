//! Numbers, texts and actors as bytes: little-endian, lengths before what they measure. The
//! alphabet of entries, and of the store's frames and rows. Holds no layout of its own.

use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::ident::TokenId;

/// The bytes end too early or say something that no writer of this format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not what this format writes")]
pub struct BadBytes;

/// Tag of [`Actor::Token`].
const ACTOR_TOKEN: u8 = 1;
/// Tag of [`Actor::Operator`].
const ACTOR_OPERATOR: u8 = 2;
/// Tag of [`Actor::System`].
const ACTOR_SYSTEM: u8 = 3;

/// Appends one byte.
pub fn put_u8(out: &mut Vec<u8>, value: u8) {
    out.push(value);
}

/// Appends four bytes.
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends eight bytes.
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a point in time.
pub fn put_time(out: &mut Vec<u8>, at: Timestamp) {
    out.extend_from_slice(&at.millis().to_le_bytes());
}

/// Appends a point in time that may be missing.
pub fn put_time_option(out: &mut Vec<u8>, at: Option<Timestamp>) {
    put_u8(out, u8::from(at.is_some()));
    if let Some(at) = at {
        put_time(out, at);
    }
}

/// Appends a number of things. The store bounds everything it counts far below 2³².
pub fn put_count(out: &mut Vec<u8>, count: usize) {
    put_u32(out, u32::try_from(count).unwrap_or(u32::MAX));
}

/// Appends the length of `bytes`, then `bytes`.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a text.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Appends who acted.
pub fn put_actor(out: &mut Vec<u8>, actor: &Actor) {
    match actor {
        Actor::Token(id) => {
            put_u8(out, ACTOR_TOKEN);
            put_text(out, id.as_str());
        }
        Actor::Operator { root, stated_name } => {
            put_u8(out, ACTOR_OPERATOR);
            put_u8(out, u8::from(*root));
            put_text(out, stated_name);
        }
        Actor::System => put_u8(out, ACTOR_SYSTEM),
    }
}

/// What is left to read. Every function takes from the front and fails, without a panic, when
/// too little is left.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Reads from `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What is left, all of it.
    pub const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Nothing may be left.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when something is.
    pub const fn end(self) -> Result<(), BadBytes> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(BadBytes)
        }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], BadBytes> {
        let (front, rest) = self.0.split_at_checked(count).ok_or(BadBytes)?;
        self.0 = rest;
        Ok(front)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], BadBytes> {
        let (front, rest) = self.0.split_first_chunk::<N>().ok_or(BadBytes)?;
        self.0 = rest;
        Ok(*front)
    }

    /// One byte.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when none is left.
    pub fn u8(&mut self) -> Result<u8, BadBytes> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// One byte that is 0 or 1.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when none is left or it is another.
    pub fn flag(&mut self) -> Result<bool, BadBytes> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(BadBytes),
        }
    }

    /// Four bytes.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when fewer are left.
    pub fn u32(&mut self) -> Result<u32, BadBytes> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when fewer are left.
    pub fn u64(&mut self) -> Result<u64, BadBytes> {
        self.array().map(u64::from_le_bytes)
    }

    /// A point in time.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when too little is left.
    pub fn time(&mut self) -> Result<Timestamp, BadBytes> {
        self.array()
            .map(i64::from_le_bytes)
            .map(Timestamp::from_millis)
    }

    /// A point in time that may be missing.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when too little is left or the marker is wrong.
    pub fn time_option(&mut self) -> Result<Option<Timestamp>, BadBytes> {
        Ok(if self.flag()? {
            Some(self.time()?)
        } else {
            None
        })
    }

    /// A number of things.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when too little is left.
    pub fn count(&mut self) -> Result<usize, BadBytes> {
        usize::try_from(self.u32()?).map_err(|_too_many| BadBytes)
    }

    /// Bytes behind their length.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when too little is left.
    pub fn bytes(&mut self) -> Result<&'a [u8], BadBytes> {
        let count = self.count()?;
        self.take(count)
    }

    /// A text behind its length.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when too little is left or it is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, BadBytes> {
        std::str::from_utf8(self.bytes()?).map_err(|_not_utf8| BadBytes)
    }

    /// Who acted.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when it is none of the actors.
    pub fn actor(&mut self) -> Result<Actor, BadBytes> {
        match self.u8()? {
            ACTOR_TOKEN => Ok(Actor::Token(TokenId::parse(self.text()?).ok_or(BadBytes)?)),
            ACTOR_OPERATOR => Ok(Actor::Operator {
                root: self.flag()?,
                stated_name: self.text()?.into(),
            }),
            ACTOR_SYSTEM => Ok(Actor::System),
            _ => Err(BadBytes),
        }
    }
}
