//! What operations on members come to, in both profiles.

use crate::scim::dialect::entra;
use crate::scim::error::ScimError;
use crate::scim::members::Member;
use crate::scim::members::MemberStep;
use crate::scim::patch::ELEMENT_BUILT;
use crate::scim::patch::Outcome;
use crate::scim::patch::PATCH_OP;
use crate::scim::patch::Patch;
use crate::scim::resource::Note;
use crate::scim::resource::parse::parse;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;
use crate::scim::schema::registry::Registry;
use serde_json::Value;
use serde_json::json;

/// A step, printed: what it does, then ids, each with its kind if one is hinted at.
fn printed(step: &MemberStep) -> String {
    let named = |word: &str, members: &[Member]| {
        let members = members.iter().map(|member| match member.kind {
            Some(kind) => format!(" {}:{}", member.value, kind.name()),
            None => format!(" {}", member.value),
        });
        format!("{word}{}", members.collect::<String>())
    };
    match step {
        MemberStep::Add(members) => named("add", members),
        MemberStep::Set(members) => named("set", members),
        MemberStep::Remove(values) => format!("remove {}", values.join(" ")),
        MemberStep::Clear => "clear".to_owned(),
        MemberStep::RemoveMatching(filter) => format!("remove [{filter}]"),
    }
}

/// What operations on a group come to: the steps, joined; how many operations are left; the notes. Or
/// the `scimType` and sentence of the refusal.
fn parted(
    profile: Profile,
    operations: &Value,
) -> Result<(String, usize, Vec<&'static str>), String> {
    let registry = Registry::new(profile, false);
    let body = json!({"schemas": [PATCH_OP], "Operations": operations});
    let mut notes = Vec::new();
    let parts = Patch::parse(body, &registry, ResourceKind::Group, &mut notes)
        .and_then(|patch| patch.split(&mut notes));
    let (rest, steps) = parts.map_err(|error: ScimError| {
        let scim_type = error.condition().scim_type().unwrap_or("-");
        format!("{scim_type}: {error}")
    })?;
    let steps: Vec<_> = steps.iter().map(printed).collect();
    let notes = notes.into_iter().map(|note| note.code).collect();
    Ok((steps.join("; "), rest.operations().len(), notes))
}

#[test]
fn steps_are_what_the_rfc_asks() {
    let core = core::GROUP;
    for (operations, steps, rest) in [
        (
            json!([{"op": "add", "path": "members", "value": [{"value": "a", "type": "User"}, {"value": "b"}]}]),
            "add a:User b",
            0,
        ),
        (
            json!([{"op": "add", "path": "Members", "value": {"value": "a", "$ref": "../Groups/a"}}]),
            "add a:Group",
            0,
        ),
        (
            json!([{"op": "add", "path": "members", "value": [{"value": "a"}, {"value": "a"}]}]),
            "add a",
            0,
        ),
        (
            json!([{"op": "add", "path": "members", "value": []}]),
            "",
            0,
        ),
        (
            json!([{"op": "add", "path": "members", "value": [{}]}]),
            "",
            0,
        ),
        (
            json!([{"op": "replace", "path": "members", "value": [{"value": "a"}, {"value": "b"}, {"value": "a"}]}]),
            "set a b",
            0,
        ),
        (
            json!([{"op": "replace", "path": "members", "value": []}]),
            "clear",
            0,
        ),
        (
            json!([{"op": "replace", "path": "members", "value": null}]),
            "clear",
            0,
        ),
        (json!([{"op": "remove", "path": "members"}]), "clear", 0),
        (
            json!([{"op": "remove", "path": "members[value eq \"a\"]"}]),
            "remove a",
            0,
        ),
        (
            json!([{"op": "remove", "path": format!("{core}:MEMBERS[Value EQ \"a\"]")}]),
            "remove a",
            0,
        ),
        (
            json!([{"op": "remove", "path": "members[value eq \"a\" or (value eq \"b\" or value eq \"a\")]"}]),
            "remove a b",
            0,
        ),
        (
            json!([{"op": "remove", "path": "members[type eq \"Group\"]"}]),
            "remove [type eq \"Group\"]",
            0,
        ),
        (
            json!([{"op": "remove", "path": "members[value eq \"a\" and type eq \"User\"]"}]),
            "remove [value eq \"a\" and type eq \"User\"]",
            0,
        ),
        (
            json!([{"op": "remove", "path": "members[value ne \"a\"]"}]),
            "remove [value ne \"a\"]",
            0,
        ),
        (
            json!([{"op": "remove", "path": "members[value eq \"a\" or type pr]"}]),
            "remove [value eq \"a\" or type pr]",
            0,
        ),
        // Without a path, and beside other attributes.
        (
            json!([{"op": "add", "value": {"members": [{"value": "a"}]}}]),
            "add a",
            0,
        ),
        (
            json!([{"op": "replace", "value": {"MEMBERS": [{"value": "a"}], "externalId": "x"}}]),
            "set a",
            1,
        ),
        (
            json!([
                {"op": "replace", "path": "displayName", "value": "B"},
                {"op": "add", "value": {"displayName": "C", "members": [{"value": "a"}]}},
                {"op": "remove", "path": "members[value eq \"b\"]"},
                {"op": "remove", "path": "members[value eq \"c\"]"},
                {"op": "add", "path": "members", "value": {"value": "b"}},
                {"op": "remove", "path": "externalId"}
            ]),
            "add a; remove b c; add b",
            3,
        ),
    ] {
        for profile in [Profile::Entra, Profile::Strict] {
            let found = parted(profile, &operations);
            let expected = Ok((steps.to_owned(), rest, vec![]));
            assert_eq!(found, expected, "{profile:?} {operations}");
        }
    }
}

