//! Tables for PATCH in profile `strict`: what the RFC asks, and nothing else.

#![expect(
    clippy::too_many_lines,
    reason = "a table is one thing, however many rows it has"
)]

use crate::scim::patch::Outcome;
use crate::scim::patch::PATCH_OP;
use crate::scim::patch::Patch;
use crate::scim::resource::Resource;
use crate::scim::resource::parse::parse;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;
use crate::scim::schema::registry::Registry;
use serde_json::Value;
use serde_json::json;

mod members;
mod properties;
mod refusals;

/// A user with these members beside the necessary ones.
fn user(registry: &Registry, members: &Value) -> Resource {
    let mut body = json!({
        "schemas": [core::USER, core::ENTERPRISE_USER],
        "userName": "mara",
        "active": true,
    });
    let all = body.as_object_mut().unwrap();
    all.extend(members.as_object().unwrap().clone());
    if !all.contains_key(core::ENTERPRISE_USER) {
        all["schemas"] = json!([core::USER]);
    }
    parse(body, registry, ResourceKind::User, &mut Vec::new()).unwrap()
}

/// What becomes of a user with `before`: its members without the necessary ones, or the reason and
/// sentence of the refusal. `Null` where nothing changed.
fn patched(before: &Value, operations: &Value) -> Result<Value, String> {
    let registry = Registry::new(Profile::Strict, false);
    let body = json!({"schemas": [PATCH_OP], "Operations": operations});
    let refused = |error: crate::scim::error::ScimError| {
        format!("{}: {error}", error.condition().scim_type().unwrap_or("-"))
    };
    let patch =
        Patch::parse(body, &registry, ResourceKind::User, &mut Vec::new()).map_err(refused)?;
    let before = user(&registry, before);
    match patch.apply(&before, &registry).map_err(refused)? {
        Outcome::Unchanged => Ok(Value::Null),
        Outcome::Changed(after) => {
            assert_ne!(after, before);
            let mut tree = after.into_tree();
            let schemas = tree.shift_remove("schemas").unwrap();
            let extended = tree.contains_key(core::ENTERPRISE_USER);
            assert_eq!(schemas.as_array().unwrap().len(), 1 + usize::from(extended));
            if tree.get("userName") == Some(&json!("mara")) {
                tree.shift_remove("userName");
            }
            if tree.get("active") == Some(&json!(true)) {
                tree.shift_remove("active");
            }
            Ok(Value::Object(tree))
        }
    }
}

/// Runs rows of before, operations and after.
fn check(rows: &[(Value, Value, Value)]) {
    for (before, operations, after) in rows {
        assert_eq!(
            patched(before, operations).as_ref(),
            Ok(after),
            "{before} {operations}"
        );
    }
}

#[test]
fn add_sets_what_is_missing_and_keeps_what_is_there() {
    let work = json!({"value": "a@x.example", "type": "work"});
    let home = json!({"value": "b@x.example", "type": "home"});
    check(&[
        (
            json!({}),
            json!([{"op": "add", "path": "title", "value": "Dr"}]),
            json!({"title": "Dr"}),
        ),
        (
            json!({"title": "Mr"}),
            json!([{"op": "add", "path": "TITLE", "value": "Dr"}]),
            json!({"title": "Dr"}),
        ),
        (
            json!({"name": {"givenName": "Mara", "familyName": "L"}}),
            json!([{"op": "add", "path": "name", "value": {"FamilyName": "Ode"}}]),
            json!({"name": {"givenName": "Mara", "familyName": "Ode"}}),
        ),
        (
            json!({}),
            json!([{"op": "add", "path": "name.givenName", "value": "Mara"}]),
            json!({"name": {"givenName": "Mara"}}),
        ),
        (
            json!({"emails": [work]}),
            json!([{"op": "add", "path": "emails", "value": [home]}]),
            json!({"emails": [work, home]}),
        ),
        // One element without its array.
        (
            json!({"emails": [work]}),
            json!([{"op": "add", "path": "emails", "value": home}]),
            json!({"emails": [work, home]}),
        ),
        // Without a path.
        (
            json!({"emails": [work]}),
            json!([{"op": "add", "value": {
                "emails": [home], "nickName": "M", core::ENTERPRISE_USER: {"Department": "Optics"}
            }}]),
            json!({"emails": [work, home], "nickName": "M", core::ENTERPRISE_USER: {"department": "Optics"}}),
        ),
        // A value path with matches.
        (
            json!({"emails": [work, home]}),
            json!([{"op": "add", "path": "emails[type eq \"work\"].display", "value": "W"}]),
            json!({"emails": [{"value": "a@x.example", "type": "work", "display": "W"}, home]}),
        ),
        (
            json!({"emails": [work, home]}),
            json!([{"op": "add", "path": "emails[type eq \"work\"]", "value": {"display": "W"}}]),
            json!({"emails": [{"value": "a@x.example", "type": "work", "display": "W"}, home]}),
        ),
        (
            json!({"emails": [work, home]}),
            json!([{"op": "add", "path": "emails.display", "value": "D"}]),
            json!({"emails": [
                {"value": "a@x.example", "type": "work", "display": "D"},
                {"value": "b@x.example", "type": "home", "display": "D"}
            ]}),
        ),
    ]);
}

