//! Directories know nothing of each other: not in lists, filters, conflicts, tokens or errors (RFC 7644 §6).

use serde_json::Value;
use serde_json::json;

use crate::harness::Appliance;
use crate::harness::Directory;
use crate::wire::Request;

/// The core Group schema.
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// Creates a user and returns its id.
fn create(appliance: &Appliance, directory: &Directory, name: &str) -> String {
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "externalId": "shared",
        "displayName": "Shared Name", "emails": [{"type": "work", "value": "shared@northbridge.example"}],
    });
    let answer = appliance.send(&directory.request("POST", "/Users").json(&user));
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// The ids that a list or filter of a directory answers.
fn ids(appliance: &Appliance, directory: &Directory, query: &str) -> Vec<String> {
    let answer = appliance.send(&directory.request("GET", &format!("/Users{query}")));
    assert_eq!(answer.status, 200, "{answer:?}");
    let list = answer.json();
    let resources = list["Resources"].as_array().unwrap();
    assert_eq!(list["totalResults"], resources.len());
    resources
        .iter()
        .map(|user| user["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_same_people_live_apart_in_two_directories() {
    let appliance = Appliance::start();
    let (one, two) = (
        appliance.directory("one", "entra"),
        appliance.directory("two", "entra"),
    );
    let (first, second) = (
        create(&appliance, &one, "mara"),
        create(&appliance, &two, "MARA"),
    );
    assert_ne!(first, second, "ids differ, so that nobody is recognised");
    for query in [
        "",
        "?count=10",
        "?filter=userName+eq+%22mara%22",
        "?filter=externalId+eq+%22shared%22",
        "?filter=displayName+eq+%22shared+name%22",
        "?filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22shared%40northbridge.example%22",
    ] {
        assert_eq!(ids(&appliance, &one, query), [first.as_str()], "{query}");
        assert_eq!(ids(&appliance, &two, query), [second.as_str()], "{query}");
    }
    let query = format!("?filter=id+eq+%22{second}%22");
    assert!(
        ids(&appliance, &one, &query).is_empty(),
        "not even by its id"
    );
}

#[test]
fn an_id_of_another_directory_names_nobody() {
    let appliance = Appliance::start();
    let (one, two) = (
        appliance.directory("one", "entra"),
        appliance.directory("two", "entra"),
    );
    let foreign = create(&appliance, &two, "mara");
    let unknown = "00000000-0000-4000-8000-00000000ffff";
    let patch = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "title", "value": "taken over"}],
    });
    let user =
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "taken"});
    for (method, body) in [
        ("GET", None),
        ("PATCH", Some(&patch)),
        ("PUT", Some(&user)),
        ("DELETE", None),
    ] {
        let refusal = |id: &str| {
            let mut request = one.request(method, &format!("/Users/{id}"));
            if let Some(body) = body {
                request = request.json(body);
            }
            appliance
                .send(&request)
                .refusal(404, None, method)
                .replace(id, "ID")
        };
        assert_eq!(
            refusal(&foreign),
            refusal(unknown),
            "{method}: both answer alike"
        );
    }
    let seen = appliance
        .send(&two.request("GET", &format!("/Users/{foreign}")))
        .json();
    assert_eq!(
        (&seen["userName"], &seen["title"]),
        (&json!("mara"), &Value::Null)
    );
}

#[test]
fn a_token_opens_its_own_directory_only() {
    let appliance = Appliance::start();
    let (one, two) = (
        appliance.directory("one", "entra"),
        appliance.directory("two", "entra"),
    );
    let at = |name: &str| {
        appliance.send(&Request::new("GET", &format!("/scim/{name}/v2/Users")).bearer(&one.token))
    };
    assert_eq!(at("one").status, 200);
    let there = at(&two.name).refusal(401, None, "another directory");
    let nowhere = at("nobody").refusal(401, None, "no directory");
    assert_eq!(
        there.replace("two", "NAME"),
        nowhere.replace("nobody", "NAME"),
        "what exists cannot be probed"
    );
}

#[test]
fn a_disabled_directory_refuses_those_who_know_its_token() {
    let mut appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let id = create(&appliance, &directory, "mara");
    appliance.operate(&["directory", "disable", "one"]);
    let list = directory.request("GET", "/Users");
    appliance.send(&list).refusal(403, None, "disabled");
    appliance
        .send(&Request::new("GET", "/scim/one/v2/Users"))
        .refusal(401, None, "disabled, and no token");
    appliance.restart();
    appliance
        .send(&list)
        .refusal(403, None, "disabled before the restart");
    appliance.operate(&["directory", "enable", "one"]);
    assert_eq!(
        ids(&appliance, &directory, ""),
        [id],
        "everybody is still there"
    );
}

