//! All integration tests as modules of one binary: it links once.
//!
//! `harness` and `wire` are what the others stand on; only `harness` knows how an appliance is started.
#![expect(
    clippy::string_slice,
    reason = "a test that cuts a text wrongly fails, and that is all"
)]

#[cfg(test)]
mod auth;
#[cfg(test)]
mod bad_bodies;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod history;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod logging;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod people;
#[cfg(test)]
mod probes;
#[cfg(test)]
mod process;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod roster;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod walks;
#[cfg(test)]
mod wire;
