//! What the state is made of: cells, each a key and a content with a checksum. A content larger
//! than one value of the engine continues in further keys. Knows the bytes, not the engine.

use std::fmt;
use std::sync::Arc;

use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::base::ident::TokenId;
use crate::scim::schema::ResourceKind;

/// Most bytes of one value. sled moves pages over 128 KiB to files that it never syncs, and a
/// page holds up to 16 values, so this keeps far away from them (ARCHITECTURE.md, "Invariants").
pub(in crate::store) const VALUE_BYTES_MAX: usize = 4096;
/// Bytes before the content in a cell's first value: checksum and length.
const HEAD_BYTES: usize = 8;
/// Bytes of the part number at the end of every key.
const PART_BYTES: usize = 2;
/// Longest name of a setting, in bytes.
pub(in crate::store) const SETTING_NAME_BYTES_MAX: usize = 128;

/// The appliance's own counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) enum Counter {
    /// The highest directory number ever given.
    Directory,
    /// The number of the last audit entry.
    Audit,
}

/// Names a cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) enum Key {
    /// This directory was deleted and its cells are to be purged.
    Purge(DirectoryId),
    /// A directory's row.
    Directory(DirectoryId),
    /// The number of a directory's last history entry.
    History(DirectoryId),
    /// A counter of the appliance.
    Counter(Counter),
    /// A setting.
    Setting(Box<str>),
    /// A token's row; directory 0 holds the appliance's own.
    Token(DirectoryId, TokenId),
    /// A resource.
    Resource(DirectoryId, ResourceKind, ResourceId),
    /// A membership: the group, then the member. There is nothing more to say of one.
    Member(DirectoryId, ResourceId, ResourceId),
    /// What is left of a resource that was deleted and can be restored.
    Deleted(DirectoryId, ResourceId),
}

/// Tables in the order of their keys: what a start must know first comes first. 0 is the state's
/// own record of how far it is.
mod table {
    /// Directories to purge.
    pub const PURGE: u8 = 1;
    /// Directories.
    pub const DIRECTORY: u8 = 2;
    /// Last history number of each directory.
    pub const HISTORY: u8 = 3;
    /// Counters of the appliance.
    pub const COUNTER: u8 = 4;
    /// Settings.
    pub const SETTING: u8 = 5;
    /// Tokens.
    pub const TOKEN: u8 = 6;
    /// Users.
    pub const USER: u8 = 7;
    /// Groups.
    pub const GROUP: u8 = 8;
    /// Memberships.
    pub const MEMBER: u8 = 9;
    /// Deleted resources.
    pub const DELETED: u8 = 10;
    /// Tables whose keys are purged with their directory.
    pub const OF_DIRECTORY: [u8; 7] = [DIRECTORY, HISTORY, TOKEN, USER, GROUP, MEMBER, DELETED];
}

impl Key {
    /// The key of a resource kind's table.
    const fn table_of(kind: ResourceKind) -> u8 {
        match kind {
            ResourceKind::User => table::USER,
            ResourceKind::Group => table::GROUP,
        }
    }

    /// Whether it is of one of the large tables: memory lists their cells in the order of the keys,
    /// and tells when it is ahead of the state with one.
    pub const fn is_of_many(&self) -> bool {
        matches!(
            self,
            Self::Resource(..) | Self::Member(..) | Self::Deleted(..)
        )
    }

