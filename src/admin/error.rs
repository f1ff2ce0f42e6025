//! Why a use case was not carried out, in the three parts that an operator reads: what, why, and what to do.

use std::fmt;

use crate::auth::AuthError;
use crate::store::error::CommitError;

/// A failure as the operator reads it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// What happened.
    pub what: String,
    /// Why it is so.
    pub why: String,
    /// What to do: a command where one helps.
    pub fix: String,
}

impl Problem {
    /// A problem of these three parts.
    pub fn new(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Why a use case was not carried out. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(Problem),
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(Problem),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(Problem),
    /// Not at the moment.
    #[error("{0}")]
    Unavailable(Problem),
    /// Something is broken.
    #[error("{0}")]
    Internal(Problem),
}

impl AdminError {
    /// The three parts.
    pub const fn problem(&self) -> &Problem {
        match self {
            Self::NotFound(problem)
            | Self::Conflict(problem)
            | Self::Invalid(problem)
            | Self::Unavailable(problem)
            | Self::Internal(problem) => problem,
        }
    }

    /// The error for a transaction that the store did not take. Callers look for the rejections that mean
    /// something to them first.
    pub(super) fn of_commit(error: &CommitError) -> Self {
        let what = "nothing was changed";
        match error {
            CommitError::Rejected(reject) => Self::Conflict(Problem::new(
                what,
                format!("somebody else changed the same thing at the same moment: {reject}"),
                "run the command again",
            )),
            CommitError::ReadOnly { .. } => Self::Unavailable(Problem::new(
                what,
                error.to_string(),
                "rollcall status      (tells since when and what to mend)",
            )),
            CommitError::NoSpace => Self::Unavailable(Problem::new(
                what,
                error.to_string(),
                "make room on the file system of the state directory",
            )),
            CommitError::Failed => Self::Unavailable(Problem::new(
                "the change may or may not have been stored",
                error.to_string(),
                "look whether it is there once the service is back: rollcall status",
            )),
        }
    }

    /// The error for a token that could not be made.
    pub(super) fn of_auth(error: &AuthError) -> Self {
        match error {
            AuthError::Commit(error) => Self::of_commit(error),
            AuthError::Busy => Self::Unavailable(Problem::new(
                "the token was not made",
                error.to_string(),
                "run the command again in a few seconds",
            )),
            AuthError::Hash(_) | AuthError::KeyDamaged => Self::Internal(Problem::new(
                "the token was not made",
                error.to_string(),
                "journalctl -u rollcall      (look for errors around now)",
            )),
        }
    }
}
