//! The benchmark: fills a SCIM server with users, drives every operation over TLS beside a server that does nothing, and
//! holds the outcome against what is aimed at. `bench --help` tells how; README.md shows a table.
//!
//! It starts a Rollcall of its own, or is pointed at any SCIM server by URL and token. It refuses any address that is not
//! loopback unless `--i-own-this-server` is given. The load shares the machine with the server, so that ratios say more than
//! absolute numbers.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod ceiling;
mod compare;
mod drive;
mod failed;
mod groups;
mod load;
mod machine;
mod members;
mod one;
mod operation;
mod people;
mod process;
mod report;
mod rollcall;
mod run;
mod token;
mod verdict;
mod wire;

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::failed::Failed;
use crate::machine::Machine;
use crate::operation::About;
use crate::operation::Operation;
use crate::report::Report;
use crate::report::SCHEMA;
use crate::rollcall::Rollcall;
use crate::run::Foreign;
use crate::run::Plan;
use crate::run::Run;
use crate::verdict::judge;
use crate::wire::Target;

/// Members of the large group, unless told otherwise.
const LARGE_GROUP: u64 = 100_000;

/// Measures a SCIM server. Without a subcommand: the whole table.
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Something else than the whole table.
    #[command(subcommand)]
    command: Option<Command>,
    /// The whole table.
    #[command(flatten)]
    table: Table,
}

/// What else it does.
#[derive(Debug, Subcommand)]
enum Command {
    /// One operation on a server that runs, for as long as you like; the last line is JSON
    Load(one::Arguments),
    /// A server that answers the same to everything
    Ceiling(ceiling::Arguments),
}

/// The whole table.
#[derive(Debug, Args)]
struct Table {
    /// How many users; a fresh server for each number
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "1000"
    )]
    users: Vec<u64>,
    /// How many groups of a hundred members; 0 leaves all groups out
    #[arg(long, value_name = "N", default_value_t = 10)]
    groups: u64,
    /// Members of a large group, at most as many as there are users: what costs the same whatever the number, and what does
    /// not. 0 leaves that out, and so does --operations unless this is given too [default: 100000]
    #[arg(long, value_name = "N")]
    members: Option<u64>,
    /// Connections of each measurement [default: 1,16,64; with --quick: 16]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    connections: Vec<u64>,
    /// Seconds of each measurement [default: 3; with --quick: 1]
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Seconds of load before each measurement [default: 1; with --quick: 0.3]
    #[arg(long, value_name = "S")]
    warm_up: Option<f64>,
    /// How often each is measured, the server and the ceiling in turns; the median counts
    #[arg(long, value_name = "N", default_value_t = 1)]
    repeat: u64,
    /// Requests a second of what runs at a fixed rate; 0 leaves that out
    #[arg(long, value_name = "N", default_value_t = 2000)]
    rate: u64,
    /// Only these operations
    #[arg(long, value_name = "OPERATION,…", value_enum, value_delimiter = ',')]
    operations: Vec<Operation>,
    /// Short measurements, to see that everything works
    #[arg(long)]
    quick: bool,
    /// The program to measure [default: the rollcall beside this one]
    #[arg(long, value_name = "PATH")]
    rollcall: Option<PathBuf>,
    /// A setting for it; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Where its state goes, in a folder that is removed afterwards [default: the system's temporary folder]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Measure the server at this Tenant URL instead. The users that are made stay there
    #[arg(long, requires = "token")]
    url: Option<String>,
    /// Its Secret Token
    #[arg(long, requires = "url")]
    token: Option<String>,
    /// PEM file with the authorities to trust
    #[arg(long, value_name = "FILE", default_value = one::SYSTEM_CA)]
    ca: PathBuf,
    /// Its process id, to read CPU time and memory from /proc
    #[arg(long, requires = "url")]
    pid: Option<u32>,
    /// HTTP/2 instead of HTTP/1.1
    #[arg(long)]
    h2: bool,
    /// Write everything to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Permits an address that is not loopback. Load is not for servers of other people
    #[arg(long)]
    i_own_this_server: bool,
}

fn main() -> Result<(), Failed> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let work = Box::pin(work(&arguments));
        // Dropping the work ends the servers that it started.
        tokio::select! {
            outcome = work => outcome,
            _ = terminate.recv() => Err(Failed::new("stopped")),
            _ = interrupt.recv() => Err(Failed::new("stopped")),
        }
    });
    // A read of standard input may still be under way.
    runtime.shutdown_background();
    outcome
}

/// What is asked for.
async fn work(arguments: &Arguments) -> Result<(), Failed> {
    match &arguments.command {
        Some(Command::Load(arguments)) => one::load(arguments).await,
        Some(Command::Ceiling(arguments)) => ceiling::serve(arguments).await,
        None => table(&arguments.table).await,
    }
}

