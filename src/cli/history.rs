//! `user history`, `group history` and `audit`: what happened, and whether that is what was written.

use serde_json::Map;
use serde_json::Value;

use crate::cli::args::Audit;
use crate::cli::args::Format;
use crate::cli::args::Story;
use crate::cli::failed::Failed;
use crate::cli::output::Column;
use crate::cli::output::Show;
use crate::cli::output::column;
use crate::cli::world::World;
use crate::control::client::Client;
use crate::control::protocol::Request;

/// Columns of `user history` and `group history`.
const STORY: [Column; 5] = [
    column("WHEN", "/at", Show::Plain),
    column("WHAT", "/action", Show::Plain),
    column("WHO", "/who", Show::Plain),
    column("REQUEST", "/request", Show::Plain),
    column("CHANGES", "/summary", Show::Plain),
];

/// Columns of `audit list`.
const ACTS: [Column; 6] = [
    column("NUMBER", "/number", Show::Plain),
    column("WHEN", "/at", Show::Plain),
    column("WHO", "/who", Show::Plain),
    column("ACTION", "/action", Show::Plain),
    column("TARGET", "/target", Show::Plain),
    column("DETAIL", "/summary", Show::Plain),
];

/// Columns of `audit verify`.
const VERIFIED: [Column; 6] = [
    column("WHAT", "/what", Show::Plain),
    column("DIRECTORY", "/directory", Show::Plain),
    column("FILES", "/files", Show::Plain),
    column("ENTRIES", "/entries", Show::Plain),
    column("LAST", "/last", Show::Plain),
    column("PROBLEMS", "/problems_found", Show::Plain),
];

/// Members that are named at most, of each sort.
const MEMBERS_NAMED_MAX: usize = 3;
/// Longest value in a table, in characters.
const VALUE_CHARS_MAX: usize = 40;

/// `user history`
///
/// # Errors
///
/// Why it was not done.
pub fn user(story: Story, client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    let page = client.call(&Request::UserHistory {
        directory: story.directory,
        user: story.name,
        limit: story.limit,
        before: story.before,
    })?;
    pages("rollcall.user.history/1", &STORY, page, world)
}

/// `group history`
///
/// # Errors
///
/// Why it was not done.
pub fn group(story: Story, client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    let page = client.call(&Request::GroupHistory {
        directory: story.directory,
        group: story.name,
        limit: story.limit,
        before: story.before,
    })?;
    pages("rollcall.group.history/1", &STORY, page, world)
}

/// Does what a verb of `audit` says.
///
/// # Errors
///
/// Why it was not done; [`Failed::Found`] when something is wrong.
pub fn audit(verb: &Audit, client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    match verb {
        Audit::List { limit, before } => {
            let page = client.call(&Request::AuditList {
                limit: *limit,
                before: *before,
            })?;
            pages("rollcall.audit.list/1", &ACTS, page, world)
        }
        Audit::Verify => {
            let verified = client.call(&Request::AuditVerify {})?;
            verification(verified, world)
        }
    }
}

/// Prints a page of entries, newest first.
fn pages(
    schema: &str,
    columns: &[Column],
    mut page: Value,
    world: &mut World<'_>,
) -> Result<(), Failed> {
    if world.output.format == Format::Json {
        return world.output.json(schema, page);
    }
    let items = page.get_mut("items").and_then(Value::as_array_mut);
    match items.filter(|items| !items.is_empty()) {
        Some(items) => {
            for item in &mut *items {
                for (name, text) in [("who", who(item)), ("summary", summary(item))] {
                    if let Value::Object(members) = item {
                        members.insert(name.to_owned(), Value::from(text));
                    }
                }
            }
            world.output.table(columns, items)?;
        }
        None => world.output.say("(none)")?,
    }
    match page.get("next").and_then(Value::as_str) {
        Some(next) => {
            let hint = format!("there are older ones: add --before {next}");
            world.output.say(&hint)
        }
        None => Ok(()),
    }
}

