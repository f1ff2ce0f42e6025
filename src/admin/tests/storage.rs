//! The store as operators see it: whole answers, and every kind of fault, made on purpose.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::admin::tests::Fixture;
use crate::admin::tests::START_TEXT;
use crate::admin::tests::error;
use crate::admin::tests::json_of;
use crate::auth::tests::START;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::scim::schema::ResourceKind;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::Index;
use crate::store::change::NewRecord;
use crate::store::change::Transaction;
use crate::store::desk::Chore;

/// The schema of a user.
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema of a group.
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The schema of an employee.
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Stores a resource of directory `entra` as no use case would; `body` gets the id, unless it has one.
fn store(
    fixture: &Fixture,
    kind: ResourceKind,
    id: ResourceId,
    keys: &[(Index, &str)],
    mut body: Value,
) {
    if let Value::Object(members) = &mut body {
        let id = json!(id.to_string());
        members.entry("id").or_insert(id);
    }
    let put = Change::PutResource {
        directory: fixture.admin.directory("entra").unwrap().id,
        kind,
        id,
        expect: Expect::Any,
        record: NewRecord {
            revision: Revision(5),
            created: START,
            modified: START,
            keys: keys
                .iter()
                .map(|(index, key)| (*index, Box::from(*key)))
                .collect(),
            unique: Vec::new(),
            label: None,
            body: body.to_string().into_bytes().into(),
        },
    };
    let transaction = Transaction {
        changes: vec![put],
        ..Transaction::default()
    };
    fixture.store.commit(transaction).unwrap();
}

/// The `number`th id of these tests.
fn id(number: u8) -> ResourceId {
    ResourceId::from_bytes([number; 16])
}

/// A verification.
fn verify(fixture: &Fixture, repair: bool) -> Value {
    json_of(
        fixture
            .admin
            .storage_verify(repair, &fixture.actor)
            .unwrap(),
    )
}

#[test]
fn what_is_as_it_should_be_is_sound() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    fixture.directory("other").unwrap();
    for number in 0..300 {
        let name = format!("user{number}@corp.example");
        fixture.user("entra", &name, &name);
    }
    fixture.user("other", "mara", "mara@corp.example");
    let keys = [(Index::DisplayName, "staff")];
    let body = json!({"schemas": [GROUP], "displayName": "Staff"});
    store(&fixture, ResourceKind::Group, id(1), &keys, body);
    let manager = id(2).to_string();
    let keys = [(Index::UserName, "kim"), (Index::Manager, manager.as_str())];
    let body = json!({
        "schemas": [USER, ENTERPRISE], "userName": "Kim", "active": true,
        ENTERPRISE: {"manager": {"value": manager}},
    });
    store(&fixture, ResourceKind::User, id(3), &keys, body);
    let verified = verify(&fixture, false);
    let expected = json!({
        "sound": true, "repair": false, "cells": 308, "users": 302, "groups": 1,
        "found": 0, "repaired": 0, "repairable": 0, "findings": [],
        "noted": 1,
        "notes": [{
            "code": "reference.dangling", "directory": "entra", "kind": "User", "id": id(3).to_string(),
            "what": format!("manager.value is \"{}\"", id(2)),
            "fix": "nothing, when it is provisioned later; else let the source send another value",
            "repairable": false, "repaired": false,
        }],
    });
    assert_eq!(
        verified, expected,
        "cells: resources, directories, two counters, the key of tokens"
    );
    assert!(!fixture.warnings().contains(&"store.verification"));
}

/// Stores one resource for each kind of fault, and says what is to be found: code, id, the
/// beginning of what is said.
fn spoil(fixture: &Fixture) -> Vec<(&'static str, ResourceId, String)> {
    let user = ResourceKind::User;
    let named = |name: &str| json!({"schemas": [USER], "userName": name, "active": true});
    let key = (Index::UserName, "kim");
    store(fixture, user, id(1), &[key], named("Kim"));
    store(fixture, user, id(2), &[key], named("KIM"));
    store(
        fixture,
        user,
        id(3),
        &[(Index::UserName, "old"), (Index::Email, "x")],
        named("New"),
    );
    let misfit = json!({"schemas": [USER], "userName": "ola", "active": "perhaps"});
    store(fixture, user, id(4), &[(Index::UserName, "ola")], misfit);
    store(fixture, user, id(5), &[], json!(["nothing"]));
    let mut other = named("pat");
    other["id"] = json!(id(9).to_string());
    store(fixture, user, id(6), &[(Index::UserName, "pat")], other);
    let mut managed = named("sam");
    managed["schemas"] = json!([USER, ENTERPRISE]);
    managed[ENTERPRISE] = json!({"manager": {"value": "nobody"}});
    let keys = [(Index::UserName, "sam"), (Index::Manager, "nobody")];
    store(fixture, user, id(7), &keys, managed);
    store(
        fixture,
        ResourceKind::Group,
        id(8),
        &[],
        json!({"schemas": [GROUP], "displayName": "Staff"}),
    );
    let starts = |text: &str| text.to_owned();
    vec![
        (
            "unique.shared",
            id(1),
            format!("its userName is also that of {}", id(2)),
        ),
        (
            "schema.misfit",
            id(4),
            starts("it does not fit its schema: `active` must be true or false"),
        ),
        (
            "record.foreign",
            id(5),
            starts("what is stored is not a resource"),
        ),
        (
            "record.other_id",
            id(6),
            starts("what is stored names another id"),
        ),
        (
            "index.keys",
            id(3),
            starts(
                "the indexes do not fit its record: not found by its userName; found by what is not its userName, emails.value",
            ),
        ),
        (
            "index.keys",
            id(8),
            starts("the indexes do not fit its record: not found by its displayName"),
        ),
    ]
}

