//! The command line over the local sockets: what it prints, what it exits with, what it says when it refuses.

use serde_json::json;

use crate::harness::Appliance;
use crate::harness::PUBLIC_URL;

#[test]
fn directories_are_made_listed_and_deleted() {
    let appliance = Appliance::start();
    let made = appliance.operate(&["directory", "create", "one"]);
    assert_eq!(made["schema"], "rollcall.directory.create/1");
    assert_eq!(
        (&made["name"], &made["tenant_url"]),
        (&json!("one"), &json!(format!("{PUBLIC_URL}/scim/one/v2")))
    );
    appliance.operate(&["directory", "create", "two", "--profile", "strict"]);
    let list = appliance.operate(&["directory", "list"]);
    assert_eq!(list["schema"], "rollcall.directory.list/1");
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].clone())
        .collect();
    assert_eq!(names, ["one", "two"]);
    appliance.operate(&["directory", "delete", "one", "--yes"]);
    assert_eq!(
        appliance.operate(&["directory", "list"])["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn the_exit_status_says_what_kind_of_failure_it_was() {
    let appliance = Appliance::start();
    appliance.directory("one", "entra");
    for (arguments, status, said) in [
        (&["directory", "create", "one"][..], 4, "one"),
        (&["directory", "show", "nobody"], 3, "nobody"),
        (&["directory", "create", "No Such Name"], 2, "a-z"),
        (&["directory", "delete", "one"], 2, "--yes"),
        (
            &[
                "token",
                "create",
                "--directory",
                "nobody",
                "--scope",
                "read",
            ],
            3,
            "nobody",
        ),
        (
            &[
                "token",
                "create",
                "--directory",
                "one",
                "--scope",
                "everything",
            ],
            2,
            "provision",
        ),
        (&["token", "show", "aaaaaaaaaa"], 3, "aaaaaaaaaa"),
        (&["user", "show", "mara", "--directory", "one"], 3, "mara"),
        (&["nonsense"], 2, "nonsense"),
        (&[], 2, "Usage"),
    ] {
        let outcome = appliance.operator(arguments);
        assert_eq!(outcome.status, status, "{arguments:?}: {outcome:?}");
        assert!(
            outcome.errors.contains(said),
            "{arguments:?} says {said}: {outcome:?}"
        );
        assert!(
            outcome.output.is_empty(),
            "{arguments:?}: errors go to standard error: {outcome:?}"
        );
    }
    let outcome = appliance.operator(&["status", "--socket", "/nonexistent/admin.sock"]);
    assert_eq!(outcome.status, 5, "{outcome:?}");
    assert!(
        outcome.errors.contains("/nonexistent/admin.sock"),
        "{outcome:?}"
    );
}

#[test]
fn at_most_two_tokens_provision_at_once() {
    let appliance = Appliance::start();
    appliance.directory("one", "entra");
    appliance.token("one", "provision");
    let outcome = appliance.operator(&[
        "token",
        "create",
        "--directory",
        "one",
        "--scope",
        "provision",
    ]);
    assert_eq!(outcome.status, 4, "{outcome:?}");
    assert!(
        outcome.errors.contains("revoke"),
        "it says what to do: {outcome:?}"
    );
    let list = appliance.operate(&["token", "list", "--directory", "one"]);
    let first = list["items"][0]["id"].as_str().unwrap().to_owned();
    appliance.operate(&["token", "revoke", &first, "--yes"]);
    appliance.token("one", "provision");
    appliance.token("one", "read");
}

#[test]
fn a_token_is_shown_once() {
    let appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let secret = &directory.token[14..57];
    let id = &directory.token[3..13];
    for arguments in [
        &["token", "list"][..],
        &["token", "list", "--directory", "one"],
        &["token", "show", id],
        &["status"],
    ] {
        for output in ["table", "json"] {
            let mut all = arguments.to_vec();
            all.extend(["--output", output]);
            let outcome = appliance.operator(&all);
            assert_eq!(outcome.status, 0, "{all:?}: {outcome:?}");
            assert!(
                !outcome.output.contains(secret) && !outcome.output.contains("argon2"),
                "{all:?}: {outcome:?}"
            );
        }
    }
}

#[test]
fn users_are_listed_and_shown() {
    let appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let mut ids = Vec::new();
    for name in ["mara@northbridge.example", "ola@northbridge.example"] {
        let user =
            json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name});
        let answer = appliance.send(&directory.request("POST", "/Users").json(&user));
        ids.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    let list = appliance.operate(&["user", "list", "--directory", "one"]);
    assert_eq!(list["schema"], "rollcall.user.list/1");
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "{list}");
    for which in [
        "ola@northbridge.example",
        "OLA@northbridge.example",
        ids[1].as_str(),
    ] {
        let shown = appliance.operate(&["user", "show", which, "--directory", "one"]);
        assert_eq!(shown["schema"], "rollcall.user.show/1");
        assert!(shown.to_string().contains(&ids[1]), "{which}: {shown}");
        assert!(!shown.to_string().contains(&ids[0]), "{which}: {shown}");
    }
    let status = appliance.operate(&["status"]);
    assert_eq!(status["schema"], "rollcall.status/1", "{status}");
}
