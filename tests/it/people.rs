//! Writers that go on while things fail around them, and know afterwards what must be there.
//!
//! A write that was answered with 2xx is known; one that was answered with 503, or not at all, may have been done or not,
//! and its user is left alone from then on. Everything else that a server may answer is wrong.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use crate::process::Access;
use crate::process::pause;
use crate::wire::Answer;
use crate::wire::Request;

/// How long a writer waits after a write: what everybody wrote is compared afterwards, which takes time.
const PACE: Duration = Duration::from_millis(5);
/// How long it waits after it was refused.
const REFUSED: Duration = Duration::from_millis(50);

/// One user of a writer.
#[derive(Clone, Debug)]
struct Person {
    /// `userName` and `externalId`.
    name: String,
    /// Its id, once acknowledged.
    id: Option<String>,
    /// The mark that was acknowledged; `None` = not there.
    known: Option<u64>,
    /// The mark that was asked for and not acknowledged.
    pending: Option<u64>,
}

/// One who writes, and everybody he made.
#[derive(Debug)]
pub struct Writer {
    /// Part of the names he gives.
    number: usize,
    /// Bytes of a user beside its name.
    bytes: usize,
    /// Users, in order.
    people: Vec<Person>,
    /// How many writes there were so far.
    marks: u64,
    /// When the last write was acknowledged.
    last: Option<Instant>,
    /// When the first write was refused.
    refused: Option<Instant>,
}

/// Writers at work.
pub struct Crew {
    /// They stop when this is set.
    stop: Arc<AtomicBool>,
    /// What they do.
    threads: Vec<JoinHandle<Writer>>,
}

impl Crew {
    /// Sets `writers` to work.
    pub fn start(access: &Access, writers: Vec<Writer>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = writers.into_iter().map(|mut writer| {
            let (access, stop) = (access.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                // The error is the end of the process: what was under way is noted.
                drop(writer.write(&access, &stop));
                writer
            })
        });
        let threads = threads.collect();
        Self { stop, threads }
    }

    /// Lets them finish what they do, and stops.
    pub fn stop(self) -> Vec<Writer> {
        self.stop.store(true, Ordering::SeqCst);
        self.threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    }
}

impl Writer {
    /// `count` writers whose users have `bytes` bytes.
    pub fn some(count: usize, bytes: usize) -> Vec<Self> {
        let writer = |number| Self {
            number,
            bytes,
            people: Vec::new(),
            marks: 0,
            last: None,
            refused: None,
        };
        (0..count).map(writer).collect()
    }

    /// Writes until told to stop, or until the connection breaks.
    fn write(&mut self, access: &Access, stop: &AtomicBool) -> io::Result<()> {
        let mut wire = access.connect()?;
        while !stop.load(Ordering::SeqCst) {
            self.marks += 1;
            let free = |person: &Person| person.known.is_some() && person.pending.is_none();
            let last = self.people.iter().rposition(free);
            // Every third write changes the user made last.
            let at = match last.filter(|_at| self.marks.is_multiple_of(3)) {
                Some(at) => at,
                None => self.add(),
            };
            let (request, status) = self.request(at, access);
            self.people[at].pending = Some(self.marks);
            let answer = wire.send(&request)?;
            if answer.status == status {
                let person = &mut self.people[at];
                person.known = person.pending.take();
                person.id = answer.json()["id"].as_str().map(str::to_owned);
                self.last = Some(Instant::now());
                pause(PACE);
            } else {
                check_refusal(&answer);
                self.refused.get_or_insert_with(Instant::now);
                pause(REFUSED);
            }
        }
        Ok(())
    }

    /// One more user, not made yet.
    fn add(&mut self) -> usize {
        self.people.push(Person {
            name: format!("w{}-{}", self.number, self.people.len()),
            id: None,
            known: None,
            pending: None,
        });
        self.people.len() - 1
    }

