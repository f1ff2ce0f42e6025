//! TLS 1.2 and 1.3 with rustls: settings, the certificate in use, its exchange while connections live.
//!
//! What makes a certificate fit for use is in [`crate::http::certificate`], the certificate authority of mode `local` in
//! [`crate::http::local_ca`].

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use rustls::AlertDescription;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;

use crate::base::clock::Clock;
use crate::http::certificate;
use crate::http::certificate::CertificateError;
pub use crate::http::certificate::Summary;
use crate::http::local_ca;
use crate::http::local_ca::LocalCaError;

/// HTTP/2 in ALPN (RFC 9113 §3.1).
pub(super) const ALPN_HTTP2: &[u8] = b"h2";
/// HTTP/1.1 in ALPN (RFC 7301 §6).
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Where certificate and key come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSettings {
    /// From files that somebody else looks after.
    Files {
        /// The certificate of the server, then those that lead to a root, as PEM.
        chain: PathBuf,
        /// Its private key, as PEM.
        key: PathBuf,
    },
    /// From a certificate authority of our own.
    Local {
        /// Where it keeps its files.
        dir: PathBuf,
        /// Names and addresses of this server, besides localhost and the loopback addresses.
        names: Vec<String>,
    },
    /// No TLS.
    Off,
}

/// Why TLS cannot start, or stays with the certificate it has.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The files do not fit.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The local certificate authority does not work.
    #[error(transparent)]
    Local(#[from] LocalCaError),
    /// rustls refuses its own parts.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    /// TLS was switched off while it runs.
    #[error("TLS cannot be switched off while Rollcall runs")]
    SwitchedOff,
}

impl TlsError {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Certificate(error) => error.fix(),
            Self::Local(error) => error.fix(),
            Self::Setup(_) => "report this as a defect".to_owned(),
            Self::SwitchedOff => "restart Rollcall to apply tls.mode = \"off\"".to_owned(),
        }
    }
}

/// The certificate in use, and what new connections need.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

/// What the copies of a [`Tls`] share.
struct Inner {
    /// For new connections. It asks `current` for the certificate.
    config: Arc<ServerConfig>,
    /// The certificate in use.
    current: Arc<Current>,
    /// Where it came from.
    settings: RwLock<TlsSettings>,
    /// For validity.
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&*self.summary()).finish()
    }
}

impl Tls {
    /// Loads certificate and key; `None` when the settings say that there is no TLS. The summary's warnings are for the log.
    ///
    /// # Errors
    ///
    /// [`TlsError`], with what to do about it.
    pub fn load(settings: &TlsSettings, clock: Arc<dyn Clock>) -> Result<Option<Self>, TlsError> {
        let Some(loaded) = obtain(settings, &*clock)? else {
            return Ok(None);
        };
        let current = Arc::new(Current(RwLock::new(loaded)));
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
        // Sealed tickets: a client that comes back is spared the signature, and we remember nothing of it. The
        // keys change by themselves every six hours and die with the process.
        config.ticketer = ring::Ticketer::new()?;
        Ok(Some(Self(Arc::new(Inner {
            config: Arc::new(config),
            current,
            settings: RwLock::new(settings.clone()),
            clock,
        }))))
    }

    /// Loads certificate and key again. New connections get the new ones; open connections go on. To be called on SIGHUP
    /// and daily, for the local authority renews its certificate here.
    ///
    /// # Errors
    ///
    /// [`TlsError`]; the certificate in use stays.
    pub fn reload(&self) -> Result<Arc<Summary>, TlsError> {
        let settings = self
            .0
            .settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        self.reload_from(&settings)
    }

    /// As [`Tls::reload`], from other settings.
    ///
    /// # Errors
    ///
    /// [`TlsError`]; certificate and settings in use stay.
    pub fn reload_from(&self, settings: &TlsSettings) -> Result<Arc<Summary>, TlsError> {
        let loaded = obtain(settings, &*self.0.clock)?.ok_or(TlsError::SwitchedOff)?;
        let summary = Arc::clone(&loaded.summary);
        self.0.current.replace(loaded);
        *self
            .0
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = settings.clone();
        Ok(summary)
    }

    /// What is known of the certificate in use.
    pub fn summary(&self) -> Arc<Summary> {
        Arc::clone(&self.0.current.get().summary)
    }

    /// For a new connection.
    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.config)
    }
}

/// Gets certificate and key from where the settings say, and examines them.
fn obtain(settings: &TlsSettings, clock: &dyn Clock) -> Result<Option<Loaded>, TlsError> {
    let now = clock.now();
    let (certified, summary) = match settings {
        TlsSettings::Off => return Ok(None),
        TlsSettings::Files { chain, key } => {
            let roots = certificate::system_roots();
            certificate::load(chain, key, now, &roots)?
        }
        TlsSettings::Local { dir, names } => {
            let local = local_ca::ensure(dir, names, now)?;
            certificate::load(&local.chain, &local.key, now, &[local.ca])?
        }
    };
    Ok(Some(Loaded {
        certified: Arc::new(certified),
        summary: Arc::new(summary),
    }))
}

/// A certificate with its key, fit for use.
#[derive(Clone)]
struct Loaded {
    /// For rustls.
    certified: Arc<CertifiedKey>,
    /// For people.
    summary: Arc<Summary>,
}

/// The certificate in use.
struct Current(RwLock<Loaded>);

impl Current {
    /// The certificate in use.
    fn get(&self) -> Loaded {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts another in its place.
    fn replace(&self, loaded: Loaded) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = loaded;
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Current").field(&self.get().summary).finish()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get().certified)
    }
}

/// A short name for what went wrong in a handshake, for the counters.
pub(super) fn handshake_failure(error: &io::Error) -> &'static str {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::AlertReceived(alert)) => match *alert {
            // The client does not trust our certificate.
            AlertDescription::UnknownCA => "unknown_ca",
            AlertDescription::BadCertificate => "bad_certificate",
            AlertDescription::CertificateUnknown => "certificate_unknown",
            AlertDescription::CertificateExpired => "certificate_expired",
            AlertDescription::UnsupportedCertificate => "unsupported_certificate",
            AlertDescription::HandshakeFailure => "handshake_failure",
            AlertDescription::ProtocolVersion => "protocol_version",
            AlertDescription::DecryptError => "decrypt_error",
            _ => "other_alert",
        },
        Some(rustls::Error::PeerIncompatible(_)) => "incompatible",
        Some(rustls::Error::PeerMisbehaved(_)) => "misbehaved",
        Some(rustls::Error::NoApplicationProtocol) => "no_application_protocol",
        Some(rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. }) => {
            "not_tls"
        }
        Some(_) => "other",
        None => "closed",
    }
}

/// Whether the client refused our certificate.
pub(super) fn is_distrust(failure: &str) -> bool {
    matches!(
        failure,
        "unknown_ca"
            | "bad_certificate"
            | "certificate_unknown"
            | "certificate_expired"
            | "unsupported_certificate"
    )
}
