//! A Rollcall of its own for each measurement: started, asked for a directory and a token, stopped and killed, by its pid.

use std::fs;
use std::fs::File;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use hyper::Method;
use rustix::process::Pid;
use rustix::process::Signal;
use serde_json::Value;

use crate::failed::Failed;
use crate::wire::Target;
use crate::wire::Wire;

/// Name of the directory that is loaded.
const DIRECTORY: &str = "bench";
/// How long a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Time between two looks at a server that starts or stops.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A Rollcall with its own state.
#[derive(Debug)]
pub struct Rollcall {
    /// The program.
    binary: PathBuf,
    /// Where state, socket and log are.
    folder: PathBuf,
    /// Settings beyond those that every run has.
    settings: Vec<String>,
    /// The port it listens on: the same after each start.
    port: u16,
    /// HTTP/2 instead of HTTP/1.1.
    h2: bool,
    /// The Secret Token, once there is one.
    token: Option<String>,
    /// The process, while one runs.
    child: Option<Child>,
}

impl Rollcall {
    /// Nothing runs yet. `folder` is empty and stays somebody else's to remove.
    pub fn new(
        binary: &Path,
        folder: &Path,
        settings: &[String],
        h2: bool,
    ) -> Result<Self, Failed> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            settings: settings.to_vec(),
            port: free.local_addr()?.port(),
            h2,
            token: None,
            child: None,
        })
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The socket of the command line.
    fn socket(&self) -> PathBuf {
        self.folder.join("admin.sock")
    }

    /// The authority to trust.
    fn ca(&self) -> PathBuf {
        self.state().join("tls/ca.pem")
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts the process; the time until it answered.
    pub async fn start(&mut self) -> Result<Duration, Failed> {
        fs::create_dir_all(self.state())?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        let mut command = Command::new(&self.binary);
        command.arg("serve");
        let (state, socket) = (self.state(), self.socket());
        for setting in [
            format!("server.state_dir={}", state.display()),
            format!("server.admin_socket={}", socket.display()),
            format!("scim.listen=127.0.0.1:{}", self.port),
            "metrics.listen=".to_owned(),
            "log.format=pretty".to_owned(),
        ]
        .iter()
        .chain(&self.settings)
        {
            command.arg("--set").arg(setting);
        }
        let began = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failed::new(format!("{}: {error}", self.binary.display())))?;
        self.child = Some(child);
        loop {
            let problem = match self.answers().await {
                Ok(()) => return Ok(began.elapsed()),
                Err(problem) => problem,
            };
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?;
            if let Some(Some(status)) = ended {
                return Err(self.told(&format!("rollcall ended at its start ({status})")));
            }
            if began.elapsed() > PATIENCE {
                return Err(self.told(&format!("rollcall does not answer ({problem})")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether it answers: a request with the token, or without one before there is any.
    pub async fn answers(&self) -> Result<(), Failed> {
        let (target, path) = if self.token.is_some() {
            (self.target().await?, "/Users?count=0")
        } else {
            let url = format!("https://localhost:{}/", self.port);
            let target = Target::resolve(&url, "none", &self.ca(), self.h2).await?;
            (target, "/healthz")
        };
        let mut wire = Wire::connect(&target).await?;
        let answer = wire.send(&target, Method::GET, path, None).await?;
        match answer.status {
            200 | 204 => Ok(()),
            status => Err(Failed::new(format!("{path} answered {status}"))),
        }
    }

    /// Makes the directory and a token.
    pub fn prepare(&mut self) -> Result<(), Failed> {
        self.command(&["directory", "create", DIRECTORY])?;
        let made = self.command(&[
            "token",
            "create",
            "--directory",
            DIRECTORY,
            "--scope",
            "provision",
        ])?;
        let token = made.get("token").and_then(Value::as_str);
        self.token = Some(
            token
                .ok_or_else(|| Failed::new("token create showed no token"))?
                .to_owned(),
        );
        Ok(())
    }

    /// The Secret Token; empty before there is one.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Where requests go.
    pub async fn target(&self) -> Result<Target, Failed> {
        let url = format!("https://localhost:{}/scim/{DIRECTORY}/v2", self.port);
        let token = self.token.as_deref().unwrap_or("none");
        Target::resolve(&url, token, &self.ca(), self.h2).await
    }

    /// What a command of the command line answers.
    fn command(&self, words: &[&str]) -> Result<Value, Failed> {
        let output = Command::new(&self.binary)
            .args(words)
            .args(["--output", "json", "--socket"])
            .arg(self.socket())
            .output()?;
        if !output.status.success() {
            return Err(Failed::new(format!(
                "rollcall {} failed: {}",
                words.join(" "),
                String::from_utf8_lossy(&output.stderr)
            )));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Stops it with SIGTERM; the time until it was gone.
    pub async fn stop(&mut self) -> Result<Duration, Failed> {
        let Some(mut child) = self.child.take() else {
            return Ok(Duration::ZERO);
        };
        let began = Instant::now();
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, Signal::TERM)
                .map_err(|error| Failed::new(format!("cannot stop rollcall: {error}")))?;
        }
        while child.try_wait()?.is_none() {
            if began.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                return Err(self.told("rollcall does not stop"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(began.elapsed())
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) -> Result<(), Failed> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// A failure with the last lines of the log.
    fn told(&self, what: &str) -> Failed {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.iter().rev().take(10).rev();
        let last: Vec<&str> = last.copied().collect();
        Failed::new(format!("{what}:\n{}", last.join("\n")))
    }
}

impl Drop for Rollcall {
    fn drop(&mut self) {
        // Whatever ended the measurement, nothing is to stay behind.
        drop(self.kill());
    }
}
