//! Checking a presented token: what is known of it, and whether it may enter.
//!
//! ```text
//! form (present.rs) → directory → row → remembered? ── yes ─→ Known        microseconds, no allocation
//!                                           │ no
//!                                      24-bit digest → standing → Check     argon2, on a blocking thread
//! ```
//!
//! Revocation, expiry and the state of the directory are read from the store at every request, so that they take
//! effect at once. Refusals are counted by address; a live token whose secret is remembered, or at least fits the
//! digest, is never held back by that: a flood through the same proxy must not shut Entra out.

use std::net::IpAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::auth::Auth;
use crate::auth::hash;
use crate::auth::present::Presented;
use crate::auth::present::form_refusal;
use crate::auth::refusal::Counted;
use crate::auth::refusal::Refusal;
use crate::auth::refusal::Unavailable;
use crate::auth::refusal::UnknownToken;
use crate::auth::refusal::UrlName;
use crate::auth::throttle::address_key;
use crate::auth::token::TokenForm;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryName;
use crate::base::ident::TokenId;
use crate::store::row::DirectoryRow;
use crate::store::row::Scope;
use crate::store::row::TokenRow;

/// Somebody whose token is right.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token.
    pub token: TokenId,
    /// Its directory, as it was when the token was checked.
    pub directory: Arc<DirectoryRow>,
    /// What the token may do.
    pub scope: Scope,
}

impl Caller {
    /// Whether the caller may change resources.
    pub const fn may_write(&self) -> bool {
        match self.scope {
            Scope::Provision => true,
            Scope::Read | Scope::Health => false,
        }
    }

    /// Demands that the caller may change resources.
    ///
    /// # Errors
    ///
    /// [`Refusal::Scope`] when not.
    pub const fn require_write(&self) -> Result<(), Refusal> {
        if self.may_write() {
            Ok(())
        } else {
            Err(Refusal::Scope {
                id: self.token,
                has: self.scope,
                needs: Scope::Provision,
            })
        }
    }
}

/// What is known of a caller without waiting.
pub enum Authentication {
    /// The token is right.
    Known(Caller),
    /// The token may be right; finding out takes tens of milliseconds of a blocking thread.
    Check(PendingCheck),
    /// Turned away.
    Refused(Refusal),
}

/// A check that has still to be carried out.
pub struct PendingCheck {
    /// Where.
    auth: Auth,
    /// The token, whole.
    text: Zeroizing<String>,
    /// The directory in the URL.
    directory: Box<str>,
    /// Who presents it.
    peer: IpAddr,
}

impl PendingCheck {
    /// Carries the check out. Blocks: for argon2, and for a place to run it in.
    ///
    /// # Errors
    ///
    /// The [`Refusal`], already counted.
    pub fn run(self) -> Result<Caller, Refusal> {
        let Some(_place) = self.auth.0.gate.enter() else {
            return Err(Refusal::Unavailable(Unavailable::LineFull));
        };
        let token =
            TokenForm::parse(&self.text).map_err(|error| form_refusal(&self.text, error))?;
        // Much may have happened in the line: the same token verified by another request, or revoked, or guessed
        // at too often.
        let row = match self.auth.decide(token, &self.directory, self.peer) {
            Decision::Known(caller) => return Ok(caller),
            Decision::Refused(refusal) => return Err(refusal),
            Decision::Check(row) => row,
        };
        let verified = self.auth.verify_secret(token, &row);
        let now = self.auth.0.clock.now();
        if let Err(refusal) = verified {
            if let Refusal::WrongSecret { id } = refusal {
                self.auth.0.tokens.failed(id, now);
            }
            return Err(self.auth.refuse(refusal, self.peer, now));
        }
        let now_row = self.auth.0.store.token(token.id());
        let caller = self
            .auth
            .standing(token.id(), now_row.as_deref(), &self.directory, now)
            .map_err(|refusal| self.auth.refuse(refusal, self.peer, now))?;
        let usage = Some((now, self.peer));
        self.auth.0.memory.remember(token, &row.hash, usage);
        Ok(caller)
    }
}

/// What [`Auth::decide`] finds.
enum Decision {
    /// Right, as remembered.
    Known(Caller),
    /// Turned away, and counted.
    Refused(Refusal),
    /// To be checked against this row's hash.
    Check(Arc<TokenRow>),
}

impl Auth {
    /// Who presents this token (`presented` is what [`present()`](crate::auth::present()) made of the request) to the
    /// directory of the URL, coming from `peer`. Never blocks; counts refusals.
    pub fn authenticate(
        &self,
        presented: Result<Presented<'_>, Refusal>,
        directory: &str,
        peer: IpAddr,
    ) -> Authentication {
        let token = match presented {
            Ok(presented) => presented.token,
            Err(refusal) => {
                let now = self.0.clock.now();
                return Authentication::Refused(self.refuse(refusal, peer, now));
            }
        };
        match self.decide(token, directory, peer) {
            Decision::Known(caller) => Authentication::Known(caller),
            Decision::Refused(refusal) => Authentication::Refused(refusal),
            Decision::Check(_) => Authentication::Check(PendingCheck {
                auth: self.clone(),
                text: token.to_text(),
                directory: directory.into(),
                peer,
            }),
        }
    }

