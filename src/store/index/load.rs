//! Slots as bytes, in stretches, and indexes built from them at once. What is found by sorting is
//! not written: that takes no longer than to read and check it.
//!
//! A stretch: a count (4), then for each number a flag (1) and, when it is taken, the slot: id
//! (16), revision (8), checksum (4) and length (4) of what is stored, birth (8), number of its
//! last history entry (8), `created` (8), `modified` (8), keys (length, then as `keys` keeps them).

use std::thread;

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::store::cell::Mark;
use crate::store::change::Index;
use crate::store::index::Indexes;
use crate::store::index::Slot;
use crate::store::index::SlotNumber;
use crate::store::index::keys::Head;
use crate::store::index::keys::Key;
use crate::store::index::keys::Keys;
use crate::store::index::keys::Member;
use crate::store::index::lists::Email;
use crate::store::index::lists::Lists;
use crate::store::index::lists::Name;
use crate::store::index::lists::Numbered;
use crate::store::index::lists::Text;
use crate::store::index::lists::by_id;
use crate::store::index::lists::by_time;
use crate::store::index::slots::Slots;
use crate::store::index::sorted::Sorted;
use crate::store::record::Header;

impl Slot {
    /// Appends the slot.
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.id.as_bytes());
        bytes::put_u64(out, self.revision.0);
        bytes::put_u32(out, self.mark.crc);
        bytes::put_u32(out, self.mark.bytes);
        bytes::put_u64(out, self.born);
        bytes::put_u64(out, self.history);
        bytes::put_time(out, self.created);
        bytes::put_time(out, self.modified);
        bytes::put_bytes(out, self.keys.bytes());
    }

    /// Reads what [`Slot::encode`] wrote.
    fn decode(input: &mut Input<'_>) -> Result<Self, BadBytes> {
        Ok(Self {
            id: ResourceId::from_bytes(input.array()?),
            revision: Revision(input.u64()?),
            mark: Mark {
                crc: input.u32()?,
                bytes: input.u32()?,
            },
            born: input.u64()?,
            history: input.u64()?,
            created: input.time()?,
            modified: input.time()?,
            keys: Keys::decode(input.bytes()?)?,
        })
    }
}

impl Indexes {
    /// Appends the slots of `count` numbers from `from` on. Returns the number to go on with, if
    /// there is one. Others may write between two stretches: what they wrote is then in some and
    /// not in others, and has to be written again to what is loaded from them.
    pub fn encode(&self, from: u32, count: u32, out: &mut Vec<u8>) -> Option<u32> {
        let end = self.slots.end().min(from.saturating_add(count));
        bytes::put_u32(out, end.saturating_sub(from));
        for number in from..end {
            let slot = self.slots.get(number);
            bytes::put_u8(out, u8::from(slot.is_some()));
            if let Some(slot) = slot {
                slot.encode(out);
            }
        }
        (end < self.slots.end()).then_some(end)
    }
}

/// Builds the indexes of many resources at once, in a fraction of the time that it takes to put
/// one after the other.
#[derive(Debug, Default)]
pub(in crate::store) struct Loader {
    /// What came so far.
    slots: Slots,
}

impl Loader {
    /// Takes a resource.
    pub fn put(&mut self, id: ResourceId, mark: Mark, header: &Header) {
        self.slots.append(Some(Slot::new(id, mark, header)));
    }

    /// Takes a stretch that [`Indexes::encode`] made.
    ///
    /// # Errors
    ///
    /// [`BadBytes`]; the loader is then of no use.
    pub fn stretch(&mut self, input: &mut Input<'_>) -> Result<(), BadBytes> {
        for _number in 0..input.count()? {
            let taken = input.flag()?;
            let slot = taken.then(|| Slot::decode(input)).transpose()?;
            self.slots.append(slot);
        }
        Ok(())
    }

