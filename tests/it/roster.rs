//! Users and groups for tests that need some, made over the wire as Entra makes them.

use std::collections::BTreeSet;
use std::thread;

use serde_json::Value;
use serde_json::json;

use crate::harness::Appliance;
use crate::harness::Directory;
use crate::wire::Wire;

/// The core User schema.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The core Group schema.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The schema of a PATCH.
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// Connections that Entra has been seen to use at once.
pub const CONNECTIONS: usize = 5;
/// The body of a PATCH.
pub fn patch(operations: &Value) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

/// Creates a resource and returns its id.
pub fn create(wire: &mut Wire, directory: &Directory, path: &str, body: &Value) -> String {
    let made = wire.send(&directory.request("POST", path).json(body));
    let made = made.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made.json()["id"].as_str().unwrap().to_owned()
}

/// Creates so many users, over several connections, and returns their ids.
pub fn crowd(appliance: &Appliance, directory: &Directory, count: usize) -> Vec<String> {
    let create_every = |connection: usize| -> Vec<String> {
        let mut wire = appliance.connect();
        let numbers = (connection..count).step_by(CONNECTIONS);
        let created = numbers.map(|number| {
            let user = json!({"schemas": [USER], "userName": format!("user-{number}")});
            create(&mut wire, directory, "/Users", &user)
        });
        created.collect()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|connection| scope.spawn(move || create_every(connection)))
            .collect();
        let created = threads.into_iter().map(|thread| thread.join().unwrap());
        created.flatten().collect()
    })
}

/// A group with these members, created with so many at a time.
pub fn group(
    appliance: &Appliance,
    directory: &Directory,
    name: &str,
    members: &[String],
) -> String {
    let mut wire = appliance.connect();
    let group = json!({"schemas": [GROUP], "displayName": name});
    let id = create(&mut wire, directory, "/Groups", &group);
    for some in members.chunks(1000) {
        let some: Vec<Value> = some.iter().map(|id| json!({"value": id})).collect();
        let body = patch(&json!([{"op": "Add", "path": "members", "value": some}]));
        let added = wire.send(
            &directory
                .request("PATCH", &format!("/Groups/{id}"))
                .json(&body),
        );
        assert_eq!(added.unwrap().status, 204);
    }
    id
}

/// The ids of the members in an answer; none of them is there twice.
pub fn members(group: &Value) -> BTreeSet<String> {
    let list = group["members"].as_array().cloned().unwrap_or_default();
    let ids = list.iter().map(|member| {
        assert_eq!(member["type"], "User", "{member}");
        member["value"].as_str().unwrap().to_owned()
    });
    let ids: Vec<String> = ids.collect();
    let distinct: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(distinct.len(), ids.len(), "nobody is there twice");
    distinct
}

/// The operation by which Entra lets one user come into a group or leave it, in one of the forms that it uses.
pub fn one_member(comes: bool, id: &str, form: u64) -> Value {
    match (comes, form) {
        (true, 0) => {
            json!({"op": "Add", "path": "members", "value": [{"$ref": null, "value": id}]})
        }
        (true, 1) => json!({"op": "Add", "path": "members", "value": [{"value": id}]}),
        (true, _) => json!({"op": "add", "path": "members", "value": [{"value": id}]}),
        (false, 0) => {
            json!({"op": "Remove", "path": "members", "value": [{"$ref": null, "value": id}]})
        }
        (false, 1) => json!({"op": "Remove", "path": "members", "value": [{"value": id}]}),
        (false, _) => json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")}),
    }
}
