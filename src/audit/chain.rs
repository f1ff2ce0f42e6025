//! The chain over entries: each one's hash covers the one before it, its header, and a salted hash
//! of its payload. Pure.
//!
//! ```text
//! hash(n) = SHA-256( hash(n-1) ‖ header(n) ‖ SHA-256( salt(n) ‖ payload(n) ) )
//! ```
//!
//! A payload can be erased: what is kept then is the inner hash, from which, without the salt,
//! nothing can be guessed, and the chain still verifies. A gap is a link too, so that it cannot be
//! put in or taken out later. There is no key: whoever can write the files can write them all anew
//! from some entry on, and a hash noted elsewhere shows that.

use std::fmt;

use ring::digest::Context;
use ring::digest::SHA256;

/// SHA-256.
pub type Hash = [u8; 32];
/// What keeps a payload's hash from being guessed.
pub type Salt = [u8; 16];
/// The hash before the first entry.
pub const BEGINNING: Hash = [0; 32];

/// SHA-256 of parts, one after the other.
fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = BEGINNING;
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}

/// What is kept of an erased payload.
pub fn payload_hash(salt: &Salt, payload: &[u8]) -> Hash {
    hash(&[salt, payload])
}

/// The hash of an entry behind one with the hash `previous`.
pub fn link(previous: &Hash, header: &[u8], payload: &Hash) -> Hash {
    hash(&[previous, header, payload])
}

/// The hash of a gap behind an entry with the hash `previous`: entries `from` to `through` are missing.
pub fn gap(previous: &Hash, from: u64, through: u64) -> Hash {
    let (from, through) = (from.to_le_bytes(), through.to_le_bytes());
    hash(&[previous, b"gap", &from, &through])
}

/// What is wrong with a chain at one of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The entry, or one before it, is not what was written.
    Changed,
    /// Entries are not there.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        through: u64,
    },
    /// The entry stands behind a later one.
    OutOfOrder,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("it is not as it was written"),
            Self::Missing { from, through } if from == through => {
                write!(f, "entry {from} is missing")
            }
            Self::Missing { from, through } => {
                write!(f, "entries {from} to {through} are missing")
            }
            Self::OutOfOrder => f.write_str("it stands behind a later entry"),
        }
    }
}

/// Follows a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The hash of the last entry; unknown behind one that is missing.
    hash: Option<Hash>,
    /// The number of the last entry.
    last: u64,
}

impl Chain {
    /// Goes on behind entry `last`, whose hash is `hash`.
    pub const fn behind(last: u64, hash: Hash) -> Self {
        Self {
            hash: Some(hash),
            last,
        }
    }

    /// The number of the last entry.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// The hash of the last entry, unless it is missing.
    pub const fn hash(&self) -> Option<Hash> {
        self.hash
    }

    /// Notes that what came last cannot be read: the next entry's hash cannot be checked.
    pub const fn lose(&mut self) {
        self.hash = None;
    }

    /// Takes the next entry. `stored` is the hash that stands with it.
    ///
    /// # Errors
    ///
    /// [`Break`]. The chain goes on behind the entry all the same.
    pub fn entry(
        &mut self,
        number: u64,
        header: &[u8],
        payload: &Hash,
        stored: Hash,
    ) -> Result<(), Break> {
        self.follow(number, number, stored, |hash| link(hash, header, payload))
    }

    /// Takes a gap.
    ///
    /// # Errors
    ///
    /// [`Break`]. The chain goes on behind the gap all the same.
    pub fn gap(&mut self, from: u64, through: u64, stored: Hash) -> Result<(), Break> {
        self.follow(from, through, stored, |hash| gap(hash, from, through))
    }

