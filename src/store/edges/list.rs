//! Lists by slot number: short ones in one piece, long ones in chunks, so that a change costs the
//! same whatever their length.

use crate::store::index::sorted::Sorted;

/// Lists of a chunk.
const CHUNK_LISTS: usize = 1024;
/// Most entries of a list in one piece.
const SHORT_MAX: usize = 64;

/// A list in an order that its user knows.
#[derive(Debug)]
pub enum List<E> {
    /// Few entries.
    Short(Vec<E>),
    /// Many.
    Long(Box<Sorted<E>>),
}

impl<E: Copy + PartialEq> List<E> {
    /// How many entries.
    pub fn len(&self) -> usize {
        match self {
            Self::Short(entries) => entries.len(),
            Self::Long(entries) => entries.len(),
        }
    }

    /// The entries behind those for which `before` holds.
    pub fn after(&self, before: impl Fn(E) -> bool) -> impl Iterator<Item = E> {
        let (short, long) = match self {
            Self::Short(entries) => {
                let at = entries.partition_point(|entry| before(*entry));
                (entries.get(at..), None)
            }
            Self::Long(entries) => (None, Some(entries.from(entries.place(before)))),
        };
        let short = short.unwrap_or_default().iter().copied();
        short.chain(long.into_iter().flatten())
    }

    /// All entries.
    pub fn all(&self) -> impl Iterator<Item = E> {
        self.after(|_entry| false)
    }

    /// Whether it holds this entry, behind those for which `before` holds.
    pub fn holds(&self, entry: E, before: impl Fn(E) -> bool) -> bool {
        self.after(before).next() == Some(entry)
    }

    /// Puts an entry in behind those for which `before` holds. Returns whether it was not there.
    fn insert(&mut self, entry: E, before: impl Fn(E) -> bool) -> bool {
        let new = !self.holds(entry, &before);
        if new {
            self.put(entry, before);
        }
        new
    }

    /// Puts an entry in that is not there, behind those for which `before` holds.
    fn put(&mut self, entry: E, before: impl Fn(E) -> bool) {
        match self {
            Self::Short(entries) if entries.len() < SHORT_MAX => {
                let at = entries.partition_point(|other| before(*other));
                if entries.len() == entries.capacity() {
                    entries.reserve_exact(entries.len().div_ceil(4).max(1));
                }
                entries.insert(at, entry);
            }
            Self::Short(entries) => {
                let mut long = Sorted::built(entries);
                long.insert(entry, before);
                *self = Self::Long(Box::new(long));
            }
            Self::Long(entries) => entries.insert(entry, before),
        }
    }

    /// Takes an entry out that is behind those for which `before` holds. Returns whether it was
    /// there.
    fn remove(&mut self, entry: E, before: impl Fn(E) -> bool) -> bool {
        if !self.holds(entry, &before) {
            return false;
        }
        match self {
            Self::Short(entries) => {
                let at = entries.partition_point(|other| before(*other));
                entries.remove(at);
                if entries.capacity() > entries.len().saturating_mul(2) {
                    entries.shrink_to_fit();
                }
            }
            Self::Long(entries) => {
                entries.remove(entry, before);
                if entries.len() <= SHORT_MAX / 2 {
                    *self = Self::Short(entries.skip(0).collect());
                }
            }
        }
        true
    }
}

impl List<u32> {
    /// Whether this number is in a list of numbers in their order.
    pub fn has(&self, number: u32) -> bool {
        self.holds(number, |other| other < number)
    }
}

/// A list for each slot number that has one.
#[derive(Debug)]
pub struct Lists<E>(Vec<Vec<List<E>>>);

impl<E> Default for Lists<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Chunk of a number, and place in it.
fn place(number: u32) -> Option<(usize, usize)> {
    let number = usize::try_from(number).ok()?;
    Some((number / CHUNK_LISTS, number % CHUNK_LISTS))
}

impl<E: Copy + PartialEq> Lists<E> {
    /// The list of a number.
    pub fn get(&self, number: u32) -> Option<&List<E>> {
        let (chunk, at) = place(number)?;
        self.0.get(chunk)?.get(at)
    }

    /// The list of a number, made when it is missing.
    fn entry(&mut self, number: u32) -> Option<&mut List<E>> {
        let (chunk, at) = place(number)?;
        if self.0.len() <= chunk {
            self.0.resize_with(chunk.saturating_add(1), Vec::new);
        }
        let chunk = self.0.get_mut(chunk)?;
        if chunk.len() <= at {
            chunk.resize_with(at.saturating_add(1), || List::Short(Vec::new()));
        }
        chunk.get_mut(at)
    }

    /// How many entries there are in all lists.
    pub fn entries(&self) -> usize {
        self.0.iter().flatten().map(List::len).sum()
    }

    /// Puts an entry into the list of a number. Returns whether it was not there.
    pub fn insert(&mut self, number: u32, entry: E, before: impl Fn(E) -> bool) -> bool {
        let list = self.entry(number);
        list.is_some_and(|list| list.insert(entry, before))
    }

    /// Puts an entry into the list of a number that it is not in.
    pub fn put(&mut self, number: u32, entry: E, before: impl Fn(E) -> bool) {
        if let Some(list) = self.entry(number) {
            list.put(entry, before);
        }
    }

    /// Takes an entry out of the list of a number. Returns whether it was there.
    pub fn remove(&mut self, number: u32, entry: E, before: impl Fn(E) -> bool) -> bool {
        let list = place(number).and_then(|(chunk, at)| self.0.get_mut(chunk)?.get_mut(at));
        list.is_some_and(|list| list.remove(entry, before))
    }

    /// Empties the list of a number. Returns what was in it.
    pub fn take(&mut self, number: u32) -> Option<List<E>> {
        let (chunk, at) = place(number)?;
        let list = self.0.get_mut(chunk)?.get_mut(at)?;
        Some(std::mem::replace(list, List::Short(Vec::new())))
    }
}
