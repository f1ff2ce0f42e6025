//! Bodies and what becomes of them, as tables.

use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prop_assert_eq;
use proptest::prop_oneof;
use proptest::proptest;
use serde_json::Value;
use serde_json::json;

use crate::base::ident::CountedIds;
use crate::base::ident::IdSource;
use crate::scim::error::Condition;
use crate::scim::resource::Note;
use crate::scim::resource::Resource;
use crate::scim::resource::parse::parse;
use crate::scim::resource::parse::settle;
use crate::scim::resource::parse::value;
use crate::scim::schema::Profile;
use crate::scim::schema::Profile::Entra;
use crate::scim::schema::Profile::Strict;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::ResourceKind::Group;
use crate::scim::schema::ResourceKind::User;
use crate::scim::schema::core::ENTERPRISE_USER;
use crate::scim::schema::core::GROUP;
use crate::scim::schema::core::USER;
use crate::scim::schema::registry::Registry;
use crate::scim::schema::registry::untyped;

/// Parses a body; the tree's text and the notes as `code path`.
fn accepted(profile: Profile, kind: ResourceKind, body: Value) -> (String, Vec<String>) {
    let mut notes = Vec::new();
    let resource = parse(body, &Registry::new(profile, false), kind, &mut notes).unwrap();
    let notes = notes
        .iter()
        .map(|note| format!("{} {}", note.code, note.path));
    (
        Value::Object(resource.into_tree()).to_string(),
        notes.collect(),
    )
}

/// Parses a body that must be refused.
fn refused(profile: Profile, kind: ResourceKind, body: Value) -> (Condition, String) {
    let mut notes = Vec::new();
    let error = parse(body, &Registry::new(profile, false), kind, &mut notes).unwrap_err();
    (error.condition(), error.detail().to_owned())
}

/// A user's body with these members besides `schemas` and `userName`.
fn user(members: Value) -> Value {
    let mut body = json!({"schemas": [USER, ENTERPRISE_USER], "userName": "mara"});
    let Value::Object(members) = members else {
        panic!("members are an object");
    };
    body.as_object_mut().unwrap().extend(members);
    body
}

#[test]
fn a_user_comes_back_as_sent_with_the_schemas_spelling() {
    let body = json!({
        "SCHEMAS": [ENTERPRISE_USER.to_ascii_lowercase(), USER.to_ascii_uppercase()],
        "externalId": " Mara ",
        "USERNAME": "mara.lindqvist@northbridge.example",
        "active": false,
        "emails": [
            {"Primary": true, "type": "work", "value": "Mara@northbridge.example"},
            {"value": "m@home.example", "type": "work"},
        ],
        "addresses": [{"type": "work", "primary": false, "locality": "Umeå"}],
        "phoneNumbers": [{"value": "+46 (0)70-000 00 01"}],
        "name": {"FamilyName": "Lindqvist", "givenName": ""},
        ENTERPRISE_USER.to_ascii_uppercase(): {
            "Department": "Optics",
            "manager": {"value": "u-11aa02", "displayName": "read only"},
        },
    });
    let tree = json!({
        "schemas": [USER, ENTERPRISE_USER],
        "externalId": " Mara ",
        "userName": "mara.lindqvist@northbridge.example",
        "active": false,
        "emails": [
            {"primary": true, "type": "work", "value": "Mara@northbridge.example"},
            {"value": "m@home.example", "type": "work"},
        ],
        "addresses": [{"type": "work", "primary": false, "locality": "Umeå"}],
        "phoneNumbers": [{"value": "+46 (0)70-000 00 01"}],
        "name": {"familyName": "Lindqvist", "givenName": ""},
        ENTERPRISE_USER: {"department": "Optics", "manager": {"value": "u-11aa02"}},
    });
    for profile in [Entra, Strict] {
        let (text, notes) = accepted(profile, User, body.clone());
        assert_eq!((text, notes.len()), (tree.to_string(), 0), "{profile:?}");
    }
}

