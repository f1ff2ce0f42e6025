//! `rollcall storage` with the real binary and the real files: what it tells, what compacting leaves, that people are
//! who they were.

use std::fs;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::harness::Appliance;
use crate::harness::Directory;

/// The schema of a user.
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// Users that are made, and changed once each.
const USERS: usize = 75;

/// Makes users whose logged changes fill one segment of 4 MiB and a part of another: with a third a base would be written
/// without being asked for.
fn fill(appliance: &Appliance, directory: &Directory) {
    let mut wire = appliance.connect();
    for number in 0..USERS {
        let name = format!("user{number}@northbridge.example");
        let title = "x".repeat(40_000);
        let mut user = json!({"schemas": [USER], "userName": name, "title": title});
        let answer = wire
            .send(&directory.request("POST", "/Users").json(&user))
            .unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        user["title"] = json!("Engineer");
        let request = directory.request("PUT", &format!("/Users/{id}"));
        assert_eq!(wire.send(&request.json(&user)).unwrap().status, 200);
    }
}

/// Everybody, as a client reads them.
fn everybody(appliance: &Appliance, directory: &Directory) -> Value {
    let answer = appliance.send(&directory.request("GET", "/Users?count=200"));
    let found = answer.json();
    assert_eq!(found["totalResults"], USERS, "{answer:?}");
    found
}

/// Names in a folder that end so, sorted.
fn names(folder: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(ending)).collect();
    names.sort();
    names
}

#[test]
fn compacting_gives_room_back_and_leaves_everybody() {
    let mut appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    fill(&appliance, &directory);
    let before = everybody(&appliance, &directory);
    let state = appliance.state();
    let segments = names(&state.join("log"), ".log");
    assert_eq!(segments.len(), 2, "{segments:?}");
    let status = appliance.operate(&["storage", "status"]);
    assert_eq!(
        (&status["users"], &status["base"]),
        (&json!(USERS), &Value::Null)
    );

    let compacted = appliance.operate(&["storage", "compact"]);
    let size = |when: &str, part: &str| compacted[when][part].as_u64().unwrap();
    assert!(size("after", "log") < size("before", "log"), "{compacted}");
    assert_eq!(names(&state.join("log"), ".log"), segments[1..]);
    assert_eq!(names(&state.join("base"), ".base").len(), 1);
    assert_eq!(names(&state, "sled.2"), ["sled.2"]);
    assert!(!state.join("sled").exists());
    assert_eq!(everybody(&appliance, &directory), before);

    let verified = appliance.operate(&["storage", "verify"]);
    let counts = ["sound", "users", "found", "noted"].map(|name| verified[name].clone());
    assert_eq!(counts, [json!(true), json!(USERS), json!(0), json!(0)]);
    let status = appliance.operate(&["storage", "status"]);
    assert_eq!(status["base"], compacted["base"]);
    assert_eq!(status["verification"]["agrees"], true);
    appliance.restart();
    assert_eq!(everybody(&appliance, &directory), before);
    let text = appliance.operator(&["storage", "status"]);
    assert!(
        text.output
            .contains("Last start      nothing out of the ordinary\n"),
        "{text:?}"
    );
}

#[test]
fn who_may_only_look_does_not_mend_and_needs_no_yes_to_look() {
    let appliance = Appliance::start();
    appliance.directory("one", "entra");
    let reading = appliance.read_socket();
    for (arguments, status) in [
        (&["storage", "status"][..], 0),
        (&["storage", "verify"], 0),
        (&["storage", "verify", "--repair", "--yes"], 6),
        (&["storage", "compact"], 6),
    ] {
        let mut all = arguments.to_vec();
        all.extend(["--socket", &reading]);
        let outcome = appliance.operator(&all);
        assert_eq!(outcome.status, status, "{arguments:?}: {outcome:?}");
    }
    let repaired = appliance.operate(&["storage", "verify", "--repair", "--yes"]);
    assert_eq!(
        (&repaired["sound"], &repaired["repair"]),
        (&json!(true), &json!(true))
    );
}
