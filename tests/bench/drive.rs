//! Load: some connections, one operation, a fixed time; what came of it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use hyper::HeaderMap;
use serde::Serialize;

use crate::failed::Failed;
use crate::operation::Operation;
use crate::people::People;
use crate::process::cpu_ns;
use crate::wire::Answer;
use crate::wire::Target;
use crate::wire::Wire;

/// How long requests that are under way at the end may still take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How much of an unexpected answer is shown.
const ERROR_CHARS: usize = 300;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Drive {
    /// Where to.
    pub target: Target,
    /// Whom it is about.
    pub people: Arc<People>,
    /// What is asked for.
    pub operation: Operation,
    /// How many connections at once.
    pub connections: u64,
    /// How long it runs before it is measured.
    pub warm_up: Duration,
    /// How long it is measured.
    pub time: Duration,
    /// Requests a second over all connections; `None` means as many as go.
    pub rate: Option<u64>,
    /// The answering server does not remember: what was deleted can be deleted again.
    pub forgetful: bool,
    /// The token is wrong: a good answer is a refusal.
    pub refused: bool,
    /// The server's process, to read its CPU time.
    pub pid: Option<u32>,
    /// Ends it before its time once this is set.
    pub stop: Option<Arc<AtomicBool>>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Good answers.
    pub requests: u64,
    /// Seconds from the end of the warm-up to the last of them.
    pub seconds: f64,
    /// Good answers a second.
    pub per_second: f64,
    /// Latency of the median, in microseconds. With a rate, it counts from when the request was due.
    pub p50_us: u32,
    /// Latency of 99 %.
    pub p99_us: u32,
    /// Latency of 99.9 %.
    pub p999_us: u32,
    /// The longest.
    pub max_us: u32,
    /// Bytes of the body of a good answer.
    pub body_bytes: u64,
    /// CPU time of the server for one request, in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// Answers that were not good, warm-up included.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<String>,
    /// Status and headers of a good answer, for a server that is to look the same.
    #[serde(skip)]
    pub head: Option<(u16, HeaderMap)>,
}

/// When things happen.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// The first request.
    first: Instant,
    /// The first request that counts.
    began: Instant,
    /// No request begins from here on.
    until: Instant,
    /// Time between two requests of a connection, with a rate.
    step: Option<Duration>,
}

/// What one connection saw.
#[derive(Debug)]
struct Seen {
    /// Latencies of good answers, in microseconds.
    latencies_us: Vec<u32>,
    /// Answers that were not good.
    errors: u64,
    /// The first of them, for the reader.
    first_error: Option<String>,
    /// Bytes of the bodies of good answers.
    body_bytes: u64,
    /// Status and headers of the first good answer.
    head: Option<(u16, HeaderMap)>,
    /// When the last answer was there.
    last: Instant,
}

impl Drive {
    /// Drives the server and sums up.
    pub async fn run(&self) -> Result<Figures, Failed> {
        let nanos = self
            .rate
            .and_then(|rate| 1_000_000_000_u64.checked_div(rate));
        let first = Instant::now();
        let times = Times {
            first,
            began: first + self.warm_up,
            until: first + self.warm_up + self.time,
            step: nanos.map(|nanos| Duration::from_nanos(nanos.saturating_mul(self.connections))),
        };
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..self.connections {
            // The connections of a rate take turns.
            let offset = Duration::from_nanos(nanos.unwrap_or(0).saturating_mul(number));
            let drive = self.clone();
            tasks.spawn(async move { drive.connection(times, times.first + offset).await });
        }
        tokio::time::sleep_until(times.began.into()).await;
        let cpu_before = cpu_ns(self.pid);
        let limit = times.until + PATIENCE;
        let all = tokio::time::timeout_at(limit.into(), tasks.join_all())
            .await
            .map_err(|_late| {
                let name = self.operation.name();
                Failed::new(format!("{name}: no answer within {} s", PATIENCE.as_secs()))
            })?;
        let cpu_after = cpu_ns(self.pid);
        let cpu = cpu_before
            .zip(cpu_after)
            .map(|(before, after)| after.saturating_sub(before));
        Ok(sum(all, times.began, cpu))
    }

