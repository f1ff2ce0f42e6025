//! Why Rollcall did not start: each says what happened, why, and what to do.

use std::io;

use crate::auth::AuthError;
use crate::control::socket::SocketError;
use crate::http::ListenError;
use crate::http::TlsError;
use crate::store::error::OpenError;
use crate::telemetry::log::LogError;

/// Why Rollcall did not start, or stopped by itself, in words for the operator.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StartError(#[from] Reason);

impl StartError {
    /// The process's exit code: 70 (`EX_SOFTWARE`) when a supervised restart is the way out.
    pub const fn exit_code(&self) -> u8 {
        match self.0 {
            Reason::StoreFailed { .. } => 70,
            Reason::Log(_)
            | Reason::Store(_)
            | Reason::Auth(_)
            | Reason::Tls { .. }
            | Reason::Listen(_)
            | Reason::Socket(_)
            | Reason::System { .. }
            | Reason::Try { .. } => 1,
        }
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(in crate::daemon) enum Reason {
    /// The log cannot be set up.
    #[error("the log cannot be set up: {0}")]
    Log(#[from] LogError),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Tokens cannot be checked.
    #[error("tokens cannot be checked: {0}")]
    Auth(#[from] AuthError),
    /// The certificate cannot be used.
    #[error("{error}. {}", error.fix())]
    Tls {
        /// What is wrong with it.
        #[from]
        error: TlsError,
    },
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A local socket cannot be opened.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The operating system refused something that every start needs.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// The store failed while running; a restart is the way out.
    #[error(
        "the store has failed and cannot go on: {reason}. Acknowledged changes are safe. \
         Under systemd Rollcall starts again by itself; otherwise start it again, and check the \
         disk (`dmesg`, `smartctl`) if this comes back"
    )]
    StoreFailed {
        /// What the store says.
        reason: String,
    },
    /// `rollcall try` could not make or keep its files.
    #[error("cannot {doing} {path}: {why}")]
    Try {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: String,
        /// What went wrong.
        why: String,
    },
}