#[test]
fn what_clients_show_of_a_member_is_left_out() {
    for (profile, notes) in [
        (Profile::Entra, vec![entra::READ_ONLY_IGNORED]),
        (Profile::Strict, vec![]),
    ] {
        let operations =
            json!([{"op": "add", "path": "members", "value": [{"value": "a", "display": "Ida"}]}]);
        assert_eq!(
            parted(profile, &operations),
            Ok(("add a".to_owned(), 0, notes))
        );
    }
}

#[test]
fn what_entra_sends_is_refused_elsewhere() {
    for (operations, steps, notes) in [
        (
            json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": "a"}]}]),
            "add a",
            vec![entra::OP_CASE],
        ),
        (
            json!([{"op": "add", "path": "members", "value": "a"}]),
            "add a",
            vec![entra::PLAIN_VALUE],
        ),
        (
            json!([{"op": "add", "path": "members", "value": ["a", "b"]}]),
            "add a b",
            vec![entra::PLAIN_VALUE; 2],
        ),
        (
            json!([{"op": "replace", "path": "members", "value": "a"}]),
            "set a",
            vec![entra::PLAIN_VALUE],
        ),
        // Microsoft's request collection sends names along.
        (
            json!([{"op": "add", "path": "members", "value": [{"value": "a", "name": "x", "displayName": "y", "primary": true}]}]),
            "add a",
            vec![Note::UNKNOWN_IGNORED; 3],
        ),
        (
            json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "a"}]}]),
            "remove a",
            vec![entra::OP_CASE, entra::REMOVE_LIST],
        ),
        (
            json!([{"op": "remove", "path": "members", "value": [
                {"value": "a", "type": "User", "$ref": "../Users/a"}, {"value": "b\"\\"}, "c", {"value": "a"}, {"$ref": "../Users/d"}
            ]}]),
            "remove a b\"\\ c d",
            vec![entra::REMOVE_LIST],
        ),
        (
            json!([{"op": "remove", "path": "members", "value": {"value": "a"}}]),
            "remove a",
            vec![entra::REMOVE_LIST],
        ),
        (
            json!([{"op": "remove", "path": "members", "value": "a"}]),
            "remove a",
            vec![entra::REMOVE_LIST],
        ),
        // What names nobody removes nobody.
        (
            json!([{"op": "Remove", "path": "members", "value": []}]),
            "",
            vec![entra::OP_CASE, entra::REMOVE_LIST],
        ),
        (
            json!([{"op": "remove", "path": "members", "value": [{"type": "User"}, {"$ref": null}, {}, null]}]),
            "",
            vec![entra::REMOVE_LIST],
        ),
        (
            json!([{"op": "remove", "path": "members[value eq a]"}]),
            "remove a",
            vec![entra::FILTER_UNQUOTED],
        ),
        (
            json!([{"op": "remove", "path": "members[value eq \"a\"]", "value": [{"value": "a"}]}]),
            "remove a",
            vec![entra::REMOVE_VALUE],
        ),
        // Who is chosen but not there becomes a member.
        (
            json!([{"op": "add", "path": "members[value eq \"a\"]", "value": {"value": "a", "type": "Group"}}]),
            "add a:Group",
            vec![ELEMENT_BUILT],
        ),
        (
            json!([{"op": "replace", "path": "members[value eq \"a\"]", "value": {"type": "User"}}]),
            "add a:User",
            vec![ELEMENT_BUILT],
        ),
        (
            json!([{"op": "add", "path": "members[value eq \"a\"].value", "value": "a"}]),
            "add a",
            vec![ELEMENT_BUILT],
        ),
        (
            json!([{"op": "Add", "path": "members[value eq \"a\" and type eq \"User\"]", "value": "a"}]),
            "add a:User",
            vec![entra::OP_CASE, entra::PLAIN_VALUE, ELEMENT_BUILT],
        ),
    ] {
        let found = parted(Profile::Entra, &operations);
        let expected = Ok((steps.to_owned(), 0, notes));
        assert_eq!(found, expected, "{operations}");
        let strict = parted(Profile::Strict, &operations);
        assert!(strict.is_err(), "{operations} {strict:?}");
    }
    // JSON has no word for an absent value but null, and to lose a group by it would be too much.
    let operations = json!([{"op": "Remove", "path": "members", "value": null}]);
    let notes = vec![entra::OP_CASE, entra::REMOVE_LIST];
    assert_eq!(
        parted(Profile::Entra, &operations),
        Ok((String::new(), 0, notes))
    );
}

