//! Writing a base, cell by cell, then reading it back block by block: both in small steps, so that
//! whoever writes can do other things between them.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use crate::audit::bytes;
use crate::store::base::BLOCK_BYTES;
use crate::store::base::BLOCK_HEAD_BYTES;
use crate::store::base::BaseError;
use crate::store::base::Block;
use crate::store::base::FOLDER;
use crate::store::base::Footer;
use crate::store::base::HEADER_BYTES;
use crate::store::base::Header;
use crate::store::base::MAGIC_END;
use crate::store::base::UNFINISHED;
use crate::store::base::damaged;
use crate::store::base::name;
use crate::store::base::read::Base;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::cell::Tally;
use crate::store::log::segment;

/// Bytes after which what was written is synced: one large sync at the end would hold up those of
/// the commit log.
const SYNC_BYTES: u64 = 4 << 20;

/// A base being written.
#[derive(Debug)]
pub struct Writer {
    /// The store's directory.
    dir: PathBuf,
    /// What it says of itself.
    header: Header,
    /// The file.
    file: File,
    /// Bytes written.
    offset: u64,
    /// Bytes that are known to be on the disk.
    synced: u64,
    /// Cells of the block under way.
    cells: Vec<u8>,
    /// How many they are.
    count: u32,
    /// The key of the first of them.
    first_key: Vec<u8>,
    /// What goes behind the blocks.
    footer: Footer,
}

impl Writer {
    /// Begins a base in the store's directory `dir`.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn begin(dir: &Path, header: Header) -> io::Result<Self> {
        let folder = dir.join(FOLDER);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        segment::sync_dir(dir)?;
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(folder.join(UNFINISHED))?;
        file.write_all(&header.encode())?;
        let offset = offset(HEADER_BYTES);
        Ok(Self {
            dir: dir.to_owned(),
            header,
            file,
            offset,
            synced: 0,
            cells: Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 4),
            count: 0,
            first_key: Vec::new(),
            footer: Footer::default(),
        })
    }

    /// Adds a cell; they come in the order of their keys.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn add(&mut self, key: &Key, mark: Mark, content: &[u8]) -> io::Result<()> {
        let name = key.part(0);
        if self.count == 0 {
            self.first_key.clone_from(&name);
        }
        bytes::put_bytes(&mut self.cells, &name);
        bytes::put_u32(&mut self.cells, mark.crc);
        bytes::put_bytes(&mut self.cells, content);
        self.count = self.count.saturating_add(1);
        self.footer.tally.add(key, mark);
        if self.cells.len() >= BLOCK_BYTES {
            self.close_block()?;
        }
        Ok(())
    }

    /// Writes the block under way.
    fn close_block(&mut self) -> io::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let packed = lz4_flex::block::compress(&self.cells);
        let mut block = Vec::with_capacity(packed.len().saturating_add(BLOCK_HEAD_BYTES));
        bytes::put_count(&mut block, packed.len());
        bytes::put_count(&mut block, self.cells.len());
        bytes::put_u32(&mut block, crc32fast::hash(&packed));
        bytes::put_u32(&mut block, self.count);
        block.extend_from_slice(&packed);
        self.file.write_all(&block)?;
        self.footer.blocks.push(Block {
            offset: self.offset,
            first_key: std::mem::take(&mut self.first_key).into(),
        });
        self.offset = self.offset.saturating_add(offset(block.len()));
        self.cells.clear();
        self.count = 0;
        if self.offset.saturating_sub(self.synced) >= SYNC_BYTES {
            self.file.sync_data()?;
            self.synced = self.offset;
        }
        Ok(())
    }

    /// Writes what is behind the blocks, and syncs. `end_seq` is where the state is now. Returns
    /// what is left to do: reading it back.
    ///
    /// # Errors
    ///
    /// [`BaseError`].
    pub fn finish(mut self, end_seq: u64) -> Result<ReadBack, BaseError> {
        self.close_block()?;
        self.footer.end_seq = end_seq;
        let footer = self.footer.encode();
        let mut end = Vec::with_capacity(footer.len().saturating_add(64));
        end.extend_from_slice(&footer);
        bytes::put_u64(&mut end, self.offset);
        bytes::put_count(&mut end, footer.len());
        bytes::put_u32(&mut end, crc32fast::hash(&footer));
        end.extend_from_slice(&MAGIC_END);
        self.file.write_all(&end)?;
        self.file.sync_all()?;
        let base = Base::open(&self.dir.join(FOLDER).join(UNFINISHED), self.header.store)?;
        base.forget_cached();
        Ok(ReadBack {
            dir: self.dir,
            header: self.header,
            base,
            next: 0,
            tally: Tally::default(),
        })
    }
}

/// A length as an offset.
fn offset(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// A base that is written and does not count yet.
#[derive(Debug)]
pub struct ReadBack {
    /// The store's directory.
    dir: PathBuf,
    /// What it says of itself.
    header: Header,
    /// The file.
    base: Base,
    /// The next block.
    next: usize,
    /// What was read.
    tally: Tally,
}

/// A base that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The log behind this transaction is needed beside it.
    pub seq: u64,
    /// When it was begun.
    pub at: crate::base::clock::Timestamp,
    /// How many cells it holds.
    pub cells: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

impl ReadBack {
    /// Reads one block back. When all were read and are what was written, the base is put in its
    /// place, and counts.
    ///
    /// # Errors
    ///
    /// [`BaseError`]: it does not count.
    pub fn step(&mut self) -> Result<Option<Finished>, BaseError> {
        if self.next < self.base.blocks() {
            for (key, mark, _content) in self.base.block(self.next)? {
                self.tally.add(&key, mark);
            }
            self.next = self.next.saturating_add(1);
            return Ok(None);
        }
        if self.tally != self.base.tally() {
            return Err(damaged(0, "it does not hold what was written"));
        }
        let folder = self.dir.join(FOLDER);
        let path = folder.join(name(self.header.seq));
        fs::rename(folder.join(UNFINISHED), &path)?;
        segment::sync_dir(&folder)?;
        Ok(Some(Finished {
            seq: self.header.seq,
            at: self.header.at,
            cells: self.tally.cells,
            bytes: fs::metadata(&path)?.len(),
        }))
    }
}
