//! Order of creation: a list in chunks, so that neither a page far behind nor a removal in the
//! middle walks over every entry.

use crate::store::index::SlotNumber;

/// Most entries of a chunk.
const CHUNK_ENTRIES_MAX: usize = 1024;

/// Slots in order of creation.
#[derive(Debug, Default)]
pub(in crate::store::index) struct Order {
    /// Chunks in order, none empty, each sorted.
    chunks: Vec<Vec<(u64, SlotNumber)>>,
    /// Entries in all chunks.
    len: usize,
}

impl Order {
    /// How many entries.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The number of the chunk that has, or would have, an entry born at `born`.
    fn chunk_of(&self, born: u64) -> usize {
        self.chunks
            .partition_point(|chunk| chunk.first().is_some_and(|(first, _slot)| *first <= born))
            .saturating_sub(1)
    }

    /// Puts a slot in.
    pub fn insert(&mut self, born: u64, slot: SlotNumber) {
        self.len = self.len.saturating_add(1);
        let at = self.chunk_of(born);
        let last = at.saturating_add(1) >= self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(vec![(born, slot)]);
            return;
        };
        let place = chunk.partition_point(|(other, _slot)| *other <= born);
        if chunk.len() < CHUNK_ENTRIES_MAX {
            chunk.insert(place, (born, slot));
        } else if last && place == chunk.len() {
            // The usual case, a new resource: chunks fill up instead of staying half full.
            self.chunks.push(vec![(born, slot)]);
        } else {
            let mut back = chunk.split_off(CHUNK_ENTRIES_MAX / 2);
            match place.checked_sub(CHUNK_ENTRIES_MAX / 2) {
                Some(place) => back.insert(place, (born, slot)),
                None => chunk.insert(place, (born, slot)),
            }
            self.chunks.insert(at.saturating_add(1), back);
        }
    }

    /// Takes the slot out that was born at `born`.
    pub fn remove(&mut self, born: u64) {
        let at = self.chunk_of(born);
        let Some(chunk) = self.chunks.get_mut(at) else {
            return;
        };
        let Ok(place) = chunk.binary_search_by_key(&born, |(other, _slot)| *other) else {
            return;
        };
        chunk.remove(place);
        self.len = self.len.saturating_sub(1);
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
    }

    /// `count` slots after the first `offset`.
    pub fn page(&self, offset: usize, count: usize) -> impl Iterator<Item = SlotNumber> {
        let mut skip = offset;
        let first = self.chunks.iter().position(|chunk| {
            let here = chunk.len() > skip;
            if !here {
                skip = skip.saturating_sub(chunk.len());
            }
            here
        });
        first
            .and_then(|first| self.chunks.get(first..))
            .unwrap_or_default()
            .iter()
            .flatten()
            .skip(skip)
            .take(count)
            .map(|(_born, slot)| *slot)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::any;
    use proptest::prelude::prop;
    use proptest::prop_assert_eq;
    use proptest::proptest;

    use crate::store::index::order::CHUNK_ENTRIES_MAX;
    use crate::store::index::order::Order;

    #[test]
    fn a_page_far_behind_is_found() {
        let mut order = Order::default();
        for born in 0..10_000 {
            order.insert(u64::from(born), born);
        }
        assert_eq!(order.chunks.len(), 10_000_usize.div_ceil(CHUNK_ENTRIES_MAX));
        for (offset, count, expected) in [
            (0, 2, vec![0, 1]),
            (1023, 3, vec![1023, 1024, 1025]),
            (9_998, 5, vec![9_998, 9_999]),
            (10_000, 5, vec![]),
            (usize::MAX, 5, vec![]),
            (5, 0, vec![]),
        ] {
            let page: Vec<u32> = order.page(offset, count).collect();
            assert_eq!(page, expected, "{offset} {count}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_list(steps in prop::collection::vec((any::<bool>(), 0..4_000_u32), 0..6_000)) {
            let (mut order, mut model) = (Order::default(), BTreeMap::new());
            for (insert, born) in steps {
                if !insert {
                    order.remove(u64::from(born));
                    model.remove(&born);
                } else if model.insert(born, born).is_none() {
                    order.insert(u64::from(born), born);
                }
            }
            prop_assert_eq!(order.len(), model.len());
            let offset = model.len() / 3;
            let page: Vec<u32> = order.page(offset, 100).collect();
            let expected: Vec<u32> = model.into_keys().skip(offset).take(100).collect();
            prop_assert_eq!(page, expected);
        }
    }
}
