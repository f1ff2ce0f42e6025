//! `bench load`: one operation on a server that runs already, for as long as one likes; for profilers and people.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::drive::Drive;
use crate::failed::Failed;
use crate::groups;
use crate::groups::Groups;
use crate::load;
use crate::operation::About;
use crate::operation::Operation;
use crate::people::People;
use crate::wire::Target;

/// Where Linux distributions keep the authorities that everybody trusts.
pub const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// `bench load`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Tenant URL, such as https://localhost:8443/scim/try/v2
    #[arg(long)]
    url: String,
    /// Secret Token
    #[arg(long, default_value = "none")]
    token: String,
    /// PEM file with the authorities to trust
    #[arg(long, value_name = "FILE", default_value = SYSTEM_CA)]
    ca: PathBuf,
    /// What to ask for
    #[arg(long, value_enum, default_value = "get")]
    operation: Operation,
    /// How many connections at once
    #[arg(long, value_name = "N", default_value_t = 16)]
    connections: u64,
    /// How long, in seconds, after the preparation
    #[arg(long, value_name = "S", default_value_t = 10)]
    seconds: u64,
    /// Seconds of load before, which do not count; none before delete
    #[arg(long, value_name = "S", default_value_t = 1)]
    warm_up: u64,
    /// Users to create before, which all but post and config need; delete uses them up
    #[arg(long, value_name = "N", default_value_t = 1000)]
    users: u64,
    /// Groups to create before, for the operations on groups
    #[arg(long, value_name = "N", default_value_t = 10)]
    groups: u64,
    /// Members of the large group, at most as many as there are users
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    members: u64,
    /// Requests a second over all connections; 0 means as many as go
    #[arg(long, value_name = "N", default_value_t = 0)]
    rate: u64,
    /// HTTP/2 instead of HTTP/1.1
    #[arg(long)]
    h2: bool,
    /// The server's process id: its CPU time is read from /proc
    #[arg(long)]
    pid: Option<u32>,
    /// Permits an address that is not loopback. Load is not for servers of other people
    #[arg(long)]
    i_own_this_server: bool,
}

/// Prepares, drives and prints, for people and as JSON.
pub async fn load(arguments: &Arguments) -> Result<(), Failed> {
    let (token, ca) = (&arguments.token, &arguments.ca);
    let target = Target::resolve(&arguments.url, token, ca, arguments.h2).await?;
    target.guard(arguments.i_own_this_server)?;
    let operation = arguments.operation;
    let mut people = match operation {
        Operation::Post | Operation::Config => People::new('p')?,
        _ => load::users(&target, 'u', arguments.users.max(1)).await?.0,
    };
    let mut warm_up = Duration::from_secs(arguments.warm_up);
    if operation == Operation::Delete {
        people = people.counted_again();
        warm_up = Duration::ZERO;
    }
    let mut people = Arc::new(people);
    if operation.of_groups() {
        let empty = groups::empty(&target, arguments.groups.max(1)).await?;
        let (empty, _filled) = empty.map_err(Failed::new)?;
        let members = match operation.about() {
            About::Large => arguments.members,
            _ => 0,
        };
        let (groups, _gathered) = Groups::gather(&target, empty, &people, members).await?;
        people = groups.people(operation.about()).map_or(people, Arc::clone);
    }
    let figures = Drive {
        target,
        people,
        operation,
        connections: arguments.connections,
        warm_up,
        time: Duration::from_secs(arguments.seconds),
        rate: (arguments.rate > 0).then_some(arguments.rate),
        forgetful: false,
        refused: false,
        pid: arguments.pid,
        stop: None,
    }
    .run()
    .await?;
    if let Some(error) = &figures.first_error {
        println!("first error: {error}");
    }
    println!(
        "{} {:.0} req/s   p50 {} us   p99 {} us   p99.9 {} us   errors {}",
        operation.name(),
        figures.per_second,
        figures.p50_us,
        figures.p99_us,
        figures.p999_us,
        figures.errors
    );
    println!(
        "{}",
        json!({
            "schema": "rollcall.bench.load/2", "operation": operation.name(), "connections": arguments.connections,
            "rate": arguments.rate, "http": if arguments.h2 { 2 } else { 1 }, "figures": figures,
        })
    );
    Ok(())
}
