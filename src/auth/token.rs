//! The form of a token: how a new one is written and how a presented one is read.
//!
//! ```text
//! rc_<id: 10 of a-z2-7>_<secret: 43 of 0-9A-Za-z, 256 bits>_<check: 6 of 0-9A-Za-z>      64 characters
//! ```
//!
//! The check is the CRC-32 (IEEE) of everything before the last `_`, in base 62, most significant
//! digit first. It is no secret and proves nothing; it tells a paste that lost its end from a token
//! that is simply wrong. Whether the secret is right is for `verify.rs` to say.

use zeroize::Zeroize;
use zeroize::Zeroizing;

use crate::base::ident::IdSource;
use crate::base::ident::TokenId;
use crate::base::secret::Secret;

/// What every token begins with, so that secret scanners can find one that leaked.
const PREFIX: &str = "rc_";
/// Length of a token, in characters (all of them ASCII).
pub const TOKEN_CHARS: usize = 64;
/// Length of the secret part: 62^43 is the first power of 62 above 2^256.
const SECRET_CHARS: usize = 43;
/// Length of the check: 62^6 is above 2^32.
const CHECK_CHARS: usize = 6;
/// How much of a token its check covers: everything before the last `_`.
const CHECKED_CHARS: usize = TOKEN_CHARS - CHECK_CHARS - 1;
/// The digits of base 62, least first.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A text that has the form of a token and whose check fits. Says nothing of whether it was ever issued.
#[derive(Clone, Copy)]
pub struct TokenForm<'a> {
    /// The public part, by which the token is found.
    id: TokenId,
    /// The part that only its holder knows.
    secret: &'a str,
}

impl<'a> TokenForm<'a> {
    /// Reads a token. Space around it, and one leading `Bearer ` that was pasted along, are not counted.
    ///
    /// # Errors
    ///
    /// [`TokenFormError`] tells what became of it on the way here.
    pub fn parse(text: &'a str) -> Result<Self, TokenFormError> {
        if let Some(whole) = Self::whole(text) {
            return Ok(whole);
        }
        let text = without_scheme(text);
        let Some(rest) = text.strip_prefix(PREFIX) else {
            return Err(TokenFormError::NotAToken);
        };
        let chars = text.chars().count();
        if chars < TOKEN_CHARS {
            return Err(TokenFormError::Truncated { chars });
        }
        let mut parts = rest.split('_');
        let (Some(id), Some(secret), Some(check), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFormError::Altered);
        };
        let plain =
            secret.len() == SECRET_CHARS && secret.bytes().all(|b| b.is_ascii_alphanumeric());
        let (Some(id), true, Some(checked)) = (
            TokenId::parse(id),
            plain,
            text.as_bytes().get(..CHECKED_CHARS),
        ) else {
            return Err(TokenFormError::Altered);
        };
        if check.as_bytes() != check_digits(checked) {
            return Err(TokenFormError::Altered);
        }
        Ok(Self { id, secret })
    }

    /// Reads a token that stands alone and is whole, which nearly every one is. Says nothing of what
    /// is wrong with another.
    fn whole(text: &'a str) -> Option<Self> {
        if text.len() != TOKEN_CHARS || !text.is_ascii() {
            return None;
        }
        let (id, rest) = text
            .strip_prefix(PREFIX)?
            .split_at_checked(TokenId::CHARS)?;
        let (secret, rest) = rest.strip_prefix('_')?.split_at_checked(SECRET_CHARS)?;
        let check = rest.strip_prefix('_')?;
        let plain = secret
            .bytes()
            .fold(true, |plain, b| plain & b.is_ascii_alphanumeric());
        let checked = text.as_bytes().get(..CHECKED_CHARS)?;
        let id = TokenId::parse(id)?;
        (plain && check.as_bytes() == check_digits(checked)).then_some(Self { id, secret })
    }

    /// The public part.
    pub const fn id(&self) -> TokenId {
        self.id
    }

    /// The whole token once more, for a check that happens later. Wiped when dropped.
    pub fn to_text(self) -> Zeroizing<String> {
        let mut text = String::with_capacity(TOKEN_CHARS);
        push_checked(&mut text, self.id, self.secret.chars());
        push_check(&mut text);
        Zeroizing::new(text)
    }

    /// The secret part, as text. Every caller is a place to review.
    pub const fn secret(&self) -> &'a str {
        self.secret
    }
}

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFormError {
    /// It begins like a token and ends too soon.
    #[error("the token is cut off: {chars} of 64 characters are there")]
    Truncated {
        /// How many characters there are.
        chars: usize,
    },
    /// It begins like a token, but its check does not fit: a character was lost, added or changed.
    #[error("the token is damaged: a character was lost, added or changed since it was issued")]
    Altered,
    /// It does not begin like a token at all.
    #[error("not a Rollcall token: those begin with rc_ and have 64 characters")]
    NotAToken,
}