    /// One connection: requests one after the other until the time is over.
    async fn connection(&self, times: Times, mut due: Instant) -> Seen {
        let mut seen = Seen {
            latencies_us: Vec::new(),
            errors: 0,
            first_error: None,
            body_bytes: 0,
            head: None,
            last: times.began,
        };
        let mut wire = None;
        loop {
            if times.step.is_some() {
                tokio::time::sleep_until(due.into()).await;
            }
            let now = Instant::now();
            let start = times.step.map_or(now, |_step| due);
            let stop = self.stop.as_ref();
            let stopped = stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
            let over = stopped || now >= times.until || start >= times.until;
            // An answer may take longer than all the time there is; one counts in any case.
            if over && (times.step.is_some() || seen.errors > 0 || !seen.latencies_us.is_empty()) {
                return seen;
            }
            match self.request(&mut wire).await {
                Ok(None) => return seen,
                Ok(Some(answer)) => {
                    if start >= times.began {
                        let micros = start.elapsed().as_micros();
                        seen.latencies_us
                            .push(u32::try_from(micros).unwrap_or(u32::MAX));
                        seen.body_bytes += u64::try_from(answer.body.len()).unwrap_or(0);
                        seen.last = Instant::now();
                    }
                    if seen.head.is_none() {
                        seen.head = Some((answer.status, answer.headers));
                    }
                }
                Err(error) => {
                    wire = None;
                    seen.errors += 1;
                    seen.first_error.get_or_insert_with(|| error.to_string());
                    // A server that is gone must not be asked a million times a second.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            if let Some(step) = times.step {
                due += step;
            }
        }
    }

    /// One request; nothing when there is nothing left to ask for.
    async fn request(&self, wire: &mut Option<Wire>) -> Result<Option<Answer>, Failed> {
        let connected = match wire.take() {
            Some(connected) => connected,
            None => Wire::connect(&self.target).await?,
        };
        let connected = wire.insert(connected);
        let mut number = self.people.next();
        if self.forgetful && self.operation == Operation::Delete {
            number = number.checked_rem(self.people.len()).unwrap_or(0);
        }
        let Some(ask) = self.operation.ask(&self.people, number) else {
            return Ok(None);
        };
        let answer = connected
            .send(&self.target, ask.method.clone(), &ask.path, ask.body)
            .await?;
        let good = if self.refused {
            matches!(answer.status, 401 | 403 | 429)
        } else {
            self.operation.is_good(answer.status)
        };
        if good {
            return Ok(Some(answer));
        }
        let text = String::from_utf8_lossy(&answer.body);
        let begin: String = text.chars().take(ERROR_CHARS).collect();
        Err(Failed::new(format!(
            "{} {} answered {}: {begin}",
            ask.method, ask.path, answer.status
        )))
    }
}

/// The sum of all connections.
fn sum(all: Vec<Seen>, began: Instant, cpu_ns: Option<u64>) -> Figures {
    let mut latencies = Vec::new();
    let (mut errors, mut first_error, mut body_bytes, mut head) = (0, None, 0_u64, None);
    let mut last = began;
    for seen in all {
        latencies.extend(seen.latencies_us);
        errors += seen.errors;
        first_error = first_error.or(seen.first_error);
        body_bytes += seen.body_bytes;
        head = head.or(seen.head);
        last = last.max(seen.last);
    }
    latencies.sort_unstable();
    let requests = u64::try_from(latencies.len()).unwrap_or(u64::MAX);
    let seconds = last.duration_since(began).as_secs_f64();
    Figures {
        requests,
        seconds,
        per_second: per_second(latencies.len(), seconds),
        p50_us: percentile(&latencies, 500),
        p99_us: percentile(&latencies, 990),
        p999_us: percentile(&latencies, 999),
        max_us: percentile(&latencies, 1000),
        body_bytes: body_bytes.checked_div(requests).unwrap_or(0),
        cpu_ns: cpu_ns.and_then(|cpu| cpu.checked_div(requests)),
        errors,
        first_error,
        head,
    }
}

/// `count` in `seconds`, a second.
pub fn per_second(count: usize, seconds: f64) -> f64 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    if seconds > 0.0 {
        f64::from(count) / seconds
    } else {
        0.0
    }
}

/// The value below which `per_mille` of a thousand lie. `sorted` is sorted.
pub fn percentile(sorted: &[u32], per_mille: usize) -> u32 {
    let last = sorted.len().saturating_sub(1);
    let at = last.saturating_mul(per_mille) / 1000;
    sorted.get(at).copied().unwrap_or(0)
}
