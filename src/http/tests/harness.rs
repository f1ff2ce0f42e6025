//! A server on 127.0.0.1 with a local authority, and clients that show every byte.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::SupportedProtocolVersion;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::base::clock::ManualClock;
use crate::base::clock::SystemClock;
use crate::base::ident::CountedIds;
use crate::base::ident::RequestId;
use crate::http::Answer;
use crate::http::BodyError;
use crate::http::Drain;
use crate::http::Endpoint;
use crate::http::Fault;
use crate::http::Limits;
use crate::http::PlainPeers;
use crate::http::Received;
use crate::http::Running;
use crate::http::Service;
use crate::http::Tls;
use crate::http::TlsSettings;
use crate::http::Transport;
use crate::http::bind;
use crate::http::serve;
use crate::http::tests::pieces::PIECES;
use crate::http::tests::pieces::Workshop;
use crate::telemetry::metrics::Listener;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::Route;

/// Longest body that the service reads.
pub const BODY_BYTES_MAX: usize = 100;

/// A service whose paths do what their names say.
#[derive(Default)]
pub struct Paths {
    /// Told when a request for `/gate` has begun.
    pub arrived: Notify,
    /// Lets one request for `/gate` go on.
    pub gate: Notify,
    /// Where pieces are made.
    pub workshop: Arc<Workshop>,
    /// Time for a body.
    pub body_timeout: Duration,
}

impl Service for Paths {
    async fn call(&self, request: Received) -> Answer {
        match request.head().path() {
            "/hello" => text(StatusCode::OK, "hello").with_route(Route::Users),
            "/refuse" => text(StatusCode::UNAUTHORIZED, "who are you?"),
            "/panic" => panic!("on purpose"),
            "/about" => text(StatusCode::OK, &request.head().client().to_string()),
            "/gate" => {
                self.arrived.notify_one();
                self.gate.notified().await;
                text(StatusCode::OK, "through")
            }
            "/never" => {
                self.arrived.notify_one();
                pending().await
            }
            "/large" => text(StatusCode::OK, &"x".repeat(1_000_000)),
            "/pieces" => self.workshop.answer(PIECES),
            "/pieces/short" => self.workshop.answer(PIECES - 1),
            "/pieces/long" => self.workshop.answer(PIECES + 1),
            "/body" => {
                let read = request
                    .authorise("proof")
                    .body(BODY_BYTES_MAX, self.body_timeout);
                match read.await {
                    Ok(body) => {
                        Answer::new(StatusCode::OK).with_body("application/octet-stream", body)
                    }
                    Err(error @ BodyError::TooLarge { .. }) => {
                        text(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string())
                    }
                    Err(error @ BodyError::Timeout { .. }) => {
                        text(StatusCode::REQUEST_TIMEOUT, &error.to_string())
                    }
                    Err(error @ BodyError::Aborted) => {
                        text(StatusCode::BAD_REQUEST, &error.to_string())
                    }
                }
            }
            _ => Answer::new(StatusCode::NOT_FOUND),
        }
    }

    fn fault(&self, fault: Fault, request_id: RequestId) -> Answer {
        let status = match fault {
            Fault::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
            Fault::UrlTooLong { .. } => StatusCode::URI_TOO_LONG,
            Fault::HeadersTooLong { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        };
        text(status, &format!("{fault:?} {request_id}"))
    }
}

/// An answer with a line of text.
fn text(status: StatusCode, text: &str) -> Answer {
    Answer::new(status).with_body("text/plain", text.to_owned())
}

/// Limits for tests that do not wait for anything.
pub fn limits() -> Limits {
    Limits {
        linger_timeout: Duration::from_secs(10),
        ..Limits::default()
    }
}

/// A server.
pub struct Server {
    /// Where its authority keeps its files.
    pub dir: TempDir,
    /// Its TLS.
    pub tls: Option<Tls>,
    /// What answers.
    pub service: Arc<Paths>,
    /// Its counters.
    pub metrics: Arc<Metrics>,
    /// Ends it.
    pub drain: Drain,
    /// The listener.
    pub running: Vec<Running>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts one with TLS.
    pub fn start(limits: Limits) -> Self {
        Self::launch(limits, true)
    }

    /// Starts one without TLS, behind a proxy on this machine.
    pub fn start_plain(limits: Limits) -> Self {
        Self::launch(limits, false)
    }

