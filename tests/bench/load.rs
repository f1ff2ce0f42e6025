//! Filling a server: users and groups made by POST, as fast as some connections can.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use hyper::Method;
use hyper::body::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::failed::Failed;
use crate::people::Ids;
use crate::people::People;
use crate::wire::Target;
use crate::wire::Wire;

/// Connections that fill a server.
const CONNECTIONS: u64 = 64;
/// How often a POST is tried that the server puts off (429, 503), a tenth of a second apart.
const ATTEMPTS: u32 = 100;
/// Members of a group that is loaded.
const MEMBERS: u64 = 100;

/// What filling took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Filled {
    /// How many were made.
    pub count: u64,
    /// How long it took.
    pub seconds: f64,
    /// Bytes of the bodies that were sent.
    pub json_bytes: u64,
}

/// What a POST is about.
#[derive(Clone, Debug)]
enum What {
    /// `/Users`
    Users,
    /// `/Groups`, with members out of these.
    Groups(Arc<People>),
}

/// What all connections share.
#[derive(Debug)]
struct Job {
    /// Where to.
    target: Target,
    /// What is made.
    what: What,
    /// Who is made.
    people: People,
    /// How many.
    count: u64,
    /// The next number.
    next: AtomicU64,
}

/// Makes `count` users whose names begin with `letter`.
pub async fn users(target: &Target, letter: char, count: u64) -> Result<(People, Filled), Failed> {
    fill(target, What::Users, letter, count).await
}

/// Makes `count` groups of some of `users`. `Ok(Err(reason))` when the server has no groups.
pub async fn groups(
    target: &Target,
    users: &Arc<People>,
    count: u64,
) -> Result<Result<(People, Filled), String>, Failed> {
    let probe = People::new('g')?.new_group(0, &[]);
    let mut wire = Wire::connect(target).await?;
    let body = Some(Bytes::from(probe.to_string()));
    let answer = wire.send(target, Method::POST, "/Groups", body).await?;
    if matches!(answer.status, 403 | 404 | 405 | 501) {
        let text = String::from_utf8_lossy(&answer.body);
        let detail = serde_json::from_str(&text)
            .ok()
            .and_then(|error: Value| Some(error.get("detail")?.as_str()?.to_owned()));
        let said = detail.unwrap_or_else(|| text.into_owned());
        return Ok(Err(format!(
            "POST /Groups answered {}: {said}",
            answer.status
        )));
    }
    let (groups, filled) = fill(target, What::Groups(Arc::clone(users)), 'g', count).await?;
    let outsider = users.id(users.len().saturating_sub(1)).unwrap_or_default();
    Ok(Ok((groups.with_member(outsider), filled)))
}

/// Makes `count` of them.
async fn fill(
    target: &Target,
    what: What,
    letter: char,
    count: u64,
) -> Result<(People, Filled), Failed> {
    let job = Arc::new(Job {
        target: target.clone(),
        what,
        people: People::new(letter)?,
        count,
        next: AtomicU64::new(0),
    });
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS.min(count) {
        let job = Arc::clone(&job);
        tasks.spawn(async move { job.connection().await });
    }
    let (mut made, mut json_bytes) = (Vec::new(), 0);
    while let Some(outcome) = tasks.join_next().await {
        let (ids, bytes) = outcome??;
        made.extend(ids);
        json_bytes += bytes;
    }
    let seconds = began.elapsed().as_secs_f64();
    made.sort_unstable_by_key(|(number, _id)| *number);
    let mut ids = Ids::default();
    for (_number, id) in &made {
        ids.push(id);
    }
    let job = Arc::into_inner(job).ok_or_else(|| Failed::new("a connection is still open"))?;
    let filled = Filled {
        count,
        seconds,
        json_bytes,
    };
    Ok((job.people.with_ids(ids), filled))
}

impl Job {
    /// One connection: makes one after the other until all are made. Ids by number, and the bytes sent.
    async fn connection(&self) -> Result<(Vec<(u64, Box<str>)>, u64), Failed> {
        let mut wire = Wire::connect(&self.target).await?;
        let (mut made, mut bytes) = (Vec::new(), 0);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return Ok((made, bytes));
            }
            let (path, body) = self.body(number);
            let body = Bytes::from(body.to_string());
            bytes += u64::try_from(body.len()).unwrap_or(0);
            made.push((number, self.post(&mut wire, path, body).await?));
        }
    }

    /// Path and body of the POST of `number`.
    fn body(&self, number: u64) -> (&'static str, Value) {
        match &self.what {
            What::Users => ("/Users", self.people.new_user(number)),
            What::Groups(users) => {
                // The last user is in no group, so that groups can take it in.
                let last = users.len().saturating_sub(1);
                let members: Vec<&str> = (0..MEMBERS.min(last))
                    .filter_map(|member| users.id((number * MEMBERS + member).checked_rem(last)?))
                    .collect();
                ("/Groups", self.people.new_group(number, &members))
            }
        }
    }

    /// One POST; the id that the server gave.
    async fn post(&self, wire: &mut Wire, path: &str, body: Bytes) -> Result<Box<str>, Failed> {
        for _ in 0..ATTEMPTS {
            let answer = wire
                .send(&self.target, Method::POST, path, Some(body.clone()))
                .await?;
            match answer.status {
                201 => {
                    let made: Value = serde_json::from_slice(&answer.body)?;
                    let id = made.get("id").and_then(Value::as_str);
                    return id
                        .map(Into::into)
                        .ok_or_else(|| Failed::new(format!("POST {path} answered without id")));
                }
                429 | 503 => tokio::time::sleep(Duration::from_millis(100)).await,
                status => {
                    let text = String::from_utf8_lossy(&answer.body);
                    return Err(Failed::new(format!(
                        "POST {path} answered {status}: {text}"
                    )));
                }
            }
        }
        Err(Failed::new(format!("POST {path} is put off for too long")))
    }
}
