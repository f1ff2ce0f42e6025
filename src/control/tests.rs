//! Conversations over real sockets in temporary folders.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::base::actor::Actor;
use crate::base::ident::CountedIds;
use crate::control::client::Client;
use crate::control::failure::Failure;
use crate::control::failure::FailureKind;
use crate::control::protocol::ProfileName;
use crate::control::protocol::REQUEST_BYTES_MAX;
use crate::control::protocol::Reply;
use crate::control::protocol::Request;
use crate::control::protocol::ScopeName;
use crate::control::protocol::TokenText;
use crate::control::server::Handler;
use crate::control::server::Running;
use crate::control::server::Settings;
use crate::control::server::start;
use crate::control::socket::Access;
use crate::control::socket::Socket;
use crate::control::socket::SocketError;
use crate::control::socket::connect;

/// A server on two sockets, and the runtime it lives in.
struct Served {
    /// Its folder, removed at the end.
    folder: tempfile::TempDir,
    /// The runtime.
    runtime: tokio::runtime::Runtime,
    /// The server.
    running: Option<Running>,
}

impl Served {
    /// Serves `handler`.
    fn new(handler: Handler, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let sockets = vec![
            Socket::open(&folder.path().join("admin.sock"), Access::Admin).unwrap(),
            Socket::open(&folder.path().join("read.sock"), Access::Read).unwrap(),
        ];
        let guard = runtime.enter();
        let running = start(sockets, handler, Arc::new(CountedIds::default()), settings).unwrap();
        drop(guard);
        Self {
            folder,
            runtime,
            running: Some(running),
        }
    }

    /// Serves a handler that gives back the request and the actor.
    fn echo() -> Self {
        let handler: Handler = Arc::new(|request, actor| {
            Reply::Ok(json!({"request": request, "actor": actor.to_string()}))
        });
        Self::new(handler, Settings::default())
    }

    /// The path of a socket.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A client of a socket.
    fn client(&self, name: &str) -> Client {
        Client::new(self.path(name), "joy".to_owned())
    }

    /// Sends bytes as they are, ends the sending, and returns everything that comes back.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = connect(&self.path("admin.sock")).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    /// Stops the server.
    fn stop(&mut self, patience: Duration) {
        let running = self.running.take().unwrap();
        self.runtime.block_on(running.stop(patience));
    }
}

/// One request of each verb, with every member set.
fn requests() -> Vec<Request> {
    let text = |text: &str| text.to_owned();
    let some = |text: &str| Some(text.to_owned());
    vec![
        Request::Status {},
        Request::DirectoryCreate {
            name: text("entra"),
            users_only: true,
            profile: ProfileName::Strict,
        },
        Request::DirectoryList {},
        Request::DirectoryShow { name: text("a") },
        Request::DirectoryEnable { name: text("a") },
        Request::DirectoryDisable { name: text("a") },
        Request::DirectoryDelete { name: text("a") },
        Request::TokenCreate {
            directory: text("entra"),
            scope: ScopeName::Provision,
            label: some("x"),
            expires_after_s: Some(60),
        },
        Request::TokenList {
            directory: some("entra"),
        },
        Request::TokenShow { id: text("aaaa") },
        Request::TokenVerify {
            token: TokenText::new(text("rc_x")),
        },
        Request::TokenRevoke {
            id: text("aaaa"),
            reason: some("lost"),
        },
        Request::UserList {
            directory: some("entra"),
            filter: some("userName eq \"joy\""),
            limit: Some(5),
            after: some("o5"),
        },
        Request::UserShow {
            directory: some("entra"),
            user: text("joy"),
        },
        Request::GroupList {
            directory: None,
            filter: None,
            limit: None,
            after: None,
        },
        Request::GroupShow {
            directory: None,
            group: text("staff"),
        },
        Request::UserHistory {
            directory: some("entra"),
            user: text("joy"),
            limit: Some(5),
            before: Some(7),
        },
        Request::GroupHistory {
            directory: None,
            group: text("staff"),
            limit: None,
            before: None,
        },
        Request::AuditList {
            limit: Some(5),
            before: Some(7),
        },
        Request::AuditVerify {},
    ]
}

/// One request of each verb.
fn all_requests() -> Vec<Request> {
    let mut all = requests();
    all.extend([
        Request::StorageStatus {},
        Request::StorageVerify { repair: false },
        Request::StorageCompact { base_only: true },
    ]);
    all
}

#[test]
fn every_request_arrives_as_it_was_sent() {
    let served = Served::echo();
    let requests = all_requests();
    let verbs: Vec<&str> = requests.iter().map(Request::verb).collect();
    assert_eq!(verbs, Request::VERBS);
    for request in requests {
        let value = served.client("admin.sock").call(&request).unwrap();
        let arrived: Request = serde_json::from_value(value["request"].clone()).unwrap();
        assert_eq!(arrived, request);
        assert_eq!(value["request"]["verb"], request.verb());
    }
}

