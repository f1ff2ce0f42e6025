//! What `status` finds worth a word.

use std::time::Duration;

use serde_json::json;

use crate::admin::TokenRequest;
use crate::admin::tests::DAY_MS;
use crate::admin::tests::Fixture;
use crate::admin::tests::START_TEXT;
use crate::admin::tests::json_of;

#[test]
fn status_names_what_needs_attention_when_it_does() {
    let fixture = Fixture::new();
    assert_eq!(fixture.warnings(), ["directory.none"]);
    fixture.directory("entra").unwrap();
    assert_eq!(fixture.warnings(), ["token.none"]);
    let (one, text) = fixture.token("entra", "provision").unwrap();
    assert!(fixture.warnings().is_empty());
    fixture.clock.advance(31 * DAY_MS);
    assert_eq!(fixture.warnings(), ["token.unused"]);
    fixture.enter(&text, "entra");
    assert!(fixture.warnings().is_empty());
    let (two, _) = fixture.token("entra", "provision").unwrap();
    fixture.clock.advance(7 * DAY_MS);
    assert!(fixture.warnings().is_empty());
    fixture.clock.advance(1);
    assert_eq!(fixture.warnings(), ["token.two_live"]);
    fixture
        .admin
        .token_revoke(&two, None, &fixture.actor)
        .unwrap();
    assert!(fixture.warnings().is_empty());
    fixture.clock.advance(327 * DAY_MS);
    fixture.enter(&text, "entra");
    assert_eq!(fixture.warnings(), ["token.rotate"]);
    fixture
        .admin
        .directory_disable("entra", &fixture.actor)
        .unwrap();
    assert_eq!(fixture.warnings(), ["directory.disabled", "token.rotate"]);
    fixture
        .admin
        .token_revoke(&one, None, &fixture.actor)
        .unwrap();
    assert_eq!(fixture.warnings(), ["directory.disabled", "token.none"]);
    let status = fixture.admin.status();
    assert_eq!(
        json_of(status.tokens),
        json!({"live": 0, "expired": 0, "revoked": 2})
    );
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(status.started, START_TEXT);
    assert_eq!(status.uptime_s, 365 * 86_400);
    assert!(status.store.writable && status.store.reason.is_none());
}

#[test]
fn an_end_is_announced_in_the_last_quarter_of_a_life() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let request = TokenRequest {
        directory: "entra",
        scope: "provision",
        label: "",
        life: Some(Duration::from_secs(20 * 86_400)),
    };
    fixture.admin.token_create(request, &fixture.actor).unwrap();
    fixture.clock.advance(15 * DAY_MS);
    assert!(fixture.warnings().is_empty());
    fixture.clock.advance(1);
    assert_eq!(fixture.warnings(), ["token.expires_soon"]);
    fixture.clock.advance(5 * DAY_MS);
    assert_eq!(fixture.warnings(), ["token.none"]);
}