    /// Table and directory number: where every key begins.
    fn head(table: u8, directory: DirectoryId) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        out.push(table);
        out.extend_from_slice(&directory.0.to_be_bytes());
        out
    }

    /// The key's bytes without a part number. Directory numbers are big-endian, so keys sort by
    /// table, then directory.
    pub fn stem(&self) -> Vec<u8> {
        match self {
            Self::Purge(id) => Self::head(table::PURGE, *id),
            Self::Directory(id) => Self::head(table::DIRECTORY, *id),
            Self::History(id) => Self::head(table::HISTORY, *id),
            Self::Counter(counter) => {
                let mut out = Self::head(table::COUNTER, DirectoryId(0));
                out.push(match counter {
                    Counter::Directory => 1,
                    Counter::Audit => 2,
                });
                out
            }
            Self::Setting(name) => {
                let mut out = Self::head(table::SETTING, DirectoryId(0));
                // The length first: no name's key may begin with another's, or their parts mix.
                out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(name.as_bytes());
                out
            }
            Self::Token(directory, id) => {
                let mut out = Self::head(table::TOKEN, *directory);
                out.extend_from_slice(id.as_str().as_bytes());
                out
            }
            Self::Resource(directory, kind, id) => {
                let mut out = Self::head(Self::table_of(*kind), *directory);
                out.extend_from_slice(id.as_bytes());
                out
            }
            Self::Member(directory, group, member) => {
                let mut out = Self::head(table::MEMBER, *directory);
                out.extend_from_slice(group.as_bytes());
                out.extend_from_slice(member.as_bytes());
                out
            }
            Self::Deleted(directory, id) => {
                let mut out = Self::head(table::DELETED, *directory);
                out.extend_from_slice(id.as_bytes());
                out
            }
        }
    }

    /// The key of one part of the cell.
    pub fn part(&self, part: u16) -> Vec<u8> {
        let mut out = self.stem();
        out.extend_from_slice(&part.to_be_bytes());
        out
    }

    /// The cell and part that a key names.
    pub fn decode(key: &[u8]) -> Option<(Self, u16)> {
        let (stem, part) = key.split_last_chunk::<PART_BYTES>()?;
        let (&table, rest) = stem.split_first()?;
        let (directory, rest) = rest.split_first_chunk::<4>()?;
        let directory = DirectoryId(u32::from_be_bytes(*directory));
        let id = |bytes: &[u8]| Some(ResourceId::from_bytes(bytes.try_into().ok()?));
        let resource = |kind| Some(Self::Resource(directory, kind, id(rest)?));
        let key = match (table, rest) {
            (table::PURGE, []) => Self::Purge(directory),
            (table::DIRECTORY, []) => Self::Directory(directory),
            (table::HISTORY, []) => Self::History(directory),
            (table::COUNTER, [1]) => Self::Counter(Counter::Directory),
            (table::COUNTER, [2]) => Self::Counter(Counter::Audit),
            (table::SETTING, [len, name @ ..]) if usize::from(*len) == name.len() => {
                Self::Setting(std::str::from_utf8(name).ok()?.into())
            }
            (table::TOKEN, _) => {
                Self::Token(directory, TokenId::parse(std::str::from_utf8(rest).ok()?)?)
            }
            (table::USER, _) => resource(ResourceKind::User)?,
            (table::GROUP, _) => resource(ResourceKind::Group)?,
            (table::MEMBER, _) => {
                let (group, member) = rest.split_first_chunk::<16>()?;
                Self::Member(directory, ResourceId::from_bytes(*group), id(member)?)
            }
            (table::DELETED, _) => Self::Deleted(directory, id(rest)?),
            _ => return None,
        };
        Some((key, u16::from_be_bytes(*part)))
    }

    /// The beginnings of all keys that go when directory `id` is purged.
    pub fn purged_with(id: DirectoryId) -> impl Iterator<Item = Vec<u8>> {
        table::OF_DIRECTORY
            .into_iter()
            .map(move |table| Self::head(table, id))
    }
}

impl fmt::Display for Key {
    /// For people: never the name of a setting's value or anything of a person but the id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Purge(id) => write!(f, "the tombstone of directory {}", id.0),
            Self::Directory(id) => write!(f, "the row of directory {}", id.0),
            Self::History(id) => write!(f, "the history counter of directory {}", id.0),
            Self::Counter(Counter::Directory) => f.write_str("the counter of directories"),
            Self::Counter(Counter::Audit) => f.write_str("the counter of the audit"),
            Self::Setting(name) => write!(f, "the setting {name}"),
            Self::Token(_, id) => write!(f, "token {id}"),
            Self::Resource(directory, kind, id) => {
                write!(f, "{} {id} of directory {}", kind.name(), directory.0)
            }
            Self::Member(directory, group, member) => write!(
                f,
                "the membership of {member} in group {group} of directory {}",
                directory.0
            ),
            Self::Deleted(directory, id) => {
                write!(f, "what is left of {id} of directory {}", directory.0)
            }
        }
    }
}

/// What memory and state agree on about a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Mark {
    /// Checksum of key and content.
    pub crc: u32,
    /// Length of the content, in bytes.
    pub bytes: u32,
}