#[test]
fn the_actor_is_who_the_kernel_says_with_the_name_that_was_stated() {
    let served = Served::echo();
    let root = rustix::process::geteuid().is_root();
    let who = if root { "root" } else { "operator" };
    let (long, kept) = ("n".repeat(100), "n".repeat(64));
    for (stated, kept) in [
        ("joy", "joy"),
        ("", "unknown"),
        ("a\nb\u{7}", "ab"),
        (long.as_str(), kept.as_str()),
    ] {
        let client = Client::new(served.path("admin.sock"), stated.to_owned());
        let value = client.call(&Request::Status {}).unwrap();
        let expected = format!("{who} (stated: {kept})");
        assert_eq!(value["actor"], expected, "{stated:?}");
    }
}

#[test]
fn the_read_socket_refuses_what_changes_something() {
    let served = Served::echo();
    let changing = [
        "directory.create",
        "directory.enable",
        "directory.disable",
        "directory.delete",
        "token.create",
        "token.revoke",
        "storage.compact",
    ];
    let repair = Request::StorageVerify { repair: true };
    for request in all_requests().into_iter().chain([repair]) {
        let result = served.client("read.sock").call(&request);
        let verb = request.verb();
        let repairs = request == Request::StorageVerify { repair: true };
        if changing.contains(&verb) || repairs {
            let failure = result.unwrap_err();
            assert_eq!(failure.kind, FailureKind::NotPermitted, "{verb}");
            assert!(failure.what.starts_with(verb), "{verb}");
        } else {
            assert!(result.is_ok(), "{verb}");
        }
    }
}

#[test]
fn socket_files_are_for_owner_and_group() {
    let mut served = Served::echo();
    for name in ["admin.sock", "read.sock"] {
        let mode = fs::metadata(served.path(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o660, "{name}");
    }
    served.stop(Duration::from_secs(5));
    for name in ["admin.sock", "read.sock"] {
        assert!(!served.path(name).exists(), "{name}");
    }
}

#[test]
fn a_stale_socket_file_is_replaced_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let stale = folder.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    assert!(Socket::open(&stale, Access::Admin).is_ok());

    let live = folder.path().join("live.sock");
    let _listener = UnixListener::bind(&live).unwrap();
    let error = Socket::open(&live, Access::Admin).unwrap_err();
    assert!(matches!(error, SocketError::InUse(_)), "{error}");

    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    let error = Socket::open(&file, Access::Admin).unwrap_err();
    assert!(matches!(error, SocketError::NotASocket(_)), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");

    let nowhere = folder.path().join("a/b/admin.sock");
    let error = Socket::open(&nowhere, Access::Admin).unwrap_err();
    assert!(matches!(error, SocketError::Io { .. }), "{error}");
}

#[test]
fn a_socket_that_was_replaced_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let first = Socket::open(&path, Access::Admin).unwrap();
    fs::remove_file(&path).unwrap();
    let second = Socket::open(&path, Access::Admin).unwrap();
    first.remove();
    assert!(path.exists());
    second.remove();
    assert!(!path.exists());
}

#[test]
fn a_folder_is_made_and_may_have_a_long_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x".repeat(200)).join("admin.sock");
    let socket = Socket::open(&path, Access::Admin).unwrap();
    assert!(connect(&path).is_ok());
    socket.remove();
    assert!(!path.exists());
}

#[test]
fn what_is_not_the_protocol_is_refused_with_a_reason() {
    let served = Served::echo();
    let hello = r#"{"protocol":1,"name":"joy"}"#;
    let long = "x".repeat(REQUEST_BYTES_MAX + 1);
    for (sent, kind, what) in [
        (
            "GET / HTTP/1.1\r\n".to_owned(),
            "protocol",
            "what arrived is not the protocol of this socket",
        ),
        (
            r#"{"protocol":2,"new":true}"#.to_owned() + "\n",
            "protocol",
            concat!(
                "the command speaks version 2 of the socket's protocol, the running rollcall (version ",
                env!("CARGO_PKG_VERSION"),
                ") speaks 1"
            ),
        ),
        (
            hello.to_owned(),
            "protocol",
            "the connection ended within a line",
        ),
        (
            format!("{hello}\n"),
            "protocol",
            "the connection ended before the request",
        ),
        (long, "protocol", "a line is longer than 65536 bytes"),
        (
            format!("{hello}\n{{}}\n"),
            "protocol",
            "the request has no verb",
        ),
        (
            format!("{hello}\n{{\"verb\":\"user.erase\"}}\n"),
            "unknown_verb",
            "rollcall does not know the verb \"user.erase\"",
        ),
        (
            format!("{hello}\n{{\"verb\":\"token.show\"}}\n"),
            "invalid",
            "the request token.show is not as it should be",
        ),
        (
            format!("{hello}\n{{\"verb\":\"token.show\",\"id\":\"a\",\"force\":true}}\n"),
            "invalid",
            "the request token.show is not as it should be",
        ),
        (
            format!("{hello}\n{{\"verb\":\"status\",\"force\":true}}\n"),
            "invalid",
            "the request status is not as it should be",
        ),
    ] {
        let reply = served.raw(sent.as_bytes());
        let line = reply.strip_suffix('\n').unwrap();
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["error"]["kind"], kind, "{sent:.80}");
        assert_eq!(value["error"]["what"], what, "{sent:.80}");
    }
    assert_eq!(served.raw(b""), "");
}

