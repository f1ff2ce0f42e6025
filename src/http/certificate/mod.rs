//! Certificate and key from files: reading them, telling what is wrong with them, and what is doubtful.
//!
//! What cannot work is an error. What works here and may fail at a client (a missing intermediate, say) is a warning in the
//! [`Summary`], because only the client knows whom it trusts. RFC 5280 §4, §6; RFC 8446 §4.4.2.

mod error;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::pem::SectionKind;
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::OID_PKCS1_SHA1WITHRSA;
use x509_parser::prelude::FromDer;

use crate::base::clock::Timestamp;
pub use crate::http::certificate::error::CertificateError;
use crate::http::certificate::error::Part;

/// Longest file read, in bytes. A chain has a few kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Days before the end from which on every look at the certificate warns.
const EXPIRY_WARN_DAYS: i64 = 21;

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Where Debian and its kin, then Red Hat and its kin, keep the roots they trust.
const ROOT_FILES: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// What is known of a certificate that is fit for use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Whose it is.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Host names and addresses it is for.
    pub names: Vec<String>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// SHA-256 over the certificate, in hexadecimal digits with colons.
    pub fingerprint: String,
    /// Certificates in the chain, the server's included.
    pub chain_length: usize,
    /// What may fail at a client, in whole sentences.
    pub warnings: Vec<String>,
}

impl Summary {
    /// Whether the certificate is for `host`, a name or an address (RFC 9525 §6.3: `*` stands for one whole first label).
    pub fn covers(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.names.iter().any(|name| name.parse() == Ok(address));
        }
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(domain) => host
                .split_once('.')
                .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
            None => name.eq_ignore_ascii_case(host),
        })
    }
}

/// The roots that this machine trusts; none where it keeps no such file.
pub(super) fn system_roots() -> Vec<CertificateDer<'static>> {
    let text = ROOT_FILES.iter().find_map(|path| std::fs::read(path).ok());
    let text = text.unwrap_or_default();
    CertificateDer::pem_slice_iter(&text)
        .filter_map(Result::ok)
        .collect()
}

/// Reads certificate and key, and examines them as of `now`.
///
/// # Errors
///
/// [`CertificateError`], when TLS could not work with them.
pub(super) fn load(
    chain_path: &Path,
    key_path: &Path,
    now: Timestamp,
    roots: &[CertificateDer<'_>],
) -> Result<(CertifiedKey, Summary), CertificateError> {
    let chain = read_chain(chain_path)?;
    let (key, key_mode) = read_key(key_path)?;
    let key = any_supported_type(&key).map_err(|_error| CertificateError::KeyKind {
        path: key_path.to_owned(),
    })?;
    let parsed = parse_all(&chain, chain_path)?;
    let Some(leaf) = parsed.first() else {
        return Err(nothing(Part::Chain, chain_path, "it is empty"));
    };
    let certified = CertifiedKey::new(chain.clone(), key);
    check_key(&certified, leaf, chain_path, key_path)?;
    check_validity(leaf, chain_path, now)?;
    let mut warnings = doubts(&parsed, chain_path, now, roots);
    if key_mode & 0o007 != 0 {
        warnings.push(format!(
            "everybody on this machine can read the private key {0}: chmod o= {0}",
            key_path.display()
        ));
    }
    let summary = Summary {
        subject: leaf.subject().to_string(),
        issuer: leaf.issuer().to_string(),
        names: names(leaf),
        not_before: time(leaf.validity().not_before.timestamp()),
        not_after: time(leaf.validity().not_after.timestamp()),
        fingerprint: chain
            .first()
            .map(|der| fingerprint(der))
            .unwrap_or_default(),
        chain_length: chain.len(),
        warnings,
    };
    Ok((certified, summary))
}

/// Reads a file of sane length, and its mode.
fn read_file(part: Part, path: &Path) -> Result<(Vec<u8>, u32), CertificateError> {
    let read = || {
        let file = File::open(path)?;
        let about = file.metadata()?;
        if about.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok((bytes, about.permissions().mode()))
    };
    read().map_err(|source| CertificateError::Unreadable {
        part,
        path: path.to_owned(),
        source,
    })
}

/// The PEM sections of a file.
fn sections(path: &Path, bytes: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, CertificateError> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes)
        .collect::<Result<_, pem::Error>>()
        .map_err(|error| CertificateError::Damaged {
            path: path.to_owned(),
            detail: words(&error),
        })
}

