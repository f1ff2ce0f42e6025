//! A load program for a SCIM server: N connections over TLS, one kind of operation, a fixed time.
//!
//! Prints requests a second, p50, p99, errors, and with `--pid` the server's CPU time a request; the last line is JSON.
//! Latencies with `--rate` count from the moment a request was due, so that a server that stalls cannot hide it.
//! It refuses any address that is not loopback unless `--i-own-this-server` is given.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use clap::Parser;
use clap::ValueEnum;
use hyper::Method;
use ring::rand::SecureRandom;
use serde_json::Value;
use serde_json::json;

use crate::wire::Failed;
use crate::wire::Target;
use crate::wire::Wire;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Operation {
    /// `GET /Users/{id}`
    Get,
    /// `GET /Users?filter=userName eq "…"`
    Filter,
    /// `POST /Users`
    Post,
    /// `PATCH /Users/{id}` with one changed attribute
    Patch,
}

/// Load on a SCIM server, over TLS.
#[derive(Debug, Parser)]
struct Arguments {
    /// Tenant URL, `https://localhost:8443/scim/try/v2`.
    #[arg(long)]
    url: String,
    /// Secret Token.
    #[arg(long, default_value = "none")]
    token: String,
    /// PEM file with the certificate authority to trust.
    #[arg(long)]
    ca: PathBuf,
    /// What to ask for.
    #[arg(long, value_enum, default_value = "get")]
    operation: Operation,
    /// How many connections at once.
    #[arg(long, default_value_t = 16)]
    connections: u64,
    /// How long, in seconds, after the preparation.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Users to create before, for get, filter and patch.
    #[arg(long, default_value_t = 1000)]
    users: u64,
    /// Requests a second over all connections; 0 means as many as go.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// HTTP/2 instead of HTTP/1.1.
    #[arg(long)]
    h2: bool,
    /// The server's process id: its CPU time is read from /proc.
    #[arg(long)]
    pid: Option<u32>,
    /// Permits an address that is not loopback. Load is not for servers of other people.
    #[arg(long)]
    i_own_this_server: bool,
}

/// A user made before the measurement.
#[derive(Clone, Debug)]
struct User {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
}

/// What all connections share.
#[derive(Debug)]
struct Run {
    /// Where to.
    target: Target,
    /// What is asked for.
    operation: Operation,
    /// The users made before.
    users: Vec<User>,
    /// Makes the names of this run differ from those of another.
    tag: String,
    /// Numbers requests, and with them new names and values.
    next: AtomicU64,
}

/// What one connection saw.
#[derive(Debug, Default)]
struct Seen {
    /// Latencies of good answers, in microseconds.
    latencies_us: Vec<u64>,
    /// Requests without the expected answer.
    errors: u64,
    /// The first of them, for the reader.
    first_error: Option<String>,
    /// Bytes of the bodies of good answers.
    body_bytes: u64,
}

fn main() -> Result<(), Failed> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(&arguments))
}

/// Prepares, runs and reports.
async fn measure(arguments: &Arguments) -> Result<(), Failed> {
    let target = Target::resolve(
        &arguments.url,
        &arguments.token,
        &arguments.ca,
        arguments.h2,
    )
    .await?;
    guard(&target.addresses, arguments.i_own_this_server)?;
    let mut random = [0; 4];
    ring::rand::SystemRandom::new()
        .fill(&mut random)
        .map_err(|_unspecified| Failed::new("no random bytes"))?;
    let mut run = Run {
        target,
        operation: Operation::Post,
        users: Vec::new(),
        tag: format!("{:08x}", u32::from_be_bytes(random)),
        next: AtomicU64::new(0),
    };
    if arguments.operation != Operation::Post {
        run.users = prepare(&run, arguments.users).await?;
        run.operation = arguments.operation;
    }
    let run = Arc::new(run);
    let cpu_before = cpu_ticks(arguments.pid);
    let began = Instant::now();
    let until = began + Duration::from_secs(arguments.seconds);
    let mut tasks = Vec::new();
    for number in 0..arguments.connections {
        let run = Arc::clone(&run);
        let pace = pace(arguments, number);
        tasks.push(tokio::spawn(async move {
            connection(&run, began, until, pace).await
        }));
    }
    let mut all = Seen::default();
    for task in tasks {
        let seen = task.await.map_err(|error| Failed::new(error.to_string()))?;
        all.latencies_us.extend(seen.latencies_us);
        all.errors += seen.errors;
        all.first_error = all.first_error.or(seen.first_error);
        all.body_bytes += seen.body_bytes;
    }
    report(
        arguments,
        all,
        began.elapsed(),
        cpu_before,
        cpu_ticks(arguments.pid),
    );
    Ok(())
}

