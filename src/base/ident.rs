//! Identifiers, and where new ones come from.

use std::fmt;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use ring::rand::SecureRandom;
use ring::rand::SystemRandom;
use uuid::Uuid;

/// A directory's internal number. Never shown to clients, never given to a second directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub u32);

/// A directory's name: 1 to 40 characters of `a-z 0-9 -`. Part of its Tenant URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryName(Box<str>);

impl DirectoryName {
    /// Longest name, in characters.
    pub const CHARS_MAX: usize = 40;

    /// Parses a directory's name.
    ///
    /// # Errors
    ///
    /// [`BadDirectoryName`] when the text is empty, too long, or holds another character.
    pub fn parse(text: &str) -> Result<Self, BadDirectoryName> {
        let fits = (1..=Self::CHARS_MAX).contains(&text.len());
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if fits && text.bytes().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(BadDirectoryName)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory's Tenant URL, without a slash at its end, below the appliance's `public_url`, which has none either.
    pub fn tenant_url(&self, public_url: &str) -> String {
        [public_url, "/scim/", &self.0, "/v2"].concat()
    }
}

impl fmt::Display for DirectoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a directory's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a directory's name is 1 to 40 characters of a-z, 0-9 and -")]
pub struct BadDirectoryName;

/// A resource's `id` (RFC 7643 §3.1): a UUID in lower case with hyphens, permanent, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(Uuid);

impl ResourceId {
    /// The id that no resource has.
    pub const NIL: Self = Self(Uuid::nil());

    /// Parses an id as Rollcall writes it. `id` is `caseExact`, so any other spelling names nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        (id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(Self(id))
    }

    /// The id that these sixteen bytes spell.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The public part of a token: 10 characters of `a-z2-7`. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId([u8; 10]);

impl TokenId {
    /// Length of the text, in characters.
    pub const CHARS: usize = 10;
    /// The characters an id is made of: 32, so that five random bits choose one.
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

    /// Parses a token's id.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; Self::CHARS] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
            .then_some(Self(bytes))
    }

    /// A new id from `ids`.
    pub fn random(ids: &dyn IdSource) -> Self {
        let mut bytes = [0; Self::CHARS];
        ids.fill(&mut bytes);
        Self(bytes.map(|b| {
            Self::ALPHABET
                .get(usize::from(b % 32))
                .copied()
                .unwrap_or(b'a')
        }))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names one request in logs, answers (`X-Request-Id`) and history: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// A new id from `ids`.
    pub fn random(ids: &dyn IdSource) -> Self {
        ids.request_id()
    }

    /// The id's bytes, most significant first.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The id that these bytes spell.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// How often a resource has really changed: 1 when created. Its ETag is `W/"<revision>"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a resource just created.
    pub const FIRST: Self = Self(1);

    /// The revision after the next change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where chance comes from: new ids, secrets, salts.
pub trait IdSource: Send + Sync + fmt::Debug {
    /// Fills `bytes` with bytes that nobody can foretell (or, in tests, that everybody can).
    fn fill(&self, bytes: &mut [u8]);

    /// A source of its own for a thread beside, so that nothing it draws changes what others get.
    fn apart(&self) -> Box<dyn IdSource>;

    /// A new resource id.
    fn resource_id(&self) -> ResourceId {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        ResourceId(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// A new request id. It has to differ from all others, and is no secret.
    fn request_id(&self) -> RequestId {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        RequestId::from_bytes(bytes)
    }
}

/// The operating system's generator.
#[derive(Debug)]
pub struct RandomIds {
    /// Asks the kernel each time.
    system: SystemRandom,
    /// Request ids handed out.
    requests: AtomicU64,
    /// Make request ids of their numbers. Each process has its own keys, so the ids of two do not
    /// meet, and an id does not tell how many requests there were.
    keys: [RandomState; 2],
}

impl Default for RandomIds {
    fn default() -> Self {
        Self {
            system: SystemRandom::new(),
            requests: AtomicU64::new(0),
            keys: [RandomState::new(), RandomState::new()],
        }
    }
}

impl IdSource for RandomIds {
    fn fill(&self, bytes: &mut [u8]) {
        // Without chance there are no secrets: going on would be worse than stopping.
        #[expect(
            clippy::expect_used,
            reason = "Linux's getrandom cannot fail once it is seeded"
        )]
        self.system
            .fill(bytes)
            .expect("the operating system gives random bytes");
    }

    /// Without a system call: a request that only reads needs no other chance.
    fn request_id(&self) -> RequestId {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let [high, low] = &self.keys;
        let half = |key: &RandomState| u128::from(key.hash_one(number));
        RequestId((half(high) << 64) | half(low))
    }

    fn apart(&self) -> Box<dyn IdSource> {
        Box::new(Self::default())
    }
}

/// Counts up: every call yields the next number, big-endian, at the end of the bytes. For tests.
#[derive(Debug, Clone, Default)]
pub struct CountedIds(Arc<AtomicU64>);

impl IdSource for CountedIds {
    fn fill(&self, bytes: &mut [u8]) {
        let next = self.0.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        bytes.fill(0);
        for (to, from) in bytes.iter_mut().rev().zip(next.to_le_bytes()) {
            *to = from;
        }
    }

    fn apart(&self) -> Box<dyn IdSource> {
        Box::new(Self::default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::base::ident::CountedIds;
    use crate::base::ident::DirectoryName;
    use crate::base::ident::IdSource;
    use crate::base::ident::RandomIds;
    use crate::base::ident::ResourceId;
    use crate::base::ident::TokenId;

    #[test]
    fn a_directory_name_is_plain() {
        let longest = "a".repeat(40);
        for good in ["a", "entra", "hr-2", "-", longest.as_str()] {
            assert!(DirectoryName::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(41);
        for bad in ["", "Entra", "a b", "ä", "a/b", long.as_str()] {
            assert!(DirectoryName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = CountedIds::default().resource_id();
        assert_eq!(id.to_string(), "00000000-0000-4000-8000-000000000001");
        assert_eq!(ResourceId::parse(&id.to_string()), Some(id));
        for bad in [
            "",
            "00000000-0000-4000-8000-00000000000A",
            "00000000000040008000000000000001",
            "{00000000-0000-4000-8000-000000000001}",
            "00000000-0000-4000-8000-000000000001 ",
        ] {
            assert_eq!(ResourceId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn request_ids_differ_within_a_process_and_between_two() {
        let (one, other) = (RandomIds::default(), RandomIds::default());
        let ids: HashSet<_> = (0..1000)
            .flat_map(|_| [one.request_id(), other.request_id()])
            .collect();
        assert_eq!(ids.len(), 2000);
    }

    #[test]
    fn a_token_id_is_ten_characters() {
        let id = TokenId::random(&CountedIds::default());
        assert_eq!(id.as_str(), "aaaaaaaaab");
        assert_eq!(TokenId::parse("aaaaaaaaab"), Some(id));
        for bad in ["", "aaaaaaaaa", "aaaaaaaaabb", "aaaaaaaaa1", "AAAAAAAAAB"] {
            assert_eq!(TokenId::parse(bad), None, "{bad:?}");
        }
    }
}
