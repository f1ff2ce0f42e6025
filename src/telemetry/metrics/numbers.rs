//! What the counters are made of: atomics that any thread may touch.

use std::sync::OnceLock;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Upper bounds of the duration buckets in microseconds, each with the text of its `le` label.
pub const BUCKETS: [(u64, &str); 14] = [
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
];

/// How many names a [`Named`] counter tells apart; more count as "other".
pub const NAMES_MAX: usize = 96;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Adds `by`, which may be negative.
    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// Sets the number.
    pub fn set(&self, to: i64) {
        self.0.store(to, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters by a name that is a literal somewhere in the program: reasons, codes, alerts.
#[derive(Debug)]
pub struct Named {
    /// A slot belongs to the first name that claimed it.
    slots: [(OnceLock<&'static str>, Counter); NAMES_MAX],
    /// Names that found no slot.
    other: Counter,
}

impl Default for Named {
    fn default() -> Self {
        Self {
            slots: std::array::from_fn(|_| Default::default()),
            other: Counter::default(),
        }
    }
}

impl Named {
    /// One more of `name`.
    pub fn add_one(&self, name: &'static str) {
        self.counter(name).add_one();
    }

    /// How many of `name`.
    #[cfg(test)]
    pub fn get(&self, name: &'static str) -> u64 {
        self.counter(name).get()
    }

    /// The counter of `name`, claimed when it is new.
    fn counter(&self, name: &'static str) -> &Counter {
        self.slots
            .iter()
            .find(|(slot, _)| *slot.get_or_init(|| name) == name)
            .map_or(&self.other, |(_, counter)| counter)
    }

    /// Every name that was counted, with its number.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let claimed = self
            .slots
            .iter()
            .filter_map(|(slot, counter)| Some((*slot.get()?, counter.get())));
        let other = Some(("other", self.other.get()));
        claimed.chain(other.filter(|(_, count)| *count > 0))
    }
}

/// How long something took.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Observations up to each bound of [`BUCKETS`] and above the bound before it.
    pub buckets: [AtomicU64; BUCKETS.len()],
    /// Observations above the last bound.
    pub above: AtomicU64,
    /// Sum of all observations, in microseconds.
    pub sum_micros: AtomicU64,
}

impl Histogram {
    /// Notes one observation.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS
            .iter()
            .zip(&self.buckets)
            .find(|((bound, _), _)| micros <= *bound)
            .map_or(&self.above, |(_, bucket)| bucket);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }
}
