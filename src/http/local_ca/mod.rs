//! The local certificate authority of `tls.mode = "local"`: made once, kept under the state, trusted by whoever imports it.
//!
//! `ca.pem` and `ca.key` never change by themselves, because clients trust them. `leaf.pem` and `leaf.key` are made anew
//! when the names change, when they end soon, or when they are damaged: nobody trusts them for themselves.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::PublicKeyData;
use rcgen::SanType;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::http::certificate::DAY_MS;
use crate::http::certificate::names;
use crate::http::certificate::time;

/// Life of the authority, in days.
const CA_DAYS: i64 = 3_650;
/// Life of a server certificate, in days: the longest that all platforms take.
const LEAF_DAYS: i64 = 397;
/// A server certificate with fewer days left is made anew.
const LEAF_DAYS_LEFT_MIN: i64 = 30;
/// Clients whose clock is behind by up to a day are served, too.
const HEAD_START_MS: i64 = DAY_MS;

/// Names every leaf is for.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A key is its owner's alone.
const KEY_MODE: u32 = 0o600;
/// A certificate is public.
const CERTIFICATE_MODE: u32 = 0o644;

/// Why the local authority does not work. `Display` says what is wrong, [`LocalCaError::fix`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum LocalCaError {
    /// The file system says no.
    #[error("the local certificate authority cannot {verb} {}: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Half of the authority is gone, or is damaged, or the halves are not one pair.
    #[error("the local certificate authority in {} is not whole: {what}", dir.display())]
    Broken {
        /// Where it is kept.
        dir: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The authority has ended.
    #[error("the local certificate authority in {} expired at {since}", dir.display())]
    Expired {
        /// Where it is kept.
        dir: PathBuf,
        /// When.
        since: Timestamp,
    },
    /// A name that cannot stand in a certificate.
    #[error("\"{0}\" is neither a host name in ASCII nor an IP address")]
    Name(String),
    /// The certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
}

impl LocalCaError {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Io { path, .. } => format!("let the user that Rollcall runs as write in {}, and check the free space", path.parent().unwrap_or(path).display()),
            Self::Broken { dir, .. } | Self::Expired { dir, .. } => format!("put ca.pem and ca.key back from a backup; or move them away (mv {0}/ca.pem {0}/ca.key /root), restart, and have every client trust the new authority", dir.display()),
            Self::Name(_) => "correct the host in server.public_url; names beyond ASCII are written in their xn-- form".to_owned(),
            Self::Make(_) => "report this as a defect".to_owned(),
        }
    }
}

/// What the authority has ready.
#[derive(Debug)]
pub(super) struct Local {
    /// The server's certificate.
    pub(super) chain: PathBuf,
    /// The server's key.
    pub(super) key: PathBuf,
    /// The authority's certificate.
    pub(super) ca: CertificateDer<'static>,
}

/// Sees to it that there is an authority in `dir`, and a certificate by it for `names` and the loopback names that lasts a while.
///
/// # Errors
///
/// [`LocalCaError`]. An authority that exists is never replaced.
pub(super) fn ensure(dir: &Path, names: &[String], now: Timestamp) -> Result<Local, LocalCaError> {
    let wanted = wanted(names)?;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(dir).map_err(io_error("make", dir))?;
    let ca = match Authority::load(dir, now)? {
        Some(ca) => ca,
        None => Authority::make(dir, now)?,
    };
    let local = Local {
        chain: dir.join("leaf.pem"),
        key: dir.join("leaf.key"),
        ca: ca.der.clone(),
    };
    if !is_good_leaf(&local, &wanted, &ca, now) {
        issue(&local, &wanted, &ca, now)?;
    }
    Ok(local)
}

/// Every name the leaf is to have, in the form in which a certificate gives it back.
fn wanted(names: &[String]) -> Result<BTreeSet<String>, LocalCaError> {
    let loopback = LOOPBACK.iter().map(|name| (*name).to_owned());
    loopback
        .chain(names.iter().cloned())
        .map(|name| {
            if let Ok(address) = name.parse::<IpAddr>() {
                return Ok(address.to_string());
            }
            // RFC 5890 §2.3.1, and `*` for a wildcard.
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._*".contains(&b);
            if name.is_empty() || name.len() > 253 || !name.bytes().all(plain) {
                return Err(LocalCaError::Name(name));
            }
            Ok(name.to_ascii_lowercase())
        })
        .collect()
}

/// An authority that can sign.
struct Authority {
    /// Name and key.
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    der: CertificateDer<'static>,
    /// When it ends.
    not_after: Timestamp,
}

