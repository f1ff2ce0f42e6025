//! Whether the indexes find a resource by what it should be found by, and by nothing else.

use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::store::change::Index;
use crate::store::index::Indexes;
use crate::store::index::keys::KeyBuf;

/// Resources named at most that share a key.
const SHARED_MAX: usize = 10;

/// How a resource stands in the indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its revision.
    pub revision: Revision,
    /// By these it should be found with a key that it is not found with.
    pub missing: Vec<Index>,
    /// By these it is found with a key that it should not be found with.
    pub surplus: Vec<Index>,
    /// Whether every list that should lead to it does.
    pub listed: bool,
    /// Keys that it alone should have, with those who have them too, unless one of these is older:
    /// then they are named with that one.
    pub shared: Vec<(Index, Vec<ResourceId>)>,
}

impl Standing {
    /// Whether its keys are what they should be.
    pub const fn has_right_keys(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty()
    }
}

impl Indexes {
    /// How a resource stands in the indexes, when it should be found by `keys` and by nothing
    /// else, and by those of `unique` alone. Nothing when it does not exist.
    pub fn standing(
        &self,
        id: ResourceId,
        keys: &[(Index, Box<str>)],
        unique: &[Index],
    ) -> Option<Standing> {
        let number = self.lists.number_of(&self.slots, id)?;
        let slot = self.slots.get(number)?;
        let wanted: Vec<(Index, KeyBuf)> = keys
            .iter()
            .map(|(index, key)| (*index, KeyBuf::new(*index, key)))
            .collect();
        let missing = wanted
            .iter()
            .filter(|(index, key)| !slot.has(*index, key.key()));
        let surplus = slot.keys.iter().filter(|member| {
            !wanted
                .iter()
                .any(|(index, key)| *index == member.index && key.key() == member.key)
        });
        let mut mentions = self.lists.mentions(slot, None).into_iter();
        let shared = keys.iter().filter(|(index, _)| unique.contains(index));
        let shared = shared.filter_map(|(index, key)| {
            let mut holders = self.lookup(*index, key).into_iter();
            let others = (holders.next() == Some(id)).then(|| holders.take(SHARED_MAX).collect());
            let others = others.filter(|others: &Vec<ResourceId>| !others.is_empty());
            Some((*index, others?))
        });
        Some(Standing {
            revision: slot.revision,
            missing: each_once(missing.map(|(index, _key)| *index)),
            surplus: each_once(surplus.map(|member| member.index)),
            listed: mentions.all(|mention| self.lists.have(&self.slots, (number, slot), mention)),
            shared: shared.collect(),
        })
    }
}

/// Each of these once.
fn each_once(indexes: impl Iterator<Item = Index>) -> Vec<Index> {
    let mut once: Vec<Index> = indexes.collect();
    once.sort_unstable();
    once.dedup();
    once
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::base::clock::Timestamp;
    use crate::base::ident::ResourceId;
    use crate::base::ident::Revision;
    use crate::store::cell::Mark;
    use crate::store::change::Index;
    use crate::store::index::Indexes;
    use crate::store::index::check::Standing;
    use crate::store::index::lists::Mention;
    use crate::store::index::lists::Step;
    use crate::store::record::Header;

    /// Indexes of three users: the second is called as the first.
    fn indexes() -> Indexes {
        let mut indexes = Indexes::default();
        for (number, name) in [(1, "mara"), (2, "mara"), (3, "kim")] {
            let key = |index, text: &str| (index, Arc::from(text));
            let header = Header {
                label: None,
                revision: Revision(7),
                created: Timestamp::from_millis(5),
                modified: Timestamp::from_millis(5),
                born: u64::from(number),
                history: 0,
                keys: vec![
                    key(Index::UserName, name),
                    key(Index::DisplayName, "the same for all"),
                    key(Index::Email, name),
                    key(Index::Email, "home"),
                    key(Index::Manager, "nobody"),
                ],
            };
            indexes.put(id(number), Mark { crc: 0, bytes: 0 }, &header);
        }
        indexes
    }

    /// An id.
    fn id(number: u8) -> ResourceId {
        ResourceId::from_bytes([number; 16])
    }

    /// The keys of a user.
    fn keys(name: &str) -> Vec<(Index, Box<str>)> {
        let key = |index, text: &str| (index, text.into());
        vec![
            key(Index::UserName, name),
            key(Index::DisplayName, "the same for all"),
            key(Index::Email, name),
            key(Index::Email, "home"),
            key(Index::Manager, "nobody"),
        ]
    }

    /// How user 3 stands when nothing is wrong.
    fn sound() -> Standing {
        Standing {
            revision: Revision(7),
            missing: Vec::new(),
            surplus: Vec::new(),
            listed: true,
            shared: Vec::new(),
        }
    }

    #[test]
    fn what_is_missing_surplus_and_shared_is_told_apart() {
        let indexes = indexes();
        let unique = [Index::UserName];
        let standing = |number, keys: &[_]| indexes.standing(id(number), keys, &unique);
        assert_eq!(standing(3, &keys("kim")), Some(sound()));
        assert_eq!(standing(4, &keys("kim")), None);
        let mut other = keys("sam");
        other.retain(|(index, _)| *index != Index::Manager);
        let expected = Standing {
            missing: vec![Index::UserName, Index::Email],
            surplus: vec![Index::UserName, Index::Email, Index::Manager],
            ..sound()
        };
        assert_eq!(standing(3, &other), Some(expected));
        let expected = Standing {
            shared: vec![(Index::UserName, vec![id(2)])],
            ..sound()
        };
        assert_eq!(standing(1, &keys("mara")), Some(expected));
        assert_eq!(standing(2, &keys("mara")), Some(sound()), "named with 1");
    }

    #[test]
    fn a_list_that_does_not_lead_to_a_resource_is_noticed() {
        let mut taken = 0;
        loop {
            let mut indexes = indexes();
            let number = indexes.lists.number_of(&indexes.slots, id(2)).unwrap();
            let slot = indexes.slots.get(number).unwrap().clone();
            // Without its entry by id it is not there at all.
            let mentions = indexes.lists.mentions(&slot, None).into_iter();
            let mut mentions = mentions.filter(|mention| *mention != Mention::Id);
            let Some(mention) = mentions.nth(taken) else {
                break;
            };
            let slots = &indexes.slots;
            indexes
                .lists
                .step(slots, (number, &slot), mention, Step::Remove);
            for (user, name) in [(1, "mara"), (2, "mara"), (3, "kim")] {
                let standing = indexes.standing(id(user), &keys(name), &[]).unwrap();
                assert_eq!(standing.listed, user != 2, "{user}: {mention:?}");
            }
            taken += 1;
        }
        assert!(taken > 8, "{taken}");
    }
}
