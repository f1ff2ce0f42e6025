//! What happened, as the command line tells it: whole answers, pages, deleted users; and with the real
//! binary that nothing is missing after SIGKILL, that damage is named, and that files are private.

use std::fs;

use serde_json::Value;
use serde_json::json;

use crate::harness::Appliance;
use crate::harness::Directory;
use crate::process::Process;

/// The schema of a user.
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema of a PATCH.
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Creates a user; answers the id and the request's id.
fn create(appliance: &Appliance, directory: &Directory, name: &str) -> (String, String) {
    let user = json!({"schemas": [USER], "userName": name, "title": "Engineer"});
    let answer = appliance.send(&directory.request("POST", "/Users").json(&user));
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    (id, answer.header("x-request-id").unwrap().to_owned())
}

/// Replaces a user's title; answers the request's id.
fn retitle(appliance: &Appliance, directory: &Directory, id: &str, title: &str) -> String {
    let patch = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": title}]});
    let request = directory.request("PATCH", &format!("/Users/{id}"));
    let answer = appliance.send(&request.json(&patch));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("x-request-id").unwrap().to_owned()
}

#[test]
fn a_users_story_is_told_whole() {
    let mut appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let token = directory.token[3..13].to_owned();
    let (id, created) = create(&appliance, &directory, "mara@northbridge.example");
    create(&appliance, &directory, "ola@northbridge.example");
    appliance.advance(60_000);
    let updated = retitle(&appliance, &directory, &id, "Lead Engineer");
    let answer = appliance.send(&directory.request("DELETE", &format!("/Users/{id}")));
    let deleted = answer.header("x-request-id").unwrap().to_owned();
    let item =
        |number: u64, minute: u64, action: &str, revision: u64, request: &str, changes: Value| {
            json!({
                "number": number,
                "at": format!("2026-01-31T07:0{minute}:00.000Z"),
                "directory": "one",
                "id": id,
                "action": action,
                "revision": revision,
                "actor": {"kind": "token", "id": token, "label": ""},
                "request": request,
                "changes": changes,
            })
        };
    let change = json!({"title": {"old": "Engineer", "new": "Lead Engineer"}});
    let mut last = item(4, 1, "deleted", 3, &deleted, json!({}));
    last["resource"] = json!({
        "schemas": [USER],
        "userName": "mara@northbridge.example",
        "title": "Lead Engineer",
        "active": true,
    });
    let story = json!({
        "schema": "rollcall.user.history/1",
        "items": [
            last,
            item(3, 1, "updated", 2, &updated, change),
            item(1, 0, "created", 1, &created, json!({})),
        ],
        "next": null,
    });
    assert_eq!(appliance.operate(&["user", "history", &id]), story);
    appliance.restart();
    assert_eq!(appliance.operate(&["user", "history", &id]), story);
    let page = appliance.operate(&["user", "history", &id, "--limit", "2"]);
    assert_eq!(page["next"], "3");
    let page = appliance.operate(&["user", "history", &id, "--limit", "2", "--before", "3"]);
    assert_eq!(page["items"], json!([story["items"][2]]));
    // By the name too that he had, as long as he could be restored.
    let named = appliance.operate(&["user", "history", "Mara@northbridge.example"]);
    assert_eq!(named, story);
    let gone = appliance.operator(&["user", "history", "nobody@northbridge.example"]);
    assert_eq!(gone.status, 3, "{gone:?}");
    let ola = appliance.operate(&["user", "history", "OLA@northbridge.example"]);
    assert_eq!(ola["items"].as_array().unwrap().len(), 1, "{ola}");
}