    /// Takes what has the numbers `from` to `through`.
    fn follow(
        &mut self,
        from: u64,
        through: u64,
        stored: Hash,
        computed: impl Fn(&Hash) -> Hash,
    ) -> Result<(), Break> {
        if from <= self.last {
            return Err(Break::OutOfOrder);
        }
        let expected = self.last.saturating_add(1);
        let before = self.hash.replace(stored);
        self.last = through.max(from);
        if from > expected {
            return Err(Break::Missing {
                from: expected,
                through: from.saturating_sub(1),
            });
        }
        match before {
            Some(before) if computed(&before) != stored => Err(Break::Changed),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::audit::chain::BEGINNING;
    use crate::audit::chain::Break;
    use crate::audit::chain::Chain;
    use crate::audit::chain::Hash;
    use crate::audit::chain::gap;
    use crate::audit::chain::link;
    use crate::audit::chain::payload_hash;

    /// An entry as a test has it: number, header, hash of the payload, hash.
    type Entry = (u64, Vec<u8>, Hash, Hash);

    /// Six entries.
    fn six() -> Vec<Entry> {
        let mut before = BEGINNING;
        (1..=6_u8)
            .map(|number| {
                let header = vec![number; 3];
                let payload = payload_hash(&[number; 16], b"payload");
                before = link(&before, &header, &payload);
                (u64::from(number), header, payload, before)
            })
            .collect()
    }

    /// What is found when a chain is followed over these.
    fn follow(entries: &[Entry]) -> Vec<(u64, Break)> {
        let mut chain = Chain::behind(0, BEGINNING);
        let breaks = entries
            .iter()
            .filter_map(|(number, header, payload, hash)| {
                let step = chain.entry(*number, header, payload, *hash);
                step.err().map(|found| (*number, found))
            });
        breaks.collect()
    }

    #[test]
    fn a_sound_chain_is_followed_to_its_end() {
        assert_eq!(follow(&six()), []);
    }

    #[test]
    fn whatever_is_done_to_a_chain_is_found_where_it_was_done() {
        let missing = |from, through| Break::Missing { from, through };
        type Harm = fn(&mut Vec<Entry>);
        let harms: [(Harm, &[(u64, Break)]); 8] = [
            (|e| e[2].1[0] ^= 1, &[(3, Break::Changed)]),
            (|e| e[2].2[0] ^= 1, &[(3, Break::Changed)]),
            (
                |e| e[2].3[0] ^= 1,
                &[(3, Break::Changed), (4, Break::Changed)],
            ),
            (|e| e[5].3[0] ^= 1, &[(6, Break::Changed)]),
            (|e| drop(e.remove(0)), &[(2, missing(1, 1))]),
            (|e| drop(e.drain(1..4)), &[(5, missing(2, 4))]),
            (
                |e| e.swap(1, 2),
                &[(3, missing(2, 2)), (2, Break::OutOfOrder)],
            ),
            (|e| e.insert(3, e[1].clone()), &[(2, Break::OutOfOrder)]),
        ];
        for (nth, (harm, expected)) in harms.into_iter().enumerate() {
            let mut entries = six();
            harm(&mut entries);
            assert_eq!(follow(&entries), expected, "harm {nth}");
        }
    }

    #[test]
    fn a_gap_is_a_link_and_cannot_be_widened() {
        let hash = gap(&BEGINNING, 1, 9);
        let mut chain = Chain::behind(0, BEGINNING);
        assert_eq!(chain.gap(1, 9, hash), Ok(()));
        assert_eq!((chain.last(), chain.hash()), (9, Some(hash)));
        let mut chain = Chain::behind(0, BEGINNING);
        assert_eq!(chain.gap(1, 10, hash), Err(Break::Changed));
    }

    #[test]
    fn behind_what_cannot_be_read_a_hash_is_taken_as_it_stands() {
        let entries = six();
        let mut chain = Chain::behind(2, entries[1].3);
        chain.lose();
        let (number, header, payload, _hash) = &entries[2];
        assert_eq!(chain.entry(*number, header, payload, [7; 32]), Ok(()));
    }
}
