//! `directory`: create, list, show, enable, disable, delete.

use serde_json::Value;

use crate::cli::args::Directory;
use crate::cli::args::Format;
use crate::cli::failed::Failed;
use crate::cli::output::Column;
use crate::cli::output::Show;
use crate::cli::output::column;
use crate::cli::world::World;
use crate::control::client::Client;
use crate::control::protocol::Request;

/// Columns of `directory list`.
pub const LIST: [Column; 8] = [
    column("NAME", "/name", Show::Plain),
    column("STATE", "/enabled", Show::Either("enabled", "disabled")),
    column("PROFILE", "/profile", Show::Plain),
    column("USERS", "/users", Show::Plain),
    column("GROUPS", "/groups", Show::Plain),
    column("TOKENS", "/tokens_live", Show::Plain),
    column("CREATED", "/created", Show::Relative("-")),
    column("TENANT URL", "/tenant_url", Show::Plain),
];

/// Lines of `directory show`.
const SHOW: [Column; 9] = [
    column("Name", "/name", Show::Plain),
    column("State", "/enabled", Show::Either("enabled", "disabled")),
    column("Profile", "/profile", Show::Plain),
    column("Users only", "/users_only", Show::Either("yes", "no")),
    column("Users", "/users", Show::Plain),
    column("Groups", "/groups", Show::Plain),
    column("Live tokens", "/tokens_live", Show::Plain),
    column("Created", "/created", Show::Plain),
    column("Tenant URL", "/tenant_url", Show::Plain),
];

/// Does what the verb says.
///
/// # Errors
///
/// Why it was not done.
pub fn run(verb: Directory, client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    match verb {
        Directory::Create {
            name,
            users_only,
            profile,
        } => {
            let request = Request::DirectoryCreate {
                name,
                users_only,
                profile: profile.name(),
            };
            let created = client.call(&request)?;
            show_created(created, world)
        }
        Directory::List => {
            let list = client.call(&Request::DirectoryList {})?;
            world.output.list("rollcall.directory.list/1", &LIST, list)
        }
        Directory::Show { name } => {
            let directory = client.call(&Request::DirectoryShow { name })?;
            match world.output.format {
                Format::Json => world.output.json("rollcall.directory.show/1", directory),
                Format::Table => world.output.fields(&SHOW, &directory),
            }
        }
        Directory::Enable { name } => {
            let change = client.call(&Request::DirectoryEnable { name })?;
            show_change("enable", "enabled", change, world)
        }
        Directory::Disable { name } => {
            let change = client.call(&Request::DirectoryDisable { name })?;
            show_change("disable", "disabled", change, world)
        }
        Directory::Delete { name, yes } => delete(&name, yes, client, world),
    }
}

/// Prints a directory that was made, and what comes next.
fn show_created(created: Value, world: &mut World<'_>) -> Result<(), Failed> {
    let output = &mut world.output;
    if output.format == Format::Json {
        return output.json("rollcall.directory.create/1", created);
    }
    let part = |name: &str| created.get(name).and_then(Value::as_str).unwrap_or("-");
    let name = part("name");
    output.say(&format!("Directory {name} is there. Its Tenant URL:"))?;
    output.line(part("tenant_url"))?;
    output.say(&format!(
        "Next: rollcall token create --directory {name} --scope provision"
    ))
}

/// Prints what `enable` and `disable` came to.
fn show_change(
    verb: &str,
    state: &str,
    change: Value,
    world: &mut World<'_>,
) -> Result<(), Failed> {
    if world.output.format == Format::Json {
        let schema = format!("rollcall.directory.{verb}/1");
        return world.output.json(&schema, change);
    }
    let name = change.get("name").and_then(Value::as_str).unwrap_or("-");
    let already = change.get("changed") == Some(&Value::Bool(false));
    let word = if already { "was already" } else { "is now" };
    world
        .output
        .line(&format!("directory {name} {word} {state}"))
}

/// `directory delete`
fn delete(name: &str, yes: bool, client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    if world.must_ask(yes, &format!("deleting directory {name}"))? {
        let directory = client.call(&Request::DirectoryShow {
            name: name.to_owned(),
        })?;
        let count = |what: &str| directory.get(what).and_then(Value::as_u64).unwrap_or(0);
        let question = format!(
            "This removes directory {name} with {} users, {} groups and {} live tokens. It \
             cannot be undone.",
            count("users"),
            count("groups"),
            count("tokens_live")
        );
        world.confirm(&question, name)?;
    }
    let deleted = client.call(&Request::DirectoryDelete {
        name: name.to_owned(),
    })?;
    match world.output.format {
        Format::Json => world.output.json("rollcall.directory.delete/1", deleted),
        Format::Table => world.output.line(&format!("directory {name} is deleted")),
    }
}
