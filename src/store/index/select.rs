//! Finding resources by key, by the beginning of a key, by time; and how many there would be.

use std::cmp::Ordering;

use crate::base::clock::Timestamp;
use crate::base::ident::ResourceId;
use crate::store::change::Index;
use crate::store::change::Select;
use crate::store::change::Time;
use crate::store::index::Indexes;
use crate::store::index::SlotNumber;
use crate::store::index::keys::Key;
use crate::store::index::keys::KeyBuf;
use crate::store::index::keys::beginning;
use crate::store::index::lists::Numbered;
use crate::store::index::lists::Text;
use crate::store::index::lists::text_order;
use crate::store::index::lists::time_order;
use crate::store::index::sorted::Sorted;

impl Indexes {
    /// The resources with this key, oldest first.
    pub fn lookup(&self, index: Index, key: &str) -> Vec<ResourceId> {
        let key = KeyBuf::new(index, key);
        let key = key.key();
        let lists = &self.lists;
        match (lists.by_print.get(index), index) {
            (Some(list), _) => {
                let print = lists.print(key);
                let found = list.equal(|entry| entry.head.cmp(&print));
                let found = found.map(|entry| entry.number);
                self.oldest_first(found.filter(|number| {
                    let slot = self.slots.get(*number);
                    slot.is_some_and(|slot| slot.has(index, key))
                }))
            }
            (None, Index::Email) => {
                let found = lists.by_email.equal(self.order_to(index, key));
                self.oldest_first(found.map(Text::number))
            }
            (None, _) => {
                let found = lists.by_display_name.equal(self.order_to(index, key));
                self.oldest_first(found.map(Text::number))
            }
        }
    }

    /// The resources selected, oldest first.
    pub fn select(&self, select: &Select) -> Vec<ResourceId> {
        let lists = &self.lists;
        match select {
            Select::Key(index, key) => self.lookup(*index, key),
            Select::Prefix(index @ Index::UserName, prefix) => {
                self.oldest_first(self.begun(&lists.by_user_name, *index, prefix))
            }
            Select::Prefix(index @ Index::DisplayName, prefix) => {
                self.oldest_first(self.begun(&lists.by_display_name, *index, prefix))
            }
            Select::Prefix(index @ Index::Email, prefix) => {
                self.oldest_first(self.begun(&lists.by_email, *index, prefix))
            }
            // Memberships know who those are.
            Select::Prefix(Index::ExternalId | Index::Manager, _)
            | Select::HasMember(_)
            | Select::InGroup(_) => Vec::new(),
            Select::Times(time, first, last) => {
                let found = lists
                    .by_time(*time)
                    .equal(self.order_to_times(*time, *first, *last));
                self.oldest_first(found.map(|entry| entry.number))
            }
        }
    }

    /// How many resources [`Indexes::select`] would find, or somewhat more. Takes no longer when
    /// these are many.
    pub fn estimate(&self, select: &Select) -> usize {
        let lists = &self.lists;
        match select {
            Select::Key(index, key) => {
                let key = KeyBuf::new(*index, key);
                let key = key.key();
                match (lists.by_print.get(*index), *index) {
                    (Some(list), _) => {
                        let print = lists.print(key);
                        list.count_equal(|entry| entry.head.cmp(&print))
                    }
                    (None, Index::Email) => lists.by_email.count_equal(self.order_to(*index, key)),
                    (None, _) => {
                        let order = self.order_to(*index, key);
                        lists.by_display_name.count_equal(order)
                    }
                }
            }
            Select::Prefix(index @ Index::UserName, prefix) => {
                let order = self.order_to_start(*index, prefix);
                lists.by_user_name.count_equal(order)
            }
            Select::Prefix(index @ Index::DisplayName, prefix) => {
                let order = self.order_to_start(*index, prefix);
                lists.by_display_name.count_equal(order)
            }
            Select::Prefix(index @ Index::Email, prefix) => {
                let order = self.order_to_start(*index, prefix);
                lists.by_email.count_equal(order)
            }
            Select::Prefix(Index::ExternalId | Index::Manager, _)
            | Select::HasMember(_)
            | Select::InGroup(_) => 0,
            Select::Times(time, first, last) => {
                let order = self.order_to_times(*time, *first, *last);
                lists.by_time(*time).count_equal(order)
            }
        }
    }

    /// The resources of these numbers, oldest first, each once.
    fn oldest_first(&self, numbers: impl Iterator<Item = SlotNumber>) -> Vec<ResourceId> {
        let slots = numbers.filter_map(|number| self.slots.get(number));
        let mut found: Vec<(u64, ResourceId)> = slots.map(|slot| (slot.born, slot.id)).collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|(_born, id)| id).collect()
    }

    /// The slots whose text begins with `prefix`.
    fn begun<'a, E: Text + 'a>(
        &'a self,
        list: &'a Sorted<E>,
        index: Index,
        prefix: &'a str,
    ) -> impl Iterator<Item = SlotNumber> {
        let found = list.equal(self.order_to_start(index, prefix));
        let certain = found.filter(move |entry| {
            let key = entry.key(&self.slots, index);
            key.is_some_and(|key| key.may_begin_with(prefix.as_bytes()))
        });
        certain.map(Text::number)
    }

    /// How an entry's text stands to `key`.
    fn order_to<'a, E: Text>(
        &'a self,
        index: Index,
        key: Key<'a>,
    ) -> impl Fn(E) -> Ordering + use<'a, E> {
        move |entry| text_order(&self.slots, entry, index, key)
    }

    /// How an entry's text stands to the texts that begin as `prefix` does.
    fn order_to_start<'a, E: Text>(
        &'a self,
        index: Index,
        prefix: &'a str,
    ) -> impl Fn(E) -> Ordering + use<'a, E> {
        let start = beginning(prefix.as_bytes());
        move |entry| {
            let heads = entry.head().order(start);
            heads.then_with(|| {
                let key = entry.key(&self.slots, index);
                key.map_or(Ordering::Less, |key| key.order(start))
            })
        }
    }

    /// How an entry's time stands to those from `first` to `last`. Equal to none when `last` is
    /// before `first`.
    fn order_to_times(
        &self,
        time: Time,
        first: Timestamp,
        last: Timestamp,
    ) -> impl Fn(Numbered) -> Ordering {
        move |entry| {
            if time_order(&self.slots, entry, time, first).is_lt() {
                Ordering::Less
            } else if time_order(&self.slots, entry, time, last).is_gt() {
                Ordering::Greater
            } else {
                Ordering::Equal
            }
        }
    }
}
