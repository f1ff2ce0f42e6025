//! What hyper and rustls can do at most on this machine: a server with a constant answer, in a process of its own.
//!
//! It reads each body, looks at nothing, and answers with the status, the headers and the number of bytes of the server
//! that it stands beside.

use std::convert::Infallible;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::net::Ipv4Addr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use clap::Args;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::drive::Figures;
use crate::failed::Failed;

/// Header that differs in each answer of Rollcall.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// `bench ceiling`
#[derive(Debug, Args)]
pub struct Arguments {
    /// TCP port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Status of each answer [default: 201 to POST, 200 to all else]
    #[arg(long)]
    status: Option<u16>,
    /// A header of each answer; may be repeated
    #[arg(long, value_name = "NAME:VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// Length of the body of each answer, at least 100
    #[arg(long, default_value_t = 1000)]
    bytes: usize,
    /// Where the certificate to trust is written
    #[arg(long, value_name = "FILE")]
    ca_out: PathBuf,
    /// End when standard input does
    #[arg(long)]
    until_eof: bool,
}

/// Reads `name:value`.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is name:value")?;
    let name = name
        .parse::<HeaderName>()
        .map_err(|error| error.to_string())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}

/// A JSON object of `bytes` bytes that a client takes for a user; empty for 0.
fn body(bytes: usize) -> Bytes {
    if bytes == 0 {
        return Bytes::new();
    }
    let start = r#"{"id":"00000000-0000-4000-8000-000000000001","userName":"ceiling@northbridge.example","pad":""#;
    let pad = bytes.saturating_sub(start.len() + 2);
    Bytes::from(format!("{start}{}\"}}", "x".repeat(pad)))
}

/// Accepts until standard input ends, or for ever.
pub async fn serve(arguments: &Arguments) -> Result<(), Failed> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    std::fs::write(&arguments.ca_out, made.cert.pem())?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(Failed::new)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await?;
    let port = listener.local_addr()?.port();
    println!("https://localhost:{port}/scim/ceiling/v2");
    let constant = Constant::new(arguments)?;
    let accepting = async {
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            tokio::spawn(connection(acceptor.clone(), socket, constant.clone()));
        }
    };
    if !arguments.until_eof {
        return accepting.await;
    }
    let parent = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
    tokio::select! {
        outcome = accepting => outcome,
        ended = parent => ended?.map(drop).map_err(Failed::from),
    }
}

/// Serves one connection until the client hangs up.
async fn connection(acceptor: TlsAcceptor, socket: tokio::net::TcpStream, constant: Constant) {
    let Ok(stream) = acceptor.accept(socket).await else {
        return;
    };
    let service = service_fn(move |request| constant.clone().answer(request));
    // A client that hangs up is no failure of a server that lives as long as the measurement.
    drop(
        auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

/// The constant answer.
#[derive(Clone)]
struct Constant {
    /// Its status; `None` for what fits the method.
    status: Option<StatusCode>,
    /// Its headers.
    headers: HeaderMap,
    /// Its body.
    body: Bytes,
    /// Numbers answers.
    ids: Arc<AtomicU64>,
}

impl Constant {
    /// The answer that is asked for.
    fn new(arguments: &Arguments) -> Result<Self, Failed> {
        let status = arguments.status.map(StatusCode::from_u16).transpose();
        Ok(Self {
            status: status.map_err(|error| Failed::new(error.to_string()))?,
            headers: arguments.header.iter().cloned().collect(),
            body: body(arguments.bytes),
            ids: Arc::new(AtomicU64::new(1)),
        })
    }

    /// The answer to one request.
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let fitting = match *request.method() {
            Method::POST => StatusCode::CREATED,
            _ => StatusCode::OK,
        };
        // What arrives is read, as any server must.
        drop(request.into_body().collect().await);
        let mut answer = Response::new(Full::new(self.body));
        *answer.status_mut() = self.status.unwrap_or(fitting);
        let headers = answer.headers_mut();
        *headers = self.headers;
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        if let Ok(value) = HeaderValue::from_str(&format!("{id:032x}")) {
            headers.insert(REQUEST_ID, value);
        }
        Ok(answer)
    }
}

/// A running constant-answer server; ends when dropped.
#[derive(Debug)]
pub struct Ceiling {
    /// Its process.
    child: Child,
    /// Where it is.
    pub url: String,
    /// Whom to trust.
    pub ca: PathBuf,
}

impl Ceiling {
    /// Starts one that answers as the server did when `figures` were measured; its certificate goes to `folder`.
    pub fn start(folder: &Path, figures: &Figures) -> Result<Self, Failed> {
        let (status, headers) = figures
            .head
            .as_ref()
            .ok_or_else(|| Failed::new("there was no good answer to imitate"))?;
        let ca = folder.join("ceiling.pem");
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["ceiling", "--until-eof", "--status", &status.to_string()]);
        command.args(["--bytes", &figures.body_bytes.to_string(), "--ca-out"]);
        command.arg(&ca);
        for (name, value) in headers {
            // hyper writes these itself.
            let own = matches!(
                name.as_str(),
                "date" | "content-length" | "transfer-encoding" | "connection"
            );
            if !own && *name != REQUEST_ID {
                let value = value.to_str().unwrap_or_default();
                command.arg("--header").arg(format!("{name}:{value}"));
            }
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut url)?;
        }
        let url = url.trim().to_owned();
        Ok(Self { child, url, ca })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Ceiling {
    fn drop(&mut self) {
        // It holds nothing that is worth a clean end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
