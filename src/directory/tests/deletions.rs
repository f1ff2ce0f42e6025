//! What is deleted leaves every group, and in profile strict those whose manager it was.

use std::sync::Arc;
use std::sync::OnceLock;

use serde_json::json;

use crate::base::clock::Timestamp;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::directory::error::DirectoryError;
use crate::directory::intent::Decision;
use crate::directory::intent::Intent;
use crate::directory::keys::ENTERPRISE;
use crate::directory::tests::fixture::GROUP;
use crate::directory::tests::fixture::START;
use crate::directory::tests::fixture::Stage;
use crate::directory::tests::fixture::USER;
use crate::directory::tests::fixture::WAYS;
use crate::directory::tests::fixture::Way;
use crate::directory::tests::fixture::act;
use crate::directory::tests::fixture::carry_out;
use crate::directory::tests::fixture::members_of;
use crate::scim::resource::Resource;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;

/// Two seconds after everything began.
const LATER: Timestamp = Timestamp::from_millis(START.millis() + 2000);

/// The operation that adds somebody to a group.
fn add(stage: &Stage, group: ResourceId, member: ResourceId) {
    let operations = json!([{"op": "add", "path": "members", "value": members_of([member])}]);
    let added = stage.patch(Way::Begun, GROUP, group, &operations, None);
    assert!(added.unwrap().changed);
}

/// Deletes two seconds after everything began, and cannot do so twice.
fn delete(stage: &Stage, way: Way, kind: ResourceKind, id: ResourceId) {
    stage.clock.advance(2000);
    stage.delete(way, kind, id).unwrap();
    assert!(stage.read(kind, id).is_none());
    let again = stage.delete(way, kind, id);
    assert!(matches!(again, Err(DirectoryError::NotFound { .. })));
}

#[test]
fn a_user_leaves_every_group() {
    for (way, count) in WAYS
        .into_iter()
        .flat_map(|way| [(way, 1), (way, 3), (way, 40)])
    {
        let stage = Stage::new(Profile::Entra);
        let (mara, ola) = (stage.user("mara"), stage.user("ola"));
        let groups: Vec<_> = (0..count)
            .map(|number| stage.group(&format!("Group {number}"), &[mara, ola]))
            .collect();
        let other = stage.group("Other", &[ola]);
        assert_eq!(stage.groups(mara).len(), count);
        delete(&stage, way, USER, mara);
        for group in groups {
            assert_eq!(stage.members(group), [ola], "{way:?} {count}");
            assert_eq!(stage.version(GROUP, group), (Revision(2), LATER));
        }
        assert_eq!(stage.version(GROUP, other), (Revision::FIRST, START));
        assert_eq!(stage.version(USER, ola), (Revision::FIRST, START));
        assert_eq!(stage.groups(ola).len(), count + 1);
    }
}

#[test]
fn a_group_leaves_the_groups_it_is_in_and_its_members_stay() {
    for way in WAYS {
        let stage = Stage::new(Profile::Strict);
        let mara = stage.user("mara");
        let inner = stage.group("Inner", &[mara]);
        let outer = stage.group("Outer", &[inner, mara]);
        let around = stage.group("Around", &[outer]);
        // All of them in a loop, and one in itself.
        add(&stage, inner, around);
        add(&stage, inner, inner);
        let names = |groups: Vec<(ResourceId, String, bool)>| -> Vec<(String, bool)> {
            let names = groups.into_iter().map(|(_, name, direct)| (name, direct));
            names.collect()
        };
        let owned = |(name, direct): (&str, bool)| (name.to_owned(), direct);
        let all = [("Inner", true), ("Outer", true), ("Around", false)].map(owned);
        assert_eq!(names(stage.groups(mara)), all);
        delete(&stage, way, GROUP, inner);
        assert_eq!(stage.members(outer), [mara]);
        assert_eq!(stage.version(GROUP, outer), (Revision(2), LATER));
        assert_eq!(stage.version(GROUP, around), (Revision::FIRST, START));
        let left = [("Outer", true), ("Around", false)].map(owned);
        assert_eq!(names(stage.groups(mara)), left);
        assert_eq!(stage.version(USER, mara), (Revision::FIRST, START));
    }
}

