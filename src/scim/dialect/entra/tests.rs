//! For each deviation: the request, what it comes to in profile `entra`, the note, and that profile
//! `strict` refuses it.

#![expect(
    clippy::too_many_lines,
    reason = "a table is one thing, however many rows it has"
)]

use crate::scim::dialect::entra;
use crate::scim::error::ScimError;
use crate::scim::patch::ELEMENT_BUILT;
use crate::scim::patch::Outcome;
use crate::scim::patch::PATCH_OP;
use crate::scim::patch::Patch;
use crate::scim::resource::Note;
use crate::scim::resource::Resource;
use crate::scim::resource::parse::parse;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;
use crate::scim::schema::registry::Registry;
use serde_json::Value;
use serde_json::json;

mod bodies;
mod building;
mod removals;
mod shapes;

/// The enterprise extension's URN, short.
const ENT: &str = core::ENTERPRISE_USER;

/// A user or group with these members, as POST would make it.
fn resource(
    registry: &Registry,
    kind: ResourceKind,
    members: &Value,
) -> Result<Resource, ScimError> {
    let (urn, name) = match kind {
        ResourceKind::User => (core::USER, "userName"),
        ResourceKind::Group => (core::GROUP, "displayName"),
    };
    let mut body = json!({"schemas": [urn], name: "it"});
    let all = body.as_object_mut().unwrap();
    all.extend(members.as_object().unwrap().clone());
    for extension in [ENT, "urn:x:2.0:Custom"] {
        if all.contains_key(extension) {
            all["schemas"]
                .as_array_mut()
                .unwrap()
                .push(extension.into());
        }
    }
    parse(body, registry, kind, &mut Vec::new())
}

/// A resource's members without those that every resource here has.
fn shown(resource: &Resource) -> Value {
    let mut tree = resource.tree().clone();
    tree.shift_remove("schemas");
    for name in ["userName", "displayName"] {
        if tree.get(name) == Some(&json!("it")) {
            tree.shift_remove(name);
        }
    }
    if tree.get("active") == Some(&json!(true)) {
        tree.shift_remove("active");
    }
    Value::Object(tree)
}

/// What operations make of a resource, and the codes of the notes.
fn patched(
    profile: Profile,
    kind: ResourceKind,
    before: &Value,
    operations: &Value,
) -> Result<(Value, Vec<&'static str>), ScimError> {
    let registry = Registry::new(profile, false);
    let before = resource(&registry, kind, before)?;
    let body = json!({"Operations": operations, "schemas": [PATCH_OP]});
    let mut notes = Vec::new();
    let patch = Patch::parse(body, &registry, kind, &mut notes)?;
    let after = match patch.apply_noting(&before, &registry, &mut notes)? {
        Outcome::Changed(after) => after,
        Outcome::Unchanged => before,
    };
    Ok((
        shown(&after),
        notes.into_iter().map(|note| note.code).collect(),
    ))
}

