//! From the commit thread to the applier: committed transactions, bounded in bytes, so that a slow
//! state slows writers down instead of filling memory.

use std::collections::VecDeque;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::store::cell::Op;
use crate::store::chronicle::Entries;
use crate::store::memory::Directory;
use crate::store::memory::Effects;

/// Bytes that may wait before writers do.
const BYTES_MAX: usize = 64 << 20;
/// Transactions that are worth a batch of their own: more are not waited for.
const WORKS_ENOUGH: usize = 32;
/// How often a waiting thread looks whether it should go on waiting.
const LOOK: Duration = Duration::from_millis(500);

/// A committed transaction on its way to the state.
#[derive(Debug)]
pub struct Work {
    /// Its number.
    pub seq: u64,
    /// What is still to be done for it.
    pub ops: VecDeque<Op>,
    /// What it leaves in history and audit.
    pub entries: Entries,
    /// To be dropped once it is done.
    pub garbage: Vec<Directory>,
}

impl Work {
    /// What transaction `seq` asks of the state.
    pub fn new(seq: u64, effects: Effects) -> Self {
        Self {
            seq,
            ops: effects.ops.into(),
            entries: Entries::default(),
            garbage: effects.garbage,
        }
    }

    /// The bytes it keeps waiting, roughly.
    fn bytes(&self) -> usize {
        let ops: usize = self.ops.iter().map(Op::bytes).sum();
        ops.saturating_add(self.entries.bytes())
    }
}

/// What waits.
#[derive(Debug, Default)]
struct Inner {
    /// In order of commit.
    works: VecDeque<Work>,
    /// Bytes pushed and not yet applied.
    bytes: usize,
    /// Nothing more will be pushed.
    closed: bool,
}

/// The way from the commit thread to the applier.
#[derive(Debug, Default)]
pub struct Queue {
    /// What waits.
    inner: Mutex<Inner>,
    /// Something was pushed, or the queue was closed.
    pushed: Condvar,
    /// Something was applied.
    applied: Condvar,
}

/// What the applier got.
#[derive(Debug)]
pub enum Taken {
    /// Everything that waited.
    Works(VecDeque<Work>),
    /// Nothing within the time.
    Nothing,
    /// Nothing, and nothing will come.
    Closed,
}

impl Queue {
    /// Locks; a panic elsewhere leaves nothing half-done behind this lock.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands transactions over. Never waits: room was waited for before they were committed.
    pub fn push(&self, works: impl IntoIterator<Item = Work>) {
        let mut inner = self.lock();
        let first = inner.works.is_empty();
        for work in works {
            inner.bytes = inner.bytes.saturating_add(work.bytes());
            inner.works.push_back(work);
        }
        drop(inner);
        // Who waits waits for the first; what comes after it is found.
        if first {
            self.pushed.notify_one();
        }
    }

    /// Waits until there is room, or `give_up` says so. Returns whether there is room.
    pub fn wait_for_room(&self, give_up: impl Fn() -> bool) -> bool {
        let mut inner = self.lock();
        while inner.bytes > BYTES_MAX && !give_up() {
            inner = self
                .applied
                .wait_timeout(inner, LOOK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        inner.bytes <= BYTES_MAX
    }

    /// Takes everything that waits; when nothing does, waits for it up to `patience`. When there is
    /// something but not much, more is waited for up to `gathering`.
    pub fn take(&self, patience: Duration, gathering: Duration) -> Taken {
        let mut inner = self.wait_while(self.lock(), patience, |inner| inner.works.is_empty());
        if !inner.works.is_empty() {
            inner = self.wait_while(inner, gathering, |inner| inner.works.len() < WORKS_ENOUGH);
        }
        match (inner.works.is_empty(), inner.closed) {
            (false, _) => Taken::Works(std::mem::take(&mut inner.works)),
            (true, true) => Taken::Closed,
            (true, false) => Taken::Nothing,
        }
    }

    /// Waits up to `time` while `wanting` holds and the queue is open.
    fn wait_while<'a>(
        &self,
        inner: MutexGuard<'a, Inner>,
        time: Duration,
        wanting: impl Fn(&Inner) -> bool,
    ) -> MutexGuard<'a, Inner> {
        self.pushed
            .wait_timeout_while(inner, time, |inner| wanting(inner) && !inner.closed)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// Notes that this many bytes were applied. Returns how many still wait.
    pub fn done(&self, bytes: usize) -> usize {
        let mut inner = self.lock();
        inner.bytes = inner.bytes.saturating_sub(bytes);
        let left = inner.bytes;
        drop(inner);
        self.applied.notify_all();
        left
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Nothing more will be pushed.
    pub fn close(&self) {
        self.lock().closed = true;
        self.pushed.notify_all();
    }
}
