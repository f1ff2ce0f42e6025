//! Rollcall: a SCIM 2.0 user directory as one binary. ARCHITECTURE.md tells how the rooms fit together.

pub mod base;
pub mod scim;
