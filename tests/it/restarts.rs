//! A server that is started again between any two steps: what was answered before is answered after.

use serde_json::Value;
use serde_json::json;

use crate::harness::Appliance;
use crate::harness::Directory;
use crate::roster::GROUP;
use crate::roster::USER;
use crate::roster::create;
use crate::roster::group;
use crate::roster::one_member;
use crate::roster::patch;

/// All that a directory answers about its users and groups.
fn everything(appliance: &Appliance, directory: &Directory) -> Vec<(u16, Option<String>, Value)> {
    let mut wire = appliance.connect();
    let mut paths = vec!["?count=500".to_owned()];
    let mut answers = Vec::new();
    while let Some(path) = paths.pop() {
        let answer = wire.send(&directory.request("GET", &path)).unwrap();
        let body = answer.json();
        for found in body["Resources"].as_array().into_iter().flatten() {
            let (kind, id) = (&found["meta"]["resourceType"], &found["id"]);
            let (kind, id) = (kind.as_str().unwrap(), id.as_str().unwrap());
            paths.push(format!("/{kind}s/{id}"));
        }
        let etag = answer.header("etag").map(str::to_owned);
        answers.push((answer.status, etag, body));
    }
    answers
}

/// One step: what happens, where, by which operations (null: a deletion), and with which status.
type Step = (&'static str, String, Value, u16);

/// What happens to two groups and the users Mara and Bo.
fn steps(optics: &str, lenses: &str, mara: &str, bo: &str) -> Vec<Step> {
    let (group, user) = (format!("/Groups/{optics}"), format!("/Users/{mara}"));
    let steps = [
        ("a member comes", &group, one_member(true, mara, 0), 204),
        ("the same again", &group, one_member(true, mara, 2), 204),
        ("one more", &group, one_member(true, bo, 1), 204),
        ("a group comes", &group, one_member(true, lenses, 2), 204),
        (
            "another name",
            &group,
            json!({"op": "Replace", "path": "displayName", "value": "Glass"}),
            204,
        ),
        (
            "one is disabled",
            &user,
            json!({"op": "Replace", "path": "active", "value": "False"}),
            200,
        ),
        (
            "and gets a manager",
            &user,
            json!({"op": "Add", "path": "manager", "value": bo}),
            200,
        ),
        (
            "and is restored",
            &user,
            json!({"op": "Replace", "path": "active", "value": "True"}),
            200,
        ),
        ("one goes", &group, one_member(false, bo, 2), 204),
        (
            "a group is deleted",
            &format!("/Groups/{lenses}"),
            Value::Null,
            204,
        ),
        ("a user is deleted", &user, Value::Null, 204),
        ("and cannot be twice", &user, Value::Null, 404),
        ("it goes for ever", &group, one_member(false, mara, 0), 204),
        ("one comes again", &group, one_member(true, bo, 1), 204),
        (
            "nobody is left",
            &group,
            json!({"op": "Remove", "path": "members"}),
            204,
        ),
    ];
    let owned = |(about, path, operation, status): (_, &String, _, _)| {
        (about, path.clone(), operation, status)
    };
    steps.map(owned).to_vec()
}

#[test]
fn a_restart_between_any_two_steps_loses_nothing() {
    let mut appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let user = |name| {
        let user = json!({"schemas": [USER], "userName": name});
        create(&mut appliance.connect(), &directory, "/Users", &user)
    };
    let [mara, ola, bo] = &["mara", "ola", "bo"].map(user);
    let optics = group(&appliance, &directory, "Optics", &[]);
    let lenses = group(&appliance, &directory, "Lenses", std::slice::from_ref(ola));
    for (about, path, operation, status) in steps(&optics, &lenses, mara, bo) {
        let request = if operation.is_null() {
            directory.request("DELETE", &path)
        } else {
            let body = patch(&json!([operation]));
            directory.request("PATCH", &path).json(&body)
        };
        let answer = appliance.send(&request);
        assert_eq!(answer.status, status, "{about}: {answer:?}");
        let before = everything(&appliance, &directory);
        appliance.restart();
        assert_eq!(everything(&appliance, &directory), before, "{about}");
        appliance.advance(1000);
    }
    let left = appliance.send(&directory.request("GET", "?attributes=userName,displayName"));
    let resources = json!([
        {"schemas": [USER], "id": ola, "userName": "ola"},
        {"schemas": [USER], "id": bo, "userName": "bo"},
        {"schemas": [GROUP], "id": optics, "displayName": "Glass"},
    ]);
    assert_eq!(left.json()["Resources"], resources);
}