#[test]
fn the_unassigned_and_what_is_the_servers_are_dropped() {
    let kept = json!({"schemas": [USER], "userName": "mara", "active": true});
    for members in [
        json!({"addresses": null, "phoneNumbers": [], "name": {}, "roles": [{}, null]}),
        json!({"emails": [{"value": null}], "name": {"familyName": null}, "title": []}),
        json!({"id": "mine", "meta": {"resourceType": 5}, "groups": [{"value": "g"}]}),
        json!({"password": "secret"}),
        json!({ENTERPRISE_USER: {"manager": {"value": null, "$ref": null}}}),
        json!({ENTERPRISE_USER: {}, "department": null, "manager": null}),
        json!({ENTERPRISE_USER: {"manager": {"displayName": "read only"}}}),
    ] {
        for profile in [Entra, Strict] {
            let (text, notes) = accepted(profile, User, user(members.clone()));
            assert_eq!((text, notes), (kept.to_string(), vec![]), "{members}");
        }
    }
}

#[test]
fn active_defaults_to_true_unless_it_was_cleared() {
    for (members, active) in [
        (json!({}), Some(true)),
        (json!({"ACTIVE": false}), Some(false)),
        (json!({"active": true}), Some(true)),
        (json!({"active": null}), None),
    ] {
        let registry = Registry::new(Strict, false);
        let resource = parse(user(members.clone()), &registry, User, &mut vec![]).unwrap();
        let stored = resource.tree().get("active").and_then(Value::as_bool);
        assert_eq!(stored, active, "{members}");
        assert_eq!(resource.active(), active != Some(false), "{members}");
    }
}

#[test]
fn unknown_attributes_are_left_out_and_noted() {
    let members = json!({
        "shoeSize": 44,
        "name": {"familyName": "Ode", "nick": "M"},
        "emails": [{"value": "a"}, {"value": "b", "verified": true}],
        ENTERPRISE_USER: {"department": "Optics", "manager": {"value": "m", "x": 1}, "badge": 1},
    });
    let tree = json!({
        "schemas": [USER, ENTERPRISE_USER],
        "userName": "mara",
        "name": {"familyName": "Ode"},
        "emails": [{"value": "a"}, {"value": "b"}],
        ENTERPRISE_USER: {"department": "Optics", "manager": {"value": "m"}},
        "active": true,
    });
    let notes = [
        "attribute.unknown_ignored shoeSize".to_owned(),
        "attribute.unknown_ignored name.nick".to_owned(),
        "attribute.unknown_ignored emails[1].verified".to_owned(),
        format!("attribute.unknown_ignored {ENTERPRISE_USER}:manager.x"),
        format!("attribute.unknown_ignored {ENTERPRISE_USER}:badge"),
    ];
    for profile in [Entra, Strict] {
        let got = accepted(profile, User, user(members.clone()));
        assert_eq!(got, (tree.to_string(), notes.to_vec()), "{profile:?}");
    }
}

#[test]
fn an_unregistered_extension_is_kept_by_entra_and_refused_by_strict() {
    let urn = "urn:ietf:params:scim:schemas:extension:Acme:2.0:User";
    let members = json!({urn: {"costCode": 7, "Cost": [null, {"Deep": {"er": []}}], "none": null}});
    let tree = json!({
        "schemas": [USER, urn],
        "userName": "mara",
        urn: {"costCode": 7, "Cost": [null, {"Deep": {"er": []}}]},
        "active": true,
    });
    let notes = [
        format!("attribute.unknown_kept {urn}"),
        format!("schemas.missing_added {urn}"),
    ];
    let got = accepted(Entra, User, user(members.clone()));
    assert_eq!(got, (tree.to_string(), notes.to_vec()));
    let refusal = refused(Strict, User, user(members));
    let detail = format!("`{urn}` is not a schema of this resource type; see /Schemas");
    assert_eq!(refusal, (Condition::BodySchema, detail));
}

