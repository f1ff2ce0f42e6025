//! The running rollcall's end of the sockets: accepts, reads within limits, knows who asks, hands
//! the request to the handler on the blocking pool, and stops in an orderly way.

use std::io;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zeroize::Zeroize;

use crate::base::actor::Actor;
use crate::base::ident::IdSource;
use crate::base::ident::RequestId;
use crate::control::failure::Failure;
use crate::control::failure::FailureKind;
use crate::control::protocol::Hello;
use crate::control::protocol::NAME_CHARS_MAX;
use crate::control::protocol::REQUEST_BYTES_MAX;
use crate::control::protocol::Reply;
use crate::control::protocol::Request;
use crate::control::socket::Access;
use crate::control::socket::Socket;

/// What carries a request out. Called on the blocking pool; a reply needs no id, the server adds it.
pub type Handler = Arc<dyn Fn(Request, Actor) -> Reply + Send + Sync>;

/// How long to wait after accepting failed, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of the server.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Conversations at a time on each socket. Further ones wait.
    pub conversations_max: usize,
    /// Time for hello and request to arrive.
    pub request_timeout: Duration,
    /// Time for the reply to be taken.
    pub reply_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            conversations_max: 32,
            request_timeout: Duration::from_secs(10),
            reply_timeout: Duration::from_secs(30),
        }
    }
}

/// What every conversation needs.
struct Shared {
    /// Carries requests out.
    handler: Handler,
    /// Names requests in the log.
    ids: Arc<dyn IdSource>,
    /// Bounds.
    settings: Settings,
}

/// A server that runs. Dropped, it stops without waiting for anybody.
#[must_use]
pub struct Running {
    /// Turns true when the server shall stop.
    stop: watch::Sender<bool>,
    /// One task for each socket.
    tasks: Vec<JoinHandle<()>>,
}

/// Starts to serve the sockets. Must be called within a runtime.
///
/// # Errors
///
/// When a socket cannot be handed to the runtime.
pub fn start(
    sockets: Vec<Socket>,
    handler: Handler,
    ids: Arc<dyn IdSource>,
    settings: Settings,
) -> io::Result<Running> {
    let shared = Arc::new(Shared {
        handler,
        ids,
        settings,
    });
    let (stop, stopping) = watch::channel(false);
    let mut tasks = Vec::new();
    for socket in sockets {
        socket.listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
        let shared = Arc::clone(&shared);
        tasks.push(tokio::spawn(accept(
            socket,
            listener,
            shared,
            stopping.clone(),
        )));
    }
    Ok(Running { stop, tasks })
}

impl Running {
    /// Accepts no more, lets requests that have begun finish for this long, and removes the socket
    /// files that are ours. A request still running then goes on without anybody to reply to.
    pub async fn stop(self, patience: Duration) {
        self.stop.send_replace(true);
        let deadline = tokio::time::Instant::now().checked_add(patience);
        for mut task in self.tasks {
            let ended = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, &mut task).await.is_ok(),
                None => (&mut task).await.is_ok(),
            };
            if !ended {
                task.abort();
            }
        }
    }
}

