//! A sorted list in chunks, so that neither a write nor a page far behind walks over every entry,
//! and nothing large is ever moved at once. Entries are small and need not hold what they are
//! sorted by: every call brings the order with it.

use std::cmp::Ordering;

/// Most entries of a chunk.
pub(in crate::store::index) const CHUNK_ENTRIES_MAX: usize = 1024;
/// Entries of a chunk that is built at once: some are to come.
const CHUNK_ENTRIES_BUILT: usize = CHUNK_ENTRIES_MAX / 8 * 7;
/// Entries by which a chunk grows, and most of what it keeps in reserve. Doubling would leave a
/// quarter of all chunks' memory unused.
const CHUNK_ENTRIES_STEP: usize = CHUNK_ENTRIES_MAX / 8;

/// A place between two entries. Good until the list changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::index) struct Place {
    /// The number of a chunk.
    chunk: usize,
    /// How many of its entries are before the place.
    at: usize,
}

/// A sorted list.
#[derive(Debug)]
pub(in crate::store::index) struct Sorted<E> {
    /// Chunks in order, none empty, each sorted.
    chunks: Vec<Vec<E>>,
    /// Entries in all chunks.
    len: usize,
}

impl<E> Default for Sorted<E> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<E: Copy + PartialEq> Sorted<E> {
    /// The list of these entries, which are in order.
    pub fn built(entries: &[E]) -> Self {
        Self {
            chunks: entries
                .chunks(CHUNK_ENTRIES_BUILT)
                .map(<[E]>::to_vec)
                .collect(),
            len: entries.len(),
        }
    }

    /// How many entries.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The place before the first entry for which `before` does not hold. It must hold for some
    /// first entries and for no later one.
    pub fn place(&self, before: impl Fn(E) -> bool) -> Place {
        let later = self
            .chunks
            .partition_point(|chunk| chunk.first().is_some_and(|first| before(*first)));
        let chunk = later.saturating_sub(1);
        let entries = self.chunks.get(chunk);
        let at = entries.map_or(0, |entries| entries.partition_point(|entry| before(*entry)));
        Place { chunk, at }
    }

    /// How many entries are before a place. Looks at every chunk, at no entry.
    pub fn rank(&self, place: Place) -> usize {
        let chunks = self.chunks.iter().take(place.chunk);
        chunks.map(Vec::len).sum::<usize>().saturating_add(place.at)
    }

    /// The entries after a place.
    pub fn from(&self, place: Place) -> impl Iterator<Item = E> {
        let mut chunks = self.chunks.iter().skip(place.chunk);
        let first = chunks.next().and_then(|chunk| chunk.get(place.at..));
        let first = first.unwrap_or_default().iter();
        first.chain(chunks.flatten()).copied()
    }

    /// The entries that `order` calls equal to what is looked for. It says how an entry stands to
    /// that.
    pub fn equal(&self, order: impl Fn(E) -> Ordering) -> impl Iterator<Item = E> {
        let place = self.place(|entry| order(entry).is_lt());
        self.from(place)
            .take_while(move |entry| order(*entry).is_eq())
    }

    /// The entries after the first `offset`.
    pub fn skip(&self, offset: usize) -> impl Iterator<Item = E> {
        let mut at = offset;
        let chunk = self.chunks.iter().position(|chunk| {
            let here = chunk.len() > at;
            if !here {
                at = at.saturating_sub(chunk.len());
            }
            here
        });
        let chunk = chunk.unwrap_or(self.chunks.len());
        self.from(Place { chunk, at })
    }

    /// Puts an entry in behind those for which `before` holds.
    pub fn insert(&mut self, entry: E, before: impl Fn(E) -> bool) {
        let Place { chunk: number, at } = self.place(before);
        self.len = self.len.saturating_add(1);
        let last = number.saturating_add(1) >= self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(number) else {
            self.chunks.push(vec![entry]);
            return;
        };
        if chunk.len() < CHUNK_ENTRIES_MAX {
            insert(chunk, at, entry);
        } else if last && at == chunk.len() {
            // The usual case of what is sorted by time: chunks fill up instead of staying half full.
            self.chunks.push(vec![entry]);
        } else {
            let mut back = chunk.split_off(CHUNK_ENTRIES_MAX / 2);
            match at.checked_sub(CHUNK_ENTRIES_MAX / 2) {
                Some(at) => insert(&mut back, at, entry),
                None => insert(chunk, at, entry),
            }
            chunk.shrink_to(chunk.len().saturating_add(CHUNK_ENTRIES_STEP));
            self.chunks.insert(number.saturating_add(1), back);
        }
    }