/// Prints what verifying came to.
fn verification(verified: Value, world: &mut World<'_>) -> Result<(), Failed> {
    let sound = verified.get("sound") == Some(&Value::Bool(true));
    if world.output.format == Format::Json {
        world.output.json("rollcall.audit.verify/1", verified)?;
    } else {
        let items = verified.get("items").and_then(Value::as_array);
        let items = items.map(Vec::as_slice).unwrap_or_default();
        world.output.table(&VERIFIED, items)?;
        let problems = items.iter().filter_map(|item| item.get("problems"));
        for problem in problems.filter_map(Value::as_array).flatten() {
            let text = |name| problem.get(name).and_then(Value::as_str).unwrap_or("-");
            let entry = match problem.get("entry").and_then(Value::as_u64) {
                Some(entry) => format!("entry {entry}: "),
                None => String::new(),
            };
            let line = format!("{}: {entry}{}", text("file"), text("what"));
            world.output.line(&line)?;
        }
    }
    if sound { Ok(()) } else { Err(Failed::Found) }
}

/// Who did it.
fn who(item: &Value) -> String {
    let actor = item.get("actor").unwrap_or(&Value::Null);
    let text = |name| actor.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("kind") {
        "token" if text("label").is_empty() => format!("token {}", text("id")),
        "token" => format!("token {} ({})", text("id"), text("label")),
        "operator" => {
            let root = actor.get("root") == Some(&Value::Bool(true));
            let what = if root { "root" } else { "operator" };
            format!("{what} (stated: {})", text("stated_name"))
        }
        other => other.to_owned(),
    }
}

/// What changed, in one line.
fn summary(item: &Value) -> String {
    if let Some(Value::Object(resource)) = item.get("resource") {
        let name = resource
            .get("userName")
            .or_else(|| resource.get("displayName"));
        return name.map_or_else(String::new, |name| format!("was {}", short(name)));
    }
    let members = match item.get("changes").or_else(|| item.get("detail")) {
        Some(Value::Object(members)) => members,
        Some(Value::Null) => return "(erased)".to_owned(),
        _ => return String::new(),
    };
    let parts = members.iter().map(|(name, value)| match value {
        Value::Object(sides) if name == "members" => memberships(sides),
        Value::Object(sides) if name == "recreates" => recreated(sides),
        Value::String(note) if name == "note" => note.clone(),
        Value::Object(sides) if is_change(sides) => {
            let side = |which| sides.get(which).map_or_else(|| "-".to_owned(), short);
            format!("{name}: {} → {}", side("old"), side("new"))
        }
        value => format!("{name}: {}", short(value)),
    });
    parts.collect::<Vec<_>>().join("; ")
}

/// Who came into a group, and who went.
fn memberships(sides: &Map<String, Value>) -> String {
    let side = |name: &str| {
        let ids = sides.get(name).and_then(Value::as_array);
        let ids = ids.map(Vec::as_slice).unwrap_or_default();
        let mut texts: Vec<&str> = ids.iter().filter_map(Value::as_str).collect();
        let more = texts.len().saturating_sub(MEMBERS_NAMED_MAX);
        texts.truncate(MEMBERS_NAMED_MAX);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!texts.is_empty()).then(|| format!("{name} {}{more}", texts.join(", ")))
    };
    let sides = [side("added"), side("removed")].into_iter().flatten();
    format!("members: {}", sides.collect::<Vec<_>>().join(", "))
}

/// Which deleted resource a new one is again.
fn recreated(old: &Map<String, Value>) -> String {
    let text = |name| old.get(name).and_then(Value::as_str).unwrap_or("-");
    format!("was {} before, deleted {}", text("id"), text("deleted"))
}

/// Whether this is an old value beside a new one.
fn is_change(members: &Map<String, Value>) -> bool {
    !members.is_empty() && members.keys().all(|name| name == "old" || name == "new")
}

/// A value, shortened.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    let mut short: String = text.chars().take(VALUE_CHARS_MAX).collect();
    short.push('…');
    short
}
