//! A small HTTP/1.1 client over TLS that sends exactly what a test says and adds nothing.
//!
//! Tests of bad input need control over each byte, and Entra sends neither `User-Agent` nor `Accept`. Answers are read
//! by Content-Length or in chunks.

use std::fmt;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::StreamOwned;
use rustls::SupportedProtocolVersion;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;
use rustls::time_provider::TimeProvider;
use serde_json::Value;

/// How long an answer may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shows one time: certificates made under a manual clock are judged by it.
#[derive(Debug)]
struct At(UnixTime);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// Whom a client trusts, and which protocols it speaks.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Trust in the authorities of a PEM text, judged at `at` (or now), with these protocol versions and ALPN names.
    pub fn new(
        pem: &[u8],
        at: Option<UnixTime>,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let time: Arc<dyn TimeProvider> = Arc::new(At(at.unwrap_or_else(UnixTime::now)));
        let mut config = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self(Arc::new(config))
    }
}

/// One request. What it does not name is not sent, but for Host and Content-Length.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    method: String,
    /// Path and query, as they go over the wire.
    target: String,
    /// Headers in order.
    headers: Vec<(String, String)>,
    /// Body; `None` sends no Content-Length.
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds the Authorization header that carries `token`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Sets the body; the Content-Type is the caller's.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets a JSON body with the media type that Entra sends.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/scim+json; charset=utf-8")
            .body(body.to_string())
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\n",
            self.method, self.target
        )
        .into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        if let Some(body) = &self.body {
            bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

/// One answer.
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, chunks joined.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header that is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(
            values.next().is_none(),
            "{name} is there more than once: {self:?}"
        );
        value
    }

    /// The body as JSON; `Null` when it is empty.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Asserts that this is a refusal with a SCIM error body, and returns its detail without the request's id.
    pub fn refusal(&self, status: u16, scim_type: Option<&str>, why: &str) -> String {
        assert_eq!(self.status, status, "{why}: {self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/scim+json"),
            "{why}: {self:?}"
        );
        let body = self.json();
        assert_eq!(
            body["schemas"],
            serde_json::json!(["urn:ietf:params:scim:api:messages:2.0:Error"]),
            "{why}"
        );
        assert_eq!(
            body["status"],
            status.to_string().as_str(),
            "{why}: status is a string"
        );
        assert_eq!(
            body.get("scimType").and_then(Value::as_str),
            scim_type,
            "{why}: {self:?}"
        );
        let detail = body["detail"].as_str().unwrap_or_default();
        // The id is for those who see the detail and not the headers, as the administrator of a tenant does.
        let suffix = format!(
            " [request {}]",
            self.header("x-request-id").unwrap_or_default()
        );
        let detail = detail.strip_suffix(&suffix).unwrap_or_default();
        assert!(
            !detail.is_empty(),
            "{why}: a detail for people, and the request's id: {self:?}"
        );
        detail.to_owned()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        write!(f, "{}", String::from_utf8_lossy(&self.body))
    }
}

/// An open connection.
pub struct Wire {
    /// The stream.
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// What was read and not yet used.
    rest: Vec<u8>,
}

impl Wire {
    /// Connects and shakes hands; `name` is what the certificate must carry.
    pub fn connect(address: SocketAddr, name: &str, trust: &Trust) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connection =
            ClientConnection::new(Arc::clone(&trust.0), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self {
            stream,
            rest: Vec::new(),
        })
    }

    /// TLS version and ALPN protocol that were agreed.
    pub fn agreed(&self) -> (rustls::ProtocolVersion, Option<String>) {
        let connection = &self.stream.conn;
        let alpn = connection
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        (connection.protocol_version().unwrap(), alpn)
    }

    /// The server's certificate, DER.
    pub fn certificate(&self) -> Vec<u8> {
        self.stream
            .conn
            .peer_certificates()
            .unwrap()
            .first()
            .unwrap()
            .to_vec()
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a request and reads its answer.
    pub fn send(&mut self, request: &Request) -> io::Result<Answer> {
        self.raw(&request.bytes())?;
        self.answer(request.method == "HEAD")
    }

    /// Reads one answer.
    pub fn answer(&mut self, head: bool) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            self.more()?;
        };
        let text = String::from_utf8_lossy(&self.rest[..end]).into_owned();
        self.rest.drain(..end + 4);
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|code| code.parse().ok());
        let status: u16 =
            status.ok_or_else(|| io::Error::other(format!("no status line: {text}")))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        if !head && status != 204 && status != 304 {
            answer.body = if answer.header("transfer-encoding") == Some("chunked") {
                self.chunks()?
            } else {
                let length = answer
                    .header("content-length")
                    .and_then(|text| text.parse().ok());
                self.take(length.unwrap_or(0))?
            };
        }
        Ok(answer)
    }

    /// Reads what has arrived; an error at the end of the stream.
    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let read = self.stream.read(&mut buffer)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.rest.extend(&buffer[..read]);
        Ok(())
    }

    /// The next `length` bytes.
    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.rest.len() < length {
            self.more()?;
        }
        Ok(self.rest.drain(..length).collect())
    }

    /// One line without its end.
    fn line(&mut self) -> io::Result<String> {
        let end = loop {
            if let Some(end) = self.rest.windows(2).position(|two| two == b"\r\n") {
                break end;
            }
            self.more()?;
        };
        let line = self.take(end)?;
        self.take(2)?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// A body in chunks (RFC 9112 §7.1).
    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            body.extend(self.take(length)?);
            self.take(2)?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
}
