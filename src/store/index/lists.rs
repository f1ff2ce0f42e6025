//! The sorted lists that lead to slots. Most entries are no more than a slot's number: what they
//! are sorted by stands in the slot.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::hash::RandomState;

use crate::base::clock::Timestamp;
use crate::base::ident::ResourceId;
use crate::store::change::Index;
use crate::store::change::Time;
use crate::store::index::Slot;
use crate::store::index::SlotNumber;
use crate::store::index::keys::Head;
use crate::store::index::keys::Key;
use crate::store::index::slots::Slots;
use crate::store::index::sorted::Sorted;

/// An entry by a number: it tells nearly all apart without a look at the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store::index) struct Numbered {
    /// The first four bytes of an id; a time in seconds, roughly; the fingerprint of a key.
    pub head: u32,
    /// The slot. Where all else is equal, entries are sorted by it: one among a million with the
    /// same key is found as fast as any.
    pub number: SlotNumber,
}

/// A user name or a display name in the order of the texts. A resource has at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::index) struct Name {
    /// How it begins.
    pub head: Head,
    /// The slot.
    pub number: SlotNumber,
}

/// An email in the order of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::index) struct Email {
    /// How it begins.
    pub head: Head,
    /// The slot.
    pub number: SlotNumber,
    /// Where in its keys the email begins, in bytes before their end.
    pub back: u32,
}

/// Where one slot stands in one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::index) enum Mention {
    /// By id.
    Id,
    /// In order of creation.
    Born,
    /// By a time.
    Time(Time),
    /// By a key of this fingerprint.
    Print(Index, u32),
    /// By user name or display name.
    Name(Index),
    /// By the email there.
    Email(u32),
}

/// What happens to a mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::index) enum Step {
    /// It comes.
    Insert,
    /// It goes.
    Remove,
}

impl Step {
    /// Makes the step with `entry` in `list`; `before` says which entries are before it.
    fn apply<E: Copy + PartialEq>(
        self,
        list: &mut Sorted<E>,
        entry: E,
        before: impl Fn(E) -> bool,
    ) {
        match self {
            Self::Insert => list.insert(entry, before),
            Self::Remove => list.remove(entry, before),
        }
    }
}

/// A text's entry.
pub(in crate::store::index) trait Text: Copy + PartialEq {
    /// How it begins.
    fn head(self) -> Head;
    /// Its slot.
    fn number(self) -> SlotNumber;
    /// Its text as a key of `index`.
    fn key(self, slots: &Slots, index: Index) -> Option<Key<'_>>;
}

impl Text for Name {
    fn head(self) -> Head {
        self.head
    }

    fn number(self) -> SlotNumber {
        self.number
    }

    fn key(self, slots: &Slots, index: Index) -> Option<Key<'_>> {
        slots.get(self.number)?.keys.first(index)
    }
}

impl Text for Email {
    fn head(self) -> Head {
        self.head
    }

    fn number(self) -> SlotNumber {
        self.number
    }

    fn key(self, slots: &Slots, _index: Index) -> Option<Key<'_>> {
        let back = usize::try_from(self.back).ok()?;
        slots.get(self.number)?.keys.at(back)
    }
}

/// The lists by fingerprint. Display names and emails have none: they are found by their text, and
/// seldom asked for.
#[derive(Debug, Default)]
pub(in crate::store::index) struct Prints {
    /// `userName`.
    user_name: Sorted<Numbered>,
    /// `externalId`.
    external_id: Sorted<Numbered>,
    /// `manager.value`.
    manager: Sorted<Numbered>,
}

impl Prints {
    /// The list of `index`.
    pub const fn get(&self, index: Index) -> Option<&Sorted<Numbered>> {
        match index {
            Index::UserName => Some(&self.user_name),
            Index::ExternalId => Some(&self.external_id),
            Index::Manager => Some(&self.manager),
            Index::DisplayName | Index::Email => None,
        }
    }

    /// The list of `index`, to change.
    pub const fn get_mut(&mut self, index: Index) -> Option<&mut Sorted<Numbered>> {
        match index {
            Index::UserName => Some(&mut self.user_name),
            Index::ExternalId => Some(&mut self.external_id),
            Index::Manager => Some(&mut self.manager),
            Index::DisplayName | Index::Email => None,
        }
    }
}

/// All lists of one kind in one directory.
#[derive(Debug, Default)]
pub(in crate::store::index) struct Lists {
    /// Makes fingerprints. Random for each process: else somebody could choose names whose
    /// fingerprints are equal, and look-ups would have to tell them apart one by one.
    prints: RandomState,
    /// By id, which is the order of the state's keys.
    pub by_id: Sorted<Numbered>,
    /// In order of creation.
    pub by_born: Sorted<SlotNumber>,
    /// By `meta.created`.
    pub by_created: Sorted<Numbered>,
    /// By `meta.lastModified`.
    pub by_modified: Sorted<Numbered>,
    /// By the fingerprint of each key.
    pub by_print: Prints,
    /// By user name.
    pub by_user_name: Sorted<Name>,
    /// By display name.
    pub by_display_name: Sorted<Name>,
    /// By email.
    pub by_email: Sorted<Email>,
}