#[test]
fn a_member_is_never_changed_and_a_group_never_emptied_by_mistake() {
    let changed = |path: &str| {
        format!(
            "mutability: `{path}`: a member cannot be changed; remove it from `members` and add another one"
        )
    };
    let nobody = "invalidValue: operation 1: `members`: the list names nobody; an empty list or null removes all";
    for (operation, refusal) in [
        (
            json!({"op": "replace", "path": "members[value eq \"a\"].value", "value": "b"}),
            changed("members[value eq \"a\"].value"),
        ),
        (
            json!({"op": "replace", "path": "members[value eq \"a\"]", "value": {"value": "b"}}),
            changed("members[value eq \"a\"]"),
        ),
        (
            json!({"op": "add", "path": "members[type eq \"User\"].value", "value": "a"}),
            changed("members[type eq \"User\"].value"),
        ),
        (
            json!({"op": "replace", "path": "members[not (value eq \"a\")].type", "value": "User"}),
            changed("members[not (value eq \"a\")].type"),
        ),
        (
            json!({"op": "add", "path": "members.value", "value": "a"}),
            changed("members.value"),
        ),
        (
            json!({"op": "remove", "path": "members.value"}),
            changed("members.value"),
        ),
        (
            json!({"op": "remove", "path": "members[value eq \"a\"].type"}),
            changed("members[value eq \"a\"].type"),
        ),
        (
            json!({"op": "replace", "path": "members[value eq \"a\"].display", "value": "Ida"}),
            "mutability: operation 1: `members.display` is read-only: only the server sets it"
                .to_owned(),
        ),
        (
            json!({"op": "replace", "path": "members", "value": [{}]}),
            nobody.to_owned(),
        ),
        (
            json!({"op": "replace", "path": "members", "value": {}}),
            nobody.to_owned(),
        ),
        (
            json!({"op": "replace", "value": {"members": [null, {"$ref": null}]}}),
            nobody.to_owned(),
        ),
    ] {
        for profile in [Profile::Entra, Profile::Strict] {
            let found = parted(profile, &json!([operation]));
            assert_eq!(found, Err(refusal.clone()), "{profile:?} {operation}");
        }
    }
    for value in [
        json!(""),
        json!([""]),
        json!({"value": ""}),
        json!([{"value": ""}]),
    ] {
        let replace = json!([{"op": "Replace", "path": "members", "value": value}]);
        assert_eq!(
            parted(Profile::Entra, &replace),
            Err(nobody.to_owned()),
            "{value}"
        );
        // Adding nobody is harmless.
        let add = json!([{"op": "add", "path": "members", "value": value}]);
        let (steps, rest, _) = parted(Profile::Entra, &add).unwrap();
        assert_eq!((&*steps, rest), ("", 0), "{value}");
    }
    for list in [json!([]), json!([{"value": "a"}]), json!("a")] {
        let operations = json!([{"op": "remove", "path": "members", "value": list}]);
        assert_eq!(
            parted(Profile::Strict, &operations).unwrap_err(),
            "invalidSyntax: operation 1: `remove` takes no `value`; name what to remove in `path`, such as members[value eq \"…\"]",
            "{list}"
        );
    }
}