#[test]
fn names_with_a_registered_urn_are_no_unregistered_extension() {
    for name in [
        USER.to_owned(),
        GROUP.to_owned(),
        format!("{USER}:title"),
        format!("{ENTERPRISE_USER}:manager"),
    ] {
        let body = user(json!({name.clone(): {"value": "x"}}));
        let (text, notes) = accepted(Entra, User, body);
        assert_eq!(text, accepted(Entra, User, user(json!({}))).0);
        assert_eq!(notes, [format!("attribute.unknown_ignored {name}")]);
    }
}

#[test]
fn schemas_says_what_the_body_is() {
    let must = format!("`schemas` must contain \"{USER}\"");
    let missing = format!("`schemas` is missing; it must contain \"{USER}\"");
    for (schemas, detail) in [
        (json!(null), &*missing),
        (json!([]), &*missing),
        (json!([ENTERPRISE_USER]), &*must),
        (
            json!(USER),
            "`schemas` must be an array of URNs, not a string",
        ),
        (json!([USER, 1]), "`schemas[1]` must be a URN, not a number"),
    ] {
        for profile in [Entra, Strict] {
            let body = json!({"schemas": schemas, "userName": "mara"});
            let got = refused(profile, User, body);
            assert_eq!(got, (Condition::BodySchema, detail.to_owned()), "{schemas}");
        }
    }
    let got = refused(Strict, User, json!({"userName": "mara"}));
    assert_eq!(got, (Condition::BodySchema, missing));
}

#[test]
fn only_entra_may_be_careless_about_schemas() {
    let misspelt = "urn:ietf:params:scim:schemas:extension:enterprise:2.0User";
    let extension = json!({"department": "Optics"});
    for (body, notes, detail) in [
        (
            json!({"schemas": [USER, misspelt], "userName": "mara"}),
            vec![format!("schemas.unknown_ignored {misspelt}")],
            format!(
                "`schemas[1]`: \"{misspelt}\" is not a schema of this resource type; see /Schemas"
            ),
        ),
        (
            json!({"schemas": [USER, USER.to_ascii_lowercase()], "userName": "mara"}),
            vec![],
            "`schemas[1]` names a schema a second time".to_owned(),
        ),
        (
            json!({"schemas": [USER], "userName": "mara", ENTERPRISE_USER: extension}),
            vec![format!("schemas.missing_added {ENTERPRISE_USER}")],
            format!("`schemas` must contain \"{ENTERPRISE_USER}\", which the body uses"),
        ),
    ] {
        assert_eq!(accepted(Entra, User, body.clone()).1, notes, "{body}");
        assert_eq!(refused(Strict, User, body), (Condition::BodySchema, detail));
    }
}

#[test]
fn values_of_another_type_are_refused_by_name() {
    for (members, detail) in [
        (
            json!({"title": 5}),
            "`title` must be a string, not a number",
        ),
        (
            json!({"active": "True"}),
            "`active` must be true or false (without quotation marks), not a string",
        ),
        (
            json!({"name": "Mara"}),
            "`name` must be an object, not a string",
        ),
        (
            json!({"emails": "a@b.example"}),
            "`emails` must be an array in which each element is an object, not a string",
        ),
        (
            json!({"emails": [{"value": "a"}, "b"]}),
            "`emails[1]` must be an object, not a string",
        ),
        (
            json!({"emails": [{"primary": "True"}]}),
            "`emails[0].primary` must be true or false (without quotation marks), not a string",
        ),
        (
            json!({"emails": [{"value": {"deep": 1}}]}),
            "`emails[0].value` must be a string, not an object",
        ),
        (
            json!({"emails": [{"value": "a", "primary": true}, {"value": "b", "primary": true}]}),
            "`emails` has two primary elements, [0] and [1]; at most one may be",
        ),
        (
            json!({"x509Certificates": [{"value": "no base64"}]}),
            "`x509Certificates[0].value` must be a string in base64",
        ),
        (
            json!({"password": 1}),
            "`password` must be a string, not a number",
        ),
    ] {
        let got = refused(Strict, User, user(members.clone()));
        assert_eq!(got, (Condition::ValueType, detail.to_owned()), "{members}");
    }
    let manager = format!("`{ENTERPRISE_USER}:manager` must be an object, not a string");
    let got = refused(
        Entra,
        User,
        user(json!({ENTERPRISE_USER: {"manager": "u-1"}})),
    );
    assert_eq!(got, (Condition::ValueType, manager));
    let extension = format!("`{ENTERPRISE_USER}` must be an object, not an array");
    let got = refused(
        Entra,
        User,
        user(json!({ENTERPRISE_USER: [{"department": "x"}]})),
    );
    assert_eq!(got, (Condition::ValueType, extension));
}

