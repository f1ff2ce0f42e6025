//! The real binary as a process of its own: `rollcall try` in a temporary folder, killed and started again.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::ca_file;
use crate::wire::Request;
use crate::wire::Trust;
use crate::wire::Wire;

/// How long a start may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(120);
/// Path of the Tenant URL of `rollcall try`.
pub const BASE: &str = "/scim/try/v2";

/// Ports that the system gives to nobody who does not ask for them: it has its own for those from
/// 32768 on, and one of them may be somebody's by the time that the process asks for it.
const PORTS: Range<u16> = 20_000..32_000;

/// An address where nobody listens, another one each time.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Tests of other processes begin elsewhere.
        let place = std::process::id().wrapping_mul(97).wrapping_add(number);
        let port = u16::try_from(place % u32::try_from(PORTS.len()).unwrap()).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORTS.start + port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A folder with the state of `rollcall try`, and the process over it.
pub struct Process {
    /// Where everything is.
    folder: TempDir,
    /// Where it listens: the same after each start.
    address: SocketAddr,
    /// What its environment holds beyond that of the tests.
    environment: Vec<(String, OsString)>,
    /// The process, when one runs.
    child: Option<Child>,
}

/// What a client needs.
#[derive(Clone)]
pub struct Access {
    /// Where it listens.
    pub address: SocketAddr,
    /// The Secret Token.
    pub token: String,
    /// Trust in its authority.
    pub trust: Trust,
}

impl Access {
    /// A new connection.
    pub fn connect(&self) -> io::Result<Wire> {
        Wire::connect(self.address, "localhost", &self.trust)
    }

    /// A request with the token; `path` is relative to the Tenant URL.
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, &format!("{BASE}{path}")).bearer(&self.token)
    }
}

impl Process {
    /// A new folder and a free port; nothing runs yet.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            address: free_address(),
            environment: Vec::new(),
            child: None,
        }
    }

    /// The folder around the state, which a test may use.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a variable of the environment of all further starts.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.push((name.to_owned(), value.into()));
    }

    /// The folder with the state.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Starts the process and does not wait for it.
    pub fn spawn(&mut self) {
        let output = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("output"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args(["try", "--port", &self.address.port().to_string(), "--dir"])
            .arg(self.state())
            .current_dir(self.folder.path())
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        assert!(self.child.replace(child).is_none(), "one process at a time");
    }

    /// Waits until it answers.
    pub fn ready(&mut self) -> Access {
        let until = Instant::now() + PATIENCE;
        loop {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none(),
                "it ended with {ended:?}:\n{}",
                self.output()
            );
            match self.try_ready() {
                Ok(access) => return access,
                Err(error) => assert!(
                    Instant::now() < until,
                    "not ready ({error}):\n{}",
                    self.output()
                ),
            }
            pause(Duration::from_millis(20));
        }
    }

    /// Whether it answers now.
    fn try_ready(&self) -> io::Result<Access> {
        let token = fs::read_to_string(self.state().join("token"))?
            .trim()
            .to_owned();
        let pem = fs::read(ca_file(&self.state()))?;
        let trust = Trust::new(&pem, None, rustls::ALL_VERSIONS, &["http/1.1"]);
        let access = Access {
            address: self.address,
            token,
            trust,
        };
        let answer = access
            .connect()?
            .send(&access.request("GET", "/Users?count=0"))?;
        match answer.status {
            200 => Ok(access),
            _ => Err(io::Error::other(format!("{answer:?}"))),
        }
    }

    /// Ends the process at once, as a power switch does.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks the process to end, as systemd does, and waits until it has.
    pub fn stop(&mut self) {
        let child = self.child.as_ref().unwrap();
        let pid = Pid::from_child(child);
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
        let status = self.ended(PATIENCE);
        assert!(
            status.is_some_and(|status| status.success()),
            "{status:?}:\n{}",
            self.output()
        );
    }

    /// Begins a command of the command line, whatever comes of it.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command.args(arguments).arg("--socket");
        command.arg(self.state().join("admin.sock"));
        let silent = command.stdin(Stdio::null()).stdout(Stdio::null());
        silent.stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs the command line against it; answers the exit status and the JSON.
    pub fn operate(&self, arguments: &[&str]) -> (i32, Value) {
        let output = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args(arguments)
            .args(["--output", "json", "--socket"])
            .arg(self.state().join("admin.sock"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let value = serde_json::from_slice(&output.stdout);
        let value = value.unwrap_or_else(|error| panic!("no JSON ({error}): {output:?}"));
        (output.status.code().unwrap(), value)
    }

    /// How the process ended by itself; nothing when it still runs after `patience`.
    pub fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            if ended.is_some() {
                self.child = None;
            }
            if ended.is_some() || Instant::now() >= until {
                return ended;
            }
            pause(Duration::from_millis(20));
        }
    }

    /// What it complained about, but for single requests.
    pub fn complaints(&self) -> String {
        let output = self.output();
        let lines = output.lines().filter(|line| {
            let request = line.contains(" request_id=");
            !request && !line.contains(" INFO ") && !line.starts_with("  ")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What it printed.
    pub fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// Lets time pass: for moments of chance and for polling, never for hoping.
pub fn pause(time: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    // The sender lives, so this can only time out.
    assert_eq!(
        receiver.recv_timeout(time),
        Err(mpsc::RecvTimeoutError::Timeout)
    );
}

#[test]
fn try_prints_what_to_paste_and_keeps_its_state() {
    let mut process = Process::new();
    process.spawn();
    let first = process.ready();
    let url = format!("https://localhost:{}{BASE}", process.address.port());
    let output = process.output();
    for text in [url.as_str(), first.token.as_str(), "ca.pem", "curl "] {
        assert!(output.contains(text), "{text} in:\n{output}");
    }
    process.kill();
    process.spawn();
    let second = process.ready();
    assert_eq!(first.token, second.token, "the token is kept");
}

#[test]
fn the_token_file_of_try_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let mut process = Process::new();
    process.spawn();
    process.ready();
    let mode = fs::metadata(process.state().join("token"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_second_process_over_the_same_folder_is_told_so() {
    let mut process = Process::new();
    process.spawn();
    process.ready();
    let output = Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .args(["try", "--port", "0", "--dir"])
        .arg(process.state())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert!(
        errors.contains("in use") || errors.contains("another"),
        "{errors}"
    );
}
