//! sled and nothing but sled: batches in, cells out, checkpoints, its faults contained.
//!
//! What was measured about sled 0.34.7 decides what is used of it. `flush` does not sync on Linux,
//! so a checkpoint syncs the file through a handle of our own. `flush_async` deadlocks,
//! transactions take a process-wide lock, `export` holds everything in memory, `generate_id` jumps:
//! none of them is called. Damage shows as a panic as often as an error, so every call is caught.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::Permissions;
use std::fs::TryLockError;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::PermissionsExt;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::audit::bytes::BadBytes;
use crate::base::ident::DirectoryId;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::cell::Op;
use crate::store::cell::VALUE_BYTES_MAX;
use crate::store::meta::Meta;

/// Where the state notes how far it is.
const META_KEY: &[u8] = b"\0meta";
/// Bytes of pages sled keeps in memory.
const PAGE_CACHE_BYTES: u64 = 16 << 20;

/// How long closing waits for sled's threads.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// Why the state did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The machine refused.
    #[error("{0}")]
    Io(io::Error),
    /// It is damaged, or sled gave up.
    #[error("{0}")]
    Broken(String),
    /// A newer Rollcall wrote it: its format.
    #[error("it has the newer format {0}")]
    Newer(u32),
}

impl From<sled::Error> for StateError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Io(error),
            sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_)
            | sled::Error::ReportableBug(_)
            | sled::Error::Corruption { .. } => Self::Broken(error.to_string()),
        }
    }
}

/// Something in the state is not what any writer of this format writes.
fn broken(what: impl Into<String>) -> StateError {
    StateError::Broken(what.into())
}

/// Calls sled, a panic being an error.
fn call<T>(sled: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, StateError> {
    match panic::catch_unwind(AssertUnwindSafe(sled)) {
        Ok(result) => Ok(result?),
        Err(payload) => {
            let text = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "no message".to_owned());
            Err(broken(format!("sled panicked: {text}")))
        }
    }
}

/// A cell as it was read.
pub type Found = (Mark, Arc<[u8]>);

/// The materialised state on disk.
pub struct State {
    /// sled; there until dropped.
    db: Option<sled::Db>,
    /// The file sled writes, once more, to sync it.
    file: File,
    /// The directory, to sync it.
    dir: File,
}

impl Drop for State {
    fn drop(&mut self) {
        let db = self.db.take();
        // sled flushes when dropped, which can fail like any other call. Nothing depends on it.
        drop(call(|| {
            drop(db);
            Ok(())
        }));
        self.wait_until_closed();
    }
}

