//! The keys of one resource as memory keeps them: exact enough to tell any two apart, in few bytes,
//! and in one piece.
//!
//! A piece is a sequence of keys in the order of [`rank`], then of their bytes, each once:
//!
//! ```text
//! head (1)   number of the index | form << 4
//! TEXT       length (1), text        up to 64 bytes
//! LONG       48 bytes, 16 bytes      how a longer text begins; the beginning of its SHA-256
//! UUID       16 bytes                a UUID in lower case, where nobody asks for the order
//! USER_NAME  nothing                 an email that is the user name
//! ```

use std::cmp::Ordering;
use std::sync::Arc;

use ring::digest;

use crate::audit::bytes::BadBytes;
use crate::base::ident::ResourceId;
use crate::store::change::Index;

/// Longest text that is kept as it is, in bytes.
const TEXT_BYTES_MAX: usize = 64;
/// How much of a longer text is kept, in bytes.
pub(in crate::store::index) const LONG_BYTES: usize = 48;
/// Head bit of the form.
const FORM_SHIFT: u32 = 4;
/// The bits of the index's number.
const TAG_MASK: u8 = (1 << FORM_SHIFT) - 1;
/// Form of an email that is the user name.
const FORM_USER_NAME: u8 = 3;

/// How a key is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    /// Whole.
    Text,
    /// Beginning and checksum.
    Long,
    /// As the bytes of a UUID.
    Uuid,
}

/// A key as it is kept. Two are equal when their texts are; their order is that of the texts, as
/// far as these are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store::index) struct Key<'a> {
    /// Its bytes.
    bytes: &'a [u8],
    /// What they are.
    form: Form,
}

impl Key<'_> {
    /// Whether the text may begin with `prefix`: certain unless it and `prefix` are both longer
    /// than what is kept of long texts.
    pub fn may_begin_with(&self, prefix: &[u8]) -> bool {
        match self.form {
            Form::Text => self.bytes.starts_with(prefix),
            Form::Long => self.bytes.starts_with(beginning(prefix)),
            Form::Uuid => false,
        }
    }

    /// How what is kept of the text stands to the texts that begin with `start`, which is no
    /// longer than [`beginning`] leaves it.
    pub fn order(&self, start: &[u8]) -> Ordering {
        if self.bytes.starts_with(start) {
            Ordering::Equal
        } else {
            self.bytes.cmp(start)
        }
    }

    /// How it begins.
    pub fn head<const N: usize>(&self) -> Head<N> {
        let mut head = [0; N];
        for (to, from) in head.iter_mut().zip(self.bytes) {
            *to = *from;
        }
        Head(head)
    }
}

/// The first bytes of a text. Sorts as the texts do, if not as finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store::index) struct Head<const N: usize = 8>([u8; N]);

impl Head {
    /// How it stands to the texts that begin with `start`. When it is equal, they may not be.
    pub fn order(&self, start: &[u8]) -> Ordering {
        let known = start.len().min(self.0.len());
        let (head, start) = (self.0.get(..known), start.get(..known));
        head.cmp(&start)
    }
}

/// What is kept of a text, however long it is.
pub(in crate::store::index) fn beginning(text: &[u8]) -> &[u8] {
    text.get(..LONG_BYTES).unwrap_or(text)
}

/// A key of its own, to look for.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::index) struct KeyBuf {
    /// Its bytes, and what is left of their place.
    bytes: [u8; TEXT_BYTES_MAX],
    /// How many bytes.
    len: usize,
    /// What they are.
    form: Form,
}

impl KeyBuf {
    /// `text` as `index` keeps it.
    pub fn new(index: Index, text: &str) -> Self {
        let mut key = Self {
            bytes: [0; TEXT_BYTES_MAX],
            len: 0,
            form: Form::Text,
        };
        let exact = matches!(index, Index::ExternalId | Index::Manager);
        if let Some(id) = ResourceId::parse(text).filter(|_id| exact) {
            key.form = Form::Uuid;
            key.append(id.as_bytes());
        } else if text.len() <= TEXT_BYTES_MAX {
            key.append(text.as_bytes());
        } else {
            key.form = Form::Long;
            key.append(beginning(text.as_bytes()));
            key.append(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        }
        key
    }

    /// Appends as much as there is room for.
    fn append(&mut self, bytes: &[u8]) {
        let room = self.bytes.iter_mut().skip(self.len);
        let mut count = 0_usize;
        for (to, from) in room.zip(bytes) {
            *to = *from;
            count = count.saturating_add(1);
        }
        self.len = self.len.saturating_add(count);
    }

    /// The key.
    pub fn key(&self) -> Key<'_> {
        Key {
            bytes: self.bytes.get(..self.len).unwrap_or_default(),
            form: self.form,
        }
    }
}

/// Order of the indexes in a piece. The user name first, where an email finds it; emails last,
/// where a change of another key does not move them as seen from the end.
const fn rank(index: Index) -> u8 {
    match index {
        Index::UserName => 0,
        Index::DisplayName => 1,
        Index::ExternalId => 2,
        Index::Manager => 3,
        Index::Email => 4,
    }
}

