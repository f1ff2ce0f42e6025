//! The commit thread: takes whatever waits, decides it, appends one frame, syncs once, publishes,
//! acknowledges. The only writer of the log and of what readers see.

use std::any::Any;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;

use crate::store::change::Committed;
use crate::store::change::Transaction;
use crate::store::chronicle::Entries;
use crate::store::error::CommitError;
use crate::store::error::Reject;
use crate::store::keeper::Bell;
use crate::store::log::frame;
use crate::store::log::frame::Kind;
use crate::store::log::frame::StoreId;
use crate::store::log::group;
use crate::store::log::group::Logged;
use crate::store::log::write::AppendError;
use crate::store::log::write::Writer;
use crate::store::queue::Queue;
use crate::store::space::Room;
use crate::store::staging::Staging;
use crate::store::view::View;

/// A group stops growing at this many changes,
const GROUP_CHANGES_MAX: usize = 512;
/// or at this many bytes.
const GROUP_BYTES_MAX: usize = 1 << 20;

/// Prepares a transaction inside the commit thread, where nobody can come between.
pub type Prepare = Box<dyn FnOnce(&View) -> Option<Transaction> + Send>;

/// What came of a transaction.
pub type Outcome = Result<Committed, CommitError>;

/// Is told what came of a transaction, on the commit thread: it only passes the word on. Dropped
/// without a call when the commit thread ends before the transaction's turn.
pub type Then = Box<dyn FnOnce(Outcome) + Send>;

/// What came of a transaction prepared inside the commit thread.
pub enum Prepared {
    /// It was prepared, and this came of it.
    Done(Outcome),
    /// There was nothing to commit.
    Nothing,
    /// Preparing panicked. The panic belongs to whoever asked.
    Panicked(Box<dyn Any + Send>),
}

/// Something for the commit thread to do.
pub enum Job {
    /// Commit this.
    Commit {
        /// The transaction.
        transaction: Transaction,
        /// Where the outcome goes.
        then: Then,
    },
    /// Prepare something and commit it.
    With {
        /// Prepares it.
        prepare: Prepare,
        /// Where the outcome goes.
        reply: SyncSender<Prepared>,
    },
    /// Stop.
    Stop,
}

/// Where an outcome goes.
enum Reply {
    /// To somebody who prepared outside.
    Plain(Then),
    /// To somebody who had it prepared inside.
    Prepared(SyncSender<Prepared>),
}

impl Reply {
    /// Sends it. Whoever asked may have gone; what was begun was finished all the same.
    fn send(self, outcome: Outcome) {
        match self {
            Self::Plain(then) => then(outcome),
            Self::Prepared(to) => drop(to.send(Prepared::Done(outcome))),
        }
    }
}

/// The commit thread.
pub struct Committer {
    /// What readers see.
    pub view: View,
    /// The end of the log.
    pub writer: Writer,
    /// The store.
    pub store: StoreId,
    /// The way to the applier.
    pub queue: Arc<Queue>,
    /// Wakes the thread that makes segments.
    pub bell: Arc<Bell>,
    /// Where work comes from.
    pub jobs: Receiver<Job>,
}

/// What is to be done after a group was taken together.
enum Next {
    /// Whatever comes.
    Any,
    /// This, which must not be in a group with what was before it.
    Job(Job),
    /// Nothing: the store is being closed.
    Stop,
}

impl Committer {
    /// Works until it is told to stop or nobody can ask any more.
    pub fn run(mut self) {
        let mut next = Next::Any;
        loop {
            let job = match next {
                Next::Any => match self.jobs.recv() {
                    Ok(job) => job,
                    Err(_nobody_left) => return,
                },
                Next::Job(job) => job,
                Next::Stop => return,
            };
            let group = panic::catch_unwind(AssertUnwindSafe(|| self.group(job)));
            next = group.unwrap_or_else(|_panic| {
                // What is in the log may not be what is in memory: only a restart tells.
                let reason = "the commit thread met a fault of its own".to_owned();
                self.view.status().fail(reason, self.view.clock());
                Next::Any
            });
        }
    }

