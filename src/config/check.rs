//! The rules across keys, and the step from what was said to what it means.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::config::Config;
use crate::config::Draft;
use crate::config::Entry;
use crate::config::Server;
use crate::config::TlsMode;
use crate::config::TlsWord;
use crate::config::error::Origin;
use crate::config::error::Problem;
use crate::config::keys::KEYS;
use crate::config::units::PublicUrl;
use crate::config::units::show_size;

/// What all sources together say.
#[derive(Default)]
pub struct Said {
    /// The values.
    pub draft: Draft,
    /// Where each value came from; keys nobody named are not in it.
    pub origins: BTreeMap<&'static str, Origin>,
    /// Keys that were given a value they do not take. Rules about them stay silent.
    pub failed: BTreeSet<&'static str>,
}

impl Said {
    /// Where the key's value came from.
    fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }
}

/// The configuration when nobody says anything.
pub fn built_in(hostname: &str) -> Config {
    let said = Said::default();
    meaning(said, TlsMode::Local, hostname)
}

/// Applies the rules across keys.
///
/// # Errors
///
/// Every rule that is broken, where somebody wrote one of its keys.
pub fn settle(said: Said, hostname: &str) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut rule = |keys: &[&'static str], broken: Option<String>| {
        let known = !keys.iter().any(|key| said.failed.contains(key));
        if let (true, Some(text), Some(first)) = (known, broken, keys.first()) {
            // Point at what somebody wrote, even when the first key has its default.
            let written = keys.iter().find_map(|key| said.origins.get(key));
            problems.push(Problem {
                origin: written.cloned().unwrap_or(Origin::Default),
                text: format!("{first}: {text}"),
            });
        }
    };
    let draft = &said.draft;
    let tls = tls_mode(draft);
    rule(
        &["tls.mode", "tls.chain", "tls.key"],
        tls.as_ref().err().cloned(),
    );
    rule(
        &["tls.mode", "scim.listen", "server.trusted_proxies"],
        open_without_tls(draft),
    );
    rule(&["server.public_url", "tls.mode"], insecure_url(draft));
    rule(&["server.admin_socket"], socket_taken(draft));
    rule(
        &["storage.free_soft", "storage.free_hard"],
        at_least(
            draft.storage.free_soft_bytes,
            draft.storage.free_hard_bytes,
            "storage.free_hard",
            show_size,
        ),
    );
    rule(
        &["limits.header", "limits.url"],
        at_least(
            draft.limits.header_bytes_max,
            draft.limits.url_bytes_max,
            "limits.url",
            show_size,
        ),
    );
    rule(
        &["limits.page_max", "limits.page_default"],
        at_least(
            draft.limits.page_max.into(),
            draft.limits.page_default.into(),
            "limits.page_default",
            |number| number.to_string(),
        ),
    );
    match tls {
        Ok(tls) if problems.is_empty() => Ok(meaning(said, tls, hostname)),
        _ => Err(problems),
    }
}

/// Where the certificate comes from, or why that cannot be.
fn tls_mode(draft: &Draft) -> Result<TlsMode, String> {
    match (draft.tls_mode, &draft.tls_chain, &draft.tls_key) {
        (TlsWord::Files, Some(chain), Some(key)) => Ok(TlsMode::Files {
            chain: chain.clone(),
            key: key.clone(),
        }),
        (TlsWord::Files, chain, key) => {
            let missing: Vec<&str> = [("tls.chain", chain), ("tls.key", key)]
                .iter()
                .filter(|(_, path)| path.is_none())
                .map(|(name, _)| *name)
                .collect();
            Err(format!(
                "\"files\" needs tls.chain and tls.key; not set: {}",
                missing.join(", ")
            ))
        }
        (TlsWord::Local, ..) => Ok(TlsMode::Local),
        (TlsWord::Acme, ..) => Err(
            "\"acme\" is not available in this version; use \"files\" with a certificate that \
             another program renews, or \"local\""
                .to_owned(),
        ),
        (TlsWord::Off, ..) => Ok(TlsMode::Off),
    }
}

