//! Why a caller was turned away, and what may be said about it to whom.
//!
//! The client learns from [`Refusal::detail`] what it could know anyway: what it sent, and, once it has shown
//! the secret, the state of its token. The log learns from [`Refusal::log_detail`] the rest. The two have
//! different types, so that one cannot be sent in place of the other.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::base::clock::Timestamp;
use crate::base::ident::TokenId;
use crate::store::row::Scope;

/// Why a caller was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No bearer token was presented.
    Missing {
        /// There was an `Authorization` header, with another scheme.
        other_scheme: bool,
    },
    /// The way the token was presented breaks RFC 6750.
    Malformed(Malformation),
    /// The URL carries a token.
    InQuery,
    /// The token is damaged: its check does not fit.
    Truncated {
        /// How many of its 64 characters arrived, when some are missing.
        chars: Option<usize>,
    },
    /// No such token.
    Unknown(UnknownToken),
    /// There is a token of this id, and the secret is another.
    WrongSecret {
        /// The token whose id was used.
        id: TokenId,
    },
    /// The token was revoked.
    Revoked {
        /// Which token.
        id: TokenId,
        /// When.
        at: Timestamp,
    },
    /// The token's time is over.
    Expired {
        /// Which token.
        id: TokenId,
        /// Since when.
        at: Timestamp,
    },
    /// The token belongs to another directory than the URL names.
    WrongDirectory {
        /// Which token.
        id: TokenId,
        /// The directory in the URL.
        asked: UrlName,
    },
    /// There is no directory of the name in the URL.
    DirectoryUnknown {
        /// The directory in the URL.
        asked: UrlName,
    },
    /// The token is right and its directory is disabled.
    DirectoryDisabled {
        /// Which token.
        id: TokenId,
    },
    /// The token is right and may not do this.
    Scope {
        /// Which token.
        id: TokenId,
        /// What it may do.
        has: Scope,
        /// What it would have to be allowed to do.
        needs: Scope,
    },
    /// The check could not be carried out. Nobody's token is wrong, so it is neither 401 nor 429: both
    /// send Entra into quarantine.
    Unavailable(Unavailable),
    /// Too many failures.
    Throttled {
        /// What they were counted by.
        by: Counted,
        /// Seconds to wait: the `Retry-After` header.
        retry_after_s: u32,
    },
}

/// How a token was presented against RFC 6750.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformation {
    /// More than one `Authorization` header.
    SeveralHeaders,
    /// The scheme and nothing after it.
    Empty,
    /// White space within the token: two tokens, or one pasted with a line break.
    Space,
}

/// What is known of an unknown token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownToken {
    /// It has not Rollcall's form.
    Foreign,
    /// It looks like a JWT, which Entra sends when its field Secret Token was left empty.
    Jwt,
    /// It has the right form, and nobody here has issued it (or its directory was deleted).
    Id(TokenId),
}

/// What failures were counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The caller's address.
    Address(IpAddr),
    /// The token whose secret was tried.
    Token(TokenId),
}

/// Why a check could not be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// Too many tokens are being checked for the first time at once.
    LineFull,
    /// The stored hash of this token cannot be read, or the memory to check it cannot be had.
    Hash(TokenId),
}

/// A name as it stood in a URL: shortened and escaped, so that it can be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlName(Box<str>);

impl UrlName {
    /// The name `text`.
    pub fn new(text: &str) -> Self {
        let start: String = text.chars().take(60).collect();
        Self(start.escape_debug().collect::<String>().into())
    }
}

/// What only the log may learn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDetail(String);

