//! Indexes of one kind of resource in one directory: by id, by key, by time, in order of creation.
//! Wholly in memory, in about 300 bytes for a user.
//!
//! Every resource has a slot. Lists of slot numbers, each in an order of its own, lead to it. A
//! write changes the lists in which the resource now stands elsewhere, and moves a few kilobytes
//! at most: there is no table that has to grow as a whole while everybody waits.

mod check;
mod keys;
mod lists;
mod load;
mod select;
mod slots;
pub(in crate::store) mod sorted;
#[cfg(test)]
mod tests;

use crate::base::clock::Timestamp;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::store::cell::Mark;
use crate::store::change::Index;
use crate::store::change::Time;
use crate::store::index::keys::Key;
use crate::store::index::keys::KeyBuf;
use crate::store::index::keys::Keys;
use crate::store::index::lists::Lists;
use crate::store::index::lists::Step;
use crate::store::index::slots::Slots;
use crate::store::record::Header;

pub use crate::store::index::check::Standing;
pub(in crate::store) use crate::store::index::load::Loader;

/// Where a resource is in memory.
type SlotNumber = u32;

/// What memory knows of a stored resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Slot {
    /// Its id.
    pub id: ResourceId,
    /// Its revision.
    pub revision: Revision,
    /// Checksum and length of what is stored.
    pub mark: Mark,
    /// Counts resources in the order of their creation.
    pub born: u64,
    /// Number of the history entry that wrote it; 0 when none did.
    pub history: u64,
    /// `meta.created`.
    pub created: Timestamp,
    /// `meta.lastModified`.
    pub modified: Timestamp,
    /// What it can be found by.
    keys: Keys,
}

impl Slot {
    /// What memory is to know of this resource.
    fn new(id: ResourceId, mark: Mark, header: &Header) -> Self {
        Self {
            id,
            revision: header.revision,
            mark,
            born: header.born,
            history: header.history,
            created: header.created,
            modified: header.modified,
            keys: Keys::new(&header.keys),
        }
    }

    /// Whether it can be found by this key.
    pub fn has_key(&self, index: Index, key: &str) -> bool {
        self.has(index, KeyBuf::new(index, key).key())
    }

    /// Whether it can be found by this key.
    fn has(&self, index: Index, key: Key<'_>) -> bool {
        let mut members = self.keys.iter();
        members.any(|member| member.index == index && member.key == key)
    }

    /// One of its times.
    const fn time(&self, time: Time) -> Timestamp {
        match time {
            Time::Created => self.created,
            Time::Modified => self.modified,
        }
    }
}

/// The indexes of one kind of resource in one directory.
#[derive(Debug, Default)]
pub(in crate::store) struct Indexes {
    /// What is known of each resource.
    slots: Slots,
    /// What leads there.
    lists: Lists,
    /// Bytes of what is stored.
    live_bytes: u64,
}

impl Indexes {
    /// How many resources.
    pub const fn count(&self) -> usize {
        self.lists.by_born.len()
    }

    /// Bytes of what is stored.
    pub const fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// The number of a resource's slot. It stays the same until the resource goes.
    pub fn number_of(&self, id: ResourceId) -> Option<u32> {
        self.lists.number_of(&self.slots, id)
    }

    /// The resource in the slot of that number.
    pub fn id_of(&self, number: u32) -> Option<ResourceId> {
        Some(self.slots.get(number)?.id)
    }

    /// Birth number and id of the resource in the slot of that number.
    pub fn born(&self, number: u32) -> Option<(u64, ResourceId)> {
        let slot = self.slots.get(number)?;
        Some((slot.born, slot.id))
    }

    /// Every resource with the number of its slot.
    pub fn numbers(&self) -> impl Iterator<Item = (ResourceId, u32)> {
        self.slots.iter().map(|(number, slot)| (slot.id, number))
    }

    /// What is known of a resource.
    pub fn get(&self, id: ResourceId) -> Option<&Slot> {
        self.slots.get(self.number_of(id)?)
    }

    /// Puts a resource in, in place of what it was.
    pub fn put(&mut self, id: ResourceId, mark: Mark, header: &Header) {
        let slot = Slot::new(id, mark, header);
        let was = self.lists.number_of(&self.slots, id);
        let was = was.and_then(|number| Some((number, self.slots.get(number)?)));
        self.live_bytes = self.live_bytes.saturating_add(u64::from(mark.bytes));
        let (number, mentions) = match was {
            None => {
                let mentions = self.lists.mentions(&slot, None);
                (self.slots.insert(slot), mentions)
            }
            Some((number, old)) => {
                let bytes = u64::from(old.mark.bytes);
                self.live_bytes = self.live_bytes.saturating_sub(bytes);
                // What is sorted by the slot has to be found as it was.
                for mention in self.lists.mentions(old, Some(&slot)) {
                    let place = (number, old);
                    self.lists.step(&self.slots, place, mention, Step::Remove);
                }
                let mentions = self.lists.mentions(&slot, Some(old));
                self.slots.replace(number, slot);
                (number, mentions)
            }
        };
        let Some(slot) = self.slots.get(number) else {
            return;
        };
        for mention in mentions {
            let place = (number, slot);
            self.lists.step(&self.slots, place, mention, Step::Insert);
        }
    }

    /// Takes a resource out.
    pub fn remove(&mut self, id: ResourceId) -> Option<Slot> {
        let number = self.lists.number_of(&self.slots, id)?;
        let slot = self.slots.get(number)?;
        for mention in self.lists.mentions(slot, None) {
            let place = (number, slot);
            self.lists.step(&self.slots, place, mention, Step::Remove);
        }
        let slot = self.slots.remove(number)?;
        let bytes = u64::from(slot.mark.bytes);
        self.live_bytes = self.live_bytes.saturating_sub(bytes);
        Some(slot)
    }

    /// `count` resources in order of creation, after the first `offset`.
    pub fn page(&self, offset: usize, count: usize) -> Vec<ResourceId> {
        let numbers = self.lists.by_born.skip(offset).take(count);
        let slots = numbers.filter_map(|number| self.slots.get(number));
        slots.map(|slot| slot.id).collect()
    }

    /// `count` resources in the order of the state's keys, after `after` or from the first.
    pub fn ids_after(&self, after: Option<ResourceId>, count: usize) -> Vec<ResourceId> {
        let entries = self.lists.after(&self.slots, after).take(count);
        let slots = entries.filter_map(|entry| self.slots.get(entry.number));
        slots.map(|slot| slot.id).collect()
    }
}
