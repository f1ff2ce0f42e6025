//! What was found beside what is aimed at.

use serde::Serialize;

use crate::report::Row;
use crate::report::Size;
use crate::report::WITHOUT_MEMBERS;
use crate::report::megabytes;

/// Creates a second that the first prototype of this store reached with as many writers, on two cores: the floor.
const STORE_FLOOR: [(usize, f64); 3] = [(1, 2_410.0), (16, 9_198.0), (64, 20_506.0)];
/// Users from which disk space says something: below, the segments set aside ahead of time are most of it.
const DISK_USERS_MIN: u64 = 100_000;

/// Memberships from which a difference in memory tells what one takes.
const MEMBERSHIPS_MIN: u64 = 100_000;
/// Members of a group that is large.
const LARGE: u64 = 100_000;

/// One aim.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// With how many users.
    pub users: u64,
    /// What was measured.
    pub what: String,
    /// What came out.
    pub number: String,
    /// What it should be.
    pub aim: String,
    /// Whether it is; `None` when this run cannot tell.
    pub met: Option<bool>,
}

/// Collects verdicts on one size.
struct Judge<'a> {
    /// The size.
    size: &'a Size,
    /// What was said of it.
    verdicts: Vec<Verdict>,
}

/// Every aim that these sizes can be held against.
pub fn judge(sizes: &[Size]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for size in sizes {
        let mut judge = Judge {
            size,
            verdicts: Vec::new(),
        };
        judge.ceilings();
        judge.writes();
        judge.memory();
        judge.starts();
        judge.disk();
        judge.flood();
        judge.memberships();
        judge.members();
        verdicts.append(&mut judge.verdicts);
    }
    verdicts.extend(across(sizes));
    let users = sizes.last().map_or(0, |size| size.users);
    let mut untold = |what: &str, number: &str, aim: &str| {
        verdicts.push(Verdict {
            users,
            what: what.to_owned(),
            number: number.to_owned(),
            aim: aim.to_owned(),
            met: None,
        });
    };
    untold(
        "token check, once remembered",
        "not measured: a part of every GET",
        "<= 2 us",
    );
    verdicts
}

/// Latency of a filter at a fixed rate with the most users, against that with the fewest.
fn across(sizes: &[Size]) -> Option<Verdict> {
    let fixed = |size: &Size| {
        let mut rows = size.rows.iter();
        rows.find(|row| row.operation == "filter" && row.rate.is_some())
            .map(|row| (size.users, row.median.server.p99_us))
    };
    let few = sizes.iter().min_by_key(|size| size.users).and_then(fixed)?;
    let many = sizes.iter().max_by_key(|size| size.users).and_then(fixed)?;
    if few.0 == many.0 {
        return None;
    }
    let ratio = f64::from(many.1) / f64::from(few.1.max(1));
    Some(Verdict {
        users: many.0,
        what: format!("filter at a fixed rate, p99 against {} users", few.0),
        number: format!("{} us, {ratio:.2} x", many.1),
        aim: "<= 1.5 x".to_owned(),
        met: Some(ratio <= 1.5),
    })
}

