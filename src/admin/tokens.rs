//! Tokens: create, list, show, verify, revoke.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::admin::Admin;
use crate::admin::AdminError;
use crate::admin::Page;
use crate::admin::Problem;
use crate::admin::audit;
use crate::auth;
use crate::auth::NewToken;
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::base::ident::TokenId;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::error::CommitError;
use crate::store::error::Reject;
use crate::store::row::DirectoryRow;
use crate::store::row::Scope;
use crate::store::row::TokenRow;

/// Live provisioning tokens of one directory at most: two, so that one can be replaced without an outage.
pub(super) const LIVE_PROVISION_MAX: usize = 2;
/// Longest label, in characters.
const LABEL_CHARS_MAX: usize = 100;
/// Longest life that can be asked for, in milliseconds: ten years.
const LIFE_MS_MAX: i64 = 10 * 365 * DAY_MS;
/// A token without an end is to be replaced after this time, says `status`, in milliseconds.
const ROTATE_AFTER_MS: i64 = 365 * DAY_MS;
/// A day in milliseconds.
pub(super) const DAY_MS: i64 = 24 * 3_600_000;

/// A token to be created.
#[derive(Clone, Copy, Debug)]
pub struct TokenRequest<'a> {
    /// The directory's name.
    pub directory: &'a str,
    /// The scope's name.
    pub scope: &'a str,
    /// What the operator calls it; may be empty.
    pub label: &'a str,
    /// How long it works; `None` for ever.
    pub life: Option<Duration>,
}

/// Answer to `token create`.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
pub struct TokenCreated {
    /// Its public part.
    pub id: String,
    /// The token itself. Shown this once.
    pub token: String,
    /// What to paste in Entra beside it.
    pub tenant_url: String,
    /// What it may do.
    pub scope: &'static str,
    /// When it stops working; `None` for never.
    pub expires: Option<String>,
}

/// When a token was last used.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LastUse {
    /// When.
    pub at: String,
    /// From which address.
    pub from: String,
}

/// A token as it is listed and shown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TokenItem {
    /// Its public part.
    pub id: String,
    /// Its directory; `None` for the appliance's own.
    pub directory: Option<String>,
    /// The Tenant URL it works at.
    pub tenant_url: Option<String>,
    /// What it may do.
    pub scope: &'static str,
    /// What the operator calls it.
    pub label: String,
    /// `live`, `expired` or `revoked`.
    pub state: &'static str,
    /// When it was made.
    pub created: String,
    /// When it stops working; `None` for never.
    pub expires: Option<String>,
    /// When it is to be replaced.
    pub rotate_by: Option<String>,
    /// When it was revoked.
    pub revoked: Option<String>,
    /// When and from where it was last used.
    pub last_used: Option<LastUse>,
}

/// Answer to `token verify`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TokenVerdict {
    /// Whether a request with it would be let in.
    pub valid: bool,
    /// The public part, when the text has one.
    pub id: Option<String>,
    /// The token, when its secret is right.
    pub token: Option<TokenItem>,
    /// The reason code of the refusal.
    pub reason: Option<&'static str>,
    /// Why it would be refused.
    pub why: Option<String>,
    /// What to do about it.
    pub fix: Option<String>,
}

/// Answer to `token revoke`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TokenRevoked {
    /// Its public part.
    pub id: String,
    /// When it was revoked.
    pub revoked: String,
    /// Whether it worked until now.
    pub changed: bool,
}

impl Admin {
    /// Creates a token. The answer is the only place where it can be read.
    ///
    /// # Errors
    ///
    /// `NotFound` for the directory, `Invalid` for scope, label or life, `Conflict` when the directory has two live
    /// provisioning tokens.
    pub fn token_create(
        &self,
        request: TokenRequest<'_>,
        actor: &Actor,
    ) -> Result<TokenCreated, AdminError> {
        let scope = token_scope(request)?;
        let label = token_label(request.label)?;
        let life_ms = request.life.map(token_life_ms).transpose()?;
        let _turn = self.take_turn();
        let directory = self.directory(request.directory)?;
        if scope == Scope::Provision {
            self.refuse_third(&directory)?;
        }
        let now = self.clock.now();
        let expires = life_ms.map(|ms| now.plus_millis(ms));
        let issued = self
            .auth
            .issue(NewToken {
                directory: Some(directory.id),
                scope,
                label,
                expires,
                // One that ends by itself needs no other reminder.
                rotate_by: expires.is_none().then(|| now.plus_millis(ROTATE_AFTER_MS)),
            })
            .map_err(|error| AdminError::of_auth(&error))?;
        let id = issued.row.id;
        let detail = json!({
            "directory": directory.name.as_str(),
            "scope": scope.name(),
            "label": issued.row.label,
            "expires": expires.map(|at| at.to_string()),
        });
        let put = Change::PutToken {
            row: issued.row,
            expect: Expect::Absent,
        };
        self.commit(
            put,
            audit(actor, "token.create", format!("token {id}"), &detail),
        )
        .map_err(|error| AdminError::of_commit(&error))?;
        Ok(TokenCreated {
            id: id.to_string(),
            token: issued.text.expose().clone(),
            tenant_url: self.tenant_url(&directory.name),
            scope: scope.name(),
            expires: expires.map(|at| at.to_string()),
        })
    }

