//! Every key of the configuration, once: its name, how it is read, how it is printed.
//!
//! `config/rollcall.toml` explains each; a test holds the two together. A range is there so that
//! a slip of the finger does not make a server that answers nothing or takes everything.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use crate::config::Draft;
use crate::config::KIB;
use crate::config::LogFormat;
use crate::config::LogLevel;
use crate::config::MIB;
use crate::config::TlsWord;
use crate::config::units::PublicUrl;
use crate::config::units::Rate;
use crate::config::units::parse_network;
use crate::config::units::show_duration;
use crate::config::units::show_size;
use crate::config::value::Value;

/// A key of the configuration.
pub struct Key {
    /// `section.key`
    pub name: &'static str,
    /// What this version lacks to make the key do something; `None` for keys that work.
    pub missing: Option<&'static str>,
    /// Reads a value into the draft, or says what was expected and found.
    pub set: fn(&mut Draft, &Value) -> Result<(), String>,
    /// The draft's value as TOML; `None` when there is none.
    pub show: fn(&Draft) -> Option<String>,
}

impl Key {
    /// A key that works.
    const fn works(
        name: &'static str,
        set: fn(&mut Draft, &Value) -> Result<(), String>,
        show: fn(&Draft) -> Option<String>,
    ) -> Self {
        Self {
            name,
            missing: None,
            set,
            show,
        }
    }

    /// A key that is checked, and waits for a feature.
    const fn waits(mut self, missing: &'static str) -> Self {
        self.missing = Some(missing);
        self
    }

    /// The part of the name before the dot.
    pub fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }
}

/// The words of `tls.mode`.
pub const TLS_MODES: [(&str, TlsWord); 4] = [
    ("files", TlsWord::Files),
    ("local", TlsWord::Local),
    ("acme", TlsWord::Acme),
    ("off", TlsWord::Off),
];

/// The words of `log.level`.
const LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// The words of `log.format`.
const FORMATS: [(&str, LogFormat); 4] = [
    ("auto", LogFormat::Auto),
    ("journald", LogFormat::Journald),
    ("json", LogFormat::Json),
    ("pretty", LogFormat::Pretty),
];

/// Range of the sizes under `[storage]` that may be anything a disk or memory can have.
const ANY_SIZE: RangeInclusive<u64> = 0..=1024 * 1024 * MIB;
/// Range of the retentions.
const RETENTION: RangeInclusive<Duration> =
    Duration::from_secs(86_400)..=Duration::from_secs(36_500 * 86_400);
/// Range of the time-outs.
const PATIENCE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Writes the key of a `Draft` field that holds a size.
macro_rules! size {
    ($name:literal, $($field:ident).+, $range:expr) => {
        Key::works(
            $name,
            |draft, value| {
                draft.$($field).+ = value.size(&$range)?;
                Ok(())
            },
            |draft| Some(quoted(&show_size(draft.$($field).+))),
        )
    };
}

/// Writes the key of a `Draft` field that holds a number.
macro_rules! number {
    ($name:literal, $($field:ident).+, $range:expr) => {
        Key::works(
            $name,
            |draft, value| {
                draft.$($field).+ = value.number(&$range)?;
                Ok(())
            },
            |draft| Some(draft.$($field).+.to_string()),
        )
    };
}

/// Writes the key of a `Draft` field that holds a duration.
macro_rules! duration {
    ($name:literal, $($field:ident).+, $range:expr) => {
        Key::works(
            $name,
            |draft, value| {
                draft.$($field).+ = value.duration(&$range)?;
                Ok(())
            },
            |draft| Some(quoted(&show_duration(draft.$($field).+))),
        )
    };
}

