//! Slots: a dense list of what is known of each resource, found by id. Numbers are given again.

use std::collections::HashMap;

use crate::base::ident::ResourceId;
use crate::store::index::Slot;
use crate::store::index::SlotNumber;

/// All slots of one kind in one directory.
#[derive(Debug, Default)]
pub(in crate::store::index) struct Slots {
    /// The slots by number; a hole where one was removed.
    list: Vec<Option<Slot>>,
    /// Numbers of the holes.
    free: Vec<SlotNumber>,
    /// Number by id.
    by_id: HashMap<ResourceId, SlotNumber>,
}

impl Slots {
    /// The slot of that number.
    pub fn get(&self, number: SlotNumber) -> Option<&Slot> {
        self.list.get(usize::try_from(number).ok()?)?.as_ref()
    }

    /// All ids.
    pub fn ids(&self) -> impl Iterator<Item = ResourceId> {
        self.by_id.keys().copied()
    }

    /// The slot of that id.
    pub fn find(&self, id: ResourceId) -> Option<(SlotNumber, &Slot)> {
        let number = *self.by_id.get(&id)?;
        Some((number, self.get(number)?))
    }

    /// Puts a slot in whose id has none. Returns its number.
    pub fn insert(&mut self, slot: Slot) -> SlotNumber {
        // A directory ends far below 2³² resources: each takes some hundred bytes of memory.
        let end = SlotNumber::try_from(self.list.len()).unwrap_or(SlotNumber::MAX);
        let number = self.free.pop().unwrap_or(end);
        self.by_id.insert(slot.id, number);
        let hole = usize::try_from(number)
            .ok()
            .and_then(|at| self.list.get_mut(at));
        match hole {
            Some(hole) => *hole = Some(slot),
            None => self.list.push(Some(slot)),
        }
        number
    }

    /// Takes a slot out.
    pub fn remove(&mut self, id: ResourceId) -> Option<(SlotNumber, Slot)> {
        let number = self.by_id.remove(&id)?;
        let slot = self.list.get_mut(usize::try_from(number).ok()?)?.take()?;
        self.free.push(number);
        Some((number, slot))
    }
}
