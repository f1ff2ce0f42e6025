//! One connection to a server: hyper's client over rustls, HTTP/1.1 or HTTP/2.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
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
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::failed::Failed;
use crate::operation::Ask;

/// Where requests go.
#[derive(Clone)]
pub struct Target {
    /// The addresses that the host's name stands for.
    addresses: Arc<[SocketAddr]>,
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

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
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
        let unreadable = |error: &dyn fmt::Display| {
            Failed::new(format!(
                "no certificates to trust in {}: {error}",
                ca.display()
            ))
        };
        for certificate in CertificateDer::pem_file_iter(ca).map_err(|error| unreadable(&error))? {
            roots.add(certificate.map_err(|error| unreadable(&error))?)?;
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
            base: format!("/{path}").trim_end_matches('/').to_owned(),
            authorization: format!("Bearer {token}"),
            name: ServerName::try_from(host.to_owned())?,
            tls: Arc::new(tls),
            h2,
        })
    }

    /// The same place with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            authorization: format!("Bearer {token}"),
            ..self.clone()
        }
    }

    /// Refuses to load somebody else's server.
    pub fn guard(&self, owned: bool) -> Result<(), Failed> {
        let foreign = self
            .addresses
            .iter()
            .find(|address| !address.ip().is_loopback());
        match foreign {
            Some(address) if !owned => Err(Failed::new(format!(
                "{address} is not a loopback address: give --i-own-this-server if it is yours to load"
            ))),
            _ => Ok(()),
        }
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
        let socket = TcpStream::connect(&*target.addresses).await?;
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

    /// Sends what is asked and reads the whole answer.
    pub async fn ask(&mut self, target: &Target, ask: Ask) -> Result<Answer, Failed> {
        self.send(target, ask.method, &ask.path, ask.body).await
    }

    /// Sends one request and reads the whole answer.
    pub async fn send(
        &mut self,
        target: &Target,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, Failed> {
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
        let request = request.body(Full::new(body.unwrap_or_default()))?;
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
        let (head, body) = answer.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}