#[test]
fn who_comes_into_a_group_while_he_is_deleted_leaves_it_too() {
    for way in WAYS {
        let stage = Arc::new(Stage::new(Profile::Entra));
        let mara = stage.user("mara");
        let (first, second) = (stage.group("First", &[mara]), stage.group("Second", &[]));
        let (overtaken, rival) = (OnceLock::new(), Arc::clone(&stage));
        let judge = move |_old: &Resource, _notes: &mut Vec<_>| {
            // Only the first time: somebody adds him between reading and committing.
            overtaken.get_or_init(|| add(&rival, second, mara));
            Ok(Decision::Delete(b"{}".to_vec()))
        };
        let intent = Intent::deletion(USER, mara, Arc::new(judge));
        carry_out(&stage.directory, way, intent, &act()).unwrap();
        for (group, revision) in [(first, 2), (second, 3)] {
            assert_eq!(stage.members(group), [], "{way:?}");
            assert_eq!(stage.version(GROUP, group).0, Revision(revision), "{way:?}");
        }
    }
}

#[test]
fn the_same_name_comes_again_without_the_memberships() {
    for (kind, attribute, schema) in [
        (USER, "userName", core::USER),
        (GROUP, "displayName", core::GROUP),
    ] {
        let stage = Stage::new(Profile::Entra);
        let old = match kind {
            ResourceKind::User => stage.user("again"),
            ResourceKind::Group => stage.group("again", &[]),
        };
        let group = stage.group("Group", &[old]);
        delete(&stage, Way::Begun, kind, old);
        let body = json!({"schemas": [schema], attribute: "AGAIN"});
        let new = stage.create(Way::Begun, kind, &body).unwrap().stored.id;
        assert_ne!(new, old);
        assert_eq!(stage.members(group), []);
        add(&stage, group, new);
        assert_eq!(stage.members(group), [new]);
        assert!(stage.read(kind, old).is_none());
    }
}

#[test]
fn a_deleted_manager_is_taken_away_where_references_are_kept() {
    for (way, profile) in WAYS
        .into_iter()
        .flat_map(|way| [(way, Profile::Entra), (way, Profile::Strict)])
    {
        let stage = Stage::new(profile);
        let boss = stage.user("boss");
        let led = |name: &str, manager: ResourceId, more: bool| {
            let mut extension = json!({"manager": {"value": manager.to_string()}});
            if more {
                extension["department"] = json!("Optics");
            }
            let schemas = json!([core::USER, ENTERPRISE]);
            let user = json!({"schemas": schemas, "userName": name, ENTERPRISE: extension});
            stage.create(Way::Begun, USER, &user).unwrap().stored.id
        };
        let (mara, ola) = (led("mara", boss, true), led("ola", boss, false));
        let bo = led("bo", ola, false);
        let group = stage.group("Optics", &[boss, mara]);
        // A loop of one goes as a whole.
        let own = json!([{"op": "add", "path": format!("{ENTERPRISE}:manager"), "value": {"value": boss.to_string()}}]);
        stage.patch(Way::Begun, USER, boss, &own, None).unwrap();
        delete(&stage, way, USER, boss);
        let extension = |id| -> serde_json::Value {
            let stored = stage.read(USER, id).unwrap();
            let tree: serde_json::Value = serde_json::from_slice(stored.body()).unwrap();
            tree.get(ENTERPRISE).cloned().unwrap_or_default()
        };
        let at_first = (Revision::FIRST, START);
        let manager = |id: ResourceId| json!({"manager": {"value": id.to_string()}});
        let (version, of_mara, of_ola) = match profile {
            Profile::Entra => {
                let mut kept = manager(boss);
                kept["department"] = json!("Optics");
                (at_first, kept, manager(boss))
            }
            Profile::Strict => {
                let moved = (Revision(2), LATER);
                (moved, json!({"department": "Optics"}), json!(null))
            }
        };
        let found = (extension(mara), extension(ola), extension(bo));
        assert_eq!(
            found,
            (of_mara, of_ola, manager(ola)),
            "{profile:?} {way:?}"
        );
        let versions = [mara, ola, bo].map(|id| stage.version(USER, id));
        assert_eq!(
            versions,
            [version, version, at_first],
            "{profile:?} {way:?}"
        );
        assert_eq!(stage.members(group), [mara]);
        assert_eq!(stage.version(GROUP, group), (Revision(2), LATER));
    }
}

#[test]
fn a_user_and_the_groups_it_is_in_may_be_deleted_at_once() {
    for way in WAYS {
        let stage = Stage::new(Profile::Entra);
        for round in 0..60 {
            let user = stage.user(&format!("user {round}"));
            let groups: Vec<_> = (0..4)
                .map(|number| stage.group(&format!("Group {round} {number}"), &[user]))
                .collect();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for group in &groups {
                        stage.delete(way, GROUP, *group).unwrap();
                    }
                });
                // Nobody else deletes the user, so it cannot be missing.
                stage.delete(way, USER, user).unwrap();
            });
            assert!(stage.read(USER, user).is_none());
        }
    }
}
