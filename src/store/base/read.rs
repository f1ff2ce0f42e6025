//! Reading a base: all of it, block by block, or one cell.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::Advice;

use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::store::base::BLOCK_BYTES_MAX;
use crate::store::base::BLOCK_HEAD_BYTES;
use crate::store::base::BaseError;
use crate::store::base::Footer;
use crate::store::base::HEADER_BYTES;
use crate::store::base::Header;
use crate::store::base::MAGIC_END;
use crate::store::base::TRAILER_BYTES;
use crate::store::base::damaged;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::cell::Tally;
use crate::store::log::frame::StoreId;

/// A cell of a base.
pub type Cell = (Key, Mark, Arc<[u8]>);

/// A base, open.
#[derive(Debug)]
pub struct Base {
    /// Its path.
    path: PathBuf,
    /// Its file.
    file: File,
    /// What it says of itself.
    header: Header,
    /// Where its blocks are.
    footer: Footer,
    /// Where the footer begins: the blocks end there.
    footer_at: u64,
    /// Its size in bytes.
    bytes: u64,
}

impl Base {
    /// Opens the base at `path`, which must belong to `store`. Header and footer are checked here,
    /// each block when it is read.
    ///
    /// # Errors
    ///
    /// [`BaseError`].
    pub fn open(path: &Path, store: StoreId) -> Result<Self, BaseError> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut header = [0; HEADER_BYTES];
        read_exact(&file, &mut header, 0)?;
        let header = Header::decode(&header)?;
        if header.store != store {
            return Err(BaseError::Foreign);
        }
        let trailer_at = bytes.saturating_sub(u64::try_from(TRAILER_BYTES).unwrap_or(u64::MAX));
        let mut trailer = [0; TRAILER_BYTES];
        read_exact(&file, &mut trailer, trailer_at)?;
        let bad_end = |_bad: BadBytes| damaged(trailer_at, "its end is not readable");
        let (footer_at, footer_bytes, crc) = decode_trailer(&trailer).map_err(bad_end)?;
        let footer_end = footer_at.checked_add(u64::from(footer_bytes));
        if footer_end != Some(trailer_at) {
            return Err(damaged(trailer_at, "its end points elsewhere"));
        }
        let mut footer = vec![0; usize::try_from(footer_bytes).unwrap_or(usize::MAX)];
        read_exact(&file, &mut footer, footer_at)?;
        let sound = crc32fast::hash(&footer) == crc;
        let footer = Footer::decode(&footer).ok().filter(|_footer| sound);
        let footer = footer.ok_or_else(|| damaged(footer_at, "its footer is not readable"))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            header,
            footer,
            footer_at,
            bytes,
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says of itself.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The transaction the state was at when the last cell was written: only the log up to here
    /// makes the cells agree.
    pub const fn end_seq(&self) -> u64 {
        self.footer.end_seq
    }

    /// How many cells it holds, and a hash over them.
    pub const fn tally(&self) -> Tally {
        self.footer.tally
    }

    /// Its size in bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> usize {
        self.footer.blocks.len()
    }

    /// Has the machine read it from the disk from now on, and not from memory, where what was
    /// written stays readable even when the disk did not take it.
    pub fn forget_cached(&self) {
        if let Err(error) = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed) {
            tracing::debug!(%error, "{} may be read from memory", self.path.display());
        }
    }

    /// The cells of one block, each checked.
    ///
    /// # Errors
    ///
    /// [`BaseError`].
    pub fn block(&self, number: usize) -> Result<Vec<Cell>, BaseError> {
        let Some(block) = self.footer.blocks.get(number) else {
            return Ok(Vec::new());
        };
        let at = block.offset;
        let mut head = [0; BLOCK_HEAD_BYTES];
        read_exact(&self.file, &mut head, at)?;
        let bad_block = |_bad: BadBytes| damaged(at, "a block is not readable");
        let head = decode_block_head(&head).map_err(bad_block)?;
        let begin = at.saturating_add(u64::try_from(BLOCK_HEAD_BYTES).unwrap_or(u64::MAX));
        let end = begin.checked_add(u64::from(head.packed_bytes));
        if end.is_none_or(|end| end > self.footer_at) || head.bytes > BLOCK_BYTES_MAX {
            return Err(damaged(at, "a block has an impossible length"));
        }
        let mut packed = vec![0; usize::try_from(head.packed_bytes).unwrap_or(0)];
        read_exact(&self.file, &mut packed, begin)?;
        if crc32fast::hash(&packed) != head.crc {
            return Err(damaged(at, "the checksum of a block does not fit"));
        }
        let cells = lz4_flex::block::decompress(&packed, head.bytes)
            .map_err(|_error| damaged(at, "a block cannot be unpacked"))?;
        if cells.len() != head.bytes {
            return Err(damaged(at, "a block has another length than it says"));
        }
        let mut input = Input::new(&cells);
        let mut out = Vec::new();
        for _ in 0..head.count {
            out.push(decode_cell(&mut input).map_err(bad_block)?);
        }
        input.end().map_err(bad_block)?;
        Ok(out)
    }

    /// One cell, when it holds it.
    ///
    /// # Errors
    ///
    /// [`BaseError`].
    pub fn get(&self, key: &Key) -> Result<Option<Cell>, BaseError> {
        let name = key.part(0);
        let after = self
            .footer
            .blocks
            .partition_point(|block| *block.first_key <= *name);
        let Some(number) = after.checked_sub(1) else {
            return Ok(None);
        };
        let cells = self.block(number)?;
        Ok(cells.into_iter().find(|(found, _, _)| found == key))
    }
}

/// Reads all of `to`; a file that ends before is damaged.
fn read_exact(file: &File, to: &mut [u8], at: u64) -> Result<(), BaseError> {
    file.read_exact_at(to, at).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            damaged(at, "it ends too early")
        } else {
            BaseError::Io(error)
        }
    })
}

/// Reads the trailer: where the footer is, its length, its checksum.
fn decode_trailer(trailer: &[u8]) -> Result<(u64, u32, u32), BadBytes> {
    let mut input = Input::new(trailer);
    let found = (input.u64()?, input.u32()?, input.u32()?);
    if input.array()? != MAGIC_END {
        return Err(BadBytes);
    }
    Ok(found)
}

/// What is before a block's cells.
struct BlockHead {
    /// Their length, compressed.
    packed_bytes: u32,
    /// Their length.
    bytes: usize,
    /// Checksum over them, compressed.
    crc: u32,
    /// How many they are.
    count: u32,
}

/// Reads what is before a block's cells.
fn decode_block_head(head: &[u8]) -> Result<BlockHead, BadBytes> {
    let mut input = Input::new(head);
    Ok(BlockHead {
        packed_bytes: input.u32()?,
        bytes: input.count()?,
        crc: input.u32()?,
        count: input.u32()?,
    })
}

/// Reads one cell.
fn decode_cell(input: &mut Input<'_>) -> Result<Cell, BadBytes> {
    let (key, part) = Key::decode(input.bytes()?).ok_or(BadBytes)?;
    let crc = input.u32()?;
    let content = input.bytes()?;
    let mark = Mark::of(&key, content);
    if part != 0 || mark.crc != crc {
        return Err(BadBytes);
    }
    Ok((key, mark, content.into()))
}