/// The whole table.
async fn table(arguments: &Table) -> Result<(), Failed> {
    let temporary = std::env::temp_dir();
    let parent = arguments.dir.as_deref().unwrap_or(&temporary);
    if arguments.url.is_some() && arguments.users.len() > 1 {
        return Err(Failed::new(
            "what is made at --url stays there: give one number of --users",
        ));
    }
    fs::create_dir_all(parent)?;
    let machine = Machine::here(parent)?;
    if arguments.url.is_none() && arguments.dir.is_none() && !machine.is_durable() {
        return Err(Failed::new(format!(
            "{} is {}: nothing there reaches a disk. Give --dir with a folder on a disk, or with this one to measure without",
            parent.display(),
            machine.file_system
        )));
    }
    // Canonical: the server is not started from here.
    let folder = tempfile::Builder::new()
        .prefix("rollcall-bench-")
        .tempdir_in(parent.canonicalize()?)?;
    let plan = plan(arguments, folder.path());
    let binary = match &arguments.rollcall {
        Some(binary) => binary.clone(),
        None if arguments.url.is_some() => PathBuf::new(),
        None => run::binary_beside()?,
    };
    let server = arguments
        .url
        .clone()
        .unwrap_or_else(|| binary.display().to_string());
    introduce(&machine, &server, arguments.url.is_none());
    let mut sizes = Vec::new();
    for users in &arguments.users {
        println!("\n==== {users} users");
        let size = match foreign(arguments).await? {
            Some(foreign) => Run::foreign(&plan, foreign, *users).await?,
            None => {
                let home = folder.path().join(users.to_string());
                fs::create_dir(&home)?;
                let rollcall = Rollcall::new(&binary, &home, &arguments.set, arguments.h2)?;
                let size = Run::fresh(&plan, rollcall, *users).await?;
                fs::remove_dir_all(&home)?;
                size
            }
        };
        sizes.push(size);
    }
    let verdicts = judge(&sizes);
    report::print_verdicts(&verdicts);
    let errors: u64 = sizes.iter().map(report::Size::errors).sum();
    let report = Report {
        schema: SCHEMA,
        machine,
        server,
        seconds: plan.time.as_secs_f64(),
        warm_up_seconds: plan.warm_up.as_secs_f64(),
        sizes,
        verdicts,
    };
    if let Some(file) = &arguments.json {
        fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    match errors {
        0 => Ok(()),
        errors => Err(Failed::new(format!("{errors} requests failed"))),
    }
}

/// What the arguments ask for.
fn plan(arguments: &Table, folder: &Path) -> Plan {
    let quick = arguments.quick;
    let seconds = |given: Option<f64>, usual: f64, short: f64| {
        let seconds = given.unwrap_or(if quick { short } else { usual });
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1))
    };
    let connections = match arguments.connections.as_slice() {
        [] if quick => vec![16],
        [] => vec![1, 16, 64],
        given => given.to_vec(),
    };
    let operations = match arguments.operations.as_slice() {
        [] => Operation::value_variants(),
        given => given,
    };
    let compare_members = arguments.operations.is_empty() || arguments.members.is_some();
    let large = operations
        .iter()
        .any(|operation| operation.about() == About::Large);
    let members = arguments.members.unwrap_or(LARGE_GROUP);
    Plan {
        groups: arguments.groups,
        members: if compare_members || large { members } else { 0 },
        compare_members: compare_members && members > 0,
        connections,
        time: seconds(arguments.seconds, 3.0, 1.0),
        warm_up: seconds(arguments.warm_up, 1.0, 0.3),
        repeat: arguments.repeat,
        rate: arguments.rate,
        operations: operations.to_vec(),
        h2: arguments.h2,
        folder: folder.to_owned(),
    }
}

/// The server that the arguments point at, if they do.
async fn foreign(arguments: &Table) -> Result<Option<Foreign>, Failed> {
    let (Some(url), Some(token)) = (&arguments.url, &arguments.token) else {
        return Ok(None);
    };
    let target = Target::resolve(url, token, &arguments.ca, arguments.h2).await?;
    target.guard(arguments.i_own_this_server)?;
    Ok(Some(Foreign {
        target,
        token: token.clone(),
        pid: arguments.pid,
    }))
}

/// The first lines.
fn introduce(machine: &Machine, server: &str, ours: bool) {
    println!(
        "{server}, measured by bench {} {}\n{}, {} cores, {}, Linux {}\n{}",
        machine.version,
        machine.commit.as_deref().unwrap_or(""),
        machine.cpu,
        machine.cores,
        report::megabytes(machine.memory_bytes),
        machine.kernel,
        machine.date,
    );
    if ours {
        println!("state on {}", machine.file_system);
        if !machine.is_durable() {
            println!("NOTHING THERE REACHES A DISK: writes are faster than they can be");
        }
    }
    if cfg!(debug_assertions) {
        println!("THIS PROGRAM IS NOT A RELEASE BUILD: it is slow itself, and so is the ceiling");
    }
}
