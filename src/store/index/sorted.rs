//! A sorted list in chunks, so that neither a write nor a page far behind walks over every entry,
//! and nothing large is ever moved at once. Entries are small and need not hold what they are
//! sorted by: every call brings the order with it.

use std::cmp::Ordering;

/// Most entries of a chunk.
pub(in crate::store::index) const CHUNK_ENTRIES_MAX: usize = 512;
/// Entries of a chunk that is built at once: some are to come.
const CHUNK_ENTRIES_BUILT: usize = CHUNK_ENTRIES_MAX / 8 * 7;
/// Entries by which a chunk grows, and most of what it keeps in reserve. Doubling would leave a
/// quarter of all chunks' memory unused.
const CHUNK_ENTRIES_STEP: usize = CHUNK_ENTRIES_MAX / 8;

/// A place between two entries. Good until the list changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Place {
    /// The number of a chunk.
    chunk: usize,
    /// How many of its entries are before the place.
    at: usize,
}

/// Entries next to each other.
#[derive(Debug)]
struct Chunk<E> {
    /// The first of them, beside that of the next chunk: where a search begins, it looks at many.
    first: E,
    /// All of them, sorted.
    entries: Vec<E>,
}

/// A sorted list.
#[derive(Debug)]
pub(in crate::store) struct Sorted<E> {
    /// Chunks in order, none empty.
    chunks: Vec<Chunk<E>>,
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

impl<E: Copy + PartialEq> Chunk<E> {
    /// The chunk of these entries, if there are any.
    fn new(entries: Vec<E>) -> Option<Self> {
        let first = *entries.first()?;
        Some(Self { first, entries })
    }

    /// Puts an entry in.
    fn insert(&mut self, at: usize, entry: E) {
        let len = self.entries.len();
        if len == self.entries.capacity() {
            self.entries.reserve_exact(len.clamp(4, CHUNK_ENTRIES_STEP));
        }
        self.entries.insert(at, entry);
        if at == 0 {
            self.first = entry;
        }
    }

