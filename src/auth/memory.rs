//! Tokens whose secret has been verified in this process, and when each was last used.
//!
//! What is remembered of a token is an HMAC of its secret under a key that exists only in this process. Whether
//! the token is still good is never remembered: the store's row is asked each time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use ring::hmac;

use crate::auth::token::TokenForm;
use crate::base::clock::Timestamp;
use crate::base::ident::IdSource;
use crate::base::ident::TokenId;

/// Tokens remembered at most; far more than an installation has live ones.
const TOKENS_MAX: usize = 65_536;
/// How exactly the time of the last use is known, in milliseconds.
const USE_STEP_MS: i64 = 1_000;

/// Verified tokens.
pub struct Memory {
    /// The key of this process.
    key: hmac::Key,
    /// By id.
    tokens: RwLock<HashMap<TokenId, Remembered>>,
}

/// One verified token.
struct Remembered {
    /// HMAC of its secret.
    tag: hmac::Tag,
    /// The stored hash that it was verified against. Another hash is another secret.
    hash: Box<str>,
    /// When it was last used.
    used: Arc<LastUse>,
}

/// When a token was last used, and from where.
struct LastUse {
    /// Milliseconds of the latest use noted. Lets the read path pass by the lock.
    at_millis: AtomicI64,
    /// The use itself, and whether it has still to be written.
    noted: Mutex<Noted>,
}

/// A use as noted.
#[derive(Clone, Copy, Default)]
struct Noted {
    /// When and from where.
    last: Option<(Timestamp, IpAddr)>,
    /// The store has not got it yet.
    unwritten: bool,
}

impl Default for LastUse {
    fn default() -> Self {
        Self {
            // Longer ago than any clock shows, so that the first use is noted.
            at_millis: AtomicI64::new(i64::MIN),
            noted: Mutex::default(),
        }
    }
}

impl LastUse {
    /// Notes a use now, unless one was noted less than a second ago.
    fn note(&self, now: Timestamp, from: IpAddr) {
        let before = self.at_millis.load(Ordering::Relaxed);
        // A clock that was set back is followed.
        if (0..USE_STEP_MS).contains(&now.millis().saturating_sub(before)) {
            return;
        }
        self.at_millis.store(now.millis(), Ordering::Relaxed);
        // Whoever holds the lock is noting the same second, or writing the last one out.
        if let Ok(mut noted) = self.noted.try_lock() {
            *noted = Noted {
                last: Some((now, from)),
                unwritten: true,
            };
        }
    }
}

impl Memory {
    /// An empty memory with a key from `ids`.
    pub fn new(ids: &dyn IdSource) -> Self {
        let mut key = [0; 32];
        ids.fill(&mut key);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            tokens: RwLock::default(),
        }
    }

    /// Whether this very secret was verified against `hash` before. Notes the `usage` if so.
    pub fn knows(
        &self,
        token: TokenForm<'_>,
        hash: &str,
        usage: Option<(Timestamp, IpAddr)>,
    ) -> bool {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let Some(remembered) = tokens.get(&token.id()) else {
            return false;
        };
        // ring compares in constant time.
        let same = hmac::verify(
            &self.key,
            token.secret().as_bytes(),
            remembered.tag.as_ref(),
        )
        .is_ok();
        let known = same && *remembered.hash == *hash;
        if let (true, Some((now, from))) = (known, usage) {
            remembered.used.note(now, from);
        }
        known
    }

    /// Remembers that the secret fits `hash`, and notes the `usage`.
    pub fn remember(&self, token: TokenForm<'_>, hash: &str, usage: Option<(Timestamp, IpAddr)>) {
        let tag = hmac::sign(&self.key, token.secret().as_bytes());
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS_MAX && !tokens.contains_key(&token.id()) {
            // Any will do: it costs its holder one check more.
            let victim = tokens.keys().next().copied();
            if let Some(victim) = victim {
                tokens.remove(&victim);
            }
        }
        let used = match tokens.entry(token.id()) {
            Entry::Occupied(entry) => Arc::clone(&entry.get().used),
            Entry::Vacant(_) => Arc::default(),
        };
        if let Some((now, from)) = usage {
            used.note(now, from);
        }
        tokens.insert(
            token.id(),
            Remembered {
                tag,
                hash: hash.into(),
                used,
            },
        );
    }

    /// Forgets the tokens that `good` does not hold for.
    pub fn keep(&self, good: impl Fn(TokenId) -> bool) {
        self.tokens
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|id, _| good(*id));
    }

    /// The last use of a token in this process.
    pub fn last_use(&self, id: TokenId) -> Option<(Timestamp, IpAddr)> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let noted = tokens.get(&id)?.used.noted.lock();
        noted.unwrap_or_else(PoisonError::into_inner).last
    }

    /// Takes the uses that the store has not got yet: from now on they count as written.
    pub fn take_unwritten(&self) -> Vec<(TokenId, Timestamp, IpAddr)> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let take = |(id, remembered): (&TokenId, &Remembered)| {
            let mut noted = remembered
                .used
                .noted
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let unwritten = std::mem::take(&mut noted.unwritten);
            noted
                .last
                .filter(|_| unwritten)
                .map(|(at, from)| (*id, at, from))
        };
        tokens.iter().filter_map(take).collect()
    }

    /// Gives back a use that could not be written.
    pub fn put_back(&self, id: TokenId) {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(remembered) = tokens.get(&id) {
            let noted = remembered.used.noted.lock();
            noted.unwrap_or_else(PoisonError::into_inner).unwritten = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::net::Ipv4Addr;

    use crate::auth::memory::Memory;
    use crate::auth::token::TokenForm;
    use crate::auth::token::mint;
    use crate::base::clock::Timestamp;
    use crate::base::ident::CountedIds;

    /// Where uses come from.
    const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_token_is_known_after_it_was_remembered_and_until_it_is_forgotten() {
        let ids = CountedIds::default();
        let memory = Memory::new(&ids);
        let (one, two) = (mint(&ids), mint(&ids));
        let one = TokenForm::parse(one.text.expose()).unwrap();
        let two = TokenForm::parse(two.text.expose()).unwrap();
        assert!(!memory.knows(one, "hash", None));
        memory.remember(one, "hash", None);
        for (token, hash, known) in [
            (one, "hash", true),
            (one, "other", false),
            (two, "hash", false),
        ] {
            assert_eq!(
                memory.knows(token, hash, None),
                known,
                "{} {hash}",
                token.id()
            );
        }
        memory.keep(|id| id != one.id());
        assert!(!memory.knows(one, "hash", None));
    }

    #[test]
    fn uses_are_noted_once_a_second_and_written_once() {
        let ids = CountedIds::default();
        let memory = Memory::new(&ids);
        let minted = mint(&ids);
        let token = TokenForm::parse(minted.text.expose()).unwrap();
        let at = Timestamp::from_millis;
        memory.remember(token, "hash", Some((at(5_000), FROM)));
        for (now, noted) in [
            (5_999, 5_000),
            (6_000, 6_000),
            (6_500, 6_000),
            (9_000, 9_000),
        ] {
            assert!(memory.knows(token, "hash", Some((at(now), FROM))));
            assert_eq!(
                memory.last_use(token.id()),
                Some((at(noted), FROM)),
                "{now}"
            );
        }
        assert_eq!(memory.take_unwritten(), [(token.id(), at(9_000), FROM)]);
        assert_eq!(memory.take_unwritten(), []);
        memory.put_back(token.id());
        assert_eq!(memory.take_unwritten(), [(token.id(), at(9_000), FROM)]);
    }
}
