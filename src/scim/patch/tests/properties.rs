//! No message breaks PATCH.

use crate::scim::patch::Outcome;
use crate::scim::patch::PATCH_OP;
use crate::scim::patch::Patch;
use crate::scim::patch::tests::user;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;
use crate::scim::schema::registry::Registry;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prop_oneof;
use proptest::proptest;
use serde_json::Value;
use serde_json::json;

/// JSON values of every shape, with names that mean something.
fn values() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("value".to_owned()),
        Just("primary".to_owned()),
        Just("emails".to_owned()),
        Just("name".to_owned()),
        Just("name.givenName".to_owned()),
        Just("manager".to_owned()),
        Just(core::ENTERPRISE_USER.to_owned()),
        Just("urn:x:2.0:Custom:a".to_owned()),
        Just("id".to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!("True")),
        Just(json!("")),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((name.clone(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Operations of every shape.
fn operations() -> impl Strategy<Value = Value> {
    let op = prop_oneof![
        Just("add"),
        Just("Replace"),
        Just("replace"),
        Just("remove"),
        Just("x")
    ];
    let path = prop_oneof![
        Just(None),
        any::<String>().prop_map(Some),
        prop_oneof![
            Just("title"),
            Just("active"),
            Just("name"),
            Just("name.givenName"),
            Just("emails"),
            Just("emails.value"),
            Just("emails[type eq \"work\"]"),
            Just("emails[primary eq true].value"),
            Just("emails[type eq \"a\" or type pr].primary"),
            Just("manager"),
            Just("manager[value pr]"),
            Just("schemas"),
            Just("schemas[value pr]"),
            Just("urn:x:2.0:Custom:a"),
            Just("urn:x:2.0:Custom:a[b eq \"c\"].d"),
            Just("urn:x:2.0:Custom:a.b"),
            Just(core::ENTERPRISE_USER),
            Just("userName"),
            Just("password"),
            Just("members"),
        ]
        .prop_map(|path| Some(path.to_owned())),
    ];
    (op, path, proptest::option::of(values())).prop_map(|(op, path, value)| {
        let mut operation = json!({"op": op});
        let members = operation.as_object_mut().unwrap();
        members.extend(path.map(|path| ("path".to_owned(), path.into())));
        members.extend(value.map(|value| ("value".to_owned(), value)));
        operation
    })
}

proptest! {
    #[test]
    fn no_message_breaks_parse_or_apply(list in proptest::collection::vec(operations(), 1..5)) {
        for profile in [Profile::Entra, Profile::Strict] {
            let registry = Registry::new(profile, false);
            let before = user(&registry, &json!({
                "emails": [{"value": "a", "type": "work", "primary": true}, {"value": "b"}],
                "name": {"givenName": "Mara"},
                core::ENTERPRISE_USER: {"manager": {"value": "u-1"}}
            }));
            let body = json!({"schemas": [PATCH_OP], "Operations": list});
            let patch = Patch::parse(body, &registry, ResourceKind::User, &mut Vec::new());
            if let Ok(patch) = patch
                && let Ok(Outcome::Changed(after)) = patch.apply(&before, &registry)
            {
                // What comes out is settled: settling it again changes nothing.
                let again = crate::scim::resource::parse::settle(
                    ResourceKind::User, after.tree().clone(), &registry,
                );
                assert_eq!(again.as_ref(), Ok(&after));
            }
        }
    }

    #[test]
    fn no_json_breaks_parse(body in values()) {
        for profile in [Profile::Entra, Profile::Strict] {
            let registry = Registry::new(profile, false);
            drop(Patch::parse(body.clone(), &registry, ResourceKind::User, &mut Vec::new()));
            let body = json!({"schemas": [PATCH_OP], "Operations": body});
            drop(Patch::parse(body, &registry, ResourceKind::Group, &mut Vec::new()));
        }
    }
}
