//! What is behind the last sound frame of the log: nothing, a torn tail, or damage.

use std::fs::File;
use std::io;
use std::io::Seek;
use std::io::SeekFrom;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::log::frame;
use crate::store::log::frame::ALIGN_BYTES;
use crate::store::log::frame::StoreId;
use crate::store::log::read::CHUNK_BYTES;
use crate::store::log::read::read_frame;

/// Bytes compared with zeros at once.
const BLOCK_BYTES: usize = 4096;
/// [`ALIGN_BYTES`] as an offset.
const STEP: u64 = 8;

/// What is behind the last sound frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    Zeros,
    /// Something, up to `end`, but no frame.
    Torn {
        /// Behind the last byte that is not zero.
        end: u64,
    },
    /// A frame that belongs to this log and was written after the last sound one.
    Frame {
        /// Where.
        at: u64,
        /// Its first transaction.
        seq: u64,
    },
}

/// Looks through everything from `offset` on.
///
/// # Errors
///
/// What the machine says.
pub fn search_tail(file: &File, store: StoreId, offset: u64, next_seq: u64) -> io::Result<Tail> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let zeros = [0; BLOCK_BYTES];
    let (mut at, mut end) = (offset, None);
    loop {
        let count = read_at_most(file, &mut chunk, at)?;
        let found = chunk.get(..count).unwrap_or_default();
        if found.is_empty() {
            return Ok(end.map_or(Tail::Zeros, |end| Tail::Torn { end }));
        }
        for (block, block_at) in found.chunks(BLOCK_BYTES).zip((at..).step_by(BLOCK_BYTES)) {
            // Nearly all of a tail is zeros: compared at once, it costs next to nothing.
            if zeros.get(..block.len()) == Some(block) {
                continue;
            }
            for (piece, piece_at) in block
                .chunks(ALIGN_BYTES)
                .zip((block_at..).step_by(ALIGN_BYTES))
            {
                if piece.iter().any(|byte| *byte != 0) {
                    end = Some(piece_at.saturating_add(STEP));
                }
                if piece.starts_with(&frame::MAGIC)
                    && let Some(seq) = frame_at(file, store, piece_at)?
                    && seq >= next_seq
                {
                    return Ok(Tail::Frame { at: piece_at, seq });
                }
            }
        }
        at = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

/// Reads until `to` is full or the file ends. Returns how many bytes there were.
///
/// # Errors
///
/// What the machine says.
pub fn read_at_most(file: &File, to: &mut [u8], mut at: u64) -> io::Result<usize> {
    let mut count = 0_usize;
    while let Some(rest) = to.get_mut(count..).filter(|rest| !rest.is_empty()) {
        let read = file.read_at(rest, at)?;
        if read == 0 {
            break;
        }
        count = count.saturating_add(read);
        at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    Ok(count)
}

/// The first transaction of the frame at `at`, when there is a sound one.
fn frame_at(file: &File, store: StoreId, at: u64) -> io::Result<Option<u64>> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(at))?;
    Ok(read_frame(&mut file, store)?.map(|frame| frame.head.seq))
}

/// Makes everything from `offset` to `end` zeros again.
///
/// # Errors
///
/// What the machine says.
pub fn zero(path: &Path, offset: u64, end: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let zeros = vec![0; CHUNK_BYTES];
    let mut at = offset;
    while at < end {
        let count = usize::try_from(end.saturating_sub(at)).unwrap_or(CHUNK_BYTES);
        let now = zeros.get(..count).unwrap_or(&zeros);
        file.write_all_at(now, at)?;
        at = at.saturating_add(u64::try_from(now.len()).unwrap_or(u64::MAX));
    }
    file.sync_all()
}
