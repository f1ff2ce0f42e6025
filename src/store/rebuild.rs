//! A second state that is filled beside the one in use, and takes its place when both hold the
//! same: sled never gives room back, and what it has damaged it does not mend.

use std::path::Path;
use std::sync::Arc;

use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::cell::Op;
use crate::store::generation::Generation;
use crate::store::meta::Meta;
use crate::store::state::State;
use crate::store::state::StateError;

/// Keys of one batch.
const BATCH_KEYS: usize = 64;
/// Bytes after which what was written is synced, so that no sync takes long.
const SYNC_BYTES: usize = 32 << 20;

/// A state being filled.
pub struct Target {
    /// Its folder.
    pub generation: Generation,
    /// It.
    state: State,
    /// Cells that it does not have yet.
    batch: Vec<Op>,
    /// How many keys they take.
    keys: usize,
    /// Bytes written since the last sync.
    unsynced: usize,
    /// How far it is: at no transaction until it is finished.
    meta: Meta,
}

impl Target {
    /// An empty state beside that of `current` in the store's directory `dir`.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn begin(dir: &Path, current: Generation, meta: &Meta) -> Result<Self, StateError> {
        let generation = current.next();
        Ok(Self {
            generation,
            state: State::open(&generation.folder(dir))?,
            batch: Vec::new(),
            keys: 0,
            unsynced: 0,
            meta: Meta::empty(meta.store),
        })
    }

    /// Adds a cell.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn add(&mut self, key: &Key, mark: Mark, content: Arc<[u8]>) -> Result<(), StateError> {
        let op = Op {
            key: key.clone(),
            old: None,
            new: Some((mark, content)),
            ticket: 0,
        };
        self.keys = self.keys.saturating_add(op.keys());
        self.batch.push(op);
        if self.keys >= BATCH_KEYS {
            self.flush()?;
        }
        Ok(())
    }

    /// Brings what waits into the state.
    fn flush(&mut self) -> Result<(), StateError> {
        let batch = std::mem::take(&mut self.batch);
        self.keys = 0;
        self.apply(&batch)
    }

    /// Brings changes into the state, and syncs now and then.
    fn apply(&mut self, ops: &[Op]) -> Result<(), StateError> {
        if ops.is_empty() {
            return Ok(());
        }
        for op in ops {
            self.meta.tally.apply(op);
            self.unsynced = self.unsynced.saturating_add(op.bytes());
        }
        self.state.apply(ops, &self.meta)?;
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.state.checkpoint()?;
        }
        Ok(())
    }

    /// Does what the state in use did with cells that are here already.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn follow(&mut self, ops: &[Op]) -> Result<(), StateError> {
        self.flush()?;
        self.apply(ops)
    }

    /// Ends the filling: the state is now at `meta`, and synced.
    ///
    /// # Errors
    ///
    /// [`StateError`]; it must not be used.
    pub fn finish(mut self, meta: &Meta) -> Result<State, StateError> {
        self.flush()?;
        if self.meta.tally != meta.tally {
            return Err(StateError::Broken(
                "the rebuilt state does not hold what the old one does".to_owned(),
            ));
        }
        self.state.apply(&[], meta)?;
        self.state.checkpoint()?;
        Ok(self.state)
    }
}
