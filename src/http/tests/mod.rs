//! The listener over real sockets and real TLS, with a service that shows what it was given.

mod bounds;
mod harness;
mod pieces;
mod versions;