/// Accepts connections until told to stop.
async fn accept(
    socket: Socket,
    listener: UnixListener,
    shared: Arc<Shared>,
    mut stopping: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(shared.settings.conversations_max));
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let (shared, stopping) = (Arc::clone(&shared), stopping.clone());
                let access = socket.access;
                open.spawn(async move {
                    let _permit = permit;
                    converse(stream, access, &shared, stopping).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the admin socket was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    socket.remove();
    drop(listener);
    drop(socket);
    while open.join_next().await.is_some() {}
}

/// One conversation: reads, has it carried out, replies.
async fn converse(
    mut stream: UnixStream,
    access: Access,
    shared: &Shared,
    mut stopping: watch::Receiver<bool>,
) {
    let root = stream.peer_cred().is_ok_and(|peer| peer.uid() == 0);
    let (reader, mut writer) = stream.split();
    let arrival = timeout(shared.settings.request_timeout, read_request(reader));
    let arrived = tokio::select! {
        biased;
        arrived = arrival => arrived,
        _ = stopping.wait_for(|stop| *stop) => return,
    };
    let reply = match arrived {
        Ok(Ok(Some((hello, request)))) => {
            let actor = Actor::Operator {
                root,
                stated_name: stated_name(&hello.name).into(),
            };
            carry_out(request, actor, access, shared).await
        }
        // Connected and said nothing: somebody looked whether anybody listens.
        Ok(Ok(None)) => return,
        Ok(Err(failure)) => Reply::Error(failure),
        Err(_elapsed) => Reply::Error(Failure::new(
            FailureKind::Protocol,
            "the request did not arrive in time".to_owned(),
        )),
    };
    let Ok(mut line) = serde_json::to_vec(&reply) else {
        return;
    };
    line.push(b'\n');
    let sent = timeout(shared.settings.reply_timeout, writer.write_all(&line)).await;
    // The reply may hold a new token's text.
    line.zeroize();
    if !matches!(sent, Ok(Ok(()))) {
        tracing::debug!("a reply on the admin socket was not taken");
    }
}

/// Reads hello and request. `None`: the client left without a word.
async fn read_request(reader: impl AsyncRead + Unpin) -> Result<Option<(Hello, Request)>, Failure> {
    let mut reader = BufReader::new(reader);
    let Some(line) = read_line(&mut reader).await? else {
        return Ok(None);
    };
    let hello = Hello::parse(&line)?;
    let Some(mut line) = read_line(&mut reader).await? else {
        return Err(Failure::new(
            FailureKind::Protocol,
            "the connection ended before the request".to_owned(),
        ));
    };
    let request = Request::parse(&line);
    line.zeroize();
    Ok(Some((hello, request?)))
}

/// Reads a line of limited length. `None`: there is no more.
async fn read_line(
    reader: &mut BufReader<impl AsyncRead + Unpin>,
) -> Result<Option<Vec<u8>>, Failure> {
    let limit = u64::try_from(REQUEST_BYTES_MAX).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    let mut limited = reader.take(limit.saturating_add(1));
    let read = limited.read_until(b'\n', &mut line).await;
    match (read, line.last()) {
        (Ok(_), Some(b'\n')) => {
            line.pop();
            Ok(Some(line))
        }
        (Ok(0), _) => Ok(None),
        (Ok(read), _) if read > REQUEST_BYTES_MAX => Err(Failure::new(
            FailureKind::Protocol,
            format!("a line is longer than {REQUEST_BYTES_MAX} bytes"),
        )),
        (Ok(_), _) => Err(Failure::new(
            FailureKind::Protocol,
            "the connection ended within a line".to_owned(),
        )),
        (Err(error), _) => Err(Failure::new(
            FailureKind::Protocol,
            format!("the request could not be read: {error}"),
        )),
    }
}

/// What may stand in the audit as a stated name: one line of limited length.
fn stated_name(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS_MAX)
        .collect();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

/// Has a request carried out on the blocking pool, and names it in the log.
async fn carry_out(request: Request, actor: Actor, access: Access, shared: &Shared) -> Reply {
    let id = RequestId::random(shared.ids.as_ref());
    let (verb, changes, actor_name) = (request.verb(), request.changes(), actor.to_string());
    let subject = request.subject().to_owned();
    let started = Instant::now();
    let mut reply = if changes && access == Access::Read {
        Reply::Error(read_only(verb))
    } else {
        let handler = Arc::clone(&shared.handler);
        let done = tokio::task::spawn_blocking(move || handler(request, actor)).await;
        done.unwrap_or_else(|error| {
            tracing::error!(request_id = %id, verb, %error, "an admin request ended in a panic");
            Reply::Error(internal())
        })
    };
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match &mut reply {
        Reply::Ok(_) if changes => {
            tracing::info!(request_id = %id, actor = actor_name, elapsed_ms, "{verb} {subject}: done");
        }
        Reply::Ok(_) => {
            tracing::debug!(request_id = %id, actor = actor_name, elapsed_ms, "{verb} {subject}: done");
        }
        Reply::Error(failure) => {
            failure.id.get_or_insert_with(|| id.to_string());
            let (kind, what) = (failure.kind, &failure.what);
            tracing::warn!(
                request_id = %id, actor = actor_name, ?kind, elapsed_ms,
                "{verb} {subject}: refused: {what}"
            );
        }
    }
    reply
}

/// The refusal of the read-only socket.
fn read_only(verb: &str) -> Failure {
    Failure::new(
        FailureKind::NotPermitted,
        format!("{verb} changes something, and this socket is for looking only"),
    )
    .why("changing is done through admin.sock, by root and the group rollcall-admin".to_owned())
    .fix("use sudo, or have your account added to the group rollcall-admin".to_owned())
}

/// The handler panicked.
fn internal() -> Failure {
    Failure::new(
        FailureKind::Internal,
        "rollcall failed while carrying the request out".to_owned(),
    )
    .fix("look at its log (journalctl -u rollcall) for the id below".to_owned())
}
