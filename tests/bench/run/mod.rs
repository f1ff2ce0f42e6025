//! The whole run with one number of users: fill, restart, drive every operation, drive the store, sum up.

mod members;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rollcall::measure::Writes;
use rollcall::measure::store_writes;

use crate::ceiling::Ceiling;
use crate::drive::Drive;
use crate::drive::Figures;
use crate::failed::Failed;
use crate::groups;
use crate::groups::Groups;
use crate::load;
use crate::machine;
use crate::operation::Operation;
use crate::people::People;
use crate::process;
use crate::report;
use crate::report::DiskAt;
use crate::report::Flood;
use crate::report::MemoryAt;
use crate::report::Round;
use crate::report::Row;
use crate::report::Size;
use crate::report::Start;
use crate::report::StoreFigures;
use crate::report::StoreRow;
use crate::rollcall::Rollcall;
use crate::token;
use crate::wire::Target;

/// Connections of what runs at a fixed rate, and of a flood.
const RATE_CONNECTIONS: u64 = 16;
/// What runs at a fixed rate.
const AT_RATE: [Operation; 3] = [Operation::Get, Operation::Filter, Operation::Patch];
/// Latency in microseconds from which a read is driven with one connection only: more would wait for each other.
const SLOW_US: u32 = 200_000;
/// Load before the process is killed, so that there is something to replay.
const BEFORE_KILL: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Groups to make.
    pub groups: u64,
    /// Members of the large group; 0 for none.
    pub members: u64,
    /// Whether groups with few and with many members are compared.
    pub compare_members: bool,
    /// Connections of each measurement.
    pub connections: Vec<u64>,
    /// How long each is measured.
    pub time: Duration,
    /// How long each runs before.
    pub warm_up: Duration,
    /// How often.
    pub repeat: u64,
    /// Requests a second of what runs at a fixed rate; 0 for none of that.
    pub rate: u64,
    /// What is driven.
    pub operations: Vec<Operation>,
    /// HTTP/2 instead of HTTP/1.1.
    pub h2: bool,
    /// Where certificates, and the state of what is started, go.
    pub folder: PathBuf,
}

/// A server, and what is found out about it.
pub struct Run<'a> {
    /// What is asked for.
    plan: &'a Plan,
    /// Where requests go.
    target: Target,
    /// The token, as the flood has to know it.
    token: String,
    /// The server's process, if known.
    pid: Option<u32>,
    /// The server, when it is ours to start and stop.
    rollcall: Option<Rollcall>,
    /// The users.
    people: Arc<People>,
    /// The groups.
    groups: Option<Groups>,
    /// What was found.
    size: Size,
}

/// A server that somebody else started.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// Where requests go.
    pub target: Target,
    /// The token.
    pub token: String,
    /// Its process, if known.
    pub pid: Option<u32>,
}

impl<'a> Run<'a> {
    /// A run over a fresh Rollcall.
    pub async fn fresh(plan: &'a Plan, mut rollcall: Rollcall, users: u64) -> Result<Size, Failed> {
        let mut size = Size::default();
        let seconds = rollcall.start().await?.as_secs_f64();
        let what = "first start";
        println!("{what}: {seconds:.2} s");
        size.starts.push(Start { what, seconds });
        size.remember("idle", rollcall.pid());
        rollcall.prepare()?;
        // Twice: the second answer is given by a token that is remembered.
        rollcall.answers().await?;
        rollcall.answers().await?;
        size.remember("after one token check", rollcall.pid());
        let run = Run {
            plan,
            target: rollcall.target().await?,
            token: rollcall.token().to_owned(),
            pid: rollcall.pid(),
            rollcall: Some(rollcall),
            people: Arc::new(People::new('u')?),
            groups: None,
            size,
        };
        run.all(users).await
    }

    /// A run over a server that is there.
    pub async fn foreign(plan: &'a Plan, foreign: Foreign, users: u64) -> Result<Size, Failed> {
        let run = Run {
            plan,
            target: foreign.target,
            token: foreign.token,
            pid: foreign.pid,
            rollcall: None,
            people: Arc::new(People::new('u')?),
            groups: None,
            size: Size::default(),
        };
        run.all(users).await
    }

