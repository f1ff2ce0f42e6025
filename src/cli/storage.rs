//! `storage`: status, verify, compact.

use serde_json::Value;
use serde_json::json;

use crate::base::clock::Timestamp;
use crate::cli::args::Format;
use crate::cli::args::Storage;
use crate::cli::failed::Failed;
use crate::cli::output::Column;
use crate::cli::output::Show;
use crate::cli::output::column;
use crate::cli::output::relative;
use crate::cli::status::amount;
use crate::cli::world::World;
use crate::control::client::Client;
use crate::control::protocol::Request;

/// Lines of `storage status`.
const STATUS: [Column; 17] = [
    column("Writes", "/writes", Show::Plain),
    column("Transactions", "/transactions", Show::Plain),
    column("Stored", "/stored", Show::Plain),
    column("Commit log", "/log", Show::Plain),
    column("State", "/state", Show::Plain),
    column("Base", "/base", Show::Plain),
    column("Index snapshot", "/snapshot", Show::Plain),
    column("Histories", "/history", Show::Plain),
    column("Audit", "/audit", Show::Plain),
    column("Reserve", "/reserve", Show::Plain),
    column("Other states", "/other_states", Show::Plain),
    column("Free", "/free", Show::Plain),
    column("State verified", "/verified", Show::Plain),
    column(
        "State rebuilt",
        "/rebuilt",
        Show::Relative("not since the start"),
    ),
    column("Damage", "/damage", Show::Plain),
    column("Under way", "/under_way", Show::Plain),
    column("Last start", "/start", Show::Plain),
];

/// Columns of `storage compact`.
const COMPACTED: [Column; 3] = [
    column("PART", "/part", Show::Plain),
    column("BEFORE", "/before", Show::Plain),
    column("AFTER", "/after", Show::Plain),
];

/// The parts of the store, and what they are called.
const PARTS: [(&str, &str); 8] = [
    ("log", "commit log"),
    ("state", "state"),
    ("base", "base"),
    ("history", "histories"),
    ("audit", "audit"),
    ("snapshot", "index snapshot"),
    ("reserve", "reserve"),
    ("other_states", "other states"),
];

/// Does what the verb says.
///
/// # Errors
///
/// Why it was not done; [`Failed::Found`] when something stored is not as it should be.
pub fn run(verb: &Storage, client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    match verb {
        Storage::Status => {
            let status = client.call(&Request::StorageStatus {})?;
            show_status(status, world)
        }
        Storage::Verify { repair, yes } => verify(*repair, *yes, client, world),
        Storage::Compact { base_only } => {
            let base_only = *base_only;
            let done = client.call(&Request::StorageCompact { base_only })?;
            show_compacted(done, world)
        }
    }
}

/// The number at a place, or 0.
fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// The text at a place, or `-`.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or("-")
}

/// The array at a place, or none.
fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.map(Vec::as_slice).unwrap_or_default()
}

/// Prints `storage status`.
fn show_status(status: Value, world: &mut World<'_>) -> Result<(), Failed> {
    let output = &mut world.output;
    if output.format == Format::Json {
        return output.json("rollcall.storage.status/1", status);
    }
    let lines = Lines {
        status: &status,
        now: output.now,
    };
    output.fields(&STATUS, &lines.all())?;
    for line in list(&status, "/start").iter().filter_map(Value::as_str) {
        output.line(&format!("at the start: {line}"))?;
    }
    for failed in list(&status, "/failed") {
        let line = format!("{} failed: {}", text(failed, "/what"), text(failed, "/why"));
        output.line(&line)?;
    }
    for name in list(&status, "/lost_names")
        .iter()
        .filter_map(Value::as_str)
    {
        output.line(&format!("lost: {name}"))?;
    }
    Ok(())
}

/// Words for `storage status`.
struct Lines<'a> {
    /// What was answered.
    status: &'a Value,
    /// The time now.
    now: Timestamp,
}

