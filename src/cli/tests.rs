//! Whole commands, against a server over a real socket that answers with what the test gives it.

mod asking;
mod config;
mod history;
mod printing;
mod storage;

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
use serde_json::json;

use crate::base::clock::Timestamp;
use crate::base::ident::CountedIds;
use crate::cli::args::Format;
use crate::cli::output::Output;
use crate::cli::run;
use crate::cli::world::World;
use crate::control::protocol::Reply;
use crate::control::protocol::Request;
use crate::control::server::Handler;
use crate::control::server::Running;
use crate::control::server::Settings;
use crate::control::server::start;
use crate::control::socket::Access;
use crate::control::socket::Socket;

/// What a command left behind.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    /// The exit code.
    code: u8,
    /// Standard output.
    data: String,
    /// Standard error.
    talk: String,
}

/// A place to run commands in.
struct Shell {
    /// Holds the socket; removed at the end.
    folder: tempfile::TempDir,
    /// The server, which stops when this is dropped.
    _running: Running,
    /// The server's runtime.
    _runtime: tokio::runtime::Runtime,
    /// Requests that arrived, as JSON, with the actor.
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Shell {
    /// A shell beside a server that replies so.
    fn new(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let log = Arc::clone(&asked);
        let handler: Handler = Arc::new(move |request, actor| {
            let reply = reply(&request);
            let mut entry = serde_json::to_value(&request).unwrap();
            let who = actor.to_string();
            let (_, name) = who.split_once("(stated: ").unwrap();
            entry["by"] = json!(name.trim_end_matches(')'));
            log.lock().unwrap().push(entry);
            reply
        });
        let path = folder.path().join("admin.sock");
        let sockets = vec![Socket::open(&path, Access::Admin).unwrap()];
        let guard = runtime.enter();
        let ids = Arc::new(CountedIds::default());
        let running = start(sockets, handler, ids, Settings::default()).unwrap();
        drop(guard);
        Self {
            folder,
            _running: running,
            _runtime: runtime,
            asked,
        }
    }

    /// A shell beside a server that always replies with this value.
    fn replying(value: Value) -> Self {
        Self::new(move |_| Reply::Ok(value.clone()))
    }

    /// Runs a command without a terminal.
    fn run(&self, command: &str) -> Ended {
        self.typing(command, "", false)
    }

    /// Runs a command with something on standard input.
    fn typing(&self, command: &str, typed: &str, interactive: bool) -> Ended {
        let socket = self.folder.path().join("admin.sock");
        let environment = [
            ("ROLLCALL_SOCKET", socket.to_str().unwrap()),
            ("USER", "joy"),
            ("NO_COLOR", "1"),
        ];
        let mut ended = run_in(&environment, command, typed, interactive);
        let folder = self.folder.path().to_str().unwrap();
        ended.talk = ended.talk.replace(folder, "FOLDER");
        ended.data = ended.data.replace(folder, "FOLDER");
        ended
    }

    /// The requests that arrived so far.
    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().drain(..).collect()
    }
}

/// Runs a command; its arguments are separated by spaces.
fn run_in(environment: &[(&str, &str)], command: &str, typed: &str, interactive: bool) -> Ended {
    let (mut data, mut talk) = (Vec::new(), Vec::new());
    let text = |text: &&str| (*text).to_owned();
    let mut world = World {
        stdin: &mut typed.as_bytes(),
        interactive,
        output: Output {
            format: Format::Table,
            data: &mut data,
            talk: &mut talk,
            now: Timestamp::parse("2026-03-10T12:00:00Z").unwrap(),
        },
        environment: environment
            .iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect(),
        hostname: "scim.corp.example".to_owned(),
    };
    let arguments = ["rollcall"].into_iter().chain(command.split_whitespace());
    let code = run(arguments.map(OsString::from), &mut world);
    Ended {
        code,
        data: String::from_utf8(data).unwrap(),
        talk: String::from_utf8(talk).unwrap(),
    }
}

/// The end of a command that printed only data.
fn printed(data: &str) -> Ended {
    Ended {
        code: 0,
        data: data.to_owned(),
        talk: String::new(),
    }
}

/// The end of a command that only complained.
fn complained(code: u8, talk: &str) -> Ended {
    Ended {
        code,
        data: String::new(),
        talk: talk.to_owned(),
    }
}

/// A token as the server describes it.
fn token() -> Value {
    json!({
        "id": "aaaaaaaaab",
        "directory": "entra",
        "scope": "provision",
        "label": "",
        "state": "live",
        "created": "2026-03-01T12:00:00.000Z",
        "expires": null,
        "rotate_by": "2027-03-01T12:00:00.000Z",
        "revoked": null,
        "last_used": {"at": "2026-03-10T11:00:00.000Z", "from": "10.0.0.7"},
    })
}
