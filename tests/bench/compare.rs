//! Compares groups with few members and with many: what should cost the same, what grows, and what others notice of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use hyper::Method;
use serde_json::Value;

use crate::drive::Drive;
use crate::drive::Figures;
use crate::drive::per_second;
use crate::failed::Failed;
use crate::load;
use crate::members::Beside;
use crate::members::Changes;
use crate::members::Heavy;
use crate::members::Latency;
use crate::members::Members;
use crate::members::Parallel;
use crate::members::print_others;
use crate::operation::Ask;
use crate::operation::change_member;
use crate::operation::get;
use crate::operation::with_body;
use crate::people::People;
use crate::process;
use crate::wire::Target;
use crate::wire::Wire;

/// Members of the small group.
const FEW: u64 = 100;
/// Members of a group that is created by one request.
const CREATED: u64 = 10_000;
/// How often it is created, and how often the large group is read, created and deleted.
const TIMES: u64 = 3;
/// Users that come and go.
const OUTSIDERS: u64 = 100;
/// Who changes the members of one group at once.
const PARALLEL: u64 = 5;
/// Changes that are made before those that count.
const WARM_UP: u64 = 40;
/// How long reads go on before something happens beside them.
const SETTLING: Duration = Duration::from_millis(500);
/// Longest that reads go on beside something.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is looked at.
pub struct Subject<'a> {
    /// Where requests go.
    pub target: &'a Target,
    /// The server's process, if known.
    pub pid: Option<u32>,
    /// Users that can be members.
    pub users: &'a Arc<People>,
    /// Members of the large group.
    pub many: u64,
    /// How long each is measured.
    pub time: Duration,
    /// What goes on beside it, at a fixed rate.
    pub beside: Option<Drive>,
}

/// A group, and who is in it.
struct Group {
    /// Its id.
    id: Box<str>,
    /// Its members.
    members: BTreeSet<String>,
}

/// Measures all of it and prints it.
pub async fn compare(subject: &Subject<'_>) -> Result<Members, Failed> {
    let (outsiders, _filled) = load::users(subject.target, 'o', OUTSIDERS).await?;
    let few = subject.group(FEW).await?;
    let many = subject.group(subject.many).await?;
    let (one_of_few, one_of_many) = subject.singles(&outsiders, [&few, &many]).await?;
    println!("\nmembers            of    p50_us   p99_us   max_us");
    for (group, changes) in [(&few, &one_of_few), (&many, &one_of_many)] {
        changes.add.print("add one", group.members.len());
        changes.remove.print("remove one", group.members.len());
    }
    let parallel_few = subject.parallel(&outsiders, &few).await?;
    parallel_few.print(few.members.len());
    let parallel_many = subject.parallel(&outsiders, &many).await?;
    parallel_many.print(many.members.len());
    let mut wire = Wire::connect(subject.target).await?;
    let created_members = CREATED.min(subject.users.len());
    let mut created = Vec::new();
    for _ in 0..TIMES {
        let (heavy, id) = subject.create(&mut wire, created_members).await?;
        heavy.print(&format!("create with {created_members}"));
        created.push(heavy);
        subject.delete(&mut wire, &id).await?;
    }
    let mut read = Vec::new();
    for _ in 0..TIMES {
        let heavy = subject.read(&mut wire, &many).await?;
        heavy.print(&format!("GET of {}", many.members.len()));
        read.push(heavy);
    }
    let quiet = match &subject.beside {
        Some(drive) => Some(drive.run().await?),
        None => None,
    };
    let (beside_read, beside_create, beside_delete) = subject.besides(&mut wire, &many).await?;
    print_others("alone", quiet.as_ref());
    for (what, beside) in [
        ("beside GETs of the large group", &beside_read),
        ("while it is created", &beside_create),
        ("while it is deleted", &beside_delete),
    ] {
        print_others(what, beside.as_ref().map(|beside| &beside.others));
    }
    Ok(Members {
        few: u64::try_from(few.members.len()).unwrap_or(0),
        many: u64::try_from(many.members.len()).unwrap_or(0),
        one_of_few,
        one_of_many,
        parallel_few,
        parallel_many,
        created,
        created_members,
        read,
        quiet,
        beside_read,
        beside_create,
        beside_delete,
    })
}

