//! Elements that Entra expects to be built.

use crate::scim::dialect::entra;
use crate::scim::dialect::entra::tests::check;
use crate::scim::dialect::entra::tests::patched;
use crate::scim::patch::ELEMENT_BUILT;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use serde_json::json;

#[test]
fn an_element_is_built_where_none_matches() {
    check(
        ResourceKind::User,
        vec![
            (
                json!({"addresses": [{"type": "home", "country": "DK"}]}),
                json!([
                    {"op": "Add", "path": "addresses[type eq \"work\"].country", "value": "SE"},
                    {"op": "Replace", "path": "addresses[type eq \"work\"].locality", "value": "Umeå"},
                    {"op": "Add", "path": "addresses[type eq \"other\"].formatted", "value": ""}
                ]),
                json!({"addresses": [
                    {"type": "home", "country": "DK"},
                    {"type": "work", "country": "SE", "locality": "Umeå"}
                ]}),
                vec![
                    entra::OP_CASE,
                    entra::OP_CASE,
                    entra::OP_CASE,
                    entra::EMPTY_CLEARS,
                    ELEMENT_BUILT,
                ],
            ),
            (
                json!({"roles": [{"value": "Old", "primary": false}]}),
                json!([
                    {"op": "add", "path": "roles[primary eq \"True\"].display", "value": "Reader"},
                    {"op": "add", "path": "roles[primary eq \"True\"].value", "value": "Reader"},
                    {"op": "add", "path": "roles[primary eq \"True\"].type", "value": "App"}
                ]),
                json!({"roles": [
                    {"value": "Old", "primary": false},
                    {"primary": true, "display": "Reader", "value": "Reader", "type": "App"}
                ]}),
                vec![
                    entra::FILTER_BOOLEAN,
                    entra::FILTER_BOOLEAN,
                    entra::FILTER_BOOLEAN,
                    ELEMENT_BUILT,
                ],
            ),
            (
                json!({}),
                json!([{"op": "replace", "path": "emails[type eq \"work\" and primary eq true]", "value": {"value": "a"}}]),
                json!({"emails": [{"type": "work", "primary": true, "value": "a"}]}),
                vec![ELEMENT_BUILT],
            ),
            (
                json!({}),
                json!([{"op": "replace", "path": "emails.value", "value": "a"}]),
                json!({"emails": [{"value": "a"}]}),
                vec![ELEMENT_BUILT],
            ),
        ],
    );
}

#[test]
fn only_equalities_describe_an_element() {
    for filter in [
        "type ne \"work\"",
        "type pr",
        "type eq \"a\" or type eq \"b\"",
        "not (type eq \"a\")",
        "type eq \"a\" and type eq \"b\"",
    ] {
        let operations =
            json!([{"op": "add", "path": format!("phoneNumbers[{filter}].value"), "value": "1"}]);
        let error =
            patched(Profile::Entra, ResourceKind::User, &json!({}), &operations).unwrap_err();
        assert_eq!(error.condition().scim_type(), Some("noTarget"), "{filter}");
    }
}