impl State {
    /// Opens the state in `dir`, or makes an empty one.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        private(dir).map_err(StateError::Io)?;
        let db = call(|| {
            sled::Config::new()
                .path(dir)
                .cache_capacity(PAGE_CACHE_BYTES)
                .open()
        })?;
        let open = |path: &Path| File::open(path).map_err(StateError::Io);
        Ok(Self {
            db: Some(db),
            file: open(&dir.join("db"))?,
            dir: open(dir)?,
        })
    }

    /// sled.
    fn db(&self) -> Result<&sled::Db, StateError> {
        self.db.as_ref().ok_or_else(|| broken("it is closed"))
    }

    /// Waits until sled has let go of its file. Its threads do so some time after the last handle
    /// is dropped, and until then nobody else can open it.
    fn wait_until_closed(&self) {
        let began = Instant::now();
        while let Err(TryLockError::WouldBlock) = self.file.try_lock() {
            if began.elapsed() > CLOSE_PATIENCE {
                tracing::warn!("sled did not let go of its file");
                return;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// How far the state is; nothing when it is empty.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn meta(&self) -> Result<Option<Meta>, StateError> {
        let db = self.db()?;
        match call(|| db.get(META_KEY))? {
            Some(value) => match Meta::decode(&value) {
                Ok(Ok(meta)) => Ok(Some(meta)),
                Ok(Err(newer)) => Err(StateError::Newer(newer)),
                Err(BadBytes) => Err(broken("its own record of how far it is cannot be read")),
            },
            None if call(|| Ok(db.is_empty()))? => Ok(None),
            None => Err(broken("its own record of how far it is is missing")),
        }
    }

    /// Makes these changes, and notes that the state is now at `meta`: all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn apply(&self, ops: &[Op], meta: &Meta) -> Result<(), StateError> {
        let mut batch = sled::Batch::default();
        for op in ops {
            let new_parts = op.new.as_ref().map_or(0, |(mark, content)| {
                for (part, value) in (0..).zip(mark.values(content)) {
                    batch.insert(op.key.part(part), value);
                }
                mark.parts()
            });
            for part in new_parts..op.old.map_or(0, Mark::parts) {
                batch.remove(op.key.part(part));
            }
        }
        batch.insert(META_KEY, meta.encode());
        let db = self.db()?;
        call(|| db.apply_batch(batch))
    }

    /// A cell, checked.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn get(&self, key: &Key) -> Result<Option<Found>, StateError> {
        let db = self.db()?;
        let Some(first) = call(|| db.get(key.part(0)))? else {
            return Ok(None);
        };
        let mut cell = Cell::begin(&first)?;
        for part in 1..cell.mark.parts() {
            let value = call(|| db.get(key.part(part)))?;
            cell.content
                .extend_from_slice(&value.ok_or_else(|| broken("a cell is not whole"))?);
        }
        cell.finish(key).map(Some)
    }

    /// Hands out every cell, checked, in the order of their keys.
    ///
    /// # Errors
    ///
    /// [`StateError`], and what `visit` says.
    pub fn scan(
        &self,
        visit: &mut dyn FnMut(Key, Found) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        self.walk(None, &mut |key, found| visit(key, found?).map(|()| true))
            .map(drop)
    }

    /// A stretch of cells behind `after`: about `cells_max` of them or `bytes_max` bytes. All that
    /// comes before the resources is in the first one, whatever its size.
    ///
    /// # Errors
    ///
    /// [`StateError`] when sled does not get on. A cell that is not sound is part of the stretch.
    pub fn slice(
        &self,
        after: Option<&Key>,
        cells_max: usize,
        bytes_max: usize,
    ) -> Result<Slice, StateError> {
        let (mut cells, mut bytes) = (Vec::new(), 0_usize);
        let ended = self.walk(after, &mut |key, found| {
            let content = found.as_ref().map_or(0, |(_mark, content)| content.len());
            bytes = bytes.saturating_add(content);
            let is_many = key.is_of_many();
            cells.push((key, found));
            Ok(!is_many || (cells.len() < cells_max && bytes < bytes_max))
        })?;
        Ok(Slice { cells, ended })
    }

    /// Hands out the cells behind `after` in the order of their keys until `visit` has had enough.
    /// Returns whether the end was reached.
    fn walk(
        &self,
        after: Option<&Key>,
        visit: &mut dyn FnMut(Key, Result<Found, StateError>) -> Result<bool, StateError>,
    ) -> Result<bool, StateError> {
        let begin = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.part(u16::MAX)));
        let db = self.db()?;
        let mut values = call(|| Ok(db.range((begin, Bound::Unbounded))))?;
        let mut open: Option<Open> = None;
        while let Some((name, value)) = call(|| values.next().transpose())? {
            if name.as_ref() == META_KEY {
                continue;
            }
            let (key, part) = Key::decode(&name).ok_or_else(|| broken("a key has no meaning"))?;
            if let Some(open) = open.as_mut().filter(|open| open.key == key) {
                open.go_on(part, &value);
                continue;
            }
            if let Some(done) = open.take()
                && !done.hand_to(visit)?
            {
                return Ok(false);
            }
            open = Some(Open::begin(key, part, &value));
        }
        if let Some(done) = open {
            done.hand_to(visit)?;
        }
        Ok(true)
    }

    /// The deleted directories whose cells may still be there, with the marks of their tombstones.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn purges(&self) -> Result<BTreeMap<DirectoryId, Mark>, StateError> {
        let mut purges = BTreeMap::new();
        self.walk(None, &mut |key, found| match key {
            Key::Purge(id) => {
                purges.insert(id, found?.0);
                Ok(true)
            }
            _ => Ok(false),
        })?;
        Ok(purges)
    }

    /// Operations that delete up to `count` cells of a deleted directory.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn purge(&self, directory: DirectoryId, count: usize) -> Result<Vec<Op>, StateError> {
        let db = self.db()?;
        let mut ops = Vec::new();
        for head in Key::purged_with(directory) {
            let mut values = call(|| Ok(db.scan_prefix(head)))?;
            while ops.len() < count {
                let Some((name, value)) = call(|| values.next().transpose())? else {
                    break;
                };
                let (key, part) =
                    Key::decode(&name).ok_or_else(|| broken("a key has no meaning"))?;
                if part == 0 {
                    ops.push(Op {
                        key,
                        old: Some(Cell::begin(&value)?.mark),
                        new: None,
                        ticket: 0,
                    });
                }
            }
        }
        Ok(ops)
    }

    /// Puts a cell right that is damaged, lost or should not be there, whatever is stored under its
    /// key now. What the state says of itself does not change: it is what it should be.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn mend(&self, key: &Key, new: Option<(Mark, &[u8])>) -> Result<(), StateError> {
        let db = self.db()?;
        let mut batch = sled::Batch::default();
        let mut names = call(|| Ok(db.scan_prefix(key.stem()).keys()))?;
        while let Some(name) = call(|| names.next().transpose())? {
            batch.remove(name);
        }
        if let Some((mark, content)) = new {
            for (part, value) in (0..).zip(mark.values(content)) {
                batch.insert(key.part(part), value);
            }
        }
        call(|| db.apply_batch(batch))
    }

    /// Makes everything applied so far survive power loss.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn checkpoint(&self) -> Result<(), StateError> {
        let db = self.db()?;
        call(|| db.flush())?;
        self.file.sync_data().map_err(StateError::Io)?;
        self.dir.sync_all().map_err(StateError::Io)
    }

    /// Bytes on disk.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn bytes(&self) -> Result<u64, StateError> {
        let db = self.db()?;
        call(|| db.size_on_disk())
    }
}