#[test]
fn what_is_there_already_is_not_added_again() {
    let before = json!({
        "title": "Dr",
        "name": {"givenName": "Mara"},
        "emails": [{"value": "a@x.example", "type": "work", "primary": true}],
        "addresses": [{"type": "work", "country": "SE"}],
        core::ENTERPRISE_USER: {"manager": {"value": "u-1", "$ref": "../Users/u-1"}},
    });
    for operation in [
        json!({"op": "add", "path": "title", "value": "Dr"}),
        json!({"op": "replace", "path": "title", "value": "Dr"}),
        json!({"op": "add", "path": "emails", "value": {"value": "a@x.example", "type": "work"}}),
        json!({"op": "add", "path": "emails", "value": [{"value": "A@X.example"}]}),
        json!({"op": "add", "path": "addresses", "value": [{"country": "SE", "type": "work"}]}),
        json!({"op": "replace", "value": {"name": {"givenName": "Mara"}}}),
        json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": "a@x.example"}),
        json!({"op": "remove", "path": "nickName"}),
        json!({"op": "remove", "path": "emails[type eq \"home\"]"}),
        json!({"op": "remove", "path": "emails[type eq \"home\"].value"}),
        json!({"op": "remove", "path": "name.familyName"}),
        json!({"op": "add", "path": "nickName", "value": null}),
        json!({"op": "add", "path": "emails", "value": []}),
        json!({"op": "replace", "path": "password", "value": "secret"}),
        json!({"op": "remove", "path": "password"}),
        json!({"op": "replace", "path": format!("{}:manager.value", core::ENTERPRISE_USER), "value": "u-1"}),
        json!({"op": "add", "path": "schemas", "value": [core::ENTERPRISE_USER]}),
    ] {
        assert_eq!(
            patched(&before, &json!([operation])),
            Ok(Value::Null),
            "{operation}"
        );
    }
}

