//! Writing and reading tokens.

use crate::auth::token::TokenForm;
use crate::auth::token::TokenFormError;
use crate::auth::token::mint;
use crate::auth::token::secret_digits;
use crate::base::ident::CountedIds;
use crate::base::ident::RandomIds;

/// The first token that counted ids make.
const FIRST: &str = "rc_aaaaaaaaab_0000000000000000000000000000000000000000002_1qOK0B";

/// The first characters of it.
fn start(chars: usize) -> &'static str {
    FIRST.split_at(chars).0
}

#[test]
fn a_token_is_64_characters_and_reads_back() {
    let minted = mint(&CountedIds::default());
    assert_eq!(minted.text.expose(), FIRST);
    let ids = RandomIds::default();
    for _ in 0..100 {
        let minted = mint(&ids);
        let text = minted.text.expose();
        assert_eq!(text.len(), 64, "{text}");
        let form = TokenForm::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(form.id(), minted.id);
        assert_eq!(Some(form.secret()), text.get(14..57));
        assert_eq!(*form.to_text(), *text);
    }
}

#[test]
fn a_secret_is_the_number_in_base_62() {
    for (last_bytes, digits) in [
        ([0, 0], "00"),
        ([0, 61], "0z"),
        ([0, 62], "10"),
        ([15, 3], "zz"),
    ] {
        let mut bytes = [0; 32];
        bytes[30..].copy_from_slice(&last_bytes);
        let text = secret_digits(&mut bytes);
        let (zeros, end) = text.split_at(41);
        assert_eq!(end, digits.as_bytes(), "{last_bytes:?}");
        assert!(zeros.iter().all(|digit| *digit == b'0'), "{last_bytes:?}");
    }
    // 2^256 - 1, worked out with another program.
    assert_eq!(
        secret_digits(&mut [0xff; 32]),
        *b"yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1"
    );
}

#[test]
fn what_was_pasted_along_does_not_matter() {
    for text in [
        FIRST.to_owned(),
        format!(" {FIRST}\r\n"),
        format!("Bearer {FIRST}"),
        format!("bearer   {FIRST} "),
        format!("\tBEARER\t{FIRST}"),
    ] {
        let form = TokenForm::parse(&text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(form.id().as_str(), "aaaaaaaaab", "{text:?}");
    }
}

#[test]
fn every_shorter_paste_is_recognised() {
    for chars in 0..64 {
        let expected = if chars < 3 {
            TokenFormError::NotAToken
        } else {
            TokenFormError::Truncated { chars }
        };
        assert_eq!(
            TokenForm::parse(start(chars)).err(),
            Some(expected),
            "{chars}"
        );
    }
}

#[test]
fn every_changed_character_is_recognised() {
    for at in 3..64 {
        let mut text = FIRST.to_owned();
        let other = if text.get(at..=at) == Some("a") {
            "b"
        } else {
            "a"
        };
        text.replace_range(at..=at, other);
        assert_eq!(
            TokenForm::parse(&text).err(),
            Some(TokenFormError::Altered),
            "{text}"
        );
    }
}

#[test]
fn other_texts_are_told_apart() {
    use TokenFormError::Altered;
    use TokenFormError::NotAToken;
    use TokenFormError::Truncated;
    for (text, expected) in [
        (String::new(), NotAToken),
        ("Bearer".to_owned(), NotAToken),
        (
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln".to_owned(),
            NotAToken,
        ),
        (FIRST.to_ascii_uppercase(), NotAToken),
        (format!("Bearer Bearer {FIRST}"), NotAToken),
        (format!("{FIRST}{FIRST}"), Altered),
        (format!("{FIRST} {FIRST}"), Altered),
        (FIRST.replace('_', "-").replacen('-', "_", 1), Altered),
        (format!("{}ä", start(63)), Altered),
        (format!("{}…", start(20)), Truncated { chars: 21 }),
    ] {
        assert_eq!(TokenForm::parse(&text).err(), Some(expected), "{text:?}");
    }
}
