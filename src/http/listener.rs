//! Listening sockets: opening them, accepting connections within bounds, the TLS handshake.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::AddressFamily;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use rustix::net::sockopt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::base::ident::IdSource;
use crate::http::activity::Activity;
use crate::http::cidr::Cidr;
use crate::http::connection::Watched;
use crate::http::connection::converse;
use crate::http::drain::Drain;
use crate::http::drain::Stage;
use crate::http::exchange::Link;
use crate::http::exchange::Service;
use crate::http::exchange::Shared;
use crate::http::forwarded;
use crate::http::limits::Limits;
use crate::http::request::Leftover;
use crate::http::tls::ALPN_HTTP2;
use crate::http::tls::Tls;
use crate::http::tls::handshake_failure;
use crate::http::tls::is_distrust;
use crate::telemetry::metrics::Listener;
use crate::telemetry::metrics::Metrics;

/// Connections that wait in the kernel until they are accepted.
const BACKLOG: i32 = 1024;

/// The shortest and the longest wait after `accept` failed for want of something, such as file descriptors.
const ACCEPT_WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How often the log is told that the listener is short of something.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);

/// First byte of a TLS record that holds a handshake (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Answer to plain HTTP on a TLS port.
const SPEAK_TLS: (&str, &str) = (
    "400 Bad Request",
    "This port speaks HTTPS: the URL begins with https://",
);

/// Answer to a client that may not come without TLS.
const TOO_FAR: (&str, &str) = (
    "403 Forbidden",
    "Without TLS (tls.mode = \"off\") only this machine and server.trusted_proxies are served.",
);

/// Who may come without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainPeers {
    /// Everybody who reaches the address.
    Anyone,
    /// This machine and the trusted proxies.
    Near,
}

/// How bytes travel.
#[derive(Clone, Debug)]
pub enum Transport {
    /// HTTP/1.1 and HTTP/2 over TLS.
    Tls(Tls),
    /// HTTP/1.1 in the clear.
    Plain(PlainPeers),
}

/// A listener to be started with [`serve`].
pub struct Endpoint<S> {
    /// A socket that listens: own ([`bind`]) or received.
    pub socket: TcpListener,
    /// TLS or not.
    pub transport: Transport,
    /// What answers.
    pub service: Arc<S>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// Whose `Forwarded` and `X-Forwarded-For` are believed.
    pub trusted_proxies: Arc<[Cidr]>,
    /// Where request ids come from.
    pub ids: Arc<dyn IdSource>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Which listener this is, for the counters.
    pub name: Listener,
}

/// A listener that runs. It ends by [`Drain`].
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Ends when no connection is left.
    pub(super) task: JoinHandle<()>,
}

/// A socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}{}", hint(source))]
pub struct ListenError {
    /// The address asked for.
    address: SocketAddr,
    /// What the kernel says.
    source: io::Error,
}

/// What to do about it, for the common causes.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": another process has the port (`ss -ltnp` names it); stop it or choose another port"
        }
        io::ErrorKind::PermissionDenied => {
            ": ports below 1024 need root, CAP_NET_BIND_SERVICE or a socket from systemd; choose another port such as 8443"
        }
        io::ErrorKind::AddrNotAvailable => {
            ": this machine has no such address (`ip addr` lists them)"
        }
        _ => "",
    }
}

/// Opens a listening socket. An IPv6 address takes IPv6 only, so that `0.0.0.0:443` and `[::]:443` can stand side by side.
///
/// # Errors
///
/// [`ListenError`], with what to do about it.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let family = if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let open = || {
        let socket =
            rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        if address.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        // A restart must not wait for the old connections' TIME_WAIT.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(TcpListener::from(socket))
    };
    open().map_err(|errno: rustix::io::Errno| ListenError {
        address,
        source: errno.into(),
    })
}