#[test]
fn replace_sets_what_is_named_and_leaves_the_rest() {
    let work = json!({"value": "a@x.example", "type": "work", "display": "W"});
    let home = json!({"value": "b@x.example", "type": "home"});
    check(&[
        (
            json!({"title": "Mr"}),
            json!([{"op": "replace", "path": "title", "value": "Dr"}]),
            json!({"title": "Dr"}),
        ),
        (
            json!({}),
            json!([{"op": "replace", "path": "title", "value": "Dr"}]),
            json!({"title": "Dr"}),
        ),
        (
            json!({"name": {"givenName": "Mara", "familyName": "L"}}),
            json!([{"op": "replace", "path": "name", "value": {"familyName": "Ode", "givenName": null}}]),
            json!({"name": {"familyName": "Ode"}}),
        ),
        (
            json!({"emails": [work, home]}),
            json!([{"op": "replace", "path": "emails", "value": [{"value": "c@x.example"}]}]),
            json!({"emails": [{"value": "c@x.example"}]}),
        ),
        (
            json!({"emails": [work, home], "title": "Dr"}),
            json!([{"op": "replace", "value": {"emails": null, "title": "Mr"}}]),
            json!({"title": "Mr"}),
        ),
        (
            json!({"emails": [work, home]}),
            json!([{"op": "replace", "path": "emails[type eq \"work\"].value", "value": "c@x.example"}]),
            json!({"emails": [{"value": "c@x.example", "type": "work", "display": "W"}, home]}),
        ),
        // Within a value path the element is replaced as a whole.
        (
            json!({"emails": [work, home]}),
            json!([{"op": "replace", "path": "emails[type eq \"work\"]", "value": {"value": "c@x.example"}}]),
            json!({"emails": [{"value": "c@x.example"}, home]}),
        ),
        (
            json!({"title": "Dr"}),
            json!([{"op": "replace", "path": "title", "value": null}]),
            json!({}),
        ),
        // An empty string is a string.
        (
            json!({"title": "Dr"}),
            json!([{"op": "replace", "path": "title", "value": ""}]),
            json!({"title": ""}),
        ),
        (
            json!({}),
            json!([{"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:title", "value": "Dr"}]),
            json!({"title": "Dr"}),
        ),
        (
            json!({core::ENTERPRISE_USER: {"department": "A", "division": "D"}}),
            json!([{"op": "replace", "path": core::ENTERPRISE_USER, "value": {"department": "B"}}]),
            json!({core::ENTERPRISE_USER: {"department": "B", "division": "D"}}),
        ),
        // A reference does not outlive the value that it belongs to.
        (
            json!({core::ENTERPRISE_USER: {"manager": {"value": "u-1", "$ref": "../Users/u-1"}}}),
            json!([{"op": "replace", "path": format!("{}:manager", core::ENTERPRISE_USER), "value": {"value": "u-2"}}]),
            json!({core::ENTERPRISE_USER: {"manager": {"value": "u-2"}}}),
        ),
        (
            json!({core::ENTERPRISE_USER: {"manager": {"value": "u-1", "$ref": "../Users/u-1"}}}),
            json!([{"op": "replace", "path": format!("{}:manager", core::ENTERPRISE_USER),
                "value": {"$ref": "../Users/u-2", "value": "u-2"}}]),
            json!({core::ENTERPRISE_USER: {"manager": {"value": "u-2", "$ref": "../Users/u-2"}}}),
        ),
    ]);
}

#[test]
fn remove_takes_away_and_leaves_nothing_empty() {
    let work = json!({"value": "a@x.example", "type": "work"});
    let home = json!({"value": "b@x.example"});
    let manager = format!("{}:manager", core::ENTERPRISE_USER);
    check(&[
        (
            json!({"title": "Dr"}),
            json!([{"op": "remove", "path": "title"}]),
            json!({}),
        ),
        (
            json!({"title": "Dr"}),
            json!([{"op": "remove", "path": "title", "value": null}]),
            json!({}),
        ),
        (
            json!({"emails": [work, home]}),
            json!([{"op": "remove", "path": "emails"}]),
            json!({}),
        ),
        (
            json!({"emails": [work, home]}),
            json!([{"op": "remove", "path": "emails[type eq \"work\"]"}]),
            json!({"emails": [home]}),
        ),
        (
            json!({"emails": [work]}),
            json!([{"op": "remove", "path": "emails[type eq \"work\"]"}]),
            json!({}),
        ),
        (
            json!({"emails": [work, home]}),
            json!([{"op": "remove", "path": "emails.value"}]),
            json!({"emails": [{"type": "work"}]}),
        ),
        (
            json!({"name": {"givenName": "Mara"}}),
            json!([{"op": "remove", "path": "name.givenName"}]),
            json!({}),
        ),
        (
            json!({core::ENTERPRISE_USER: {"manager": {"value": "u-1", "$ref": "r"}, "department": "D"}}),
            json!([{"op": "remove", "path": manager}]),
            json!({core::ENTERPRISE_USER: {"department": "D"}}),
        ),
        (
            json!({core::ENTERPRISE_USER: {"manager": {"value": "u-1", "$ref": "r"}}}),
            json!([{"op": "remove", "path": format!("{manager}.value")}]),
            json!({}),
        ),
        (
            json!({core::ENTERPRISE_USER: {"department": "D"}}),
            json!([{"op": "remove", "path": core::ENTERPRISE_USER}]),
            json!({}),
        ),
    ]);
}

#[test]
fn operations_act_on_what_the_last_one_left() {
    check(&[
        (
            json!({"displayName": "A"}),
            json!([
                {"op": "remove", "path": "displayName"},
                {"op": "add", "path": "displayName", "value": "B"},
                {"op": "replace", "path": "displayName", "value": "C"}
            ]),
            json!({"displayName": "C"}),
        ),
        // What is required may be missing in between.
        (
            json!({}),
            json!([
                {"op": "remove", "path": "userName"},
                {"op": "add", "path": "userName", "value": "ode"}
            ]),
            json!({"userName": "ode"}),
        ),
        (
            json!({}),
            json!([
                {"op": "add", "path": "emails", "value": [{"value": "a", "type": "work"}]},
                {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "b"}
            ]),
            json!({"emails": [{"value": "b", "type": "work"}]}),
        ),
        (
            json!({"title": "A"}),
            json!([
                {"op": "replace", "path": "title", "value": "B"},
                {"op": "replace", "path": "title", "value": "A"}
            ]),
            Value::Null,
        ),
    ]);
}

