//! What was found about groups with few members and with many, as it goes into the JSON file, and its lines for people.

use serde::Serialize;

use crate::drive::Figures;
use crate::drive::percentile;
use crate::report::megabytes;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Members {
    /// Members of the small group.
    pub few: u64,
    /// Members of the large group.
    pub many: u64,
    /// One member more, or less, in the small group.
    pub one_of_few: Changes,
    /// In the large group.
    pub one_of_many: Changes,
    /// Changes of the small group from several sides.
    pub parallel_few: Parallel,
    /// Of the large group.
    pub parallel_many: Parallel,
    /// Creating a group with ten thousand members.
    pub created: Vec<Heavy>,
    /// Members that it got.
    pub created_members: u64,
    /// Reading the large group.
    pub read: Vec<Heavy>,
    /// GET of users at a fixed rate, alone.
    pub quiet: Option<Figures>,
    /// Beside one who reads the large group again and again.
    pub beside_read: Option<Beside>,
    /// While such a group is created.
    pub beside_create: Option<Beside>,
    /// While one is deleted.
    pub beside_delete: Option<Beside>,
}

/// Changes of one member each, one after the other.
#[derive(Debug, Serialize)]
pub struct Changes {
    /// One comes.
    pub add: Latency,
    /// One goes.
    pub remove: Latency,
}

/// How long something took, again and again.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// How often.
    pub count: usize,
    /// The median, in microseconds.
    pub p50_us: u32,
    /// 99 %.
    pub p99_us: u32,
    /// The longest.
    pub max_us: u32,
}

/// Changes of one group from several sides.
#[derive(Debug, Serialize)]
pub struct Parallel {
    /// How many did that.
    pub connections: u64,
    /// Changes a second.
    pub per_second: f64,
    /// How long each took.
    pub latency: Latency,
    /// Whether the group ended up with exactly those members that it should have.
    pub exact: bool,
}

/// A request that takes long.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Heavy {
    /// How long.
    pub seconds: f64,
    /// Bytes of the answer.
    pub answer_bytes: u64,
    /// Memory before, in bytes.
    pub rss_bytes: Option<u64>,
    /// Most memory meanwhile; only where the system lets the peak begin anew.
    pub peak_bytes: Option<u64>,
}

/// Requests that take long, and what others noticed of them.
#[derive(Debug, Serialize)]
pub struct Beside {
    /// The requests.
    pub heavy: Vec<Heavy>,
    /// The others.
    pub others: Figures,
}

impl Latency {
    /// Of these, in microseconds.
    pub fn of(mut micros: Vec<u32>) -> Self {
        micros.sort_unstable();
        Self {
            count: micros.len(),
            p50_us: percentile(&micros, 500),
            p99_us: percentile(&micros, 990),
            max_us: percentile(&micros, 1000),
        }
    }

    /// For people.
    pub fn print(&self, what: &str, members: usize) {
        println!(
            "{what:11} {members:>9}  {:>8} {:>8} {:>8}",
            self.p50_us, self.p99_us, self.max_us
        );
    }
}

impl Parallel {
    /// For people.
    pub fn print(&self, members: usize) {
        println!(
            "{} parallel in a group of {members}: {:.0}/s, p50 {} us, p99 {} us, members {}",
            self.connections,
            self.per_second,
            self.latency.p50_us,
            self.latency.p99_us,
            if self.exact { "exact" } else { "WRONG" }
        );
    }
}

impl Heavy {
    /// For people.
    pub fn print(&self, what: &str) {
        let memory =
            self.rss_bytes
                .zip(self.peak_bytes)
                .map_or_else(String::new, |(before, peak)| {
                    let more = megabytes(peak.saturating_sub(before));
                    format!(", memory {}, at most {more} more", megabytes(before))
                });
        println!(
            "{what}: {:.0} ms, answer {}{memory}",
            self.seconds * 1000.0,
            megabytes(self.answer_bytes)
        );
    }
}

/// What others notice, for people.
pub fn print_others(what: &str, figures: Option<&Figures>) {
    if let Some(figures) = figures {
        println!(
            "GET of users {what}: p50 {} us, p99 {} us, at most {} us",
            figures.p50_us, figures.p99_us, figures.max_us
        );
    }
}
