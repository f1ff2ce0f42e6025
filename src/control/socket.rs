//! Socket files: opened with the right mode, removed when nobody listens, reached through long
//! paths.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;

use rustix::net::AddressFamily;
use rustix::net::SocketAddrUnix;
use rustix::net::SocketFlags;
use rustix::net::SocketType;

/// Mode of the socket files: owner and group. The group decides who may open them.
const MODE: u32 = 0o660;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;
/// Longest path in an address of a Unix socket (`sun_path`), without its end.
const PATH_BYTES_MAX: usize = 107;

/// What one may ask through a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Admin,
    /// What changes nothing.
    Read,
}

/// A socket that listens.
#[derive(Debug)]
pub struct Socket {
    /// The listener.
    pub listener: UnixListener,
    /// What one may ask through it.
    pub access: Access,
    /// The file, if we made it; then it is ours to remove.
    made: Option<Made>,
}

/// A socket file that we made.
#[derive(Debug)]
struct Made {
    /// Where it was made.
    path: PathBuf,
    /// Device and inode, so that nobody else's file is removed.
    identity: (u64, u64),
}

/// Why a socket was not opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody listens there.
    #[error(
        "the socket {} is in use: another rollcall is running; stop it, or give this one \
         another server.admin_socket",
        .0.display()
    )]
    InUse(PathBuf),
    /// Something else is there.
    #[error(
        "{} is there and is not a socket, so it is not removed; move it away, or set \
         server.admin_socket to another path",
        .0.display()
    )]
    NotASocket(PathBuf),
    /// The operating system refused.
    #[error(
        "the socket {} cannot be opened; its folder must be there and writable for the user \
         that runs rollcall, or server.admin_socket name another",
        path.display()
    )]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl Socket {
    /// Opens a socket file, for owner and group only. A file that nobody listens on is replaced;
    /// a folder that is missing is made.
    ///
    /// # Errors
    ///
    /// Why that was not possible.
    pub fn open(path: &Path, access: Access) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io {
            path: path.to_owned(),
            source,
        };
        match fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => {
                return Err(SocketError::NotASocket(path.to_owned()));
            }
            Ok(_) => match connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
                Ok(_) => return Err(SocketError::InUse(path.to_owned())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        listen(path, access).map_err(failed)
    }

    /// Takes over a listener that somebody else opened, such as systemd. Its file stays.
    pub const fn received(listener: UnixListener, access: Access) -> Self {
        Self {
            listener,
            access,
            made: None,
        }
    }

    /// Removes the file if we made it. It is no use to anybody once nobody listens.
    pub fn remove(&self) {
        let Some(made) = &self.made else { return };
        let same = fs::symlink_metadata(&made.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == made.identity);
        if same && let Err(error) = fs::remove_file(&made.path) {
            tracing::warn!(path = %made.path.display(), %error, "socket file not removed");
        }
    }
}

/// Makes the file, sets its mode, and only then listens: before that nobody can connect.
fn listen(path: &Path, access: Access) -> io::Result<Socket> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        fs::DirBuilder::new().mode(0o755).create(folder)?;
    }
    let (short, _folder) = short_path(path)?;
    let address = SocketAddrUnix::new(&short)?;
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::bind(&socket, &address)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    rustix::net::listen(&socket, BACKLOG)?;
    let there = fs::symlink_metadata(path)?;
    Ok(Socket {
        listener: UnixListener::from(socket),
        access,
        made: Some(Made {
            path: path.to_owned(),
            identity: (there.dev(), there.ino()),
        }),
    })
}

/// Connects to a socket file.
///
/// # Errors
///
/// What the operating system says.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let (short, _folder) = short_path(path)?;
    UnixStream::connect(short)
}

/// A path short enough for an address, valid while the folder is held open: a path that is too
/// long goes through the open folder instead.
fn short_path(path: &Path) -> io::Result<(PathBuf, Option<File>)> {
    if path.as_os_str().as_bytes().len() <= PATH_BYTES_MAX {
        return Ok((path.to_owned(), None));
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let folder = File::open(folder)?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
    Ok((short.join(name), Some(folder)))
}
