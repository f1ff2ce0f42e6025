//! Looking at users and groups.

use serde_json::json;

use crate::admin::ListRequest;
use crate::admin::tests::Fixture;
use crate::admin::tests::START_TEXT;
use crate::admin::tests::error;
use crate::admin::tests::json_of;

#[test]
fn users_are_listed_page_by_page_over_all_directories() {
    let fixture = Fixture::new();
    for (directory, names) in [("b", vec!["joy", "sam"]), ("a", vec!["kim", "lee", "max"])] {
        fixture.directory(directory).unwrap();
        for name in names {
            fixture.user(directory, name, &format!("{name}@corp.example"));
        }
    }
    let all = [
        ("a", "kim"),
        ("a", "lee"),
        ("a", "max"),
        ("b", "joy"),
        ("b", "sam"),
    ];
    for limit in 1..=6 {
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let request = ListRequest {
                limit: Some(limit),
                after: after.as_deref(),
                ..ListRequest::default()
            };
            let page = fixture.admin.user_list(request).unwrap();
            assert!(page.items.len() <= limit);
            seen.extend(
                page.items
                    .into_iter()
                    .map(|user| (user.directory, user.user_name.unwrap())),
            );
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let seen: Vec<_> = seen
            .iter()
            .map(|(directory, name)| (directory.as_str(), name.as_str()))
            .collect();
        assert_eq!(seen, all, "{limit}");
    }
    for after in ["", "o", "3", "o-1", "ox"] {
        let request = ListRequest {
            after: Some(after),
            ..ListRequest::default()
        };
        assert_eq!(
            error(fixture.admin.user_list(request)).0,
            "invalid",
            "{after:?}"
        );
    }
}

#[test]
fn users_are_picked_by_a_scim_filter() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let joy = fixture.user("entra", "Joy", "joy@corp.example");
    fixture.user("entra", "sam", "sam@corp.example");
    let item = json!({
        "directory": "entra",
        "id": joy.to_string(),
        "userName": "Joy",
        "displayName": null,
        "externalId": "x-Joy",
        "email": "joy@corp.example",
        "active": true,
        "created": START_TEXT,
        "lastModified": START_TEXT,
    });
    let list = |filter| {
        fixture.admin.user_list(ListRequest {
            filter: Some(filter),
            ..ListRequest::default()
        })
    };
    for (filter, found) in [
        (r#"userName eq "JOY""#, true),
        (r#" username EQ "joy" "#, true),
        (r#"externalId eq "x-Joy""#, true),
        (r#"externalId eq "x-joy""#, false),
        (r#"emails.value eq "Joy@Corp.Example""#, true),
        (r#"emails eq "\u006aoy@corp.example""#, true),
        (r#"userName eq "nobody""#, false),
        (r#"userName co "j""#, true),
        (r#"title eq "x""#, false),
        (
            r#"emails[type eq "work"].value eq "joy@corp.example""#,
            true,
        ),
    ] {
        let items = if found { vec![item.clone()] } else { vec![] };
        let expected = json!({"items": items, "next": null});
        assert_eq!(json_of(list(filter).unwrap()), expected, "{filter}");
    }
    for filter in ["", "userName", "userName eq", r#"shoeSize eq "x""#] {
        assert_eq!(error(list(filter)).0, "invalid", "{filter}");
    }
}

#[test]
fn a_user_is_shown_by_id_or_name() {
    let fixture = Fixture::new();
    fixture.directory("a").unwrap();
    fixture.directory("b").unwrap();
    let joy = fixture.user("a", "joy", "joy@corp.example");
    let id = joy.to_string();
    let detail = json!({
        "directory": "a",
        "id": id,
        "revision": 1,
        "created": START_TEXT,
        "lastModified": START_TEXT,
        "resource": {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": id,
            "externalId": "x-joy",
            "userName": "joy",
            "emails": [
                {"type": "home", "value": "home-joy@corp.example"},
                {"type": "work", "value": "joy@corp.example", "primary": true}
            ],
            "active": true,
        },
    });
    for (directory, name) in [(None, id.as_str()), (None, "JOY"), (Some("a"), "joy")] {
        assert_eq!(
            json_of(fixture.admin.user_show(directory, name).unwrap()),
            detail,
            "{name}"
        );
    }
    let show = |directory, name| error(fixture.admin.user_show(directory, name)).0;
    assert_eq!(show(Some("b"), "joy"), "not_found");
    assert_eq!(show(Some("c"), "joy"), "not_found");
    assert_eq!(show(None, "sam"), "not_found");
    fixture.user("b", "Joy", "joy@other.example");
    assert_eq!(show(None, "joy"), "conflict");
    assert_eq!(json_of(fixture.admin.user_show(None, &id).unwrap()), detail);
    assert_eq!(error(fixture.admin.group_show(None, "joy")).0, "not_found");
    assert!(
        fixture
            .admin
            .group_list(ListRequest::default())
            .unwrap()
            .items
            .is_empty()
    );
}
