//! The command line: arguments, one file a noun, printing. What needs the running rollcall asks
//! it over the socket of `control`; `serve` and `try` start it.

mod args;
mod config;
mod directory;
mod failed;
mod history;
mod output;
mod resources;
mod serve;
mod status;
mod storage;
mod token;
mod world;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use crate::base::clock::Clock;
use crate::base::clock::SystemClock;
use crate::cli::args::Arguments;
use crate::cli::args::Command;
use crate::cli::args::Format;
use crate::cli::failed::Failed;
use crate::cli::output::Output;
use crate::cli::world::World;
use crate::control::client::Client;
use crate::control::protocol::PROTOCOL;

/// Where the running rollcall is asked unless told otherwise.
const DEFAULT_SOCKET: &str = "/run/rollcall/admin.sock";

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    let environment = std::env::vars_os().map(|(name, value)| {
        let text = |part: OsString| part.to_string_lossy().into_owned();
        (text(name), text(value))
    });
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut world = World {
        stdin: &mut io::stdin().lock(),
        interactive: io::stdin().is_terminal(),
        output: Output {
            format: Format::Table,
            // Not locked: the daemon's threads may print too.
            data: &mut io::stdout(),
            talk: &mut io::stderr(),
            now: SystemClock.now(),
        },
        environment: environment.collect(),
        hostname: hostname.trim().to_owned(),
    };
    ExitCode::from(run(std::env::args_os(), &mut world))
}

/// Runs a command and returns its exit code.
fn run(arguments: impl IntoIterator<Item = OsString>, world: &mut World<'_>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, world),
    };
    world.output.format = arguments.output;
    match carry_out(arguments, world) {
        Ok(()) => 0,
        Err(failed) => {
            world.output.failure(&failed);
            failed.exit_code()
        }
    }
}

/// Prints help that was asked for, or what was wrong with the arguments.
fn usage(error: &clap::Error, world: &mut World<'_>) -> u8 {
    let text = error.render().to_string();
    let written = if error.use_stderr() {
        world.output.talk.write_all(text.as_bytes())
    } else {
        world.output.data.write_all(text.as_bytes())
    };
    // The exit code says it too, and nobody else is left to tell.
    drop(written);
    if error.use_stderr() { 2 } else { 0 }
}

/// Does what the arguments say.
fn carry_out(arguments: Arguments, world: &mut World<'_>) -> Result<(), Failed> {
    let socket = arguments
        .socket
        .or_else(|| world.variable("ROLLCALL_SOCKET").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET));
    let client = Client::new(socket, world.stated_name());
    match arguments.command {
        Command::Serve(serve) => serve::serve(&serve, world),
        Command::Try(arguments) => serve::try_out(&arguments, world),
        Command::Status => status::status(&client, world),
        Command::Directory(verb) => directory::run(verb, &client, world),
        Command::Token(verb) => token::run(verb, &client, world),
        Command::User(verb) => resources::users(verb, &client, world),
        Command::Group(verb) => resources::groups(verb, &client, world),
        Command::Audit(verb) => history::audit(&verb, &client, world),
        Command::Storage(verb) => storage::run(&verb, &client, world),
        Command::Config(verb) => config::run(&verb, world),
        Command::Version => version(world),
    }
}

/// `version`
fn version(world: &mut World<'_>) -> Result<(), Failed> {
    let version = env!("CARGO_PKG_VERSION");
    match world.output.format {
        Format::Table => world.output.line(&format!("rollcall {version}")),
        Format::Json => {
            let value = json!({"version": version, "protocol": PROTOCOL});
            world.output.json("rollcall.version/1", value)
        }
    }
}
