//! Why a certificate and its key cannot be used, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::base::clock::Timestamp;

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Certificates.
    Chain,
    /// The private key.
    Key,
}

impl Part {
    /// In a sentence.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Chain => "certificate chain",
            Self::Key => "private key",
        }
    }

    /// In the configuration.
    const fn setting(self) -> &'static str {
        match self {
            Self::Chain => "tls.chain",
            Self::Key => "tls.key",
        }
    }
}

/// Why certificate and key cannot be used. `Display` says what is wrong, [`CertificateError::fix`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("the {} {} cannot be read: {source}", part.words(), path.display())]
    Unreadable {
        /// Which of the two.
        part: Part,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file has no PEM section of the kind it should have.
    #[error("{} holds no {}: {found}", path.display(), match part { Part::Chain => "certificate", Part::Key => "private key" })]
    Nothing {
        /// Which of the two.
        part: Part,
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        found: &'static str,
    },
    /// PEM with damage.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and how.
        detail: String,
    },
    /// The key needs a passphrase.
    #[error("the private key {} is protected by a passphrase", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// A key of a kind or size that TLS clients do not take.
    #[error("the private key {} cannot be used: it is neither RSA of 2048 to 8192 bits, nor ECDSA on P-256 or P-384, nor Ed25519", path.display())]
    KeyKind {
        /// The file.
        path: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error("the private key {} does not belong to the certificate in {} (subject: {subject})", key.display(), chain.display())]
    KeyMismatch {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Whose certificate it is.
        subject: String,
    },
    /// The key belongs to a certificate further down.
    #[error("the certificates in {} are in the wrong order: the private key belongs to number {position}", chain.display())]
    Order {
        /// The certificate's file.
        chain: PathBuf,
        /// Which it is, counted from 1.
        position: usize,
    },
    /// Too old.
    #[error("the certificate in {} expired at {since}", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        since: Timestamp,
    },
    /// Too young.
    #[error("the certificate in {} is not valid before {from}, and this machine's clock shows {now}", path.display())]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// From when.
        from: Timestamp,
        /// What the clock shows.
        now: Timestamp,
    },
}

impl CertificateError {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Unreadable { part, source, .. } => {
                let setting = part.setting();
                match source.kind() {
                    io::ErrorKind::NotFound => format!("correct {setting}, or put the file there"),
                    io::ErrorKind::PermissionDenied => "let the user that Rollcall runs as read the file and enter its folders: chgrp rollcall FILE; chmod 640 FILE".to_owned(),
                    _ => format!("correct {setting}, or the file"),
                }
            }
            Self::Nothing { part, .. } => match part {
                Part::Chain => "put the server's certificate and the intermediates after it into the file, as PEM text (-----BEGIN CERTIFICATE-----)".to_owned(),
                Part::Key => "point tls.key at the file with the key, as PEM text (-----BEGIN PRIVATE KEY-----)".to_owned(),
            },
            Self::Damaged { path, .. } => format!("export it again; to look at it: openssl x509 -in {} -noout -text", path.display()),
            Self::Encrypted { path } => format!("take the passphrase off: openssl pkey -in {} -out NEW_FILE; chmod 640 NEW_FILE", path.display()),
            Self::KeyKind { .. } => "have a certificate issued for a new key: openssl ecparam -name prime256v1 -genkey -noout -out NEW_FILE".to_owned(),
            Self::KeyMismatch { .. } => "use the key with which this certificate was requested, or request a certificate for this key".to_owned(),
            Self::Order { .. } => "put the server's own certificate first, then the one that issued it, and so on".to_owned(),
            Self::Expired { .. } => "renew the certificate, then: systemctl reload rollcall".to_owned(),
            Self::NotYetValid { .. } => "set the clock (timedatectl), or wait".to_owned(),
        }
    }
}
