//! What Entra removes, and how.

use serde_json::json;

use crate::scim::dialect::entra;
use crate::scim::dialect::entra::tests::ENT;
use crate::scim::dialect::entra::tests::check;
use crate::scim::dialect::entra::tests::check_differs;
use crate::scim::dialect::entra::tests::check_user;
use crate::scim::dialect::entra::tests::patched;
use crate::scim::patch::LABELS_DROPPED;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;

#[test]
fn a_manager_is_removed_in_every_form() {
    let path = format!("{ENT}:manager");
    let before =
        json!({ENT: {"manager": {"value": "u-1", "$ref": "../Users/u-1"}, "department": "D"}});
    let after = json!({ENT: {"department": "D"}});
    let filtered = format!("{path}[value eq \"u-1\"]");
    check_differs(vec![
        (
            before.clone(),
            json!({"op": "replace", "value": {ENT: {"manager": {"value": ""}}}}),
            after.clone(),
            vec![entra::EMPTY_CLEARS],
        ),
        (
            before.clone(),
            json!({"op": "replace", "path": path, "value": {"Value": ""}}),
            after.clone(),
            vec![entra::EMPTY_CLEARS],
        ),
    ]);
    check_user(vec![
        (
            before.clone(),
            json!({"op": "replace", "path": path, "value": ""}),
            after.clone(),
            vec![entra::EMPTY_CLEARS],
        ),
        (
            before.clone(),
            json!({"op": "replace", "path": path, "value": [{"value": ""}]}),
            after.clone(),
            vec![entra::WRAPPED_VALUE, entra::EMPTY_CLEARS],
        ),
        (
            before.clone(),
            json!({"op": "Add", "path": path, "value": null}),
            after.clone(),
            vec![entra::OP_CASE, entra::NULL_CLEARS],
        ),
        (
            before.clone(),
            json!({"op": "replace", "path": "manager", "value": ""}),
            after.clone(),
            vec![entra::BARE_MANAGER, entra::EMPTY_CLEARS],
        ),
        (
            before.clone(),
            json!({"op": "replace", "value": {"manager": null}}),
            after.clone(),
            vec![entra::BARE_MANAGER],
        ),
        (
            before.clone(),
            json!({"op": "replace", "value": {path.as_str(): ""}}),
            after.clone(),
            vec![entra::PATH_KEYS, entra::EMPTY_CLEARS],
        ),
        (
            before.clone(),
            json!({"op": "replace", "path": "manager[value eq \"u-1\"]", "value": ""}),
            after.clone(),
            vec![
                entra::BARE_MANAGER,
                entra::EMPTY_CLEARS,
                entra::SINGLE_FILTER,
            ],
        ),
        (
            before.clone(),
            json!({"op": "remove", "path": "manager[value eq \"u-1\"].value"}),
            after.clone(),
            vec![entra::BARE_MANAGER, entra::SINGLE_FILTER],
        ),
        (
            before.clone(),
            json!({"op": "remove", "path": "manager[value eq u-1]", "value": "u-1"}),
            after.clone(),
            vec![
                entra::BARE_MANAGER,
                entra::FILTER_UNQUOTED,
                entra::SINGLE_FILTER,
                entra::REMOVE_VALUE,
            ],
        ),
        (
            before.clone(),
            json!({"op": "Remove", "path": path}),
            after.clone(),
            vec![entra::OP_CASE],
        ),
        (
            before.clone(),
            json!({"op": "remove", "path": path, "value": [{"value": "u-1"}]}),
            after.clone(),
            vec![entra::REMOVE_VALUE],
        ),
        (
            before.clone(),
            json!({"op": "remove", "path": "manager"}),
            after.clone(),
            vec![entra::BARE_MANAGER],
        ),
        (
            before.clone(),
            json!({"op": "remove", "path": filtered}),
            after.clone(),
            vec![entra::SINGLE_FILTER],
        ),
        (
            before.clone(),
            json!({"op": "remove", "path": "manager[value eq \"u-1\"]"}),
            after,
            vec![entra::BARE_MANAGER, entra::SINGLE_FILTER],
        ),
        (
            before.clone(),
            json!({"op": "remove", "path": "manager[value eq \"u-2\"]"}),
            before,
            vec![entra::BARE_MANAGER, entra::SINGLE_FILTER],
        ),
    ]);
}

