//! What a run finds out, as it goes into the JSON file, and its lines for people.

use std::time::Duration;

use serde::Serialize;

use crate::drive::Figures;
use crate::drive::per_second;
use crate::drive::percentile;
use crate::groups::Gathered;
use crate::load::Filled;
use crate::machine::Machine;
use crate::machine::Part;
use crate::members::Members;
use crate::process::Memory;
use crate::verdict::Verdict;

/// Version of the JSON file.
pub const SCHEMA: &str = "rollcall.bench/1";

/// The moment of a look at the memory, before there are memberships.
pub const WITHOUT_MEMBERS: &str = "with empty groups, after a clean start";

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// On what.
    pub machine: Machine,
    /// The program that was started, or the URL that was given.
    pub server: String,
    /// Seconds of each measurement.
    pub seconds: f64,
    /// Seconds of load before each measurement.
    pub warm_up_seconds: f64,
    /// One for each number of users.
    pub sizes: Vec<Size>,
    /// Beside what is aimed at.
    pub verdicts: Vec<Verdict>,
}

/// What was found with one number of users.
#[derive(Debug, Default, Serialize)]
pub struct Size {
    /// How many users.
    pub users: u64,
    /// What making them took.
    pub filled: Option<Filled>,
    /// What making groups took.
    pub groups: Option<Filled>,
    /// Why there are no groups.
    pub groups_skipped: Option<String>,
    /// What giving them members took.
    pub memberships: Option<Gathered>,
    /// Starts and stops.
    pub starts: Vec<Start>,
    /// Memory at several moments.
    pub memory: Vec<MemoryAt>,
    /// Disk at several moments.
    pub disk: Vec<DiskAt>,
    /// Every operation.
    pub rows: Vec<Row>,
    /// Groups with few members and with many.
    pub members: Option<Members>,
    /// The store driven directly.
    pub store: Vec<StoreRow>,
    /// GET at a fixed rate, quiet and beside wrong tokens.
    pub flood: Option<Flood>,
}

/// A start or a stop.
#[derive(Debug, Serialize)]
pub struct Start {
    /// Which.
    pub what: &'static str,
    /// How long it took: a start until the first answer (200 to a request with the token, once there is one), a stop until the
    /// process was gone.
    pub seconds: f64,
}

/// Memory at one moment.
#[derive(Debug, Serialize)]
pub struct MemoryAt {
    /// When.
    pub when: &'static str,
    /// How much.
    #[serde(flatten)]
    pub memory: Memory,
}

/// Disk at one moment.
#[derive(Debug, Serialize)]
pub struct DiskAt {
    /// When.
    pub when: &'static str,
    /// Files and folders of the state directory.
    pub parts: Vec<Part>,
}

/// One operation under one load.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The operation.
    pub operation: String,
    /// Connections.
    pub connections: u64,
    /// Requests a second, where they were fixed.
    pub rate: Option<u64>,
    /// The round whose ratio is the median.
    pub median: Round,
    /// All rounds, when there was more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// Memory of the server after them.
    pub rss_bytes: Option<u64>,
}

/// The server, and the ceiling right after it.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// The server that is measured.
    pub server: Figures,
    /// The constant-answer server.
    pub ceiling: Option<Figures>,
    /// Requests a second, as a share of the ceiling's.
    pub ratio: Option<f64>,
    /// CPU time for one request, as a multiple of the ceiling's.
    pub cpu_ratio: Option<f64>,
}

/// The store driven directly.
#[derive(Debug, Serialize)]
pub struct StoreRow {
    /// Threads that commit.
    pub writers: usize,
    /// Users created.
    pub create: StoreFigures,
    /// Users replaced.
    pub replace: StoreFigures,
}

/// How fast commits were.
#[derive(Debug, Serialize)]
pub struct StoreFigures {
    /// How many.
    pub commits: usize,
    /// How many a second.
    pub per_second: f64,
    /// Latency of the median, in microseconds.
    pub p50_us: u32,
    /// Latency of 99 %.
    pub p99_us: u32,
}

/// Good traffic at a fixed rate, alone and beside wrong tokens.
#[derive(Debug, Serialize)]
pub struct Flood {
    /// Alone.
    pub quiet: Figures,
    /// Beside wrong tokens.
    pub flooded: Figures,
    /// The wrong tokens.
    pub wrong: Figures,
}

