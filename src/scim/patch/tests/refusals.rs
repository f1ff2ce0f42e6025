//! What PATCH refuses, and with which words.

use crate::scim::patch::PATCH_OP;
use crate::scim::patch::Patch;
use crate::scim::patch::tests::patched;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;
use crate::scim::schema::registry::Registry;
use serde_json::Value;
use serde_json::json;

#[test]
fn a_wrong_operation_is_refused_with_its_number() {
    let manager = format!("{}:manager", core::ENTERPRISE_USER);
    for (operation, refusal) in [
        (
            json!("add"),
            "invalidSyntax: operation 2: it must be a JSON object",
        ),
        (
            json!({}),
            "invalidSyntax: operation 2: `op` must be \"add\", \"replace\" or \"remove\"",
        ),
        (
            json!({"op": "move", "path": "title"}),
            "invalidSyntax: operation 2: `op` is \"move\"; it must be \"add\", \"replace\" or \"remove\"",
        ),
        (
            json!({"op": "add", "path": "title"}),
            "invalidSyntax: operation 2: `add` needs a `value`",
        ),
        (
            json!({"op": "add", "path": 1, "value": 1}),
            "invalidPath: operation 2: `path` must be a string",
        ),
        (
            json!({"op": "add", "value": "x"}),
            "invalidValue: operation 2: without a `path`, `value` must be an object of attributes",
        ),
        (
            json!({"op": "remove"}),
            "noTarget: operation 2: `remove` needs a `path` that tells what to remove",
        ),
        (
            json!({"op": "remove", "path": "emails", "value": [{"value": "a"}]}),
            "invalidSyntax: operation 2: `remove` takes no `value`; name what to remove in `path`, such as members[value eq \"…\"]",
        ),
        (
            json!({"op": "add", "path": "", "value": "x"}),
            "invalidPath: operation 2: `path`, at character 1: an attribute's name should follow, but found the end",
        ),
        (
            json!({"op": "add", "path": "shoeSize", "value": "x"}),
            "invalidPath: operation 2: `path`, at character 1: User has no attribute \"shoeSize\"",
        ),
        (
            json!({"op": "add", "value": {"shoeSize": "x"}}),
            "invalidPath: operation 2: User has no attribute \"shoeSize\"",
        ),
        (
            json!({"op": "add", "path": "name", "value": {"shoe": "x"}}),
            "invalidPath: operation 2: name has no attribute \"shoe\"",
        ),
        (
            json!({"op": "add", "path": "emails", "value": [{"value": "x"}, {"shoe": "x"}]}),
            "invalidPath: operation 2: `emails[1].shoe` is no attribute of User",
        ),
        (
            json!({"op": "add", "path": "urn:x:2.0:Custom:costCode", "value": "x"}),
            "invalidPath: operation 2: `path`, at character 1: no schema of User is the beginning of \"urn:x:2.0:Custom:costCode\"",
        ),
        (
            json!({"op": "add", "path": "title x", "value": "x"}),
            "invalidPath: operation 2: `path`, at character 7: the path should end here, but found `x`",
        ),
        (
            json!({"op": "add", "path": "emails[type eq \"work\"] x", "value": "x"}),
            "invalidPath: operation 2: `path`, at character 24: it should end here, or `and` or `or` should follow, but found `x`",
        ),
        (
            json!({"op": "add", "path": "emails[type is \"work\"]", "value": {}}),
            "invalidFilter: operation 2: `path`, at character 13: an operator should follow: eq, ne, co, sw, ew, gt, ge, lt, le or pr, but found `is`",
        ),
        (
            json!({"op": "add", "path": "emails[shoe pr]", "value": {}}),
            "invalidFilter: operation 2: `path`, at character 8: \"emails\" has no sub-attribute \"shoe\"",
        ),
        (
            json!({"op": "replace", "path": "name[givenName pr]", "value": {"givenName": "x"}}),
            "invalidPath: operation 2: `name` has one value, so a filter has nothing to choose",
        ),
        (
            json!({"op": "add", "path": "title", "value": 1}),
            "invalidValue: operation 2: `title` must be a string, not a number",
        ),
        (
            json!({"op": "add", "path": "password", "value": 1}),
            "invalidValue: operation 2: `password` must be a string, not a number",
        ),
        (
            json!({"op": "add", "path": "name", "value": "x"}),
            "invalidValue: operation 2: `name` must be an object",
        ),
        (
            json!({"op": "replace", "path": "emails", "value": [{"primary": true}, {"primary": true}]}),
            "invalidValue: operation 2: `emails` has two primary elements, [0] and [1]; at most one may be",
        ),
        (
            json!({"op": "replace", "path": "id", "value": "x"}),
            "mutability: operation 2: `id` is read-only: only the server sets it",
        ),
        (
            json!({"op": "replace", "path": "meta.created", "value": "x"}),
            "mutability: operation 2: `meta.created` is read-only: only the server sets it",
        ),
        (
            json!({"op": "replace", "value": {"groups": []}}),
            "mutability: operation 2: `groups` is read-only: only the server sets it",
        ),
        (
            json!({"op": "remove", "path": "groups[value eq \"g\"]"}),
            "mutability: operation 2: `groups` is read-only: only the server sets it",
        ),
        (
            json!({"op": "add", "path": manager, "value": {"displayName": "x"}}),
            "mutability: operation 2: `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName` is read-only: only the server sets it",
        ),
        (
            json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": "x"}),
            "noTarget: `emails[type eq \"work\"].value` matches no value",
        ),
        (
            json!({"op": "add", "path": "emails.value", "value": "x"}),
            "noTarget: `emails.value` matches no value",
        ),
        (
            json!({"op": "remove", "path": "userName"}),
            "mutability: `userName` is required and cannot be removed",
        ),
        (
            json!({"op": "replace", "path": "userName", "value": null}),
            "mutability: `userName` is required and cannot be removed",
        ),
        (
            json!({"op": "remove", "path": "schemas"}),
            "mutability: `schemas` is required and cannot be removed",
        ),
        (
            json!({"op": "replace", "path": "userName", "value": " "}),
            "invalidValue: `userName` is required and must not be empty",
        ),
    ] {
        let operations = json!([{"op": "add", "path": "title", "value": "Dr"}, operation]);
        assert_eq!(
            patched(&json!({}), &operations),
            Err(refusal.to_owned()),
            "{operation}"
        );
    }
}