impl Subject<'_> {
    /// A new group with so many members.
    async fn group(&self, members: u64) -> Result<Group, Failed> {
        let members = members.min(self.users.len());
        let (group, _filled) = load::groups(self.target, 'x', 1, self.users, members).await?;
        let id = group
            .id(0)
            .ok_or_else(|| Failed::new("no group was made"))?;
        let members = (0..members).filter_map(|number| self.users.id(number));
        Ok(Group {
            id: id.into(),
            members: members.map(str::to_owned).collect(),
        })
    }

    /// Single changes of a small group and of a large one, in turns, so that both see the same machine.
    async fn singles(
        &self,
        outsiders: &People,
        groups: [&Group; 2],
    ) -> Result<(Changes, Changes), Failed> {
        let mut wire = Wire::connect(self.target).await?;
        let mut times: [[Vec<u32>; 2]; 2] = Default::default();
        let (began, mut number) = (Instant::now(), 0);
        while began.elapsed() < self.time * 2 || number < WARM_UP * 2 {
            let outsider = number / 2 % outsiders.len();
            let outsider = outsiders.id(outsider).unwrap_or_default();
            let comes = number % 2 == 0;
            for (group, times) in groups.iter().zip(&mut times) {
                let ask = change_member(&group.id, outsider, comes);
                let took = timed(self.target, &mut wire, ask).await?;
                if number >= WARM_UP {
                    let [adds, removes] = times;
                    if comes { adds } else { removes }.push(took);
                }
            }
            number += 1;
        }
        if number % 2 == 1 {
            let outsider = outsiders
                .id(number / 2 % outsiders.len())
                .unwrap_or_default();
            for group in groups {
                let ask = change_member(&group.id, outsider, false);
                timed(self.target, &mut wire, ask).await?;
            }
        }
        let [few, many] = times.map(|[adds, removes]| Changes {
            add: Latency::of(adds),
            remove: Latency::of(removes),
        });
        Ok((few, many))
    }

    /// Changes of one group from several sides, each with outsiders of its own; then the group must have exactly those that it
    /// should have.
    async fn parallel(&self, outsiders: &People, group: &Group) -> Result<Parallel, Failed> {
        let began = Instant::now();
        let until = began + self.time;
        let each = outsiders.len() / PARALLEL;
        let mut tasks = tokio::task::JoinSet::new();
        for side in 0..PARALLEL {
            let ids = (0..each).filter_map(|at| outsiders.id(side * each + at));
            let ids: Vec<String> = ids.map(str::to_owned).collect();
            let (target, id) = (self.target.clone(), group.id.clone());
            tasks.spawn(async move { change_until(&target, &id, &ids, until).await });
        }
        let (mut times, mut expected) = (Vec::new(), group.members.clone());
        while let Some(side) = tasks.join_next().await {
            let (took, inside) = side??;
            times.extend(took);
            expected.extend(inside);
        }
        let per_second = per_second(times.len(), began.elapsed().as_secs_f64());
        let mut wire = Wire::connect(self.target).await?;
        let ask = get(format!("/Groups/{}", group.id));
        let shown: Value = serde_json::from_slice(&wire.ask(self.target, ask).await?.body)?;
        let shown = shown.get("members").and_then(Value::as_array);
        let ids = |member: &Value| Some(member.get("value")?.as_str()?.to_owned());
        let shown: Vec<String> = shown.into_iter().flatten().filter_map(ids).collect();
        let count = shown.len();
        let shown: BTreeSet<String> = shown.into_iter().collect();
        for id in expected.difference(&group.members) {
            let ask = change_member(&group.id, id, false);
            timed(self.target, &mut wire, ask).await?;
        }
        Ok(Parallel {
            connections: PARALLEL,
            per_second,
            latency: Latency::of(times),
            exact: count == shown.len() && shown == expected,
        })
    }

    /// A request that takes long, and what it takes of the server's memory.
    async fn heavy(&self, wire: &mut Wire, ask: Ask) -> Result<(Heavy, Option<Box<str>>), Failed> {
        let fresh = process::forget_peak(self.pid);
        let before = process::memory(self.pid);
        let began = Instant::now();
        let answer = load::done(self.target, wire, ask).await?;
        let seconds = began.elapsed().as_secs_f64();
        let after = process::memory(self.pid).filter(|_memory| fresh);
        let heavy = Heavy {
            seconds,
            answer_bytes: u64::try_from(answer.body.len()).unwrap_or(0),
            rss_bytes: before.map(|memory| memory.rss_bytes),
            peak_bytes: after.map(|memory| memory.peak_bytes),
        };
        let id = match answer.status {
            201 => Some(load::id_in(&answer)?),
            _ => None,
        };
        Ok((heavy, id))
    }

    /// Creates a group with so many members.
    async fn create(&self, wire: &mut Wire, members: u64) -> Result<(Heavy, Box<str>), Failed> {
        let ids = (0..members).filter_map(|number| self.users.id(number));
        let ids: Vec<&str> = ids.collect();
        let body = People::new('y')?.new_group(0, &ids);
        let ask = with_body(Method::POST, "/Groups".to_owned(), &body);
        let (heavy, id) = self.heavy(wire, ask).await?;
        let id = id.ok_or_else(|| Failed::new("a group was not created"))?;
        Ok((heavy, id))
    }

    /// Reads a group with all its members.
    async fn read(&self, wire: &mut Wire, group: &Group) -> Result<Heavy, Failed> {
        let ask = get(format!("/Groups/{}", group.id));
        Ok(self.heavy(wire, ask).await?.0)
    }

    /// Deletes a group.
    async fn delete(&self, wire: &mut Wire, id: &str) -> Result<Heavy, Failed> {
        let ask = Ask {
            method: Method::DELETE,
            path: format!("/Groups/{id}"),
            body: None,
        };
        Ok(self.heavy(wire, ask).await?.0)
    }

    /// What others notice of reading, creating and deleting a large group.
    async fn besides(
        &self,
        wire: &mut Wire,
        many: &Group,
    ) -> Result<(Option<Beside>, Option<Beside>, Option<Beside>), Failed> {
        let Some(drive) = &self.beside else {
            return Ok((None, None, None));
        };
        let until = Instant::now() + self.time;
        let others = Others::start(drive).await;
        let mut heavy = Vec::new();
        while Instant::now() < until || heavy.is_empty() {
            heavy.push(self.read(wire, many).await?);
        }
        let read = others.stop(heavy).await?;
        let others = Others::start(drive).await;
        let (mut heavy, mut ids) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            let (took, id) = self.create(wire, self.many).await?;
            heavy.push(took);
            ids.push(id);
        }
        let create = others.stop(heavy).await?;
        let others = Others::start(drive).await;
        let mut heavy = Vec::new();
        for id in ids {
            heavy.push(self.delete(wire, &id).await?);
        }
        let delete = others.stop(heavy).await?;
        Ok((Some(read), Some(create), Some(delete)))
    }
}