impl Round {
    /// A round.
    pub fn new(server: Figures, ceiling: Option<Figures>) -> Self {
        let against = |value: f64, other: f64| (other > 0.0).then(|| value / other);
        let ratio = ceiling
            .as_ref()
            .and_then(|ceiling| against(server.per_second, ceiling.per_second));
        let cpu = |figures: &Figures| figures.cpu_ns.and_then(|ns| u32::try_from(ns).ok());
        let cpu_ratio = cpu(&server)
            .zip(ceiling.as_ref().and_then(cpu))
            .and_then(|(server, ceiling)| against(f64::from(server), f64::from(ceiling)));
        Self {
            server,
            ceiling,
            ratio,
            cpu_ratio,
        }
    }
}

impl StoreFigures {
    /// Of commits that took this long.
    pub fn new(took: Duration, latencies: &[Duration]) -> Self {
        let mut micros: Vec<u32> = latencies
            .iter()
            .map(|latency| u32::try_from(latency.as_micros()).unwrap_or(u32::MAX))
            .collect();
        micros.sort_unstable();
        Self {
            commits: micros.len(),
            per_second: per_second(micros.len(), took.as_secs_f64()),
            p50_us: percentile(&micros, 500),
            p99_us: percentile(&micros, 990),
        }
    }
}

impl Size {
    /// The row of an operation.
    pub fn row(&self, operation: &str, connections: u64, rate: Option<u64>) -> Option<&Row> {
        self.rows.iter().find(|row| {
            row.operation == operation && row.connections == connections && row.rate == rate
        })
    }

    /// Requests that were not answered as they should be.
    pub fn errors(&self) -> u64 {
        let of_row = |row: &Row| match row.rounds.as_slice() {
            [] => row.median.server.errors,
            rounds => rounds.iter().map(|round| round.server.errors).sum(),
        };
        let flood = self.flood.as_ref().map_or(0, |flood| {
            flood.quiet.errors + flood.flooded.errors + flood.wrong.errors
        });
        self.rows.iter().map(of_row).sum::<u64>() + flood
    }
}

/// Megabytes, for people.
pub fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// Over the rows.
pub fn print_heading() {
    println!(
        "\n{:17} {:>5}  {:>9} {:>8} {:>8} {:>8} {:>8} {:>6}   {:>9} {:>8} {:>8} {:>8}   {:>6} {:>5}",
        "operation",
        "conns",
        "server/s",
        "p50_us",
        "p99_us",
        "p999_us",
        "cpu_ns",
        "rss_MB",
        "ceiling/s",
        "p50_us",
        "p99_us",
        "cpu_ns",
        "ratio",
        "cpu"
    );
}

/// One row.
pub fn print_row(row: &Row) {
    let optional = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |ns| ns.to_string());
    let name = match row.rate {
        Some(rate) => format!("{} @{rate}/s", row.operation),
        None => row.operation.clone(),
    };
    let server = &row.median.server;
    let mut line = format!(
        "{name:17} {:>5}  {:>9.*} {:>8} {:>8} {:>8} {:>8} {:>6}",
        row.connections,
        if server.per_second < 10.0 { 2 } else { 0 },
        server.per_second,
        server.p50_us,
        server.p99_us,
        server.p999_us,
        optional(server.cpu_ns),
        optional(row.rss_bytes.map(|bytes| bytes / 1_000_000))
    );
    if let Some(ceiling) = &row.median.ceiling {
        line += &format!(
            "   {:>9.0} {:>8} {:>8} {:>8}   ",
            ceiling.per_second,
            ceiling.p50_us,
            ceiling.p99_us,
            optional(ceiling.cpu_ns)
        );
        let ratio = row.median.ratio.filter(|_ratio| row.rate.is_none());
        line += &ratio.map_or_else(
            || format!("{:>6}", ""),
            |ratio| format!("{:>5.0}%", ratio * 100.0),
        );
        line += &row
            .median
            .cpu_ratio
            .map_or_else(String::new, |ratio| format!(" {ratio:>5.2}"));
    }
    println!("{line}");
    if let Some(error) = &server.first_error {
        println!("  {} errors, the first: {error}", server.errors);
    }
}

/// The store driven directly.
pub fn print_store(row: &StoreRow) {
    for (what, figures) in [("create", &row.create), ("replace", &row.replace)] {
        println!(
            "store {what:11} {:>5}  {:>9.0} {:>8} {:>8}",
            row.writers, figures.per_second, figures.p50_us, figures.p99_us
        );
    }
}

/// The verdicts.
pub fn print_verdicts(verdicts: &[Verdict]) {
    println!(
        "\n{:>9}  {:52} {:34} {:24}",
        "users", "what", "number", "aim"
    );
    for verdict in verdicts {
        let met = match verdict.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        println!(
            "{:>9}  {:52} {:34} {:24} {met}",
            verdict.users, verdict.what, verdict.number, verdict.aim
        );
    }
}
