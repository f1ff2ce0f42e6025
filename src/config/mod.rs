//! The configuration: what the file, the environment and the flags say, and what it means.
//!
//! `keys` lists every key once, `load` reads the sources in order of precedence and collects all
//! problems, `check` holds the rules across keys. Rooms do not see [`Config`]: `daemon` converts
//! it to the settings of each.

mod check;
pub mod error;
mod keys;
pub mod load;
pub mod units;
mod value;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::error::Origin;
use crate::config::units::PublicUrl;
use crate::config::units::Rate;
pub use crate::http::BadCidr;
pub use crate::http::Cidr;

/// What the configuration means.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[scim]`
    pub scim: Scim,
    /// `[tls]`
    pub tls: TlsMode,
    /// `console.listen`; `None` = off. Nothing serves it in this version.
    pub console_listen: Option<SocketAddr>,
    /// `metrics.listen`; `None` = off.
    pub metrics_listen: Option<SocketAddr>,
    /// `[log]`
    pub log: Log,
    /// `[storage]`
    pub storage: Storage,
    /// `history.retention`, `audit.retention` and `directory_defaults.deleted_retention`
    pub retention: Retention,
    /// `[limits]`
    pub limits: Limits,
    /// Every key with its value and where that came from, in the order of the manual.
    entries: Vec<Entry>,
    /// Keys that are set and have no effect.
    notices: Vec<String>,
}

/// One key, its value and where that came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `section.key`
    pub key: &'static str,
    /// The value as the file would write it, which is JSON too; `None` when the key has neither value nor default.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Origin,
}

/// `[server]`: what is common to all of Rollcall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Start of the Tenant URLs.
    pub public_url: PublicUrl,
    /// Folder of everything that is kept.
    pub state_dir: PathBuf,
    /// Socket of the command line.
    pub admin_socket: PathBuf,
    /// Who may say on whose behalf it speaks.
    pub trusted_proxies: Vec<Cidr>,
}

impl Server {
    /// Socket of those who may only read: beside the other.
    pub fn read_socket(&self) -> PathBuf {
        self.admin_socket.with_file_name("read.sock")
    }
}

/// `[scim]`: the listener for SCIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scim {
    /// Where to listen; never empty.
    pub listen: Vec<SocketAddr>,
    /// Requests of one token; `None` = unlimited. Nothing applies it in this version.
    pub rate_limit: Option<Rate>,
}

/// `[tls]`: where the listener's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// From two PEM files.
    Files {
        /// The certificate, then its intermediates.
        chain: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// From a certificate authority of our own under the state folder.
    Local,
    /// No TLS.
    Off,
}

/// `[log]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important lines written.
    pub level: LogLevel,
    /// How lines are written.
    pub format: LogFormat,
}

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Someone must act.
    Error,
    /// Went on, degraded, or refused.
    Warn,
    /// A change of state.
    Info,
    /// Reads too.
    Debug,
    /// Everything.
    Trace,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// journald under systemd, otherwise readable text.
    Auto,
    /// Fields for journald.
    Journald,
    /// One JSON object a line.
    Json,
    /// Readable text.
    Pretty,
}

/// `[storage]`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Size of one file of the commit log.
    pub segment_bytes: u64,
    /// Size of the file that is given up to get going again on a full disk.
    pub reserve_bytes: u64,
    /// Below this much free space: warn.
    pub free_soft_bytes: u64,
    /// Below this much free space: refuse writes.
    pub free_hard_bytes: u64,
    /// Memory for sled's cache.
    pub cache_bytes: u64,
}

/// How long entries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// What happened to users and groups.
    pub history: Duration,
    /// What operators did.
    pub audit: Duration,
    /// How long a deleted user or group can be restored.
    pub deleted: Duration,
}

