//! Use cases against a real store.

mod searches;
mod writes;
