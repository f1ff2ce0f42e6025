//! Commit log → state, in the background: small batches in the order of commit, checkpoints, and
//! the purge of deleted directories in slices between them.

use std::collections::VecDeque;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::base::ident::DirectoryId;
use crate::store::cell::Key;
use crate::store::cell::Op;
use crate::store::chronicle::Chronicle;
use crate::store::meta::Meta;
use crate::store::queue::Queue;
use crate::store::queue::Taken;
use crate::store::queue::Work;
use crate::store::state::State;
use crate::store::state::StateError;
use crate::store::upkeep::Upkeep;
use crate::store::view::View;

/// Keys of one batch: sled holds a process-wide lock for its length, and readers wait behind it.
/// Only a single record of more than 256 KiB exceeds it, because its parts must stay together.
const BATCH_KEYS_MAX: usize = 64;
/// Bytes of one batch.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// A checkpoint is made after this time,
const CHECKPOINT_AGE: Duration = Duration::from_secs(30);
/// or after this many bytes.
const CHECKPOINT_BYTES: usize = 64 << 20;
/// Under load, one slice of purging comes after this many batches.
const BATCHES_A_PURGE: u32 = 16;
/// How long the applier waits for work before it looks around.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it lets a batch grow. A batch wakes every thread of sled's, so one for each transaction
/// would cost more than all the rest of a write; nobody waits for it, since reads see what is pending.
const GATHERING: Duration = Duration::from_millis(10);

/// Brings changes into the state, in order. Used by the applier's thread and, before that thread
/// runs, by the replay at start.
pub struct Applier {
    /// The state.
    pub state: Arc<State>,
    /// How far it is.
    pub meta: Meta,
    /// Deleted directories whose cells are still there.
    purges: VecDeque<DirectoryId>,
}

impl Applier {
    /// Goes on where the state is; `purges` are directories whose purge was not finished.
    pub fn new(
        state: Arc<State>,
        meta: Meta,
        purges: impl IntoIterator<Item = DirectoryId>,
    ) -> Self {
        Self {
            state,
            meta,
            purges: purges.into_iter().collect(),
        }
    }

    /// How many deleted directories still have cells.
    pub fn purging(&self) -> u64 {
        u64::try_from(self.purges.len()).unwrap_or(u64::MAX)
    }

    /// Brings one batch of what waits in `works` into the state. Returns what was brought in.
    ///
    /// # Errors
    ///
    /// [`StateError`]. The applier must not be used after it.
    pub fn step(&mut self, works: &mut VecDeque<Work>) -> Result<Vec<Op>, StateError> {
        let (mut ops, mut keys, mut bytes) = (Vec::new(), 0_usize, 0_usize);
        while let Some(work) = works.front_mut() {
            let Some(op) = work.ops.pop_front() else {
                self.meta.seq = work.seq;
                self.meta.done = 0;
                // A deleted directory can be large: it is dropped here, where nobody waits.
                drop(works.pop_front().map(|done| done.garbage));
                continue;
            };
            let with_this = keys.saturating_add(op.keys());
            if !ops.is_empty() && (with_this > BATCH_KEYS_MAX || bytes >= BATCH_BYTES_MAX) {
                work.ops.push_front(op);
                break;
            }
            keys = with_this;
            bytes = bytes.saturating_add(op.bytes());
            self.meta.tally.apply(&op);
            self.meta.done = self.meta.done.saturating_add(1);
            if let Key::Purge(id) = op.key {
                self.purges.push_back(id);
            }
            ops.push(op);
        }
        self.state.apply(&ops, &self.meta)?;
        Ok(ops)
    }

    /// Deletes a slice of what a deleted directory left, and returns it. Safe to interrupt: the
    /// tombstone goes last, with nothing else left.
    fn purge(&mut self) -> Result<Vec<Op>, StateError> {
        let Some(&id) = self.purges.front() else {
            return Ok(Vec::new());
        };
        let mut ops = Vec::new();
        let mut keys = 0_usize;
        for op in self.state.purge(id, BATCH_KEYS_MAX)? {
            keys = keys.saturating_add(op.keys());
            if !ops.is_empty() && keys > BATCH_KEYS_MAX {
                break;
            }
            ops.push(op);
        }
        if ops.is_empty() {
            let key = Key::Purge(id);
            let old = self.state.get(&key)?.map(|(mark, _content)| mark);
            ops.push(Op {
                key,
                old,
                new: None,
                ticket: 0,
            });
            self.purges.pop_front();
        }
        for op in &ops {
            self.meta.tally.apply(op);
        }
        self.state.apply(&ops, &self.meta)?;
        Ok(ops)
    }

    /// Makes what was applied survive power loss.
    ///
    /// # Errors
    ///
    /// [`StateError`]. The applier must not be used after it.
    pub fn checkpoint(&self, chronicle: &mut Chronicle, view: &View) -> Result<(), StateError> {
        let status = view.status();
        status.begin_step(view.clock());
        // First: what the state has is no longer replayed.
        chronicle.sync(view.clock().now()).map_err(StateError::Io)?;
        status.history_seq.set(chronicle.synced_seq());
        self.state.checkpoint()?;
        status.checkpoint_seq.set(self.meta.seq);
        status.state_bytes.set(self.state.bytes()?);
        status.end_step();
        Ok(())
    }
}

