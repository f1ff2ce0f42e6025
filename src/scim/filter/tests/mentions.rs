//! What filters ask of members and groups.

use crate::scim::filter::Filter;
use crate::scim::filter::FilterLimits;
use crate::scim::filter::Mention;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;
use crate::scim::schema::registry::Registry;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prop_oneof;
use proptest::proptest;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// The filter on resources of a kind.
fn read(profile: Profile, kind: ResourceKind, text: &str) -> Filter {
    let registry = Registry::new(profile, false);
    let limits = FilterLimits::DEFAULT;
    Filter::parse(text, &registry, kind, limits, &mut Vec::new())
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A group with these members.
fn group(members: &[Value]) -> Map<String, Value> {
    let mut group = json!({"schemas": [core::GROUP], "id": "g", "displayName": "Optics"});
    if !members.is_empty() {
        group["members"] = json!(members);
    }
    group.as_object().unwrap().clone()
}

#[test]
fn members_are_found_by_every_form_of_filter() {
    let tree = group(&[
        json!({"value": "u-1", "$ref": "https://h/scim/a/v2/Users/u-1", "type": "User"}),
        json!({"value": "g-1", "$ref": "https://h/scim/a/v2/Groups/g-1", "type": "Group"}),
    ]);
    for (text, matches) in [
        ("members.value eq \"u-1\"", true),
        ("members.value eq \"U-1\"", false),
        ("members eq \"u-1\"", true),
        ("MEMBERS.VALUE eq \"u-2\"", false),
        ("id eq \"g\" and members eq \"g-1\"", true),
        ("members eq \"g-1\" and id eq \"h\"", false),
        ("members[value eq \"u-1\"]", true),
        ("members[value eq \"u-1\" and type eq \"group\"]", false),
        ("members.type eq \"user\"", true),
        ("members.$ref ew \"/Users/u-1\"", true),
        ("members pr", true),
        ("members ne \"u-1\"", false),
        (&format!("{}:members.value eq \"u-1\"", core::GROUP), true),
    ] {
        for profile in [Profile::Entra, Profile::Strict] {
            let filter = read(profile, ResourceKind::Group, text);
            assert_eq!(filter.matches(&tree), matches, "{text}");
        }
    }
    let entra = read(
        Profile::Entra,
        ResourceKind::Group,
        "members[type eq \"User\"].value eq \"u-1\"",
    );
    assert!(entra.matches(&tree));
}

#[test]
fn groups_are_found_by_every_form_of_filter() {
    let user = json!({"id": "u", "groups": [
        {"value": "g-1", "$ref": "https://h/scim/a/v2/Groups/g-1", "display": "Optics", "type": "direct"}
    ]});
    let tree = user.as_object().unwrap();
    for (text, matches) in [
        ("groups.value eq \"g-1\"", true),
        ("groups eq \"g-1\"", true),
        ("groups eq \"G-1\"", false),
        ("groups[value eq \"g-1\" and type eq \"direct\"]", true),
        ("groups[type eq \"indirect\"]", false),
        ("groups.display sw \"OPT\"", true),
        ("groups[display eq \"optics\"]", true),
        ("not (groups pr)", false),
    ] {
        for profile in [Profile::Entra, Profile::Strict] {
            let filter = read(profile, ResourceKind::User, text);
            assert_eq!(filter.matches(tree), matches, "{text}");
        }
    }
}

#[test]
fn a_filter_says_which_members_it_needs() {
    let values =
        |values: &[&str]| Mention::Values(values.iter().map(|&value| value.to_owned()).collect());
    for (text, mention) in [
        ("displayName eq \"a\"", Mention::None),
        ("not (displayName pr)", Mention::None),
        ("members.value eq \"a\"", values(&["a"])),
        ("members eq \"a\"", values(&["a"])),
        ("members ne \"a\"", values(&["a"])),
        ("not (members eq \"a\")", values(&["a"])),
        ("members[value eq \"a\"]", values(&["a"])),
        (
            "members[value eq \"a\" and type eq \"User\"]",
            values(&["a"]),
        ),
        (
            "members[value eq \"a\" or value eq \"b\"]",
            values(&["a", "b"]),
        ),
        (
            "members[(value eq \"a\" or value eq \"b\") and value eq \"c\"]",
            values(&["c"]),
        ),
        (
            "members eq \"a\" or displayName pr and not (members eq \"b\" and members eq \"a\")",
            values(&["a", "b"]),
        ),
        ("members pr", Mention::All),
        ("members.value pr", Mention::All),
        ("members eq null", Mention::All),
        ("members.value ne null", Mention::All),
        ("members co \"a\"", Mention::All),
        ("members.type eq \"User\"", Mention::All),
        ("members[value ne \"a\"]", Mention::All),
        ("members[not (value eq \"a\")]", Mention::All),
        ("members[value sw \"a\"]", Mention::All),
        ("members[value eq \"a\" or type eq \"User\"]", Mention::All),
        ("members eq \"a\" and members pr", Mention::All),
    ] {
        for profile in [Profile::Entra, Profile::Strict] {
            let filter = read(profile, ResourceKind::Group, text);
            assert_eq!(filter.mentions("Members"), mention, "{text}");
            assert_eq!(filter.mentions("groups"), Mention::None, "{text}");
        }
    }
    let groups = read(
        Profile::Strict,
        ResourceKind::User,
        "groups eq \"a\" or emails eq \"b\"",
    );
    assert_eq!(groups.mentions("groups"), values(&["a"]));
    assert_eq!(groups.mentions("members"), Mention::None);
    // Compared without regard to case, a value may be that of several elements.
    assert_eq!(groups.mentions("emails"), Mention::All);
}

/// A value that a member may have.
fn value() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just("c"), Just("A")]
}