/// Compares the findings of a verification with what is to be found.
fn compare(verified: &Value, expected: &[(&'static str, ResourceId, String)]) {
    let findings = verified["findings"].as_array().unwrap();
    let told: Vec<_> = findings
        .iter()
        .map(|finding| {
            (
                finding["code"].as_str().unwrap(),
                finding["id"].as_str().unwrap(),
            )
        })
        .collect();
    let ids: Vec<_> = expected
        .iter()
        .map(|(code, id, _)| (*code, id.to_string()))
        .collect();
    let ids: Vec<_> = ids.iter().map(|(code, id)| (*code, id.as_str())).collect();
    assert_eq!(told, ids);
    for (finding, (_, _, what)) in findings.iter().zip(expected) {
        let text = finding["what"].as_str().unwrap();
        assert!(text.starts_with(what.as_str()), "{text}");
    }
}

#[test]
fn each_kind_of_fault_is_found_and_wrong_keys_are_mended() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let mut expected = spoil(&fixture);
    let seq = fixture.store.health().seq;
    let verified = verify(&fixture, false);
    compare(&verified, &expected);
    let counts = |verified: &Value| {
        ["sound", "found", "repaired", "repairable", "noted"].map(|name| verified[name].clone())
    };
    assert_eq!(
        counts(&verified),
        [json!(false), json!(6), json!(0), json!(2), json!(1)]
    );
    assert_eq!(verified["notes"][0]["what"], "manager.value is \"nobody\"");
    assert_eq!(fixture.store.health().seq, seq, "looking changes nothing");

    let verified = verify(&fixture, true);
    compare(&verified, &expected);
    assert_eq!(
        counts(&verified),
        [json!(false), json!(6), json!(2), json!(0), json!(1)]
    );
    expected.retain(|(code, ..)| *code != "index.keys");
    let verified = verify(&fixture, true);
    compare(&verified, &expected);
    assert_eq!(
        counts(&verified),
        [json!(false), json!(4), json!(0), json!(0), json!(1)]
    );

    let entra = fixture.admin.directory("entra").unwrap().id;
    let user = ResourceKind::User;
    let found = |key| fixture.store.lookup(entra, user, Index::UserName, key);
    assert_eq!((found("new"), found("old")), (vec![id(3)], vec![]));
    let mended = fixture.store.resource(entra, user, id(3)).unwrap().unwrap();
    assert_eq!((mended.revision, mended.modified), (Revision(6), START));
    let audit = json_of(fixture.admin.audit_list(None, None).unwrap());
    let acts: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                item["action"].as_str().unwrap(),
                item["target"].as_str().unwrap(),
            )
        })
        .collect();
    let targets = [
        format!("Group {} of directory entra", id(8)),
        format!("User {} of directory entra", id(3)),
    ];
    let expected = [
        ("storage.repair", targets[0].as_str()),
        ("storage.repair", targets[1].as_str()),
        ("directory.create", "directory entra"),
    ];
    assert_eq!(acts, expected);
}

#[test]
fn keys_that_another_has_are_not_taken_from_it() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let named = |name: &str| json!({"schemas": [USER], "userName": name});
    store(
        &fixture,
        ResourceKind::User,
        id(1),
        &[(Index::UserName, "kim")],
        named("Kim"),
    );
    store(
        &fixture,
        ResourceKind::User,
        id(2),
        &[(Index::UserName, "old")],
        named("KIM"),
    );
    store(
        &fixture,
        ResourceKind::User,
        id(3),
        &[(Index::UserName, "old")],
        named("Sam"),
    );
    let verified = verify(&fixture, true);
    let expected = [
        (
            "index.keys",
            id(2),
            "the indexes do not fit its record".to_owned(),
        ),
        (
            "index.keys",
            id(3),
            "the indexes do not fit its record".to_owned(),
        ),
    ];
    compare(&verified, &expected);
    let [first, second] = [0, 1].map(|at| verified["findings"][at].clone());
    assert_eq!(
        (&first["repaired"], &second["repaired"]),
        (&json!(false), &json!(true))
    );
    let what = first["what"].as_str().unwrap();
    assert!(
        what.contains("mending it failed") && what.contains(&id(1).to_string()),
        "{what}"
    );
    assert_eq!(verified["sound"], false);
}