/// Tokens travel in every request, so without TLS nobody between may listen in.
fn open_without_tls(draft: &Draft) -> Option<String> {
    if draft.tls_mode != TlsWord::Off || !draft.trusted_proxies.is_empty() {
        return None;
    }
    let open = draft.scim.listen.iter().find(|at| !at.ip().is_loopback())?;
    Some(format!(
        "\"off\" would let {open} take tokens in clear text; listen on 127.0.0.1 only \
         (scim.listen), or name the proxy that speaks TLS (server.trusted_proxies)"
    ))
}

/// A URL that clients cannot use, because the listener speaks TLS.
fn insecure_url(draft: &Draft) -> Option<String> {
    let url = draft.public_url.as_ref()?;
    (draft.tls_mode != TlsWord::Off && !url.is_https())
        .then(|| format!("\"{url}\" must start with https:// because the listener speaks TLS"))
}

/// The read-only socket lies beside the other and is called `read.sock`.
fn socket_taken(draft: &Draft) -> Option<String> {
    let name = draft.admin_socket.file_name();
    (name.is_none() || name.is_some_and(|name| name == "read.sock")).then(|| {
        "expected the path of a file that is not called read.sock, the name of the socket \
         for those who may only read"
            .to_owned()
    })
}

/// `value` must be at least `other`, the value of the key `other_key`.
fn at_least(
    value: u64,
    other: u64,
    other_key: &str,
    show: impl Fn(u64) -> String,
) -> Option<String> {
    (value < other).then(|| {
        format!(
            "{} is less than {other_key} ({}); it must be at least as much",
            show(value),
            show(other)
        )
    })
}

/// What was said, in the units the rooms use.
fn meaning(mut said: Said, tls: TlsMode, hostname: &str) -> Config {
    let public_url = match said.draft.public_url.take() {
        Some(url) => url,
        None => default_url(&said.draft, hostname),
    };
    said.draft.public_url = Some(public_url.clone());
    let entries: Vec<Entry> = KEYS
        .iter()
        .map(|key| Entry {
            key: key.name,
            value: (key.show)(&said.draft),
            origin: said.origin(key.name),
        })
        .collect();
    let notices = notices(&said, &tls);
    let draft = said.draft;
    Config {
        server: Server {
            public_url,
            state_dir: draft.state_dir,
            admin_socket: draft.admin_socket,
            trusted_proxies: draft.trusted_proxies,
        },
        scim: draft.scim,
        tls,
        console_listen: draft.console_listen,
        metrics_listen: draft.metrics_listen,
        log: draft.log,
        storage: draft.storage,
        retention: draft.retention,
        limits: draft.limits,
        entries,
        notices,
    }
}

/// One sentence for each key that is set and has no effect.
fn notices(said: &Said, tls: &TlsMode) -> Vec<String> {
    let mut notices = Vec::new();
    for key in &KEYS {
        let Some(origin) = said.origins.get(key.name) else {
            continue;
        };
        let name = key.name;
        if let Some(missing) = key.missing {
            notices.push(format!(
                "{name} has no effect: this version has no {missing} ({origin})"
            ));
        }
        let certificate = name == "tls.chain" || name == "tls.key";
        if certificate && !matches!(tls, TlsMode::Files { .. }) {
            notices.push(format!(
                "{name} has no effect: tls.mode is not \"files\" ({origin})"
            ));
        }
    }
    notices
}

/// The Tenant URLs start with this machine's name, or with localhost when nobody else can reach
/// the listener; behind a proxy its port is unknown, so the usual one is assumed.
fn default_url(draft: &Draft, hostname: &str) -> PublicUrl {
    let behind_proxy = draft.tls_mode == TlsWord::Off && !draft.trusted_proxies.is_empty();
    let local = draft.scim.listen.iter().all(|at| at.ip().is_loopback());
    let host = if local && !behind_proxy {
        "localhost"
    } else {
        hostname
    };
    let plain = draft.tls_mode == TlsWord::Off && !behind_proxy;
    let (scheme, usual) = if plain { ("http", 80) } else { ("https", 443) };
    let port = draft.scim.listen.first().map_or(usual, |at| at.port());
    let text = if port == usual || behind_proxy {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    };
    PublicUrl::parse(&text).unwrap_or_else(|_bad_hostname| PublicUrl::localhost())
}
