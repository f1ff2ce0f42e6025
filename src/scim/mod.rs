//! The SCIM 2.0 protocol: schemas, paths, filters, patches, resources (RFC 7643, RFC 7644).
//!
//! Pure: no I/O, no clock, no runtime. The same input gives the same output on any machine.

pub mod error;
pub mod json;
pub mod schema;
pub mod text;