impl fmt::Display for LogDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Refusal {
    /// The HTTP status (RFC 6750 §3.1).
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::InQuery => 400,
            Self::Missing { .. }
            | Self::Truncated { .. }
            | Self::Unknown(_)
            | Self::WrongSecret { .. }
            | Self::Revoked { .. }
            | Self::Expired { .. }
            | Self::WrongDirectory { .. }
            | Self::DirectoryUnknown { .. } => 401,
            Self::DirectoryDisabled { .. } | Self::Scope { .. } => 403,
            Self::Throttled { .. } => 429,
            Self::Unavailable(_) => 503,
        }
    }

    /// The reason code, stable, for logs and metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "auth.missing",
            Self::Malformed(_) => "auth.malformed",
            Self::InQuery => "auth.in_query",
            Self::Truncated { .. } => "auth.truncated",
            Self::Unknown(_) => "auth.unknown",
            Self::WrongSecret { .. } => "auth.secret",
            Self::Revoked { .. } => "auth.revoked",
            Self::Expired { .. } => "auth.expired",
            Self::WrongDirectory { .. } => "auth.wrong_directory",
            Self::DirectoryUnknown { .. } => "auth.directory_unknown",
            Self::DirectoryDisabled { .. } => "path.directory_disabled",
            Self::Scope { .. } => "auth.scope",
            Self::Throttled { .. } => "rate.limited",
            Self::Unavailable(_) => "auth.unavailable",
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 §3), where the status wants one.
    pub const fn challenge(&self) -> Option<&'static str> {
        match self {
            // §3.1: without a credential there is nothing to call an error.
            Self::Missing { .. } => Some(r#"Bearer realm="rollcall""#),
            Self::Malformed(_) | Self::InQuery => {
                Some(r#"Bearer realm="rollcall", error="invalid_request""#)
            }
            // §3.1 wants a 401 to say the same for expired, revoked, malformed and unknown ones.
            Self::Truncated { .. }
            | Self::Unknown(_)
            | Self::WrongSecret { .. }
            | Self::Revoked { .. }
            | Self::Expired { .. }
            | Self::WrongDirectory { .. }
            | Self::DirectoryUnknown { .. } => {
                Some(r#"Bearer realm="rollcall", error="invalid_token""#)
            }
            Self::Scope { needs, .. } => Some(match needs {
                Scope::Provision => {
                    r#"Bearer realm="rollcall", error="insufficient_scope", scope="provision""#
                }
                Scope::Read => {
                    r#"Bearer realm="rollcall", error="insufficient_scope", scope="read""#
                }
                Scope::Health => {
                    r#"Bearer realm="rollcall", error="insufficient_scope", scope="health""#
                }
            }),
            Self::DirectoryDisabled { .. } | Self::Throttled { .. } | Self::Unavailable(_) => None,
        }
    }

    /// Seconds for the `Retry-After` header, where there is one.
    pub const fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Throttled { retry_after_s, .. } => Some(*retry_after_s),
            Self::Unavailable(_) => Some(1),
            Self::Missing { .. }
            | Self::Malformed(_)
            | Self::InQuery
            | Self::Truncated { .. }
            | Self::Unknown(_)
            | Self::WrongSecret { .. }
            | Self::Revoked { .. }
            | Self::Expired { .. }
            | Self::WrongDirectory { .. }
            | Self::DirectoryUnknown { .. }
            | Self::DirectoryDisabled { .. }
            | Self::Scope { .. } => None,
        }
    }

    /// The sentences for the client. An administrator reads them in the log of Entra.
    pub fn detail(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Missing {
                other_scheme: false,
            } => {
                "No credential was sent. Send the header Authorization: Bearer with a token of this directory."
            }
            Self::Missing { other_scheme: true } => {
                "The Authorization header does not use the scheme Bearer, the only one accepted here. \
                 Send Authorization: Bearer with a token of this directory."
            }
            Self::Malformed(Malformation::SeveralHeaders) => {
                "The request has more than one Authorization header. Send exactly one."
            }
            Self::Malformed(Malformation::Empty) => {
                "The Authorization header says Bearer and no token follows. Paste the token again."
            }
            Self::Malformed(Malformation::Space) => {
                "The token has a space or line break in it. Send exactly one token, in one piece."
            }
            Self::InQuery => {
                "The URL carries a token. Tokens in URLs end up in logs and are refused: send it in the \
                 Authorization header, and replace this one, since others may have seen it."
            }
            Self::Truncated { chars: Some(chars) } => {
                return Cow::Owned(format!(
                    "The token is cut off: {chars} of 64 characters arrived. Copy all of it and paste it again."
                ));
            }
            Self::Truncated { chars: None } => {
                "The token is damaged: a character was lost, added or changed since it was issued. \
                 Copy all of it and paste it again."
            }
            Self::Unknown(UnknownToken::Foreign) => {
                "This is not a Rollcall token: those begin with rc_ and have 64 characters. Paste the token \
                 that rollcall token create printed."
            }
            Self::Unknown(UnknownToken::Jwt) => {
                "This is a JWT, not a Rollcall token. Entra sends its own when the field Secret Token is \
                 empty: paste the token that rollcall token create printed."
            }
            // One answer for all of these: nobody shall learn which tokens exist without a secret, nor which
            // directories exist besides his own.
            Self::Unknown(UnknownToken::Id(_))
            | Self::WrongSecret { .. }
            | Self::WrongDirectory { .. }
            | Self::DirectoryUnknown { .. } => {
                "The token is not valid here. Compare the Tenant URL with the one that was issued with the \
                 token, or create a new token with rollcall token create."
            }
            Self::Revoked { .. } => {
                "The token was revoked. Create a new one with rollcall token create and paste it."
            }
            Self::Expired { .. } => {
                "The token has expired. Create a new one with rollcall token create and paste it."
            }
            Self::DirectoryDisabled { .. } => {
                "The directory is disabled. An operator enables it with rollcall directory enable."
            }
            Self::Scope {
                needs: Scope::Provision,
                ..
            } => "The token may read and not write. Use one of scope provision.",
            Self::Scope { .. } => {
                "The token is not for this interface. Use one of scope provision or read."
            }
            Self::Unavailable(_) => "The token cannot be checked at the moment. Try again.",
            Self::Throttled { .. } => {
                "Too many failed attempts within a minute. Wait, and mend the token first."
            }
        })
    }

    /// What the log learns beyond that.
    pub fn log_detail(&self) -> LogDetail {
        LogDetail(match self {
            Self::Missing {
                other_scheme: false,
            } => "no Authorization header".to_owned(),
            Self::Missing { other_scheme: true } => {
                "an Authorization header with another scheme than Bearer".to_owned()
            }
            Self::Malformed(Malformation::SeveralHeaders) => {
                "more than one Authorization header".to_owned()
            }
            Self::Malformed(Malformation::Empty) => "Bearer without a token".to_owned(),
            Self::Malformed(Malformation::Space) => "white space within the token".to_owned(),
            Self::InQuery => "a token in the URL".to_owned(),
            Self::Truncated { chars: Some(chars) } => {
                format!("a token cut off after {chars} of 64 characters")
            }
            Self::Truncated { chars: None } => "a token whose check does not fit".to_owned(),
            Self::Unknown(UnknownToken::Foreign) => "not a Rollcall token".to_owned(),
            Self::Unknown(UnknownToken::Jwt) => {
                "a JWT: the field Secret Token in Entra may be empty".to_owned()
            }
            Self::Unknown(UnknownToken::Id(id)) => format!("no token {id}"),
            Self::WrongSecret { id } => format!("wrong secret for token {id}"),
            Self::Revoked { id, at } => format!("token {id} was revoked at {at}"),
            Self::Expired { id, at } => format!("token {id} expired at {at}"),
            Self::WrongDirectory { id, asked } => {
                format!("token {id} does not belong to directory \"{}\"", asked.0)
            }
            Self::DirectoryUnknown { asked } => format!("no directory \"{}\"", asked.0),
            Self::DirectoryDisabled { id } => format!("the directory of token {id} is disabled"),
            Self::Scope { id, has, needs } => format!(
                "token {id} has scope {}, the request needs {}",
                has.name(),
                needs.name()
            ),
            Self::Throttled { by, retry_after_s } => match by {
                Counted::Address(address) => {
                    format!("too many refusals for {address}, for another {retry_after_s} s")
                }
                Counted::Token(id) => {
                    format!("too many wrong secrets for token {id}, for another {retry_after_s} s")
                }
            },
            Self::Unavailable(Unavailable::LineFull) => {
                "too many tokens are being checked for the first time at once".to_owned()
            }
            Self::Unavailable(Unavailable::Hash(id)) => {
                format!("the stored hash of token {id} cannot be checked")
            }
        })
    }
}

#[cfg(test)]
mod tests;
