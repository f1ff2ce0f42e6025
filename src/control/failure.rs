//! Why a request was not carried out, as it goes over the socket.

use serde::Deserialize;
use serde::Serialize;

/// What kind of failure: decides the exit code of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request cannot be right, whatever the state.
    Invalid,
    /// What it names is not there.
    NotFound,
    /// The state forbids it.
    Conflict,
    /// Not through this socket.
    NotPermitted,
    /// Not now: storage refuses writes, or too much is going on.
    Unavailable,
    /// The server does not know the verb.
    UnknownVerb,
    /// Client and server do not understand each other.
    Protocol,
    /// Nobody listens. Only a client says so.
    Unreachable,
    /// Something failed that should not; the log knows more. Also every kind this version does
    /// not know.
    #[serde(other)]
    Internal,
}

/// Why a request was not carried out, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What happened.
    pub what: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Under which id the log knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Failure {
    /// A failure of which no more is said.
    pub const fn new(kind: FailureKind, what: String) -> Self {
        Self {
            kind,
            what,
            why: None,
            fix: None,
            id: None,
        }
    }

    /// Says why.
    #[must_use]
    pub fn why(mut self, why: String) -> Self {
        self.why = Some(why);
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn fix(mut self, fix: String) -> Self {
        self.fix = Some(fix);
        self
    }
}
