//! How a command can end badly, the words for it and the exit code.

use std::error::Error;
use std::io;

use crate::config::error::Problems;
use crate::control::failure::Failure;
use crate::control::failure::FailureKind;
use crate::daemon::StartError;

/// How a command ended when it did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The running rollcall, or the way to it, or the way it was asked.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] Problems),
    /// The daemon did not start, or stopped by itself.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A check found problems, and they are printed.
    #[error("the check found problems")]
    Found,
    /// Nobody takes what is printed.
    #[error("the output cannot be written")]
    Output(#[from] io::Error),
}

impl Failed {
    /// The command was typed in a way that cannot work.
    pub fn usage(what: &str, why: &str, fix: &str) -> Self {
        Self::Refused(
            Failure::new(FailureKind::Invalid, what.to_owned())
                .why(why.to_owned())
                .fix(fix.to_owned()),
        )
    }

    /// The exit code: a stable interface.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(failure) => match failure.kind {
                FailureKind::Invalid => 2,
                FailureKind::NotFound => 3,
                FailureKind::Conflict => 4,
                FailureKind::Unreachable => 5,
                FailureKind::NotPermitted => 6,
                FailureKind::Unavailable
                | FailureKind::UnknownVerb
                | FailureKind::Protocol
                | FailureKind::Internal => 1,
            },
            Self::Config(_) | Self::Found => 7,
            Self::Start(error) => error.exit_code(),
            // Whoever read the output wanted no more of it: `rollcall user list | head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) => 1,
        }
    }

    /// What happened, why, what to do, id. `None`: there is nothing to add to what was printed.
    pub fn words(&self) -> Option<Failure> {
        let plain = |what: String| Failure::new(FailureKind::Internal, what);
        match self {
            Self::Refused(failure) => Some(failure.clone()),
            Self::Config(problems) => Some(
                Failure::new(
                    FailureKind::Invalid,
                    "the configuration cannot be used".to_owned(),
                )
                .why(problems.to_string())
                .fix("mend every line above, then: rollcall config check".to_owned()),
            ),
            Self::Start(error) => {
                let failure = plain(error.to_string());
                Some(match causes(error) {
                    Some(why) => failure.why(why),
                    None => failure,
                })
            }
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Output(error) => {
                Some(plain("the output cannot be written".to_owned()).why(error.to_string()))
            }
            Self::Found => None,
        }
    }
}

/// The chain of causes below an error, if there is one.
fn causes(error: &dyn Error) -> Option<String> {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    (!texts.is_empty()).then(|| texts.join(": "))
}