    /// Gives back room that is not needed soon.
    fn shrink(&mut self) {
        let kept = self.entries.len().saturating_add(CHUNK_ENTRIES_STEP);
        if self.entries.capacity() > kept.saturating_add(CHUNK_ENTRIES_STEP) {
            self.entries.shrink_to(kept);
        }
    }
}

impl<E: Copy + PartialEq> Sorted<E> {
    /// The list of these entries, which are in order.
    pub fn built(entries: &[E]) -> Self {
        let chunks = entries.chunks(CHUNK_ENTRIES_BUILT);
        Self {
            chunks: chunks.map(<[E]>::to_vec).filter_map(Chunk::new).collect(),
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
        let later = self.chunks.partition_point(|chunk| before(chunk.first));
        let number = later.saturating_sub(1);
        let chunk = self.chunks.get(number);
        let at = chunk.map_or(0, |chunk| {
            chunk.entries.partition_point(|entry| before(*entry))
        });
        Place { chunk: number, at }
    }

    /// The place at the end when `before` holds for all entries, else [`Sorted::place`]: what is
    /// sorted by time comes there.
    fn place_to_insert(&self, before: impl Fn(E) -> bool) -> Place {
        let last = self.chunks.last();
        let last = last.and_then(|chunk| Some((chunk.entries.last()?, chunk.entries.len())));
        match last {
            Some((entry, at)) if before(*entry) => {
                let chunk = self.chunks.len().saturating_sub(1);
                Place { chunk, at }
            }
            Some(_) | None => self.place(before),
        }
    }

    /// How many entries are between two places. Looks at every chunk between them, at no entry.
    fn between(&self, start: Place, end: Place) -> usize {
        let chunks = self.chunks.iter().take(end.chunk).skip(start.chunk);
        let whole: usize = chunks.map(|chunk| chunk.entries.len()).sum();
        whole.saturating_add(end.at).saturating_sub(start.at)
    }

    /// The entries after a place.
    pub fn from(&self, place: Place) -> impl Iterator<Item = E> {
        let mut chunks = self.chunks.iter().skip(place.chunk);
        let first = chunks
            .next()
            .and_then(|chunk| chunk.entries.get(place.at..));
        let first = first.unwrap_or_default().iter();
        first
            .chain(chunks.flat_map(|chunk| &chunk.entries))
            .copied()
    }

    /// The entries that `order` calls equal to what is looked for. It says how an entry stands to
    /// that.
    pub fn equal(&self, order: impl Fn(E) -> Ordering) -> impl Iterator<Item = E> {
        let place = self.place(|entry| order(entry).is_lt());
        self.from(place)
            .take_while(move |entry| order(*entry).is_eq())
    }

    /// How many entries `order` calls equal to what is looked for.
    pub fn count_equal(&self, order: impl Fn(E) -> Ordering) -> usize {
        let start = self.place(|entry| order(entry).is_lt());
        let end = self.place(|entry| order(entry).is_le());
        self.between(start, end)
    }

    /// The entries after the first `offset`.
    pub fn skip(&self, offset: usize) -> impl Iterator<Item = E> {
        let mut at = offset;
        let chunk = self.chunks.iter().position(|chunk| {
            let here = chunk.entries.len() > at;
            if !here {
                at = at.saturating_sub(chunk.entries.len());
            }
            here
        });
        let chunk = chunk.unwrap_or(self.chunks.len());
        self.from(Place { chunk, at })
    }

    /// Puts an entry in behind those for which `before` holds.
    pub fn insert(&mut self, entry: E, before: impl Fn(E) -> bool) {
        let Place { chunk: number, at } = self.place_to_insert(before);
        self.len = self.len.saturating_add(1);
        let last = number.saturating_add(1) >= self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(number) else {
            self.chunks.extend(Chunk::new(vec![entry]));
            return;
        };
        let len = chunk.entries.len();
        if len < CHUNK_ENTRIES_MAX {
            chunk.insert(at, entry);
        } else if last && at == len {
            // Chunks fill up instead of staying half full.
            self.chunks.extend(Chunk::new(vec![entry]));
        } else if let Some(mut back) = Chunk::new(chunk.entries.split_off(len / 2)) {
            match at.checked_sub(len / 2) {
                Some(at) => back.insert(at, entry),
                None => chunk.insert(at, entry),
            }
            chunk.shrink();
            self.chunks.insert(number.saturating_add(1), back);
        }
    }

    /// Takes an entry out: the first for which `before` does not hold, when it is this one.
    pub fn remove(&mut self, entry: E, before: impl Fn(E) -> bool) {
        let Place { chunk: number, at } = self.place(before);
        let chunk = self.chunks.get(number);
        let (number, at) = match chunk.is_some_and(|chunk| at == chunk.entries.len()) {
            true => (number.saturating_add(1), 0),
            false => (number, at),
        };
        let Some(chunk) = self.chunks.get_mut(number) else {
            return;
        };
        if chunk.entries.get(at) != Some(&entry) {
            return;
        }
        chunk.entries.remove(at);
        self.len = self.len.saturating_sub(1);
        match chunk.entries.first() {
            None => {
                self.chunks.remove(number);
                return;
            }
            Some(first) => chunk.first = *first,
        }
        chunk.shrink();
        if chunk.entries.len() < CHUNK_ENTRIES_MAX / 4 {
            // Else what is removed here and there would leave a chunk for each entry that stays.
            self.join(number);
            self.join(number.saturating_sub(1));
        }
    }

    /// Joins a chunk with the next when that leaves room to grow.
    fn join(&mut self, number: usize) {
        let next = number.saturating_add(1);
        if let (Some(front), Some(back)) = (self.chunks.get(number), self.chunks.get(next))
            && front.entries.len().saturating_add(back.entries.len()) <= CHUNK_ENTRIES_MAX / 2
        {
            let back = self.chunks.remove(next);
            if let Some(front) = self.chunks.get_mut(number) {
                front.entries.reserve_exact(back.entries.len());
                front.entries.extend(back.entries);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::prelude::prop;
    use proptest::prop_assert;
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
            (511, vec![511, 512, 513]),
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
        let reserved: usize = list
            .chunks
            .iter()
            .map(|chunk| chunk.entries.capacity())
            .sum();
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
            let firsts = list.chunks.iter().map(|chunk| Some(&chunk.first) == chunk.entries.first());
            prop_assert!(firsts.into_iter().all(|right| right));
            prop_assert_eq!(list.skip(0).collect::<Vec<_>>(), &model[..]);
            let place = list.place(|other| other < from);
            let at = model.partition_point(|other| *other < from);
            let start = list.place(|_other| false);
            prop_assert_eq!(list.between(start, place), at);
            prop_assert_eq!(list.from(place).collect::<Vec<_>>(), &model[at..]);
            let equal = model.iter().filter(|other| **other == from).count();
            prop_assert_eq!(list.equal(|other| other.cmp(&from)).count(), equal);
            prop_assert_eq!(list.count_equal(|other| other.cmp(&from)), equal);
        }
    }
}