#[test]
fn who_comes_again_and_whose_name_is_freed_is_told() {
    let appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let name = "mara@northbridge.example";
    let (old, _) = create(&appliance, &directory, name);
    let freed = format!("3f0a5c8e9b7d4a61b2c3d4e5f6071829{name}");
    for (name, active) in [(freed.as_str(), "False"), (name, "True")] {
        let patch = json!({"schemas": [PATCH], "Operations": [
            {"op": "Replace", "path": "userName", "value": name},
            {"op": "Replace", "path": "active", "value": active},
        ]});
        let request = directory.request("PATCH", &format!("/Users/{old}"));
        assert_eq!(appliance.send(&request.json(&patch)).status, 200);
    }
    appliance.advance(60_000);
    let delete = |id: &str| directory.request("DELETE", &format!("/Users/{id}"));
    assert_eq!(appliance.send(&delete(&old)).status, 204);
    let (new, _) = create(&appliance, &directory, "MARA@northbridge.example");
    let changes = |id: &str| -> Vec<Value> {
        let story = appliance.operate(&["user", "history", id]);
        let items = story["items"].as_array().unwrap();
        items.iter().map(|item| item["changes"].clone()).collect()
    };
    let again = json!({"recreates": {"id": old, "deleted": "2026-01-31T07:01:00.000Z"}});
    assert_eq!(changes(&new), [again]);
    let told: Vec<Value> = changes(&old)
        .into_iter()
        .map(|changes| changes["note"].clone())
        .collect();
    assert_eq!(
        told,
        [
            json!(null),
            json!("restored in Entra ID: the name is back"),
            json!("deleted in Entra ID for now: the name is free for somebody else"),
            json!(null),
        ]
    );
    let gone = appliance.operator(&["user", "show", &old]);
    assert_eq!(gone.status, 3, "{gone:?}");
    assert!(
        gone.errors
            .contains("was deleted in one at 2026-01-31T07:01:00.000Z"),
        "{gone:?}"
    );
}

#[test]
fn what_operators_did_is_listed_through_the_socket_for_reading_too() {
    let appliance = Appliance::start();
    appliance.directory("one", "entra");
    let list = appliance.operate(&["audit", "list"]);
    assert_eq!(list["schema"], "rollcall.audit.list/1");
    let read = appliance.read_socket();
    let looked = appliance.operate(&["audit", "list", "--socket", &read]);
    assert_eq!(looked, list);
    let acts: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["number"].clone(), item["action"].clone()))
        .collect();
    assert_eq!(
        acts,
        [
            (json!(2), json!("token.create")),
            (json!(1), json!("directory.create"))
        ]
    );
    let verified = appliance.operate(&["audit", "verify", "--socket", &read]);
    assert_eq!(verified["sound"], true, "{verified}");
}

#[test]
fn after_sigkill_no_entry_is_missing_and_damage_is_named() {
    let mut process = Process::new();
    let mut id = String::new();
    for round in 0..3_u64 {
        process.spawn();
        let access = process.ready();
        let mut wire = access.connect().unwrap();
        if round == 0 {
            let user = json!({"schemas": [USER], "userName": "mara@northbridge.example"});
            let answer = wire.send(&access.request("POST", "/Users").json(&user));
            id = answer.unwrap().json()["id"].as_str().unwrap().to_owned();
        }
        for nth in 0..40 {
            let title = format!("{round}-{nth}");
            let patch = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": title}]});
            let request = access.request("PATCH", &format!("/Users/{id}"));
            assert_eq!(wire.send(&request.json(&patch)).unwrap().status, 200);
        }
        process.kill();
    }
    process.spawn();
    process.ready();
    let story = process
        .operate(&["user", "history", &id, "--limit", "500"])
        .1;
    let numbers: Vec<_> = story["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=121).rev().collect::<Vec<u64>>());
    let titles = story["items"][0]["changes"]["title"].clone();
    assert_eq!(titles, json!({"old": "2-38", "new": "2-39"}));
    let (status, verified) = process.operate(&["audit", "verify"]);
    assert_eq!(
        (status, &verified["sound"]),
        (0, &json!(true)),
        "{verified}"
    );
    assert_eq!(verified["items"][1]["entries"], 121);
    let file = process
        .state()
        .join("history/1/00000000000000000001.history");
    let mut bytes = fs::read(&file).unwrap();
    // Behind the header of the file and the head of the first frame.
    bytes[200] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (status, verified) = process.operate(&["audit", "verify"]);
    assert_eq!(status, 7, "{verified}");
    let problem = &verified["items"][1]["problems"][0];
    assert_eq!(problem["entry"], 1, "{verified}");
    let named = problem["file"].as_str().unwrap();
    assert!(
        named.ends_with("history/1/00000000000000000001.history"),
        "{named}"
    );
}