    /// Whether `text` is a token that could enter its own directory now: for the operator, who holds it and wants to
    /// know. Blocks. Counts nothing.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that the token would meet.
    pub fn verify(&self, text: &str) -> Result<Arc<TokenRow>, Refusal> {
        let token = TokenForm::parse(text).map_err(|error| form_refusal(text.trim(), error))?;
        let now = self.0.clock.now();
        let unknown = Refusal::Unknown(UnknownToken::Id(token.id()));
        let Some(row) = self.0.store.token(token.id()) else {
            return Err(unknown);
        };
        if !self.0.memory.knows(token, &row.hash, None) {
            if hash::digest(&self.0.digest_key, token.secret()) != row.digest {
                return Err(Refusal::WrongSecret { id: row.id });
            }
            let Some(_place) = self.0.gate.enter() else {
                return Err(Refusal::Unavailable(Unavailable::LineFull));
            };
            self.verify_secret(token, &row)?;
        }
        let home = row.directory.map(|id| self.0.store.directory_by_id(id));
        match home {
            Some(Some(home)) => self.standing_at_home(&row, &home, now)?,
            Some(None) => return Err(unknown),
            None => good_until(&row, now)?,
        }
        Ok(row)
    }

    /// What can be said of the token without argon2.
    fn decide(&self, token: TokenForm<'_>, directory: &str, peer: IpAddr) -> Decision {
        let now = self.0.clock.now();
        let id = token.id();
        let row = self.0.store.token(id);
        let standing = self.standing(id, row.as_deref(), directory, now);
        let refused = |refusal| Decision::Refused(self.refuse(refusal, peer, now));
        let Some(row) = row else {
            return refused(
                standing
                    .err()
                    .unwrap_or(Refusal::Unknown(UnknownToken::Id(id))),
            );
        };
        let usage = standing.is_ok().then_some((now, peer));
        if self.0.memory.knows(token, &row.hash, usage) {
            return match standing {
                Ok(caller) => Decision::Known(caller),
                Err(refusal) => refused(refusal),
            };
        }
        // No directory of that name: 401 whatever the secret.
        if let Err(refusal @ Refusal::DirectoryUnknown { .. }) = standing {
            return refused(refusal);
        }
        if hash::digest(&self.0.digest_key, token.secret()) != row.digest {
            return refused(Refusal::WrongSecret { id });
        }
        // Who fits the digest holds the secret, give or take one in 16 million: enough to be told why the token is
        // refused, and not worth argon2.
        if let Err(refusal) = standing {
            return refused(refusal);
        }
        if let Some(retry_after_s) = self.0.tokens.wait_s(id, now) {
            return Decision::Refused(Refusal::Throttled {
                by: Counted::Token(id),
                retry_after_s,
            });
        }
        Decision::Check(row)
    }

    /// Compares the secret with the stored hash. Blocks; the caller holds a place.
    fn verify_secret(&self, token: TokenForm<'_>, row: &TokenRow) -> Result<(), Refusal> {
        match hash::fits(token.secret(), &row.hash) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::WrongSecret { id: row.id }),
            Err(error) => {
                tracing::error!(token.id = %row.id, %error, "cannot check the stored hash of token {}", row.id);
                Err(Refusal::Unavailable(Unavailable::Hash(row.id)))
            }
        }
    }

    /// What the store says of a token now, its secret set aside.
    fn standing(
        &self,
        id: TokenId,
        row: Option<&TokenRow>,
        directory: &str,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let home = row
            .and_then(|row| row.directory)
            .and_then(|id| self.0.store.directory_by_id(id));
        if let (Some(row), Some(home)) = (row, &home)
            && home.name.as_str() == directory
        {
            self.standing_at_home(row, home, now)?;
            return Ok(Caller {
                token: row.id,
                directory: Arc::clone(home),
                scope: row.scope,
            });
        }
        let asked = || UrlName::new(directory);
        let name = DirectoryName::parse(directory).ok();
        if name
            .and_then(|name| self.0.store.directory(&name))
            .is_none()
        {
            return Err(Refusal::DirectoryUnknown { asked: asked() });
        }
        Err(match (row, home) {
            (Some(_), Some(_)) => Refusal::WrongDirectory { id, asked: asked() },
            // A token of the appliance, for its health.
            (Some(row), None) if row.directory.is_none() => Refusal::Scope {
                id,
                has: row.scope,
                needs: Scope::Read,
            },
            // Its directory was deleted, or there was never such a token.
            (_, None) | (None, _) => Refusal::Unknown(UnknownToken::Id(id)),
        })
    }

    /// What the store says of a token at its own directory.
    fn standing_at_home(
        &self,
        row: &TokenRow,
        home: &DirectoryRow,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        good_until(row, now)?;
        if home.enabled {
            Ok(())
        } else {
            Err(Refusal::DirectoryDisabled { id: row.id })
        }
    }

    /// Counts a refusal against `peer`, and turns it into [`Refusal::Throttled`] when there were too many.
    fn refuse(&self, refusal: Refusal, peer: IpAddr, now: Timestamp) -> Refusal {
        // 403 goes to a caller who is known, and 503 is no fault of his.
        if !matches!(refusal.status(), 400 | 401) {
            return refusal;
        }
        let address = address_key(peer);
        if let Some(retry_after_s) = self.0.addresses.wait_s(address, now) {
            return Refusal::Throttled {
                by: Counted::Address(address),
                retry_after_s,
            };
        }
        self.0.addresses.failed(address, now);
        refusal
    }
}

/// Whether the token is neither revoked nor expired at `now`.
fn good_until(row: &TokenRow, now: Timestamp) -> Result<(), Refusal> {
    if let Some(at) = row.revoked {
        return Err(Refusal::Revoked { id: row.id, at });
    }
    match row.expires {
        Some(at) if at <= now => Err(Refusal::Expired { id: row.id, at }),
        Some(_) | None => Ok(()),
    }
}
