//! Protocol versions, certificates, the end of the server.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::Version;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rustls::HandshakeKind;
use rustls::ProtocolVersion;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::base::clock::Clock;
use crate::base::clock::ManualClock;
use crate::http::Limits;
use crate::http::Tls;
use crate::http::TlsSettings;
use crate::http::bind;
use crate::http::certificate::DAY_MS;
use crate::http::tests::harness::Reply;
use crate::http::tests::harness::Server;
use crate::http::tests::harness::Wire;
use crate::http::tests::harness::limits;
use crate::http::tests::harness::movable_clock;

/// Connects as a client of HTTP/2; the task ends with the connection.
pub async fn connect_http2(
    server: &Server,
) -> (SendRequest<Full<Bytes>>, JoinHandle<hyper::Result<()>>) {
    let config = server.client_config(&["h2", "http/1.1"], rustls::ALL_VERSIONS);
    let stream = server.connect_with(config).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    (sender, tokio::spawn(connection))
}

/// Asks over HTTP/2: status, headers of interest, body.
pub async fn ask_http2(
    sender: &mut SendRequest<Full<Bytes>>,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> (u16, Option<String>, String) {
    let request = Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
        .body(Full::from(body))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    let length = response
        .headers()
        .get("content-length")
        .map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, length, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn http1_answers_several_requests_on_one_connection() {
    let server = Server::start(limits());
    let mut wire = server.connect().await;
    for id in [1, 2, 3] {
        let expected = Reply {
            status: "HTTP/1.1 200 OK".to_owned(),
            headers: vec![
                "content-type: text/plain".to_owned(),
                format!("x-request-id: {id:032x}"),
                "x-content-type-options: nosniff".to_owned(),
                "cache-control: no-store".to_owned(),
                "content-length: 5".to_owned(),
            ],
            body: "hello".to_owned(),
        };
        assert_eq!(wire.ask("GET /hello").await, expected);
    }
    let text = server.metrics.exposition().into_text();
    let labels = "listener=\"scim\",route=\"/Users\",method=\"GET\",status=\"200\"";
    let line = format!("rollcall_http_requests_total{{{labels}}} 3");
    assert!(text.contains(&line), "{text}");
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn http2_is_chosen_by_alpn() {
    let server = Server::start(limits());
    let (mut sender, _task) = connect_http2(&server).await;
    for (method, path, body, expected) in [
        ("GET", "/hello", 0, (200, Some("5"), "hello")),
        ("HEAD", "/hello", 0, (200, Some("5"), "")),
        ("GET", "/nowhere", 0, (404, None, "")),
        ("POST", "/body", 3, (200, Some("3"), "xxx")),
        ("POST", "/refuse", 50_000, (401, Some("12"), "who are you?")),
        (
            "POST",
            "/refuse",
            300_000,
            (401, Some("12"), "who are you?"),
        ),
        (
            "POST",
            "/body",
            5_000_000,
            (413, Some("39"), "the body is longer than 100 bytes"),
        ),
        ("GET", "/hello", 0, (200, Some("5"), "hello")),
    ] {
        let (status, length, text) = ask_http2(&mut sender, method, path, vec![b'x'; body]).await;
        let length = length.as_deref().filter(|length| *length != "0");
        let expected_length = expected
            .1
            .map(|_| text.len().max(expected.2.len()).to_string());
        if method == "HEAD" {
            assert_eq!(length, expected.1, "{method} {path}");
        } else {
            assert_eq!(length, expected_length.as_deref(), "{method} {path}");
        }
        assert_eq!((status, text.as_str()), (expected.0, expected.2), "{path}");
    }
}

#[tokio::test]
async fn an_idle_http2_connection_is_shown_out() {
    let server = Server::start(Limits {
        idle_timeout: Duration::from_millis(250),
        ..limits()
    });
    let (mut sender, task) = connect_http2(&server).await;
    let (status, _, _) = ask_http2(&mut sender, "GET", "/hello", Vec::new()).await;
    assert_eq!(status, 200);
    // GOAWAY, not an error, and no help of ours.
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_is_answered_and_the_connection_lives() {
    let server = Server::start(limits());
    let (mut sender, _task) = connect_http2(&server).await;
    let mut wire = server.connect().await;
    let (status, _, _) = ask_http2(&mut sender, "GET", "/panic", Vec::new()).await;
    assert_eq!(status, 500);
    let panicked = wire.ask("GET /panic").await;
    let text = "Panicked 00000000000000000000000000000002";
    assert_eq!(panicked.brief(), ("500", text));
    let (status, _, _) = ask_http2(&mut sender, "GET", "/hello", Vec::new()).await;
    assert_eq!(status, 200);
    assert_eq!(wire.ask("GET /hello").await.brief(), ("200", "hello"));
    assert_eq!(server.metrics.panics.get(), 2);
}

#[tokio::test]
async fn old_and_new_tls_are_spoken_and_sessions_resumed() {
    let server = Server::start(limits());
    for (version, expected) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let config = server.client_config(&[], &[version]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut wire = Wire::new(server.connect_with(Arc::clone(&config)).await);
            assert_eq!(wire.ask("GET /hello").await.brief(), ("200", "hello"));
            let (_, connection) = wire.stream.get_ref();
            assert_eq!(connection.protocol_version(), Some(expected));
            assert_eq!(connection.handshake_kind(), Some(kind), "{expected:?}");
        }
    }
}

#[tokio::test]
async fn a_reload_changes_the_certificate_while_an_old_connection_lives() {
    let server = Server::start(limits());
    let tls = server.tls.clone().unwrap();
    let mut old = server.connect().await;
    let seen = |wire: &Wire<tokio_rustls::client::TlsStream<TcpStream>>| {
        wire.stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let first = seen(&old);
    let before = tls.summary();
    let other = TlsSettings::Local {
        dir: server.dir.path().to_owned(),
        names: vec!["other.example".to_owned()],
    };
    let after = tls.reload_from(&other).unwrap();
    assert_ne!(before.fingerprint, after.fingerprint);
    assert_eq!(tls.summary(), after);
    let mut new = server.connect().await;
    assert_ne!(seen(&new), first);
    for wire in [&mut old, &mut new] {
        assert_eq!(wire.ask("GET /hello").await.brief(), ("200", "hello"));
    }
    // A reload without news changes nothing, one that fails neither.
    assert_eq!(tls.reload().unwrap(), after);
    std::fs::remove_file(server.dir.path().join("ca.key")).unwrap();
    let error = tls.reload().unwrap_err().to_string();
    assert!(
        error.ends_with("is not whole: ca.key is missing"),
        "{error}"
    );
    let error = tls.reload_from(&TlsSettings::Off).unwrap_err().to_string();
    assert_eq!(error, "TLS cannot be switched off while Rollcall runs");
    assert_eq!(tls.summary(), after);
    let mut newest = server.connect().await;
    assert_eq!(newest.ask("GET /hello").await.brief(), ("200", "hello"));
}

#[test]
fn the_local_certificate_is_renewed_by_a_reload_in_time() {
    let dir = tempfile::TempDir::new().unwrap();
    let settings = TlsSettings::Local {
        dir: dir.path().to_owned(),
        names: Vec::new(),
    };
    let clock: ManualClock = movable_clock();
    let tls = Tls::load(&settings, Arc::new(clock.clone()) as Arc<dyn Clock>)
        .unwrap()
        .unwrap();
    let first = tls.summary();
    clock.advance(366 * DAY_MS);
    assert_eq!(tls.reload().unwrap(), first);
    clock.advance(2 * DAY_MS);
    assert_ne!(tls.reload().unwrap(), first);
}

#[tokio::test]
async fn the_end_waits_for_running_requests() {
    let server = Server::start(limits());
    let (address, service) = (server.address, Arc::clone(&server.service));
    let mut idle = server.connect().await;
    assert_eq!(idle.ask("GET /hello").await.brief(), ("200", "hello"));
    let mut fresh = server.connect().await;
    let (mut sender, http2) = connect_http2(&server).await;
    let (status, _, _) = ask_http2(&mut sender, "GET", "/hello", Vec::new()).await;
    assert_eq!(status, 200);
    let mut running = server.connect().await;
    running
        .send("GET /gate HTTP/1.1\nhost: localhost\n\n")
        .await;
    service.arrived.notified().await;
    let asked = tokio::spawn(async move {
        let mut sender = sender;
        ask_http2(&mut sender, "GET", "/gate", Vec::new()).await
    });
    service.arrived.notified().await;
    let stopped = tokio::spawn(server.stop(Duration::from_secs(30)));
    // Who rests is shown out at once, and nobody new is let in.
    idle.end().await;
    let mut rest = Vec::new();
    // A connection without a request is cut: its end may be a rude one.
    drop(tokio::io::AsyncReadExt::read_to_end(&mut fresh.stream, &mut rest).await);
    assert_eq!(rest, b"");
    // One that came in the last moment is shown out, too.
    while let Ok(mut late) = TcpStream::connect(address).await {
        drop(tokio::io::AsyncReadExt::read_to_end(&mut late, &mut rest).await);
        assert_eq!(rest, b"");
    }
    // Both requests wait at the gate.
    service.gate.notify_waiters();
    let reply = running.reply().await;
    assert_eq!(reply.brief(), ("200", "through"));
    assert!(reply.closes());
    drop(running);
    let (status, _, text) = asked.await.unwrap();
    assert_eq!((status, text.as_str()), (200, "through"));
    // GOAWAY, not an error.
    http2.await.unwrap().unwrap();
    assert!(stopped.await.unwrap());
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let server = Server::start(limits());
    let metrics = Arc::clone(&server.metrics);
    let service = Arc::clone(&server.service);
    let mut stuck = server.connect().await;
    stuck.send("GET /never HTTP/1.1\nhost: localhost\n\n").await;
    service.arrived.notified().await;
    assert!(!server.stop(Duration::from_millis(20)).await);
    assert_eq!(metrics.http_in_flight.get(), 0);
    assert_eq!(metrics.http_connections.get(), 0);
}

#[test]
fn a_port_serves_both_families_and_only_one_process() {
    let four = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = four.local_addr().unwrap();
    // A machine without IPv6 has nothing to show here.
    if let Ok(six) = bind(format!("[::]:{}", address.port()).parse().unwrap()) {
        assert_eq!(six.local_addr().unwrap().port(), address.port());
    }
    let error = bind(address).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "cannot listen on {address}: another process has the port (`ss -ltnp` names it); stop it or choose another port"
        )
    );
}