    /// Everything, in an order in which nothing spoils what comes after: reads before writes.
    async fn all(mut self, users: u64) -> Result<Size, Failed> {
        self.size.users = users;
        self.fill(users).await?;
        self.restart().await?;
        report::print_heading();
        let operations = &self.plan.operations;
        let (writes, reads): (Vec<_>, Vec<_>) = operations
            .iter()
            .copied()
            .filter(|operation| self.can(*operation))
            .partition(|operation| operation.writes());
        self.operations(&reads).await?;
        for operation in AT_RATE
            .into_iter()
            .filter(|operation| operations.contains(operation))
        {
            if self.plan.rate > 0 {
                self.row(operation, RATE_CONNECTIONS, Some(self.plan.rate))
                    .await?;
            }
        }
        self.members().await?;
        self.operations(&writes).await?;
        if self.plan.rate > 0 && operations.contains(&Operation::Get) {
            self.flood().await?;
        }
        self.size.remember("at the end", self.pid);
        self.disk("at the end")?;
        if let Some(rollcall) = &mut self.rollcall {
            rollcall.stop().await?;
        }
        Ok(self.size)
    }

    /// Makes users and groups.
    async fn fill(&mut self, users: u64) -> Result<(), Failed> {
        let (people, filled) = load::users(&self.target, 'u', users).await?;
        let json = report::megabytes(filled.json_bytes);
        println!("{users} users in {:.1} s, {json} of JSON", filled.seconds);
        self.people = Arc::new(people);
        self.size.filled = Some(filled);
        if self.plan.groups > 0 {
            match groups::empty(&self.target, self.plan.groups).await? {
                Ok((empty, filled)) => {
                    println!("{} groups in {:.1} s", filled.count, filled.seconds);
                    self.size.groups = Some(filled);
                    self.gather(empty).await?;
                }
                Err(reason) => {
                    println!("no groups, and no operations on them: {reason}");
                    self.size.groups_skipped = Some(reason);
                }
            }
        }
        self.size.remember("loaded", self.pid);
        self.disk("loaded")
    }

    /// Stops and starts, kills and starts.
    async fn restart(&mut self) -> Result<(), Failed> {
        let Some(mut rollcall) = self.rollcall.take() else {
            return Ok(());
        };
        let stop = rollcall.stop().await?;
        self.size.took("clean stop", stop);
        let start = rollcall.start().await?;
        self.size.took("start after a clean stop", start);
        self.pid = rollcall.pid();
        self.size.remember("after a clean start", self.pid);
        let mut writes = self.drive(Operation::Patch, RATE_CONNECTIONS, None, &self.people);
        (writes.warm_up, writes.time) = (Duration::ZERO, BEFORE_KILL);
        writes.run().await?;
        rollcall.kill()?;
        let start = rollcall.start().await?;
        self.size.took("start after kill -9", start);
        self.pid = rollcall.pid();
        self.size.remember("after kill -9", self.pid);
        self.rollcall = Some(rollcall);
        Ok(())
    }