#[test]
fn nothing_in_a_user_name_is_invisible() {
    let registry = Registry::new(Entra, false);
    for (name, refusal) in [
        ("a\u{7}b", true),
        ("mara\n", true),
        ("ab\u{202e}c", true),
        ("ab\u{e0061}", true),
        ("mara lindqvist", false),
        (
            "o'neill+lab_partner.example#EXT#@northbridge.example",
            false,
        ),
        ("Ma\u{300}ra.Stra\u{df}e", false),
    ] {
        let sent = user(json!({"userName": name}));
        let tree = sent.as_object().unwrap().clone();
        for error in [
            parse(sent, &registry, User, &mut vec![]).err(),
            settle(User, tree, &registry).err(),
        ] {
            let detail = "`userName` must not contain control or invisible characters";
            let expected = refusal.then_some((Condition::ValueType, detail));
            let error = error.as_ref();
            let found = error.map(|error| (error.condition(), error.detail()));
            assert_eq!(found, expected, "{name:?}");
        }
    }
}

#[test]
fn a_body_is_an_object_with_what_is_required() {
    let body = "the body must be a JSON object, not an array".to_owned();
    assert_eq!(
        refused(Entra, User, json!([{}])),
        (Condition::BodySchema, body)
    );
    let name = |name| format!("`{name}` is required and must not be empty");
    for (kind, body, attribute) in [
        (User, json!({"schemas": [USER]}), "userName"),
        (
            User,
            json!({"schemas": [USER], "userName": null}),
            "userName",
        ),
        (
            User,
            json!({"schemas": [USER], "userName": " "}),
            "userName",
        ),
        (Group, json!({"schemas": [GROUP]}), "displayName"),
        (
            Group,
            json!({"schemas": [GROUP], "displayName": ""}),
            "displayName",
        ),
    ] {
        let got = refused(Strict, kind, body.clone());
        assert_eq!(got, (Condition::ValueRequired, name(attribute)), "{body}");
    }
}

#[test]
fn a_group_keeps_its_members() {
    let body = json!({
        "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "displayName": "Optics Lab",
        "members": [{"$ref": null, "value": "u-1"}, {"value": "u-2", "type": "User", "display": "x"}],
        "meta": {"resourceType": "Group"},
    });
    let tree = json!({
        "schemas": [GROUP],
        "displayName": "Optics Lab",
        "members": [{"value": "u-1"}, {"value": "u-2", "type": "User"}],
    });
    assert_eq!(accepted(Entra, Group, body).0, tree.to_string());
}

#[test]
fn a_group_of_strict_names_its_own_schema_alone() {
    let other = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";
    let body = json!({"schemas": [GROUP, other], "displayName": "Optics Lab"});
    let (_, notes) = accepted(Entra, Group, body.clone());
    assert_eq!(notes, [format!("schemas.unknown_ignored {other}")]);
    let detail =
        format!("`schemas[1]`: \"{other}\" is not a schema of this resource type; see /Schemas");
    assert_eq!(
        refused(Strict, Group, body),
        (Condition::BodySchema, detail)
    );
}

