//! Bodies of POST and PUT.

use crate::scim::dialect;
use crate::scim::dialect::entra;
use crate::scim::dialect::entra::tests::ENT;
use crate::scim::members::Member;
use crate::scim::resource::parse::parse;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;
use crate::scim::schema::registry::Registry;
use serde_json::Value;
use serde_json::json;

#[test]
fn bodies_are_rewritten_too() {
    let sent = json!({
        "schemas": [core::USER, ENT],
        "userName": "it",
        "active": "True",
        "title": "",
        "emails": [{"Primary": "true", "type": "work", "value": "a"}],
        "roles": [{"primary": "False", "value": "{\"id\":\"x\"}"}],
        "displayName": [{"$ref": null, "value": "Mara"}],
        ENT: {"Manager": "u-11aa02", "department": "D"},
    });
    let rewritten = json!({
        "schemas": [core::USER, ENT],
        "userName": "it",
        "active": true,
        "title": "",
        "emails": [{"Primary": true, "type": "work", "value": "a"}],
        "roles": [{"primary": false, "value": "{\"id\":\"x\"}"}],
        "displayName": "Mara",
        ENT: {"Manager": {"value": "u-11aa02"}, "department": "D"},
    });
    for (profile, expected, count) in [(Profile::Entra, &rewritten, 5), (Profile::Strict, &sent, 0)]
    {
        let registry = Registry::new(profile, false);
        let mut body = sent.clone();
        let mut notes = Vec::new();
        dialect::body(&mut body, &registry, ResourceKind::User, &mut notes);
        assert_eq!(&body, expected);
        assert_eq!(notes.len(), count);
        let read = parse(body, &registry, ResourceKind::User, &mut notes);
        assert_eq!(read.is_ok(), profile == Profile::Entra);
    }
}

#[test]
fn a_manager_in_a_body_comes_in_every_form() {
    let registry = Registry::new(Profile::Entra, false);
    for (sent, rewritten) in [
        (json!("u-1"), json!({"value": "u-1"})),
        (json!(["u-1"]), json!({"value": "u-1"})),
        (json!([{"value": "u-1"}]), json!({"value": "u-1"})),
        (json!({"value": "u-1"}), json!({"value": "u-1"})),
        (json!(""), Value::Null),
        (json!({"value": ""}), Value::Null),
        (Value::Null, Value::Null),
    ] {
        let mut body = json!({ENT: {"manager": sent}});
        dialect::body(&mut body, &registry, ResourceKind::User, &mut Vec::new());
        assert_eq!(body, json!({ENT: {"manager": rewritten}}), "{sent}");
    }
}

#[test]
fn a_manager_may_stand_beside_the_core_attributes() {
    let lower = ENT.to_lowercase();
    for (sent, rewritten, notes) in [
        (
            json!({"title": "A", "manager": "u-1"}),
            json!({"title": "A", ENT: {"manager": {"value": "u-1"}}}),
            vec![entra::BARE_MANAGER, entra::PLAIN_VALUE],
        ),
        (
            json!({"Manager": {"value": "u-1"}, lower.as_str(): {"department": "D"}}),
            json!({lower.as_str(): {"department": "D", "manager": {"value": "u-1"}}}),
            vec![entra::BARE_MANAGER],
        ),
        (
            json!({"manager": [{"$ref": null, "value": "u-1"}], ENT: null}),
            json!({ENT: {"manager": {"$ref": null, "value": "u-1"}}}),
            vec![entra::BARE_MANAGER, entra::WRAPPED_VALUE],
        ),
        // What stands in its place goes first.
        (
            json!({"manager": "u-1", ENT: {"MANAGER": {"value": "u-2"}}}),
            json!({ENT: {"MANAGER": {"value": "u-2"}}}),
            vec![],
        ),
        (json!({"manager": null}), json!({}), vec![]),
    ] {
        let mut body = sent.clone();
        let mut found = Vec::new();
        let registry = Registry::new(Profile::Entra, false);
        dialect::body(&mut body, &registry, ResourceKind::User, &mut found);
        let found: Vec<_> = found.into_iter().map(|note| note.code).collect();
        assert_eq!((body, found), (rewritten, notes), "{sent}");
        // Elsewhere, and for groups, it is one more name that nobody knows.
        for (profile, kind) in [
            (Profile::Strict, ResourceKind::User),
            (Profile::Entra, ResourceKind::Group),
        ] {
            let registry = Registry::new(profile, false);
            let mut body = json!({"manager": "u-1"});
            dialect::body(&mut body, &registry, kind, &mut Vec::new());
            assert_eq!(body, json!({"manager": "u-1"}));
        }
    }
}

#[test]
fn members_of_a_new_group_come_in_every_form() {
    for (sent, members, strict) in [
        (
            json!([{"$ref": null, "value": "u-1"}, {"value": "u-2", "display": "Ida", "name": "Ida"}]),
            json!([{"value": "u-1"}, {"value": "u-2"}]),
            true,
        ),
        (
            json!(["u-1", {"Value": "u-2", "type": "User"}]),
            json!([{"value": "u-1"}, {"value": "u-2", "type": "User"}]),
            false,
        ),
        (json!([]), json!([]), true),
        (json!(null), json!([]), true),
    ] {
        for profile in [Profile::Entra, Profile::Strict] {
            let registry = Registry::new(profile, false);
            let mut body = json!({"schemas": [core::GROUP], "displayName": "G", "members": sent});
            dialect::body(&mut body, &registry, ResourceKind::Group, &mut Vec::new());
            let group = parse(body, &registry, ResourceKind::Group, &mut Vec::new());
            let found = group.map(|mut group| group.take_members().unwrap_or_default());
            if profile == Profile::Entra || strict {
                let expected = members.as_array().unwrap().iter().map(Member::of).collect();
                assert_eq!(found, Ok(expected), "{sent} {profile:?}");
            } else {
                assert!(found.is_err(), "{sent}");
            }
        }
    }
}
