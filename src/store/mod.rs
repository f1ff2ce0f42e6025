//! Durable state: a commit log that makes writes durable, sled behind it as the materialised
//! state, indexes in memory. Everything above sees commits with expectations, reads, look-ups and
//! health; nothing of sled or of the log.
//!
//! ```text
//! commit() ──► COMMIT THREAD ── one frame, one sync ──► log/      (what is here is committed)
//!                  │ publishes
//!                  ▼
//! reads ──► memory, cache ─miss─► sled/  ◄── APPLIER THREAD ◄── committed changes
//!                   history/, audit/  ◄──┘
//! ```

mod applier;
mod base;
mod cell;
pub mod change;
pub mod chronicle;
mod commit;
pub mod desk;
mod edges;
pub mod error;
mod find;
mod folder;
mod forget;
mod generation;
mod header;
pub mod health;
mod index;
pub mod inspect;
mod keeper;
mod log;
mod memory;
mod meta;
pub mod parts;
mod queue;
mod rebuild;
pub mod record;
pub mod relations;
mod repair;
mod replay;
pub mod row;
mod rows;
mod snapshot;
mod space;
mod staging;
mod startup;
mod state;
mod status;
mod sweep;
mod tender;
mod upkeep;
pub mod view;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::ops::Deref;
use std::panic;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::ident::IdSource;
use crate::store::change::Committed;
use crate::store::change::Transaction;
use crate::store::chronicle::Retention;
use crate::store::commit::Committer;
use crate::store::commit::Job;
use crate::store::commit::Prepare;
use crate::store::commit::Prepared;
pub use crate::store::commit::Then;
use crate::store::desk::Chore;
use crate::store::desk::Reports;
use crate::store::error::CommitError;
use crate::store::error::OpenError;
use crate::store::health::Rung;
use crate::store::keeper::Bell;
use crate::store::keeper::Keeper;
use crate::store::log::frame::StoreId;
use crate::store::parts::Parts;
use crate::store::queue::Queue;
use crate::store::startup::Opened;
use crate::store::tender::Tender;
use crate::store::upkeep::Upkeep;
use crate::store::view::View;

/// Transactions that may wait for the commit thread; whoever comes then waits to be let in.
pub const JOBS_MAX: usize = 1024;
/// How long closing waits for the threads, above all for the state to be brought up to date. One
/// that stalls must not keep the process alive: the commit log has everything.
const CLOSE_PATIENCE: Duration = Duration::from_secs(60);
/// How long it waits when the store has failed, so that the restart that mends it comes soon.
const FAILED_PATIENCE: Duration = Duration::from_secs(1);

/// What the store has to know to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its directory; made when missing.
    pub dir: PathBuf,
    /// Bytes of one segment of the commit log.
    pub segment_bytes: u64,
    /// Bytes of the reserve that a start on a full disk uses up; 0 for none.
    pub reserve_bytes: u64,
    /// Free bytes below which health warns.
    pub free_soft_bytes: u64,
    /// Free bytes below which writes are refused.
    pub free_hard_bytes: u64,
    /// Bytes of records kept in memory.
    pub cache_bytes: u64,
    /// Bytes of commit log behind the last base below which no other is written on its own.
    pub base_log_bytes: u64,
    /// How long history and audit are kept.
    pub retention: Retention,
}

/// The store. Cheap to clone; reads like a [`View`]; closes when the last clone is dropped.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// What the clones share.
struct Inner {
    /// The reading half.
    view: View,
    /// To the commit thread.
    jobs: SyncSender<Job>,
    /// The store's directory.
    dir: PathBuf,
    /// The store.
    store: StoreId,
    /// What runs, until it is closed.
    running: Mutex<Option<Running>>,
}

/// What runs while the store is open.
struct Running {
    /// The commit thread.
    commit: Thread,
    /// The applier's thread.
    applier: Thread,
    /// The keeper.
    keeper: Thread,
    /// The tender.
    tender: Thread,
    /// Wakes the keeper.
    bell: Arc<Bell>,
    /// The way to the applier.
    queue: Arc<Queue>,
}

impl Deref for Store {
    type Target = View;

