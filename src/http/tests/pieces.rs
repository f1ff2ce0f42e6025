//! Answers that are made piece by piece while they are sent.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::StatusCode;
use hyper::body::Bytes;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;

use crate::http::Answer;
use crate::http::Limits;
use crate::http::tests::harness::Server;
use crate::http::tests::harness::limits;
use crate::http::tests::versions::ask_http2;
use crate::http::tests::versions::connect_http2;

/// Pieces of the answer: a group with 100 000 members has as many bytes.
pub const PIECES: usize = 250;
/// Bytes of each.
const PIECE_BYTES: usize = 60_000;
/// Bytes of the whole.
const BYTES: usize = PIECES * PIECE_BYTES;
/// A time-out that a test can wait for.
const SHORT: Duration = Duration::from_millis(250);

/// What became of the pieces.
#[derive(Default)]
pub struct Workshop {
    /// Pieces made.
    made: AtomicUsize,
    /// Bytes of pieces that somebody holds.
    held: AtomicUsize,
    /// The most of them at a time.
    held_max: AtomicUsize,
    /// Told when nothing more will be made of an answer.
    ended: Notify,
}

impl Workshop {
    /// An answer that promises as many pieces as there are, and gives `given`.
    pub fn answer(self: &Arc<Self>, given: usize) -> Answer {
        let length = u64::try_from(BYTES).unwrap();
        let pieces = Making {
            workshop: Arc::clone(self),
            numbers: 0..given,
        };
        Answer::new(StatusCode::OK).with_pieces("text/plain", length, pieces)
    }
}

/// An answer being made.
struct Making {
    /// Where.
    workshop: Arc<Workshop>,
    /// What is to come.
    numbers: std::ops::Range<usize>,
}

impl Iterator for Making {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let number = self.numbers.next()?;
        self.workshop.made.fetch_add(1, Ordering::Relaxed);
        let held = self.workshop.held.fetch_add(PIECE_BYTES, Ordering::Relaxed) + PIECE_BYTES;
        self.workshop.held_max.fetch_max(held, Ordering::Relaxed);
        Some(Bytes::from_owner(Piece {
            workshop: Arc::clone(&self.workshop),
            text: text(number),
        }))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.workshop.ended.notify_one();
    }
}

/// A piece, while somebody holds it.
struct Piece {
    /// Where it was made.
    workshop: Arc<Workshop>,
    /// What it holds.
    text: String,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.workshop.held.fetch_sub(PIECE_BYTES, Ordering::Relaxed);
    }
}

/// What the piece of this number holds.
fn text(number: usize) -> String {
    format!("{number:0>PIECE_BYTES$}")
}

/// What the whole answer holds.
fn whole() -> String {
    (0..PIECES).map(text).collect()
}

#[tokio::test]
async fn pieces_arrive_whole_over_http1_and_the_connection_goes_on() {
    let server = Server::start(limits());
    let mut wire = server.connect().await;
    for to_head in [false, true, false] {
        let method = if to_head { "HEAD" } else { "GET" };
        wire.send(&format!("{method} /pieces HTTP/1.1\nhost: a\n\n"))
            .await;
        let (mut reply, body) = if to_head {
            (wire.reply_to_head().await, String::new())
        } else {
            (wire.reply().await, whole())
        };
        assert!(reply.body == body, "{method}");
        reply
            .headers
            .retain(|line| !line.starts_with("x-request-id: "));
        reply.headers.sort();
        assert_eq!(
            reply.headers,
            [
                "cache-control: no-store".to_owned(),
                format!("content-length: {BYTES}"),
                "content-type: text/plain".to_owned(),
                "x-content-type-options: nosniff".to_owned(),
            ],
            "{method}"
        );
        assert_eq!(wire.ask("GET /hello").await.brief(), ("200", "hello"));
    }
    // HEAD had none made.
    let workshop = &server.service.workshop;
    assert_eq!(workshop.made.load(Ordering::Relaxed), 2 * PIECES);
    assert_eq!(workshop.held.load(Ordering::Relaxed), 0);
    assert_eq!(server.metrics.http_in_flight.get(), 0);
}

#[tokio::test]
async fn pieces_arrive_whole_over_http2_and_the_connection_goes_on() {
    let server = Server::start(limits());
    let (mut sender, _task) = connect_http2(&server).await;
    let length = Some(BYTES.to_string());
    for (method, expected) in [("GET", whole()), ("HEAD", String::new()), ("GET", whole())] {
        let (status, announced, body) = ask_http2(&mut sender, method, "/pieces", Vec::new()).await;
        assert_eq!((status, &announced), (200, &length), "{method}");
        assert!(body == expected, "{method}");
    }
    let (_, _, body) = ask_http2(&mut sender, "GET", "/hello", Vec::new()).await;
    assert_eq!(body, "hello");
    let workshop = &server.service.workshop;
    assert_eq!(workshop.made.load(Ordering::Relaxed), 2 * PIECES);
    assert_eq!(workshop.held.load(Ordering::Relaxed), 0);
    assert_eq!(server.metrics.http_in_flight.get(), 0);
}

