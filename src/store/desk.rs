//! Where others ask something of the applier and of the tender, and find what came of it.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::store::base::write::Finished;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::snapshot::Taken;

/// Something that the applier does beside its work, on its own or because it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chore {
    /// Comparing the whole state with memory.
    Verify,
    /// Writing a base.
    Base,
    /// Rebuilding the state beside the one in use.
    Rebuild,
}

impl Chore {
    /// All of them, most urgent first.
    pub const ALL: [Self; 3] = [Self::Base, Self::Rebuild, Self::Verify];

    /// What it is called, for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Base => "base",
            Self::Rebuild => "rebuild",
        }
    }

    /// What it is called, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verify => "verifying the state",
            Self::Base => "writing a base",
            Self::Rebuild => "rebuilding the state",
        }
    }
}

/// What a comparison of the whole state with memory came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// When it ended.
    pub at: Timestamp,
    /// The transaction the state was at then.
    pub seq: u64,
    /// Cells compared.
    pub cells: u64,
    /// Cells that were lost or damaged.
    pub damaged: u64,
    /// Cells that should not have been there.
    pub surplus: u64,
    /// Whether count and hash agreed.
    pub agrees: bool,
}

/// What came of chores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// The last verification.
    pub verification: Option<Verification>,
    /// The base in use.
    pub base: Option<Finished>,
    /// The snapshot of the indexes that the next start can use.
    pub snapshot: Option<Taken>,
    /// When the state was last rebuilt beside the one in use.
    pub rebuilt: Option<Timestamp>,
    /// What is being done, and how many cells of the state that has dealt with.
    pub under_way: Option<(Chore, u64)>,
    /// Why the last try at a chore failed, until one succeeds.
    pub failed: BTreeMap<Chore, String>,
    /// Cells that were put right.
    pub repaired: u64,
    /// Cells that are damaged or lost, and not put right yet.
    pub repairing: u64,
}

/// A cell that was found again: what it is to be.
pub(in crate::store) type FoundAgain = (Key, Mark, Arc<[u8]>);

/// Who has asked for a chore, by numbers that only grow.
#[derive(Clone, Copy, Debug, Default)]
struct Tickets {
    /// The last one given.
    given: u64,
    /// The last one that the try under way is for.
    begun: u64,
    /// The last one that a try has ended for.
    served: u64,
}

/// What is on the desk.
#[derive(Debug, Default)]
struct Inner {
    /// Who has asked for what.
    tickets: BTreeMap<Chore, Tickets>,
    /// Somebody needs a checkpoint soon.
    checkpoint: bool,
    /// What came of it.
    reports: Reports,
    /// Cells to be found again.
    wanted: HashMap<Key, Mark>,
    /// Cells being looked for.
    sought: HashMap<Key, Mark>,
    /// Cells to be written.
    found: Vec<FoundAgain>,
    /// How many cells are being written.
    mending: usize,
    /// Cells that were not found.
    lost: HashMap<Key, Mark>,
    /// Whoever waits, or takes long, is to end now.
    hurry: bool,
    /// Nothing more will be done.
    closed: bool,
}

impl Inner {
    /// How many cells are damaged or lost, and not put right yet.
    fn repairing(&self) -> usize {
        let waiting = [self.wanted.len(), self.sought.len(), self.found.len()];
        waiting.into_iter().chain([self.mending]).sum()
    }
}

/// The desk.
#[derive(Debug, Default)]
pub(in crate::store) struct Desk {
    /// What is on it.
    inner: Mutex<Inner>,
    /// Something changed.
    changed: Condvar,
}

impl Desk {
    /// Locks; a panic elsewhere leaves nothing half-done behind this lock.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a chore and waits until a try that began afterwards has ended, at most `patience`.
    /// Returns why it failed, or nothing when it did not end in time or is to hurry.
    pub fn ask(&self, chore: Chore, patience: Duration) -> Option<Result<Reports, String>> {
        let mut inner = self.lock();
        let tickets = inner.tickets.entry(chore).or_default();
        tickets.given = tickets.given.saturating_add(1);
        let mine = tickets.given;
        let waits = |inner: &mut Inner| {
            let served = inner
                .tickets
                .get(&chore)
                .map_or(0, |tickets| tickets.served);
            served < mine && !inner.closed && !inner.hurry
        };
        let (inner, _timed_out) = self
            .changed
            .wait_timeout_while(inner, patience, waits)
            .unwrap_or_else(PoisonError::into_inner);
        let served = inner
            .tickets
            .get(&chore)
            .map_or(0, |tickets| tickets.served);
        (served >= mine).then(|| match inner.reports.failed.get(&chore) {
            Some(why) => Err(why.clone()),
            None => Ok(inner.reports.clone()),
        })
    }

    /// Asks for a chore and does not wait.
    pub fn request(&self, chore: Chore) {
        let mut inner = self.lock();
        let tickets = inner.tickets.entry(chore).or_default();
        tickets.given = tickets.given.saturating_add(1);
    }

