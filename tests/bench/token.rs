//! A token that is wrong and looks right.

/// Digits of the check of a token, base 62, least first.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `token` with another secret. One of Rollcall's form gets the check that goes with it, as somebody who guesses would do:
/// a check that does not fit is refused before anything is looked up.
pub fn wrong(token: &str) -> String {
    let mut parts = token.split('_');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("rc"), Some(id), Some(secret), Some(_check)) => {
            let other: String = secret.chars().rev().collect();
            let checked = format!("rc_{id}_{other}");
            let check = check_digits(crc32fast::hash(checked.as_bytes()));
            format!("{checked}_{check}")
        }
        _ => format!("wrong-{token}"),
    }
}

/// Six digits in base 62, most significant first.
fn check_digits(mut crc: u32) -> String {
    let mut digits = Vec::new();
    for _ in 0..6 {
        let digit = usize::try_from(crc % 62).ok();
        let digit = digit.and_then(|digit| DIGITS.get(digit)).copied();
        digits.push(char::from(digit.unwrap_or(b'0')));
        crc /= 62;
    }
    digits.iter().rev().collect()
}