#[test]
fn a_new_primary_element_takes_the_mark_from_the_old() {
    let before = json!({"emails": [
        {"value": "a", "type": "work", "primary": true}, {"value": "b", "type": "home"}
    ]});
    let first = json!({"value": "a", "type": "work", "primary": false});
    let second = json!({"value": "b", "type": "home", "primary": true});
    for (operation, emails) in [
        (
            json!({"op": "add", "path": "emails", "value": [{"value": "c", "primary": true}]}),
            json!([first, {"value": "b", "type": "home"}, {"value": "c", "primary": true}]),
        ),
        (
            json!({"op": "add", "path": "emails", "value": [{"value": "b", "type": "home", "primary": true}]}),
            json!([first, second]),
        ),
        (
            json!({"op": "replace", "path": "emails[type eq \"home\"].primary", "value": true}),
            json!([first, second]),
        ),
        (
            json!({"op": "replace", "path": "emails[type eq \"home\"]", "value": second}),
            json!([first, second]),
        ),
    ] {
        let after = patched(&before, &json!([operation]));
        assert_eq!(after, Ok(json!({"emails": emails})), "{operation}");
    }
}

#[test]
fn values_of_a_simple_attribute_are_chosen_by_either_form() {
    for path in ["schemas eq \"urn:x\"", "schemas[value eq \"urn:x\"]"] {
        let operations = json!([{"op": "remove", "path": path}]);
        assert_eq!(patched(&json!({}), &operations), Ok(Value::Null), "{path}");
    }
}

#[test]
fn members_of_a_group_can_be_added_and_removed_but_not_changed() {
    let registry = Registry::new(Profile::Strict, false);
    let body = json!({"schemas": [core::GROUP], "displayName": "G", "members": [{"value": "u-1", "type": "User"}]});
    let group = parse(body, &registry, ResourceKind::Group, &mut Vec::new()).unwrap();
    let one = json!({"value": "u-1", "type": "User"});
    for (operation, members) in [
        (
            json!({"op": "add", "path": "members", "value": [{"value": "u-2"}]}),
            Ok(json!([one, {"value": "u-2"}])),
        ),
        (
            json!({"op": "add", "path": "members", "value": [{"value": "u-1"}]}),
            Ok(json!([one])),
        ),
        (
            json!({"op": "add", "path": "members", "value": [{"value": "U-1"}]}),
            Ok(json!([one, {"value": "U-1"}])),
        ),
        (
            json!({"op": "remove", "path": "members[value eq \"u-1\"]"}),
            Ok(Value::Null),
        ),
        (
            json!({"op": "replace", "path": "members", "value": []}),
            Ok(Value::Null),
        ),
        (
            json!({"op": "replace", "path": "members[value eq \"u-1\"].value", "value": "u-2"}),
            Err("`members[value eq \"u-1\"].value`: `value` cannot be changed once it is set"),
        ),
        (
            json!({"op": "replace", "path": "members[value eq \"u-1\"]", "value": {"value": "u-2"}}),
            Err("`members[value eq \"u-1\"]`: `value` cannot be changed once it is set"),
        ),
        (
            json!({"op": "remove", "path": "members.value"}),
            Err("`members.value`: `value` cannot be changed once it is set"),
        ),
    ] {
        let body = json!({"schemas": [PATCH_OP], "Operations": [operation]});
        let patch = Patch::parse(body, &registry, ResourceKind::Group, &mut Vec::new()).unwrap();
        let after = match patch.apply(&group, &registry) {
            Ok(Outcome::Changed(after)) => Ok(after),
            Ok(Outcome::Unchanged) => Ok(group.clone()),
            Err(error) => Err(error.detail().to_owned()),
        };
        let found = after.map(|after| after.tree().get("members").cloned().unwrap_or_default());
        assert_eq!(found, members.map_err(str::to_owned), "{operation}");
    }
}