    /// Takes an entry out: the first for which `before` does not hold, when it is this one.
    pub fn remove(&mut self, entry: E, before: impl Fn(E) -> bool) {
        let Place { mut chunk, mut at } = self.place(before);
        if self
            .chunks
            .get(chunk)
            .is_some_and(|entries| at == entries.len())
        {
            (chunk, at) = (chunk.saturating_add(1), 0);
        }
        let Some(entries) = self.chunks.get_mut(chunk) else {
            return;
        };
        if entries.get(at) != Some(&entry) {
            return;
        }
        entries.remove(at);
        self.len = self.len.saturating_sub(1);
        if entries.is_empty() {
            self.chunks.remove(chunk);
        } else if entries.len() < CHUNK_ENTRIES_MAX / 4 {
            // Else what is removed here and there would leave a chunk for each entry that stays.
            self.join(chunk);
            self.join(chunk.saturating_sub(1));
        }
        if let Some(entries) = self.chunks.get_mut(chunk) {
            let kept = entries.len().saturating_add(CHUNK_ENTRIES_STEP);
            if entries.capacity() > kept.saturating_add(CHUNK_ENTRIES_STEP) {
                entries.shrink_to(kept);
            }
        }
    }

    /// Joins a chunk with the next when that leaves room to grow.
    fn join(&mut self, chunk: usize) {
        let next = chunk.saturating_add(1);
        if let (Some(front), Some(back)) = (self.chunks.get(chunk), self.chunks.get(next))
            && front.len().saturating_add(back.len()) <= CHUNK_ENTRIES_MAX / 2
        {
            let back = self.chunks.remove(next);
            if let Some(front) = self.chunks.get_mut(chunk) {
                front.reserve_exact(back.len());
                front.extend(back);
            }
        }
    }
}

/// Puts an entry into a chunk that may have to grow.
fn insert<E>(chunk: &mut Vec<E>, at: usize, entry: E) {
    if chunk.len() == chunk.capacity() {
        chunk.reserve_exact(chunk.len().clamp(4, CHUNK_ENTRIES_STEP));
    }
    chunk.insert(at, entry);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::prelude::prop;
    use proptest::prop_assert_eq;
    use proptest::proptest;

    use crate::store::index::sorted::CHUNK_ENTRIES_MAX;
    use crate::store::index::sorted::CHUNK_ENTRIES_STEP;
    use crate::store::index::sorted::Sorted;

    /// The list of the numbers below `end`, inserted in order.
    fn up_to(end: u32) -> Sorted<u32> {
        let mut list = Sorted::default();
        for number in 0..end {
            list.insert(number, |other| other < number);
        }
        list
    }

    #[test]
    fn what_comes_in_order_fills_its_chunks() {
        let list = up_to(10_000);
        assert_eq!(list.chunks.len(), 10_000_usize.div_ceil(CHUNK_ENTRIES_MAX));
        for (offset, expected) in [
            (0, vec![0, 1, 2]),
            (1023, vec![1023, 1024, 1025]),
            (9_998, vec![9_998, 9_999]),
            (10_000, vec![]),
            (usize::MAX, vec![]),
        ] {
            let found: Vec<u32> = list.skip(offset).take(3).collect();
            assert_eq!(found, expected, "{offset}");
        }
    }

    #[test]
    fn few_entries_left_do_not_hold_many_chunks() {
        let mut list = up_to(100_000);
        for number in (0..100_000).filter(|number| number % 1000 != 7) {
            list.remove(number, |other| other < number);
        }
        let reserved: usize = list.chunks.iter().map(Vec::capacity).sum();
        assert_eq!((list.len(), list.chunks.len()), (100, 1));
        assert!(reserved <= 100 + 2 * CHUNK_ENTRIES_STEP, "{reserved}");
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_list(
            built in prop::collection::vec(0..4_000_u32, 0..3_000),
            steps in prop::collection::vec((any::<bool>(), 0..4_000_u32), 0..4_000),
            from in 0..4_000_u32,
        ) {
            let mut model = built;
            model.sort_unstable();
            let mut list = Sorted::built(&model);
            for (insert, number) in steps {
                let at = model.partition_point(|other| *other < number);
                if insert {
                    list.insert(number, |other| other < number);
                    model.insert(at, number);
                } else {
                    list.remove(number, |other| other < number);
                    if model.get(at) == Some(&number) {
                        model.remove(at);
                    }
                }
            }
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(list.chunks.iter().filter(|chunk| chunk.is_empty()).count(), 0);
            prop_assert_eq!(list.skip(0).collect::<Vec<_>>(), &model[..]);
            let place = list.place(|other| other < from);
            let at = model.partition_point(|other| *other < from);
            prop_assert_eq!(list.rank(place), at);
            prop_assert_eq!(list.from(place).collect::<Vec<_>>(), &model[at..]);
            let equal = model.iter().filter(|other| **other == from).count();
            prop_assert_eq!(list.equal(|other| other.cmp(&from)).count(), equal);
        }
    }
}
