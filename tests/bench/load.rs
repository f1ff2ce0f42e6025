//! Filling a server: users and groups made by POST, members by PATCH, as fast as some connections can.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use hyper::Method;
use serde::Serialize;
use serde_json::Value;

use crate::failed::Failed;
use crate::operation::Ask;
use crate::operation::add_members;
use crate::operation::with_body;
use crate::people::Ids;
use crate::people::People;
use crate::wire::Answer;
use crate::wire::Target;
use crate::wire::Wire;

/// Connections that fill a server.
const CONNECTIONS: u64 = 64;
/// How often a write is tried that the server puts off (429, 503), a tenth of a second apart.
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

/// What is made.
#[derive(Clone, Debug)]
enum What {
    /// Users.
    Users,
    /// Groups, each with the first so many of these as its members.
    Groups(Arc<People>, u64),
    /// Members of these groups, out of these users.
    Memberships(Arc<People>, Arc<People>),
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

/// Makes `count` groups whose names begin with `letter`, each with the first `members` of `users`.
pub async fn groups(
    target: &Target,
    letter: char,
    count: u64,
    users: &Arc<People>,
    members: u64,
) -> Result<(People, Filled), Failed> {
    fill(
        target,
        What::Groups(Arc::clone(users), members),
        letter,
        count,
    )
    .await
}

/// Gives each of `groups` its members: a hundred of `users`, the last of whom is in none.
pub async fn memberships(
    target: &Target,
    groups: &Arc<People>,
    users: &Arc<People>,
) -> Result<Filled, Failed> {
    let each = members_of_each(users);
    let groups_with_any = if each > 0 { groups.len() } else { 0 };
    let what = What::Memberships(Arc::clone(groups), Arc::clone(users));
    let (_nobody, filled) = fill(target, what, 'm', groups_with_any).await?;
    Ok(Filled {
        count: filled.count * each,
        ..filled
    })
}

/// How many members each group gets.
fn members_of_each(users: &People) -> u64 {
    MEMBERS.min(users.len().saturating_sub(1))
}

/// Why the server has no groups, if it has none.
pub async fn refusal(target: &Target) -> Result<Option<String>, Failed> {
    let probe = People::new('g')?.new_group(0, &[]);
    let mut wire = Wire::connect(target).await?;
    let answer = wire
        .ask(
            target,
            with_body(Method::POST, "/Groups".to_owned(), &probe),
        )
        .await?;
    if !matches!(answer.status, 403 | 404 | 405 | 501) {
        let path = format!("/Groups/{}", id_in(&answer)?);
        wire.send(target, Method::DELETE, &path, None).await?;
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&answer.body);
    let detail = serde_json::from_str(&text)
        .ok()
        .and_then(|error: Value| Some(error.get("detail")?.as_str()?.to_owned()));
    let said = detail.unwrap_or_else(|| text.into_owned());
    Ok(Some(format!(
        "POST /Groups answered {}: {said}",
        answer.status
    )))
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
            let ask = self.ask(number)?;
            bytes += ask
                .body
                .as_ref()
                .map_or(0, |body| u64::try_from(body.len()).unwrap_or(0));
            let answer = done(&self.target, &mut wire, ask).await?;
            if answer.status == 201 {
                made.push((number, id_in(&answer)?));
            }
        }
    }

    /// The request that makes `number`.
    fn ask(&self, number: u64) -> Result<Ask, Failed> {
        match &self.what {
            What::Users => {
                let body = self.people.new_user(number);
                Ok(with_body(Method::POST, "/Users".to_owned(), &body))
            }
            What::Groups(users, members) => {
                let members: Vec<&str> = (0..*members).map_while(|at| users.id(at)).collect();
                let body = self.people.new_group(number, &members);
                Ok(with_body(Method::POST, "/Groups".to_owned(), &body))
            }
            What::Memberships(groups, users) => {
                let last = users.len().saturating_sub(1);
                let members: Vec<&str> = (0..members_of_each(users))
                    .filter_map(|member| users.id((number * MEMBERS + member).checked_rem(last)?))
                    .collect();
                let group = groups.id(number);
                let group = group.ok_or_else(|| Failed::new("a group has no id"))?;
                Ok(add_members(group, &members))
            }
        }
    }
}

/// The id of what an answer says was made.
pub fn id_in(answer: &Answer) -> Result<Box<str>, Failed> {
    let made: Value = serde_json::from_slice(&answer.body)?;
    let id = made.get("id").and_then(Value::as_str);
    id.map(Into::into)
        .ok_or_else(|| Failed::new("a POST was answered without id"))
}

/// Sends a write until the server takes it, and no longer puts it off.
pub async fn done(target: &Target, wire: &mut Wire, ask: Ask) -> Result<Answer, Failed> {
    for _ in 0..ATTEMPTS {
        let answer = wire.ask(target, ask.clone()).await?;
        match answer.status {
            200 | 201 | 204 => return Ok(answer),
            429 | 503 => tokio::time::sleep(Duration::from_millis(100)).await,
            status => {
                let text = String::from_utf8_lossy(&answer.body);
                return Err(Failed::new(format!(
                    "{} {} answered {status}: {text}",
                    ask.method, ask.path
                )));
            }
        }
    }
    Err(Failed::new(format!(
        "{} {} is put off for too long",
        ask.method, ask.path
    )))
}
