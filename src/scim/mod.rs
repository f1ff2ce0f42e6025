//! The SCIM 2.0 protocol: schemas, paths, filters, patches, resources (RFC 7643, RFC 7644).
//!
//! Pure: no I/O, no clock, no runtime. The same input gives the same output on any machine.

pub mod dialect;
pub mod discovery;
pub mod error;
pub mod etag;
pub mod filter;
pub mod json;
pub mod list;
pub mod members;
pub mod patch;
pub mod path;
pub mod query;
pub mod resource;
pub mod schema;
pub mod text;
