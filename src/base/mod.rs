//! Words every room shares: time, identifiers, secrets, who acts. A closed list of files.

pub mod actor;
pub mod clock;
pub mod ident;
pub mod secret;
