//! Finding resources by key, by the beginning of a key, by time; and how many there would be.

use std::cmp::Ordering;

use crate::base::ident::ResourceId;
use crate::store::change::Index;
use crate::store::change::Select;
use crate::store::index::Indexes;
use crate::store::index::SlotNumber;
use crate::store::index::keys::KeyBuf;
use crate::store::index::keys::beginning;
use crate::store::index::lists::Text;
use crate::store::index::sorted::Sorted;

impl Indexes {
    /// The resources with this key, oldest first.
    pub fn lookup(&self, index: Index, key: &str) -> Vec<ResourceId> {
        let key = KeyBuf::new(index, key);
        let print = self.lists.print(key.key());
        let numbers = self.lists.of_print(index, print);
        self.oldest_first(numbers.filter(|number| {
            let slot = self.slots.get(*number);
            slot.is_some_and(|slot| slot.has(index, key.key()))
        }))
    }

    /// The resources selected, oldest first.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "more filters will be answered by it")
    )]
    pub fn select(&self, select: &Select) -> Vec<ResourceId> {
        match select {
            Select::Key(index, key) => self.lookup(*index, key),
            Select::Prefix(Index::UserName, prefix) => {
                let index = Index::UserName;
                self.oldest_first(self.begun(&self.lists.by_user_name, index, prefix))
            }
            Select::Prefix(Index::DisplayName, prefix) => {
                let index = Index::DisplayName;
                self.oldest_first(self.begun(&self.lists.by_display_name, index, prefix))
            }
            Select::Prefix(Index::Email, prefix) => {
                self.oldest_first(self.begun(&self.lists.by_email, Index::Email, prefix))
            }
            Select::Prefix(Index::ExternalId | Index::Manager, _) => Vec::new(),
            Select::Times(time, first, last) => {
                let time_of = |number| self.slots.get(number).map(|slot| slot.time(*time));
                let list = self.lists.by_time(*time);
                let start = list.place(|number| time_of(number) < Some(*first));
                let numbers = list.from(start);
                self.oldest_first(numbers.take_while(|number| time_of(*number) <= Some(*last)))
            }
        }
    }

    /// How many resources [`Indexes::select`] would find, or somewhat more. Takes no longer when
    /// these are many.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "more filters will be answered by it")
    )]
    pub fn estimate(&self, select: &Select) -> usize {
        match select {
            Select::Key(index, key) => {
                let print = self.lists.print(KeyBuf::new(*index, key).key());
                self.lists.count_of_print(*index, print)
            }
            Select::Prefix(Index::UserName, prefix) => {
                self.count_begun(&self.lists.by_user_name, Index::UserName, prefix)
            }
            Select::Prefix(Index::DisplayName, prefix) => {
                self.count_begun(&self.lists.by_display_name, Index::DisplayName, prefix)
            }
            Select::Prefix(Index::Email, prefix) => {
                self.count_begun(&self.lists.by_email, Index::Email, prefix)
            }
            Select::Prefix(Index::ExternalId | Index::Manager, _) => 0,
            Select::Times(time, first, last) => {
                let time_of = |number| self.slots.get(number).map(|slot| slot.time(*time));
                let list = self.lists.by_time(*time);
                let start = list.place(|number| time_of(number) < Some(*first));
                let end = list.place(|number| time_of(number) <= Some(*last));
                list.rank(end).saturating_sub(list.rank(start))
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

    /// How an entry's text stands to the texts that begin as `prefix` does.
    fn order<E: Text>(&self, entry: E, index: Index, prefix: &str) -> Ordering {
        let start = beginning(prefix.as_bytes());
        let key = entry.key(&self.slots, index);
        key.map_or(Ordering::Less, |key| key.order(start))
    }

    /// The slots whose text begins with `prefix`.
    fn begun<'a, E: Text + 'a>(
        &'a self,
        list: &'a Sorted<E>,
        index: Index,
        prefix: &'a str,
    ) -> impl Iterator<Item = SlotNumber> {
        let found = list.equal(move |entry| self.order(entry, index, prefix));
        let certain = found.filter(move |entry| {
            let key = entry.key(&self.slots, index);
            key.is_some_and(|key| key.may_begin_with(prefix.as_bytes()))
        });
        certain.map(Text::number)
    }

    /// How many entries begin as `prefix` does.
    fn count_begun<E: Text>(&self, list: &Sorted<E>, index: Index, prefix: &str) -> usize {
        let start = list.place(|entry| self.order(entry, index, prefix).is_lt());
        let end = list.place(|entry| self.order(entry, index, prefix).is_le());
        list.rank(end).saturating_sub(list.rank(start))
    }
}