    /// Takes a group together, beginning with `first`, and commits it.
    fn group(&mut self, first: Job) -> Next {
        let status = self.view.status();
        // An applier that stalls must not hold up whoever wants to close the store.
        let stuck = || status.failure().is_some() || status.stalled_since().is_some();
        let room = matches!(first, Job::Stop) || self.queue.wait_for_room(stuck);
        let first = match first {
            Job::Stop => return Next::Stop,
            Job::Commit { transaction, then } => Some((transaction, Reply::Plain(then))),
            Job::With { prepare, reply } => self.prepare(prepare, reply),
        };
        let Some((transaction, reply)) = first else {
            return Next::Any;
        };
        if let Some(error) = self.refusal(room) {
            reply.send(Err(error));
            return Next::Any;
        }
        let view = self.view.clone();
        let turn = view.turn();
        let memory = view.memory();
        let mut staging = Staging::new(&memory, self.view.clock().now());
        let mut answers = vec![(reply, staging.add(transaction))];
        let next = self.gather(&mut staging, &mut answers);
        let (first_seq, group) = (memory.seq.saturating_add(1), staging.group);
        drop(memory);
        drop(turn);
        let stored = if group.is_empty() {
            Ok(())
        } else {
            self.store(first_seq, group)
        };
        for (reply, decision) in answers {
            let decided = decision.map_err(CommitError::Rejected);
            // A rejection may rest on a change of the same group: it is only true if that is.
            reply.send(stored.clone().and(decided));
        }
        next
    }

    /// Adds to the group what waits, until it is large enough.
    fn gather(
        &self,
        staging: &mut Staging<'_>,
        answers: &mut Vec<(Reply, Result<Committed, Reject>)>,
    ) -> Next {
        while staging.changes < GROUP_CHANGES_MAX && staging.bytes < GROUP_BYTES_MAX {
            match self.jobs.try_recv() {
                Ok(Job::Commit { transaction, then }) => {
                    answers.push((Reply::Plain(then), staging.add(transaction)));
                }
                Ok(job @ Job::With { .. }) => return Next::Job(job),
                Ok(Job::Stop) => return Next::Stop,
                Err(_nothing_waits) => break,
            }
        }
        Next::Any
    }

    /// Has a transaction prepared against what is published, which is everything.
    fn prepare(
        &self,
        prepare: Prepare,
        reply: SyncSender<Prepared>,
    ) -> Option<(Transaction, Reply)> {
        let view = &self.view;
        let ended = match panic::catch_unwind(AssertUnwindSafe(|| prepare(view))) {
            Ok(Some(transaction)) => return Some((transaction, Reply::Prepared(reply))),
            Ok(None) => Prepared::Nothing,
            Err(payload) => Prepared::Panicked(payload),
        };
        // Whoever asked may have gone.
        drop(reply.send(ended));
        None
    }

    /// Why nothing can be committed now, when nothing can. `room` is whether the applier can take it.
    fn refusal(&self, room: bool) -> Option<CommitError> {
        let status = self.view.status();
        if let Some(failure) = status.failure() {
            let reason = failure.reason;
            return Some(CommitError::ReadOnly { reason });
        }
        if !room {
            let reason = "the state on disk does not advance".to_owned();
            return Some(CommitError::ReadOnly { reason });
        }
        (status.room() == Room::Full).then_some(CommitError::NoSpace)
    }

    /// Makes a group durable, then visible.
    fn store(&mut self, first_seq: u64, group: Vec<Logged>) -> Result<(), CommitError> {
        let at = self.view.clock().now();
        let log_bytes = self.writer.log_bytes();
        let body = group::encode(group.iter());
        let frame = frame::encode(self.store, Kind::Group, first_seq, at, &body);
        self.view.status().begin_append(self.view.clock());
        let appended = self.writer.append(frame, first_seq, at);
        self.view.status().end_append();
        match appended {
            Ok(()) => {}
            Err(AppendError::Space) => {
                self.view.status().set_segment(false);
                return Err(CommitError::NoSpace);
            }
            Err(error @ AppendError::Failed { .. }) => {
                let reason = format!("the commit log cannot be written: {error}");
                self.view.status().fail(reason, self.view.clock());
                return Err(CommitError::Failed);
            }
        }
        let mut works = self.view.publish(first_seq, &group);
        let status = self.view.status();
        status.seq.set(self.view.memory().seq);
        let grown = self.writer.log_bytes().saturating_sub(log_bytes);
        status.log_bytes.add(grown);
        // Before the applier knows of it: what it has settled can no longer be found in memory.
        self.view.warm(&group);
        for (work, logged) in works.iter_mut().zip(group) {
            work.entries = Entries::of(logged);
        }
        self.queue.push(works);
        let waiting = u64::try_from(self.queue.bytes()).unwrap_or(u64::MAX);
        status.waiting_bytes.set(waiting);
        // Only when the log grew by a segment: a thread woken for nothing costs as much as a write.
        if grown > 0 {
            self.bell.ring();
        }
        Ok(())
    }
}