/// Starts a listener. To be called inside a tokio runtime.
///
/// # Errors
///
/// When the socket cannot be used: it is not a listening TCP socket.
pub fn serve<S: Service>(endpoint: Endpoint<S>, drain: &Drain) -> io::Result<Running> {
    endpoint.socket.set_nonblocking(true)?;
    let address = endpoint.socket.local_addr()?;
    let socket = tokio::net::TcpListener::from_std(endpoint.socket)?;
    let shared = Arc::new(Shared {
        service: endpoint.service,
        limits: endpoint.limits,
        trusted_proxies: endpoint.trusted_proxies,
        ids: endpoint.ids,
        metrics: endpoint.metrics,
        name: endpoint.name,
    });
    let places = shared.limits.connections_max.min(Semaphore::MAX_PERMITS);
    let door = Door {
        address,
        transport: endpoint.transport,
        shared,
        places: Arc::new(Semaphore::new(places)),
        complained: None,
    };
    let task = tokio::spawn(door.keep(socket, places, drain.watch()));
    Ok(Running { address, task })
}

/// A listening socket at work.
struct Door<S> {
    /// Where it listens.
    address: SocketAddr,
    /// TLS or not.
    transport: Transport,
    /// What the connections share.
    shared: Arc<Shared<S>>,
    /// A place for each connection that may be open.
    places: Arc<Semaphore>,
    /// When the log was last told of a shortage.
    complained: Option<Instant>,
}

impl<S: Service> Door<S> {
    /// Accepts until the drain begins, then waits until no connection is left.
    async fn keep(
        mut self,
        socket: tokio::net::TcpListener,
        places: usize,
        mut drain: watch::Receiver<Stage>,
    ) {
        let watch = drain.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                // An error means that the drain is gone, and with it the process.
                _ = drain.wait_for(|stage| *stage > Stage::Serving) => break,
                accepted = self.accept(&socket) => accepted,
            };
            let (stream, peer, place) = accepted;
            self.admit(stream, peer, place, watch.clone());
        }
        drop(socket);
        let all = u32::try_from(places).unwrap_or(u32::MAX);
        // Fails only when the semaphore is closed, which nobody does.
        drop(self.places.acquire_many(all).await);
    }

    /// The next connection for which there is a place.
    async fn accept(
        &mut self,
        socket: &tokio::net::TcpListener,
    ) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        let mut wait = ACCEPT_WAIT.0;
        loop {
            let place = match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => place,
                Err(_full) => {
                    let all = self.shared.limits.connections_max;
                    self.complain(format_args!(
                        "all {all} connections are in use; new ones wait until one closes"
                    ));
                    match Arc::clone(&self.places).acquire_owned().await {
                        Ok(place) => place,
                        Err(_closed) => continue,
                    }
                }
            };
            match socket.accept().await {
                Ok((stream, peer)) => return (stream, peer, place),
                Err(error) if is_of_one_connection(&error) => {}
                // EMFILE, ENFILE, ENOBUFS, ENOMEM: at once it would fail again, for ever.
                Err(error) => {
                    self.complain(format_args!("connections cannot be accepted: {error}"));
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(ACCEPT_WAIT.1);
                }
            }
        }
    }

    /// Tells the log of a shortage, now and then.
    fn complain(&mut self, what: fmt::Arguments<'_>) {
        let now = Instant::now();
        if self
            .complained
            .is_none_or(|last| now.duration_since(last) >= COMPLAIN_EVERY)
        {
            self.complained = Some(now);
            tracing::warn!(listener = %self.address, "{what}");
        }
    }

    /// Serves a connection on a task of its own.
    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
        drain: watch::Receiver<Stage>,
    ) {
        let shared = Arc::clone(&self.shared);
        let transport = self.transport.clone();
        tokio::spawn(async move {
            let _place = place;
            let metrics = Arc::clone(&shared.metrics);
            metrics.http_connections.add(1);
            let _open = Open(&metrics);
            // Answers are written whole: waiting for more would only delay them. A socket that refuses is gone anyway.
            drop(stream.set_nodelay(true));
            match transport {
                Transport::Tls(tls) => over_tls(shared, &tls, stream, peer, drain).await,
                Transport::Plain(peers) => in_the_clear(shared, peers, stream, peer, drain).await,
            }
        });
    }
}

