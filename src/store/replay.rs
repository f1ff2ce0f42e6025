//! Bringing memory and state to the end of the commit log at a start: verify what the state holds,
//! then apply what it lacks, through the same functions that a commit uses.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::store::applier::Applier;
use crate::store::cell::Tally;
use crate::store::error::OpenError;
use crate::store::log::read;
use crate::store::memory::Memory;
use crate::store::meta::Meta;
use crate::store::queue::Work;
use crate::store::state::State;
use crate::store::state::StateError;

/// Operations that a replay gathers before it brings them into the state.
const REPLAY_OPS: usize = 256;

/// Why one attempt at the state failed.
pub enum Fault {
    /// Nothing helps but the operator.
    Final(OpenError),
    /// The state is at fault; the next rung may help.
    State(StateError),
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        Self::Final(error)
    }
}

impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// Reads every cell, compares count and hash with what the state says of itself, and builds memory.
///
/// # Errors
///
/// [`StateError`] when the state is not what it says.
pub fn verify(state: &State, meta: &Meta) -> Result<Memory, StateError> {
    let mut memory = Memory::default();
    let mut tally = Tally::default();
    state.scan(&mut |key, (mark, content)| {
        tally.add(&key, mark);
        memory
            .load(&key, mark, content)
            .map_err(|_bad| StateError::Broken("a cell cannot be understood".to_owned()))
    })?;
    if tally != meta.tally {
        let what = "count or hash of its cells is not what it should be: cells are missing";
        return Err(StateError::Broken(what.to_owned()));
    }
    memory.loaded();
    memory.seq = meta.seq;
    Ok(memory)
}

/// Brings transactions of the log into memory and state.
pub struct Replay {
    /// What is published.
    memory: Memory,
    /// The state.
    applier: Applier,
    /// Operations of the first transaction that the state has already.
    skip: usize,
    /// Transactions for the state.
    works: VecDeque<Work>,
    /// Operations in them.
    waiting: usize,
    /// The last transaction that the state had.
    had: u64,
    /// How many transactions the state did not have.
    replayed: u64,
}

impl Replay {
    /// Goes on where the state is.
    pub fn new(state: Arc<State>, meta: Meta, memory: Memory) -> Self {
        Self {
            skip: usize::try_from(meta.done).unwrap_or(usize::MAX),
            applier: Applier::new(state, meta, memory.purges.keys().copied()),
            memory,
            had: meta.seq,
            works: VecDeque::new(),
            waiting: 0,
            replayed: 0,
        }
    }

    /// Takes one transaction.
    ///
    /// # Errors
    ///
    /// [`Fault`] when the state is at fault.
    pub fn take(&mut self, transaction: &read::Transaction) -> Result<(), Fault> {
        let effects = self.memory.apply(transaction.seq, &transaction.logged);
        if transaction.seq <= self.had {
            // Memory alone is behind: the state has it.
            self.memory.settle(effects.ops.iter());
            return Ok(());
        }
        let mut work = Work::new(transaction.seq, effects);
        let skip = std::mem::take(&mut self.skip);
        if skip > work.ops.len() {
            let what = "it holds more of a transaction than the commit log has";
            return Err(StateError::Broken(what.to_owned()).into());
        }
        let had: Vec<_> = work.ops.drain(..skip).collect();
        self.memory.settle(had.iter());
        self.waiting = self.waiting.saturating_add(work.ops.len());
        self.replayed = self.replayed.saturating_add(1);
        self.works.push_back(work);
        if self.waiting >= REPLAY_OPS {
            self.drain()?;
        }
        Ok(())
    }

    /// What is published, the state, and how many transactions were replayed.
    ///
    /// # Errors
    ///
    /// [`Fault`] when the state is at fault.
    pub fn finish(mut self) -> Result<(Memory, Applier, u64), Fault> {
        self.drain()?;
        Ok((self.memory, self.applier, self.replayed))
    }

    /// Brings everything taken so far into the state.
    fn drain(&mut self) -> Result<(), StateError> {
        while !self.works.is_empty() {
            let ops = self.applier.step(&mut self.works)?;
            self.memory.settle(ops.iter());
        }
        self.waiting = 0;
        Ok(())
    }
}
