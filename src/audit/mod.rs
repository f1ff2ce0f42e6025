//! What happened, as entries: history (changes of resources, numbered per directory) and audit
//! (what operators and the command line did). Holds the entries and their bytes; `store` numbers
//! them and makes them durable inside the commit log.

pub mod bytes;
pub mod entry;
pub mod history;
