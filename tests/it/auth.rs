//! Who is calling: tokens presented well and badly, scopes, revocation, and what the answer says (RFC 6750).

use serde_json::json;

use crate::harness::Appliance;
use crate::wire::Request;

#[test]
fn what_is_no_valid_token_is_refused_with_a_challenge() {
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let good = &directory.token;
    let cut = &good[..40];
    let last = if good.ends_with('A') { "B" } else { "A" };
    let damaged = format!("{}{last}", &good[..good.len() - 1]);
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    for (why, authorization, error) in [
        ("nothing presented", None, None),
        (
            "another scheme",
            Some("Basic dXNlcjpwYXNz".to_owned()),
            None,
        ),
        (
            "no token of ours",
            bearer("64d2b1f07c1e4a43"),
            Some("invalid_token"),
        ),
        ("a truncated paste", bearer(cut), Some("invalid_token")),
        (
            "one character is wrong",
            bearer(&damaged),
            Some("invalid_token"),
        ),
    ] {
        for path in [
            "/Users",
            "/Users/00000000-0000-4000-8000-000000000001",
            "/Nothing",
            "/ServiceProviderConfig",
        ] {
            let mut request = Request::new("GET", &format!("{}{path}", directory.base));
            if let Some(authorization) = &authorization {
                request = request.header("Authorization", authorization);
            }
            let answer = appliance.send(&request);
            answer.refusal(401, None, why);
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer"), "{why}: {challenge}");
            // RFC 6750 §3.1: without any credential the challenge carries no error.
            assert_eq!(
                challenge.contains("error="),
                error.is_some(),
                "{why}: {challenge}"
            );
            if let Some(error) = error {
                assert!(
                    challenge.contains(&format!("error=\"{error}\"")),
                    "{why}: {challenge}"
                );
            }
            assert!(
                !format!("{answer:?}").contains(&good[11..54]),
                "{why}: no secret in an answer"
            );
        }
    }
}

#[test]
fn a_truncated_paste_is_told_from_a_wrong_token() {
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let detail = |token: &str| {
        appliance
            .send(&Request::new("GET", &format!("{}/Users", directory.base)).bearer(token))
            .refusal(401, None, token)
    };
    assert_ne!(detail(&directory.token[..50]), detail("rc_wrong"));
}

#[test]
fn a_malformed_presentation_is_a_bad_request() {
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let users = format!("{}/Users", directory.base);
    let twice = Request::new("GET", &users)
        .bearer(&directory.token)
        .bearer(&directory.token);
    let query = Request::new("GET", &format!("{users}?access_token={}", directory.token));
    let both = Request::new("GET", &format!("{users}?access_token={}", directory.token))
        .bearer(&directory.token);
    for (why, request) in [
        ("two headers", twice),
        ("in the query", query),
        ("in the query and the header", both),
    ] {
        let answer = appliance.send(&request);
        answer.refusal(400, None, why);
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(
            challenge.contains("error=\"invalid_request\""),
            "{why}: {challenge}"
        );
        assert!(
            !format!("{answer:?}").contains(&directory.token),
            "{why}: the token is not repeated"
        );
    }
}

#[test]
fn the_scheme_is_read_without_regard_to_case_and_once_too_often() {
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer Bearer"] {
        let request = Request::new("GET", &format!("{}/Users", directory.base))
            .header("Authorization", &format!("{scheme} {}", directory.token));
        assert_eq!(appliance.send(&request).status, 200, "{scheme}");
    }
}

#[test]
fn scope_read_reads_and_does_not_write() {
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let token = appliance.token("entra", "read");
    let request = |method: &str, path: &str| {
        Request::new(method, &format!("{}{path}", directory.base)).bearer(&token)
    };
    for path in ["/Users", "/Groups", "/Schemas", "/ServiceProviderConfig"] {
        assert_eq!(appliance.send(&request("GET", path)).status, 200, "{path}");
    }
    let user = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "x"});
    let id = "00000000-0000-4000-8000-000000000001";
    for (method, path) in [
        ("POST", "/Users".to_owned()),
        ("PUT", format!("/Users/{id}")),
        ("PATCH", format!("/Users/{id}")),
        ("DELETE", format!("/Users/{id}")),
    ] {
        let answer = appliance.send(&request(method, &path).json(&user));
        answer.refusal(403, None, method);
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(
            challenge.contains("error=\"insufficient_scope\""),
            "{method}: {challenge}"
        );
    }
    let list = appliance.send(&directory.request("GET", "/Users")).json();
    assert_eq!(list["totalResults"], 0);
}

#[test]
fn a_revoked_token_stops_at_once_on_an_open_connection() {
    let mut appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let made = appliance.operate(&[
        "token",
        "create",
        "--directory",
        "entra",
        "--scope",
        "provision",
    ]);
    let (id, token) = (
        made["id"].as_str().unwrap(),
        made["token"].as_str().unwrap(),
    );
    let request = Request::new("GET", &format!("{}/Users", directory.base)).bearer(token);
    let mut wire = appliance.connect();
    assert_eq!(wire.send(&request).unwrap().status, 200);
    appliance.operate(&["token", "revoke", id, "--yes"]);
    wire.send(&request).unwrap().refusal(401, None, "revoked");
    drop(wire);
    appliance.restart();
    appliance
        .send(&request)
        .refusal(401, None, "revoked before the restart");
    assert_eq!(
        appliance.send(&directory.request("GET", "/Users")).status,
        200,
        "the other token works after it"
    );
}

#[test]
fn an_expired_token_stops() {
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let made = appliance.operate(&[
        "token",
        "create",
        "--directory",
        "entra",
        "--scope",
        "read",
        "--expires",
        "10m",
    ]);
    let request = Request::new("GET", &format!("{}/Users", directory.base))
        .bearer(made["token"].as_str().unwrap());
    let mut wire = appliance.connect();
    assert_eq!(wire.send(&request).unwrap().status, 200);
    appliance.advance(601_000);
    wire.send(&request).unwrap().refusal(401, None, "expired");
}

#[test]
fn a_token_has_the_documented_form() {
    let appliance = Appliance::start();
    let token = appliance.directory("entra", "entra").token;
    let parts: Vec<&str> = token.split('_').collect();
    assert_eq!(token.len(), 64);
    assert_eq!(
        parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
        [2, 10, 43, 6]
    );
    assert_eq!(parts[0], "rc");
    assert!(
        parts[1]
            .bytes()
            .all(|b| b"abcdefghijklmnopqrstuvwxyz234567".contains(&b))
    );
    assert!(
        parts[2]
            .bytes()
            .chain(parts[3].bytes())
            .all(|b| b.is_ascii_alphanumeric())
    );
}
