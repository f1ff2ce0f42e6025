//! Every counter of the process, as fields of one struct.
//!
//! Labels are bounded: a label is an enum of [`labels`], a `&'static str` in a fixed table, or a
//! directory's name in a map with a limit. Never a user's name, an id or an address.

mod exposition;
mod labels;
mod numbers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::clock::Timestamp;
pub use crate::telemetry::metrics::exposition::Exposition;
pub use crate::telemetry::metrics::labels::Listener;
pub use crate::telemetry::metrics::labels::Method;
pub use crate::telemetry::metrics::labels::Route;
pub use crate::telemetry::metrics::numbers::Counter;
pub use crate::telemetry::metrics::numbers::Gauge;
use crate::telemetry::metrics::numbers::Histogram;
pub use crate::telemetry::metrics::numbers::Named;

/// The statuses that have a counter of their own, the most frequent first. Any other counts as 0 = "other".
const STATUSES: [u16; 25] = [
    200, 201, 204, 404, 401, 409, 400, 403, 405, 408, 412, 413, 414, 415, 304, 429, 431, 500, 501,
    503, 505, 410, 411, 507, 0,
];

/// How many directories the SCIM families tell apart; more count as "other".
const DIRECTORIES_MAX: usize = 1_000;

/// What one (listener, route, method) has seen.
#[derive(Debug)]
struct Cell {
    /// Answers by status, in the order of [`STATUSES`].
    statuses: [Counter; STATUSES.len()],
    /// Time from the head of the request to its answer.
    duration: Histogram,
}

impl Default for Cell {
    fn default() -> Self {
        Self {
            statuses: std::array::from_fn(|_| Counter::default()),
            duration: Histogram::default(),
        }
    }
}

/// What one directory has seen.
#[derive(Debug, Default)]
struct PerDirectory {
    /// Refusals by reason.
    errors: BTreeMap<&'static str, u64>,
    /// When a request of a known token last came.
    last_request: Option<Timestamp>,
    /// When a write was last acknowledged.
    last_write: Option<Timestamp>,
}

/// Every counter of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    /// One cell a (listener, route, method), in that order of significance; made when first needed.
    http: OnceLock<Box<[Cell]>>,
    /// Requests begun and not answered yet.
    pub http_in_flight: Gauge,
    /// Open connections.
    pub http_connections: Gauge,
    /// TLS handshakes that failed, by what went wrong.
    pub tls_handshake_failures: Named,
    /// Unix time in seconds at which the certificate in use expires; 0 without TLS.
    pub tls_expiry_s: Gauge,
    /// Refused credentials, by reason.
    pub auth_failures: Named,
    /// Tokens that needed argon2, and those that were remembered.
    pub auth_cache: Named,
    /// Deviations of a client that the dialect mended, by code.
    pub dialect_notes: Named,
    /// Panics that were caught.
    pub panics: Counter,
    /// What varies by directory.
    directories: Mutex<BTreeMap<Box<str>, PerDirectory>>,
}

impl Metrics {
    /// Notes one answered request.
    pub fn http_answered(
        &self,
        listener: Listener,
        route: Route,
        method: Method,
        status: u16,
        took: Duration,
    ) {
        let cells = self.cells();
        let at = (listener as usize * Route::ALL.len() + route as usize) * Method::ALL.len()
            + method as usize;
        let Some(cell) = cells.get(at) else { return };
        let column = STATUSES.iter().position(|known| *known == status);
        if let Some(counter) = cell.statuses.get(column.unwrap_or(STATUSES.len() - 1)) {
            counter.add_one();
        }
        cell.duration.observe(took);
    }

    /// Notes a SCIM error that a directory's client was sent.
    pub fn scim_error(&self, directory: &str, reason: &'static str) {
        self.per_directory(directory, |seen| {
            let count = seen.errors.entry(reason).or_default();
            *count = count.saturating_add(1);
        });
    }

    /// Notes that a known token's request came.
    pub fn scim_request(&self, directory: &str, at: Timestamp) {
        self.per_directory(directory, |seen| seen.last_request = Some(at));
    }

    /// Notes that a write was acknowledged.
    pub fn scim_write(&self, directory: &str, at: Timestamp) {
        self.per_directory(directory, |seen| seen.last_write = Some(at));
    }

    /// Forgets a directory that was deleted.
    pub fn forget_directory(&self, directory: &str) {
        self.directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(directory);
    }

    /// The cells of the HTTP families.
    fn cells(&self) -> &[Cell] {
        self.http.get_or_init(|| {
            let cells = Listener::ALL.len() * Route::ALL.len() * Method::ALL.len();
            (0..cells).map(|_| Cell::default()).collect()
        })
    }

    /// Lets `note` change what is known of `directory`.
    fn per_directory(&self, directory: &str, note: impl FnOnce(&mut PerDirectory)) {
        let mut all = self
            .directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = all.get_mut(directory) {
            return note(seen);
        }
        let name = if all.len() < DIRECTORIES_MAX {
            directory
        } else {
            "other"
        };
        note(all.entry(name.into()).or_default());
    }
}
