//! Starts the real appliance in this process: a temporary folder, a free port, a clock that stands still, ids that count.
//!
//! How an appliance is configured and started is known here and nowhere else in the tests. Directories and tokens are
//! made through the command line, as an operator makes them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rollcall::base::clock::ManualClock;
use rollcall::base::clock::Timestamp;
use rollcall::base::ident::CountedIds;
use rollcall::config::Config;
use rollcall::config::load::Sources;
use rollcall::config::load::load;
use rollcall::daemon::Running;
use rollcall::daemon::Seams;
use rollcall::daemon::start;
use rustls::SupportedProtocolVersion;
use rustls::pki_types::UnixTime;
use serde_json::Value;
use tempfile::TempDir;

use crate::wire::Answer;
use crate::wire::Request;
use crate::wire::Trust;
use crate::wire::Wire;

/// What the appliance believes its address is: it stands in every `location`.
pub const PUBLIC_URL: &str = "https://scim.northbridge.example";
/// When the manual clock starts: 2026-01-31T07:00:00Z.
const START_MILLIS: u64 = 1_769_842_800_000;

/// A running appliance.
pub struct Appliance {
    /// Everything it keeps.
    folder: TempDir,
    /// Its clock.
    clock: ManualClock,
    /// Its ids.
    ids: CountedIds,
    /// Settings beside the usual ones: lines of TOML, `section.key = value`.
    settings: Vec<String>,
    /// The appliance; `None` only while it is started again.
    running: Option<Running>,
}

/// A directory of an appliance, with a token that may write.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Its name.
    pub name: String,
    /// Path of its Tenant URL.
    pub base: String,
    /// A token of scope `provision`.
    pub token: String,
}

/// What a run of the command line came to.
#[derive(Debug)]
pub struct Outcome {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

impl Outcome {
    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.output)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

impl Appliance {
    /// An appliance with nothing in it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// An appliance with settings of its own, each a line of TOML: `section.key = value`.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut appliance = Self {
            folder: tempfile::tempdir().unwrap(),
            clock: ManualClock::new(Timestamp::from_millis(i64::try_from(START_MILLIS).unwrap())),
            ids: CountedIds::default(),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            running: None,
        };
        appliance.run();
        appliance
    }

    /// Stops and starts again over the same folder.
    pub fn restart(&mut self) {
        self.stop();
        self.run();
    }

    /// Builds the configuration and starts.
    fn run(&mut self) {
        let seams = Seams {
            clock: Arc::new(self.clock.clone()),
            ids: Arc::new(self.ids.clone()),
        };
        self.running = Some(start(&self.config(), seams).unwrap());
    }

    /// The configuration: small files, loopback, a free port; written as an operator writes it.
    fn config(&self) -> Config {
        let folder = self.folder.path().display();
        let mut text = format!(
            "server.public_url = \"{PUBLIC_URL}\"
             server.state_dir = \"{folder}/state\"
             server.admin_socket = \"{folder}/admin.sock\"
             scim.listen = [\"127.0.0.1:0\"]
             console.listen = \"\"
             metrics.listen = \"\"
             storage.segment = \"4MiB\"
             storage.reserve = \"1MiB\"
             storage.free_soft = \"2MiB\"
             storage.free_hard = \"1MiB\"
             storage.cache = \"8MiB\"\n"
        );
        for setting in &self.settings {
            text.push_str(setting);
            text.push('\n');
        }
        let file = self.folder.path().join("rollcall.toml");
        fs::write(&file, text).unwrap();
        let sources = Sources {
            file: Some(file),
            hostname: "northbridge".to_owned(),
            ..Sources::default()
        };
        load(&sources).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    /// Stops it, if it runs.
    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }

    /// Where SCIM is served.
    pub fn address(&self) -> SocketAddr {
        *self.running.as_ref().unwrap().addresses().first().unwrap()
    }

    /// Lets time pass.
    pub fn advance(&self, millis: i64) {
        self.clock.advance(millis);
    }

    /// Reads the certificate files again, as SIGHUP does.
    pub fn reload(&self) {
        self.running.as_ref().unwrap().reload(&self.config());
    }

    /// Trust in the appliance's own authority, with both TLS versions and HTTP/1.1.
    pub fn trust(&self) -> Trust {
        self.trust_with(rustls::ALL_VERSIONS, &["http/1.1"])
    }

    /// Trust in the appliance's own authority with chosen protocols.
    pub fn trust_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> Trust {
        let pem = fs::read(ca_file(&self.folder.path().join("state"))).unwrap();
        // An hour later than the start: tests move the clock by less.
        let at = UnixTime::since_unix_epoch(
            Duration::from_millis(START_MILLIS) + Duration::from_secs(3600),
        );
        Trust::new(&pem, Some(at), versions, alpn)
    }

    /// A new connection.
    pub fn connect(&self) -> Wire {
        Wire::connect(self.address(), "localhost", &self.trust()).unwrap()
    }

    /// One request on a connection of its own.
    pub fn send(&self, request: &Request) -> Answer {
        self.connect().send(request).unwrap()
    }

    /// Runs the command line against this appliance, without a terminal.
    pub fn operator(&self, arguments: &[&str]) -> Outcome {
        let output = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args(arguments)
            .env("ROLLCALL_SOCKET", self.folder.path().join("admin.sock"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Outcome {
            status: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The folder of the state.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The socket of those who may only look.
    pub fn read_socket(&self) -> String {
        let path = self.folder.path().join("read.sock");
        path.to_str().unwrap().to_owned()
    }

    /// Runs the command line, which must succeed, and returns its JSON.
    pub fn operate(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        let outcome = self.operator(&all);
        assert_eq!(outcome.status, 0, "{arguments:?}: {outcome:?}");
        outcome.json()
    }

    /// Makes a directory with a token.
    pub fn directory(&self, name: &str, profile: &str) -> Directory {
        self.operate(&["directory", "create", name, "--profile", profile]);
        Directory {
            name: name.to_owned(),
            base: format!("/scim/{name}/v2"),
            token: self.token(name, "provision"),
        }
    }

    /// Makes one more token for a directory.
    pub fn token(&self, directory: &str, scope: &str) -> String {
        let made = self.operate(&[
            "token",
            "create",
            "--directory",
            directory,
            "--scope",
            scope,
        ]);
        made["token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Directory {
    /// A request to this directory with its token.
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, &format!("{}{path}", self.base)).bearer(&self.token)
    }
}

/// The authority's certificate that an appliance keeps in `state`.
pub fn ca_file(state: &Path) -> PathBuf {
    state.join("tls").join("ca.pem")
}