/// The first four bytes of an id.
fn id_head(id: ResourceId) -> u32 {
    let [a, b, c, d, ..] = *id.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// A time in units of 1.024 s, held at the ends of what four bytes can say.
fn time_head(at: Timestamp) -> u32 {
    let units = at.millis().max(0) >> 10;
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// The entry of a slot by its id.
pub(in crate::store::index) fn by_id(id: ResourceId, number: SlotNumber) -> Numbered {
    let head = id_head(id);
    Numbered { head, number }
}

/// The entry of a slot by a time.
pub(in crate::store::index) fn by_time(at: Timestamp, number: SlotNumber) -> Numbered {
    let head = time_head(at);
    Numbered { head, number }
}

/// How an entry stands to an id.
fn id_order(slots: &Slots, entry: Numbered, id: ResourceId) -> Ordering {
    let heads = entry.head.cmp(&id_head(id));
    heads.then_with(|| slots.get(entry.number).map(|slot| slot.id).cmp(&Some(id)))
}

/// How an entry stands to a time.
pub(in crate::store::index) fn time_order(
    slots: &Slots,
    entry: Numbered,
    time: Time,
    at: Timestamp,
) -> Ordering {
    let heads = entry.head.cmp(&time_head(at));
    heads.then_with(|| {
        let slot = slots.get(entry.number);
        slot.map(|slot| slot.time(time)).cmp(&Some(at))
    })
}

/// How an entry stands to a text.
pub(in crate::store::index) fn text_order<E: Text>(
    slots: &Slots,
    entry: E,
    index: Index,
    key: Key<'_>,
) -> Ordering {
    let heads = entry.head().cmp(&key.head());
    heads.then_with(|| entry.key(slots, index).cmp(&Some(key)))
}

impl Lists {
    /// The fingerprint of a key.
    pub fn print(&self, key: Key<'_>) -> u32 {
        let hash = self.prints.hash_one(key);
        u32::try_from(hash >> u32::BITS).unwrap_or_default()
    }

    /// The number of the slot with this id.
    pub fn number_of(&self, slots: &Slots, id: ResourceId) -> Option<SlotNumber> {
        let mut found = self.by_id.equal(|entry| id_order(slots, entry, id));
        found.next().map(|entry| entry.number)
    }

    /// The entries by id after `after`, or all.
    pub fn after(
        &self,
        slots: &Slots,
        after: Option<ResourceId>,
    ) -> impl Iterator<Item = Numbered> {
        let before = |entry| after.is_some_and(|id| id_order(slots, entry, id).is_le());
        self.by_id.from(self.by_id.place(before))
    }

    /// The list by a time.
    pub const fn by_time(&self, time: Time) -> &Sorted<Numbered> {
        match time {
            Time::Created => &self.by_created,
            Time::Modified => &self.by_modified,
        }
    }

    /// Makes a step with one mention of a slot, which is as the mention says.
    pub fn step(
        &mut self,
        slots: &Slots,
        (number, slot): (SlotNumber, &Slot),
        mention: Mention,
        step: Step,
    ) {
        match mention {
            Mention::Id => {
                let before = |other| id_order(slots, other, slot.id).is_lt();
                step.apply(&mut self.by_id, by_id(slot.id, number), before);
            }
            Mention::Born => {
                let order = |other| slots.get(other).map(|other| other.born);
                let before = |other| (order(other), other) < (Some(slot.born), number);
                step.apply(&mut self.by_born, number, before);
            }
            Mention::Time(time) => {
                let list = match time {
                    Time::Created => &mut self.by_created,
                    Time::Modified => &mut self.by_modified,
                };
                let at = slot.time(time);
                let before = |other: Numbered| {
                    let order = time_order(slots, other, time, at);
                    order.then(other.number.cmp(&number)).is_lt()
                };
                step.apply(list, by_time(at, number), before);
            }
            Mention::Print(index, head) => {
                let entry = Numbered { head, number };
                if let Some(list) = self.by_print.get_mut(index) {
                    step.apply(list, entry, |other| other < entry);
                }
            }
            Mention::Name(index) => {
                let list = match index {
                    Index::UserName => &mut self.by_user_name,
                    _ => &mut self.by_display_name,
                };
                if let Some(key) = slot.keys.first(index) {
                    let head = key.head();
                    let entry = Name { head, number };
                    text_step(list, slots, (index, key), entry, step);
                }
            }
            Mention::Email(back) => {
                let key = usize::try_from(back).ok();
                if let Some(key) = key.and_then(|back| slot.keys.at(back)) {
                    let head = key.head();
                    let entry = Email { head, number, back };
                    let list = &mut self.by_email;
                    text_step(list, slots, (Index::Email, key), entry, step);
                }
            }
        }
    }

    /// Whether a slot stands where a mention of it says.
    pub fn have(
        &self,
        slots: &Slots,
        (number, slot): (SlotNumber, &Slot),
        mention: Mention,
    ) -> bool {
        match mention {
            Mention::Id => {
                let before = |other| id_order(slots, other, slot.id).is_lt();
                stands(&self.by_id, by_id(slot.id, number), before)
            }
            Mention::Born => {
                let order = |other| slots.get(other).map(|other| other.born);
                let before = |other| (order(other), other) < (Some(slot.born), number);
                stands(&self.by_born, number, before)
            }
            Mention::Time(time) => {
                let at = slot.time(time);
                stands(self.by_time(time), by_time(at, number), |other| {
                    let order = time_order(slots, other, time, at);
                    order.then(other.number.cmp(&number)).is_lt()
                })
            }
            Mention::Print(index, head) => {
                let entry = Numbered { head, number };
                let list = self.by_print.get(index);
                list.is_some_and(|list| stands(list, entry, |other| other < entry))
            }
            Mention::Name(index) => {
                let list = match index {
                    Index::UserName => &self.by_user_name,
                    _ => &self.by_display_name,
                };
                slot.keys.first(index).is_some_and(|key| {
                    let head = key.head();
                    text_stands(list, slots, (index, key), Name { head, number })
                })
            }
            Mention::Email(back) => {
                let key = usize::try_from(back).ok();
                let key = key.and_then(|back| slot.keys.at(back));
                key.is_some_and(|key| {
                    let head = key.head();
                    let entry = Email { head, number, back };
                    text_stands(&self.by_email, slots, (Index::Email, key), entry)
                })
            }
        }
    }

    /// Where `slot` is mentioned and `other`, in its place, would not be.
    pub fn mentions(&self, slot: &Slot, other: Option<&Slot>) -> Vec<Mention> {
        let mut mentions = Vec::with_capacity(16);
        let mut note = |differs: bool, mention| mentions.extend(differs.then_some(mention));
        note(other.map(|other| other.id) != Some(slot.id), Mention::Id);
        let born = other.map(|other| other.born);
        note(born != Some(slot.born), Mention::Born);
        for time in [Time::Created, Time::Modified] {
            let before = other.map(|other| other.time(time));
            note(before != Some(slot.time(time)), Mention::Time(time));
        }
        for index in [Index::UserName, Index::DisplayName] {
            if let Some(key) = slot.keys.first(index) {
                let before = other.and_then(|other| other.keys.first(index));
                note(before != Some(key), Mention::Name(index));
            }
        }
        let mut others = other.into_iter().flat_map(|other| other.keys.iter());
        let mut next = others.next();
        for member in slot.keys.iter() {
            while next.is_some_and(|next| next.order() < member.order()) {
                next = others.next();
            }
            let same = next.filter(|next| next.order() == member.order());
            if same.is_none() && self.by_print.get(member.index).is_some() {
                let print = self.print(member.key);
                note(true, Mention::Print(member.index, print));
            }
            if member.index == Index::Email {
                let back = u32::try_from(member.back).unwrap_or(u32::MAX);
                let moved = same.map(|same| same.back) != Some(member.back);
                note(moved, Mention::Email(back));
            }
        }
        mentions
    }
}

/// Makes a step with one text of a slot.
fn text_step<E: Text>(
    list: &mut Sorted<E>,
    slots: &Slots,
    (index, key): (Index, Key<'_>),
    entry: E,
    step: Step,
) {
    let number = entry.number();
    step.apply(list, entry, |other| {
        let order = text_order(slots, other, index, key);
        order.then(other.number().cmp(&number)).is_lt()
    });
}

/// Whether `entry` is in `list`; `before` says which entries are before it.
fn stands<E: Copy + PartialEq>(list: &Sorted<E>, entry: E, before: impl Fn(E) -> bool) -> bool {
    list.from(list.place(before)).next() == Some(entry)
}

/// Whether a text of a slot is in its list.
fn text_stands<E: Text>(
    list: &Sorted<E>,
    slots: &Slots,
    (index, key): (Index, Key<'_>),
    entry: E,
) -> bool {
    let number = entry.number();
    stands(list, entry, |other| {
        let order = text_order(slots, other, index, key);
        order.then(other.number().cmp(&number)).is_lt()
    })
}