    fn deref(&self) -> &View {
        &self.0.view
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `settings.dir`, or makes one. Says through `progress` what takes time.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; the directory is then as it was, or better.
    pub fn open(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        ids: &dyn IdSource,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, OpenError> {
        let opened = startup::open(settings, &*clock, ids, progress)?;
        start(opened, settings, clock).map_err(OpenError::io("start a thread for", &settings.dir))
    }

    /// Commits a transaction: when this returns `Ok`, it survives power loss and every reader sees
    /// it. Waits for the disk, so it belongs on a thread that may wait.
    ///
    /// # Errors
    ///
    /// [`CommitError`].
    pub fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let (reply, answer) = mpsc::sync_channel(1);
        // Whoever asked is waiting.
        self.submit(
            transaction,
            Box::new(move |outcome| drop(reply.send(outcome))),
        )?;
        answer.recv().unwrap_or_else(|_gone| Err(self.gone()))
    }

    /// As [`Store::commit`], for who must not wait: `then` is told the outcome, on the commit thread.
    /// When it is dropped untold, [`Store::gone`] says why. Waits only while [`JOBS_MAX`]
    /// transactions are before it, so whoever submits from a thread that must not wait has to bound
    /// how many he has under way.
    ///
    /// # Errors
    ///
    /// [`CommitError`] when nobody takes transactions any more.
    pub fn submit(&self, transaction: Transaction, then: Then) -> Result<(), CommitError> {
        self.send(Job::Commit { transaction, then })
    }

    /// Prepares a transaction inside the commit thread, where nobody can come between, and commits
    /// it. For what met too many conflicts; everybody else waits meanwhile.
    ///
    /// # Errors
    ///
    /// [`CommitError`]. `Ok(None)` when there was nothing to commit.
    pub fn commit_with(&self, prepare: Prepare) -> Result<Option<Committed>, CommitError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(Job::With { prepare, reply })?;
        match answer.recv() {
            Ok(Prepared::Done(outcome)) => outcome.map(Some),
            Ok(Prepared::Nothing) => Ok(None),
            Ok(Prepared::Panicked(payload)) => panic::resume_unwind(payload),
            Err(_gone) => Err(self.gone()),
        }
    }

    /// Has a chore done now, and waits for it, at most `patience`. Returns what came of it; nothing
    /// when it did not end in time, or when everybody is to hurry.
    ///
    /// # Errors
    ///
    /// Why it was given up, for people.
    pub fn chore(&self, chore: Chore, patience: Duration) -> Result<Option<Reports>, String> {
        self.0.view.desk().ask(chore, patience).transpose()
    }

    /// Measures what each part of the store takes of the disk.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn parts(&self) -> io::Result<Parts> {
        parts::measure(&self.0.dir)
    }

    /// Tells who waits for a chore, or reads everything there is, that it has to end now: the
    /// process is about to stop.
    pub fn hurry(&self) {
        self.0.view.desk().hurry();
    }

    /// Reads the base in use, when there is one, and returns what is wrong with it. A damaged one is
    /// used no more, and another is written. Takes long.
    pub fn check_base(&self) -> Option<String> {
        base::check::check(&self.0.dir, self.0.store, &self.0.view)
    }

    /// Closes the store: what is committed is brought into the state, and that is synced. Later
    /// commits are refused; reads go on.
    pub fn shutdown(&self) {
        self.0.close();
    }

    /// Hands a job to the commit thread.
    fn send(&self, job: Job) -> Result<(), CommitError> {
        // Who comes while the log stalls would wait for nothing.
        let status = self.0.view.status();
        if status.log_stalled_since().is_some() {
            let reason = self.0.view.refusal().unwrap_or_default();
            return Err(CommitError::ReadOnly { reason });
        }
        self.0.jobs.send(job).map_err(|_gone| self.gone())
    }

    /// Why the commit thread gave no answer: it met a fault with this group, or is no more.
    pub fn gone(&self) -> CommitError {
        match self.0.view.status().failure() {
            Some(_failure) => CommitError::Failed,
            None => CommitError::ReadOnly {
                reason: "it is being closed".to_owned(),
            },
        }
    }
}

