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

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;
/// The first millisecond of the year 10000.
const YEARS_END_MS: u64 = 253_402_300_800_000;

/// How the time `millis` is written, for the years that times of resources are in. Every answer
/// holds two, so this is done by hand: jiff takes five times as long.
fn spelled(millis: u64) -> [u8; 24] {
    // Days since 0000-03-01, so that leap days are last in their year
    // (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
    let days = millis / DAY_MS + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year + era * 400 + next;
    let of_day = millis % DAY_MS;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    for (end, mut value) in [
        (4, year),
        (7, month),
        (10, day),
        (13, of_day / 3_600_000),
        (16, of_day / 60_000 % 60),
        (19, of_day / 1_000 % 60),
        (23, of_day % 1_000),
    ] {
        for digit in text.iter_mut().take(end).rev() {
            if value == 0 {
                break;
            }
            *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
            value /= 10;
        }
    }
    text
}

impl fmt::Display for Timestamp {
    /// UTC with three digits of fraction: `2026-01-31T07:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(millis @ 0..YEARS_END_MS) = u64::try_from(self.0) {
            return f.write_str(std::str::from_utf8(&spelled(millis)).unwrap_or_default());
        }
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
    fn times_are_spelled_as_the_library_spells_them() {
        // A step that is no multiple of a day: all months and times of day come by.
        for millis in (-90_000_000..253_402_300_900_000).step_by(3_543_461_003) {
            let expected = jiff::Timestamp::from_millisecond(millis).unwrap();
            let text = Timestamp::from_millis(millis).to_string();
            assert_eq!(text, format!("{expected:.3}"));
        }
    }

    #[test]
    fn a_time_without_zone_is_refused() {
        for text in ["", "2026-01-31", "2026-01-31T07:00:00", "yesterday"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }
}
