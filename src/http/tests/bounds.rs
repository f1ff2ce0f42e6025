//! Limits, time-outs, bodies that nobody wants, connections that should not be.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::http::Limits;
use crate::http::tests::harness::Server;
use crate::http::tests::harness::Wire;
use crate::http::tests::harness::limits;

/// A time-out that a test can wait for.
const SHORT: Duration = Duration::from_millis(250);

#[tokio::test]
async fn a_body_comes_whole_in_pieces_and_by_chunks() {
    let server = Server::start(limits());
    let mut wire = server.connect().await;
    wire.send("POST /body HTTP/1.1\nhost: a\ncontent-length: 6\n\nabc")
        .await;
    wire.send("def").await;
    assert_eq!(wire.reply().await.brief(), ("200", "abcdef"));
    wire.send("POST /body HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n3\nabc\n")
        .await;
    wire.send("2\nde\n1\nf\n0\n\n").await;
    assert_eq!(wire.reply().await.brief(), ("200", "abcdef"));
    let full = "x".repeat(100);
    wire.send(&format!(
        "POST /body HTTP/1.1\nhost: a\ncontent-length: 100\n\n{full}"
    ))
    .await;
    assert_eq!(wire.reply().await.brief(), ("200", full.as_str()));
    assert_eq!(wire.ask("POST /body").await.brief(), ("200", ""));
}

#[tokio::test]
async fn a_small_body_that_nobody_read_leaves_the_connection_usable() {
    let server = Server::start(limits());
    let mut wire = server.connect().await;
    for (framing, body) in [
        ("content-length: 60000", "x".repeat(60_000)),
        ("transfer-encoding: chunked", "5\nhello\n0\n\n".to_owned()),
    ] {
        wire.send(&format!("POST /refuse HTTP/1.1\nhost: a\n{framing}\n\n"))
            .await;
        wire.send(&body).await;
        let reply = wire.reply().await;
        assert_eq!(reply.brief(), ("401", "who are you?"), "{framing}");
        assert!(!reply.closes(), "{framing}");
    }
    let over = "x".repeat(101);
    wire.send(&format!(
        "POST /body HTTP/1.1\nhost: a\ncontent-length: 101\n\n{over}"
    ))
    .await;
    let reply = wire.reply().await;
    assert_eq!(reply.brief(), ("413", "the body is longer than 100 bytes"));
    assert!(!reply.closes());
    assert_eq!(wire.ask("GET /hello").await.brief(), ("200", "hello"));
}