    /// The tokens of one directory, or of all; by directory and age.
    ///
    /// # Errors
    ///
    /// `NotFound` for the directory.
    pub fn token_list(&self, directory: Option<&str>) -> Result<Page<TokenItem>, AdminError> {
        let directories = match directory {
            Some(name) => vec![self.directory(name)?],
            None => self.store.directories(),
        };
        let rows = directories.iter().flat_map(|row| self.store.tokens(row.id));
        Ok(Page::whole(rows.map(|row| self.token_item(&row)).collect()))
    }

    /// One token, by its id or the beginning of it.
    ///
    /// # Errors
    ///
    /// `NotFound`, or `Conflict` when several ids begin so.
    pub fn token_show(&self, id: &str) -> Result<TokenItem, AdminError> {
        self.token(id).map(|row| self.token_item(&row))
    }

    /// Tells whether `text` is a token that would be let in, and if not, why.
    pub fn token_verify(&self, text: &str) -> TokenVerdict {
        let id = auth::token_id(text).map(|id| id.to_string());
        match self.auth.verify(text) {
            Ok(row) => TokenVerdict {
                valid: true,
                id,
                token: Some(self.token_item(&row)),
                reason: None,
                why: None,
                fix: None,
            },
            Err(refusal) => TokenVerdict {
                valid: false,
                id,
                token: None,
                reason: Some(refusal.reason()),
                why: Some(refusal.log_detail().to_string()),
                fix: Some(refusal.detail().into_owned()),
            },
        }
    }

    /// Revokes a token, by its id or the beginning of it. It is refused from the next request on.
    ///
    /// # Errors
    ///
    /// `NotFound`, or `Conflict` when several ids begin so.
    pub fn token_revoke(
        &self,
        id: &str,
        reason: Option<&str>,
        actor: &Actor,
    ) -> Result<TokenRevoked, AdminError> {
        let _turn = self.take_turn();
        // The last use may be written between our look and our commit: look again then. Nothing else writes rows.
        for _ in 0..8 {
            let row = self.token(id)?;
            if let Some(at) = row.revoked {
                return Ok(TokenRevoked {
                    id: row.id.to_string(),
                    revoked: at.to_string(),
                    changed: false,
                });
            }
            let now = self.clock.now();
            let put = Change::PutToken {
                expect: Expect::Revision(row.revision),
                row: TokenRow {
                    revoked: Some(now),
                    last_used: self.auth.last_use(&row),
                    revision: row.revision.next(),
                    ..TokenRow::clone(&row)
                },
            };
            let entry = audit(
                actor,
                "token.revoke",
                format!("token {}", row.id),
                &json!({"reason": reason}),
            );
            match self.commit(put, entry) {
                Ok(_) => {
                    return Ok(TokenRevoked {
                        id: row.id.to_string(),
                        revoked: now.to_string(),
                        changed: true,
                    });
                }
                Err(CommitError::Rejected(Reject::Changed { .. })) => {}
                Err(error) => return Err(AdminError::of_commit(&error)),
            }
        }
        Err(AdminError::Unavailable(Problem::new(
            "the token was not revoked",
            "its record kept changing",
            "run the command again",
        )))
    }

    /// The tokens of a directory that work now, oldest first.
    pub(super) fn live_tokens(&self, directory: DirectoryId) -> Vec<Arc<TokenRow>> {
        let now = self.clock.now();
        let mut rows = self.store.tokens(directory);
        rows.retain(|row| is_live(row, now));
        rows
    }

    /// What there is to say of a token.
    fn token_item(&self, row: &TokenRow) -> TokenItem {
        let home = row.directory.and_then(|id| self.store.directory_by_id(id));
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        TokenItem {
            id: row.id.to_string(),
            directory: home.as_ref().map(|home| home.name.to_string()),
            tenant_url: home.map(|home| self.tenant_url(&home.name)),
            scope: row.scope.name(),
            label: row.label.clone(),
            state: state(row, self.clock.now()),
            created: row.created.to_string(),
            expires: text(row.expires),
            rotate_by: text(row.rotate_by),
            revoked: text(row.revoked),
            last_used: self.auth.last_use(row).map(|(at, from)| LastUse {
                at: at.to_string(),
                from,
            }),
        }
    }

