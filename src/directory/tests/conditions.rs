//! Changes of members under a condition, and while others change them too.

use std::sync::Arc;
use std::sync::OnceLock;

use serde_json::json;

use crate::base::ident::Revision;
use crate::directory::Act;
use crate::directory::intent::Decision;
use crate::directory::intent::Intent;
use crate::directory::members::Wish;
use crate::directory::tests::cast::Came;
use crate::directory::tests::cast::Cast;
use crate::directory::tests::cast::came;
use crate::directory::tests::cast::refused;
use crate::directory::tests::fixture::GROUP;
use crate::directory::tests::fixture::WAYS;
use crate::directory::tests::fixture::Way;
use crate::directory::tests::fixture::act;
use crate::directory::tests::fixture::carry_out;
use crate::scim::etag::Precondition;
use crate::scim::patch::PATCH_OP;
use crate::scim::patch::Patch;
use crate::scim::resource::Resource;
use crate::scim::schema::Profile;

/// The condition that the group is at one of these revisions.
fn one_of(revisions: &[u64]) -> Option<Precondition> {
    let revisions = revisions.iter().map(|number| Revision(*number));
    Some(Precondition::OneOf(revisions.collect()))
}

#[test]
fn a_condition_holds_for_members_too() {
    let users = "where type eq \"User\"";
    let changed = || refused("is at 2");
    for (operations, if_match, expected) in [
        ("add bo", one_of(&[2]), came("mara ola bo", "", true)),
        ("add bo", one_of(&[1, 2]), came("mara ola bo", "", true)),
        (
            "add bo",
            Some(Precondition::Any),
            came("mara ola bo", "", true),
        ),
        ("add bo", one_of(&[1]), changed()),
        ("add bo", one_of(&[]), changed()),
        ("add mara", one_of(&[2]), came("mara ola", "", false)),
        ("add mara", one_of(&[3]), changed()),
        ("call Glass; clear", one_of(&[2]), came("", "", true)),
        ("call Glass; clear", one_of(&[1]), changed()),
        (users, one_of(&[2]), came("", "", true)),
        (users, one_of(&[1]), changed()),
    ] {
        for way in WAYS {
            let cast = Cast::new(Profile::Entra, "mara ola");
            let body = cast.operations(operations);
            let patched = cast
                .stage
                .patch(way, GROUP, cast.optics, &body, if_match.clone());
            let found = cast.came(Revision(2), patched);
            assert_eq!(found, expected, "{operations} {if_match:?} {way:?}");
        }
    }
}

/// Patches the members of the group optics, in which mara and ola are, while somebody else adds bo between the moment
/// when it is read and that when the change is committed.
fn overtaken(way: Way, operations: &str, if_match: Option<Precondition>) -> Came {
    let cast = Arc::new(Cast::new(Profile::Entra, "mara ola"));
    let registry = cast.stage.directory.registry();
    let operations = cast.operations(operations);
    let body = json!({"schemas": [PATCH_OP], "Operations": operations});
    let patch = Patch::parse(body, registry, GROUP, &mut Vec::new()).unwrap();
    let (_, steps) = patch.split(&mut Vec::new()).unwrap();
    let (done, rival) = (OnceLock::new(), Arc::clone(&cast));
    let judge = move |_old: &Resource, _notes: &mut Vec<_>| {
        done.get_or_init(|| {
            let add = rival.operations("add bo");
            let added = rival
                .stage
                .patch(Way::Begun, GROUP, rival.optics, &add, None);
            assert!(added.unwrap().changed);
        });
        Ok(Decision::Keep)
    };
    let wish = Wish::new(steps, false, Profile::Entra);
    let intent = Intent::change(GROUP, cast.optics, Arc::new(judge), Some(wish), Vec::new());
    let act = Act { if_match, ..act() };
    let written = carry_out(&cast.stage.directory, way, intent, &act);
    cast.came(Revision(3), written)
}

#[test]
fn who_names_members_does_not_mind_who_else_comes() {
    for (operations, if_match, expected) in [
        ("add lab", None, came("mara ola bo lab", "", true)),
        ("drop ola", None, came("mara bo", "", true)),
        ("add bo", None, came("mara ola bo", "", false)),
        ("drop bo", None, came("mara ola", "", true)),
        ("set ola", None, came("ola", "", true)),
        ("clear", None, came("", "", true)),
        // The filter is asked about those who are in by then.
        ("where type eq \"User\"", None, came("", "", true)),
        ("where value ne \"<mara>\"", None, came("mara", "", true)),
        // Any version is one, but this one is not any more.
        (
            "add lab",
            Some(Precondition::Any),
            came("mara ola bo lab", "", true),
        ),
        ("add lab", one_of(&[2]), refused("is at 3")),
        ("add bo", one_of(&[2]), refused("is at 3")),
        ("clear", one_of(&[2]), refused("is at 3")),
        ("where type eq \"User\"", one_of(&[2]), refused("is at 3")),
    ] {
        for way in WAYS {
            let found = overtaken(way, operations, if_match.clone());
            assert_eq!(found, expected, "{operations} {if_match:?} {way:?}");
        }
    }
}