/// Every key, in the order of the manual.
pub static KEYS: [Key; 35] = [
    Key::works(
        "server.public_url",
        |draft, value| {
            draft.public_url = Some(value.parsed(PublicUrl::parse)?);
            Ok(())
        },
        |draft| draft.public_url.as_ref().map(|url| quoted(url.as_str())),
    ),
    Key::works(
        "server.state_dir",
        |draft, value| {
            draft.state_dir = value.path()?;
            Ok(())
        },
        |draft| Some(quoted_path(&draft.state_dir)),
    ),
    Key::works(
        "server.admin_socket",
        |draft, value| {
            draft.admin_socket = value.path()?;
            Ok(())
        },
        |draft| Some(quoted_path(&draft.admin_socket)),
    ),
    Key::works(
        "server.trusted_proxies",
        |draft, value| {
            draft.trusted_proxies = value.list(|element| element.parsed(parse_network))?;
            Ok(())
        },
        |draft| Some(list(&draft.trusted_proxies)),
    ),
    Key::works(
        "scim.listen",
        |draft, value| {
            let listen = value.list(Value::address)?;
            if listen.is_empty() {
                return Err("expected at least one address, found an empty list".to_owned());
            }
            draft.scim.listen = listen;
            Ok(())
        },
        |draft| Some(list(&draft.scim.listen)),
    ),
    Key::works(
        "scim.rate_limit",
        |draft, value| {
            draft.scim.rate_limit = match value.word(&[("off", ())]) {
                Ok(()) => None,
                Err(_) => Some(value.parsed(Rate::parse)?),
            };
            Ok(())
        },
        |draft| {
            let rate = draft.scim.rate_limit;
            Some(rate.map_or_else(|| quoted("off"), |rate| quoted(&rate.to_string())))
        },
    )
    .waits("limit on the rate of requests"),
    Key::works(
        "tls.mode",
        |draft, value| {
            draft.tls_mode = value.word(&TLS_MODES)?;
            Ok(())
        },
        |draft| Some(word(&TLS_MODES, draft.tls_mode)),
    ),
    Key::works(
        "tls.chain",
        |draft, value| {
            draft.tls_chain = Some(value.path()?);
            Ok(())
        },
        |draft| draft.tls_chain.as_deref().map(quoted_path),
    ),
    Key::works(
        "tls.key",
        |draft, value| {
            draft.tls_key = Some(value.path()?);
            Ok(())
        },
        |draft| draft.tls_key.as_deref().map(quoted_path),
    ),
    Key::works(
        "console.listen",
        |draft, value| {
            draft.console_listen = listener(value)?;
            Ok(())
        },
        |draft| Some(show_listener(draft.console_listen)),
    )
    .waits("web console"),
    Key::works(
        "metrics.listen",
        |draft, value| {
            draft.metrics_listen = listener(value)?;
            Ok(())
        },
        |draft| Some(show_listener(draft.metrics_listen)),
    ),
    Key::works(
        "log.level",
        |draft, value| {
            draft.log.level = value.word(&LEVELS)?;
            Ok(())
        },
        |draft| Some(word(&LEVELS, draft.log.level)),
    ),
    Key::works(
        "log.format",
        |draft, value| {
            draft.log.format = value.word(&FORMATS)?;
            Ok(())
        },
        |draft| Some(word(&FORMATS, draft.log.format)),
    ),
    size!("storage.segment", storage.segment_bytes, MIB..=1024 * MIB),
    size!("storage.reserve", storage.reserve_bytes, ANY_SIZE),
    size!("storage.free_soft", storage.free_soft_bytes, ANY_SIZE),
    size!("storage.free_hard", storage.free_hard_bytes, ANY_SIZE),
    size!(
        "storage.cache",
        storage.cache_bytes,
        MIB..=1024 * 1024 * MIB
    ),
    duration!("history.retention", retention.history, RETENTION),
    duration!("audit.retention", retention.audit, RETENTION),
    duration!(
        "directory_defaults.deleted_retention",
        retention.deleted,
        RETENTION
    ),
    number!("limits.connections", limits.connections_max, 8..=100_000),
    size!("limits.header", limits.header_bytes_max, 8 * KIB..=MIB),
    size!("limits.url", limits.url_bytes_max, KIB..=64 * KIB),
    size!("limits.body", limits.body_bytes_max, 64 * KIB..=64 * MIB),
    number!("limits.json_depth", limits.json_depth_max, 8..=128),
    number!("limits.page_default", limits.page_default, 1..=10_000),
    number!("limits.page_max", limits.page_max, 1..=10_000),
    size!("limits.filter", limits.filter_bytes_max, 256..=64 * KIB),
    number!("limits.filter_terms", limits.filter_terms_max, 1..=1_000),
    number!("limits.filter_depth", limits.filter_depth_max, 1..=128),
    duration!("limits.header_timeout", limits.header_timeout, PATIENCE),
    duration!("limits.body_timeout", limits.body_timeout, PATIENCE),
    duration!("limits.send_timeout", limits.send_timeout, PATIENCE),
    duration!("limits.idle_timeout", limits.idle_timeout, PATIENCE),
];

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Reads the address of a listener that `""` switches off.
fn listener(value: &Value) -> Result<Option<SocketAddr>, String> {
    if value.is_empty_text() {
        return Ok(None);
    }
    value.address().map(Some)
}

/// Prints the address of a listener that `""` switches off.
fn show_listener(address: Option<SocketAddr>) -> String {
    quoted(&address.map_or_else(String::new, |address| address.to_string()))
}

/// A string as TOML and JSON both write it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A TOML string of a path. Keys take only text, so nothing is lost.
fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A TOML list of strings.
fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// The word for `meaning`.
fn word<T: Copy + PartialEq>(words: &[(&str, T)], meaning: T) -> String {
    let found = words.iter().find(|(_, candidate)| *candidate == meaning);
    quoted(found.map_or("", |(word, _)| word))
}
