//! Creating, switching and deleting directories.

use serde_json::Value;
use serde_json::json;

use crate::admin::AdminError;
use crate::admin::NewDirectory;
use crate::admin::tests::Fixture;
use crate::admin::tests::START_TEXT;
use crate::admin::tests::error;
use crate::admin::tests::json_of;

#[test]
fn a_directory_is_created_once_and_shown_as_it_is() {
    let fixture = Fixture::new();
    assert_eq!(
        fixture.directory("entra").unwrap(),
        json!({"name": "entra", "tenant_url": "https://scim.corp.example/scim/entra/v2"})
    );
    let strict = NewDirectory {
        name: "hr",
        profile: Some("strict"),
        users_only: true,
    };
    fixture
        .admin
        .directory_create(strict, &fixture.actor)
        .unwrap();
    let item = |name: &str, profile: &str, users_only: bool| {
        json!({
            "name": name,
            "tenant_url": format!("https://scim.corp.example/scim/{name}/v2"),
            "profile": profile,
            "users_only": users_only,
            "enabled": true,
            "created": START_TEXT,
            "users": 0,
            "groups": 0,
            "tokens_live": 0,
        })
    };
    assert_eq!(
        json_of(fixture.admin.directory_list()),
        json!({"items": [item("entra", "entra", false), item("hr", "strict", true)], "next": null})
    );
    assert_eq!(
        json_of(fixture.admin.directory_show("hr").unwrap()),
        item("hr", "strict", true)
    );
}

#[test]
fn a_directory_that_cannot_be_made_or_found_says_why() {
    let fixture = Fixture::new();
    let missing = |result| {
        let (kind, what, fix) = error::<Value>(result);
        (kind, what, fix)
    };
    assert_eq!(
        error(fixture.admin.directory_show("entra")),
        (
            "not_found",
            "no directory \"entra\"".into(),
            "rollcall directory list".into()
        )
    );
    fixture.directory("entra").unwrap();
    assert_eq!(
        missing(fixture.directory("entra")),
        (
            "conflict",
            "directory \"entra\" exists already".into(),
            "rollcall directory show entra".into()
        )
    );
    for name in ["", "Entra", "a b", "a/b", &"a".repeat(41)] {
        assert_eq!(missing(fixture.directory(name)).0, "invalid", "{name:?}");
    }
    let new = NewDirectory {
        name: "x",
        profile: Some("okta"),
        users_only: false,
    };
    let (kind, what, _) = error(fixture.admin.directory_create(new, &fixture.actor));
    assert_eq!((kind, what.as_str()), ("invalid", "no profile \"okta\""));
    let error = fixture.admin.directory_show("Entra").err().unwrap();
    assert_eq!(error.problem().why, "there are: entra");
    assert!(matches!(error, AdminError::NotFound(_)));
}

#[test]
fn disabling_twice_changes_once() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let (admin, actor) = (&fixture.admin, &fixture.actor);
    for (enable, changed) in [(true, false), (false, true), (false, false), (true, true)] {
        let change = if enable {
            admin.directory_enable("entra", actor)
        } else {
            admin.directory_disable("entra", actor)
        };
        assert_eq!(
            json_of(change.unwrap()),
            json!({"name": "entra", "enabled": enable, "changed": changed})
        );
        assert_eq!(admin.directory_show("entra").unwrap().enabled, enable);
    }
}

#[test]
fn a_directory_goes_with_all_it_holds() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let (id, token) = fixture.token("entra", "provision").unwrap();
    fixture.token("entra", "read").unwrap();
    fixture.user("entra", "joy", "joy@corp.example");
    let (admin, actor) = (&fixture.admin, &fixture.actor);
    assert_eq!(
        json_of(admin.directory_delete("entra", actor).unwrap()),
        json!({"name": "entra", "users": 1, "groups": 0, "tokens_live": 2, "deleted": true})
    );
    assert_eq!(error(admin.directory_delete("entra", actor)).0, "not_found");
    assert_eq!(error(admin.token_show(&id)).0, "not_found");
    assert_eq!(admin.token_verify(&token).reason, Some("auth.unknown"));
    // The name is free, and what comes under it is new.
    fixture.directory("entra").unwrap();
    let item = admin.directory_show("entra").unwrap();
    assert_eq!((item.users, item.tokens_live), (0, 0));
}