    /// Starts one.
    fn launch(limits: Limits, with_tls: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let settings = TlsSettings::Local {
            dir: dir.path().to_owned(),
            names: Vec::new(),
        };
        let settings = if with_tls { settings } else { TlsSettings::Off };
        let tls = Tls::load(&settings, Arc::new(SystemClock)).unwrap();
        let service = Arc::new(Paths {
            body_timeout: limits.body_timeout,
            ..Paths::default()
        });
        let metrics = Arc::new(Metrics::default());
        let drain = Drain::new();
        let endpoint = Endpoint {
            socket: bind("127.0.0.1:0".parse().unwrap()).unwrap(),
            transport: match &tls {
                Some(tls) => Transport::Tls(tls.clone()),
                None => Transport::Plain(PlainPeers::Near),
            },
            service: Arc::clone(&service),
            limits: Arc::new(limits),
            trusted_proxies: Arc::new(["127.0.0.0/8".parse().unwrap()]),
            ids: Arc::new(CountedIds::default()),
            metrics: Arc::clone(&metrics),
            name: Listener::Scim,
        };
        let running = serve(endpoint, &drain).unwrap();
        Self {
            dir,
            tls,
            service,
            metrics,
            drain,
            address: running.address,
            running: vec![running],
        }
    }

    /// What a client needs to trust the server and to offer these protocols.
    pub fn client_config(
        &self,
        alpn: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.dir.path().join("ca.pem")).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// Connects as a client with this configuration.
    pub async fn connect_with(&self, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(config)
            .connect(name, stream)
            .await
            .unwrap()
    }

    /// Connects as a client of HTTP/1.1 over TLS.
    pub async fn connect(&self) -> Wire<TlsStream<TcpStream>> {
        let config = self.client_config(&["http/1.1"], rustls::ALL_VERSIONS);
        Wire::new(self.connect_with(config).await)
    }

    /// Ends the server; tells whether everything finished in time.
    pub async fn stop(self, timeout: Duration) -> bool {
        self.drain.finish(self.running, timeout).await
    }
}

/// A clock that shows the machine's time and can be moved.
pub fn movable_clock() -> ManualClock {
    use crate::base::clock::Clock;

    ManualClock::new(SystemClock.now())
}

/// The client's end of a connection.
pub struct Wire<S> {
    /// TLS or TCP.
    pub stream: S,
    /// What came and has not been asked for yet.
    ahead: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A connection that has just been opened.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    /// Sends text, with `\n` for the line ends of HTTP.
    pub async fn send(&mut self, text: &str) {
        let bytes = text.replace('\n', "\r\n");
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends a request with this first line, without a body.
    pub async fn ask(&mut self, line: &str) -> Reply {
        self.send(&format!("{line} HTTP/1.1\nhost: localhost\n\n"))
            .await;
        self.reply().await
    }

    /// The next answer, whose body has a length.
    pub async fn reply(&mut self) -> Reply {
        self.take(true).await
    }

    /// The next answer, to a HEAD: its body stays away.
    pub async fn reply_to_head(&mut self) -> Reply {
        self.take(false).await
    }

    /// The next answer.
    async fn take(&mut self, with_body: bool) -> Reply {
        let end = loop {
            if let Some(at) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            assert!(
                self.more().await,
                "the end came within a head: {:?}",
                self.ahead
            );
        };
        let rest = self.ahead.split_off(end + 4);
        let head = String::from_utf8(std::mem::replace(&mut self.ahead, rest)).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().to_owned();
        let headers: Vec<String> = lines
            .map(str::to_owned)
            .filter(|line| !line.starts_with("date: "))
            .collect();
        let length = headers
            .iter()
            .find_map(|line| line.strip_prefix("content-length: "))
            .filter(|_| with_body)
            .map_or(0, |length| length.parse().unwrap());
        while self.ahead.len() < length {
            assert!(self.more().await, "the end came within a body");
        }
        let rest = self.ahead.split_off(length);
        let body = String::from_utf8(std::mem::replace(&mut self.ahead, rest)).unwrap();
        Reply {
            status,
            headers,
            body,
        }
    }

    /// Reads more; false at the end.
    async fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = self.stream.read(&mut buffer).await.unwrap();
        self.ahead.extend_from_slice(&buffer[..read]);
        read > 0
    }

    /// Waits for the server's end; nothing may come before it.
    pub async fn end(&mut self) {
        let more = self.more().await;
        assert!(!more, "{:?}", String::from_utf8_lossy(&self.ahead));
    }
}

/// An answer as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The first line.
    pub status: String,
    /// The other lines, without Date.
    pub headers: Vec<String>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// Whether the server said that it will close.
    pub fn closes(&self) -> bool {
        let close = format!("{}: close", header::CONNECTION);
        self.headers.contains(&close)
    }

    /// Status and body.
    pub fn brief(&self) -> (&str, &str) {
        let status = self.status.strip_prefix("HTTP/1.1 ").unwrap();
        (status.split(' ').next().unwrap(), &self.body)
    }
}
