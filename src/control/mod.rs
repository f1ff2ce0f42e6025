//! The sockets of the command line: what is said over them, and both ends.
//!
//! Who may administer is decided by who can open which socket file: `admin.sock` takes every
//! request, `read.sock` beside it only those that change nothing (design: processes and sockets).
//! What a request does is decided by the handler that the server is given.

pub mod client;
pub mod failure;
pub mod protocol;
pub(crate) mod server;
pub mod socket;

#[cfg(test)]
mod tests;
