//! What hyper and rustls can do at most on this machine: a server with a constant answer.
//!
//! It reads each body, looks at nothing, and answers with the same headers and the same number of bytes as a Rollcall
//! that it stands beside. `--port` and `--ca-out` tell the load program where it is and whom to trust.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use clap::Parser;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A server with a constant answer, over TLS, on loopback.
#[derive(Debug, Parser)]
struct Arguments {
    /// TCP port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Length of the body of each answer, at least 100.
    #[arg(long, default_value_t = 1000)]
    bytes: usize,
    /// Where the certificate to trust is written.
    #[arg(long)]
    ca_out: PathBuf,
}

/// Why it cannot start.
type Failed = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&arguments))
}

/// A JSON object of `bytes` bytes that the load program takes for a user.
fn body(bytes: usize) -> Bytes {
    let start = r#"{"id":"00000000-0000-4000-8000-000000000001","userName":"ceiling@northbridge.example","pad":""#;
    let pad = bytes.saturating_sub(start.len() + 2);
    Bytes::from(format!("{start}{}\"}}", "x".repeat(pad)))
}

/// Accepts for ever.
async fn serve(arguments: &Arguments) -> Result<(), Failed> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    std::fs::write(&arguments.ca_out, made.cert.pem())?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await?;
    println!(
        "https://localhost:{}/scim/ceiling/v2",
        listener.local_addr()?.port()
    );
    let body = body(arguments.bytes);
    let ids = Arc::new(AtomicU64::new(1));
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (acceptor, body, ids) = (acceptor.clone(), body.clone(), Arc::clone(&ids));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(socket).await else {
                return;
            };
            let service = service_fn(|request| {
                constant(request, body.clone(), ids.fetch_add(1, Ordering::Relaxed))
            });
            // A client that hangs up is no failure of a server that lives as long as the measurement.
            let _closed = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// The constant answer, with the headers of a SCIM answer.
async fn constant(
    request: Request<Incoming>,
    body: Bytes,
    id: u64,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = if request.method() == Method::POST {
        201
    } else {
        200
    };
    // What arrives is read, as any server must.
    let _read = request.into_body().collect().await;
    let mut answer = Response::new(Full::new(body));
    if let Ok(status) = hyper::StatusCode::from_u16(status) {
        *answer.status_mut() = status;
    }
    let headers = answer.headers_mut();
    for (name, value) in [
        ("content-type", "application/scim+json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("etag", "W/\"1\""),
        (
            "location",
            "https://localhost:8443/scim/ceiling/v2/Users/00000000-0000-4000-8000-000000000001",
        ),
    ] {
        headers.insert(name, hyper::header::HeaderValue::from_static(value));
    }
    if let Ok(value) = hyper::header::HeaderValue::from_str(&format!("{id:032x}")) {
        headers.insert("x-request-id", value);
    }
    Ok(answer)
}
