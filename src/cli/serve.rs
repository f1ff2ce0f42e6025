//! `serve` and `try`: starting the daemon.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use crate::cli::args::Format;
use crate::cli::args::Serve;
use crate::cli::args::Try;
use crate::cli::config::load;
use crate::cli::failed::Failed;
use crate::cli::world::World;
use crate::config::Config;
use crate::config::TlsMode;
use crate::config::load;
use crate::config::load::Sources;
use crate::config::units::PublicUrl;
use crate::daemon;
use crate::daemon::Surroundings;
use crate::daemon::Trial;

/// Bytes of a segment of the commit log for `try`: nobody's disk is to be filled by a trial.
const TRY_SEGMENT_BYTES: u64 = 16 << 20;

/// `serve`: reads the configuration and runs until told to stop.
///
/// # Errors
///
/// What is wrong with the configuration, or why the daemon did not start.
pub fn serve(arguments: &Serve, world: &World<'_>) -> Result<(), Failed> {
    let config = load(&arguments.sources, world)?;
    let sources = Sources {
        file: arguments.sources.config.clone(),
        environment: world.environment.clone(),
        flags: arguments.sources.set.clone(),
        hostname: world.hostname.clone(),
    };
    let surroundings = Surroundings {
        journal_stream: world.variable("JOURNAL_STREAM").map(str::to_owned),
        reread: Box::new(move || load::load(&sources).map_err(|problems| problems.to_string())),
    };
    daemon::serve(&config, &surroundings)?;
    Ok(())
}

/// `try`: runs a complete appliance to try out.
///
/// # Errors
///
/// Why it did not start.
pub fn try_out(arguments: &Try, world: &mut World<'_>) -> Result<(), Failed> {
    let config = try_config(arguments)?;
    let mut shown = Ok(());
    daemon::try_out(&config, |trial| shown = show(trial, &arguments.dir, world))?;
    shown
}

/// The configuration of `try`: everything on loopback and in one folder.
fn try_config(arguments: &Try) -> Result<Config, Failed> {
    let mut config = Config::built_in("localhost");
    let dir = std::path::absolute(&arguments.dir).unwrap_or_else(|_| arguments.dir.clone());
    let url = format!("https://localhost:{}", arguments.port);
    config.server.public_url = PublicUrl::parse(&url)
        .map_err(|bad| Failed::usage("the port cannot be used", bad.0, "--port 8443"))?;
    config.server.admin_socket = dir.join("admin.sock");
    config.server.state_dir = dir;
    config.scim.listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port))];
    config.tls = TlsMode::Local;
    // Two trials on one machine must not quarrel about a port.
    config.metrics_listen = None;
    config.storage.segment_bytes = TRY_SEGMENT_BYTES;
    // A trial on a full disk may fail.
    config.storage.reserve_bytes = 0;
    Ok(config)
}

/// Prints what to paste.
fn show(trial: &Trial, dir: &Path, world: &mut World<'_>) -> Result<(), Failed> {
    let Trial {
        tenant_url,
        token,
        ca_file,
        socket,
    } = trial;
    let (ca_file, socket) = (ca_file.display(), socket.display());
    if world.output.format == Format::Json {
        let value = json!({
            "tenant_url": tenant_url,
            "token": token,
            "ca_file": ca_file.to_string(),
            "socket": socket.to_string(),
        });
        return world.output.json("rollcall.try/1", value);
    }
    let dir = dir.display();
    for line in [
        format!(
            "Rollcall is running. Its state is in {dir}; press Ctrl-C to stop, and start it again to go on."
        ),
        String::new(),
        format!("  Tenant URL    {tenant_url}"),
        format!("  Secret Token  {token}"),
        format!("  CA file       {ca_file}"),
        String::new(),
        "Who is here (paste this in another terminal):".to_owned(),
        String::new(),
        format!(
            "  curl --cacert '{ca_file}' -H 'Authorization: Bearer {token}' '{tenant_url}/Users'"
        ),
        String::new(),
        "How it is:".to_owned(),
        String::new(),
        format!("  rollcall --socket '{socket}' status"),
        String::new(),
    ] {
        world.output.line(&line)?;
    }
    Ok(())
}