#[test]
fn a_patched_tree_is_settled() {
    let registry = Registry::new(Entra, false);
    let custom = "urn:acme:User";
    let tree = json!({
        "userName": "mara",
        "title": null,
        "schemas": ["stale"],
        ENTERPRISE_USER: {"manager": {}},
        custom: {"a": 1},
        "emails": [],
    });
    let Value::Object(tree) = tree else {
        panic!("an object");
    };
    let settled = settle(User, tree.clone(), &registry).unwrap();
    let expected = json!({"schemas": [USER, custom], "userName": "mara", custom: {"a": 1}});
    assert_eq!(
        Value::Object(settled.tree().clone()).to_string(),
        expected.to_string()
    );

    for (name, value, condition) in [
        ("userName", json!(null), Condition::ValueRequired),
        ("title", json!(1), Condition::ValueType),
        ("userName", json!("a\u{7}b"), Condition::ValueType),
        (
            "emails",
            json!([{"primary": true}, {"primary": true}]),
            Condition::ValueType,
        ),
    ] {
        let mut tree = tree.clone();
        tree.insert(name.to_owned(), value);
        let error = settle(User, tree, &registry).unwrap_err();
        assert_eq!(error.condition(), condition, "{name}");
    }
}

#[test]
fn one_value_is_checked_alone() {
    let registry = Registry::new(Entra, false);
    let emails = registry.attribute(User, None, "emails").unwrap();
    let primary = emails.sub_attribute("primary").unwrap();
    let mut notes = Vec::new();
    let at = "emails[type eq \"work\"].primary";
    let error = value(json!("True"), primary, at, &registry, &mut notes).unwrap_err();
    assert_eq!(
        error.detail(),
        "`emails[type eq \"work\"].primary` must be true or false (without quotation marks), \
         not a string"
    );
    for (given, got) in [
        (json!([]), json!(null)),
        (json!([{"VALUE": "a"}]), json!([{"value": "a"}])),
    ] {
        let kept = value(given.clone(), &emails, "emails", &registry, &mut notes).unwrap();
        assert_eq!(kept, got, "{given}");
    }
    let any = value(
        json!([1, {}]),
        &untyped("x"),
        "urn:x:x",
        &registry,
        &mut notes,
    )
    .unwrap();
    assert_eq!((any, notes), (json!([1, {}]), vec![]));
}

#[test]
fn notes_are_few_and_short() {
    let members = (0..200).map(|i| (format!("{}{i}", "x".repeat(300)), json!(1)));
    let body = user(Value::Object(members.collect()));
    let (_, notes) = accepted(Entra, User, body);
    assert_eq!(notes.len(), Note::COUNT_MAX);
    assert!(notes.iter().all(|note| note.len() < 150));
}

/// Any value, with the names of sub-attributes now and then.
fn anything() -> impl Strategy<Value = Value> {
    let name = || {
        let name = |text: &'static str| Just(text.to_owned());
        prop_oneof![
            name("value"),
            name("TYPE"),
            name("primary"),
            name("$ref"),
            "[a-z:]{1,9}"
        ]
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_was_accepted_is_settled_stored_and_accepted_again(
        (name, given, strict) in (
            prop_oneof![
                Just("emails"), Just("NAME"), Just("active"), Just("title"), Just("roles"),
                Just("meta"), Just("x509Certificates"), Just("profileUrl"),
                Just(ENTERPRISE_USER), Just("urn:acme:1.0:User"), Just("other"),
            ],
            anything(),
            any::<bool>(),
        )
    ) {
        let registry = Registry::new(if strict { Strict } else { Entra }, false);
        if let Ok(resource) = parse(user(json!({name: given})), &registry, User, &mut vec![]) {
            let tree = resource.tree().clone();
            prop_assert_eq!(&settle(User, tree.clone(), &registry).unwrap(), &resource);
            let again = parse(Value::Object(tree), &registry, User, &mut vec![]).unwrap();
            let active = again.tree().get("active") == resource.tree().get("active");
            prop_assert_eq!(active, resource.tree().contains_key("active"));
            let stored = resource.to_stored(CountedIds::default().resource_id());
            prop_assert_eq!(Resource::from_stored(User, &stored), Some(resource));
        }
    }
}
