//! The sorted lists that lead to slots. Most entries are no more than a slot's number: what they
//! are sorted by stands in the slot.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::hash::RandomState;

use crate::base::ident::ResourceId;
use crate::store::change::Index;
use crate::store::change::Time;
use crate::store::index::Slot;
use crate::store::index::SlotNumber;
use crate::store::index::keys::Key;
use crate::store::index::slots::Slots;
use crate::store::index::sorted::Sorted;

/// An entry by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::index) struct Headed {
    /// The first four bytes of the id: they tell nearly all apart without a look at the slots.
    head: u32,
    /// The slot.
    pub number: SlotNumber,
}

/// An entry by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store::index) struct Printed {
    /// The key's fingerprint.
    print: u32,
    /// The slot. Equal keys are sorted by it: any entry among a million of them is found as fast.
    pub number: SlotNumber,
}

/// A user name or a display name in the order of the texts. A resource has at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::index) struct Name(pub SlotNumber);

/// An email in the order of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::index) struct Email {
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
    /// Its slot.
    fn number(self) -> SlotNumber;
    /// Its text as a key of `index`.
    fn key(self, slots: &Slots, index: Index) -> Option<Key<'_>>;
}

impl Text for Name {
    fn number(self) -> SlotNumber {
        self.0
    }

    fn key(self, slots: &Slots, index: Index) -> Option<Key<'_>> {
        slots.get(self.0)?.keys.first(index)
    }
}

impl Text for Email {
    fn number(self) -> SlotNumber {
        self.number
    }

    fn key(self, slots: &Slots, _index: Index) -> Option<Key<'_>> {
        let back = usize::try_from(self.back).ok()?;
        slots.get(self.number)?.keys.at(back)
    }
}

/// One thing for each index.
#[derive(Debug, Default)]
pub(in crate::store::index) struct PerIndex<T> {
    /// `userName`.
    user_name: T,
    /// `displayName`.
    display_name: T,
    /// `externalId`.
    external_id: T,
    /// `emails.value`.
    email: T,
    /// `manager.value`.
    manager: T,
}

impl<T> PerIndex<T> {
    /// The one of `index`.
    pub const fn get(&self, index: Index) -> &T {
        match index {
            Index::UserName => &self.user_name,
            Index::DisplayName => &self.display_name,
            Index::ExternalId => &self.external_id,
            Index::Email => &self.email,
            Index::Manager => &self.manager,
        }
    }

    /// The one of `index`, to change.
    pub const fn get_mut(&mut self, index: Index) -> &mut T {
        match index {
            Index::UserName => &mut self.user_name,
            Index::DisplayName => &mut self.display_name,
            Index::ExternalId => &mut self.external_id,
            Index::Email => &mut self.email,
            Index::Manager => &mut self.manager,
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
    pub by_id: Sorted<Headed>,
    /// In order of creation.
    pub by_born: Sorted<SlotNumber>,
    /// By `meta.created`.
    pub by_created: Sorted<SlotNumber>,
    /// By `meta.lastModified`.
    pub by_modified: Sorted<SlotNumber>,
    /// By the fingerprint of each key.
    pub by_key: PerIndex<Sorted<Printed>>,
    /// By user name.
    pub by_user_name: Sorted<Name>,
    /// By display name.
    pub by_display_name: Sorted<Name>,
    /// By email.
    pub by_email: Sorted<Email>,
}

/// The first four bytes of an id.
fn head(id: ResourceId) -> u32 {
    let [a, b, c, d, ..] = *id.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The entry of a slot by its id.
pub(in crate::store::index) fn headed(id: ResourceId, number: SlotNumber) -> Headed {
    let head = head(id);
    Headed { head, number }
}

/// How an entry stands to an id.
fn id_order(slots: &Slots, entry: Headed, id: ResourceId) -> Ordering {
    let heads = entry.head.cmp(&head(id));
    heads.then_with(|| slots.get(entry.number).map(|slot| slot.id).cmp(&Some(id)))
}

impl Lists {
    /// The fingerprint of a key.
    pub fn print(&self, key: Key<'_>) -> u32 {
        let hash = self.prints.hash_one(key);
        u32::try_from(hash >> u32::BITS).unwrap_or_default()
    }

    /// A fingerprint's entry of a slot.
    pub fn printed(&self, key: Key<'_>, number: SlotNumber) -> Printed {
        let print = self.print(key);
        Printed { print, number }
    }

    /// The number of the slot with this id.
    pub fn number_of(&self, slots: &Slots, id: ResourceId) -> Option<SlotNumber> {
        let mut found = self.by_id.equal(|entry| id_order(slots, entry, id));
        found.next().map(|entry| entry.number)
    }

    /// The entries by id after `after`, or all.
    pub fn after(&self, slots: &Slots, after: Option<ResourceId>) -> impl Iterator<Item = Headed> {
        let before = |entry| after.is_some_and(|id| id_order(slots, entry, id).is_le());
        self.by_id.from(self.by_id.place(before))
    }

    /// The list by a time.
    pub const fn by_time(&self, time: Time) -> &Sorted<SlotNumber> {
        match time {
            Time::Created => &self.by_created,
            Time::Modified => &self.by_modified,
        }
    }

    /// The slots whose key has this fingerprint. A slot of two such keys comes twice.
    pub fn of_print(&self, index: Index, print: u32) -> impl Iterator<Item = SlotNumber> {
        let list = self.by_key.get(index);
        let found = list.equal(move |entry: Printed| entry.print.cmp(&print));
        found.map(|entry| entry.number)
    }

    /// How many keys have this fingerprint.
    pub fn count_of_print(&self, index: Index, print: u32) -> usize {
        let list = self.by_key.get(index);
        let start = list.rank(list.place(|entry| entry.print < print));
        let end = list.rank(list.place(|entry| entry.print <= print));
        end.saturating_sub(start)
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
                let before = |other: Headed| id_order(slots, other, slot.id).is_lt();
                step.apply(&mut self.by_id, headed(slot.id, number), before);
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
                let order = |other| slots.get(other).map(|other| other.time(time));
                let before = |other| (order(other), other) < (Some(slot.time(time)), number);
                step.apply(list, number, before);
            }
            Mention::Print(index, print) => {
                let entry = Printed { print, number };
                step.apply(self.by_key.get_mut(index), entry, |other| other < entry);
            }
            Mention::Name(index) => {
                let list = match index {
                    Index::UserName => &mut self.by_user_name,
                    _ => &mut self.by_display_name,
                };
                text_step(list, slots, index, Name(number), step);
            }
            Mention::Email(back) => {
                let entry = Email { number, back };
                text_step(&mut self.by_email, slots, Index::Email, entry, step);
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
            if same.is_none() {
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
fn text_step<E: Text>(list: &mut Sorted<E>, slots: &Slots, index: Index, entry: E, step: Step) {
    let order = |other: E| (other.key(slots, index), other.number());
    let own = order(entry);
    step.apply(list, entry, |other| order(other) < own);
}
