//! What is kept of a token's secret, and how a presented secret is compared with it.
//!
//! Two things are kept. The argon2id hash (RFC 9106) decides. The digest, 24 bits of an HMAC under a key of this
//! installation, only saves work: a wrong secret fails it almost always, within a microsecond, so that a flood of
//! wrong tokens never gets to argon2. Its 24 bits tell a thief of the store nothing useful about 256.

use argon2::Algorithm;
use argon2::Argon2;
use argon2::Params;
use argon2::PasswordHash;
use argon2::PasswordHasher;
use argon2::PasswordVerifier;
use argon2::Version;
use argon2::password_hash;
use ring::hmac;

use crate::auth::AuthError;

/// How expensive a hash is made. Hashes carry their own cost, so changing this touches new tokens only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for HashCost {
    /// The second choice of RFC 9106 §4 scaled to a small machine: 19 MiB, two passes, one lane (OWASP's minimum).
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
        }
    }
}

/// Makes the hash to keep of `secret`, as a PHC string. Takes tens of milliseconds at the default cost.
///
/// # Errors
///
/// [`AuthError::Hash`] when the cost is out of argon2's range or its memory cannot be had.
pub fn hash(secret: &str, salt: &[u8; 16], cost: HashCost) -> Result<String, AuthError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
        .map_err(|error| AuthError::Hash(error.to_string()))?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(secret.as_bytes(), salt)
        .map(|hash| hash.to_string())
        .map_err(|error| AuthError::Hash(error.to_string()))
}

/// Whether `secret` is the one that `hash` was made of. Takes as long as [`hash`] did.
///
/// # Errors
///
/// [`AuthError::Hash`] when the hash cannot be read or its memory cannot be had: nobody's secret was wrong.
pub fn fits(secret: &str, hash: &str) -> Result<bool, AuthError> {
    let hash = PasswordHash::new(hash).map_err(|error| AuthError::Hash(error.to_string()))?;
    // A hash without its end is well-formed PHC, and argon2 would call every secret wrong.
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(AuthError::Hash("the hash is cut off".to_owned()));
    }
    // The cost comes from the hash, the context only lends its code.
    match Argon2::default().verify_password(secret.as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(AuthError::Hash(error.to_string())),
    }
}

/// The 24 bits of `secret` under `key` that are compared before argon2.
pub fn digest(key: &hmac::Key, secret: &str) -> [u8; 3] {
    let mut context = hmac::Context::with_key(key);
    // The label keeps these bits apart from anything else that may be made under the same key.
    context.update(b"rollcall token digest 1\0");
    context.update(secret.as_bytes());
    context
        .sign()
        .as_ref()
        .first_chunk()
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ring::hmac;

    use crate::auth::hash::HashCost;
    use crate::auth::hash::digest;
    use crate::auth::hash::fits;
    use crate::auth::hash::hash;

    /// As cheap as argon2 allows.
    const CHEAP: HashCost = HashCost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    #[test]
    fn a_hash_is_argon2id_with_its_cost_and_fits_its_secret_only() {
        let made = hash("secret", &[7; 16], CHEAP).unwrap();
        assert!(
            made.starts_with("$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$"),
            "{made}"
        );
        for (secret, expected) in [("secret", true), ("Secret", false), ("", false)] {
            assert_eq!(fits(secret, &made).unwrap(), expected, "{secret:?}");
        }
        let dear = hash("secret", &[7; 16], HashCost::default()).unwrap();
        assert!(
            dear.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{dear}"
        );
    }

    #[test]
    fn a_damaged_hash_is_an_error_and_not_a_wrong_secret() {
        for damaged in [
            "",
            "x",
            "$argon2id$",
            "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw",
        ] {
            assert!(fits("secret", damaged).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn a_digest_depends_on_key_and_secret() {
        let key = |byte| hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]);
        let of = digest(&key(1), "secret");
        assert_eq!(of, digest(&key(1), "secret"));
        assert_ne!(of, digest(&key(2), "secret"));
        assert_ne!(of, digest(&key(1), "secreT"));
    }
}
