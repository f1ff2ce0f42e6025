//! From a request's `Authorization` headers to the one token it presents (RFC 6750 §2).
//!
//! Form-body tokens (§2.2) are not offered; a token in the URL (§2.3) is refused, since URLs are logged on
//! the way.

use crate::auth::refusal::Malformation;
use crate::auth::refusal::Refusal;
use crate::auth::refusal::UnknownToken;
use crate::auth::token::TokenForm;
use crate::auth::token::TokenFormError;

/// A request's token: in form, not yet checked.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The token.
    pub(super) token: TokenForm<'a>,
}

/// Finds the token among the values of all `Authorization` headers. `in_query` tells whether the URL holds one,
/// as [`in_query`] finds out.
///
/// # Errors
///
/// A [`Refusal`] that says what is wrong with the way the token is presented.
pub fn present<'a>(
    headers: impl IntoIterator<Item = &'a [u8]>,
    in_query: bool,
) -> Result<Presented<'a>, Refusal> {
    if in_query {
        return Err(Refusal::InQuery);
    }
    let mut headers = headers.into_iter();
    let Some(header) = headers.next() else {
        return Err(Refusal::Missing {
            other_scheme: false,
        });
    };
    if headers.next().is_some() {
        return Err(Refusal::Malformed(Malformation::SeveralHeaders));
    }
    let header = header.trim_ascii();
    let (scheme, credentials) = match header.iter().position(u8::is_ascii_whitespace) {
        Some(at) => header.split_at_checked(at).unwrap_or((header, b"")),
        None => (header, b"".as_slice()),
    };
    // RFC 9110 §11.1: the scheme's name is case-insensitive. Another scheme counts as no credential
    // (RFC 6750 §3.1: "an unsupported authentication method").
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Err(Refusal::Missing { other_scheme: true });
    }
    let credentials = credentials.trim_ascii();
    if credentials.is_empty() {
        return Err(Refusal::Malformed(Malformation::Empty));
    }
    let Ok(credentials) = std::str::from_utf8(credentials) else {
        return Err(Refusal::Unknown(UnknownToken::Foreign));
    };
    TokenForm::parse(credentials)
        .map(|token| Presented { token })
        .map_err(|error| form_refusal(credentials, error))
}

/// Whether a URL's query carries a credential: RFC 6750's parameter, or any value with the form of a token.
pub fn in_query<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
    parameters.into_iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("access_token") || TokenForm::parse(value).is_ok()
    })
}

/// The refusal for credentials that are no token.
pub(super) fn form_refusal(credentials: &str, error: TokenFormError) -> Refusal {
    match error {
        TokenFormError::Truncated { chars } => Refusal::Truncated { chars: Some(chars) },
        TokenFormError::Altered if has_space(credentials) => {
            Refusal::Malformed(Malformation::Space)
        }
        TokenFormError::Altered => Refusal::Truncated { chars: None },
        TokenFormError::NotAToken if is_jwt(credentials) => Refusal::Unknown(UnknownToken::Jwt),
        TokenFormError::NotAToken if has_space(credentials) => {
            Refusal::Malformed(Malformation::Space)
        }
        TokenFormError::NotAToken => Refusal::Unknown(UnknownToken::Foreign),
    }
}

/// Whether `text` has white space in it.
fn has_space(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_whitespace())
}

/// Whether `text` looks like a signed JWT: three parts, the first a JSON object in base64url.
/// Entra sends one when its field Secret Token was left empty.
fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.matches('.').count() == 2
}

#[cfg(test)]
mod tests {
    use crate::auth::present::in_query;
    use crate::auth::present::present;
    use crate::auth::refusal::Malformation;
    use crate::auth::refusal::Refusal;
    use crate::auth::refusal::UnknownToken;

    /// A token in form.
    const TOKEN: &str = "rc_aaaaaaaaab_0000000000000000000000000000000000000000002_1qOK0B";

    #[test]
    fn a_token_is_found_however_the_scheme_is_written() {
        for header in [
            format!("Bearer {TOKEN}"),
            format!("bearer {TOKEN}"),
            format!("BEARER   {TOKEN} "),
            format!("Bearer\t{TOKEN}"),
            format!("Bearer Bearer {TOKEN}"),
        ] {
            match present([header.as_bytes()], false) {
                Ok(presented) => assert_eq!(presented.token.id().as_str(), "aaaaaaaaab"),
                Err(refusal) => panic!("{header}: {refusal:?}"),
            }
        }
    }

    #[test]
    fn each_way_to_present_nothing_usable_has_its_refusal() {
        let unknown = Refusal::Unknown;
        let malformed = Refusal::Malformed;
        let missing = |other_scheme| Refusal::Missing { other_scheme };
        let twice = format!("Bearer {TOKEN}, Bearer {TOKEN}");
        let (start, end) = TOKEN.split_at(30);
        let broken = format!("Bearer {start} {end}");
        let good = format!("Bearer {TOKEN}");
        let two: Vec<&[u8]> = vec![good.as_bytes(), good.as_bytes()];
        let rows: Vec<(Vec<&[u8]>, Refusal)> = vec![
            (vec![], missing(false)),
            (vec![b""], missing(true)),
            (vec![b"Basic dTpw"], missing(true)),
            (vec![TOKEN.as_bytes()], missing(true)),
            (vec![b"Bearer"], malformed(Malformation::Empty)),
            (vec![b"Bearer  "], malformed(Malformation::Empty)),
            (two, malformed(Malformation::SeveralHeaders)),
            (vec![twice.as_bytes()], malformed(Malformation::Space)),
            (vec![broken.as_bytes()], malformed(Malformation::Space)),
            (vec![b"Bearer a b"], malformed(Malformation::Space)),
            (
                vec![b"Bearer rc_abc"],
                Refusal::Truncated { chars: Some(6) },
            ),
            (vec![b"Bearer hunter2"], unknown(UnknownToken::Foreign)),
            (vec![b"Bearer \xff\xfe"], unknown(UnknownToken::Foreign)),
            (
                vec![b"Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln"],
                unknown(UnknownToken::Jwt),
            ),
        ];
        for (headers, expected) in rows {
            let given = headers
                .iter()
                .map(|h| h.escape_ascii().to_string())
                .collect::<Vec<_>>();
            assert_eq!(present(headers, false).err(), Some(expected), "{given:?}");
        }
    }

    #[test]
    fn a_token_in_the_url_is_refused_even_beside_a_good_header() {
        let good = format!("Bearer {TOKEN}");
        assert_eq!(
            present([good.as_bytes()], true).err(),
            Some(Refusal::InQuery)
        );
        for (parameters, expected) in [
            (vec![], false),
            (
                vec![("filter", "userName eq \"x\""), ("aadOptscim062020", "")],
                false,
            ),
            (vec![("access_token", "x")], true),
            (vec![("Access_Token", "")], true),
            (vec![("t", TOKEN)], true),
        ] {
            assert_eq!(in_query(parameters.clone()), expected, "{parameters:?}");
        }
    }
}
