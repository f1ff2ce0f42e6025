//! A sweep: one pass over all cells of the state in the order of their keys, in slices between the
//! batches of the applier, who is the only writer. Each cell is compared with memory, and handed
//! to a sink: nothing, a base, or a second state.
//!
//! What lies before the cursor is kept in step with later batches, so at the end the count and
//! hash of everything that was seen must be those the state says of itself: a cell that went
//! missing silently shows, whatever happened meanwhile.

mod places;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::store::base::BaseError;
use crate::store::base::write;
use crate::store::cell::Counter;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::cell::Op;
use crate::store::cell::Tally;
use crate::store::memory::Memory;
use crate::store::memory::token_key;
use crate::store::meta::Meta;
use crate::store::rebuild::Target;
use crate::store::rows;
use crate::store::state::State;
use crate::store::state::StateError;
use crate::store::sweep::places::Place;
use crate::store::view::View;

/// Cells of one slice.
const SLICE_CELLS: usize = 128;
/// Bytes of one slice.
const SLICE_BYTES: usize = 256 << 10;

/// Where the cells go.
pub enum Sink {
    /// Nowhere: they are compared with memory.
    Verify,
    /// Into a base.
    Base(Box<write::Writer>),
    /// Into a second state.
    Rebuild(Box<Target>),
}

/// Why a sweep was given up. The state goes on as it was, unless it is at fault itself.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The state is at fault as a whole.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is not enough room on the disk to begin.
    #[error("it may take {needed} bytes of the disk and must leave {spare}, and {free} are free")]
    NoRoom {
        /// What it may take.
        needed: u64,
        /// What is free.
        free: u64,
        /// What has to stay free.
        spare: u64,
    },
    /// The base could not be written.
    #[error("the base cannot be written: {0}")]
    Base(#[from] BaseError),
    /// The second state could not be written.
    #[error("the rebuilt state cannot be written: {0}")]
    Target(StateError),
}

/// What is wrong with the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Cells that were seen.
    pub cells: u64,
    /// Cells that are lost or not what was stored, with what they should be.
    pub damaged: Vec<(Key, Mark)>,
    /// Cells that should not be there, with their marks.
    pub surplus: Vec<(Key, Mark)>,
    /// Whether count and hash agree, what was found being put right.
    pub agrees: bool,
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn sound(&self) -> bool {
        self.agrees && self.damaged.is_empty() && self.surplus.is_empty()
    }
}

/// A sweep under way.
pub struct Sweep {
    /// Where the cells go.
    pub sink: Sink,
    /// The last cell seen.
    cursor: Option<Key>,
    /// Everything up to the cursor, as it should be now.
    tally: Tally,
    /// What was found.
    pub findings: Findings,
}

/// What memory says that the state should hold for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing.
    Absent,
    /// This.
    Here(Mark),
    /// Something newer than what the state has is on its way, or memory keeps no account.
    Unjudged,
}

/// What memory says of `key`.
fn known(memory: &Memory, key: &Key) -> Known {
    let directory = |id| memory.directories.get(id);
    let mark = match key {
        Key::Purge(_) => return Known::Unjudged,
        Key::Directory(id) => directory(id).map(|found| Some(found.held.mark)),
        Key::History(id) => directory(id).map(|found| found.history.1),
        Key::Counter(Counter::Directory) => Some(memory.directory_last.1),
        Key::Counter(Counter::Audit) => Some(memory.audit_last.1),
        Key::Setting(name) => Some(memory.settings.get(name).map(|held| held.mark)),
        Key::Token(of, id) => (of.0 == 0 || directory(of).is_some()).then(|| {
            let held = memory.tokens.get(id);
            let held = held.filter(|held| token_key(&held.row) == *key);
            held.map(|held| held.mark)
        }),
        Key::Resource(of, kind, id) => directory(of).and_then(|found| {
            let shelf = found.shelf(*kind);
            let waits = shelf.pending.contains_key(id);
            (!waits).then(|| shelf.indexes.get(*id).map(|slot| slot.mark))
        }),
        Key::Member(of, group, member) => directory(of).and_then(|found| {
            let waits = found.pending_members.contains_key(group);
            let there = || found.edges.has_any(found.ends(), *group, *member);
            (!waits).then(|| there().then(|| Mark::of(key, &[])))
        }),
        Key::Deleted(of, id) => directory(of).and_then(|found| {
            let held = found.deleted.get(id);
            let waits = held.is_some_and(|held| held.ticket.is_some());
            (!waits).then(|| held.map(|held| held.mark))
        }),
    };
    match mark {
        // Of a directory that is not there a purge may be on its way through the cells.
        None => Known::Unjudged,
        Some(None) => Known::Absent,
        Some(Some(mark)) => Known::Here(mark),
    }
}

/// What memory says a cell should be, when it is certain that the state should have it by now.
pub fn expected(memory: &Memory, key: &Key) -> Option<Mark> {
    match known(memory, key) {
        Known::Here(mark) => Some(mark),
        Known::Absent | Known::Unjudged => None,
    }
}

