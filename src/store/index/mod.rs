//! Indexes of one kind of resource in one directory: by id, by key, in order of creation. Wholly
//! in memory, built at start from the headers of the stored records.

mod order;
mod postings;
mod slots;

use std::sync::Arc;

use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::store::cell::Mark;
use crate::store::change::Index;
use crate::store::index::order::Order;
use crate::store::index::postings::Postings;
use crate::store::index::slots::Slots;
use crate::store::record::Header;

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
    /// What it can be found by.
    pub keys: Box<[(Index, Arc<str>)]>,
}

/// The indexes of one kind of resource in one directory.
#[derive(Debug, Default)]
pub(in crate::store) struct Indexes {
    /// By id.
    slots: Slots,
    /// By key.
    postings: Postings,
    /// In order of creation.
    order: Order,
}

impl Indexes {
    /// How many resources.
    pub fn count(&self) -> usize {
        self.order.len()
    }

    /// What is known of a resource.
    pub fn get(&self, id: ResourceId) -> Option<&Slot> {
        self.slots.find(id).map(|(_number, slot)| slot)
    }

    /// Puts a resource in, in place of what it was.
    pub fn put(&mut self, id: ResourceId, mark: Mark, header: &Header) {
        self.remove(id);
        let slot = Slot {
            id,
            revision: header.revision,
            mark,
            born: header.born,
            keys: header
                .keys
                .iter()
                .map(|(index, key)| (*index, Arc::clone(key)))
                .collect(),
        };
        let number = self.slots.insert(slot);
        for (index, key) in &header.keys {
            self.postings.add(*index, key, number);
        }
        self.order.insert(header.born, number);
    }

    /// Takes a resource out.
    pub fn remove(&mut self, id: ResourceId) -> Option<Slot> {
        let (number, slot) = self.slots.remove(id)?;
        for (index, key) in &slot.keys {
            self.postings.remove(*index, key, number);
        }
        self.order.remove(slot.born);
        Some(slot)
    }

    /// `count` resources in the order of their ids, after `after`.
    pub fn ids_after(&self, after: Option<ResourceId>, count: usize) -> Vec<ResourceId> {
        let mut ids: Vec<_> = self
            .slots
            .ids()
            .filter(|id| after.is_none_or(|after| *id > after))
            .collect();
        ids.sort_unstable();
        ids.truncate(count);
        ids
    }

    /// Bytes of all that is stored.
    pub fn live_bytes(&self) -> u64 {
        self.slots
            .ids()
            .filter_map(|id| self.get(id))
            .map(|slot| u64::from(slot.mark.bytes))
            .sum()
    }

    /// The resources with this key, oldest first.
    pub fn lookup(&self, index: Index, key: &str) -> Vec<ResourceId> {
        let mut found: Vec<&Slot> = self
            .postings
            .get(index, key)
            .iter()
            .filter_map(|number| self.slots.get(*number))
            .collect();
        found.sort_by_key(|slot| slot.born);
        found.into_iter().map(|slot| slot.id).collect()
    }

    /// `count` resources in order of creation, after the first `offset`.
    pub fn page(&self, offset: usize, count: usize) -> Vec<ResourceId> {
        self.order
            .page(offset, count)
            .filter_map(|number| self.slots.get(number))
            .map(|slot| slot.id)
            .collect()
    }
}