#[test]
fn what_the_state_has_lost_is_repaired_and_told() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let entra = fixture.admin.directory("entra").unwrap().id;
    let ids = ["mara", "kim", "sam"].map(|name| fixture.user("entra", name, name));
    for id in &ids[..2] {
        fixture.store.spoil(entra, ResourceKind::User, *id);
    }
    let verified = verify(&fixture, false);
    let expected = json!([{
        "code": "state.damaged", "directory": null, "kind": null, "id": null,
        "what": "2 stored copies in the state were lost or damaged",
        "fix": "the store takes them out of the base and the commit log by itself",
        "repairable": false, "repaired": true,
    }]);
    assert_eq!(verified["findings"], expected);
    let counts = ["sound", "found", "repaired", "users"].map(|name| verified[name].clone());
    assert_eq!(counts, [json!(false), json!(1), json!(1), json!(3)]);
    assert_eq!(verify(&fixture, false)["sound"], true);
    fixture.store.spoil(entra, ResourceKind::User, ids[2]);
    assert_eq!(
        verify(&fixture, true)["sound"],
        true,
        "nothing is wrong any more"
    );
    assert_eq!(fixture.store.health().repaired, 3);
}

#[test]
fn compacting_writes_a_base_and_status_tells() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let before = json_of(fixture.admin.storage_status().unwrap());
    for absent in ["base", "rebuilt", "under_way", "reason"] {
        assert_eq!(before[absent], Value::Null, "{absent}");
    }
    for number in 0..20 {
        let name = format!("user{number}");
        fixture.user("entra", &name, &name);
    }
    let compacted = fixture.admin.storage_compact(true, &fixture.actor).unwrap();
    let compacted = json_of(compacted);
    assert_eq!(compacted["rebuilt"], Value::Null);
    assert_eq!(compacted["before"]["base"], 0);
    assert_eq!(compacted["after"]["base"], compacted["base"]["bytes"]);
    let compacted = json_of(
        fixture
            .admin
            .storage_compact(false, &fixture.actor)
            .unwrap(),
    );
    let seq = fixture.store.health().seq;
    assert_eq!(compacted["base"]["seq"], seq);
    assert_eq!(compacted["rebuilt"], START_TEXT);
    assert_eq!(compacted["after"]["other_states"], 0);
    let status = json_of(fixture.admin.storage_status().unwrap());
    let some = [
        "writable",
        "seq",
        "applied_seq",
        "checkpoint_seq",
        "users",
        "groups",
    ];
    let expected = [
        json!(true),
        json!(seq),
        json!(seq),
        json!(seq),
        json!(20),
        json!(0),
    ];
    assert_eq!(some.map(|name| status[name].clone()), expected);
    assert_eq!(status["base"], compacted["base"]);
    // The appliance's key for tokens is a setting.
    assert_eq!(status["base"]["cells"], 20 + 1 + 2 + 1);
    assert_eq!(status["rebuilt"], START_TEXT);
    assert_eq!(status["bytes"], compacted["after"]);
    for part in ["log", "state", "audit"] {
        assert!(status["bytes"][part].as_u64().unwrap() > 0, "{part}");
    }
    assert_eq!(status["failed"], json!([]));
    let none = ["damaged_reads", "repaired", "repairing", "lost"];
    assert_eq!(
        none.map(|name| status[name].clone()),
        [json!(0), json!(0), json!(0), json!(0)]
    );
}

#[test]
fn one_at_a_time_and_nobody_once_it_has_to_end() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let alone = fixture.admin.pass_alone().unwrap();
    let (kind, what, fix) = error(fixture.admin.storage_verify(false, &fixture.actor));
    assert_eq!((kind, what.as_str()), ("conflict", "nothing was done"));
    assert!(fix.starts_with("rollcall storage status"), "{fix}");
    drop(alone);
    fixture.store.hurry();
    let (kind, what, _fix) = error(fixture.admin.storage_compact(false, &fixture.actor));
    assert_eq!(kind, "unavailable");
    assert!(what.starts_with("writing a base did not succeed"), "{what}");
}

#[test]
fn damage_and_what_failed_is_a_warning() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    fixture.token("entra", "provision").unwrap();
    assert!(fixture.warnings().is_empty());
    let entra = fixture.admin.directory("entra").unwrap().id;
    let mara = fixture.user("entra", "mara", "mara");
    fixture.store.spoil(entra, ResourceKind::User, mara);
    fixture
        .store
        .chore(Chore::Verify, Duration::from_secs(60))
        .unwrap();
    assert_eq!(fixture.warnings(), ["store.verification"]);
    verify(&fixture, false);
    assert!(fixture.warnings().is_empty());
}