    /// Operations with every number of connections.
    async fn operations(&mut self, operations: &[Operation]) -> Result<(), Failed> {
        for operation in operations {
            let connections = if self.is_slow(*operation).await? {
                &[1][..]
            } else {
                &self.plan.connections
            };
            for count in connections {
                self.row(*operation, *count, None).await?;
                if *operation == Operation::Post && self.rollcall.is_some() {
                    self.store(*count).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether a read looks at so much that it takes long.
    async fn is_slow(&self, operation: Operation) -> Result<bool, Failed> {
        if operation == Operation::GroupLarge {
            return Ok(true);
        }
        if operation.writes() || operation.of_groups() {
            return Ok(false);
        }
        let mut once = self.drive(operation, 1, None, &self.people);
        (once.warm_up, once.time) = (Duration::ZERO, Duration::ZERO);
        Ok(once.run().await?.p50_us > SLOW_US)
    }

    /// One row of the table.
    async fn row(
        &mut self,
        operation: Operation,
        connections: u64,
        rate: Option<u64>,
    ) -> Result<(), Failed> {
        let mut rounds = Vec::new();
        for _ in 0..self.plan.repeat.max(1) {
            rounds.push(self.round(operation, connections, rate).await?);
        }
        let mut order: Vec<&Round> = rounds.iter().collect();
        let key = |round: &Round| round.ratio.unwrap_or(round.server.per_second);
        order.sort_by(|one, other| key(one).total_cmp(&key(other)));
        let median = order.get(order.len() / 2).copied().cloned();
        let median = median.ok_or_else(|| Failed::new("there was no round"))?;
        if rounds.len() == 1 {
            rounds.clear();
        }
        let row = Row {
            operation: operation.name(),
            connections,
            rate,
            median,
            rounds,
            rss_bytes: process::memory(self.pid).map(|memory| memory.rss_bytes),
        };
        report::print_row(&row);
        self.size.rows.push(row);
        Ok(())
    }

    /// The server, and right after it the ceiling.
    async fn round(
        &self,
        operation: Operation,
        connections: u64,
        rate: Option<u64>,
    ) -> Result<Round, Failed> {
        let people = match operation {
            Operation::Post => Arc::new(People::new('p')?),
            Operation::Delete => Arc::new(self.doomed(connections).await?),
            _ => Arc::clone(self.about(operation)),
        };
        let mut drive = self.drive(operation, connections, rate, &people);
        if operation == Operation::Scan {
            // One can take longer than the warm-up, and its CPU time would count for those after it.
            drive.warm_up = Duration::ZERO;
        }
        let server = drive.run().await?;
        // A scan is work of another kind than an answer; a server without a good answer has nothing to stand beside.
        if operation == Operation::Scan || server.head.is_none() {
            return Ok(Round::new(server, None));
        }
        let ceiling = self.ceiling(drive, &server).await?;
        Ok(Round::new(server, Some(ceiling)))
    }

    /// The same load on a server that answers the same without doing anything.
    async fn ceiling(&self, drive: Drive, server: &Figures) -> Result<Figures, Failed> {
        let ceiling = Ceiling::start(&self.plan.folder, server)?;
        let target = Target::resolve(&ceiling.url, &self.token, &ceiling.ca, self.plan.h2).await?;
        let drive = Drive {
            target,
            forgetful: true,
            pid: Some(ceiling.pid()),
            ..drive
        };
        let figures = drive.run().await?;
        match &figures.first_error {
            Some(error) => Err(Failed::new(format!("the ceiling failed: {error}"))),
            None => Ok(figures),
        }
    }

    /// Users to delete: as many as can go in the time, judged by how fast users came.
    async fn doomed(&self, connections: u64) -> Result<People, Failed> {
        let per_second = self.size.filled.map_or(1000.0, |filled| {
            let count = u32::try_from(filled.count).unwrap_or(u32::MAX);
            (f64::from(count) / filled.seconds.max(0.001)).max(1000.0)
        });
        let share = match connections {
            0..=3 => 0.5,
            4..=15 => 1.0,
            _ => 1.5,
        };
        let time = (self.plan.time + self.plan.warm_up).as_secs_f64();
        let count = Duration::from_secs_f64(per_second * share * time).as_secs();
        let (people, _filled) = load::users(&self.target, 'd', count.max(1)).await?;
        Ok(people.counted_again())
    }

    /// A load as this run wants it.
    fn drive(
        &self,
        operation: Operation,
        connections: u64,
        rate: Option<u64>,
        people: &Arc<People>,
    ) -> Drive {
        Drive {
            target: self.target.clone(),
            people: Arc::clone(people),
            operation,
            connections,
            warm_up: self.plan.warm_up,
            time: self.plan.time,
            rate,
            forgetful: false,
            refused: false,
            pid: self.pid,
            stop: None,
        }
    }

    /// Drives the store directly, in a folder beside the state, with as many writers as connections and the same users.
    async fn store(&mut self, connections: u64) -> Result<(), Failed> {
        let writers = usize::try_from(connections).unwrap_or(1);
        let per_second = match connections {
            0..=3 => 1000,
            4..=31 => 4000,
            _ => 8000,
        };
        let millis = u64::try_from(self.plan.time.as_millis()).unwrap_or(u64::MAX);
        let people = People::new('s')?;
        let count = (millis.saturating_mul(per_second) / 1000).max(1);
        let users = (0..count).map(|number| people.new_user(number)).collect();
        let folder = self.plan.folder.join("store");
        std::fs::create_dir(&folder)?;
        let measured = {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || store_writes(&folder, writers, users)).await??
        };
        std::fs::remove_dir_all(&folder)?;
        let figures = |writes: &Writes| StoreFigures::new(writes.took, &writes.latencies);
        let row = StoreRow {
            writers,
            create: figures(&measured.create),
            replace: figures(&measured.replace),
        };
        report::print_store(&row);
        self.size.store.push(row);
        Ok(())
    }

    /// Good traffic at a fixed rate, alone and beside wrong tokens.
    async fn flood(&mut self) -> Result<(), Failed> {
        let rate = Some(self.plan.rate);
        let good = self.drive(Operation::Get, RATE_CONNECTIONS, rate, &self.people);
        let quiet = good.run().await?;
        // As many wrong as right ones: more would take the processors that the load shares with the server.
        let mut wrong = self.drive(Operation::Get, RATE_CONNECTIONS, rate, &self.people);
        wrong.target = wrong.target.with_token(&token::wrong(&self.token));
        wrong.refused = true;
        let (flooded, wrong) = tokio::try_join!(good.run(), wrong.run())?;
        println!(
            "get @{}/s beside {:.0} wrong tokens/s: p50 {} us, p99 {} us; quiet: p50 {} us, p99 {} us",
            self.plan.rate,
            wrong.per_second,
            flooded.p50_us,
            flooded.p99_us,
            quiet.p50_us,
            quiet.p99_us
        );
        self.size.flood = Some(Flood {
            quiet,
            flooded,
            wrong,
        });
        Ok(())
    }

    /// Takes down what is on the disk.
    fn disk(&mut self, when: &'static str) -> Result<(), Failed> {
        let Some(rollcall) = &self.rollcall else {
            return Ok(());
        };
        let parts = machine::parts(&rollcall.state())?;
        let texts = parts
            .iter()
            .map(|part| format!("{} {}", part.name, report::megabytes(part.bytes)));
        println!("disk, {when}: {}", texts.collect::<Vec<_>>().join(", "));
        self.size.disk.push(DiskAt { when, parts });
        Ok(())
    }
}

impl Size {
    /// Takes down the memory of a process.
    fn remember(&mut self, when: &'static str, pid: Option<u32>) {
        if let Some(memory) = process::memory(pid) {
            println!(
                "memory, {when}: {}, at most {}",
                report::megabytes(memory.rss_bytes),
                report::megabytes(memory.peak_bytes)
            );
            self.memory.push(MemoryAt { when, memory });
        }
    }

    /// Takes down how long a start or a stop took.
    fn took(&mut self, what: &'static str, took: Duration) {
        let seconds = took.as_secs_f64();
        println!("{what}: {seconds:.2} s");
        self.starts.push(Start { what, seconds });
    }
}

/// The Rollcall beside this program: in its folder, or in the one above as cargo puts examples.
pub fn binary_beside() -> Result<PathBuf, Failed> {
    let own = std::env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2);
    let mut found = folders.map(|folder: &Path| folder.join("rollcall"));
    found.find(|path| path.is_file()).ok_or_else(|| {
        Failed::new("no rollcall beside this program: build it (cargo build --release --bins --examples) or give --rollcall PATH")
    })
}
