//! Postings: which slots have a key. A unique key has one, a shared one several.

use std::collections::HashMap;
use std::sync::Arc;

use crate::store::change::Index;
use crate::store::index::SlotNumber;

/// The slots with one key.
#[derive(Debug)]
enum Posting {
    /// One, as nearly always.
    One(SlotNumber),
    /// Several, in no order; a slot that lists a key twice is in it twice.
    Many(Vec<SlotNumber>),
}

/// The slots by key, for each index.
#[derive(Debug, Default)]
pub(in crate::store::index) struct Postings {
    /// `userName`.
    user_name: HashMap<Arc<str>, Posting>,
    /// `displayName`.
    display_name: HashMap<Arc<str>, Posting>,
    /// `externalId`.
    external_id: HashMap<Arc<str>, Posting>,
    /// `emails.value`.
    email: HashMap<Arc<str>, Posting>,
    /// `manager.value`.
    manager: HashMap<Arc<str>, Posting>,
}

impl Postings {
    /// The keys of one index.
    const fn keys(&self, index: Index) -> &HashMap<Arc<str>, Posting> {
        match index {
            Index::UserName => &self.user_name,
            Index::DisplayName => &self.display_name,
            Index::ExternalId => &self.external_id,
            Index::Email => &self.email,
            Index::Manager => &self.manager,
        }
    }

    /// The keys of one index, to change.
    const fn keys_mut(&mut self, index: Index) -> &mut HashMap<Arc<str>, Posting> {
        match index {
            Index::UserName => &mut self.user_name,
            Index::DisplayName => &mut self.display_name,
            Index::ExternalId => &mut self.external_id,
            Index::Email => &mut self.email,
            Index::Manager => &mut self.manager,
        }
    }

    /// The slots with this key, each once.
    pub fn get(&self, index: Index, key: &str) -> Vec<SlotNumber> {
        match self.keys(index).get(key) {
            None => Vec::new(),
            Some(Posting::One(slot)) => vec![*slot],
            Some(Posting::Many(slots)) => {
                let mut slots = slots.clone();
                slots.sort_unstable();
                slots.dedup();
                slots
            }
        }
    }

    /// Notes that a slot has this key.
    pub fn add(&mut self, index: Index, key: &Arc<str>, slot: SlotNumber) {
        self.keys_mut(index)
            .entry(Arc::clone(key))
            .and_modify(|posting| match posting {
                Posting::One(first) => *posting = Posting::Many(vec![*first, slot]),
                Posting::Many(slots) => slots.push(slot),
            })
            .or_insert(Posting::One(slot));
    }

    /// Notes that a slot has this key no longer.
    pub fn remove(&mut self, index: Index, key: &str, slot: SlotNumber) {
        let keys = self.keys_mut(index);
        let now_empty = match keys.get_mut(key) {
            None => false,
            Some(Posting::One(only)) => *only == slot,
            Some(posting @ Posting::Many(_)) => posting.remove(slot),
        };
        if now_empty {
            keys.remove(key);
        }
    }
}

impl Posting {
    /// Takes one mention of a slot out. Returns whether nothing is left.
    fn remove(&mut self, slot: SlotNumber) -> bool {
        let Self::Many(slots) = self else {
            return false;
        };
        if let Some(at) = slots.iter().position(|other| *other == slot) {
            slots.swap_remove(at);
        }
        match slots.as_slice() {
            [] => return true,
            [last] => *self = Self::One(*last),
            _several => {}
        }
        false
    }
}
