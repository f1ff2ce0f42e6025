//! No message breaks PATCH.

use std::collections::BTreeSet;

use crate::scim::members::Member;
use crate::scim::members::MemberStep;
use crate::scim::patch::Operation;
use crate::scim::patch::Outcome;
use crate::scim::patch::PATCH_OP;
use crate::scim::patch::Patch;
use crate::scim::patch::tests::user;
use crate::scim::resource::parse::parse;
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
        Just("members".to_owned()),
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
            Just("members.value"),
            Just("members[value eq \"a\"]"),
            Just("members[value eq \"a\"].type"),
            Just("members[type pr]"),
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

/// An operation on members that both profiles understand.
fn on_members() -> impl Strategy<Value = Value> {
    let id = || prop_oneof![Just("a"), Just("b"), Just("c"), Just("aa")];
    let list = move || {
        proptest::collection::vec(id(), 0..4).prop_map(|ids| {
            let members = ids.into_iter().map(|id| json!({"value": id}));
            members.collect::<Vec<_>>()
        })
    };
    let path = (id(), id(), 0..5).prop_map(|(one, other, form)| match form {
        0 => format!("members[value eq \"{one}\"]"),
        1 => format!("members[value eq \"{one}\" or value eq \"{other}\"]"),
        2 => format!("members[value ne \"{one}\" and value ne \"{other}\"]"),
        3 => format!("members[not (value eq \"{one}\")]"),
        _ => format!("members[value sw \"{one}\"]"),
    });
    prop_oneof![
        list().prop_map(|list| json!({"op": "add", "path": "members", "value": list})),
        list().prop_map(|list| json!({"op": "replace", "path": "members", "value": list})),
        list().prop_map(|list| json!({"op": "add", "value": {"members": list}})),
        Just(json!({"op": "remove", "path": "members"})),
        path.prop_map(|path| json!({"op": "remove", "path": path})),
    ]
}

/// Carries a step out on the ids of members.
fn step_on(ids: &mut BTreeSet<String>, step: MemberStep) {
    let values = |members: Vec<Member>| members.into_iter().map(|member| member.value);
    match step {
        MemberStep::Add(members) => ids.extend(values(members)),
        MemberStep::Set(members) => *ids = values(members).collect(),
        MemberStep::Remove(gone) => ids.retain(|id| !gone.contains(id)),
        MemberStep::Clear => ids.clear(),
        MemberStep::RemoveMatching(filter) => {
            ids.retain(|id| !filter.matches_element(&json!({"value": id})));
        }
    }
}

proptest! {
    #[test]
    fn steps_on_members_do_what_the_operations_would(
        list in proptest::collection::vec(on_members(), 1..6),
        before in proptest::collection::btree_set("[abc]", 0..3),
    ) {
        let members: Vec<_> = before.iter().map(|id| json!({"value": id})).collect();
        let group = json!({"schemas": [core::GROUP], "displayName": "G", "members": members});
        let body = json!({"schemas": [PATCH_OP], "Operations": list});
        for profile in [Profile::Entra, Profile::Strict] {
            let registry = Registry::new(profile, false);
            let group = parse(group.clone(), &registry, ResourceKind::Group, &mut Vec::new());
            let group = group.unwrap();
            let patch = Patch::parse(body.clone(), &registry, ResourceKind::Group, &mut Vec::new());
            let patch = patch.unwrap();
            let mut after = match patch.apply(&group, &registry).unwrap() {
                Outcome::Changed(after) => after,
                Outcome::Unchanged => group,
            };
            let expected = after.take_members().unwrap_or_default();
            let expected: BTreeSet<_> = expected.into_iter().map(|member| member.value).collect();
            let (rest, steps) = patch.split(&mut Vec::new()).unwrap();
            assert_eq!(rest.operations(), []);
            let mut ids = before.clone();
            for step in steps {
                step_on(&mut ids, step);
            }
            assert_eq!(ids, expected, "{profile:?} {body}");
        }
    }

    #[test]
    fn no_message_breaks_split(list in proptest::collection::vec(operations(), 1..5)) {
        for profile in [Profile::Entra, Profile::Strict] {
            let registry = Registry::new(profile, false);
            let body = json!({"schemas": [PATCH_OP], "Operations": list});
            let patch = Patch::parse(body, &registry, ResourceKind::Group, &mut Vec::new());
            if let Ok(patch) = patch
                && let Ok((rest, steps)) = patch.split(&mut Vec::new())
            {
                assert!(!steps.contains(&MemberStep::Set(Vec::new())), "{steps:?}");
                let on_members = |operation: &Operation| {
                    let (Operation::Add { path, .. }
                    | Operation::Replace { path, .. }
                    | Operation::Remove { path, .. }) = operation;
                    let path = path.attr_path();
                    path.is_some_and(|path| {
                        path.extension.is_none() && &*path.attribute.name == "members"
                    })
                };
                assert!(!rest.operations().iter().any(on_members), "{rest:?}");
            }
        }
    }

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
