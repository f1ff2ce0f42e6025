//! Reading a file of history or audit from some frame on: sound frames, and stretches that hold none.

use std::fs::File;
use std::io;

use crate::store::chronicle::file;
use crate::store::chronicle::file::FRAME_MAGIC;
use crate::store::chronicle::file::HEAD_BYTES;
use crate::store::log::frame::StoreId;
use crate::store::log::tail::read_at_most;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What is next in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A sound frame, whose body is [`Scan::body`] until the next step.
    Frame {
        /// Where it begins.
        at: u64,
    },
    /// Bytes that are no frame. Behind them is a sound one, or nothing.
    Damage {
        /// Where they begin.
        at: u64,
        /// Where they end.
        to: u64,
    },
}

/// Goes through a file.
pub struct Scan<'a> {
    /// The file.
    file: &'a File,
    /// The store it belongs to.
    store: StoreId,
    /// Where to go on.
    at: u64,
    /// Where to end.
    end: u64,
    /// A part of the file.
    buffer: Vec<u8>,
    /// Where it begins.
    buffer_at: u64,
    /// The body of the last frame, within the buffer.
    body: std::ops::Range<usize>,
}

impl<'a> Scan<'a> {
    /// Goes through the bytes `at` to `end` of a file.
    pub const fn new(file: &'a File, store: StoreId, at: u64, end: u64) -> Self {
        Self {
            file,
            store,
            at,
            end,
            buffer: Vec::new(),
            buffer_at: 0,
            body: 0..0,
        }
    }

    /// The body of the last frame.
    pub fn body(&self) -> &[u8] {
        self.buffer.get(self.body.clone()).unwrap_or_default()
    }

    /// The next frame or stretch of damage; nothing at the end.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn step(&mut self) -> io::Result<Option<Step>> {
        let at = self.at;
        if at >= self.end {
            return Ok(None);
        }
        if let Some(next) = self.frame(at)? {
            self.at = next;
            return Ok(Some(Step::Frame { at }));
        }
        let mut to = at.saturating_add(1);
        loop {
            let Some(found) = self.search(to)? else {
                self.at = self.end;
                return Ok(Some(Step::Damage { at, to: self.end }));
            };
            if self.frame(found)?.is_some() {
                self.at = found;
                return Ok(Some(Step::Damage { at, to: found }));
            }
            to = found.saturating_add(1);
        }
    }

    /// Where the sound frame at `at` ends, when there is one.
    fn frame(&mut self, at: u64) -> io::Result<Option<u64>> {
        let Some((length, crc)) = file::head(self.window(at, HEAD_BYTES)?) else {
            return Ok(None);
        };
        let whole = HEAD_BYTES.saturating_add(length);
        let bytes = u64::try_from(whole).unwrap_or(u64::MAX);
        let next = at.saturating_add(bytes);
        if next > self.end {
            return Ok(None);
        }
        let store = self.store;
        let frame = self.window(at, whole)?;
        let body = frame.get(HEAD_BYTES..whole);
        if !body.is_some_and(|body| file::sound(store, crc, body)) {
            return Ok(None);
        }
        let begins = self.within(at).saturating_add(HEAD_BYTES);
        self.body = begins..begins.saturating_add(length);
        Ok(Some(next))
    }

    /// Where, from `from` on, something begins like a frame.
    fn search(&mut self, mut from: u64) -> io::Result<Option<u64>> {
        while from < self.end {
            let window = self.window(from, CHUNK_BYTES)?;
            let found = window
                .windows(FRAME_MAGIC.len())
                .position(|part| part == FRAME_MAGIC);
            let count = u64::try_from(window.len()).unwrap_or(u64::MAX);
            if let Some(at) = found {
                let at = u64::try_from(at).unwrap_or(u64::MAX);
                return Ok(Some(from.saturating_add(at)));
            }
            // The magic may lie across two windows.
            let next = from.saturating_add(count.saturating_sub(3).max(1));
            if count == 0 || from.saturating_add(count) >= self.end {
                return Ok(None);
            }
            from = next;
        }
        Ok(None)
    }

    /// Where `at` is within the buffer.
    fn within(&self, at: u64) -> usize {
        usize::try_from(at.saturating_sub(self.buffer_at)).unwrap_or(usize::MAX)
    }

    /// The `bytes` bytes from `at` on; fewer where the end comes first.
    fn window(&mut self, at: u64, bytes: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let bytes = bytes.min(left);
        let begins = self.within(at);
        let there = at >= self.buffer_at && begins.saturating_add(bytes) <= self.buffer.len();
        if !there {
            self.buffer.resize(bytes.max(CHUNK_BYTES.min(left)), 0);
            let read = read_at_most(self.file, &mut self.buffer, at)?;
            self.buffer.truncate(read);
            self.buffer_at = at;
        }
        let begins = self.within(at);
        let window = self.buffer.get(begins..).unwrap_or_default();
        Ok(window.get(..bytes).unwrap_or(window))
    }
}