#[test]
fn what_is_left_acts_on_a_group_without_members() {
    for profile in [Profile::Entra, Profile::Strict] {
        let registry = Registry::new(profile, false);
        let sent = json!({"schemas": [core::GROUP], "displayName": "G", "members": [{"value": "a"}, {"value": "a"}]});
        let mut group = parse(sent, &registry, ResourceKind::Group, &mut Vec::new()).unwrap();
        let members = group.take_members();
        assert_eq!(members, Some(Member::list(&json!([{"value": "a"}]))));
        assert_eq!(group.take_members(), None);
        for (operation, title) in [
            (
                json!({"op": "add", "path": "members", "value": [{"value": "b"}]}),
                Ok("G"),
            ),
            (json!({"op": "remove", "path": "members"}), Ok("G")),
            (
                json!({"op": "add", "value": {"displayName": "H", "members": [{"value": "b"}]}}),
                Ok("H"),
            ),
            (
                json!({"op": "remove", "path": "displayName"}),
                Err("`displayName` is required and cannot be removed"),
            ),
            (
                json!({"op": "replace", "value": {"displayName": null}}),
                Err("`displayName` is required and cannot be removed"),
            ),
        ] {
            let body = json!({"schemas": [PATCH_OP], "Operations": [operation]});
            let patch = Patch::parse(body, &registry, ResourceKind::Group, &mut Vec::new());
            let (patch, _) = patch.unwrap().split(&mut Vec::new()).unwrap();
            let after = patch.apply(&group, &registry).map(|outcome| match outcome {
                Outcome::Changed(after) => after,
                Outcome::Unchanged => group.clone(),
            });
            let found = after
                .as_ref()
                .map(|after| after.text("displayName").unwrap());
            assert_eq!(found.map_err(ScimError::detail), title, "{operation}");
        }
    }
}

#[test]
fn a_group_has_a_name() {
    for profile in [Profile::Entra, Profile::Strict] {
        let registry = Registry::new(profile, false);
        for name in [json!(null), json!(""), json!(" ")] {
            let sent = json!({"schemas": [core::GROUP], "displayName": name, "members": []});
            let error = parse(sent, &registry, ResourceKind::Group, &mut Vec::new()).unwrap_err();
            assert_eq!(
                error.detail(),
                "`displayName` is required and must not be empty"
            );
        }
        let sent = json!({"schemas": [core::GROUP], "displayName": "G", "members": []});
        let group = parse(sent, &registry, ResourceKind::Group, &mut Vec::new());
        assert_eq!(group.unwrap().take_members(), None);
    }
}
