//! The commit log: what has been appended and synced here is committed, and nothing else is.
//!
//! Segments are preallocated files of frames; a frame holds one group of transactions. Numbering,
//! conditions and meaning are `commit`'s; this folder knows bytes and files.

pub mod frame;
pub mod group;
pub mod read;
pub mod recycle;
pub mod segment;
pub mod tail;
pub mod write;

/// Folder of the log in the store's directory.
pub const FOLDER: &str = "log";

#[cfg(test)]
mod tests;