/// Joins terms into deeper conditions.
fn joined(leaf: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    leaf.prop_recursive(3, 12, 3, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            pair.clone()
                .prop_map(|(one, other)| format!("({one}) and ({other})")),
            pair.prop_map(|(one, other)| format!("({one}) or ({other})")),
            inner.prop_map(|term| format!("not ({term})")),
        ]
    })
}

/// A condition on one member.
fn element() -> impl Strategy<Value = String> {
    let by_value = (
        value(),
        prop_oneof![3 => Just("eq"), 1 => Just("ne"), 1 => Just("co")],
    )
        .prop_map(|(value, op)| format!("value {op} \"{value}\""));
    joined(prop_oneof![
        4 => by_value,
        1 => Just("type eq \"User\"".to_owned()),
        1 => Just("type pr".to_owned()),
    ])
}

/// A filter on groups.
fn filters() -> impl Strategy<Value = String> {
    let by_value = (
        value(),
        prop_oneof![3 => Just("eq"), 1 => Just("ne"), 1 => Just("sw")],
    )
        .prop_map(|(value, op)| format!("members {op} \"{value}\""));
    joined(prop_oneof![
        4 => by_value,
        3 => element().prop_map(|filter| format!("members[{filter}]")),
        1 => Just("members pr".to_owned()),
        1 => Just("members eq null".to_owned()),
        1 => Just("members.type eq \"User\"".to_owned()),
        1 => Just("displayName eq \"Optics\"".to_owned()),
        1 => Just("externalId pr".to_owned()),
    ])
}

proptest! {
    #[test]
    fn the_members_a_filter_needs_decide_it(
        text in filters(),
        members in proptest::collection::vec((value(), any::<bool>()), 0..4),
    ) {
        let filter = read(Profile::Strict, ResourceKind::Group, &text);
        let members: Vec<_> = members
            .into_iter()
            .map(|(value, person)| match person {
                true => json!({"value": value, "type": "User"}),
                false => json!({"value": value}),
            })
            .collect();
        let needed: Vec<_> = match filter.mentions("members") {
            Mention::None => Vec::new(),
            Mention::Values(values) => members
                .iter()
                .filter(|member| values.iter().any(|value| member["value"] == **value))
                .cloned()
                .collect(),
            Mention::All => members.clone(),
        };
        assert_eq!(
            filter.matches(&group(&needed)),
            filter.matches(&group(&members)),
            "{text}"
        );
    }

    #[test]
    fn only_elements_with_these_values_match(
        text in element(),
        value in value(),
        person in any::<bool>(),
    ) {
        let filter = read(Profile::Strict, ResourceKind::Group, &format!("members[{text}]"));
        let Filter::ValuePath { filter, .. } = filter else {
            panic!("a value path");
        };
        let element = match person {
            true => json!({"value": value, "type": "User"}),
            false => json!({"value": value}),
        };
        if let Some(values) = filter.element_values()
            && filter.matches_element(&element)
        {
            assert!(values.iter().any(|one| one == value), "{text} {element}");
        }
    }
}
