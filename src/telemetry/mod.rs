//! What Rollcall tells about itself: log records and counters.
//!
//! Leaves to others: what is worth a record (every room decides at the place where it happens) and who may
//! read the counters (`http` serves the text that [`metrics::Metrics::exposition`] makes).

pub mod log;
pub mod metrics;