/// A token just made. Its text exists nowhere else.
pub struct Minted {
    /// The public part.
    pub id: TokenId,
    /// The whole token, to be shown once.
    pub text: Secret<String>,
}

/// Makes a token with chance from `ids`.
pub fn mint(ids: &dyn IdSource) -> Minted {
    let id = TokenId::random(ids);
    let mut bytes = [0; 32];
    ids.fill(&mut bytes);
    let mut digits = secret_digits(&mut bytes);
    // Full capacity at once: growing would leave copies of the secret behind in freed memory.
    let mut text = String::with_capacity(TOKEN_CHARS);
    push_checked(&mut text, id, digits.iter().copied().map(char::from));
    push_check(&mut text);
    digits.zeroize();
    Minted {
        id,
        text: Secret::new(text),
    }
}

/// Writes what the check covers.
fn push_checked(text: &mut String, id: TokenId, secret: impl Iterator<Item = char>) {
    text.push_str(PREFIX);
    text.push_str(id.as_str());
    text.push('_');
    text.extend(secret);
}

/// Writes the check over what is there.
fn push_check(text: &mut String) {
    let check = check_digits(text.as_bytes());
    text.push('_');
    text.extend(check.into_iter().map(char::from));
}

/// `text` without space around it and without one leading `Bearer `, in whatever case.
fn without_scheme(text: &str) -> &str {
    let text = text.trim_ascii();
    match text.split_once([' ', '\t']) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim_ascii_start(),
        _ => text,
    }
}

/// The number in `bytes` (most significant first) in base 62. Leaves zeros behind.
fn secret_digits(bytes: &mut [u8; 32]) -> [u8; SECRET_CHARS] {
    let mut digits = [b'0'; SECRET_CHARS];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u16;
        for byte in &mut *bytes {
            let value = (remainder << 8) | u16::from(*byte);
            // The remainder is below 62, so the quotient is below 256.
            *byte = u8::try_from(value / 62).unwrap_or_default();
            remainder = value % 62;
        }
        *digit = base62(u32::from(remainder));
    }
    digits
}

/// The check over `checked`: its CRC-32 in base 62, most significant digit first.
fn check_digits(checked: &[u8]) -> [u8; CHECK_CHARS] {
    let mut rest = crc32fast::hash(checked);
    let mut digits = [b'0'; CHECK_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = base62(rest % 62);
        rest /= 62;
    }
    digits
}

/// The digit for `value`, which is below 62.
fn base62(value: u32) -> u8 {
    let at = usize::try_from(value).unwrap_or_default();
    DIGITS.get(at).copied().unwrap_or(b'0')
}

/// A token in form with the id `id` and the secret of the token `text`. For tests.
#[cfg(test)]
pub fn recombine(id: TokenId, text: &str) -> String {
    let secret = TokenForm::parse(text).map_or("", |token| token.secret());
    TokenForm { id, secret }.to_text().to_string()
}

#[cfg(test)]
mod tests;