/// `[limits]`: what the SCIM listener takes from one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections on each SCIM listener.
    pub connections_max: u32,
    /// Request line and headers.
    pub header_bytes_max: u64,
    /// Path and query.
    pub url_bytes_max: u64,
    /// Body of a request.
    pub body_bytes_max: u64,
    /// Depth of JSON.
    pub json_depth_max: u32,
    /// Resources in a list when nobody asked for a number.
    pub page_default: u32,
    /// Resources in a list at most.
    pub page_max: u32,
    /// Text of a filter.
    pub filter_bytes_max: u64,
    /// Comparisons in a filter.
    pub filter_terms_max: u32,
    /// Depth of a filter.
    pub filter_depth_max: u32,
    /// Time for the TLS handshake and for the headers.
    pub header_timeout: Duration,
    /// Time for the body.
    pub body_timeout: Duration,
    /// Time to take the next piece of an answer.
    pub send_timeout: Duration,
    /// Time between two requests.
    pub idle_timeout: Duration,
}

impl Config {
    /// The configuration when nobody says anything, on a machine of this name.
    pub fn built_in(hostname: &str) -> Self {
        check::built_in(hostname)
    }

    /// Every key with its value and where that came from, in the order of the manual.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// One sentence for each key that is set and has no effect.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }
}

/// What the sources say, before the rules across keys: starts as the defaults.
#[derive(Clone, Debug)]
struct Draft {
    /// `server.public_url`; its default depends on other keys.
    public_url: Option<PublicUrl>,
    /// `server.state_dir`
    state_dir: PathBuf,
    /// `server.admin_socket`
    admin_socket: PathBuf,
    /// `server.trusted_proxies`
    trusted_proxies: Vec<Cidr>,
    /// `[scim]`
    scim: Scim,
    /// `tls.mode`
    tls_mode: TlsWord,
    /// `tls.chain`
    tls_chain: Option<PathBuf>,
    /// `tls.key`
    tls_key: Option<PathBuf>,
    /// `console.listen`
    console_listen: Option<SocketAddr>,
    /// `metrics.listen`
    metrics_listen: Option<SocketAddr>,
    /// `[log]`
    log: Log,
    /// `[storage]`
    storage: Storage,
    /// `history.retention`, `audit.retention` and `directory_defaults.deleted_retention`
    retention: Retention,
    /// `[limits]`
    limits: Limits,
}

/// The words of `tls.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TlsWord {
    /// `files`
    Files,
    /// `local`
    Local,
    /// `acme`
    Acme,
    /// `off`
    Off,
}

/// Bytes in a kibibyte.
const KIB: u64 = 1 << 10;
/// A day.
const DAY: Duration = Duration::from_secs(86_400);
/// Bytes in a mebibyte.
const MIB: u64 = 1 << 20;

impl Default for Draft {
    fn default() -> Self {
        Self {
            public_url: None,
            state_dir: PathBuf::from("/var/lib/rollcall"),
            admin_socket: PathBuf::from("/run/rollcall/admin.sock"),
            trusted_proxies: Vec::new(),
            scim: Scim {
                listen: vec![
                    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 443),
                    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 443),
                ],
                rate_limit: None,
            },
            tls_mode: TlsWord::Local,
            tls_chain: None,
            tls_key: None,
            console_listen: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9443)),
            metrics_listen: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464)),
            log: Log {
                level: LogLevel::Info,
                format: LogFormat::Auto,
            },
            storage: Storage {
                segment_bytes: 64 * MIB,
                reserve_bytes: 256 * MIB,
                free_soft_bytes: 1024 * MIB,
                free_hard_bytes: 256 * MIB,
                cache_bytes: 48 * MIB,
            },
            retention: Retention {
                history: 400 * DAY,
                audit: 400 * DAY,
                deleted: 30 * DAY,
            },
            limits: Limits {
                connections_max: 1_000,
                header_bytes_max: 16 * KIB,
                url_bytes_max: 8 * KIB,
                body_bytes_max: MIB,
                json_depth_max: 32,
                page_default: 100,
                page_max: 500,
                filter_bytes_max: 4 * KIB,
                filter_terms_max: 100,
                filter_depth_max: 32,
                header_timeout: Duration::from_secs(10),
                body_timeout: Duration::from_secs(30),
                send_timeout: Duration::from_secs(30),
                idle_timeout: Duration::from_secs(75),
            },
        }
    }
}
