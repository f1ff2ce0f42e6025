//! Groups and their members: what requests come to, in both profiles and on both ways to the disk.

use serde_json::json;

use crate::base::clock::Timestamp;
use crate::base::ident::Revision;
use crate::directory::tests::cast::Came;
use crate::directory::tests::cast::Cast;
use crate::directory::tests::cast::came;
use crate::directory::tests::cast::refused;
use crate::directory::tests::fixture::GROUP;
use crate::directory::tests::fixture::START;
use crate::directory::tests::fixture::WAYS;
use crate::directory::tests::fixture::Way;
use crate::scim::schema::Profile;
use crate::scim::schema::core;

/// A second after everything began.
const LATER: Timestamp = Timestamp::from_millis(START.millis() + 1000);

/// A row: a request, what it comes to in profile `entra`, and what in `strict`.
type Row<'a> = (&'a str, Came, Came);

/// A row in which both profiles do the same.
fn both(request: &str, expected: Came) -> Row<'_> {
    (request, expected.clone(), expected)
}

#[test]
fn a_whole_group_has_the_members_that_exist() {
    for (sent, entra, strict) in [
        both("mara ola", came("mara ola", "", true)),
        both("mara lab mara", came("mara lab", "", true)),
        // Somebody who can still be restored is taken, and not shown.
        both("gone mara", came("mara", "", true)),
        both("gone", came("", "", true)),
        (
            "nobody mara",
            came("mara", "nobody", true),
            refused("unknown: nobody"),
        ),
        ("mara x", came("mara", "x", true), refused("unknown: \"x\"")),
        // The group is worth more than its members: it is made without them.
        (
            "nobody",
            came("", "nobody", true),
            refused("unknown: nobody"),
        ),
        (
            "x nobody",
            came("", "x nobody", true),
            refused("unknown: \"x\" nobody"),
        ),
    ] {
        for (profile, expected) in [(Profile::Entra, entra), (Profile::Strict, strict)] {
            let cast = Cast::new(profile, "bo");
            let body = |name: &str| json!({"schemas": [core::GROUP], "displayName": name, "members": cast.list(sent)});
            for way in WAYS {
                let written = cast.stage.create(way, GROUP, &body(&format!("{way:?}")));
                let found = cast.came(Revision(0), written);
                assert_eq!(found, expected, "POST {sent} {profile:?} {way:?}");
            }
            let body = body("Optics");
            let replace = |way| cast.stage.replace(way, GROUP, cast.optics, &body);
            let found = cast.came(Revision(2), replace(Way::Begun));
            assert_eq!(found, expected, "PUT {sent} {profile:?}");
            if expected.is_ok() {
                let again = cast.came(Revision(3), replace(Way::Waiting));
                let same = expected.map(|(members, noted, _moved)| (members, noted, false));
                assert_eq!(again, same, "PUT {sent} {profile:?} once more");
            }
        }
    }
}

#[test]
fn a_group_that_is_replaced_without_members_has_none() {
    for way in WAYS {
        for (members, body, moved) in [
            (
                "mara ola",
                json!({"displayName": "Optics", "externalId": "optics"}),
                true,
            ),
            (
                "gone",
                json!({"displayName": "Optics", "externalId": "optics"}),
                true,
            ),
            (
                "",
                json!({"displayName": "Optics", "externalId": "optics"}),
                false,
            ),
            (
                "",
                json!({"displayName": "Optics", "externalId": "optics", "members": []}),
                false,
            ),
            (
                "",
                json!({"displayName": "Optics", "externalId": "optics", "members": null}),
                false,
            ),
            ("mara", json!({"displayName": "Optics"}), true),
            ("", json!({"displayName": "Optics"}), true),
        ] {
            let mut body = body;
            body["schemas"] = json!([core::GROUP]);
            let cast = Cast::new(Profile::Entra, members);
            let written = cast.stage.replace(way, GROUP, cast.optics, &body);
            assert_eq!(
                cast.came(Revision(2), written),
                came("", "", moved),
                "{body}"
            );
        }
    }
}

