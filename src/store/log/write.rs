//! Appending to the commit log: one frame, one write, one sync.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::store::log::frame;
use crate::store::log::frame::Kind;
use crate::store::log::frame::StoreId;
use crate::store::log::segment;
use crate::store::log::segment::FRAMES_AT;
use crate::store::log::segment::FrameHash;
use crate::store::log::segment::NoSegment;
use crate::store::log::segment::Spares;

/// Room for the frame that closes a segment: a head without a body.
const CLOSED_BYTES: u64 = 32;

/// Where the log's end is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The last segment.
    pub path: PathBuf,
    /// Where the next frame goes.
    pub offset: u64,
    /// The segment's size.
    pub segment_bytes: u64,
    /// The last frame in this segment.
    pub last_frame: Option<Vec<u8>>,
    /// Hash of the last frame before this segment.
    pub previous: FrameHash,
}

/// The end of the commit log. Only the commit thread has it.
#[derive(Debug)]
pub struct Writer {
    /// Where new segments come from.
    spares: Arc<Spares>,
    /// The store.
    store: StoreId,
    /// The last segment, open.
    file: File,
    /// Where the end is.
    tip: Tip,
    /// Bytes of all segments.
    log_bytes: u64,
}

/// Why a frame was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no room for another segment. The log is as before and can go on later.
    #[error("there is no room for another segment of the commit log")]
    Space,
    /// The disk failed. What is in the file now is unknown: nothing may be appended behind it,
    /// and no sync may be tried again (the kernel may have dropped what it could not write).
    #[error("writing {}: {source}", path.display())]
    Failed {
        /// The segment.
        path: PathBuf,
        /// What the machine said.
        source: io::Error,
    },
}

impl Writer {
    /// Goes on at `tip`.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn open(spares: Arc<Spares>, store: StoreId, tip: Tip, log_bytes: u64) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(&tip.path)?;
        Ok(Self {
            spares,
            store,
            file,
            tip,
            log_bytes,
        })
    }

    /// Begins a log: its first segment.
    ///
    /// # Errors
    ///
    /// [`NoSegment`].
    pub fn begin(spares: Arc<Spares>, store: StoreId, at: Timestamp) -> Result<Self, NoSegment> {
        let previous = FrameHash::default();
        let (file, path, segment_bytes) = spares.take(store, 1, at, previous, 0)?;
        Ok(Self {
            spares,
            store,
            file,
            tip: Tip {
                path,
                offset: FRAMES_AT,
                segment_bytes,
                last_frame: None,
                previous,
            },
            log_bytes: segment_bytes,
        })
    }

    /// Bytes of all segments.
    pub const fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// Appends a frame that begins with transaction `seq`; when this returns it survives power loss.
    ///
    /// # Errors
    ///
    /// [`AppendError`]. After [`AppendError::Failed`] this writer must not be used again.
    pub fn append(&mut self, frame: Vec<u8>, seq: u64, at: Timestamp) -> Result<(), AppendError> {
        let frame_bytes = u64::try_from(frame.len()).unwrap_or(u64::MAX);
        let end = self.tip.offset.saturating_add(frame_bytes);
        if end.saturating_add(CLOSED_BYTES) > self.tip.segment_bytes {
            self.next_segment(seq, at, frame_bytes)?;
        }
        self.file
            .write_all_at(&frame, self.tip.offset)
            .and_then(|()| self.file.sync_data())
            .map_err(failed(&self.tip.path))?;
        self.tip.offset = self.tip.offset.saturating_add(frame_bytes);
        self.tip.last_frame = Some(frame);
        Ok(())
    }

    /// Goes over to a new segment that begins with transaction `seq`.
    fn next_segment(
        &mut self,
        seq: u64,
        at: Timestamp,
        frame_bytes: u64,
    ) -> Result<(), AppendError> {
        // A segment without any transaction bears the name the new one gets, and is replaced by it:
        // then the chain goes on from what was before that segment.
        let replaced = self.tip.path.ends_with(segment::name(seq));
        let last_frame = self.tip.last_frame.as_deref().filter(|_frame| !replaced);
        let previous = last_frame.map_or(self.tip.previous, segment::hash);
        let (file, path, segment_bytes) = self
            .spares
            .take(
                self.store,
                seq,
                at,
                previous,
                frame_bytes.saturating_add(CLOSED_BYTES),
            )
            .map_err(|error| match error {
                NoSegment::Space => AppendError::Space,
                NoSegment::Io(source) => failed(&self.tip.path)(source),
            })?;
        if !replaced {
            // Before anything is acknowledged that is in the new one alone.
            let closed = frame::encode(self.store, Kind::Closed, seq, at, &[]);
            self.file
                .write_all_at(&closed, self.tip.offset)
                .and_then(|()| self.file.sync_data())
                .map_err(failed(&self.tip.path))?;
        }
        self.log_bytes = self.log_bytes.saturating_add(segment_bytes);
        self.file = file;
        self.tip = Tip {
            path,
            offset: FRAMES_AT,
            segment_bytes,
            last_frame: None,
            previous,
        };
        Ok(())
    }
}

/// The disk failed at `path`.
fn failed(path: &Path) -> impl FnOnce(io::Error) -> AppendError {
    let path = path.to_owned();
    move |source| AppendError::Failed { path, source }
}