#[tokio::test]
async fn a_large_body_that_nobody_read_is_answered_before_the_close() {
    for framing in [
        "content-length: 8000000".to_owned(),
        "transfer-encoding: chunked\n\n7a1200".to_owned(),
    ] {
        let server = Server::start(limits());
        let mut wire = server.connect().await;
        let separator = if framing.starts_with("content") {
            "\n\n"
        } else {
            "\n"
        };
        wire.send(&format!(
            "POST /body HTTP/1.1\nhost: a\n{framing}{separator}"
        ))
        .await;
        // All of it is sent before the answer is looked at, as simple clients do.
        let body = vec![b'x'; 8_000_000];
        wire.stream.write_all(&body).await.unwrap();
        wire.stream.flush().await.unwrap();
        let reply = wire.reply().await;
        assert_eq!(
            reply.brief(),
            ("413", "the body is longer than 100 bytes"),
            "{framing}"
        );
        assert!(reply.closes(), "{framing}");
        wire.end().await;
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_told() {
    let server = Server::start(limits());
    let mut wire = server.connect().await;
    let head = "host: a\nexpect: 100-continue\ncontent-length: 3\n\n";
    wire.send(&format!("POST /body HTTP/1.1\n{head}")).await;
    assert_eq!(wire.reply().await.status, "HTTP/1.1 100 Continue");
    wire.send("abc").await;
    assert_eq!(wire.reply().await.brief(), ("200", "abc"));
    wire.send(&format!("POST /refuse HTTP/1.1\n{head}")).await;
    let reply = wire.reply().await;
    assert_eq!(reply.brief(), ("401", "who are you?"));
    assert!(reply.closes());
    wire.end().await;
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let server = Server::start(limits());
    let mut wire = server.connect().await;
    wire.send("HEAD /hello HTTP/1.1\nhost: a\n\nGET /hello HTTP/1.1\nhost: a\n\n")
        .await;
    let mut bytes = Vec::new();
    let expected = "content-length: 5";
    // The body of the GET must follow the head of its own answer at once.
    let heads = loop {
        let mut buffer = [0; 1024];
        let read = tokio::io::AsyncReadExt::read(&mut wire.stream, &mut buffer)
            .await
            .unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8(bytes.clone()).unwrap();
        if text.ends_with("\r\n\r\nhello") {
            break text;
        }
        assert!(read > 0, "{text}");
    };
    assert_eq!(heads.matches(expected).count(), 2, "{heads}");
    assert_eq!(heads.matches("hello").count(), 1, "{heads}");
}

#[tokio::test]
async fn what_is_too_long_is_named() {
    let server = Server::start(limits());
    let limits = Limits::default();
    let mut wire = server.connect().await;
    let path = format!("/{}", "a".repeat(limits.url_bytes_max));
    let reply = wire.ask(&format!("GET {path}")).await;
    assert_eq!(reply.brief().0, "414");
    assert!(reply.body.starts_with("UrlTooLong { bytes_max: 8192 }"));
    let value = "a".repeat(limits.header_bytes_max);
    wire.send(&format!("GET /hello HTTP/1.1\nhost: a\nx-a: {value}\n\n"))
        .await;
    let reply = wire.reply().await;
    assert_eq!(reply.brief().0, "431");
    assert!(
        reply
            .body
            .starts_with("HeadersTooLong { bytes_max: 16384 }")
    );
    assert_eq!(wire.ask("GET /hello").await.brief(), ("200", "hello"));
    // Beyond both bounds nothing is read any more.
    let value = "a".repeat(100_000);
    wire.send(&format!("GET /hello HTTP/1.1\nhost: a\nx-a: {value}\n\n"))
        .await;
    assert_eq!(wire.reply().await.brief().0, "431");
    wire.end().await;
}

#[tokio::test]
async fn a_slow_head_is_answered_408() {
    let server = Server::start(Limits {
        header_timeout: SHORT,
        ..limits()
    });
    let mut wire = server.connect().await;
    wire.send("GET /hello HTTP/1.1\nhost:").await;
    let reply = wire.reply().await;
    assert_eq!(reply.status, "HTTP/1.1 408 Request Timeout");
    wire.end().await;
    // The second request of a connection has the time of the first.
    let mut wire = server.connect().await;
    assert_eq!(wire.ask("GET /hello").await.brief(), ("200", "hello"));
    wire.send("GET").await;
    assert_eq!(wire.reply().await.brief().0, "408");
    // Who says nothing is told nothing.
    let mut wire = server.connect().await;
    let mut rest = Vec::new();
    drop(tokio::io::AsyncReadExt::read_to_end(&mut wire.stream, &mut rest).await);
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn a_connection_rests_for_a_while_only() {
    let server = Server::start(Limits {
        idle_timeout: SHORT,
        ..limits()
    });
    let mut wire = server.connect().await;
    assert_eq!(wire.ask("GET /hello").await.brief(), ("200", "hello"));
    wire.end().await;
    // A request that takes longer than that is not rest.
    let mut wire = server.connect().await;
    wire.send("GET /gate HTTP/1.1\nhost: a\n\n").await;
    server.service.arrived.notified().await;
    for _ in 0..2 {
        let mut other = server.connect().await;
        assert_eq!(other.ask("GET /hello").await.brief(), ("200", "hello"));
        other.end().await;
    }
    server.service.gate.notify_one();
    assert_eq!(wire.reply().await.brief(), ("200", "through"));
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let server = Server::start(Limits {
        body_timeout: SHORT,
        linger_timeout: SHORT,
        ..limits()
    });
    let mut wire = server.connect().await;
    wire.send("POST /body HTTP/1.1\nhost: a\ncontent-length: 6\n\nabc")
        .await;
    let reply = wire.reply().await;
    assert_eq!(
        reply.brief(),
        ("408", "the body did not arrive within 0.25 s")
    );
    assert!(reply.closes());
    wire.end().await;
}

#[tokio::test]
async fn a_reader_that_stops_is_let_go() {
    let server = Server::start(Limits {
        idle_timeout: SHORT,
        linger_timeout: SHORT,
        ..limits()
    });
    let mut wire = server.connect().await;
    for _ in 0..20 {
        wire.send("GET /large HTTP/1.1\nhost: a\n\n").await;
    }
    // Ends only when no connection is left.
    assert!(server.stop(Duration::from_secs(20)).await);
}

#[tokio::test]
async fn more_connections_than_places_wait() {
    let server = Server::start_plain(Limits {
        connections_max: 1,
        ..limits()
    });
    let mut first = Wire::new(TcpStream::connect(server.address).await.unwrap());
    assert_eq!(first.ask("GET /hello").await.brief(), ("200", "hello"));
    let mut second = Wire::new(TcpStream::connect(server.address).await.unwrap());
    second.send("GET /hello HTTP/1.1\nhost: a\n\n").await;
    assert_eq!(first.ask("GET /hello").await.brief(), ("200", "hello"));
    assert_eq!(server.metrics.http_connections.get(), 1);
    drop(first);
    assert_eq!(second.reply().await.brief(), ("200", "hello"));
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so() {
    let server = Server::start(limits());
    let mut wire = Wire::new(TcpStream::connect(server.address).await.unwrap());
    let reply = wire.ask("GET /hello").await;
    assert_eq!(
        reply.brief(),
        (
            "400",
            "This port speaks HTTPS: the URL begins with https://\n"
        )
    );
    wire.end().await;
    let failures = &server.metrics.tls_handshake_failures;
    assert_eq!(failures.get("plain_http"), 1);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let server = Server::start(Limits {
        tls_handshake_timeout: SHORT,
        ..limits()
    });
    let mut silent = Wire::new(TcpStream::connect(server.address).await.unwrap());
    silent.end().await;
    let mut half = Wire::new(TcpStream::connect(server.address).await.unwrap());
    half.stream.write_all(&[22, 3]).await.unwrap();
    half.end().await;
    let failures = &server.metrics.tls_handshake_failures;
    assert_eq!(failures.get("timeout"), 2);
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let server = Server::start_plain(limits());
    let mut wire = Wire::new(TcpStream::connect(server.address).await.unwrap());
    assert_eq!(wire.ask("GET /about").await.brief().1, "127.0.0.1");
    wire.send("GET /about HTTP/1.1\nhost: a\nx-forwarded-for: 203.0.113.9\n\n")
        .await;
    assert_eq!(wire.reply().await.brief().1, "203.0.113.9");
    let tls = Server::start(limits());
    let mut wire = tls.connect().await;
    assert_eq!(wire.ask("GET /about").await.brief().1, "127.0.0.1");
}