/// Refuses to load somebody else's server.
fn guard(addresses: &[SocketAddr], owned: bool) -> Result<(), Failed> {
    match addresses.iter().find(|address| !address.ip().is_loopback()) {
        Some(address) if !owned => Err(Failed::new(format!(
            "{address} is not a loopback address: give --i-own-this-server if it is yours to load"
        ))),
        _ => Ok(()),
    }
}

/// First due time after the start and the time between requests of connection `number`; `None` without a rate.
fn pace(arguments: &Arguments, number: u64) -> Option<(Duration, Duration)> {
    let nanos = 1_000_000_000_u64.checked_div(arguments.rate)?;
    Some((
        Duration::from_nanos(nanos.saturating_mul(number)),
        Duration::from_nanos(nanos.saturating_mul(arguments.connections)),
    ))
}

/// Creates the users that are read or changed later. A server that answers every POST alike will do.
async fn prepare(run: &Run, users: u64) -> Result<Vec<User>, Failed> {
    let mut wire = Wire::connect(&run.target).await?;
    let mut made = Vec::new();
    for _ in 0..users.max(1) {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        let (status, body) = wire
            .send(
                &run.target,
                Method::POST,
                "/Users",
                Some(new_user(run, number)),
            )
            .await?;
        let text = String::from_utf8_lossy(&body);
        if status != 201 {
            return Err(Failed::new(format!(
                "POST /Users answered {status}: {text}"
            )));
        }
        let user: Value = serde_json::from_str(&text)?;
        made.push(User {
            id: member(&user, "id")?,
            name: member(&user, "userName")?,
        });
    }
    Ok(made)
}

/// A text member of an answer.
fn member(value: &Value, name: &str) -> Result<String, Failed> {
    value
        .get(name)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Failed::new(format!("POST /Users answered without {name}")))
}

/// The body of a POST, about as large as a well-filled user of Entra.
fn new_user(run: &Run, number: u64) -> Value {
    let name = format!("u{number}.{}@northbridge.example", run.tag);
    json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        ],
        "externalId": format!("u{number}.{}", run.tag),
        "userName": name,
        "active": true,
        "displayName": format!("Load Person {number}"),
        "title": "Lens designer",
        "preferredLanguage": "sv-SE",
        "emails": [{"primary": true, "type": "work", "value": name}],
        "addresses": [{"type": "work", "streetAddress": "Storgatan 7", "locality": "Umeå", "postalCode": "903 26", "country": "SE"}],
        "phoneNumbers": [{"type": "work", "value": "+46900000001"}, {"type": "mobile", "value": "+46700000001"}],
        "name": {"formatted": format!("Load Person {number}"), "familyName": "Person", "givenName": "Load"},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "employeeNumber": number.to_string(), "department": "Optics", "costCenter": "C-117",
            "manager": {"value": "5b1f8a4e-0000-4000-8000-6c7d8e9f0a1b"},
        },
    })
}

