//! `rollcall try`: a complete appliance from one command, its state in one folder.

use std::fs;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::admin::NewDirectory;
use crate::admin::TokenRequest;
use crate::base::actor::Actor;
use crate::base::clock::SystemClock;
use crate::base::ident::RandomIds;
use crate::config::Config;
use crate::daemon::convert;
use crate::daemon::error::Reason;
use crate::daemon::error::StartError;
use crate::daemon::run::Running;
use crate::daemon::run::Seams;
use crate::daemon::run::start;
use crate::daemon::serve::wait;
use crate::telemetry;

/// The directory that `try` makes.
const DIRECTORY: &str = "try";

/// What a person needs to use the appliance that `try` started.
#[derive(Debug)]
pub struct Trial {
    /// The Tenant URL to paste.
    pub tenant_url: String,
    /// The Secret Token to paste.
    pub token: String,
    /// The certificate authority to trust.
    pub ca_file: PathBuf,
    /// The socket for the command line.
    pub socket: PathBuf,
}

/// Starts an appliance with its state in `config.server.state_dir`, hands what is needed to use it
/// to `show`, and serves until told to stop.
///
/// # Errors
///
/// [`StartError`] says what to do.
pub fn try_out(config: &Config, show: impl FnOnce(&Trial)) -> Result<(), StartError> {
    let dir = &config.server.state_dir;
    fs::create_dir_all(dir).map_err(|error| failed("make the folder", dir, &error))?;
    telemetry::log::init(&convert::log(config, None)).map_err(Reason::from)?;
    let seams = Seams {
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds::default()),
    };
    let running = start(config, seams)?;
    let trial = match prepare(&running, config) {
        Ok(trial) => trial,
        Err(error) => {
            running.stop();
            return Err(error.into());
        }
    };
    show(&trial);
    let outcome = wait(&running, &mut || running.reload(config));
    running.stop();
    Ok(outcome?)
}

/// Makes directory and token unless they are there.
fn prepare(running: &Running, config: &Config) -> Result<Trial, Reason> {
    let dir = &config.server.state_dir;
    let admin = running.admin();
    let token_file = dir.join("token");
    let refused = |error: crate::admin::AdminError| {
        let problem = error.problem();
        failed(
            "prepare the directory in",
            dir,
            &format!("{}; {}", problem.what, problem.why),
        )
    };
    let directory = match admin.directory_show(DIRECTORY) {
        Ok(directory) => directory,
        Err(crate::admin::AdminError::NotFound(_)) => {
            let new = NewDirectory {
                name: DIRECTORY,
                profile: None,
                users_only: false,
            };
            admin
                .directory_create(new, &Actor::System)
                .map_err(refused)?;
            admin.directory_show(DIRECTORY).map_err(refused)?
        }
        Err(error) => return Err(refused(error)),
    };
    let token = match kept_token(running, &token_file)? {
        Some(token) => token,
        None => {
            let new = TokenRequest {
                directory: DIRECTORY,
                scope: "provision",
                label: "rollcall try",
                life: None,
            };
            let created = admin.token_create(new, &Actor::System).map_err(refused)?;
            keep_token(&token_file, &created.token)?;
            created.token
        }
    };
    Ok(Trial {
        tenant_url: directory.tenant_url,
        token,
        ca_file: convert::ca_file(config),
        socket: config.server.admin_socket.clone(),
    })
}

/// The token of an earlier run, if it still works.
fn kept_token(running: &Running, file: &Path) -> Result<Option<String>, Reason> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", file, &error)),
    };
    Ok(running.admin().token_verify(&text).valid.then_some(text))
}

/// Writes the token where only its owner can read it.
fn keep_token(file: &Path, token: &str) -> Result<(), Reason> {
    let write = || -> io::Result<()> {
        let mut new = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(file)?;
        writeln!(new, "{token}")?;
        new.sync_all()
    };
    write().map_err(|error| failed("write", file, &error))
}

/// The error for a file of the trial.
fn failed(doing: &'static str, path: &Path, why: &dyn std::fmt::Display) -> Reason {
    Reason::Try {
        doing,
        path: path.display().to_string(),
        why: why.to_string(),
    }
}