/// What is wrong with PEM text.
fn words(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => format!(
            "the line -----END {}----- is missing",
            String::from_utf8_lossy(end_marker)
        ),
        // The line itself is not shown: in a file without line ends it holds the key.
        pem::Error::IllegalSectionStart { .. } => {
            "a line -----BEGIN …----- does not end as it should".to_owned()
        }
        pem::Error::Base64Decode(_) => {
            "what stands between two ----- lines is not base64".to_owned()
        }
        other => other.to_string(),
    }
}

/// A file that does not hold what it should.
fn nothing(part: Part, path: &Path, found: &'static str) -> CertificateError {
    CertificateError::Nothing {
        part,
        path: path.to_owned(),
        found,
    }
}

/// What a file without the wanted section holds.
fn described(bytes: &[u8], sections: &[(SectionKind, Vec<u8>)]) -> &'static str {
    let has = |wanted: &[SectionKind]| sections.iter().any(|(kind, _)| wanted.contains(kind));
    if bytes.trim_ascii().is_empty() {
        "it is empty"
    } else if bytes.first() == Some(&0x30) {
        // An ASN.1 SEQUENCE.
        "it is binary (DER or PKCS#12), and PEM text is needed"
    } else if has(&[SectionKind::Certificate]) {
        "it holds certificates only"
    } else if has(&[
        SectionKind::PrivateKey,
        SectionKind::RsaPrivateKey,
        SectionKind::EcPrivateKey,
    ]) {
        "it holds a private key only"
    } else if has(&[SectionKind::Csr]) {
        "it holds a certificate request, which an authority has yet to answer"
    } else if has(&[SectionKind::PublicKey]) {
        "it holds a public key"
    } else {
        "there is no PEM section of that kind in it"
    }
}

/// Reads the certificates.
fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let (bytes, _) = read_file(Part::Chain, path)?;
    let sections = sections(path, &bytes)?;
    let found = described(&bytes, &sections);
    let chain: Vec<_> = sections
        .into_iter()
        .filter(|(kind, _)| *kind == SectionKind::Certificate)
        .map(|(_, der)| CertificateDer::from(der))
        .collect();
    if chain.is_empty() {
        return Err(nothing(Part::Chain, path, found));
    }
    Ok(chain)
}

/// Reads the key; also gives the mode of its file.
fn read_key(path: &Path) -> Result<(PrivateKeyDer<'static>, u32), CertificateError> {
    let (bytes, mode) = read_file(Part::Key, path)?;
    // PKCS#8 says it in the label, OpenSSL's older form in a header of the section.
    let encrypted = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "4,ENCRYPTED"];
    let text = String::from_utf8_lossy(&bytes);
    if encrypted.iter().any(|mark| text.contains(mark)) {
        return Err(CertificateError::Encrypted {
            path: path.to_owned(),
        });
    }
    let sections = sections(path, &bytes)?;
    let found = described(&bytes, &sections);
    let key = sections
        .into_iter()
        .find_map(|(kind, der)| PrivateKeyDer::from_pem(kind, der));
    match key {
        Some(key) => Ok((key, mode)),
        None => Err(nothing(Part::Key, path, found)),
    }
}

/// Parses every certificate.
fn parse_all<'a>(
    chain: &'a [CertificateDer<'_>],
    path: &Path,
) -> Result<Vec<X509Certificate<'a>>, CertificateError> {
    let mut parsed = Vec::with_capacity(chain.len());
    for (at, der) in chain.iter().enumerate() {
        match X509Certificate::from_der(der) {
            Ok((_, certificate)) => parsed.push(certificate),
            // The parser's own words name ASN.1 tags, which help nobody here.
            Err(_) => {
                let number = at.saturating_add(1);
                return Err(CertificateError::Damaged {
                    path: path.to_owned(),
                    detail: format!("certificate number {number} is not an X.509 certificate"),
                });
            }
        }
    }
    Ok(parsed)
}

/// Checks that the key is the leaf's.
fn check_key(
    certified: &CertifiedKey,
    leaf: &X509Certificate<'_>,
    chain_path: &Path,
    key_path: &Path,
) -> Result<(), CertificateError> {
    let belongs = |der: &CertificateDer<'static>| {
        CertifiedKey::new(vec![der.clone()], certified.key.clone()).keys_match()
    };
    match certified.keys_match() {
        Ok(()) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let position = certified.cert.iter().position(|der| belongs(der).is_ok());
            Err(match position {
                Some(at) => CertificateError::Order {
                    chain: chain_path.to_owned(),
                    position: at.saturating_add(1),
                },
                None => CertificateError::KeyMismatch {
                    chain: chain_path.to_owned(),
                    key: key_path.to_owned(),
                    subject: leaf.subject().to_string(),
                },
            })
        }
        Err(error) => Err(CertificateError::Damaged {
            path: chain_path.to_owned(),
            detail: format!("certificate number 1 cannot be used ({error})"),
        }),
    }
}