impl Authority {
    /// Loads the authority, when there is one.
    fn load(dir: &Path, now: Timestamp) -> Result<Option<Self>, LocalCaError> {
        let broken = |what| LocalCaError::Broken {
            dir: dir.to_owned(),
            what,
        };
        let Some(pem) = read(&dir.join("ca.pem"))? else {
            // A key alone is what a crash in `make` leaves. Nobody trusts it yet.
            return Ok(None);
        };
        let key = read(&dir.join("ca.key"))?.ok_or_else(|| broken("ca.key is missing"))?;
        let key = Secret::new(key);
        let key = std::str::from_utf8(key.expose())
            .ok()
            .and_then(|pem| KeyPair::from_pem(pem).ok())
            .ok_or_else(|| broken("ca.key is damaged"))?;
        let der =
            CertificateDer::from_pem_slice(&pem).map_err(|_error| broken("ca.pem is damaged"))?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|_error| broken("ca.pem is damaged"))?;
        if certificate.public_key().raw != key.subject_public_key_info() {
            return Err(broken("ca.key is not the key of ca.pem"));
        }
        let not_after = time(certificate.validity().not_after.timestamp());
        if not_after <= now {
            return Err(LocalCaError::Expired {
                dir: dir.to_owned(),
                since: not_after,
            });
        }
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Some(Self {
            issuer,
            der,
            not_after,
        }))
    }

    /// Makes an authority and writes it down: the certificate last, for it is what says that there is one.
    fn make(dir: &Path, now: Timestamp) -> Result<Self, LocalCaError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        // Two authorities with one name would confuse whoever trusts both.
        let digest = ring::digest::digest(&ring::digest::SHA256, &key.subject_public_key_info());
        let mark: String = digest
            .as_ref()
            .iter()
            .take(4)
            .map(|b| format!("{b:02x}"))
            .collect();
        let name = &mut params.distinguished_name;
        *name = rcgen::DistinguishedName::new();
        name.push(DnType::OrganizationName, "Rollcall");
        name.push(DnType::CommonName, format!("Rollcall local CA {mark}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let not_after = now.plus_millis(CA_DAYS * DAY_MS);
        limit(&mut params, now, not_after);
        let certificate = params.self_signed(&key)?;
        let pem = Secret::new(key.serialize_pem());
        write(&dir.join("ca.key"), pem.expose().as_bytes(), KEY_MODE)?;
        let pem = certificate.pem();
        write(&dir.join("ca.pem"), pem.as_bytes(), CERTIFICATE_MODE)?;
        let der = certificate.der().clone();
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&der, key)?,
            der,
            not_after,
        })
    }
}

/// Whether the leaf can stay as it is. Whatever is wrong with it, a new one mends it.
fn is_good_leaf(local: &Local, wanted: &BTreeSet<String>, ca: &Authority, now: Timestamp) -> bool {
    let read_both = || Some((read(&local.chain).ok()??, read(&local.key).ok()??));
    let Some((pem, key)) = read_both() else {
        return false;
    };
    let key = Secret::new(key);
    let key = std::str::from_utf8(key.expose())
        .ok()
        .and_then(|pem| KeyPair::from_pem(pem).ok());
    let (Some(key), Ok(der)) = (key, CertificateDer::from_pem_slice(&pem)) else {
        return false;
    };
    let (Ok((_, leaf)), Ok((_, ca))) = (
        X509Certificate::from_der(&der),
        X509Certificate::from_der(&ca.der),
    ) else {
        return false;
    };
    let enough = now.plus_millis(LEAF_DAYS_LEFT_MIN * DAY_MS);
    leaf.public_key().raw == key.subject_public_key_info()
        && leaf.verify_signature(Some(ca.public_key())).is_ok()
        && names(&leaf).into_iter().collect::<BTreeSet<_>>() == *wanted
        && time(leaf.validity().not_before.timestamp()) <= now
        && time(leaf.validity().not_after.timestamp()) >= enough
}

/// Makes a leaf and writes it down. A crash between the two files leaves a pair that does not fit, which is made anew.
fn issue(
    local: &Local,
    wanted: &BTreeSet<String>,
    ca: &Authority,
    now: Timestamp,
) -> Result<(), LocalCaError> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    for name in wanted {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    // The name that a person will know it by; clients look at the alternative names only. A common
    // name has at most 64 characters (RFC 5280, Appendix A.1).
    let is_own = |name: &&String| {
        !LOOPBACK.contains(&name.as_str()) && name.len() <= 64 && name.parse::<IpAddr>().is_err()
    };
    let own = wanted
        .iter()
        .find(is_own)
        .map_or("localhost", String::as_str);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, own);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let not_after = now.plus_millis(LEAF_DAYS * DAY_MS).min(ca.not_after);
    limit(&mut params, now, not_after);
    let certificate = params.signed_by(&key, &ca.issuer)?;
    let pem = Secret::new(key.serialize_pem());
    write(&local.key, pem.expose().as_bytes(), KEY_MODE)?;
    write(&local.chain, certificate.pem().as_bytes(), CERTIFICATE_MODE)
}

/// Sets the time in which a certificate made at `now` is valid.
fn limit(params: &mut CertificateParams, now: Timestamp, not_after: Timestamp) {
    // Times before 1970 do not occur.
    let since_1970 = |at: Timestamp| Duration::from_millis(u64::try_from(at.millis()).unwrap_or(0));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_1970(now.plus_millis(-HEAD_START_MS));
    params.not_after = epoch + since_1970(not_after);
}

/// The contents of a file; `None` when it is not there.
fn read(path: &Path) -> Result<Option<Vec<u8>>, LocalCaError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// Writes a file so that it is there whole or not at all, also after a power cut.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), LocalCaError> {
    let temporary = path.with_extension("new");
    let put = || {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // `create_new`: the mode counts only for a file that is made here.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(path.parent().unwrap_or(path))?.sync_all()
    };
    put().map_err(io_error("write", path))
}

/// Wraps an error of the file system.
fn io_error(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LocalCaError {
    let path = path.to_owned();
    move |source| LocalCaError::Io { verb, path, source }
}