/// One connection: requests one after the other until the time is over.
async fn connection(
    run: &Run,
    began: Instant,
    until: Instant,
    pace: Option<(Duration, Duration)>,
) -> Seen {
    let mut seen = Seen::default();
    let mut wire = None;
    let mut due = pace.map(|(first, _)| began + first);
    loop {
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let start = due.unwrap_or_else(Instant::now);
        if Instant::now() >= until {
            return seen;
        }
        match request(run, &mut wire).await {
            Ok(bytes) => {
                let micros = start.elapsed().as_micros();
                seen.latencies_us
                    .push(u64::try_from(micros).unwrap_or(u64::MAX));
                seen.body_bytes += bytes;
            }
            Err(error) => {
                wire = None;
                seen.errors += 1;
                seen.first_error.get_or_insert_with(|| error.to_string());
                // A server that is gone must not be asked a million times a second.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        if let (Some(due), Some((_, step))) = (due.as_mut(), pace) {
            *due += step;
        }
    }
}

/// One request; the size of the body of its answer.
async fn request(run: &Run, wire: &mut Option<Wire>) -> Result<u64, Failed> {
    let connected = match wire.take() {
        Some(connected) => connected,
        None => Wire::connect(&run.target).await?,
    };
    let connected = wire.insert(connected);
    let number = run.next.fetch_add(1, Ordering::Relaxed);
    let user = usize::try_from(number)
        .ok()
        .and_then(|number| number.checked_rem(run.users.len()))
        .and_then(|index| run.users.get(index));
    let (method, path, body, expected) = match (run.operation, user) {
        (Operation::Get, Some(user)) => (Method::GET, format!("/Users/{}", user.id), None, 200),
        (Operation::Filter, Some(user)) => {
            let name = user.name.replace('@', "%40");
            (
                Method::GET,
                format!("/Users?filter=userName+eq+%22{name}%22"),
                None,
                200,
            )
        }
        (Operation::Patch, Some(user)) => {
            let body = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "Replace", "path": "displayName", "value": format!("Changed {number}")}],
            });
            (
                Method::PATCH,
                format!("/Users/{}", user.id),
                Some(body),
                200,
            )
        }
        (Operation::Post, _) | (_, None) => (
            Method::POST,
            "/Users".to_owned(),
            Some(new_user(run, number)),
            201,
        ),
    };
    let (status, answer) = connected.send(&run.target, method, &path, body).await?;
    if status == expected {
        Ok(u64::try_from(answer.len()).unwrap_or(u64::MAX))
    } else {
        Err(Failed::new(format!(
            "{path} answered {status}: {}",
            String::from_utf8_lossy(&answer)
        )))
    }
}

/// User and system time of a process, in clock ticks (1/100 s on Linux).
fn cpu_ticks(pid: Option<u32>) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid?)).ok()?;
    // The second field is the program's name in parentheses and may hold spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The value below which `hundredths` of a hundred lie. `sorted` is sorted.
fn percentile(sorted: &[u64], hundredths: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last.saturating_mul(hundredths) / 100)
        .copied()
        .unwrap_or(0)
}

/// Prints the sum, for people and as JSON.
fn report(
    arguments: &Arguments,
    mut all: Seen,
    took: Duration,
    before: Option<u64>,
    after: Option<u64>,
) {
    all.latencies_us.sort_unstable();
    let requests = u64::try_from(all.latencies_us.len()).unwrap_or(u64::MAX);
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let per_second = requests.saturating_mul(1000) / millis;
    let (p50, p99) = (
        percentile(&all.latencies_us, 50),
        percentile(&all.latencies_us, 99),
    );
    let body_bytes = all.body_bytes.checked_div(requests).unwrap_or(0);
    let cpu_ns = before.zip(after).and_then(|(before, after)| {
        (after.saturating_sub(before) * 10_000_000).checked_div(requests)
    });
    let operation = format!("{:?}", arguments.operation).to_lowercase();
    if let Some(error) = &all.first_error {
        println!("first error: {error}");
    }
    println!(
        "{operation:7} {per_second:7} req/s   p50 {p50:6} µs   p99 {p99:6} µs   errors {}",
        all.errors
    );
    println!(
        "{}",
        json!({
            "schema": "rollcall.bench.load/1", "operation": operation, "connections": arguments.connections,
            "seconds": arguments.seconds, "rate": arguments.rate, "http": if arguments.h2 { 2 } else { 1 },
            "requests": requests, "requests_per_s": per_second, "p50_us": p50, "p99_us": p99,
            "errors": all.errors, "body_bytes": body_bytes, "server_cpu_ns": cpu_ns,
        })
    );
}
