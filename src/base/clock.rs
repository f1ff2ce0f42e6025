//! Points in time and where they come from.
//!
//! Nothing in Rollcall asks the machine for the time directly: a [`Clock`] is handed in, so
//! that tests can hold it still and compare whole answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The point `millis` milliseconds later (earlier when negative), held at the ends of the range.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Parses an `xsd:dateTime` with date, time and zone (RFC 7643 §2.3.5). Fractions of a
    /// millisecond are cut.
    ///
    /// # Errors
    ///
    /// [`BadTimestamp`] when the text is not such a time.
    pub fn parse(text: &str) -> Result<Self, BadTimestamp> {
        text.parse::<jiff::Timestamp>()
            .map(|at| Self(at.as_millisecond()))
            .map_err(|_error| BadTimestamp)
    }
}

impl fmt::Display for Timestamp {
    /// UTC with three digits of fraction: `2026-01-31T07:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            // Only a damaged record can hold a time outside years -9999 to 9999.
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// The text is not a date and time with a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date and time with a zone, such as 2026-01-31T07:00:00Z")]
pub struct BadTimestamp;

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_millisecond())
    }
}

/// A clock that stands still until it is moved. For tests.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.0)))
    }

    /// Moves the clock forward by `millis` milliseconds.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use crate::base::clock::Timestamp;

    #[test]
    fn times_print_in_utc_with_three_digits() {
        for (text, printed) in [
            ("2026-01-31T07:00:00Z", "2026-01-31T07:00:00.000Z"),
            (
                "2026-01-31T09:00:00.123456+02:00",
                "2026-01-31T07:00:00.123Z",
            ),
            ("1969-12-31T23:59:59.500Z", "1969-12-31T23:59:59.500Z"),
        ] {
            assert_eq!(
                Timestamp::parse(text).unwrap().to_string(),
                printed,
                "{text}"
            );
        }
    }

    #[test]
    fn a_time_without_zone_is_refused() {
        for text in ["", "2026-01-31", "2026-01-31T07:00:00", "yesterday"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }
}
