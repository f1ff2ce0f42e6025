//! Who is calling: bearer tokens, how they are made, checked, remembered and slowed down (design: credentials).
//!
//! Synchronous. [`Auth::authenticate`] never blocks and answers in microseconds for a token that this process has
//! verified before; the first time it hands back a [`check::PendingCheck`], which the caller runs on a blocking thread.
//! Which use case a scope allows is for the callers to ask; what an operator does with tokens is in `admin`.

mod check;
mod gate;
mod hash;
mod memory;
mod present;
mod refusal;
mod throttle;
mod token;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ring::hmac;

pub use crate::auth::check::Authentication;
pub use crate::auth::check::Caller;
use crate::auth::gate::Gate;
pub use crate::auth::hash::HashCost;
use crate::auth::memory::Memory;
pub use crate::auth::present::in_query;
pub use crate::auth::present::present;
pub use crate::auth::refusal::Refusal;
use crate::auth::throttle::Throttle;
use crate::auth::token::TokenForm;
use crate::base::clock::Clock;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::base::ident::IdSource;
use crate::base::ident::Revision;
use crate::base::ident::TokenId;
use crate::base::secret::Secret;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::Transaction;
use crate::store::error::CommitError;
use crate::store::error::Reject;
use crate::store::row::Scope;
use crate::store::row::TokenRow;

/// The setting that holds the key of the digests: 32 random bytes, made at the first start.
const KEY_SETTING: &str = "auth.key";
/// Addresses whose refusals are counted at the same time.
const ADDRESSES_MAX: usize = 16_384;
/// Token ids whose failures are counted at the same time.
const TOKENS_MAX: usize = 1_024;

/// How strict and how expensive checking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The cost of new hashes.
    pub cost: HashCost,
    /// argon2 computations at once.
    pub checks_parallel_max: usize,
    /// Requests that may wait for one.
    pub checks_waiting_max: usize,
    /// Failed argon2 checks for one token id within a minute, from which on it has to wait.
    pub token_failures_max: u32,
    /// Refusals for one address within a minute, from which on it has to wait.
    pub address_refusals_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cost: HashCost::default(),
            checks_parallel_max: 2,
            checks_waiting_max: 128,
            token_failures_max: 10,
            address_refusals_max: 300,
        }
    }
}

/// The room's state. Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Shared>);

/// What clones of [`Auth`] share.
struct Shared {
    /// Where tokens are.
    store: Store,
    /// The time.
    clock: Arc<dyn Clock>,
    /// Chance.
    ids: Arc<dyn IdSource>,
    /// The settings.
    settings: Settings,
    /// The key of the digests.
    digest_key: hmac::Key,
    /// Verified tokens.
    memory: Memory,
    /// Refusals by address.
    addresses: Throttle<IpAddr>,
    /// Failed argon2 checks by token.
    tokens: Throttle<TokenId>,
    /// The way to argon2.
    gate: Gate,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

/// Why something could not be done. Never the fault of a caller.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// argon2 refused.
    #[error("argon2: {0}")]
    Hash(String),
    /// The key of the digests is not 32 bytes.
    #[error("the setting {KEY_SETTING} is damaged")]
    KeyDamaged,
    /// Too many tokens are being checked or made at once.
    #[error("too many tokens are being checked at once")]
    Busy,
    /// The store failed.
    #[error("the store failed")]
    Commit(#[from] CommitError),
}

/// A token to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// The directory; `None` for the appliance.
    pub directory: Option<DirectoryId>,
    /// What it may do.
    pub scope: Scope,
    /// What the operator calls it.
    pub label: String,
    /// When it stops working.
    pub expires: Option<Timestamp>,
    /// When the operator wants to be reminded.
    pub rotate_by: Option<Timestamp>,
}

/// A token just made and not yet stored.
pub struct Issued {
    /// What to store.
    pub row: TokenRow,
    /// What to show, once.
    pub text: Secret<String>,
}