/// A cell being read.
struct Cell {
    /// What its first value says of it.
    mark: Mark,
    /// Its content so far.
    content: Vec<u8>,
}

impl Cell {
    /// Reads a cell's first value.
    fn begin(value: &[u8]) -> Result<Self, StateError> {
        let (mark, content) = Mark::read(value).ok_or_else(|| broken("a cell has no beginning"))?;
        let mut cell = Self {
            mark,
            content: Vec::with_capacity(usize::from(mark.parts().min(64)) * VALUE_BYTES_MAX),
        };
        cell.content.extend_from_slice(content);
        Ok(cell)
    }

    /// Checks that the cell is whole.
    fn finish(self, key: &Key) -> Result<Found, StateError> {
        if Mark::of(key, &self.content) == self.mark {
            Ok((self.mark, self.content.into()))
        } else {
            Err(broken("the checksum of a cell does not fit its content"))
        }
    }
}

/// A stretch of the state.
pub struct Slice {
    /// Its cells in the order of their keys, sound or not.
    pub cells: Vec<(Key, Result<Found, StateError>)>,
    /// Whether the state ends with it.
    pub ended: bool,
}

/// A cell whose values are being gathered.
struct Open {
    /// Its key.
    key: Key,
    /// The part that must come next.
    next: u16,
    /// What is known of it.
    cell: Result<Cell, StateError>,
}

impl Open {
    /// Begins with one of its values, which must be the first.
    fn begin(key: Key, part: u16, value: &[u8]) -> Self {
        let cell = if part == 0 {
            Cell::begin(value)
        } else {
            Err(broken("a value belongs to no cell"))
        };
        let next = part.saturating_add(1);
        Self { key, next, cell }
    }

    /// Takes a further value.
    fn go_on(&mut self, part: u16, value: &[u8]) {
        match &mut self.cell {
            Ok(cell) if part == self.next => cell.content.extend_from_slice(value),
            Ok(_) => self.cell = Err(broken("a cell is not whole")),
            Err(_) => {}
        }
        self.next = part.saturating_add(1);
    }

    /// Hands the cell over, checked.
    fn hand_to(
        self,
        visit: &mut dyn FnMut(Key, Result<Found, StateError>) -> Result<bool, StateError>,
    ) -> Result<bool, StateError> {
        let found = self.cell.and_then(|cell| cell.finish(&self.key));
        visit(self.key, found)
    }
}

/// Makes the folder, for its owner alone: sled would let everybody on the machine read people's data.
fn private(dir: &Path) -> io::Result<()> {
    const MODE: u32 = 0o700;
    DirBuilder::new().recursive(true).mode(MODE).create(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(MODE))
}