/// Patches the group optics, in which mara and ola are, a second later; on both ways.
fn check_patches(rows: &[Row<'_>]) {
    for (operations, entra, strict) in rows {
        for (profile, expected) in [(Profile::Entra, entra), (Profile::Strict, strict)] {
            for way in WAYS {
                let cast = Cast::new(profile, "mara ola");
                let why = format!("{operations} {profile:?} {way:?}");
                let body = || cast.stage.read(GROUP, cast.optics).unwrap().body().to_vec();
                let before = body();
                cast.stage.clock.advance(1000);
                let operations = cast.operations(operations);
                let written = cast.stage.patch(way, GROUP, cast.optics, &operations, None);
                let found = cast.came(Revision(2), written);
                assert_eq!(found, *expected, "{why}");
                let version = cast.stage.version(GROUP, cast.optics);
                if matches!(found, Ok((_, _, true))) {
                    assert_eq!(version, (Revision(3), LATER), "{why}");
                } else {
                    assert_eq!(version, (Revision(2), START), "{why}: nothing moved");
                    assert_eq!(body(), before, "{why}: nothing changed");
                    assert_eq!(cast.members(cast.optics), "mara ola", "{why}");
                }
            }
        }
    }
}

#[test]
fn members_come_and_go_by_steps() {
    let same = || came("mara ola", "", false);
    check_patches(&[
        both("add bo", came("mara ola bo", "", true)),
        both("add mara", same()),
        both("add", same()),
        both("add lab optics lab", came("mara ola lab optics", "", true)),
        // It is kept for a restore: that is a change, though nobody sees it.
        both("add gone", came("mara ola", "", true)),
        both("add gone; drop gone", same()),
        both("drop mara", came("ola", "", true)),
        both("drop bo", same()),
        both("drop nobody", same()),
        both("drop x", same()),
        both(
            "where value eq \"<ola>\" or value eq \"<bo>\"",
            came("mara", "", true),
        ),
        both("clear", came("", "", true)),
        both("set bo", came("bo", "", true)),
        both("set ola mara ola", same()),
        both("set gone", came("", "", true)),
        both("set", came("", "", true)),
        // In order: who comes may go again, and who goes may come again.
        both("add bo; drop bo", same()),
        both("drop mara; add mara", same()),
        both("clear; add ola mara", same()),
        both("clear; set ola; set ola mara", same()),
        both("set bo; drop bo; add ola", came("ola", "", true)),
        both("add bo; clear; add lab", came("lab", "", true)),
    ]);
}

#[test]
fn who_never_was_is_left_out_or_refused() {
    let unknown = || refused("unknown: nobody");
    check_patches(&[
        (
            "add bo nobody",
            came("mara ola bo", "nobody", true),
            unknown(),
        ),
        (
            "add x bo",
            came("mara ola bo", "x", true),
            refused("unknown: \"x\""),
        ),
        (
            "add mara nobody",
            came("mara ola", "nobody", false),
            unknown(),
        ),
        (
            "add gone nobody",
            came("mara ola", "nobody", true),
            unknown(),
        ),
        ("set nobody ola", came("ola", "nobody", true), unknown()),
        ("set nobody gone", came("", "nobody", true), unknown()),
        (
            "add bo nobody; add nobody ola",
            came("mara ola bo", "nobody", true),
            unknown(),
        ),
        both("add nobody", unknown()),
        both("set nobody nobody", unknown()),
        both("add x", refused("unknown: \"x\"")),
        // A step of which nobody is left takes everything else with it.
        both("drop mara; add nobody", unknown()),
        both("call Glass; add nobody", unknown()),
        both("set x; add bo", refused("unknown: \"x\"")),
        // All of them are named.
        both("add x nobody", refused("unknown: \"x\" nobody")),
        (
            "set nobody bo gone x",
            came("bo", "x nobody", true),
            refused("unknown: nobody \"x\""),
        ),
    ]);
}

#[test]
fn a_filter_chooses_who_goes_among_those_who_are_in_by_then() {
    let same = || came("mara ola", "", false);
    check_patches(&[
        both("where type eq \"User\"", came("", "", true)),
        both("where type eq \"Group\"", same()),
        both("where value ne \"<mara>\"", came("mara", "", true)),
        both(
            "where $ref co \"<ola>\" and type eq \"user\"",
            came("mara", "", true),
        ),
        both("where $ref co \"/Groups/\"", same()),
        both("where not (type pr)", same()),
        // What came before in the same request counts.
        both("add bo lab; where type eq \"User\"", came("lab", "", true)),
        both("set lab bo; where type eq \"Group\"", came("bo", "", true)),
        both("where type eq \"User\"; add ola", came("ola", "", true)),
        both("where type eq \"User\"; add ola mara", same()),
        both("call Glass; where value sw \"0000\"", came("", "", true)),
        (
            "add nobody bo; where type eq \"User\"",
            came("", "nobody", true),
            refused("unknown: nobody"),
        ),
    ]);
}

#[test]
fn attributes_and_members_change_together_or_not_at_all() {
    let clear = |operation: &str| format!("clear; {operation}");
    let value =
        clear(r#"{"op": "replace", "path": "members[value eq \"x\"].value", "value": "y"}"#);
    let number = clear(r#"{"op": "replace", "path": "displayName", "value": 7}"#);
    let nameless = clear(r#"{"op": "remove", "path": "displayName"}"#);
    check_patches(&[
        both("call Glass; add bo", came("mara ola bo", "", true)),
        both(
            "add bo; tag glass; drop ola; call Glass",
            came("mara bo", "", true),
        ),
        // Only one of the two changes anything.
        both("call Optics; add bo", came("mara ola bo", "", true)),
        both("call Glass; add ola", came("mara ola", "", true)),
        both(
            "call Optics; tag optics; add ola",
            came("mara ola", "", false),
        ),
        // A name that is taken leaves the members alone, where names are unique.
        (
            "clear; call LAB",
            refused("taken by lab"),
            came("", "", true),
        ),
        both(&nameless, refused("mutability")),
        both(&number, refused("invalidValue")),
        both(&value, refused("mutability")),
    ]);
}