#[test]
fn an_empty_string_clears() {
    let before = json!({
        "title": "A",
        "name": {"givenName": "M", "familyName": "L"},
        "emails": [{"type": "work", "value": "a"}, {"type": "home", "value": "b"}],
        ENT: {"department": "D", "manager": {"value": "u-1"}},
    });
    for (operation, path) in [
        (
            json!({"op": "replace", "path": "title", "value": ""}),
            "/title",
        ),
        (json!({"op": "add", "path": "title", "value": ""}), "/title"),
        (
            json!({"op": "replace", "path": "title", "value": [{"value": ""}]}),
            "/title",
        ),
        (json!({"op": "replace", "value": {"title": ""}}), "/title"),
        (
            json!({"op": "replace", "path": "name.givenName", "value": ""}),
            "/name/givenName",
        ),
        (
            json!({"op": "replace", "path": "name", "value": {"givenName": ""}}),
            "/name/givenName",
        ),
        (
            json!({"op": "add", "path": format!("{ENT}:manager"), "value": {"value": ""}}),
            &format!("/{ENT}/manager"),
        ),
        (
            json!({"op": "replace", "path": format!("{ENT}:department"), "value": ""}),
            &format!("/{ENT}/department"),
        ),
        (
            json!({"op": "replace", "path": "emails", "value": ""}),
            "/emails",
        ),
        (
            json!({"op": "replace", "path": "emails", "value": [{"type": "work", "value": ""}]}),
            "/emails",
        ),
    ] {
        let operations = json!([operation]);
        let (after, notes) =
            patched(Profile::Entra, ResourceKind::User, &before, &operations).unwrap();
        assert_eq!(after.pointer(path), None, "{operation}");
        assert!(notes.contains(&entra::EMPTY_CLEARS), "{operation}");
        // Elsewhere an empty string is a string, or the wrong type.
        if let Ok((after, _)) = patched(Profile::Strict, ResourceKind::User, &before, &operations) {
            assert!(after.to_string().contains("\"\""), "{operation}");
        }
    }
    let operations = json!([{"op": "replace", "path": "userName", "value": ""}]);
    let error = patched(Profile::Entra, ResourceKind::User, &before, &operations).unwrap_err();
    assert_eq!(
        error.detail(),
        "`userName` is required and cannot be removed"
    );
}

#[test]
fn an_element_that_lost_its_value_goes() {
    let before = json!({"emails": [{"type": "work", "value": "a", "primary": true}, {"type": "home", "value": "b"}]});
    let path = "emails[type eq \"work\"].value";
    for (profile, operation, after, notes) in [
        (
            Profile::Entra,
            json!({"op": "remove", "path": path}),
            json!([{"type": "home", "value": "b"}]),
            vec![LABELS_DROPPED],
        ),
        (
            Profile::Entra,
            json!({"op": "replace", "path": path, "value": null}),
            json!([{"type": "home", "value": "b"}]),
            vec![LABELS_DROPPED],
        ),
        (
            Profile::Strict,
            json!({"op": "remove", "path": path}),
            json!([{"type": "work", "primary": true}, {"type": "home", "value": "b"}]),
            vec![],
        ),
    ] {
        let found = patched(profile, ResourceKind::User, &before, &json!([operation]));
        assert_eq!(found, Ok((json!({"emails": after}), notes)), "{operation}");
    }
    // Not before the last operation: another one may give it a new value in the same place.
    let operations = json!([
        {"op": "remove", "path": path},
        {"op": "add", "path": path, "value": "c"}
    ]);
    let after = json!({"emails": [{"type": "work", "primary": true, "value": "c"}, {"type": "home", "value": "b"}]});
    for profile in [Profile::Entra, Profile::Strict] {
        let found = patched(profile, ResourceKind::User, &before, &operations);
        assert_eq!(found, Ok((after.clone(), vec![])), "{profile:?}");
    }
}