    /// The request that gives a user the present mark, and the status it should get.
    fn request(&self, at: usize, access: &Access) -> (Request, u16) {
        let (person, mark) = (&self.people[at], self.marks);
        let filling = "x".repeat(self.bytes);
        let Some(id) = &person.id else {
            let user = json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "externalId": person.name,
                "userName": person.name, "title": mark.to_string(), "nickName": format!("{filling}{mark}"),
            });
            return (access.request("POST", "/Users").json(&user), 201);
        };
        let patch = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [
                {"op": "replace", "path": "title", "value": mark.to_string()},
                {"op": "replace", "path": "nickName", "value": format!("{filling}{mark}")},
            ],
        });
        let request = access.request("PATCH", &format!("/Users/{id}"));
        (request.json(&patch), 200)
    }
}

/// A refusal that a client can go on with: 503 that says when to come again.
fn check_refusal(answer: &Answer) {
    answer.refusal(503, None, "a write while something fails");
    let after: Option<u32> = answer
        .header("retry-after")
        .and_then(|text| text.parse().ok());
    assert!(after.is_some_and(|seconds| seconds > 0), "{answer:?}");
}

/// When the last write of all was acknowledged.
pub fn last_write(writers: &[Writer]) -> Option<Instant> {
    writers.iter().filter_map(|writer| writer.last).max()
}

/// When the first write of all was refused.
pub fn first_refusal(writers: &[Writer]) -> Option<Instant> {
    writers.iter().filter_map(|writer| writer.refused).min()
}

/// Lets the next refusal be the first.
pub fn forget_refusals(writers: &mut [Writer]) {
    for writer in writers {
        writer.refused = None;
    }
}

/// Compares everybody with what the server says, by id, by name and in the list. Returns what is wrong. A write that was
/// not acknowledged counts as done from then on when it was.
pub fn check(access: &Access, writers: &mut [Writer]) -> io::Result<Vec<String>> {
    let mut wire = access.connect()?;
    let (mut wrong, mut there) = (Vec::new(), 0);
    for person in writers.iter_mut().flat_map(|writer| &mut writer.people) {
        let path = format!("/Users?filter=userName+eq+%22{}%22", person.name);
        let answer = wire.send(&access.request("GET", &path))?;
        let found = answer.json()["Resources"].as_array().cloned();
        let found = found.unwrap_or_default();
        let user = found.first();
        let seen: Option<u64> = user.and_then(|user| user["title"].as_str()?.parse::<u64>().ok());
        let expected = seen == person.known || (seen.is_some() && seen == person.pending);
        if !expected || answer.status != 200 || found.len() > 1 {
            wrong.push(format!("{person:?}: {answer:?}"));
        }
        if let (Some(user), Some(seen)) = (user, seen) {
            there += 1;
            let mark = seen.to_string();
            let id = user["id"].as_str().unwrap_or_default();
            let by_id = wire.send(&access.request("GET", &format!("/Users/{id}")))?;
            let whole = user["nickName"]
                .as_str()
                .is_some_and(|text| text.trim_start_matches('x') == mark);
            if by_id.status != 200 || by_id.json() != *user || !whole {
                wrong.push(format!("{person:?}: {answer:?}, but by id {by_id:?}"));
            }
            person.id = Some(id.to_owned());
        }
        person.known = seen;
        person.pending = None;
    }
    let list = wire.send(&access.request("GET", "/Users?count=0"))?.json();
    if list["totalResults"] != there {
        wrong.push(format!("{there} users, but the list says {list}"));
    }
    Ok(wrong)
}

/// Somebody who reads users that are known, again and again.
pub struct Reader {
    /// He stops when this is set.
    stop: Arc<AtomicBool>,
    /// When he got his last answer.
    thread: JoinHandle<Option<Instant>>,
}

impl Reader {
    /// Begins to read users that `writers` made.
    pub fn start(access: &Access, writers: &[Writer]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let people = writers.iter().flat_map(|writer| &writer.people);
        let ids: Vec<String> = people.filter_map(|person| person.id.clone()).collect();
        let (access, stopped) = (access.clone(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut wire = access.connect().ok()?;
            let mut last = None;
            for id in ids.iter().cycle() {
                let request = access.request("GET", &format!("/Users/{id}"));
                let Ok(answer) = wire.send(&request) else {
                    break;
                };
                assert_eq!(answer.status, 200, "reads go on: {answer:?}");
                last = Some(Instant::now());
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                pause(Duration::from_millis(5));
            }
            last
        });
        Self { stop, thread }
    }

    /// When the last answer came; every one was 200.
    pub fn stop(self) -> Option<Instant> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}
