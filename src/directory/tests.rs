//! Use cases against a real store.

mod cast;
mod conditions;
mod deletions;
mod fixture;
mod groups;
mod relations;
mod searches;
mod writes;
