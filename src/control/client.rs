//! The command's end of the sockets: one request, one reply, blocking.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroize;

use crate::control::failure::Failure;
use crate::control::failure::FailureKind;
use crate::control::protocol::Hello;
use crate::control::protocol::PROTOCOL;
use crate::control::protocol::REPLY_BYTES_MAX;
use crate::control::protocol::REQUEST_BYTES_MAX;
use crate::control::protocol::Reply;
use crate::control::protocol::Request;
use crate::control::socket::connect;

/// How long a reply may take. A write that has begun is not given up, so this is generous.
const REPLY_TIMEOUT: Duration = Duration::from_secs(120);
/// The same for what goes through everything that is stored.
const LONG_REPLY_TIMEOUT: Duration = Duration::from_secs(4 * 3600);

/// Asks the running rollcall.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where it listens.
    socket: PathBuf,
    /// Who the caller says to be.
    stated_name: String,
}

impl Client {
    /// A client for this socket, of a person with this name.
    pub const fn new(socket: PathBuf, stated_name: String) -> Self {
        Self {
            socket,
            stated_name,
        }
    }

    /// Sends a request and waits for its reply. A request that changes nothing goes to
    /// `read.sock` beside the socket when this one may not be opened.
    ///
    /// # Errors
    ///
    /// The server's failure, or that nobody listens, or that the socket may not be opened.
    pub fn call(&self, request: &Request) -> Result<Value, Failure> {
        let stream = match connect(&self.socket) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let beside = self.socket.with_file_name("read.sock");
                if request.changes() || beside == self.socket {
                    return Err(not_permitted(&self.socket, request));
                }
                connect(&beside).map_err(|_also| not_permitted(&self.socket, request))?
            }
            Err(error) => return Err(unreachable(&self.socket, &error)),
            Ok(stream) => stream,
        };
        match self.converse(&stream, request) {
            Ok(Reply::Ok(value)) => Ok(value),
            Ok(Reply::Error(failure)) => Err(failure),
            Err(error) => Err(broken(&self.socket, request, &error)),
        }
    }

    /// One conversation.
    fn converse(&self, stream: &UnixStream, request: &Request) -> io::Result<Reply> {
        stream.set_read_timeout(Some(reply_timeout(request)))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        let hello = Hello {
            protocol: PROTOCOL,
            program: concat!("rollcall ", env!("CARGO_PKG_VERSION")).to_owned(),
            name: self.stated_name.clone(),
        };
        let mut lines = serde_json::to_vec(&hello)?;
        lines.push(b'\n');
        let before = lines.len();
        serde_json::to_writer(&mut lines, request)?;
        if lines.len().saturating_sub(before) > REQUEST_BYTES_MAX {
            lines.zeroize();
            return Err(io::Error::other("the request is longer than 64 KiB"));
        }
        lines.push(b'\n');
        let mut writer = stream;
        let sent = writer.write_all(&lines);
        // The request may hold a token's text.
        lines.zeroize();
        // A server that refuses early may have stopped reading; its reply says why.
        if let Err(error) = &sent
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(io::Error::from(error.kind()));
        }
        let limit = u64::try_from(REPLY_BYTES_MAX).unwrap_or(u64::MAX);
        let mut line = Vec::new();
        BufReader::new(stream.take(limit)).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            line.zeroize();
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let reply = serde_json::from_slice(&line);
        line.zeroize();
        Ok(reply?)
    }
}

/// How long the reply to a request may take.
const fn reply_timeout(request: &Request) -> Duration {
    match request {
        Request::AuditVerify {}
        | Request::StorageVerify { .. }
        | Request::StorageCompact { .. } => LONG_REPLY_TIMEOUT,
        _ => REPLY_TIMEOUT,
    }
}

/// Nobody listens at the socket.
fn unreachable(socket: &Path, error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket, so it is not running, or elsewhere",
        io::ErrorKind::ConnectionRefused => "nobody listens there: it was stopped, or crashed",
        _ => return unreachable_because(socket, error.to_string()),
    };
    unreachable_because(socket, why.to_owned())
}

/// Nobody listens at the socket, because.
fn unreachable_because(socket: &Path, why: String) -> Failure {
    let what = format!("rollcall cannot be reached at {}", socket.display());
    let fix = "start it (systemctl start rollcall), or name its socket with --socket PATH or \
               ROLLCALL_SOCKET";
    Failure::new(FailureKind::Unreachable, what)
        .why(why)
        .fix(fix.to_owned())
}

/// The socket file may not be opened.
fn not_permitted(socket: &Path, request: &Request) -> Failure {
    let what = format!("you may not open {}", socket.display());
    let (why, fix) = if request.changes() {
        (
            "administering is for root and the group rollcall-admin",
            "use sudo, or have your account added to the group rollcall-admin",
        )
    } else {
        (
            "looking is for root and the groups rollcall-admin and rollcall-read",
            "use sudo, or have your account added to the group rollcall-read",
        )
    };
    Failure::new(FailureKind::NotPermitted, what)
        .why(why.to_owned())
        .fix(fix.to_owned())
}

/// The conversation ended without a reply.
fn broken(socket: &Path, request: &Request, error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it took too long".to_owned(),
        io::ErrorKind::UnexpectedEof => "the connection ended before the reply".to_owned(),
        _ => error.to_string(),
    };
    let fix = if request.changes() {
        "look with \"rollcall status\" and a list whether it was carried out, then at its log \
         (journalctl -u rollcall)"
    } else {
        "try again, then look at its log (journalctl -u rollcall)"
    };
    Failure::new(
        FailureKind::Internal,
        format!("no reply from rollcall at {}", socket.display()),
    )
    .why(why)
    .fix(fix.to_owned())
}