/// The applier's thread.
pub struct Thread {
    /// What it does.
    pub applier: Applier,
    /// Where its work comes from.
    pub queue: Arc<Queue>,
    /// What readers see.
    pub view: View,
    /// What it does beside.
    pub upkeep: Upkeep,
    /// History and audit.
    pub chronicle: Chronicle,
}

impl Thread {
    /// Works until the queue is closed and empty, or the state fails.
    pub fn run(mut self) {
        let ended = panic::catch_unwind(AssertUnwindSafe(|| self.work()));
        let reason = match ended {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                if matches!(error, StateError::Broken(_)) {
                    self.upkeep.distrust();
                }
                Some(format!("the state on disk cannot be used: {error}"))
            }
            Err(_panic) => Some("the applier met a fault of its own".to_owned()),
        };
        if let Some(reason) = reason {
            self.view.status().fail(reason, self.view.clock());
        }
        self.view.status().end_step();
        self.upkeep.close(&self.view);
        self.view.desk().close();
    }

    /// Works until the queue is closed and empty.
    fn work(&mut self) -> Result<(), StateError> {
        let mut works = VecDeque::new();
        let (mut batches, mut bytes) = (0_u32, 0_usize);
        let mut checkpoint = Instant::now();
        self.checkpoint()?;
        loop {
            if works.is_empty() {
                let (patience, gathering) = if self.applier.purges.is_empty() {
                    (PATIENCE.min(self.upkeep.patience()), GATHERING)
                } else {
                    (Duration::ZERO, Duration::ZERO)
                };
                match self.queue.take(patience, gathering) {
                    Taken::Works(taken) => {
                        works = taken;
                        self.copy(&mut works)?;
                    }
                    Taken::Nothing => {}
                    Taken::Closed => return self.checkpoint(),
                }
            }
            if !works.is_empty() {
                bytes = bytes.saturating_add(self.step(&mut works)?);
                batches = batches.wrapping_add(1);
            }
            if works.is_empty() || batches.is_multiple_of(BATCHES_A_PURGE) {
                self.purge_slice()?;
            }
            self.upkeep()?;
            let aged = checkpoint.elapsed() >= CHECKPOINT_AGE && self.behind();
            let aged = aged || self.chronicle.is_due(self.view.clock().now());
            if aged || bytes >= CHECKPOINT_BYTES || self.view.desk().take_checkpoint() {
                self.checkpoint()?;
                (checkpoint, bytes) = (Instant::now(), 0);
            }
        }
    }

    /// Copies what transactions leave in history and audit: readers find it from then on.
    fn copy(&mut self, works: &mut VecDeque<Work>) -> Result<(), StateError> {
        let status = self.view.status();
        status.begin_step(self.view.clock());
        let mut bytes = 0_usize;
        for work in works {
            let entries = std::mem::take(&mut work.entries);
            let copied = self.chronicle.append(work.seq, &entries);
            copied.map_err(StateError::Io)?;
            bytes = bytes.saturating_add(entries.bytes());
        }
        self.chronicle.flush().map_err(StateError::Io)?;
        self.queue.done(bytes);
        self.view.status().end_step();
        Ok(())
    }

    /// Whether the state has moved since it was last synced.
    fn behind(&self) -> bool {
        let status = self.view.status();
        status.checkpoint_seq.get() != self.applier.meta.seq || !self.applier.purges.is_empty()
    }

    /// One batch. Returns its bytes.
    fn step(&mut self, works: &mut VecDeque<Work>) -> Result<usize, StateError> {
        let status = self.view.status();
        status.begin_step(self.view.clock());
        let ops = self.applier.step(works)?;
        self.view.settle(&ops);
        self.upkeep.follow(&ops, &self.view);
        let bytes = ops.iter().map(Op::bytes).sum();
        let left = self.queue.done(bytes);
        let status = self.view.status();
        status
            .waiting_bytes
            .set(u64::try_from(left).unwrap_or(u64::MAX));
        status.purging.set(self.applier.purging());
        status.applied_seq.set(self.applier.meta.seq);
        status.end_step();
        Ok(bytes)
    }

    /// One slice of purging, when there is something to purge.
    fn purge_slice(&mut self) -> Result<(), StateError> {
        if self.applier.purges.is_empty() {
            return Ok(());
        }
        self.view.status().begin_step(self.view.clock());
        let ops = self.applier.purge()?;
        self.upkeep.follow(&ops, &self.view);
        let status = self.view.status();
        status.purging.set(self.applier.purging());
        status.end_step();
        Ok(())
    }

    /// One step of what is done beside.
    fn upkeep(&mut self) -> Result<(), StateError> {
        self.view.status().begin_step(self.view.clock());
        self.upkeep
            .turn(&mut self.applier, &mut self.chronicle, &self.view)?;
        self.view.status().end_step();
        Ok(())
    }

    /// Makes what was applied survive power loss.
    fn checkpoint(&mut self) -> Result<(), StateError> {
        self.applier.checkpoint(&mut self.chronicle, &self.view)
    }
}
