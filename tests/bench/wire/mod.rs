//! One connection of the load program: hyper's client over rustls, HTTP/1.1 or HTTP/2.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Why the program ends, or a request does not count.
pub struct Failed(String);

impl Failed {
    /// A failure told by `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failed {
    /// What `main` prints when it returns the failure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every kind of failure is told by its text.
macro_rules! failures {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Failed {
            fn from(error: $kind) -> Self {
                Self(error.to_string())
            }
        }
    )*};
}
failures!(
    std::io::Error,
    hyper::Error,
    hyper::http::Error,
    serde_json::Error,
    rustls::Error,
    rustls::pki_types::pem::Error,
    rustls::pki_types::InvalidDnsNameError
);

/// Where requests go.
pub struct Target {
    /// The addresses that the host's name stands for.
    pub addresses: Vec<SocketAddr>,
    /// `host:port`, for the Host header.
    authority: String,
    /// Path of the Tenant URL, without a slash at the end.
    base: String,
    /// Value of the Authorization header.
    authorization: String,
    /// The name that the certificate must carry.
    name: ServerName<'static>,
    /// Trust and ALPN.
    tls: Arc<ClientConfig>,
    /// HTTP/2 instead of HTTP/1.1.
    h2: bool,
}

impl fmt::Debug for Target {
    /// Leaves the token out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.authority, self.base)
    }
}

impl Target {
    /// Takes a Tenant URL apart and reads the certificate authority.
    pub async fn resolve(url: &str, token: &str, ca: &Path, h2: bool) -> Result<Self, Failed> {
        let bad = || Failed::new(format!("{url} is not https://host[:port]/path"));
        let rest = url.strip_prefix("https://").ok_or_else(bad)?;
        let (authority, path) = rest.split_once('/').ok_or_else(bad)?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse::<u16>().map_err(|_error| bad())?),
            None => (authority, 443),
        };
        let addresses = tokio::net::lookup_host((host, port)).await?.collect();
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca)? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![if h2 {
            b"h2".to_vec()
        } else {
            b"http/1.1".to_vec()
        }];
        Ok(Self {
            addresses,
            authority: authority.to_owned(),
            base: format!("/{}", path.trim_end_matches('/')),
            authorization: format!("Bearer {token}"),
            name: ServerName::try_from(host.to_owned())?,
            tls: Arc::new(tls),
            h2,
        })
    }
}

/// An open connection.
pub enum Wire {
    /// HTTP/1.1: one request after the other.
    One(http1::SendRequest<Full<Bytes>>),
    /// HTTP/2.
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Wire {
    /// Connects; the connection is driven by a task of its own.
    pub async fn connect(target: &Target) -> Result<Self, Failed> {
        let socket = TcpStream::connect(target.addresses.as_slice()).await?;
        socket.set_nodelay(true)?;
        let tls = TlsConnector::from(Arc::clone(&target.tls))
            .connect(target.name.clone(), socket)
            .await?;
        let io = TokioIo::new(tls);
        if target.h2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            Ok(Self::Two(sender))
        } else {
            let (sender, connection) = http1::handshake(io).await?;
            tokio::spawn(connection);
            Ok(Self::One(sender))
        }
    }

    /// Sends one request; status and body of the answer.
    pub async fn send(
        &mut self,
        target: &Target,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Bytes), Failed> {
        let uri = if target.h2 {
            format!("https://{}{}{path}", target.authority, target.base)
        } else {
            format!("{}{path}", target.base)
        };
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header("authorization", &target.authorization);
        if !target.h2 {
            request = request.header("host", &target.authority);
        }
        if body.is_some() {
            request = request.header("content-type", "application/scim+json; charset=utf-8");
        }
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = request.body(Full::new(bytes))?;
        let answer = match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}