impl Auth {
    /// Opens the room; makes the key of the digests at the first start.
    ///
    /// # Errors
    ///
    /// [`AuthError::KeyDamaged`] or [`AuthError::Commit`].
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        settings: Settings,
    ) -> Result<Self, AuthError> {
        let digest_key = digest_key(&store, &*ids)?;
        Ok(Self(Arc::new(Shared {
            memory: Memory::new(&*ids),
            store,
            clock,
            ids,
            settings,
            digest_key,
            addresses: Throttle::new(ADDRESSES_MAX, settings.address_refusals_max),
            tokens: Throttle::new(TOKENS_MAX, settings.token_failures_max),
            gate: Gate::new(settings.checks_parallel_max, settings.checks_waiting_max),
        })))
    }

    /// Makes a token. It works from the moment its row is committed. Blocks for argon2.
    ///
    /// # Errors
    ///
    /// [`AuthError::Busy`] or [`AuthError::Hash`].
    pub fn issue(&self, new: NewToken) -> Result<Issued, AuthError> {
        let shared = &*self.0;
        let minted = token::mint(&*shared.ids);
        let form = TokenForm::parse(minted.text.expose())
            .map_err(|error| AuthError::Hash(error.to_string()))?;
        let mut salt = [0; 16];
        shared.ids.fill(&mut salt);
        let place = shared.gate.enter().ok_or(AuthError::Busy)?;
        let hash = hash::hash(form.secret(), &salt, shared.settings.cost)?;
        drop(place);
        let row = TokenRow {
            id: minted.id,
            directory: new.directory,
            scope: new.scope,
            label: new.label,
            hash,
            digest: hash::digest(&shared.digest_key, form.secret()),
            created: shared.clock.now(),
            expires: new.expires,
            rotate_by: new.rotate_by,
            revoked: None,
            last_used: None,
            revision: Revision::FIRST,
        };
        Ok(Issued {
            row,
            text: minted.text,
        })
    }

    /// When and from where the token was last used: in this process, or else as `row` says.
    pub fn last_use(&self, row: &TokenRow) -> Option<(Timestamp, String)> {
        match self.0.memory.last_use(row.id) {
            Some((at, from)) => Some((at, from.to_string())),
            None => row.last_used.clone(),
        }
    }

    /// Writes the last uses noted since the last call, and forgets tokens that are no longer good. To be called
    /// now and then and before the store is closed. Answers how many it wrote.
    ///
    /// # Errors
    ///
    /// [`AuthError::Commit`] when the store takes no writes; the uses are kept for the next call.
    pub fn flush_last_used(&self) -> Result<usize, AuthError> {
        let shared = &*self.0;
        let mut written = 0_usize;
        let mut failed = None;
        for (id, at, from) in shared.memory.take_unwritten() {
            let Some(row) = shared.store.token(id) else {
                continue;
            };
            if failed.is_some() {
                shared.memory.put_back(id);
                continue;
            }
            let mut row = TokenRow::clone(&row);
            let expect = Expect::Revision(row.revision);
            row.last_used = Some((at, from.to_string()));
            match shared.store.commit(Transaction {
                changes: vec![Change::PutToken { row, expect }],
                history: Vec::new(),
                audit: Vec::new(),
            }) {
                Ok(_) => written = written.saturating_add(1),
                // Somebody changed the row this moment: next time.
                Err(CommitError::Rejected(_)) => shared.memory.put_back(id),
                Err(error) => {
                    shared.memory.put_back(id);
                    failed = Some(error);
                }
            }
        }
        let now = shared.clock.now();
        shared.memory.keep(|id| {
            shared.store.token(id).is_some_and(|row| {
                row.revoked.is_none() && row.expires.is_none_or(|expires| now < expires)
            })
        });
        failed.map_or(Ok(written), |error| Err(error.into()))
    }
}

/// The public part of `text`, when it has the form of a token.
pub fn token_id(text: &str) -> Option<TokenId> {
    TokenForm::parse(text).ok().map(|token| token.id())
}

/// Reads the key of the digests, or makes it.
fn digest_key(store: &Store, ids: &dyn IdSource) -> Result<hmac::Key, AuthError> {
    if store.setting(KEY_SETTING).is_none() {
        let mut key = [0; 32];
        ids.fill(&mut key);
        let put = Change::PutSetting {
            name: KEY_SETTING.to_owned(),
            value: key.into(),
            expect: Expect::Absent,
        };
        match store.commit(Transaction {
            changes: vec![put],
            history: Vec::new(),
            audit: Vec::new(),
        }) {
            // Made by somebody else this moment: theirs is as good.
            Ok(_) | Err(CommitError::Rejected(Reject::Exists)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let key = store.setting(KEY_SETTING).ok_or(AuthError::KeyDamaged)?;
    if key.len() != 32 {
        return Err(AuthError::KeyDamaged);
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
}

#[cfg(test)]
pub mod tests;