#[test]
fn a_failure_gets_the_id_under_which_the_log_knows_it() {
    let handler: Handler = Arc::new(|_, _| {
        let failure = Failure::new(FailureKind::Conflict, "taken".to_owned());
        Reply::Error(failure.why("because".to_owned()).fix("do".to_owned()))
    });
    let served = Served::new(handler, Settings::default());
    let failure = served
        .client("admin.sock")
        .call(&Request::Status {})
        .unwrap_err();
    assert_eq!(
        failure,
        Failure {
            kind: FailureKind::Conflict,
            what: "taken".to_owned(),
            why: Some("because".to_owned()),
            fix: Some("do".to_owned()),
            id: Some("00000000000000000000000000000001".to_owned()),
        }
    );
}

#[test]
fn a_panic_in_the_handler_is_a_reply_and_not_the_end() {
    let handler: Handler = Arc::new(|request, _| match request {
        Request::Status {} => panic!("for the test"),
        other => Reply::Ok(json!(other.verb())),
    });
    let served = Served::new(handler, Settings::default());
    let client = served.client("admin.sock");
    let failure = client.call(&Request::Status {}).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Internal);
    assert!(failure.id.is_some());
    assert_eq!(
        client.call(&Request::DirectoryList {}),
        Ok(json!("directory.list"))
    );
}

#[test]
fn a_client_that_says_nothing_does_not_hold_its_place() {
    let settings = Settings {
        conversations_max: 1,
        request_timeout: Duration::from_millis(50),
        ..Settings::default()
    };
    let handler: Handler = Arc::new(|_, _| Reply::Ok(Value::Null));
    let served = Served::new(handler, settings);
    let mut silent = connect(&served.path("admin.sock")).unwrap();
    let reply = served.client("admin.sock").call(&Request::Status {});
    assert_eq!(reply, Ok(Value::Null));
    let mut told = String::new();
    silent.read_to_string(&mut told).unwrap();
    assert_eq!(
        told,
        "{\"error\":{\"kind\":\"protocol\",\"what\":\"the request did not arrive in time\"}}\n"
    );
}

#[test]
fn a_request_that_has_begun_is_answered_after_the_stop() {
    let (begun_sender, begun) = std::sync::mpsc::channel();
    let (go_sender, go) = std::sync::mpsc::channel::<()>();
    let go = Mutex::new(go);
    let handler: Handler = Arc::new(move |_, _: Actor| {
        begun_sender.send(()).unwrap();
        go.lock().unwrap().recv().unwrap();
        Reply::Ok(json!("done"))
    });
    let mut served = Served::new(handler, Settings::default());
    let client = served.client("admin.sock");
    let asking = std::thread::spawn(move || client.call(&Request::Status {}));
    begun.recv().unwrap();
    let running = served.running.take().unwrap();
    let stopping = served.runtime.spawn(running.stop(Duration::from_secs(30)));
    // The file goes when nobody more is let in.
    while served.path("admin.sock").exists() {
        std::thread::yield_now();
    }
    go_sender.send(()).unwrap();
    assert_eq!(asking.join().unwrap(), Ok(json!("done")));
    served.runtime.block_on(stopping).unwrap();
}

#[test]
fn nobody_there_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let stale = folder.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    for (path, why) in [
        (
            folder.path().join("admin.sock"),
            "there is no such socket, so it is not running, or elsewhere",
        ),
        (stale, "nobody listens there: it was stopped, or crashed"),
    ] {
        let client = Client::new(path.clone(), String::new());
        let failure = client.call(&Request::Status {}).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert_eq!(
            failure.what,
            format!("rollcall cannot be reached at {}", path.display())
        );
        assert_eq!(failure.why.as_deref(), Some(why));
        assert!(failure.fix.is_some());
    }
}

#[test]
fn a_server_that_hangs_up_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let client = Client::new(path, String::new());
    let failure = client.call(&Request::Status {}).unwrap_err();
    server.join().unwrap();
    assert_eq!(failure.kind, FailureKind::Internal);
    assert!(failure.what.starts_with("no reply from rollcall at "));
}

#[test]
fn neither_token_nor_reply_shows_in_debug_output() {
    let request = Request::TokenVerify {
        token: TokenText::new("rc_secret".to_owned()),
    };
    assert_eq!(format!("{request:?}"), "TokenVerify { token: (token) }");
    assert_eq!(format!("{:?}", Reply::Ok(json!("rc_secret"))), "Ok(..)");
}
