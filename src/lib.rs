//! Rollcall: a SCIM 2.0 user directory as one binary. ARCHITECTURE.md tells how the rooms fit together.

mod admin;
mod api;
mod audit;
mod auth;
pub mod base;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
mod directory;
mod http;
pub mod measure;
pub mod scim;
mod store;
mod telemetry;
