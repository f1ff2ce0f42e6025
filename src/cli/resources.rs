//! `user` and `group`: list, show and history. Reading only: the identity provider owns them.

use serde_json::Value;

use crate::cli::args::Format;
use crate::cli::args::Group;
use crate::cli::args::User;
use crate::cli::failed::Failed;
use crate::cli::history;
use crate::cli::output::Column;
use crate::cli::output::Show;
use crate::cli::output::column;
use crate::cli::world::World;
use crate::control::client::Client;
use crate::control::protocol::Request;

/// Columns of `user list`.
const USERS: [Column; 7] = [
    column("DIRECTORY", "/directory", Show::Plain),
    column("ID", "/id", Show::Plain),
    column("USERNAME", "/userName", Show::Plain),
    column("DISPLAY NAME", "/displayName", Show::Plain),
    column("STATE", "/active", Show::Either("enabled", "disabled")),
    column("EMAIL", "/email", Show::Plain),
    column("CHANGED", "/lastModified", Show::Relative("-")),
];

/// Columns of `group list`.
const GROUPS: [Column; 6] = [
    column("DIRECTORY", "/directory", Show::Plain),
    column("ID", "/id", Show::Plain),
    column("DISPLAY NAME", "/displayName", Show::Plain),
    column("EXTERNAL ID", "/externalId", Show::Plain),
    column("MEMBERS", "/members", Show::Plain),
    column("CHANGED", "/lastModified", Show::Relative("-")),
];

/// First lines of `user show` and `group show`.
const SHOW: [Column; 5] = [
    column("Directory", "/directory", Show::Plain),
    column("Id", "/id", Show::Plain),
    column("Revision", "/revision", Show::Plain),
    column("Created", "/created", Show::Plain),
    column("Changed", "/lastModified", Show::Plain),
];

/// What `group show` says beside.
const MEMBERS: [Column; 1] = [column("Members", "/members", Show::Plain)];

/// Does what a verb of `user` says.
///
/// # Errors
///
/// Why it was not done.
pub fn users(verb: User, client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    match verb {
        User::List(listing) => {
            let list = client.call(&Request::UserList {
                directory: listing.directory,
                filter: listing.filter,
                limit: listing.limit,
                after: listing.after,
            })?;
            world.output.list("rollcall.user.list/1", &USERS, list)
        }
        User::Show { user, directory } => {
            let found = client.call(&Request::UserShow { directory, user })?;
            show("rollcall.user.show/1", found, world)
        }
        User::History(story) => history::user(story, client, world),
    }
}

/// Does what a verb of `group` says.
///
/// # Errors
///
/// Why it was not done.
pub fn groups(verb: Group, client: &Client, world: &mut World<'_>) -> Result<(), Failed> {
    match verb {
        Group::List(listing) => {
            let list = client.call(&Request::GroupList {
                directory: listing.directory,
                filter: listing.filter,
                limit: listing.limit,
                after: listing.after,
            })?;
            world.output.list("rollcall.group.list/1", &GROUPS, list)
        }
        Group::Show { group, directory } => {
            let found = client.call(&Request::GroupShow { directory, group })?;
            show("rollcall.group.show/1", found, world)
        }
        Group::History(story) => history::group(story, client, world),
    }
}

/// Prints one resource: what Rollcall knows about it, then its attributes.
fn show(schema: &str, found: Value, world: &mut World<'_>) -> Result<(), Failed> {
    if world.output.format == Format::Json {
        return world.output.json(schema, found);
    }
    world.output.fields(&SHOW, &found)?;
    if found.get("members").is_some() {
        world.output.fields(&MEMBERS, &found)?;
    }
    let resource = found.get("resource").unwrap_or(&Value::Null);
    for line in format!("{resource:#}").lines() {
        world.output.line(line)?;
    }
    Ok(())
}