/// Counts a connection as open while it lives.
struct Open<'a>(&'a Metrics);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.http_connections.add(-1);
    }
}

/// Whether `accept` failed because of the connection it would have returned (accept(2), "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}

/// Shakes hands and serves what the client chose.
async fn over_tls<S: Service>(
    shared: Arc<Shared<S>>,
    tls: &Tls,
    stream: TcpStream,
    peer: SocketAddr,
    mut drain: watch::Receiver<Stage>,
) {
    let limits = Arc::clone(&shared.limits);
    let metrics = Arc::clone(&shared.metrics);
    let shake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first != [TLS_HANDSHAKE] {
            note_failure(&metrics, peer, "plain_http");
            refuse(stream, SPEAK_TLS, &limits).await;
            return Ok(None);
        }
        TlsAcceptor::from(tls.server_config())
            .accept(stream)
            .await
            .map(Some)
    };
    let shaken = tokio::select! {
        biased;
        _ = drain.wait_for(|stage| *stage > Stage::Serving) => return,
        shaken = tokio::time::timeout(limits.tls_handshake_timeout, shake) => shaken,
    };
    let failure = match shaken {
        Ok(Ok(Some(stream))) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2);
            let link = link(peer, http2, &limits);
            return converse(shared, link, stream, http2, drain).await;
        }
        Ok(Ok(None)) => return,
        Ok(Err(error)) => handshake_failure(&error),
        Err(_elapsed) => "timeout",
    };
    note_failure(&metrics, peer, failure);
}

/// Counts a failed handshake, and tells the log.
fn note_failure(metrics: &Metrics, peer: SocketAddr, failure: &'static str) {
    metrics.tls_handshake_failures.add_one(failure);
    if is_distrust(failure) {
        tracing::warn!(%peer, reason = failure, "a client refused the server's certificate");
    } else {
        tracing::debug!(%peer, reason = failure, "a TLS handshake failed");
    }
}

/// Serves HTTP/1.1 without TLS, to those who may.
async fn in_the_clear<S: Service>(
    shared: Arc<Shared<S>>,
    peers: PlainPeers,
    stream: TcpStream,
    peer: SocketAddr,
    drain: watch::Receiver<Stage>,
) {
    if peers == PlainPeers::Near && !is_near(peer.ip(), &shared.trusted_proxies) {
        tracing::warn!(%peer, reason = "plain_http", "refused a connection without TLS from elsewhere");
        return refuse(stream, TOO_FAR, &shared.limits).await;
    }
    let link = link(peer, false, &shared.limits);
    converse(shared, link, stream, false, drain).await;
}

/// Whether `peer` is this machine or a trusted proxy.
fn is_near(peer: IpAddr, trusted: &[Cidr]) -> bool {
    peer.to_canonical().is_loopback() || forwarded::is_trusted(peer, trusted)
}

/// What the requests of a new connection share.
fn link(peer: SocketAddr, http2: bool, limits: &Limits) -> Link {
    Link {
        peer,
        leftover: (!http2).then(|| Arc::new(Leftover::default())),
        activity: Arc::new(Activity::new(http2, limits)),
    }
}

/// Answers with a status and a line of text, before HTTP has begun, and closes.
async fn refuse(stream: TcpStream, (status, text): (&str, &str), limits: &Limits) {
    let length = text.len() + 1;
    let answer = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{text}\n"
    );
    let activity = Arc::new(Activity::new(false, limits));
    let mut stream = Watched::new(stream, activity, limits);
    let farewell = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // Who does not listen is let go.
    drop(tokio::time::timeout(limits.linger_timeout, farewell).await);
}

#[cfg(test)]
mod tests {
    use crate::http::listener::is_near;

    #[test]
    fn near_is_this_machine_and_a_trusted_proxy() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        for (peer, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("192.0.2.1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_near(peer.parse().unwrap(), &trusted), expected, "{peer}");
        }
    }
}