    /// The token of that id, or the only one whose id begins so.
    fn token(&self, id: &str) -> Result<Arc<TokenRow>, AdminError> {
        if let Some(row) = TokenId::parse(id).and_then(|id| self.store.token(id)) {
            return Ok(row);
        }
        let mut found: Vec<_> = self
            .store
            .directories()
            .iter()
            .flat_map(|row| self.store.tokens(row.id))
            .filter(|row| !id.is_empty() && row.id.as_str().starts_with(id))
            .collect();
        if found.len() > 1 {
            let ids: Vec<_> = found.iter().take(5).map(|row| row.id.to_string()).collect();
            return Err(AdminError::Conflict(Problem::new(
                format!("{} tokens begin with {id:?}", found.len()),
                format!(
                    "an id may be shortened while it is unique: {}",
                    ids.join(", ")
                ),
                "give more of the id",
            )));
        }
        found.pop().ok_or_else(|| {
            AdminError::NotFound(Problem::new(
                format!("no token {id:?}"),
                "a token is named by its id, the ten characters after rc_, or the beginning of it",
                "rollcall token list",
            ))
        })
    }

    /// Refuses when the directory has as many live provisioning tokens as it may have.
    fn refuse_third(&self, directory: &DirectoryRow) -> Result<(), AdminError> {
        let mut live = self.live_tokens(directory.id);
        live.retain(|row| row.scope == Scope::Provision);
        if live.len() < LIVE_PROVISION_MAX {
            return Ok(());
        }
        let ids: Vec<_> = live.iter().map(|row| row.id.to_string()).collect();
        // The one that was quiet for longest is most likely the forgotten one.
        let quiet = live
            .iter()
            .min_by_key(|row| self.auth.last_use(row).map_or(row.created, |(at, _)| at));
        let fix = quiet.map_or_else(String::new, |row| {
            let usage = match self.auth.last_use(row) {
                Some((at, from)) => format!("last used {} from {from}", ago(at, self.clock.now())),
                None => format!("made {}, never used", ago(row.created, self.clock.now())),
            };
            format!("rollcall token revoke {}      ({usage})", row.id)
        });
        Err(AdminError::Conflict(Problem::new(
            format!(
                "directory \"{}\" already has two live provisioning tokens ({})",
                directory.name,
                ids.join(", ")
            ),
            "two is the limit so that a forgotten token cannot stay valid unnoticed",
            fix,
        )))
    }
}

/// Whether a token works at `now`.
pub(super) fn is_live(row: &TokenRow, now: Timestamp) -> bool {
    row.revoked.is_none() && row.expires.is_none_or(|expires| now < expires)
}

/// The state of a token.
fn state(row: &TokenRow, now: Timestamp) -> &'static str {
    if row.revoked.is_some() {
        "revoked"
    } else if is_live(row, now) {
        "live"
    } else {
        "expired"
    }
}

/// The scope of a directory's token.
fn token_scope(request: TokenRequest<'_>) -> Result<Scope, AdminError> {
    match Scope::parse(request.scope) {
        Some(scope @ (Scope::Provision | Scope::Read)) => Ok(scope),
        Some(Scope::Health) | None => Err(AdminError::Invalid(Problem::new(
            format!("no scope {:?}", request.scope),
            "a directory's token may either provision (read and write) or read",
            format!(
                "rollcall token create --directory {} --scope provision",
                request.directory
            ),
        ))),
    }
}

/// A label that can be printed in one line.
fn token_label(label: &str) -> Result<String, AdminError> {
    let label = label.trim();
    if label.chars().count() <= LABEL_CHARS_MAX && !label.chars().any(char::is_control) {
        return Ok(label.to_owned());
    }
    Err(AdminError::Invalid(Problem::new(
        "the label does not fit",
        format!("a label has up to {LABEL_CHARS_MAX} characters and no line breaks"),
        "--label \"Entra, production\"",
    )))
}

/// A life in milliseconds.
fn token_life_ms(life: Duration) -> Result<i64, AdminError> {
    match i64::try_from(life.as_millis()) {
        Ok(ms @ 1_000..=LIFE_MS_MAX) => Ok(ms),
        Ok(_) | Err(_) => Err(AdminError::Invalid(Problem::new(
            "the token would not work that long",
            "a token works for between one second and ten years, or for ever",
            "--expires 90d      or --expires never",
        ))),
    }
}

/// How long ago `at` was, in words.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let ms = now.millis().saturating_sub(at.millis());
    for (unit_ms, unit) in [(DAY_MS, "day"), (3_600_000, "hour"), (60_000, "minute")] {
        let count = ms / unit_ms;
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            return format!("{count} {unit}{plural} ago");
        }
    }
    "just now".to_owned()
}
