//! Bodies of POST and PUT.

use crate::scim::dialect;
use crate::scim::dialect::entra::tests::ENT;
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
