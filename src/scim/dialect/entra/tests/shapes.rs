//! Shapes of operations and values beyond those that have a file of their own.

use serde_json::json;

use crate::scim::dialect::entra;
use crate::scim::dialect::entra::tests::ENT;
use crate::scim::dialect::entra::tests::check;
use crate::scim::dialect::entra::tests::check_differs;
use crate::scim::dialect::entra::tests::check_user;
use crate::scim::dialect::entra::tests::patched;
use crate::scim::patch::ELEMENT_BUILT;
use crate::scim::patch::LABELS_DROPPED;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;

#[test]
fn keys_are_paths_for_an_add_too() {
    let manager = format!("{ENT}:manager");
    for op in ["add", "replace"] {
        check_user(vec![
            (
                json!({"name": {"middleName": "X"}}),
                json!({"op": op, "value": {"name.givenName": "Mara"}}),
                json!({"name": {"middleName": "X", "givenName": "Mara"}}),
                vec![entra::PATH_KEYS],
            ),
            (
                json!({}),
                json!({"op": op, "value": {
                    format!("{}:name.honorificSuffix", core::USER): "PhD",
                    format!("{}:Title", core::USER.to_uppercase()): "Dr"
                }}),
                json!({"name": {"honorificSuffix": "PhD"}, "title": "Dr"}),
                vec![entra::PATH_KEYS; 2],
            ),
            (
                json!({}),
                json!({"op": op, "value": {manager.as_str(): "u-1", "active": "False"}}),
                json!({"active": false, ENT: {"manager": {"value": "u-1"}}}),
                vec![entra::PATH_KEYS, entra::PLAIN_VALUE, entra::STRING_BOOLEAN],
            ),
            (
                json!({}),
                json!({"op": op, "value": {"manager": [{"$ref": null, "value": "u-1"}]}}),
                json!({ENT: {"manager": {"value": "u-1"}}}),
                vec![entra::BARE_MANAGER, entra::WRAPPED_VALUE],
            ),
            (
                json!({}),
                json!({"op": op, "value": {"manager.value": "u-1"}}),
                json!({ENT: {"manager": {"value": "u-1"}}}),
                vec![entra::PATH_KEYS, entra::BARE_MANAGER],
            ),
            (
                json!({}),
                json!({"op": op, "value": {"roles[primary eq \"True\"].value": "Reader"}}),
                json!({"roles": [{"primary": true, "value": "Reader"}]}),
                vec![entra::PATH_KEYS, entra::FILTER_BOOLEAN, ELEMENT_BUILT],
            ),
        ]);
    }
}

#[test]
fn paths_may_bear_the_urn_of_the_core_schema() {
    for (path, after) in [
        ("title", json!({"title": "X"})),
        ("name.familyName", json!({"name": {"familyName": "X"}})),
        (
            "emails[type eq \"work\"].value",
            json!({"emails": [{"type": "work", "value": "X"}]}),
        ),
    ] {
        let before = json!({"emails": [{"type": "work", "value": "a"}]});
        let mut expected = before.clone();
        expected
            .as_object_mut()
            .unwrap()
            .extend(after.as_object().unwrap().clone());
        let path = format!("{}:{path}", core::USER);
        let operations = json!([{"op": "replace", "path": path, "value": "X"}]);
        for profile in [Profile::Entra, Profile::Strict] {
            let found = patched(profile, ResourceKind::User, &before, &operations);
            assert_eq!(found, Ok((expected.clone(), vec![])), "{path}");
        }
    }
}

#[test]
fn filters_of_paths_are_written_carelessly() {
    let work = json!({"emails": [{"type": "work", "value": "a"}]});
    let changed = json!({"emails": [{"type": "work", "value": "b"}]});
    check_user(vec![
        (
            work.clone(),
            json!({"op": "replace", "path": "emails[type eq work].value", "value": "b"}),
            changed.clone(),
            vec![entra::FILTER_UNQUOTED],
        ),
        (
            json!({"roles": [{"primary": true, "value": "a"}]}),
            json!({"op": "replace", "path": "roles[primary eq True].value", "value": "b"}),
            json!({"roles": [{"primary": true, "value": "b"}]}),
            vec![entra::FILTER_BOOLEAN],
        ),
        // A string for the whole element is its value; the type stays.
        (
            work,
            json!({"op": "replace", "path": "emails[type eq \"work\"]", "value": "b"}),
            changed.clone(),
            vec![entra::PLAIN_VALUE],
        ),
        (
            json!({}),
            json!({"op": "add", "path": "emails[type eq \"work\"]", "value": "b"}),
            changed,
            vec![entra::PLAIN_VALUE, ELEMENT_BUILT],
        ),
    ]);
}

#[test]
fn scalars_come_in_lists_and_objects_in_any_case() {
    check_user(vec![
        (
            json!({}),
            json!({"op": "replace", "path": "title", "value": [{"Value": "Optics"}]}),
            json!({"title": "Optics"}),
            vec![entra::WRAPPED_VALUE],
        ),
        (
            json!({"active": false}),
            json!({"op": "replace", "path": "active", "value": ["True"]}),
            json!({}),
            vec![entra::WRAPPED_VALUE, entra::STRING_BOOLEAN],
        ),
        (
            json!({}),
            json!({"op": "replace", "path": "name", "value": [{"givenName": "Mara"}]}),
            json!({"name": {"givenName": "Mara"}}),
            vec![entra::WRAPPED_VALUE],
        ),
        (
            json!({"roles": [{"primary": true, "value": "a"}]}),
            json!({"op": "replace", "path": "roles[primary eq true].value", "value": ["b"]}),
            json!({"roles": [{"primary": true, "value": "b"}]}),
            vec![entra::WRAPPED_VALUE],
        ),
        (
            json!({"emails": [{"value": "a"}]}),
            json!({"op": "add", "path": "emails", "value": "b"}),
            json!({"emails": [{"value": "a"}, {"value": "b"}]}),
            vec![entra::PLAIN_VALUE],
        ),
    ]);
}

