//! Segments: preallocated files of the commit log, named by the first transaction in them.
//!
//! A segment is made ahead of time as `spare` (zeros written, synced, renamed, directory synced),
//! so that a commit overwrites allocated blocks: half the time of a sync that makes a file grow.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::audit::bytes;
use crate::base::clock::Timestamp;
use crate::store::header::BadHeader;
use crate::store::header::Form;
use crate::store::log::frame::StoreId;
use crate::store::space;

/// The newest format this program reads, and the one it writes.
pub const FORMAT: u32 = 2;
/// Bytes of the header; frames begin behind it. A block of its own, so that no later write can
/// tear it.
pub const HEADER_BYTES: usize = 4096;
/// [`HEADER_BYTES`] as an offset.
pub const FRAMES_AT: u64 = 4096;
/// Smallest segment.
pub const BYTES_MIN: u64 = 64 << 10;
/// How a segment begins.
const FORM: Form = Form {
    magic: *b"ROLLCLOG",
    format: FORMAT,
    oldest: 1,
    bytes: HEADER_BYTES,
};
/// A segment nobody uses yet.
const SPARE: &str = "spare";
/// A segment being made.
const UNFINISHED: &str = "spare.tmp";

/// Hash of a frame, as the next segment's header holds it.
pub type FrameHash = [u8; 32];

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The store it belongs to.
    pub store: StoreId,
    /// The first transaction in it.
    pub first_seq: u64,
    /// Its size.
    pub bytes: u64,
    /// When it was put to use.
    pub at: Timestamp,
    /// SHA-256 of the last frame before it; zeros when there is none. Shows segments that were
    /// swapped, cut or taken out.
    pub previous: FrameHash,
}

impl Header {
    /// The header's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        fields.extend_from_slice(&self.store.0);
        bytes::put_u64(&mut fields, self.first_seq);
        bytes::put_u64(&mut fields, self.bytes);
        bytes::put_time(&mut fields, self.at);
        fields.extend_from_slice(&self.previous);
        FORM.encode(&fields)
    }

    /// Reads what [`Header::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`BadHeader`].
    pub fn decode(header: &[u8]) -> Result<Self, BadHeader> {
        let mut input = FORM.decode(header)?;
        Ok(Self {
            store: StoreId(input.array()?),
            first_seq: input.u64()?,
            bytes: input.u64()?,
            at: input.time()?,
            previous: input.array()?,
        })
    }
}

/// SHA-256 of a frame.
pub fn hash(frame: &[u8]) -> FrameHash {
    let mut out = FrameHash::default();
    let digest = ring::digest::digest(&ring::digest::SHA256, frame);
    for (to, from) in out.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    out
}

/// The name of the segment that begins with transaction `first_seq`.
pub fn name(first_seq: u64) -> String {
    format!("{first_seq:020}.log")
}

/// The first transaction of the segment of that name.
pub fn first_seq_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// Makes a change of a directory's entries durable.
///
/// # Errors
///
/// What the machine says.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The segments made ahead of time: at most one.
#[derive(Debug)]
pub struct Spares {
    /// The log's directory.
    dir: PathBuf,
    /// Bytes of a segment.
    bytes: u64,
    /// Free bytes that making one must leave.
    free_bytes_min: u64,
    /// Whether one is there. Held while one is made, so that two are never made at once.
    ready: Mutex<bool>,
}

/// Why no segment could be had.
#[derive(Debug)]
pub enum NoSegment {
    /// There is no room for one. Nothing has changed.
    Space,
    /// The machine refused.
    Io(io::Error),
}

impl From<io::Error> for NoSegment {
    /// Without room, the next try makes another file: nothing is written again that failed once.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Space,
            _ => Self::Io(error),
        }
    }
}

impl Spares {
    /// Spares of `bytes` in `dir`. Finds one left by an earlier process: nothing but its header
    /// can have been written, and that is written again.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn new(dir: &Path, bytes: u64, free_bytes_min: u64) -> io::Result<Self> {
        let bytes = bytes.max(BYTES_MIN);
        remove_if_there(&dir.join(UNFINISHED))?;
        let spare = dir.join(SPARE);
        let ready = match fs::metadata(&spare) {
            Ok(found) if found.is_file() && found.len() == bytes => true,
            Ok(_other) => {
                remove_if_there(&spare)?;
                false
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        Ok(Self {
            dir: dir.to_owned(),
            bytes,
            free_bytes_min,
            ready: Mutex::new(ready),
        })
    }

    /// Makes one unless there is one.
    ///
    /// # Errors
    ///
    /// [`NoSegment`].
    pub fn prepare(&self) -> Result<(), NoSegment> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if !*ready {
            self.make(self.bytes)?;
            *ready = true;
        }
        Ok(())
    }

    /// Puts one to use that has room for a frame of `frame_bytes`: under its final name, with its
    /// header, all of it synced. Returns it, its path and its size.
    ///
    /// # Errors
    ///
    /// [`NoSegment`].
    pub fn take(
        &self,
        store: StoreId,
        first_seq: u64,
        at: Timestamp,
        previous: FrameHash,
        frame_bytes: u64,
    ) -> Result<(File, PathBuf, u64), NoSegment> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.bytes.max(frame_bytes.saturating_add(FRAMES_AT));
        if !*ready || bytes > self.bytes {
            *ready = false;
            self.make(bytes)?;
        }
        *ready = false;
        let header = Header {
            store,
            first_seq,
            bytes,
            at,
            previous,
        };
        self.put_to_use(&header)
            .map(|(file, path)| (file, path, bytes))
            .map_err(NoSegment::from)
    }

    /// Writes zeros, so that the blocks are allocated and initialised: an extent that is only
    /// reserved would cost a journal commit at the first write into it.
    fn make(&self, bytes: u64) -> Result<(), NoSegment> {
        let free = space::free_bytes(&self.dir).map_err(NoSegment::Io)?;
        if free < bytes.saturating_add(self.free_bytes_min) {
            return Err(NoSegment::Space);
        }
        let unfinished = self.dir.join(UNFINISHED);
        let made = (|| {
            let mut file = File::create(&unfinished)?;
            let zeros = vec![0; 1 << 20];
            let mut left = bytes;
            while left > 0 {
                let now = left.min(1 << 20);
                let zeros = zeros.get(..usize::try_from(now).unwrap_or(0));
                file.write_all(zeros.unwrap_or_default())?;
                left = left.saturating_sub(now);
            }
            file.sync_all()?;
            fs::rename(&unfinished, self.dir.join(SPARE))?;
            sync_dir(&self.dir)
        })();
        made.map_err(NoSegment::from).inspect_err(|error| {
            if matches!(error, NoSegment::Space) {
                // What was written so far only takes room away; failing to remove it changes
                // nothing about the answer.
                drop(remove_if_there(&unfinished));
            }
        })
    }

    /// Gives the spare its header and its name.
    fn put_to_use(&self, header: &Header) -> io::Result<(File, PathBuf)> {
        let spare = self.dir.join(SPARE);
        let path = self.dir.join(name(header.first_seq));
        let file = File::options().read(true).write(true).open(&spare)?;
        file.write_all_at(&header.encode(), 0)?;
        file.sync_all()?;
        fs::rename(&spare, &path)?;
        sync_dir(&self.dir)?;
        Ok((file, path))
    }
}

/// Removes a file that need not be there.
fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