/// A key in its piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::index) struct Member<'a> {
    /// Its index.
    pub index: Index,
    /// The key.
    pub key: Key<'a>,
    /// Bytes from its beginning to the end of the piece: where [`Keys::at`] finds it.
    pub back: usize,
}

impl Member<'_> {
    /// What members are sorted by.
    pub const fn order(&self) -> (u8, Key<'_>) {
        (rank(self.index), self.key)
    }
}

/// The keys of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Keys(Box<[u8]>);

impl Keys {
    /// Keeps these keys.
    pub fn new(keys: &[(Index, Arc<str>)]) -> Self {
        let mut sorted: Vec<(Index, KeyBuf)> = keys
            .iter()
            .map(|(index, text)| (*index, KeyBuf::new(*index, text)))
            .collect();
        sorted.sort_unstable_by(|(a_index, a), (b_index, b)| {
            (rank(*a_index), a.key()).cmp(&(rank(*b_index), b.key()))
        });
        sorted.dedup_by(|(a_index, a), (b_index, b)| a_index == b_index && a.key() == b.key());
        let user_name = sorted
            .first()
            .filter(|(index, _key)| *index == Index::UserName)
            .map(|(_index, key)| key.key());
        // Counted first: what is shrunk afterwards leaves gaps in memory that nothing fits into.
        let bytes = sorted.iter().map(|(index, key)| {
            let key = key.key();
            let is_user_name = *index == Index::Email && Some(key) == user_name;
            let text = usize::from(key.form == Form::Text);
            let len = key.bytes.len().saturating_add(text);
            len.saturating_mul(usize::from(!is_user_name))
        });
        let mut out = Vec::with_capacity(bytes.sum::<usize>().saturating_add(sorted.len()));
        for (index, key) in &sorted {
            let key = key.key();
            if *index == Index::Email && Some(key) == user_name {
                out.push(index.tag() | FORM_USER_NAME << FORM_SHIFT);
                continue;
            }
            let form = match key.form {
                Form::Text => 0,
                Form::Long => 1,
                Form::Uuid => 2,
            };
            out.push(index.tag() | form << FORM_SHIFT);
            if key.form == Form::Text {
                out.push(u8::try_from(key.bytes.len()).unwrap_or(u8::MAX));
            }
            out.extend_from_slice(key.bytes);
        }
        Self(out.into())
    }

    /// Reads a piece.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when [`Keys::new`] makes no such piece.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadBytes> {
        let keys = Self(bytes.into());
        let mut members = keys.iter();
        let sorted = members.by_ref().is_sorted_by(|a, b| a.order() < b.order());
        let whole = members.rest.is_empty();
        (sorted && whole).then_some(keys).ok_or(BadBytes)
    }

    /// The piece.
    pub const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The keys in their order.
    pub fn iter(&self) -> Members<'_> {
        Members {
            rest: &self.0,
            user_name: None,
        }
    }

    /// The first key of an index.
    pub fn first(&self, index: Index) -> Option<Key<'_>> {
        let mut members = self.iter();
        members
            .find(|member| member.index == index)
            .map(|member| member.key)
    }

    /// The key that begins `back` bytes before the end.
    pub fn at(&self, back: usize) -> Option<Key<'_>> {
        let start = self.0.len().checked_sub(back)?;
        let mut members = Members {
            rest: self.0.get(start..)?,
            user_name: self.iter().next().and_then(Member::user_name),
        };
        members.next().map(|member| member.key)
    }
}

impl<'a> Member<'a> {
    /// The key, when it is a user name.
    fn user_name(self) -> Option<Key<'a>> {
        (self.index == Index::UserName).then_some(self.key)
    }
}

/// Reads the keys of a piece. Ends early where the piece is no such.
#[derive(Clone, Debug)]
pub(in crate::store::index) struct Members<'a> {
    /// What is left of the piece.
    rest: &'a [u8],
    /// The first key, when it is a user name.
    user_name: Option<Key<'a>>,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let back = self.rest.len();
        let (head, rest) = self.rest.split_first()?;
        let index = Index::of_tag(head & TAG_MASK)?;
        let (form, len, rest) = match head >> FORM_SHIFT {
            0 => {
                let (len, rest) = rest.split_first()?;
                (Form::Text, usize::from(*len), rest)
            }
            1 => (Form::Long, TEXT_BYTES_MAX, rest),
            2 => (Form::Uuid, 16, rest),
            FORM_USER_NAME => {
                let key = self.user_name?;
                self.rest = rest;
                return Some(Member { index, key, back });
            }
            _ => return None,
        };
        let (bytes, rest) = rest.split_at_checked(len)?;
        if len > TEXT_BYTES_MAX {
            return None;
        }
        self.rest = rest;
        let key = Key { bytes, form };
        let member = Member { index, key, back };
        self.user_name = self.user_name.or_else(|| member.user_name());
        Some(member)
    }
}