#[test]
fn nothing_clears_what_a_filter_chooses() {
    let home = json!({"type": "home", "value": "b"});
    let before = json!({"emails": [{"type": "work", "value": "a"}, home]});
    let after = json!({"emails": [home]});
    let part = "emails[type eq \"work\"].value";
    let whole = "emails[type eq \"work\"]";
    check_differs(vec![
        (
            before.clone(),
            json!({"op": "replace", "path": part, "value": ""}),
            after.clone(),
            vec![entra::EMPTY_CLEARS, LABELS_DROPPED],
        ),
        (
            before.clone(),
            json!({"op": "Add", "path": part, "value": null}),
            after.clone(),
            vec![entra::OP_CASE, entra::NULL_CLEARS, LABELS_DROPPED],
        ),
        (
            before.clone(),
            json!({"op": "replace", "path": whole, "value": {"value": ""}}),
            after.clone(),
            vec![entra::EMPTY_CLEARS],
        ),
        (
            before.clone(),
            json!({"op": "replace", "path": whole, "value": ""}),
            after.clone(),
            vec![entra::EMPTY_CLEARS],
        ),
        (
            before.clone(),
            json!({"op": "replace", "value": {part: ""}}),
            after.clone(),
            vec![entra::PATH_KEYS, entra::EMPTY_CLEARS, LABELS_DROPPED],
        ),
        (
            before.clone(),
            json!({"op": "Remove", "path": whole, "value": "anything"}),
            after.clone(),
            vec![entra::OP_CASE, entra::REMOVE_VALUE],
        ),
    ]);
    // Null in place of what is there clears for everybody; nothing to clear is no failure.
    for path in [whole, "emails[type eq \"other\"].value", "nickName"] {
        let operations = json!([{"op": "replace", "path": path, "value": null}]);
        let expected = if path == whole { &after } else { &before };
        for profile in [Profile::Entra, Profile::Strict] {
            let found = patched(profile, ResourceKind::User, &before, &operations);
            assert_eq!(found, Ok((expected.clone(), vec![])), "{path}");
        }
    }
}

#[test]
fn to_the_rfc_adding_null_adds_nothing() {
    let before = json!({"title": "A"});
    let operations = json!([{"op": "add", "path": "title", "value": null}]);
    let strict = patched(Profile::Strict, ResourceKind::User, &before, &operations);
    assert_eq!(strict, Ok((before.clone(), vec![])));
    let entra = patched(Profile::Entra, ResourceKind::User, &before, &operations);
    assert_eq!(entra, Ok((json!({}), vec![entra::NULL_CLEARS])));
}

#[test]
fn the_json_text_of_a_role_stays_text() {
    let role = "{\"id\":\"18d1\",\"value\":\"Auditor\",\"displayName\":\"True\"}";
    let roles = json!({"roles": [{"value": role}]});
    for profile in [Profile::Entra, Profile::Strict] {
        let operations = json!([{"op": "add", "path": "roles", "value": [{"value": role}]}]);
        let found = patched(profile, ResourceKind::User, &json!({}), &operations);
        assert_eq!(found, Ok((roles.clone(), vec![])));
    }
    check_user(vec![
        (
            json!({}),
            json!({"op": "Add", "path": "roles", "value": role}),
            roles.clone(),
            vec![entra::OP_CASE, entra::PLAIN_VALUE],
        ),
        (
            roles,
            json!({"op": "Add", "path": "roles", "value": [{"value": role, "primary": "False"}]}),
            json!({"roles": [{"value": role, "primary": false}]}),
            vec![entra::OP_CASE, entra::STRING_BOOLEAN],
        ),
    ]);
}

#[test]
fn groups_are_written_in_the_same_shapes() {
    let before = json!({"externalId": "x"});
    let row = |operation, after, notes| (before.clone(), json!([operation]), after, notes);
    check(
        ResourceKind::Group,
        vec![
            row(
                json!({"op": "Replace", "path": "displayName", "value": "R&D"}),
                json!({"externalId": "x", "displayName": "R&D"}),
                vec![entra::OP_CASE],
            ),
            row(
                json!({"op": "replace", "value": {"displayName": "R&D", "externalId": "y", "schemas": [core::GROUP], "meta": {}, "id": "z"}}),
                json!({"externalId": "y", "displayName": "R&D"}),
                vec![entra::READ_ONLY_IGNORED; 2],
            ),
            row(
                json!({"op": "replace", "path": format!("{}:externalId", core::GROUP), "value": [{"value": "y"}]}),
                json!({"externalId": "y"}),
                vec![entra::WRAPPED_VALUE],
            ),
            row(
                json!({"op": "Replace", "path": "externalId", "value": ""}),
                json!({}),
                vec![entra::OP_CASE, entra::EMPTY_CLEARS],
            ),
        ],
    );
    for value in [json!(""), json!(null), json!([{"value": ""}])] {
        let operations = json!([{"op": "Replace", "path": "displayName", "value": value}]);
        let error = patched(Profile::Entra, ResourceKind::Group, &before, &operations).unwrap_err();
        assert_eq!(error.condition().scim_type(), Some("mutability"), "{value}");
    }
}