#[test]
fn the_message_has_its_schema_and_operations() {
    let registry = Registry::new(Profile::Strict, false);
    let operation = json!({"op": "add", "path": "title", "value": "x"});
    let no_schema = "`schemas` must be an array that contains \"urn:ietf:params:scim:api:messages:2.0:PatchOp\"";
    let no_operations = "`Operations` must be an array of operations";
    for (body, refusal) in [
        (json!([]), "the body must be a JSON object"),
        (json!({"Operations": [operation]}), no_schema),
        (
            json!({"schemas": [core::USER], "Operations": [operation]}),
            no_schema,
        ),
        (
            json!({"schemas": PATCH_OP, "Operations": [operation]}),
            no_schema,
        ),
        (json!({"schemas": [PATCH_OP]}), no_operations),
        (
            json!({"schemas": [PATCH_OP], "Operations": operation}),
            no_operations,
        ),
        (
            json!({"schemas": [PATCH_OP], "operations": [operation]}),
            no_operations,
        ),
        (
            json!({"schemas": [PATCH_OP], "Operations": []}),
            "`Operations` is empty; it must hold at least one operation",
        ),
        (
            json!({"schemas": [PATCH_OP], "Operations": vec![operation; 1001]}),
            "1001 operations; one PATCH may have at most 1000",
        ),
    ] {
        let error = Patch::parse(body, &registry, ResourceKind::User, &mut Vec::new()).unwrap_err();
        assert_eq!(error.detail(), refusal);
    }
}

#[test]
fn two_elements_cannot_both_become_primary() {
    let before =
        json!({"emails": [{"value": "a", "type": "work"}, {"value": "b", "type": "work"}]});
    let operations =
        json!([{"op": "replace", "path": "emails[type eq \"work\"].primary", "value": true}]);
    let refusal = patched(&before, &operations).unwrap_err();
    assert!(
        refusal.starts_with("invalidValue: `emails` has two primary elements"),
        "{refusal}"
    );
}

#[test]
fn one_message_may_not_cost_too_much() {
    let emails: Vec<_> = (0..20_000)
        .map(|number| json!({"value": number.to_string()}))
        .collect();
    // A hundred terms, of which the first settles it: the bound counts what it might take.
    let filter = vec!["value eq \"x\""; 100].join(" and ");
    let operation = json!({"op": "remove", "path": format!("emails[{filter}]")});
    for (count, expected) in [
        (5, Ok(Value::Null)),
        (
            6,
            Err("tooMany: choosing elements of `emails` takes more than 10000000 comparisons; send fewer operations at once".to_owned()),
        ),
    ] {
        let operations = json!(vec![operation.clone(); count]);
        assert_eq!(patched(&json!({"emails": emails}), &operations), expected);
    }
}

#[test]
fn thousands_of_elements_are_added_without_comparing_each_with_each() {
    let emails: Vec<_> = (0..20_000)
        .map(|number| json!({"value": number.to_string()}))
        .collect();
    let operations = json!([{"op": "add", "path": "emails", "value": emails}]);
    assert_eq!(
        patched(&json!({}), &operations),
        Ok(json!({"emails": emails}))
    );
    assert_eq!(
        patched(&json!({"emails": emails}), &operations),
        Ok(Value::Null)
    );
}