#[test]
fn a_deleted_directory_is_gone_and_its_name_is_free() {
    let mut appliance = Appliance::start();
    let (old, other) = (
        appliance.directory("one", "entra"),
        appliance.directory("two", "entra"),
    );
    create(&appliance, &old, "mara");
    let kept = create(&appliance, &other, "mara");
    appliance.operate(&["directory", "delete", "one", "--yes"]);
    appliance
        .send(&old.request("GET", "/Users"))
        .refusal(401, None, "deleted");
    let new = appliance.directory("one", "entra");
    assert!(
        ids(&appliance, &new, "").is_empty(),
        "a new directory under the old name is empty"
    );
    appliance.send(&old.request("GET", "/Users")).refusal(
        401,
        None,
        "the old token does not open the new directory",
    );
    let again = create(&appliance, &new, "mara");
    appliance.restart();
    assert_eq!(ids(&appliance, &new, ""), [again]);
    assert_eq!(ids(&appliance, &other, ""), [kept]);
}

#[test]
fn a_member_of_another_directory_is_nobody() {
    let appliance = Appliance::start();
    let (one, two) = (
        appliance.directory("one", "entra"),
        appliance.directory("two", "entra"),
    );
    let own = create(&appliance, &one, "mara");
    let foreign = create(&appliance, &two, "mara");
    let unknown = "00000000-0000-4000-8000-00000000ffff";
    let group = json!({"schemas": [GROUP], "displayName": "Lab", "members": [{"value": foreign}]});
    let made = appliance.send(&two.request("POST", "/Groups").json(&group));
    assert_eq!(made.status, 201, "{made:?}");
    let theirs = made.json()["id"].as_str().unwrap().to_owned();
    let made = appliance.send(&one.request("POST", "/Groups").json(&group));
    let made = made.json();
    assert_eq!(made.get("members"), None, "left out: {made}");
    let path = format!("/Groups/{}", made["id"].as_str().unwrap());
    let add = |id: &str| {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "Add", "path": "members", "value": [{"value": id}]}],
        });
        appliance.send(&one.request("PATCH", &path).json(&body))
    };
    let refusal = |id: &str| {
        let detail = add(id).refusal(400, Some("invalidValue"), "nobody of this directory");
        detail.replace(id, "ID")
    };
    for id in [&foreign, &theirs] {
        assert_eq!(refusal(id), refusal(unknown), "all answer alike");
    }
    assert_eq!(add(&own).status, 204);
    let seen = appliance.send(&two.request("GET", &format!("/Users/{foreign}")));
    let groups = seen.json()["groups"].as_array().unwrap().len();
    assert_eq!(groups, 1, "in the group of its own directory alone");
    let path = format!("/Groups?filter=members+eq+%22{foreign}%22");
    let found = appliance.send(&one.request("GET", &path)).json();
    assert_eq!(found["totalResults"], 0, "{found}");
}

#[test]
fn a_users_only_directory_has_users_only() {
    let appliance = Appliance::start();
    for profile in ["entra", "strict"] {
        let arguments = ["directory", "create", profile, "--profile", profile];
        appliance.operate(&[&arguments[..], &["--users-only"]].concat());
        let directory = Directory {
            name: profile.to_owned(),
            base: format!("/scim/{profile}/v2"),
            token: appliance.token(profile, "provision"),
        };
        let id = create(&appliance, &directory, "mara");
        let get = |path: &str| appliance.send(&directory.request("GET", path));
        for path in [
            "/Groups".to_owned(),
            "/Groups?excludedAttributes=members&filter=displayName+eq+%22Lab%22".to_owned(),
            "/Groups?startIndex=1&count=5".to_owned(),
            format!("/Groups?filter=members+eq+%22{id}%22"),
        ] {
            let answer = get(&path);
            let nobody = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
                "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": [],
            });
            assert_eq!((answer.status, answer.json()), (200, nobody), "{path}");
        }
        for id in [id.as_str(), "no-such-id"] {
            get(&format!("/Groups/{id}")).refusal(404, None, id);
        }
        let group = json!({"schemas": [GROUP], "displayName": "Lab"});
        for (method, path) in [
            ("POST", "/Groups".to_owned()),
            ("PUT", format!("/Groups/{id}")),
            ("PATCH", format!("/Groups/{id}")),
            ("DELETE", format!("/Groups/{id}")),
            ("DELETE", "/Groups/no-such-id".to_owned()),
        ] {
            let request = directory.request(method, &path).json(&group);
            appliance.send(&request).refusal(501, None, &path);
        }
        for path in ["/ResourceTypes", "/Schemas"] {
            let text = String::from_utf8(get(path).body).unwrap();
            assert!(!text.contains("core:2.0:Group\""), "{path}: {text}");
        }
        get("/ResourceTypes/Group").refusal(404, None, "no resource type");
        get(&format!("/Schemas/{GROUP}")).refusal(404, None, "no schema");
        let all = get("?attributes=userName").json();
        let mara = json!([{
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": id, "userName": "mara",
        }]);
        assert_eq!(
            (&all["totalResults"], &all["Resources"]),
            (&json!(1), &mara)
        );
    }
}