/// Starts the threads of a store that was opened.
fn start(opened: Opened, settings: &Settings, clock: Arc<dyn Clock>) -> io::Result<Store> {
    let (memory, applier) = (opened.memory, opened.applier);
    let numbers = [memory.seq, applier.meta.seq, applier.purging()];
    let state = Arc::clone(&applier.state);
    let view = View::new(
        memory,
        state,
        settings.cache_bytes,
        clock,
        opened.lock,
        opened.chronicle.reader(),
    );
    let reports = Reports {
        base: opened.base,
        snapshot: opened.snapshot,
        ..Reports::default()
    };
    view.status().log_bytes.set(opened.writer.log_bytes());
    note_start(&view, settings, numbers, opened.rungs, reports);
    let (queue, bell) = (Arc::new(Queue::default()), Arc::new(Bell::default()));
    let keeper = Keeper {
        view: view.clone(),
        bell: Arc::clone(&bell),
        spares: opened.spares,
        space: opened.space,
        dir: settings.dir.clone(),
    };
    // Before the first commit can come: a full disk is known from the start.
    keeper.look();
    let (jobs, jobs_in) = mpsc::sync_channel(JOBS_MAX);
    let committer = Committer {
        view: view.clone(),
        writer: opened.writer,
        store: opened.store,
        queue: Arc::clone(&queue),
        bell: Arc::clone(&bell),
        jobs: jobs_in,
    };
    let applier = applier::Thread {
        applier,
        queue: Arc::clone(&queue),
        view: view.clone(),
        upkeep: Upkeep::new(opened.beginning),
        chronicle: opened.chronicle,
    };
    let tender = Tender {
        view: view.clone(),
        dir: settings.dir.clone(),
        store: opened.store,
    };
    let running = Running {
        applier: Thread::start("store-apply", move || applier.run())?,
        commit: Thread::start("store-commit", move || committer.run())?,
        keeper: Thread::start("store-keep", move || keeper.run())?,
        tender: Thread::start("store-tend", move || tender.run())?,
        bell,
        queue,
    };
    Ok(Store(Arc::new(Inner {
        view,
        jobs,
        dir: settings.dir.clone(),
        store: opened.store,
        running: Mutex::new(Some(running)),
    })))
}

/// Notes how the store is at its start.
fn note_start(
    view: &View,
    settings: &Settings,
    [seq, applied_seq, purging]: [u64; 3],
    rungs: Vec<Rung>,
    found: Reports,
) {
    let status = view.status();
    status.seq.set(seq);
    status.applied_seq.set(applied_seq);
    status.purging.set(purging);
    status.free_hard_bytes.set(settings.free_hard_bytes);
    status.set_rungs(rungs);
    view.desk().report(|reports| *reports = found);
}

/// A thread of the store, which may never end: what it waits for may not answer.
struct Thread(Receiver<()>);

impl Thread {
    /// Starts a thread with a name.
    fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (ending, ended) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                run();
                if ending.send(()).is_err() {
                    tracing::debug!("nobody waited for the end of a thread of the store");
                }
            })?;
        Ok(Self(ended))
    }

    /// Waits for its end. Returns whether it came within `patience`, and not by a panic.
    fn ended(&self, patience: Duration) -> bool {
        self.0.recv_timeout(patience).is_ok()
    }
}

impl Inner {
    /// Ends the threads in the order of the data, once.
    fn close(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = running.take() else {
            return;
        };
        // The commit thread may be gone already, and with it whoever would read this.
        drop(self.jobs.send(Job::Stop));
        running.bell.stop();
        let commit = self.ended(&running.commit);
        let keeper = self.ended(&running.keeper);
        running.queue.close();
        let applied = self.ended(&running.applier);
        self.view.desk().close();
        let tended = self.ended(&running.tender);
        if commit && keeper && applied && tended {
            tender::last_snapshot(&self.dir, self.store, &self.view);
        } else {
            tracing::error!("a thread of the store did not end well; the commit log is complete");
        }
    }

    /// Waits for the end of a thread, but not for long once the store has failed. Returns whether
    /// it ended well.
    fn ended(&self, thread: &Thread) -> bool {
        let failed = self.view.health().failed_since.is_some();
        thread.ended(if failed {
            FAILED_PATIENCE
        } else {
            CLOSE_PATIENCE
        })
    }
}