/// Lets these come to a group and go again, one after the other, until then; how long each took, and who is in it.
async fn change_until(
    target: &Target,
    group: &str,
    ids: &[String],
    until: Instant,
) -> Result<(Vec<u32>, BTreeSet<String>), Failed> {
    let mut wire = Wire::connect(target).await?;
    let (mut times, mut inside) = (Vec::new(), BTreeSet::new());
    for comes in [true, false].into_iter().cycle() {
        for id in ids {
            if Instant::now() >= until {
                return Ok((times, inside));
            }
            let ask = change_member(group, id, comes);
            times.push(timed(target, &mut wire, ask).await?);
            if comes {
                inside.insert(id.clone());
            } else {
                inside.remove(id);
            }
        }
    }
    Ok((times, inside))
}

/// How long a write took, in microseconds. One that is put off is an error here.
async fn timed(target: &Target, wire: &mut Wire, ask: Ask) -> Result<u32, Failed> {
    let began = Instant::now();
    let (method, path) = (ask.method.clone(), ask.path.clone());
    let answer = wire.ask(target, ask).await?;
    let took = began.elapsed().as_micros();
    if !matches!(answer.status, 200 | 204) {
        let text = String::from_utf8_lossy(&answer.body);
        let status = answer.status;
        return Err(Failed::new(format!(
            "{method} {path} answered {status}: {text}"
        )));
    }
    Ok(u32::try_from(took).unwrap_or(u32::MAX))
}

/// Requests at a fixed rate beside something else.
struct Others {
    /// Set to end them.
    stop: Arc<AtomicBool>,
    /// What came of them.
    task: tokio::task::JoinHandle<Result<Figures, Failed>>,
}

impl Others {
    /// Begins them, and waits until they are under way: a connection begins with a handshake.
    async fn start(drive: &Drive) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let drive = Drive {
            stop: Some(Arc::clone(&stop)),
            warm_up: SETTLING,
            time: PATIENCE,
            ..drive.clone()
        };
        let task = tokio::spawn(async move { drive.run().await });
        tokio::time::sleep(SETTLING).await;
        Self { stop, task }
    }

    /// Ends them, now that what they were beside is done.
    async fn stop(self, heavy: Vec<Heavy>) -> Result<Beside, Failed> {
        self.stop.store(true, Ordering::Relaxed);
        let others = self.task.await??;
        Ok(Beside { heavy, others })
    }
}