    /// The indexes of all that came. Of a resource that came twice, the later counts.
    pub fn finish(mut self) -> Indexes {
        let by_id = self.by_id();
        let live = self.slots.iter().map(|(_number, slot)| slot.mark.bytes);
        let live_bytes = live.map(u64::from).sum();
        let mut lists = Lists::default();
        lists.by_id = by_id;
        let slots = &self.slots;
        // Two, as many as the smallest machine has cores.
        thread::scope(|scope| {
            let texts = scope.spawn(|| {
                let user_names = by_text(slots, Index::UserName, names(slots, Index::UserName));
                let display_names = names(slots, Index::DisplayName);
                let display_names = by_text(slots, Index::DisplayName, display_names);
                (
                    user_names,
                    display_names,
                    by_text(slots, Index::Email, emails(slots)),
                )
            });
            lists.by_born = sorted(slots, |slot| slot.born, |_born, number| number);
            lists.by_created = sorted(slots, |slot| slot.created, by_time);
            lists.by_modified = sorted(slots, |slot| slot.modified, by_time);
            for index in Index::ALL {
                let members = members(slots, index);
                let prints = members.map(|(number, member)| Numbered {
                    head: lists.print(member.key),
                    number,
                });
                let mut prints: Vec<_> = prints.collect();
                prints.sort_unstable();
                if let Some(list) = lists.by_print.get_mut(index) {
                    *list = Sorted::built(&prints);
                }
            }
            // A panic there is none: it only sorts.
            if let Ok((user_names, display_names, emails)) = texts.join() {
                lists.by_user_name = user_names;
                lists.by_display_name = display_names;
                lists.by_email = emails;
            }
        });
        Indexes {
            slots: self.slots,
            lists,
            live_bytes,
        }
    }

    /// The list by id. Takes out the slots of resources that came again later.
    fn by_id(&mut self) -> Sorted<Numbered> {
        let ids = self.slots.iter().map(|(number, slot)| (slot.id, number));
        let mut ids: Vec<(ResourceId, SlotNumber)> = ids.collect();
        ids.sort_unstable();
        ids.dedup_by(|later, kept| {
            let again = later.0 == kept.0;
            if again {
                self.slots.remove(kept.1);
                *kept = *later;
            }
            again
        });
        let entries = ids.into_iter().map(|(id, number)| by_id(id, number));
        Sorted::built(&entries.collect::<Vec<_>>())
    }
}

/// All keys of an index.
fn members(slots: &Slots, index: Index) -> impl Iterator<Item = (SlotNumber, Member<'_>)> {
    slots.iter().flat_map(move |(number, slot)| {
        let members = slot.keys.iter();
        let members = members.filter(move |member| member.index == index);
        members.map(move |member| (number, member))
    })
}

/// The entries of an index of names.
fn names(slots: &Slots, index: Index) -> impl Iterator<Item = (Key<'_>, Name)> {
    slots.iter().filter_map(move |(number, slot)| {
        let key = slot.keys.first(index)?;
        let head = key.head();
        Some((key, Name { head, number }))
    })
}

/// The entries of the emails.
fn emails(slots: &Slots) -> impl Iterator<Item = (Key<'_>, Email)> {
    members(slots, Index::Email).map(|(number, member)| {
        let head = member.key.head();
        let back = u32::try_from(member.back).unwrap_or(u32::MAX);
        (member.key, Email { head, number, back })
    })
}

/// The list in the order of what `of` takes out of each slot.
fn sorted<T: Copy + Ord, E: Copy + PartialEq>(
    slots: &Slots,
    of: impl Fn(&Slot) -> T,
    entry: impl Fn(T, SlotNumber) -> E,
) -> Sorted<E> {
    let keys = slots.iter().map(|(number, slot)| (of(slot), number));
    let mut keys: Vec<(T, SlotNumber)> = keys.collect();
    keys.sort_unstable();
    let entries = keys.into_iter().map(|(key, number)| entry(key, number));
    Sorted::built(&entries.collect::<Vec<_>>())
}

/// The list in the order of the texts.
fn by_text<'a, E: Text>(
    slots: &'a Slots,
    index: Index,
    entries: impl Iterator<Item = (Key<'a>, E)>,
) -> Sorted<E> {
    // More of each text than an entry holds spares the sort most looks at the slots.
    let mut entries: Vec<(Head<16>, E)> = entries.map(|(key, entry)| (key.head(), entry)).collect();
    entries.sort_unstable_by(|(a_head, a), (b_head, b)| {
        a_head.cmp(b_head).then_with(|| {
            let order = |entry: E| (entry.key(slots, index), entry.number());
            order(*a).cmp(&order(*b))
        })
    });
    let entries: Vec<E> = entries.into_iter().map(|(_head, entry)| entry).collect();
    Sorted::built(&entries)
}
