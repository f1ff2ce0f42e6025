//! Slots: what is known of each resource, by number, in chunks that never move. Numbers of
//! resources that went are given again.

use crate::store::index::Slot;
use crate::store::index::SlotNumber;

/// Slots of a chunk. A power of two, so that a chunk that grows by doubling ends full.
const CHUNK_SLOTS: usize = 1024;

/// What a number stands for.
#[derive(Debug)]
enum Cell {
    /// A resource.
    Slot(Slot),
    /// None: a number to give again, and the next such, if any.
    Free(Option<SlotNumber>),
}

/// All slots of one kind in one directory.
#[derive(Debug, Default)]
pub(in crate::store::index) struct Slots {
    /// The cells in order of their numbers.
    chunks: Vec<Vec<Cell>>,
    /// How many cells.
    end: SlotNumber,
    /// The first number to give again. The free cells are a list of their own: a vector of them
    /// would have to be moved as it grows.
    free: Option<SlotNumber>,
}

/// Chunk of a number, and place in it.
fn place(number: SlotNumber) -> Option<(usize, usize)> {
    let number = usize::try_from(number).ok()?;
    Some((number / CHUNK_SLOTS, number % CHUNK_SLOTS))
}

impl Slots {
    /// The slot of that number.
    pub fn get(&self, number: SlotNumber) -> Option<&Slot> {
        let (chunk, at) = place(number)?;
        match self.chunks.get(chunk)?.get(at)? {
            Cell::Slot(slot) => Some(slot),
            Cell::Free(_next) => None,
        }
    }

    /// The cell of that number, to change.
    fn get_mut(&mut self, number: SlotNumber) -> Option<&mut Cell> {
        let (chunk, at) = place(number)?;
        self.chunks.get_mut(chunk)?.get_mut(at)
    }

    /// The number after the last.
    pub const fn end(&self) -> SlotNumber {
        self.end
    }

    /// All slots with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (SlotNumber, &Slot)> {
        let cells = (0..).zip(self.chunks.iter().flatten());
        cells.filter_map(|(number, cell)| match cell {
            Cell::Slot(slot) => Some((number, slot)),
            Cell::Free(_next) => None,
        })
    }

    /// Puts a slot in. Returns its number.
    pub fn insert(&mut self, slot: Slot) -> SlotNumber {
        let Some(number) = self.free else {
            return self.push(Cell::Slot(slot));
        };
        let cell = self.get_mut(number);
        let was = cell.map(|cell| std::mem::replace(cell, Cell::Slot(slot)));
        self.free = match was {
            Some(Cell::Free(next)) => next,
            Some(Cell::Slot(_)) | None => None,
        };
        number
    }

    /// Puts a slot in the place of another. Returns that.
    pub fn replace(&mut self, number: SlotNumber, slot: Slot) -> Option<Slot> {
        match self.get_mut(number)? {
            Cell::Slot(old) => Some(std::mem::replace(old, slot)),
            Cell::Free(_next) => None,
        }
    }

    /// Takes a slot out.
    pub fn remove(&mut self, number: SlotNumber) -> Option<Slot> {
        let free = self.free;
        let cell = self.get_mut(number)?;
        match std::mem::replace(cell, Cell::Free(free)) {
            Cell::Slot(slot) => {
                self.free = Some(number);
                Some(slot)
            }
            was @ Cell::Free(_) => {
                *cell = was;
                None
            }
        }
    }

    /// Appends a slot, or a free cell.
    pub fn append(&mut self, slot: Option<Slot>) {
        match slot {
            Some(slot) => {
                self.push(Cell::Slot(slot));
            }
            None => self.free = Some(self.push(Cell::Free(self.free))),
        }
    }

    /// Appends a cell. Returns its number.
    fn push(&mut self, cell: Cell) -> SlotNumber {
        let number = self.end;
        // A directory ends far below 2³² resources: each takes some hundred bytes of memory.
        self.end = self.end.saturating_add(1);
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_SLOTS => chunk.push(cell),
            _full => self.chunks.push(vec![cell]),
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use crate::store::index::Slot;
    use crate::store::index::slots::Cell;

    #[test]
    fn a_free_cell_is_known_by_what_a_slot_cannot_be() {
        assert_eq!(size_of::<Cell>(), size_of::<Slot>());
    }
}