/// Checks that the leaf is valid at `now`.
fn check_validity(
    leaf: &X509Certificate<'_>,
    path: &Path,
    now: Timestamp,
) -> Result<(), CertificateError> {
    let from = time(leaf.validity().not_before.timestamp());
    let since = time(leaf.validity().not_after.timestamp());
    if now < from {
        return Err(CertificateError::NotYetValid {
            path: path.to_owned(),
            from,
            now,
        });
    }
    if now > since {
        return Err(CertificateError::Expired {
            path: path.to_owned(),
            since,
        });
    }
    Ok(())
}

/// What may fail at a client.
fn doubts(
    chain: &[X509Certificate<'_>],
    path: &Path,
    now: Timestamp,
    roots: &[CertificateDer<'_>],
) -> Vec<String> {
    let Some(leaf) = chain.first() else {
        return Vec::new();
    };
    let file = path.display();
    let mut warnings = Vec::new();
    let left = time(leaf.validity().not_after.timestamp()).millis() - now.millis();
    if left < EXPIRY_WARN_DAYS * DAY_MS {
        let days = left / DAY_MS;
        warnings.push(format!(
            "the certificate in {file} expires in {days} days: renew it"
        ));
    }
    if names(leaf).is_empty() {
        warnings.push(format!("the certificate in {file} names no host (no subjectAltName): clients will refuse it; have it issued anew with the host's name"));
    }
    if leaf.signature_algorithm.algorithm == OID_PKCS1_SHA1WITHRSA {
        warnings.push(format!("the certificate in {file} is signed with SHA-1: clients will refuse it; have it issued anew with SHA-256"));
    }
    for (at, pair) in chain.windows(2).enumerate() {
        let [below, above] = pair else { continue };
        let (below_number, above_number) = (at.saturating_add(1), at.saturating_add(2));
        if below.issuer() != above.subject() {
            warnings.push(format!(
                "certificate {below_number} in {file} was issued by \"{}\", and certificate {above_number} is not its: put the issuer's certificate (the intermediate) after certificate {below_number}",
                below.issuer()
            ));
        } else if is_forged(below, above) {
            warnings.push(format!("certificate {above_number} in {file} has the name of the issuer of certificate {below_number} but another key: use the issuer's current certificate"));
        }
        if time(above.validity().not_after.timestamp()) < now {
            warnings.push(format!("certificate {above_number} in {file} (\"{}\") has expired: replace it by the issuer's current certificate", above.subject()));
        }
    }
    if chain.len() == 1 {
        warnings.extend(lonely(leaf, path, roots));
    }
    warnings
}

/// What is doubtful about a certificate that stands alone in its file.
fn lonely(leaf: &X509Certificate<'_>, path: &Path, roots: &[CertificateDer<'_>]) -> Option<String> {
    let file = path.display();
    if leaf.issuer() == leaf.subject() {
        return Some(format!(
            "the certificate in {file} is self-signed: only clients that trust this very certificate will connect"
        ));
    }
    let known = roots.iter().any(|root| {
        X509Certificate::from_der(root)
            .is_ok_and(|(_, root)| root.subject() == leaf.issuer() && !is_forged(leaf, &root))
    });
    (!known).then(|| {
        format!(
            "{file} holds only the server's certificate, issued by \"{}\", which is not a root that this machine trusts: if that is an intermediate, append its certificate to {file}, else clients will refuse the connection",
            leaf.issuer()
        )
    })
}

/// Whether `above`'s key provably did not sign `below`. An algorithm that cannot be checked here proves nothing.
fn is_forged(below: &X509Certificate<'_>, above: &X509Certificate<'_>) -> bool {
    let checked = below.verify_signature(Some(above.public_key()));
    matches!(checked, Err(X509Error::SignatureVerificationError))
}

/// The host names and addresses in a certificate.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
            _ => None,
        })
        .collect()
}

/// An address as a certificate spells it (RFC 5280 §4.2.1.6).
fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// A certificate's time.
pub(super) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1_000))
}

/// SHA-256 in the form in which other tools print it.
fn fingerprint(der: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    let bytes: Vec<String> = digest.as_ref().iter().map(|b| format!("{b:02X}")).collect();
    bytes.join(":")
}