impl Lines<'_> {
    /// All of them.
    fn all(&self) -> Value {
        let at = |pointer: &str| self.at(pointer);
        let start = if list(self.status, "/start").is_empty() {
            "nothing out of the ordinary"
        } else {
            "see below"
        };
        json!({
            "writes": self.writes(),
            "transactions": format!(
                "{} committed, {} in the state, {} synced there",
                at("/seq"),
                at("/applied_seq"),
                at("/checkpoint_seq")
            ),
            "stored": format!(
                "{} users, {} groups, {} memberships",
                at("/users"), at("/groups"), at("/memberships"),
            ),
            "log": self.size("/bytes/log"),
            "state": self.state(),
            "base": self.base(),
            "snapshot": self.snapshot(),
            "history": self.size("/bytes/history"),
            "audit": self.size("/bytes/audit"),
            "reserve": self.size("/bytes/reserve"),
            "other_states": self.size("/bytes/other_states"),
            "free": self.size("/free_bytes"),
            "verified": self.verified(),
            "rebuilt": self.status.get("rebuilt"),
            "damage": format!(
                "{} reads found some; {} copies repaired, {} being repaired, {} lost",
                at("/damaged_reads"),
                at("/repaired"),
                at("/repairing"),
                at("/lost")
            ),
            "under_way": self.under_way(),
            "start": start,
        })
    }

    /// A number.
    fn at(&self, pointer: &str) -> u64 {
        number(self.status, pointer)
    }

    /// A number of bytes.
    fn size(&self, pointer: &str) -> String {
        amount(self.at(pointer))
    }

    /// A point in time.
    fn ago(&self, pointer: &str) -> String {
        relative(text(self.status, pointer), self.now)
    }

    /// Whether something is there.
    fn has(&self, pointer: &str) -> bool {
        let found = self.status.pointer(pointer);
        found.is_some_and(|value| !value.is_null())
    }

    /// Whether something is true.
    fn is(&self, pointer: &str) -> bool {
        self.status.pointer(pointer) == Some(&Value::Bool(true))
    }

    /// Whether writes are taken.
    fn writes(&self) -> String {
        if self.is("/writable") {
            return "taken".to_owned();
        }
        format!("refused: {}", text(self.status, "/reason"))
    }

    /// The state's size.
    fn state(&self) -> String {
        let size = self.size("/bytes/state");
        match self.at("/state_percent") {
            0 => size,
            percent => format!(
                "{size}, {}.{} times the {} that it holds",
                percent / 100,
                percent % 100 / 10,
                self.size("/live_bytes")
            ),
        }
    }

    /// The base.
    fn base(&self) -> String {
        if !self.has("/base") {
            return "none".to_owned();
        }
        format!(
            "{}, transaction {}, {} cells, {}",
            self.size("/base/bytes"),
            self.at("/base/seq"),
            self.at("/base/cells"),
            self.ago("/base/at")
        )
    }

    /// The snapshot of the indexes.
    fn snapshot(&self) -> String {
        if !self.has("/snapshot") {
            return "none".to_owned();
        }
        format!(
            "{}, transaction {}, {}",
            self.size("/snapshot/bytes"),
            self.at("/snapshot/seq"),
            self.ago("/snapshot/at")
        )
    }

    /// The last verification of the state.
    fn verified(&self) -> String {
        if !self.has("/verification") {
            return "not since the start".to_owned();
        }
        let damaged = self.at("/verification/damaged");
        let surplus = self.at("/verification/surplus");
        let found = match (damaged, surplus) {
            (0, 0) if self.is("/verification/agrees") => "all sound".to_owned(),
            (0, 0) => "count or hash did not agree".to_owned(),
            _ => format!("{damaged} damaged, {surplus} surplus"),
        };
        format!(
            "{}: {} cells, {found}",
            self.ago("/verification/at"),
            self.at("/verification/cells")
        )
    }

    /// What is being done beside serving.
    fn under_way(&self) -> String {
        if !self.has("/under_way") {
            return "nothing".to_owned();
        }
        format!(
            "{}: {} cells of about {}",
            text(self.status, "/under_way/what"),
            self.at("/under_way/cells"),
            self.at("/under_way/of")
        )
    }
}

/// Prints what compacting came to.
fn show_compacted(done: Value, world: &mut World<'_>) -> Result<(), Failed> {
    let output = &mut world.output;
    if output.format == Format::Json {
        return output.json("rollcall.storage.compact/1", done);
    }
    let size = |when: &str, part: &str| amount(number(&done, &format!("/{when}/{part}")));
    let rows: Vec<Value> = PARTS
        .iter()
        .map(|(part, name)| {
            json!({"part": name, "before": size("before", part), "after": size("after", part)})
        })
        .collect();
    output.table(&COMPACTED, &rows)
}

/// `storage verify`
fn verify(repair: bool, yes: bool, client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    if repair && world.must_ask(yes, "mending what is wrong")? {
        let plan = client.call(&Request::StorageVerify { repair: false })?;
        if number(&plan, "/repairable") == 0 {
            return show_verified(plan, world);
        }
        tell_verified(&plan, world)?;
        let question = format!(
            "This stores {} users or groups again, with the right keys.",
            number(&plan, "/repairable")
        );
        world.confirm(&question, "repair")?;
    }
    let verified = client.call(&Request::StorageVerify { repair })?;
    show_verified(verified, world)
}

/// Prints what verifying came to, and ends with that.
fn show_verified(verified: Value, world: &mut World<'_>) -> Result<(), Failed> {
    let sound = verified.get("sound") == Some(&Value::Bool(true));
    if world.output.format == Format::Json {
        world.output.json("rollcall.storage.verify/1", verified)?;
    } else {
        tell_verified(&verified, world)?;
    }
    if sound { Ok(()) } else { Err(Failed::Found) }
}

/// Prints what verifying came to.
fn tell_verified(verified: &Value, world: &mut World<'_>) -> Result<(), Failed> {
    let output = &mut world.output;
    let at = |pointer: &str| number(verified, pointer);
    if output.format == Format::Table {
        for finding in list(verified, "/findings") {
            output.line(&format!("{}: {}", subject(finding), text(finding, "/what")))?;
            let done = finding.get("repaired") == Some(&Value::Bool(true));
            let word = if done { "repaired" } else { "fix" };
            output.line(&format!("  {word}: {}", text(finding, "/fix")))?;
        }
        for note in list(verified, "/notes") {
            output.line(&format!(
                "note: {}: {}, and nothing here has that id",
                subject(note),
                text(note, "/what")
            ))?;
        }
        output.line(&format!(
            "looked at {} cells of the state, {} users and {} groups: {} findings, {} of them repaired; {} notes",
            at("/cells"),
            at("/users"),
            at("/groups"),
            at("/found"),
            at("/repaired"),
            at("/noted")
        ))?;
    }
    let repairable = at("/repairable");
    if repairable > 0 && verified.get("repair") != Some(&Value::Bool(true)) {
        output.say(&format!(
            "{repairable} of them are repaired by: rollcall storage verify --repair"
        ))?;
    }
    Ok(())
}

/// What a finding is about.
fn subject(finding: &Value) -> String {
    match finding.get("id").and_then(Value::as_str) {
        Some(id) => {
            let kind = text(finding, "/kind").to_ascii_lowercase();
            format!("{kind} {id} of {}", text(finding, "/directory"))
        }
        None => "state".to_owned(),
    }
}
