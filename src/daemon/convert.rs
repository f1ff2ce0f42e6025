//! From the configuration's words to the settings of each room.

use std::path::PathBuf;
use std::sync::Arc;

use crate::auth;
use crate::config::Config;
use crate::config::LogFormat;
use crate::config::LogLevel;
use crate::config::TlsMode;
use crate::http::Cidr;
use crate::http::Limits;
use crate::http::PlainPeers;
use crate::http::Tls;
use crate::http::TlsSettings;
use crate::http::Transport;
use crate::store;
use crate::telemetry::log;

/// Segments of the commit log behind the last base below which no other is written on its own.
const BASE_SEGMENTS: u64 = 2;
/// The folder of the local certificate authority below the state folder.
const TLS_DIR: &str = "tls";

/// How and what to log. `journal_stream` is the environment's `JOURNAL_STREAM`.
pub fn log(config: &Config, journal_stream: Option<String>) -> log::LogSettings {
    let format = match config.log.format {
        LogFormat::Auto => log::LogFormat::Auto,
        LogFormat::Journald => log::LogFormat::Journald,
        LogFormat::Json => log::LogFormat::Json,
        LogFormat::Pretty => log::LogFormat::Pretty,
    };
    log::LogSettings {
        level: level(config).to_owned(),
        format,
        journal_stream,
    }
}

/// The least important records to write.
pub const fn level(config: &Config) -> &'static str {
    match config.log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

/// Where the store is, and its sizes.
pub fn store(config: &Config) -> store::Settings {
    store::Settings {
        dir: config.server.state_dir.clone(),
        segment_bytes: config.storage.segment_bytes,
        reserve_bytes: config.storage.reserve_bytes,
        free_soft_bytes: config.storage.free_soft_bytes,
        free_hard_bytes: config.storage.free_hard_bytes,
        cache_bytes: config.storage.cache_bytes,
        base_log_bytes: config.storage.segment_bytes.saturating_mul(BASE_SEGMENTS),
        retention: store::chronicle::Retention {
            history: config.retention.history,
            audit: config.retention.audit,
        },
    }
}

/// How strictly tokens are checked: the product's defaults.
pub fn auth() -> auth::Settings {
    auth::Settings::default()
}

/// Where certificate and key come from.
pub fn tls(config: &Config) -> TlsSettings {
    match &config.tls {
        TlsMode::Files { chain, key } => TlsSettings::Files {
            chain: chain.clone(),
            key: key.clone(),
        },
        TlsMode::Local => TlsSettings::Local {
            dir: config.server.state_dir.join(TLS_DIR),
            names: vec![config.server.public_url.host().to_owned()],
        },
        TlsMode::Off => TlsSettings::Off,
    }
}

/// The certificate of the local authority, for clients to trust.
pub fn ca_file(config: &Config) -> PathBuf {
    config.server.state_dir.join(TLS_DIR).join("ca.pem")
}

/// How bytes travel.
pub fn transport(tls: Option<&Tls>) -> Transport {
    match tls {
        Some(tls) => Transport::Tls(tls.clone()),
        // `config` allows no TLS only on loopback or behind trusted proxies; the listener holds peers to that.
        None => Transport::Plain(PlainPeers::Near),
    }
}

/// Whose word on forwarded addresses counts.
pub fn trusted_proxies(config: &Config) -> Arc<[Cidr]> {
    config.server.trusted_proxies.iter().copied().collect()
}

/// Every bound of a request.
pub fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        header_bytes_max: size(limits.header_bytes_max),
        url_bytes_max: size(limits.url_bytes_max),
        body_bytes_max: size(limits.body_bytes_max),
        page_default: count(limits.page_default),
        page_max: count(limits.page_max),
        json_depth_max: count(limits.json_depth_max),
        filter_bytes_max: size(limits.filter_bytes_max),
        filter_terms_max: count(limits.filter_terms_max),
        filter_depth_max: count(limits.filter_depth_max),
        header_timeout: limits.header_timeout,
        tls_handshake_timeout: limits.header_timeout,
        body_timeout: limits.body_timeout,
        send_timeout: limits.send_timeout,
        idle_timeout: limits.idle_timeout,
        connections_max: count(limits.connections_max),
        ..Limits::default()
    }
}