impl Judge<'_> {
    /// Says something.
    fn say(
        &mut self,
        what: impl Into<String>,
        number: String,
        aim: impl Into<String>,
        met: Option<bool>,
    ) {
        self.verdicts.push(Verdict {
            users: self.size.users,
            what: what.into(),
            number,
            aim: aim.into(),
            met,
        });
    }

    /// Reads against the ceiling.
    fn ceilings(&mut self) {
        let size = self.size;
        for (operation, ratio_min, cpu_max) in [("get", 0.80, 1.4), ("filter", 0.70, 1.6)] {
            let rows = |row: &&Row| row.operation == operation && row.rate.is_none();
            for row in size
                .rows
                .iter()
                .filter(rows)
                .filter(|row| row.connections > 1)
            {
                let Some(ratio) = row.median.ratio else {
                    continue;
                };
                let (cpu, cpu_fits) = match row.median.cpu_ratio {
                    Some(cpu) => (format!("{cpu:.2} x"), Some(cpu <= cpu_max)),
                    None => ("unknown".to_owned(), None),
                };
                self.say(
                    format!(
                        "{operation}, {} connections, of the ceiling",
                        row.connections
                    ),
                    format!("{:.0} %, CPU {cpu}", ratio * 100.0),
                    format!(">= {:.0} %, CPU <= {cpu_max} x", ratio_min * 100.0),
                    cpu_fits.map(|fits| fits && ratio >= ratio_min),
                );
            }
        }
    }

    /// Durable writes against the store alone, and that against its floor.
    fn writes(&mut self) {
        let size = self.size;
        for store in &size.store {
            let writers = u64::try_from(store.writers).unwrap_or(0);
            for (operation, alone) in [("post", &store.create), ("patch", &store.replace)] {
                let Some(row) = size.row(operation, writers, None) else {
                    continue;
                };
                let share = row.median.server.per_second / alone.per_second.max(1.0);
                self.say(
                    format!("{operation}, {writers} connections, of the store alone"),
                    format!("{:.0} %", share * 100.0),
                    ">= 60 % at 16",
                    (writers == 16).then_some(share >= 0.6),
                );
            }
            let floor = STORE_FLOOR
                .iter()
                .find(|(count, _)| *count == store.writers);
            if let Some((_, floor)) = floor {
                let rate = store.create.per_second;
                self.say(
                    format!("store alone, create, {writers} writers"),
                    format!("{rate:.0}/s"),
                    format!(">= {floor:.0}/s"),
                    Some(rate >= *floor),
                );
            }
        }
    }

    /// Memory with everybody loaded, and idle.
    fn memory(&mut self) {
        let size = self.size;
        for at in &size.memory {
            let bytes = at.memory.rss_bytes;
            let max = match at.when {
                "after one token check" => 40_000_000,
                "loaded" | "after a clean start" | "after kill -9" | "at the end" => {
                    let memberships = size.memberships.map_or(0, |found| found.memberships);
                    150_000_000 + 400 * size.users + 24 * memberships
                }
                _ => continue,
            };
            // What was posted meanwhile is there at the end beside the users that count here.
            let tells = at.when != "at the end";
            self.say(
                format!("memory, {}", at.when),
                megabytes(bytes),
                format!("<= {}", megabytes(max)),
                tells.then_some(bytes <= max),
            );
        }
    }

    /// Starts.
    fn starts(&mut self) {
        let size = self.size;
        for start in &size.starts {
            let max = match start.what {
                "start after a clean stop" => 2.0,
                "start after kill -9" => 30.0,
                _ => continue,
            };
            self.say(
                start.what,
                format!("{:.2} s", start.seconds),
                format!("<= {max} s with 1 000 000"),
                Some(start.seconds <= max),
            );
        }
    }

    /// Disk against what was sent.
    fn disk(&mut self) {
        let size = self.size;
        let (Some(at), Some(filled)) = (size.disk.first(), size.filled) else {
            return;
        };
        let counted = ["log", "sled", "base"];
        let parts = at
            .parts
            .iter()
            .filter(|part| counted.contains(&&*part.name));
        let bytes: u64 = parts.map(|part| part.bytes).sum();
        let tenths = (bytes * 10).checked_div(filled.json_bytes).unwrap_or(0);
        let number = format!(
            "{} for {}, {}.{} x",
            megabytes(bytes),
            megabytes(filled.json_bytes),
            tenths / 10,
            tenths % 10
        );
        let tells = size.users >= DISK_USERS_MIN;
        self.say(
            "disk, log and sled and base, of the JSON",
            number,
            "<= 3 x, from 100 000 users",
            tells.then_some(tenths <= 30),
        );
    }

    /// Good traffic beside wrong tokens.
    fn flood(&mut self) {
        let Some(flood) = &self.size.flood else {
            return;
        };
        let (quiet, flooded) = (flood.quiet.p99_us, flood.flooded.p99_us);
        let ratio = f64::from(flooded) / f64::from(quiet.max(1));
        self.say(
            "GET p99 beside a flood of wrong tokens",
            format!("{flooded} us, {ratio:.1} x quiet"),
            "<= 3 x",
            (flood.flooded.requests > 0 && flood.wrong.requests > 0).then_some(ratio <= 3.0),
        );
    }

    /// What memberships take of the memory.
    fn memberships(&mut self) {
        let size = self.size;
        let at = |when: &str| {
            let mut all = size.memory.iter();
            let found = all.find(|at| at.when == when)?;
            Some(found.memory.rss_bytes)
        };
        let before = at(WITHOUT_MEMBERS);
        let Some((before, after)) = before.zip(at("after a clean start")) else {
            return;
        };
        let count = size.memberships.map_or(0, |found| found.memberships);
        let Some(each) = after.saturating_sub(before).checked_div(count) else {
            return;
        };
        self.say(
            "memory for one membership, after a clean start",
            format!("{each} B of {count}"),
            "<= 24 B",
            (count >= MEMBERSHIPS_MIN).then_some(each <= 24),
        );
    }

    /// Groups with few members and with many.
    fn members(&mut self) {
        let Some(found) = &self.size.members else {
            return;
        };
        let (few, many) = (&found.one_of_few, &found.one_of_many);
        for (what, few, many) in [
            ("added to", few.add.p50_us, many.add.p50_us),
            ("removed from", few.remove.p50_us, many.remove.p50_us),
        ] {
            let ratio = f64::from(many) / f64::from(few.max(1));
            self.say(
                format!("one member {what} a group of {}", found.many),
                format!("{many} us, {ratio:.2} x a group of {}", found.few),
                "<= 1.5 x, of 100 000",
                (found.many >= LARGE).then_some(ratio <= 1.5),
            );
        }
        for (parallel, members) in [
            (&found.parallel_few, found.few),
            (&found.parallel_many, found.many),
        ] {
            self.say(
                format!("members after changes in parallel, of {members}"),
                if parallel.exact { "exact" } else { "wrong" }.to_owned(),
                "exact",
                Some(parallel.exact),
            );
        }
    }
}