#[tokio::test]
async fn an_answer_of_another_length_than_announced_is_broken_off() {
    let server = Server::start(limits());
    let (mut sender, _task) = connect_http2(&server).await;
    for path in ["/pieces/short", "/pieces/long"] {
        let mut wire = server.connect().await;
        wire.send(&format!("GET {path} HTTP/1.1\nhost: a\n\n"))
            .await;
        let mut came = Vec::new();
        // Without a word of farewell.
        wire.stream.read_to_end(&mut came).await.unwrap_err();
        assert!(came.starts_with(b"HTTP/1.1 200 OK\r\n"), "{path}");
        assert!(came.len() < BYTES, "{path}");
        // The stream only, not the connection.
        let request = Request::get(format!("https://localhost{path}"));
        let response = sender
            .send_request(request.body(Full::default()).unwrap())
            .await
            .unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert!(format!("{error:?}").contains("INTERNAL_ERROR"), "{error:?}");
        let (_, _, body) = ask_http2(&mut sender, "GET", "/hello", Vec::new()).await;
        assert_eq!(body, "hello");
    }
    assert_eq!(server.metrics.http_in_flight.get(), 0);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go_and_little_is_kept_for_it() {
    let server = Server::start(Limits {
        send_timeout: SHORT,
        ..limits()
    });
    let workshop = Arc::clone(&server.service.workshop);
    let mut wire = server.connect().await;
    wire.send("GET /pieces HTTP/1.1\nhost: a\n\n").await;
    workshop.ended.notified().await;
    assert_eq!(server.metrics.http_in_flight.get(), 0);
    // One that waits to be sent, and nothing else.
    assert_eq!(workshop.held_max.swap(0, Ordering::Relaxed), PIECE_BYTES);
    let (mut sender, _task) = connect_http2(&server).await;
    let request = Request::get("https://localhost/pieces");
    let response = sender
        .send_request(request.body(Full::default()).unwrap())
        .await
        .unwrap();
    workshop.ended.notified().await;
    assert_eq!(server.metrics.http_in_flight.get(), 0);
    let bytes_max = Limits::default().http2_send_bytes_max + 2 * PIECE_BYTES;
    let held_max = workshop.held_max.load(Ordering::Relaxed);
    assert!(held_max <= bytes_max, "{held_max}");
    response.into_body().collect().await.unwrap_err();
    // Nobody is left.
    assert!(server.stop(Duration::from_secs(20)).await);
}

#[tokio::test]
async fn a_client_may_be_slow_if_it_goes_on() {
    let server = Server::start(Limits {
        idle_timeout: SHORT,
        send_timeout: 4 * SHORT,
        ..limits()
    });
    let mut wire = server.connect().await;
    wire.send("GET /pieces HTTP/1.1\nhost: a\n\n").await;
    let mut came = 0;
    let mut part = vec![0; BYTES / 7];
    // Longer than the bound by the other connections' rest.
    for _ in 0..6 {
        wire.stream.read_exact(&mut part).await.unwrap();
        came += part.len();
        let mut other = server.connect().await;
        assert_eq!(other.ask("GET /hello").await.brief(), ("200", "hello"));
        other.end().await;
    }
    let mut rest = Vec::new();
    wire.stream.read_to_end(&mut rest).await.unwrap();
    let all = [&part[..], &rest].concat();
    assert!(all.ends_with(text(PIECES - 1).as_bytes()));
    assert!(came + rest.len() > BYTES);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let server = Server::start(limits());
    let workshop = Arc::clone(&server.service.workshop);
    let mut wire = server.connect().await;
    wire.send("GET /pieces HTTP/1.1\nhost: a\n\n").await;
    wire.stream.read_exact(&mut [0; 1000]).await.unwrap();
    drop(wire);
    workshop.ended.notified().await;
    let (mut sender, task) = connect_http2(&server).await;
    for _ in 0..2 {
        let request = Request::get("https://localhost/pieces");
        let response = sender
            .send_request(request.body(Full::default()).unwrap())
            .await
            .unwrap();
        // First the stream, then the connection.
        drop(response);
        if workshop.made.load(Ordering::Relaxed) > 2 * PIECES {
            task.abort();
        }
        workshop.ended.notified().await;
    }
    assert_eq!(server.metrics.http_in_flight.get(), 0);
    assert_eq!(workshop.held.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_end_waits_for_an_answer_that_is_being_taken() {
    let server = Server::start(Limits {
        linger_timeout: SHORT,
        ..limits()
    });
    let workshop = Arc::clone(&server.service.workshop);
    let mut wire = server.connect().await;
    let (mut sender, http2) = connect_http2(&server).await;
    wire.send("GET /pieces HTTP/1.1\nhost: a\n\n").await;
    let request = Request::get("https://localhost/pieces");
    let response = sender
        .send_request(request.body(Full::default()).unwrap())
        .await
        .unwrap();
    drop(sender);
    let stopped = tokio::spawn(server.stop(Duration::from_secs(30)));
    // Neither is cut off, though neither takes anything for a while.
    let cut = workshop.ended.notified();
    assert!(tokio::time::timeout(2 * SHORT, cut).await.is_err());
    assert!(wire.reply().await.body == whole());
    wire.end().await;
    drop(wire);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body == whole().as_bytes());
    http2.await.unwrap().unwrap();
    assert!(stopped.await.unwrap());
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever_for_an_answer_to_be_taken() {
    let server = Server::start(limits());
    let metrics = Arc::clone(&server.metrics);
    let workshop = Arc::clone(&server.service.workshop);
    let mut wire = server.connect().await;
    let (mut sender, _task) = connect_http2(&server).await;
    wire.send("GET /pieces HTTP/1.1\nhost: a\n\n").await;
    let request = Request::get("https://localhost/pieces");
    let response = sender
        .send_request(request.body(Full::default()).unwrap())
        .await
        .unwrap();
    assert!(!server.stop(SHORT).await);
    assert_eq!(metrics.http_connections.get(), 0);
    response.into_body().collect().await.unwrap_err();
    assert_eq!(metrics.http_in_flight.get(), 0);
    assert_eq!(workshop.held.load(Ordering::Relaxed), 0);
}