impl Sweep {
    /// A sweep that begins at the first cell.
    pub fn new(sink: Sink) -> Self {
        Self {
            sink,
            cursor: None,
            tally: Tally::default(),
            findings: Findings::default(),
        }
    }

    /// Takes the next slice of `state`, which is at `meta`. Returns whether the end was reached.
    ///
    /// # Errors
    ///
    /// [`SweepError`].
    pub fn slice(&mut self, state: &State, meta: &Meta, view: &View) -> Result<bool, SweepError> {
        let slice = state.slice(self.cursor.as_ref(), SLICE_CELLS, SLICE_BYTES)?;
        let keys: Vec<Key> = slice
            .cells
            .iter()
            .map(|(key, _found)| key.clone())
            .collect();
        let known: Vec<Known> = {
            // Nothing is read or written on the disk under this lock.
            let memory = view.memory();
            self.find_missing(&memory, &keys, slice.ended);
            // Only then is it known that a cell should not be there.
            let settled = memory.seq == meta.seq && meta.done == 0;
            if settled && self.cursor.is_none() {
                self.find_missing_rows(&memory, &keys);
            }
            let known = keys.iter().map(|key| match known(&memory, key) {
                Known::Absent if !settled => Known::Unjudged,
                known => known,
            });
            known.collect()
        };
        for ((key, found), known) in slice.cells.into_iter().zip(known) {
            self.findings.cells = self.findings.cells.saturating_add(1);
            match (found, known) {
                (Ok((mark, _)), Known::Here(expected)) if mark != expected && key.is_of_many() => {
                    self.damaged(&key, expected);
                }
                (Ok((mark, _)), Known::Absent) => self.findings.surplus.push((key, mark)),
                (Ok((mark, content)), Known::Here(_) | Known::Unjudged) => {
                    self.tally.add(&key, mark);
                    self.hand_over(&key, mark, content)?;
                }
                (Err(StateError::Io(error)), _) => return Err(StateError::Io(error).into()),
                (Err(_unsound), Known::Here(expected)) => self.damaged(&key, expected),
                // What will be written over it puts it right, or the tally tells.
                (Err(_unsound), Known::Absent | Known::Unjudged) => {}
            }
        }
        self.cursor = keys.into_iter().next_back().or_else(|| self.cursor.take());
        Ok(slice.ended)
    }

    /// Notes a cell that is not what it should be; the rest is judged as if it were.
    fn damaged(&mut self, key: &Key, expected: Mark) {
        self.tally.add(key, expected);
        self.findings.damaged.push((key.clone(), expected));
    }

    /// Hands a sound cell to the sink.
    fn hand_over(&mut self, key: &Key, mark: Mark, content: Arc<[u8]>) -> Result<(), SweepError> {
        match &mut self.sink {
            Sink::Verify => Ok(()),
            Sink::Base(writer) => writer
                .add(key, mark, &content)
                .map_err(|error| SweepError::Base(BaseError::Io(error))),
            Sink::Rebuild(target) => target.add(key, mark, content).map_err(SweepError::Target),
        }
    }

    /// Notes what memory has of resources, memberships and deleted resources between the cursor and
    /// the end of the slice, and is not in it.
    fn find_missing(&mut self, memory: &Memory, present: &[Key], ended: bool) {
        let present: BTreeSet<Place> = present.iter().filter_map(Place::of).collect();
        let after = self.cursor.as_ref().and_then(Place::of);
        let until = present.last().copied().filter(|_place| !ended);
        for place in places::between(memory, after, until, SLICE_CELLS) {
            let key = place.key();
            if !present.contains(&place)
                && let Known::Here(expected) = known(memory, &key)
            {
                self.damaged(&key, expected);
            }
        }
    }

    /// Notes the cells that memory has, that hold no resource, and that are not in the first slice.
    fn find_missing_rows(&mut self, memory: &Memory, present: &[Key]) {
        for key in rows::keys(memory) {
            if let Known::Here(expected) = known(memory, &key)
                && !present.contains(&key)
            {
                self.damaged(&key, expected);
            }
        }
    }

    /// Keeps what lies before the cursor in step with a batch that the state took.
    ///
    /// # Errors
    ///
    /// [`SweepError::Target`].
    pub fn follow(&mut self, ops: &[Op]) -> Result<(), SweepError> {
        let Some(cursor) = self.cursor.as_ref().map(Key::stem) else {
            return Ok(());
        };
        let before: Vec<Op> = ops
            .iter()
            .filter(|op| op.key.stem() <= cursor)
            .cloned()
            .collect();
        for op in &before {
            self.tally.apply(op);
        }
        match &mut self.sink {
            Sink::Rebuild(target) => target.follow(&before).map_err(SweepError::Target),
            Sink::Verify | Sink::Base(_) => Ok(()),
        }
    }

    /// Ends the sweep, which has reached the end: `tally` is what the state says of itself.
    pub fn judge(&mut self, tally: Tally) {
        self.findings.agrees = self.tally == tally;
    }
}
