//! What happened, as entries: history (changes of resources, numbered per directory) and audit
//! (what operators and the command line did). Holds the entries, their bytes and the chain over them;
//! `store` numbers them, makes them durable inside the commit log and keeps them in files.

pub mod bytes;
pub mod chain;
pub mod entry;
pub mod history;