impl Mark {
    /// The mark of this content under this key. The key is part of it, so that two cells that
    /// changed places are found out.
    pub fn of(key: &Key, content: &[u8]) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&key.stem());
        hasher.update(content);
        Self {
            crc: hasher.finalize(),
            bytes: u32::try_from(content.len()).unwrap_or(u32::MAX),
        }
    }

    /// The first eight bytes of a cell's first value.
    fn head(self) -> [u8; HEAD_BYTES] {
        (u64::from(self.bytes) << 32 | u64::from(self.crc)).to_le_bytes()
    }

    /// Reads a cell's first value: its mark and the beginning of its content.
    pub fn read(value: &[u8]) -> Option<(Self, &[u8])> {
        let (head, content) = value.split_first_chunk::<HEAD_BYTES>()?;
        let [c0, c1, c2, c3, b0, b1, b2, b3] = *head;
        let mark = Self {
            crc: u32::from_le_bytes([c0, c1, c2, c3]),
            bytes: u32::from_le_bytes([b0, b1, b2, b3]),
        };
        Some((mark, content))
    }

    /// How many values the cell takes.
    pub fn parts(self) -> u16 {
        let bytes = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let parts = bytes.saturating_add(HEAD_BYTES).div_ceil(VALUE_BYTES_MAX);
        // RECORD_BYTES_MAX keeps every content far below 65 535 parts.
        u16::try_from(parts.max(1)).unwrap_or(u16::MAX)
    }

    /// The values of a cell with this mark and content, in the order of their parts.
    pub fn values(self, content: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::with_capacity(content.len().saturating_add(HEAD_BYTES));
        whole.extend_from_slice(&self.head());
        whole.extend_from_slice(content);
        whole.chunks(VALUE_BYTES_MAX).map(<[u8]>::to_vec).collect()
    }
}

/// One change of one cell, as memory hands it to the applier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Op {
    /// The cell.
    pub key: Key,
    /// What it was, when it was.
    pub old: Option<Mark>,
    /// What it is to be; nothing deletes it.
    pub new: Option<(Mark, Arc<[u8]>)>,
    /// Which change of a resource, a membership or what is left of a resource this is, within this
    /// process: lets memory tell whether what the state now has is what readers must see. 0 for
    /// anything else.
    pub ticket: u64,
}

impl Op {
    /// How many of the engine's keys it touches.
    pub fn keys(&self) -> usize {
        let old = self.old.map_or(0, Mark::parts);
        let new = self.new.as_ref().map_or(0, |(mark, _content)| mark.parts());
        usize::from(old.max(new))
    }

    /// The bytes it keeps waiting, roughly.
    pub fn bytes(&self) -> usize {
        let content = self
            .new
            .as_ref()
            .map_or(0, |(_mark, content)| content.len());
        content.saturating_add(128)
    }
}

/// Count of cells and an order-free hash over them: two states with the same tally hold the same
/// cells (by accident once in 2⁶⁴).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(in crate::store) struct Tally {
    /// How many cells.
    pub cells: u64,
    /// Wrapping sum over all of them.
    pub hash: u64,
}

impl Tally {
    /// Counts a cell in.
    pub fn add(&mut self, key: &Key, mark: Mark) {
        self.cells = self.cells.wrapping_add(1);
        self.hash = self.hash.wrapping_add(share(key, mark));
    }

    /// Counts a cell out.
    pub fn remove(&mut self, key: &Key, mark: Mark) {
        self.cells = self.cells.wrapping_sub(1);
        self.hash = self.hash.wrapping_sub(share(key, mark));
    }

    /// Counts what `op` does.
    pub fn apply(&mut self, op: &Op) {
        if let Some(mark) = op.old {
            self.remove(&op.key, mark);
        }
        if let Some((mark, _content)) = &op.new {
            self.add(&op.key, *mark);
        }
    }
}

