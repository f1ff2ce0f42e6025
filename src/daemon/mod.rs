//! The composition root: builds the rooms bottom-up, runs them, and drains them top-down.

mod certificate;
mod convert;
mod error;
mod observe;
mod operator;
mod run;
mod serve;
mod try_out;

pub use crate::daemon::error::StartError;
pub use crate::daemon::run::Running;
pub use crate::daemon::run::Seams;
pub use crate::daemon::run::start;
pub use crate::daemon::serve::Surroundings;
pub use crate::daemon::serve::serve;
pub use crate::daemon::try_out::Trial;
pub use crate::daemon::try_out::try_out;
