//! What the log says of requests: enough to find each again, and nothing of what is in them.

use serde_json::json;

use crate::process::BASE;
use crate::process::Process;
use crate::wire::Request;

/// The schema of a user.
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema of a PATCH.
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

#[test]
fn the_log_has_requests_and_neither_tokens_nor_bodies() {
    let mut process = Process::new();
    process.spawn();
    let access = process.ready();
    let mut wire = access.connect().unwrap();
    let tokens = process.output().matches(&access.token).count();
    let user = json!({"schemas": [USER], "userName": "secretive@northbridge.example", "title": "Confidant"});
    let mut send = |request: Request, status: u16| {
        let answer = wire.send(&request.header("ADSCIMVersion", "6.0")).unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        answer
    };
    let created = send(access.request("POST", "/Users").json(&user), 201);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let wrong = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": "Confidant"}]});
    let path = format!("/Users/{id}");
    let refused = send(access.request("PATCH", &path).json(&wrong), 400);
    let filter = "/Users?filter=title+eq+%22Confidant%22+and+shoeSize+eq+1";
    send(access.request("GET", filter), 400);
    let stranger = format!("{}x", access.token);
    let unknown = Request::new("GET", &format!("{BASE}/Users")).bearer(&stranger);
    send(unknown, 401);
    let log = process.output();
    for told in [
        format!("User {id} created"),
        format!("PATCH {BASE}{path} refused"),
        refused.header("x-request-id").unwrap().to_owned(),
        format!("GET {BASE}/Users refused"),
        "entra=6.0".to_owned(),
        "status=401".to_owned(),
    ] {
        assert!(log.contains(&told), "{told} is not in\n{log}");
    }
    for kept in ["secretive@", "Confidant", stranger.as_str()] {
        assert!(!log.contains(kept), "{kept} is in\n{log}");
    }
    assert_eq!(log.matches(&access.token).count(), tokens, "{log}");
}