/// Runs rows of before, operations, after and notes; and profile `strict` refuses the operations.
fn check(kind: ResourceKind, rows: Vec<(Value, Value, Value, Vec<&'static str>)>) {
    for (before, operations, after, notes) in rows {
        let found = patched(Profile::Entra, kind, &before, &operations);
        assert_eq!(found, Ok((after, notes)), "{before} {operations}");
        let strict = patched(Profile::Strict, kind, &before, &operations);
        assert!(strict.is_err(), "{operations} {strict:?}");
    }
}

/// [`check`] for one operation each on users.
fn check_user(rows: Vec<(Value, Value, Value, Vec<&'static str>)>) {
    let rows = rows.into_iter();
    let rows =
        rows.map(|(before, operation, after, notes)| (before, json!([operation]), after, notes));
    check(ResourceKind::User, rows.collect());
}

/// [`check_user`] for operations that mean something else to the RFC, which need not refuse them.
fn check_differs(rows: Vec<(Value, Value, Value, Vec<&'static str>)>) {
    for (before, operation, after, notes) in rows {
        let kind = ResourceKind::User;
        let operations = json!([operation]);
        let strict = patched(Profile::Strict, kind, &before, &operations);
        assert_ne!(
            strict.map(|(after, _)| after).as_ref(),
            Ok(&after),
            "{operation}"
        );
        let found = patched(Profile::Entra, kind, &before, &operations);
        assert_eq!(found, Ok((after, notes)), "{before} {operation}");
    }
}

#[test]
fn names_of_the_message_come_in_any_case() {
    let body = json!({
        "schemas": [PATCH_OP],
        "operations": [{"Op": "replace", "Path": "title", "Value": "Optics"}],
    });
    let read = |profile| {
        let registry = Registry::new(profile, false);
        let mut notes = Vec::new();
        Patch::parse(body.clone(), &registry, ResourceKind::User, &mut notes)
            .map(|patch| (patch.operations().len(), notes.len()))
            .map_err(|error| error.detail().to_owned())
    };
    assert_eq!(read(Profile::Entra), Ok((1, 4)));
    assert_eq!(
        read(Profile::Strict).unwrap_err(),
        "`Operations` must be an array of operations"
    );
}

#[test]
fn op_is_capitalised() {
    check_user(vec![
        (
            json!({"title": "A"}),
            json!({"op": "Replace", "path": "title", "value": "B"}),
            json!({"title": "B"}),
            vec![entra::OP_CASE],
        ),
        (
            json!({}),
            json!({"op": "Add", "path": "title", "value": "B"}),
            json!({"title": "B"}),
            vec![entra::OP_CASE],
        ),
        (
            json!({"title": "A"}),
            json!({"op": "REMOVE", "path": "title"}),
            json!({}),
            vec![entra::OP_CASE],
        ),
    ]);
}

#[test]
fn booleans_are_strings_at_any_depth() {
    let disabled = json!({"active": false});
    check_user(vec![
        (
            json!({}),
            json!({"op": "replace", "path": "active", "value": "False"}),
            disabled.clone(),
            vec![entra::STRING_BOOLEAN],
        ),
        (
            json!({}),
            json!({"op": "add", "path": "active", "value": "false"}),
            disabled.clone(),
            vec![entra::STRING_BOOLEAN],
        ),
        (
            json!({}),
            json!({"op": "replace", "value": {"active": "FALSE"}}),
            disabled.clone(),
            vec![entra::STRING_BOOLEAN],
        ),
        (
            disabled,
            json!({"op": "replace", "path": "active", "value": [{"value": "True"}]}),
            json!({}),
            vec![entra::WRAPPED_VALUE, entra::STRING_BOOLEAN],
        ),
        (
            json!({}),
            json!({"op": "add", "path": "roles", "value": [{"value": "Reader", "primary": "True"}]}),
            json!({"roles": [{"value": "Reader", "primary": true}]}),
            vec![entra::STRING_BOOLEAN],
        ),
        (
            json!({"emails": [{"value": "a", "type": "work"}]}),
            json!({"op": "add", "path": "emails[type eq \"work\"].primary", "value": "True"}),
            json!({"emails": [{"value": "a", "type": "work", "primary": true}]}),
            vec![entra::STRING_BOOLEAN],
        ),
        (
            json!({"roles": [{"value": "Reader", "primary": true}]}),
            json!({"op": "replace", "path": "roles[primary eq \"True\"].value", "value": "Writer"}),
            json!({"roles": [{"value": "Writer", "primary": true}]}),
            vec![entra::FILTER_BOOLEAN],
        ),
    ]);
}

#[test]
fn an_empty_string_is_no_boolean() {
    for value in [json!(""), json!("yes"), json!(1)] {
        let operations = json!([{"op": "Replace", "path": "active", "value": value}]);
        let before = json!({"active": false});
        let found = patched(Profile::Entra, ResourceKind::User, &before, &operations);
        assert!(found.is_err(), "{value}");
    }
}

#[test]
fn keys_are_paths_where_there_is_no_path() {
    check_user(vec![
        (
            json!({"name": {"givenName": "M", "middleName": "X"}}),
            json!({"op": "replace", "value": {
                "displayName": "Mara", "name.givenName": "Mara", "name.familyName": "Ode",
                (format!("{ENT}:employeeNumber")): "50118",
                (format!("{ENT}:manager.value")): "u-1"
            }}),
            json!({
                "name": {"givenName": "Mara", "middleName": "X", "familyName": "Ode"},
                "displayName": "Mara",
                ENT: {"employeeNumber": "50118", "manager": {"value": "u-1"}}
            }),
            vec![entra::PATH_KEYS; 4],
        ),
        (
            json!({}),
            json!({"op": "add", "value": {"emails[type eq \"work\"].value": "a"}}),
            json!({"emails": [{"type": "work", "value": "a"}]}),
            vec![entra::PATH_KEYS, ELEMENT_BUILT],
        ),
        (
            json!({}),
            json!({"op": "add", "value": {"urn:ietf:params:scim:schemas:core:2.0:User:title": "Dr"}}),
            json!({"title": "Dr"}),
            vec![entra::PATH_KEYS],
        ),
        (
            json!({}),
            json!({"op": "add", "path": core::USER, "value": {"title": "Dr", "name.givenName": "M"}}),
            json!({"title": "Dr", "name": {"givenName": "M"}}),
            vec![entra::PATH_KEYS; 2],
        ),
        (
            json!({}),
            json!({"op": "add", "value": {core::USER: {"title": "Dr"}, "nickName": "M"}}),
            json!({"title": "Dr", "nickName": "M"}),
            vec![entra::PATH_KEYS],
        ),
        (
            json!({}),
            json!({"op": "add", "value": {ENT: {"manager.value": "u-1", "department": "D"}}}),
            json!({ENT: {"manager": {"value": "u-1"}, "department": "D"}}),
            vec![entra::PATH_KEYS],
        ),
        (
            json!({"urn:x:2.0:Custom": {"a": "1"}}),
            json!({"op": "add", "value": {"urn:x:2.0:Custom:costCode": "A7"}}),
            json!({"urn:x:2.0:Custom": {"a": "1", "costCode": "A7"}}),
            vec![entra::PATH_KEYS, Note::UNKNOWN_KEPT],
        ),
    ]);
}

#[test]
fn an_unregistered_extension_is_kept_as_sent() {
    let custom = "urn:x:2.0:Custom";
    check_user(vec![
        (
            json!({}),
            json!({"op": "replace", "path": "urn:x:2.0:Custom:costCode", "value": "A7"}),
            json!({custom: {"costCode": "A7"}}),
            vec![Note::UNKNOWN_KEPT],
        ),
        (
            json!({custom: {"CostCode": "A7"}}),
            json!({"op": "replace", "path": "URN:X:2.0:custom:costcode", "value": "B8"}),
            json!({custom: {"CostCode": "B8"}}),
            vec![Note::UNKNOWN_KEPT],
        ),
        (
            json!({}),
            json!({"op": "add", "value": {custom: {"list": [{"value": "x"}], "on": "True"}}}),
            json!({custom: {"list": [{"value": "x"}], "on": "True"}}),
            vec![Note::UNKNOWN_KEPT; 2],
        ),
        (
            json!({custom: {"list": [{"value": "x"}]}}),
            json!({"op": "add", "path": "urn:x:2.0:Custom:list", "value": [{"value": "x"}, {"value": "y"}]}),
            json!({custom: {"list": [{"value": "x"}, {"value": "y"}]}}),
            vec![Note::UNKNOWN_KEPT],
        ),
        (
            json!({custom: {"list": [{"value": "x"}, {"value": "y"}]}}),
            json!({"op": "remove", "path": "urn:x:2.0:Custom:list", "value": [{"value": "x"}]}),
            json!({custom: {"list": [{"value": "y"}]}}),
            vec![entra::REMOVE_LIST],
        ),
        (
            json!({custom: {"costCode": "A7"}}),
            json!({"op": "replace", "path": "urn:x:2.0:Custom:costCode", "value": ""}),
            json!({}),
            vec![Note::UNKNOWN_KEPT, entra::EMPTY_CLEARS],
        ),
    ]);
}

#[test]
fn a_single_value_is_wrapped() {
    check_user(vec![
        (
            json!({}),
            json!({"op": "replace", "path": "title", "value": [{"$ref": null, "value": "Optics"}]}),
            json!({"title": "Optics"}),
            vec![entra::WRAPPED_VALUE],
        ),
        (
            json!({}),
            json!({"op": "replace", "path": format!("{ENT}:department"), "value": ["Optics"]}),
            json!({ENT: {"department": "Optics"}}),
            vec![entra::WRAPPED_VALUE],
        ),
        (
            json!({"emails": [{"type": "work", "value": "a"}]}),
            json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": [{"value": "b"}]}),
            json!({"emails": [{"type": "work", "value": "b"}]}),
            vec![entra::WRAPPED_VALUE],
        ),
    ]);
}

#[test]
fn two_values_are_too_many_for_one() {
    for value in [
        json!(["a", "b"]),
        json!([{"value": "a"}, {"value": "b"}]),
        json!([{"x": "a"}]),
        json!({"value": "a"}),
    ] {
        let operations = json!([{"op": "replace", "path": "title", "value": value}]);
        let found = patched(Profile::Entra, ResourceKind::User, &json!({}), &operations);
        assert!(found.is_err(), "{value}");
    }
}

#[test]
fn a_manager_comes_in_every_form() {
    let path = format!("{ENT}:manager");
    let set = json!({ENT: {"manager": {"value": "u-11aa02"}}});
    for (value, note) in [
        (json!("u-11aa02"), vec![entra::PLAIN_VALUE]),
        (json!([{"value": "u-11aa02"}]), vec![entra::WRAPPED_VALUE]),
        (
            json!(["u-11aa02"]),
            vec![entra::WRAPPED_VALUE, entra::PLAIN_VALUE],
        ),
        (
            json!([{"$ref": null, "value": "u-11aa02"}]),
            vec![entra::WRAPPED_VALUE],
        ),
        (
            json!({"value": "u-11aa02", "displayName": "Ida"}),
            vec![entra::READ_ONLY_IGNORED],
        ),
        (
            json!({"value": "u-11aa02", "name": "Ida"}),
            vec![Note::UNKNOWN_IGNORED],
        ),
    ] {
        let bare: Vec<_> = [entra::BARE_MANAGER]
            .into_iter()
            .chain(note.clone())
            .collect();
        for op in ["add", "replace"] {
            check_user(vec![
                (
                    json!({}),
                    json!({"op": op, "path": path, "value": value}),
                    set.clone(),
                    note.clone(),
                ),
                (
                    json!({}),
                    json!({"op": op, "path": "manager", "value": value}),
                    set.clone(),
                    bare.clone(),
                ),
            ]);
        }
    }
    // The object alone is the RFC's form.
    let operations = json!([{"op": "add", "path": path, "value": {"value": "u-11aa02"}}]);
    for profile in [Profile::Entra, Profile::Strict] {
        let found = patched(profile, ResourceKind::User, &json!({}), &operations);
        assert_eq!(found, Ok((set.clone(), vec![])));
    }
}

#[test]
fn an_empty_reference_is_no_reference_for_anybody() {
    let operations =
        json!([{"op": "add", "path": "members", "value": [{"$ref": null, "value": "u-1"}]}]);
    for profile in [Profile::Entra, Profile::Strict] {
        let found = patched(profile, ResourceKind::Group, &json!({}), &operations);
        assert_eq!(found, Ok((json!({"members": [{"value": "u-1"}]}), vec![])));
    }
}

#[test]
fn what_nobody_knows_or_may_set_is_left_out() {
    check_user(vec![
        (
            json!({}),
            json!({"op": "add", "path": "shoeSize", "value": "43"}),
            json!({}),
            vec![Note::UNKNOWN_IGNORED],
        ),
        (
            json!({}),
            json!({"op": "add", "path": "emails[type eq \"work\"].shoe", "value": "43"}),
            json!({}),
            vec![Note::UNKNOWN_IGNORED],
        ),
        (
            json!({}),
            json!({"op": "add", "path": "name.shoe", "value": "43"}),
            json!({}),
            vec![Note::UNKNOWN_IGNORED],
        ),
        (
            json!({}),
            json!({"op": "remove", "path": format!("{ENT}:shoe")}),
            json!({}),
            vec![Note::UNKNOWN_IGNORED],
        ),
        (
            json!({}),
            json!({"op": "add", "path": "emails", "value": [{"shoe": "43", "value": "a"}]}),
            json!({"emails": [{"value": "a"}]}),
            vec![Note::UNKNOWN_IGNORED],
        ),
        (
            json!({}),
            json!({"op": "add", "path": "name", "value": {"shoe": "43"}}),
            json!({}),
            vec![Note::UNKNOWN_IGNORED],
        ),
        (
            json!({}),
            json!({"op": "replace", "value": {"title": "A", "shoe size": 43, "": 1, "id": "x", "meta": {"resourceType": "User"}}}),
            json!({"title": "A"}),
            vec![
                Note::UNKNOWN_IGNORED,
                Note::UNKNOWN_IGNORED,
                entra::READ_ONLY_IGNORED,
                entra::READ_ONLY_IGNORED,
            ],
        ),
    ]);
    // A path that is wrong or read-only, stated as such, is a mistake for everybody.
    for path in [
        "id",
        "meta.created",
        "title x",
        "name.",
        "emails[type",
        "emails[shoe pr].value",
    ] {
        for profile in [Profile::Entra, Profile::Strict] {
            let operations = json!([{"op": "replace", "path": path, "value": "x"}]);
            assert!(
                patched(profile, ResourceKind::User, &json!({}), &operations).is_err(),
                "{path} {profile:?}"
            );
        }
    }
}

#[test]
fn a_plain_envelope_carries_no_notes() {
    let operations = json!([
        {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "b"},
        {"op": "replace", "value": {"displayName": "Mara", "active": false}},
        {"op": "add", "path": "nickName", "value": "M"},
        {"op": "remove", "path": "title"},
    ]);
    let before = json!({"title": "A", "emails": [{"type": "work", "value": "a"}]});
    let after = json!({
        "emails": [{"type": "work", "value": "b"}], "displayName": "Mara", "active": false, "nickName": "M"
    });
    for profile in [Profile::Entra, Profile::Strict] {
        let (mut found, notes) =
            patched(profile, ResourceKind::User, &before, &operations).unwrap();
        assert_eq!(found, after);
        assert_eq!(notes, [""; 0]);
        found.take();
    }
}
