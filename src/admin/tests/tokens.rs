//! Making, describing and revoking tokens.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::admin::TokenRequest;
use crate::admin::tests::DAY_MS;
use crate::admin::tests::Fixture;
use crate::admin::tests::START_TEXT;
use crate::admin::tests::error;
use crate::admin::tests::json_of;

#[test]
fn a_token_is_shown_once_and_described_afterwards() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let request = TokenRequest {
        directory: "entra",
        scope: "provision",
        label: " Entra, production ",
        life: Some(Duration::from_secs(90 * 86_400)),
    };
    let created = fixture.admin.token_create(request, &fixture.actor).unwrap();
    let (id, token) = (created.id.clone(), created.token.clone());
    assert_eq!(
        json_of(created),
        json!({
            "id": id,
            "token": token,
            "tenant_url": "https://scim.corp.example/scim/entra/v2",
            "scope": "provision",
            "expires": "2024-02-12T22:13:20.000Z",
        })
    );
    assert!(
        token.starts_with(&format!("rc_{id}_")) && token.len() == 64,
        "{token}"
    );
    let item = |last_used: Value| {
        json!({
            "id": id,
            "directory": "entra",
            "tenant_url": "https://scim.corp.example/scim/entra/v2",
            "scope": "provision",
            "label": "Entra, production",
            "state": "live",
            "created": START_TEXT,
            "expires": "2024-02-12T22:13:20.000Z",
            "rotate_by": null,
            "revoked": null,
            "last_used": last_used,
        })
    };
    assert_eq!(
        json_of(fixture.admin.token_show(&id).unwrap()),
        item(Value::Null)
    );
    fixture.enter(&token, "entra");
    let used = item(json!({"at": START_TEXT, "from": "192.0.2.1"}));
    assert_eq!(json_of(fixture.admin.token_show(&id).unwrap()), used);
    let list = fixture.admin.token_list(Some("entra")).unwrap();
    assert_eq!(json_of(list), json!({"items": [used], "next": null}));
    let verdict = json!({
        "valid": true, "id": id, "token": used, "reason": null, "why": null, "fix": null,
    });
    assert_eq!(json_of(fixture.admin.token_verify(&token)), verdict);
    fixture.clock.advance(90 * DAY_MS);
    assert_eq!(fixture.admin.token_show(&id).unwrap().state, "expired");
}

#[test]
fn a_token_that_makes_no_sense_is_refused() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let good = TokenRequest {
        directory: "entra",
        scope: "read",
        label: "",
        life: None,
    };
    let long = "x".repeat(101);
    for (request, kind) in [
        (
            TokenRequest {
                directory: "hr",
                ..good
            },
            "not_found",
        ),
        (TokenRequest { scope: "", ..good }, "invalid"),
        (
            TokenRequest {
                scope: "health",
                ..good
            },
            "invalid",
        ),
        (
            TokenRequest {
                scope: "Provision",
                ..good
            },
            "invalid",
        ),
        (
            TokenRequest {
                label: "a\nb",
                ..good
            },
            "invalid",
        ),
        (
            TokenRequest {
                label: &long,
                ..good
            },
            "invalid",
        ),
        (
            TokenRequest {
                life: Some(Duration::ZERO),
                ..good
            },
            "invalid",
        ),
        (
            TokenRequest {
                life: Some(Duration::MAX),
                ..good
            },
            "invalid",
        ),
    ] {
        let result = fixture.admin.token_create(request, &fixture.actor);
        assert_eq!(error(result).0, kind, "{request:?}");
    }
    assert!(fixture.admin.token_list(None).unwrap().items.is_empty());
}

#[test]
fn a_third_live_provisioning_token_is_refused_with_the_quiet_one_named() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    fixture.directory("hr").unwrap();
    let (one, one_text) = fixture.token("entra", "provision").unwrap();
    let (two, two_text) = fixture.token("entra", "provision").unwrap();
    fixture.enter(&one_text, "entra");
    fixture.clock.advance(41 * DAY_MS);
    fixture.enter(&two_text, "entra");
    let what =
        format!("directory \"entra\" already has two live provisioning tokens ({one}, {two})");
    let fix = format!("rollcall token revoke {one}      (last used 41 days ago from 192.0.2.1)");
    assert_eq!(
        error(fixture.token("entra", "provision")),
        ("conflict", what, fix)
    );
    // Reading tokens and other directories are not counted.
    fixture.token("entra", "read").unwrap();
    fixture.token("hr", "provision").unwrap();
    fixture
        .admin
        .token_revoke(&one, None, &fixture.actor)
        .unwrap();
    fixture.token("entra", "provision").unwrap();
}

#[test]
fn a_revoked_token_stays_revoked_and_says_since_when() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let (id, token) = fixture.token("entra", "provision").unwrap();
    fixture.enter(&token, "entra");
    for changed in [true, false] {
        let revoked = fixture
            .admin
            .token_revoke(&id, Some("leaked"), &fixture.actor)
            .unwrap();
        assert_eq!(
            json_of(revoked),
            json!({"id": id, "revoked": START_TEXT, "changed": changed})
        );
        fixture.clock.advance(1_000);
    }
    assert_eq!(
        json_of(fixture.admin.token_verify(&token)),
        json!({
            "valid": false,
            "id": id,
            "token": null,
            "reason": "auth.revoked",
            "why": format!("token {id} was revoked at {START_TEXT}"),
            "fix": "The token was revoked. Create a new one with rollcall token create and paste it.",
        })
    );
    let item = fixture.admin.token_show(&id).unwrap();
    assert_eq!((item.state, item.last_used.is_some()), ("revoked", true));
}

#[test]
fn an_id_may_be_shortened_while_it_is_unique() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let (one, _) = fixture.token("entra", "read").unwrap();
    // Counted ids differ in their last character only.
    let (start, _) = one.split_at(9);
    assert_eq!(fixture.admin.token_show(start).unwrap().id, one);
    fixture.token("entra", "read").unwrap();
    for (text, kind) in [
        (start, "conflict"),
        ("", "not_found"),
        ("zzz", "not_found"),
        ("ä", "not_found"),
    ] {
        assert_eq!(error(fixture.admin.token_show(text)).0, kind, "{text:?}");
    }
    assert_eq!(fixture.admin.token_show(&one).unwrap().id, one);
}
