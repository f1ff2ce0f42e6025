//! What each refusal says to whom.

use std::net::IpAddr;
use std::net::Ipv4Addr;

use crate::auth::refusal::Counted;
use crate::auth::refusal::Malformation;
use crate::auth::refusal::Refusal;
use crate::auth::refusal::Unavailable;
use crate::auth::refusal::UnknownToken;
use crate::auth::refusal::UrlName;
use crate::base::clock::Timestamp;
use crate::base::ident::TokenId;
use crate::store::row::Scope;

/// Each refusal with what the client and the log are told.
#[expect(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<(Refusal, u16, Option<&'static str>, &'static str)> {
    let id = TokenId::parse("aaaaaaaaab").unwrap();
    let at = Timestamp::from_millis(0);
    let asked = || UrlName::new("one");
    let plain = Some(r#"Bearer realm="rollcall""#);
    let request = Some(r#"Bearer realm="rollcall", error="invalid_request""#);
    let token = Some(r#"Bearer realm="rollcall", error="invalid_token""#);
    let by_address = Counted::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let scope = |has, needs| Refusal::Scope { id, has, needs };
    let throttled = |by| Refusal::Throttled {
        by,
        retry_after_s: 7,
    };
    vec![
        (
            Refusal::Missing {
                other_scheme: false,
            },
            401,
            plain,
            "no Authorization header",
        ),
        (
            Refusal::Missing { other_scheme: true },
            401,
            plain,
            "an Authorization header with another scheme than Bearer",
        ),
        (
            Refusal::Malformed(Malformation::SeveralHeaders),
            400,
            request,
            "more than one Authorization header",
        ),
        (
            Refusal::Malformed(Malformation::Empty),
            400,
            request,
            "Bearer without a token",
        ),
        (
            Refusal::Malformed(Malformation::Space),
            400,
            request,
            "white space within the token",
        ),
        (Refusal::InQuery, 400, request, "a token in the URL"),
        (
            Refusal::Truncated { chars: Some(40) },
            401,
            token,
            "a token cut off after 40 of 64 characters",
        ),
        (
            Refusal::Truncated { chars: None },
            401,
            token,
            "a token whose check does not fit",
        ),
        (
            Refusal::Unknown(UnknownToken::Foreign),
            401,
            token,
            "not a Rollcall token",
        ),
        (
            Refusal::Unknown(UnknownToken::Jwt),
            401,
            token,
            "a JWT: the field Secret Token in Entra may be empty",
        ),
        (
            Refusal::Unknown(UnknownToken::Id(id)),
            401,
            token,
            "no token aaaaaaaaab",
        ),
        (
            Refusal::WrongSecret { id },
            401,
            token,
            "wrong secret for token aaaaaaaaab",
        ),
        (
            Refusal::Revoked { id, at },
            401,
            token,
            "token aaaaaaaaab was revoked at 1970-01-01T00:00:00.000Z",
        ),
        (
            Refusal::Expired { id, at },
            401,
            token,
            "token aaaaaaaaab expired at 1970-01-01T00:00:00.000Z",
        ),
        (
            Refusal::WrongDirectory { id, asked: asked() },
            401,
            token,
            "token aaaaaaaaab does not belong to directory \"one\"",
        ),
        (
            Refusal::DirectoryUnknown { asked: asked() },
            401,
            token,
            "no directory \"one\"",
        ),
        (
            Refusal::DirectoryDisabled { id },
            403,
            None,
            "the directory of token aaaaaaaaab is disabled",
        ),
        (
            scope(Scope::Read, Scope::Provision),
            403,
            Some(r#"Bearer realm="rollcall", error="insufficient_scope", scope="provision""#),
            "token aaaaaaaaab has scope read, the request needs provision",
        ),
        (
            scope(Scope::Health, Scope::Read),
            403,
            Some(r#"Bearer realm="rollcall", error="insufficient_scope", scope="read""#),
            "token aaaaaaaaab has scope health, the request needs read",
        ),
        (
            throttled(by_address),
            429,
            None,
            "too many refusals for 127.0.0.1, for another 7 s",
        ),
        (
            throttled(Counted::Token(id)),
            429,
            None,
            "too many wrong secrets for token aaaaaaaaab, for another 7 s",
        ),
        (
            Refusal::Unavailable(Unavailable::LineFull),
            503,
            None,
            "too many tokens are being checked for the first time at once",
        ),
        (
            Refusal::Unavailable(Unavailable::Hash(id)),
            503,
            None,
            "the stored hash of token aaaaaaaaab cannot be checked",
        ),
    ]
}

#[test]
fn status_challenge_and_log_follow_from_the_refusal() {
    for (refusal, status, challenge, log) in table() {
        assert_eq!(refusal.status(), status, "{refusal:?}");
        assert_eq!(refusal.challenge(), challenge, "{refusal:?}");
        assert_eq!(refusal.log_detail().to_string(), log, "{refusal:?}");
        let retry = matches!(status, 429 | 503);
        assert_eq!(refusal.retry_after_s().is_some(), retry, "{refusal:?}");
    }
}

#[test]
fn the_client_learns_no_id_name_or_address() {
    for (refusal, ..) in table() {
        let detail = refusal.detail();
        for secret in ["aaaaaaaaab", "\"one\"", "127.0.0.1", "1970"] {
            assert!(!detail.contains(secret), "{detail}");
        }
    }
}

#[test]
fn who_has_no_secret_cannot_tell_tokens_and_directories_apart() {
    let id = TokenId::parse("aaaaaaaaab").unwrap();
    let asked = UrlName::new("one");
    let unknown = Refusal::Unknown(UnknownToken::Id(id));
    for refusal in [
        Refusal::WrongSecret { id },
        Refusal::WrongDirectory {
            id,
            asked: asked.clone(),
        },
        Refusal::DirectoryUnknown { asked },
    ] {
        assert_eq!(refusal.status(), unknown.status());
        assert_eq!(refusal.challenge(), unknown.challenge());
        assert_eq!(refusal.detail(), unknown.detail());
    }
}

#[test]
fn a_name_from_a_url_cannot_spoil_a_log_line() {
    let asked = UrlName::new(&format!("a\n\u{1b}[31m{}", "x".repeat(1_000)));
    let log = Refusal::DirectoryUnknown { asked }.log_detail().to_string();
    assert!(
        log.starts_with(r#"no directory "a\n\u{1b}[31mxxx"#),
        "{log}"
    );
    assert!(log.len() < 100 && !log.contains(char::is_control), "{log}");
}