#[test]
fn a_removal_names_what_to_remove() {
    let one = json!({"value": "u-1"});
    let two = json!({"value": "u-2"});
    let both = json!({"members": [one, two]});
    let rows = vec![
        (
            both.clone(),
            json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "u-1"}]}]),
            json!({"members": [two]}),
            vec![entra::OP_CASE, entra::REMOVE_LIST],
        ),
        (
            both.clone(),
            json!([{"op": "remove", "path": "members", "value": [one, two]}]),
            json!({}),
            vec![entra::REMOVE_LIST],
        ),
        (
            both.clone(),
            json!([{"op": "remove", "path": "members", "value": one}]),
            json!({"members": [two]}),
            vec![entra::REMOVE_LIST],
        ),
        (
            both.clone(),
            json!([{"op": "remove", "path": "members", "value": "u-1"}]),
            json!({"members": [two]}),
            vec![entra::REMOVE_LIST],
        ),
        (
            both.clone(),
            json!([{"op": "remove", "path": "members", "value": [{"value": "u-3"}]}]),
            both.clone(),
            vec![entra::REMOVE_LIST],
        ),
        // What names nothing removes nothing.
        (
            both.clone(),
            json!([{"op": "remove", "path": "members", "value": []}]),
            both.clone(),
            vec![entra::REMOVE_LIST],
        ),
        (
            both.clone(),
            json!([{"op": "remove", "path": "members", "value": ""}]),
            both.clone(),
            vec![entra::REMOVE_LIST],
        ),
        (
            both.clone(),
            json!([{"op": "remove", "path": "members", "value": [{"$ref": null}]}]),
            both.clone(),
            vec![entra::REMOVE_LIST],
        ),
        (
            both.clone(),
            json!([{"op": "remove", "path": "members", "value": [{"$ref": "x"}, {}]}]),
            both.clone(),
            vec![entra::REMOVE_LIST],
        ),
        // A member that stands alone.
        (
            both.clone(),
            json!([{"op": "add", "path": "members", "value": ["u-1", "u-3"]}]),
            json!({"members": [one, two, {"value": "u-3"}]}),
            vec![entra::PLAIN_VALUE, entra::PLAIN_VALUE],
        ),
    ];
    check(ResourceKind::Group, rows);
    check_user(vec![
        (
            json!({"emails": [{"value": "a\"\\", "type": "work"}, {"value": "a\"\\", "type": "home"}]}),
            json!({"op": "remove", "path": "emails", "value": [{"value": "A\"\\", "type": "work", "display": "x"}]}),
            json!({"emails": [{"value": "a\"\\", "type": "home"}]}),
            vec![entra::REMOVE_LIST],
        ),
        (
            json!({"addresses": [{"country": "SE", "type": "work"}, {"country": "DK"}]}),
            json!({"op": "remove", "path": "addresses", "value": [{"country": "SE", "locality": null}]}),
            json!({"addresses": [{"country": "DK"}]}),
            vec![entra::REMOVE_LIST],
        ),
        (
            json!({"emails": [{"value": "a", "type": "work"}]}),
            json!({"op": "remove", "path": "emails[type eq \"work\"].value", "value": "b"}),
            json!({}),
            vec![entra::REMOVE_VALUE, LABELS_DROPPED],
        ),
        (
            json!({"title": "A"}),
            json!({"op": "remove", "path": "title", "value": "A"}),
            json!({}),
            vec![entra::REMOVE_VALUE],
        ),
    ]);
    // With no value at all it is everything, for everybody.
    for profile in [Profile::Entra, Profile::Strict] {
        let operations = json!([{"op": "remove", "path": "members"}]);
        let found = patched(profile, ResourceKind::Group, &both, &operations);
        assert_eq!(found, Ok((json!({}), vec![])));
    }
}

#[test]
fn adding_nothing_to_a_list_leaves_it() {
    let before = json!({"members": [{"value": "u-1"}]});
    for value in [
        json!(null),
        json!(""),
        json!([]),
        json!([{}]),
        json!([{"value": ""}]),
    ] {
        let operations = json!([{"op": "Add", "path": "members", "value": value}]);
        let found = patched(Profile::Entra, ResourceKind::Group, &before, &operations);
        assert_eq!(found.unwrap().0, before, "{value}");
    }
}