/// One cell's share of the hash: FNV-1a over the key, mixed (splitmix64) with the mark. Written
/// out here because it is part of the format.
fn share(key: &Key, mark: Mark) -> u64 {
    let fnv = key
        .stem()
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let mix = |value: u64| {
        let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    mix(mix(fnv).wrapping_add(u64::from(mark.bytes) << 32 | u64::from(mark.crc)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::prelude::prop;
    use proptest::prop_assert;
    use proptest::prop_assert_eq;
    use proptest::proptest;

    use crate::base::ident::CountedIds;
    use crate::base::ident::DirectoryId;
    use crate::base::ident::IdSource;
    use crate::base::ident::ResourceId;
    use crate::base::ident::TokenId;
    use crate::scim::schema::ResourceKind;
    use crate::store::cell::Counter;
    use crate::store::cell::Key;
    use crate::store::cell::Mark;
    use crate::store::cell::Tally;
    use crate::store::cell::VALUE_BYTES_MAX;

    #[test]
    fn keys_sort_by_table_directory_cell_and_part() {
        let ids = CountedIds::default();
        let (first, second) = (ids.resource_id(), ids.resource_id());
        let token = TokenId::parse("aaaaaaaaaa").unwrap();
        let user = |directory, id, part| {
            (
                Key::Resource(DirectoryId(directory), ResourceKind::User, id),
                part,
            )
        };
        let sorted = [
            (Key::Purge(DirectoryId(300)), 0),
            (Key::Directory(DirectoryId(1)), 0),
            (Key::History(DirectoryId(1)), 0),
            (Key::Counter(Counter::Directory), 0),
            (Key::Counter(Counter::Audit), 0),
            (Key::Setting("b".into()), 0),
            (Key::Setting("b".into()), 1),
            (Key::Setting("a\0".into()), 0),
            (Key::Token(DirectoryId(0), token), 0),
            user(1, first, 0),
            user(1, first, 1),
            user(1, first, 256),
            user(1, second, 0),
            user(255, first, 0),
            user(256, first, 0),
            (Key::Resource(DirectoryId(1), ResourceKind::Group, first), 0),
            (Key::Member(DirectoryId(1), first, second), 0),
            (Key::Member(DirectoryId(1), second, first), 0),
            (Key::Deleted(DirectoryId(1), first), 0),
        ];
        let bytes: Vec<Vec<u8>> = sorted.iter().map(|(key, part)| key.part(*part)).collect();
        assert!(bytes.is_sorted(), "{bytes:?}");
        for ((key, part), bytes) in sorted.iter().zip(&bytes) {
            assert_eq!(Key::decode(bytes).as_ref(), Some(&(key.clone(), *part)));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bytes in [
            b"".as_slice(),
            b"\x00meta",
            b"\x09\0\0\0\x01\0\0",
            b"\x0a\0\0\0\x01\0\0",
            b"\x0b\0\0\0\x01\0\0",
            b"\x07\0\0\0\x01tooshort\0\0",
            b"\x05\0\0\0\0\x02a\0\0",
            b"\x06\0\0\0\0AAAAAAAAAA\0\0",
            b"\x02\0\0\0\x01x\0\0",
        ] {
            assert_eq!(Key::decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn parts_hold_at_most_a_value() {
        let key = Key::Setting("s".into());
        for (bytes, parts) in [(0, 1), (4088, 1), (4089, 2), (8184, 2), (8185, 3)] {
            let content = vec![7; bytes];
            let mark = Mark::of(&key, &content);
            let values = mark.values(&content);
            assert_eq!(values.len(), parts, "{bytes}");
            assert_eq!(usize::from(mark.parts()), parts, "{bytes}");
            assert!(values.iter().all(|value| value.len() <= VALUE_BYTES_MAX));
            let (read, begin) = Mark::read(&values[0]).unwrap();
            let rest = values[1..].iter().flatten();
            assert_eq!(read, mark);
            assert!(begin.iter().chain(rest).eq(content.iter()));
        }
    }

    proptest! {
        #[test]
        fn a_resources_key_is_read_back(directory: u32, id: [u8; 16], group: bool, part: u16) {
            let kind = if group { ResourceKind::Group } else { ResourceKind::User };
            let key = Key::Resource(DirectoryId(directory), kind, ResourceId::from_bytes(id));
            prop_assert_eq!(Key::decode(&key.part(part)), Some((key, part)));
        }

        #[test]
        fn a_tally_knows_no_order(cells in prop::collection::vec((any::<u32>(), any::<u32>()), 0..20)) {
            let mark = |crc| Mark { crc, bytes: 1 };
            let (mut forward, mut backward) = (Tally::default(), Tally::default());
            for (id, crc) in &cells {
                forward.add(&Key::Directory(DirectoryId(*id)), mark(*crc));
            }
            for (id, crc) in cells.iter().rev() {
                backward.add(&Key::Directory(DirectoryId(*id)), mark(*crc));
            }
            prop_assert_eq!(forward, backward);
            for (id, crc) in &cells {
                prop_assert!(cells.is_empty() || forward.cells > 0);
                forward.remove(&Key::Directory(DirectoryId(*id)), mark(*crc));
            }
            prop_assert_eq!(forward, Tally::default());
        }
    }
}