    /// Whether somebody waits for a chore.
    pub fn is_asked(&self, chore: Chore) -> bool {
        let inner = self.lock();
        let tickets = inner.tickets.get(&chore).copied().unwrap_or_default();
        tickets.given > tickets.begun
    }

    /// Notes that a chore begins.
    pub fn begin(&self, chore: Chore) {
        let mut inner = self.lock();
        let tickets = inner.tickets.entry(chore).or_default();
        tickets.begun = tickets.given;
        inner.reports.under_way = Some((chore, 0));
    }

    /// Notes how far the chore under way is.
    pub fn progress(&self, cells: u64) {
        if let Some((_chore, done)) = &mut self.lock().reports.under_way {
            *done = cells;
        }
    }

    /// Notes that a chore ended, and with what.
    pub fn end(&self, chore: Chore, outcome: Result<(), String>) {
        let mut inner = self.lock();
        let tickets = inner.tickets.entry(chore).or_default();
        tickets.served = tickets.begun;
        inner.reports.under_way = None;
        match outcome {
            Ok(()) => inner.reports.failed.remove(&chore),
            Err(why) => inner.reports.failed.insert(chore, why),
        };
        self.changed.notify_all();
    }

    /// Asks for a checkpoint soon.
    pub fn ask_checkpoint(&self) {
        self.lock().checkpoint = true;
    }

    /// Whether somebody asked for a checkpoint since this was called last.
    pub fn take_checkpoint(&self) -> bool {
        std::mem::take(&mut self.lock().checkpoint)
    }

    /// Changes the reports.
    pub fn report(&self, change: impl FnOnce(&mut Reports)) {
        change(&mut self.lock().reports);
    }

    /// The reports as they are now.
    pub fn reports(&self) -> Reports {
        let inner = self.lock();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Reports {
            repairing: count(inner.repairing()),
            ..inner.reports.clone()
        }
    }

    /// Asks for a cell that is damaged or lost. Nothing new when it was asked for already.
    pub fn want(&self, key: Key, mark: Mark) {
        let mut inner = self.lock();
        let known = inner.sought.get(&key) == Some(&mark)
            || inner.lost.get(&key) == Some(&mark)
            || inner
                .found
                .iter()
                .any(|(found, of, _)| *found == key && *of == mark);
        if !known {
            inner.wanted.insert(key, mark);
            self.changed.notify_all();
        }
    }

    /// Waits up to `patience` for cells to look for, and takes them.
    pub fn take_wanted(&self, patience: Duration) -> HashMap<Key, Mark> {
        let inner = self.lock();
        let idle = |inner: &mut Inner| inner.wanted.is_empty() && !inner.closed;
        let (mut inner, _timed_out) = self
            .changed
            .wait_timeout_while(inner, patience, idle)
            .unwrap_or_else(PoisonError::into_inner);
        let wanted = std::mem::take(&mut inner.wanted);
        inner.sought.clone_from(&wanted);
        wanted
    }

    /// Notes what was found of the cells that were taken; the others are lost.
    pub fn put_found(&self, found: Vec<FoundAgain>) {
        let mut inner = self.lock();
        let mut sought = std::mem::take(&mut inner.sought);
        for (key, ..) in &found {
            sought.remove(key);
        }
        inner.lost.extend(sought);
        inner.found.extend(found);
        self.changed.notify_all();
    }

    /// Cells to be written.
    pub fn take_found(&self) -> Vec<FoundAgain> {
        let mut inner = self.lock();
        let found = std::mem::take(&mut inner.found);
        inner.mending = found.len();
        found
    }

    /// Notes that the cells that were taken are written.
    pub fn mended(&self) {
        self.lock().mending = 0;
        self.changed.notify_all();
    }

    /// What neither base nor log had when it was asked for, in the order of their keys.
    pub fn lost(&self) -> Vec<(Key, Mark)> {
        let inner = self.lock();
        let lost = inner.lost.iter();
        let mut lost: Vec<_> = lost.map(|(key, mark)| (key.clone(), *mark)).collect();
        lost.sort_by(|(a, _), (b, _)| a.cmp(b));
        lost
    }

    /// Has whoever waits, or takes long, end now.
    pub fn hurry(&self) {
        self.lock().hurry = true;
        self.changed.notify_all();
    }

    /// Whether whoever takes long is to end now.
    pub fn is_hurried(&self) -> bool {
        let inner = self.lock();
        inner.hurry || inner.closed
    }

    /// Waits until no cell waits to be put right, at most `patience`, or until it has to hurry.
    /// Returns whether that is so.
    pub fn wait_for_repairs(&self, patience: Duration) -> bool {
        let waits = |inner: &mut Inner| inner.repairing() > 0 && !inner.closed && !inner.hurry;
        let (inner, _timed_out) = self
            .changed
            .wait_timeout_while(self.lock(), patience, waits)
            .unwrap_or_else(PoisonError::into_inner);
        inner.repairing() == 0
    }

    /// Nothing more will be done: who waits is told.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Whether nothing more will be done.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }
}
