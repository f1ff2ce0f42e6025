//! The URLs and headers that Entra sends, in every form in which they have been seen or are likely: all are understood.
//!
//! Entra begins with probes: matching queries with random values, to which nobody may answer and nothing may fail.

use serde_json::Value;
use serde_json::json;

use crate::harness::Appliance;
use crate::harness::Directory;
use crate::wire::Request;

/// The core User schema.
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// What is said when nobody matches.
const NOBODY: &str = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}"#;
/// A random value as Entra's probes have it.
const GUID: &str = "64d2b1f0-7c1e-4a43-9a0e-0c2d7f1b9a55";
/// Her name needs every kind of encoding that a name may need.
const MARA: &str = "mara+o'neill&co@northbridge.example";

/// Creates a user with that name, which is its e-mail address and its other names too.
fn create(appliance: &Appliance, directory: &Directory, name: &str) -> String {
    let user = json!({
        "schemas": [USER], "userName": name, "externalId": name, "displayName": name,
        "emails": [{"type": "work", "value": name}],
    });
    let answer = appliance.send(&directory.request("POST", "/Users").json(&user));
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// An appliance whose directories each hold somebody: one of either profile, one for users only.
fn directories() -> (Appliance, Vec<Directory>) {
    let appliance = Appliance::start();
    let mut directories = vec![
        appliance.directory("entra", "entra"),
        appliance.directory("strict", "strict"),
    ];
    appliance.operate(&["directory", "create", "people", "--users-only"]);
    directories.push(Directory {
        name: "people".to_owned(),
        base: "/scim/people/v2".to_owned(),
        token: appliance.token("people", "provision"),
    });
    for directory in &directories {
        create(&appliance, directory, "somebody@northbridge.example");
    }
    (appliance, directories)
}

/// A filter as Entra encodes it.
fn encoded(filter: &str) -> String {
    filter
        .replace('%', "%25")
        .replace('+', "%2B")
        .replace(' ', "+")
        .replace('"', "%22")
        .replace('[', "%5B")
        .replace(']', "%5D")
        .replace('@', "%40")
        .replace('&', "%26")
        .replace('\'', "%27")
}

/// Endpoint and filter of every matching query that a mapping can lead to, the RFC's forms first.
fn matching_queries(entra: bool) -> Vec<(&'static str, String)> {
    let quoted = |name: &str| format!("{name} eq \"{GUID}\"");
    let mut queries = Vec::new();
    for name in [
        "userName",
        "username",
        "externalId",
        "emails.value",
        "emails",
        "displayName",
        "id",
        "nickName",
        "name.familyName",
        "phoneNumbers.value",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName",
    ] {
        queries.push(("/Users?", quoted(name)));
    }
    for name in [
        "displayName",
        "externalId",
        "id",
        "members.value",
        "members",
    ] {
        queries.push(("/Groups?", quoted(name)));
        queries.push(("/Groups?excludedAttributes=members&", quoted(name)));
    }
    if entra {
        for name in [
            "emails[type eq \"work\"].value",
            "emails[type eq \"work\"]",
            "phoneNumbers[type eq \"mobile\"].value",
        ] {
            queries.push(("/Users?", quoted(name)));
        }
        for name in [
            "userName",
            "externalId",
            "id",
            "emails.value",
            "displayName",
        ] {
            queries.push(("/Users?", format!("{name} eq {GUID}")));
        }
        for name in ["displayName", "externalId", "id"] {
            queries.push(("/Groups?", format!("{name} eq {GUID}")));
        }
        let member = format!("{} and {}", quoted("id"), quoted("members"));
        queries.push(("//Groups/?aadOptscim062020&", member));
    }
    queries
}

#[test]
fn a_probe_for_a_random_value_finds_nobody() {
    let (appliance, directories) = directories();
    for directory in &directories {
        let mut wire = appliance.connect();
        for (path, filter) in matching_queries(directory.name != "strict") {
            let target = format!("{path}filter={}", encoded(&filter));
            let answer = wire.send(&directory.request("GET", &target)).unwrap();
            let why = format!("{} {target}", directory.name);
            assert_eq!(answer.status, 200, "{why}: {answer:?}");
            let media = answer.header("content-type");
            assert_eq!(media, Some("application/scim+json"), "{why}");
            assert_eq!(String::from_utf8_lossy(&answer.body), NOBODY, "{why}");
        }
        // Nobody has made a group.
        for path in ["/Groups", "/Groups/", "/Groups?startIndex=1&count=5"] {
            let answer = wire.send(&directory.request("GET", path)).unwrap();
            let body = String::from_utf8_lossy(&answer.body);
            assert_eq!((answer.status, &*body), (200, NOBODY), "{path}");
        }
        let path = format!("/Groups/{GUID}?excludedAttributes=members");
        wire.send(&directory.request("GET", &path))
            .unwrap()
            .refusal(404, None, &path);
    }
}

#[test]
fn every_form_of_a_url_finds_the_same_user() {
    let (appliance, directories) = directories();
    let directory = &directories[0];
    let id = create(&appliance, directory, MARA);
    let mut wire = appliance.connect();
    let filter = encoded(&format!("userName eq \"{MARA}\""));
    let mut found = |target: &str| -> Value {
        let answer = wire.send(&directory.request("GET", target)).unwrap();
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        answer.json()
    };
    for query in [
        format!("/Users?filter={filter}"),
        format!("/Users/?filter={filter}"),
        format!("//Users?filter={filter}"),
        format!("//Users/?filter={filter}"),
        format!("/Users?aadOptscim062020&filter={filter}"),
        format!("/Users?filter={filter}&aadOptscim062020"),
        format!("/Users?aadOptscim062020=true&filter={filter}"),
        format!("/Users?aadOptscim062020=&filter={filter}"),
        format!("/Users?AADOPTSCIM062020&filter={filter}&AzureAdScimPatch2017"),
        format!("//Users/?AzureAdScimPatch2017&&filter={filter}&"),
        format!("/Users?&filter={filter}"),
        format!("/Users?x=/Users&y=?&filter={filter}"),
        format!("/Users?FILTER={filter}&COUNT=1&STARTINDEX=1"),
        format!("/Users?%66ilter={filter}"),
        format!("/Users?excludedAttributes=members&filter={filter}"),
        format!("/Users?filter={filter}&excludedattributes=members"),
        format!("/Users?count=1&filter={filter}&startIndex=1&attributes=userName"),
        format!("?aadOptscim062020&filter={filter}"),
        format!("/?aadOptscim062020&filter={filter}"),
        format!("/Users?filter={}", filter.replace('+', "%20")),
        format!("/Users?filter={}", filter.replace("%40", "@")),
        format!("/Users?filter={}", filter.replace("%27", "'")),
        format!("/Users?filter={}", filter.to_lowercase()),
        format!(
            "/Users?filter={}",
            filter.replace("userName+eq", "USERNAME+EQ")
        ),
        format!(
            "/Users?filter=emails[type+eq+%22work%22].value{}",
            &filter["userName".len()..]
        ),
    ] {
        let list = found(&query);
        assert_eq!(list["totalResults"], 1, "{query}: {list}");
        assert_eq!(list["Resources"][0]["id"], id.as_str(), "{query}");
    }
    for path in [
        format!("/Users/{id}"),
        format!("/Users/{id}/"),
        format!("/Users/{id}?"),
        format!("//Users/{id}/"),
        format!("/Users/{id}?aadOptscim062020"),
        format!("//Users/{id}/?AzureAdScimPatch2017"),
        format!("/%55sers/{id}"),
    ] {
        assert_eq!(found(&path)["userName"], MARA, "{path}");
    }
    // A plus sign that is not encoded is a space, and no part of her name.
    let plus = format!("/Users?filter={}", filter.replace("%2B", "+"));
    assert_eq!(found(&plus)["totalResults"], 0);
    for path in ["/ServiceProviderConfig", "/Schemas", "/ResourceTypes", ""] {
        for form in [
            path.to_owned(),
            format!("{path}/"),
            format!("/{path}/?aadOptscim062020"),
            format!("{path}?aadOptscim062020"),
        ] {
            assert!(found(&form)["schemas"].is_array(), "{form}");
        }
    }
}

#[test]
fn writes_take_the_same_forms() {
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let mut wire = appliance.connect();
    for (number, (join, flag)) in [
        ("/", ""),
        ("//", ""),
        ("/", "?aadOptscim062020"),
        ("/", "/?aadOptscim062020"),
        ("//", "?AzureAdScimPatch2017=true"),
    ]
    .into_iter()
    .enumerate()
    {
        let why = format!("{join}Users{flag}");
        let user = json!({"schemas": [USER], "userName": format!("user-{number}")});
        let request = directory
            .request("POST", &format!("{join}Users{flag}"))
            .json(&user);
        let made = wire.send(&request).unwrap();
        assert_eq!(made.status, 201, "{why}: {made:?}");
        let path = format!("{join}Users/{}{flag}", made.json()["id"].as_str().unwrap());
        // Neither the join nor the flag comes back.
        let location = made.header("location").unwrap();
        assert!(
            !location.contains("v2//") && !location.contains('?'),
            "{location}"
        );
        let patch = json!({
            "Operations": [{"op": "Replace", "path": "active", "value": "False"}],
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        });
        let patched = wire.send(&directory.request("PATCH", &path).json(&patch));
        let patched = patched.unwrap();
        assert_eq!(patched.status, 200, "{why}: {patched:?}");
        assert_eq!(patched.json()["active"], false, "{why}");
        let replaced = wire
            .send(&directory.request("PUT", &path).json(&user))
            .unwrap();
        assert_eq!(replaced.status, 200, "{why}: {replaced:?}");
        let deleted = wire.send(&directory.request("DELETE", &path)).unwrap();
        assert_eq!(deleted.status, 204, "{why}: {deleted:?}");
    }
}

#[test]
fn a_request_needs_no_header_but_its_token() {
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let id = create(&appliance, &directory, MARA);
    let mut wire = appliance.connect();
    let path = format!("/Users/{id}");
    let patch = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "Add", "path": "title", "value": "Optician"}],
    });
    // The client of these tests sends Host and the length of a body, and nothing else.
    for headers in [
        &[][..],
        &[("ADSCIMVersion", "5.0")],
        &[("ADSCIMVersion", "6.0; activity 0a1b"), ("Accept", "")],
        &[("Content-Type", "application/scim+json; charset=utf-8")],
        &[(
            "Content-Type",
            "application/scim+json;charset=UTF-8;x=\"y;z\"",
        )],
        &[("Content-Type", "application/json; charset=utf-16")],
        &[("Content-Type", "")],
        &[("Accept", "application/xml"), ("Accept-Encoding", "br")],
        &[("Accept-Charset", "utf-16"), ("Accept-Language", "xx")],
        &[
            ("User-Agent", ""),
            ("Cookie", "a=b"),
            ("Connection", "keep-alive"),
        ],
    ] {
        let with = |mut request: Request| {
            for (name, value) in headers {
                request = request.header(name, value);
            }
            request
        };
        for (method, path, body, status) in [
            ("GET", path.as_str(), None, 200),
            ("GET", "/Users", None, 200),
            ("GET", "/Groups", None, 200),
            ("GET", "/ServiceProviderConfig", None, 200),
            ("HEAD", "/Users", None, 200),
            ("PATCH", path.as_str(), Some(patch.to_string()), 200),
            ("DELETE", "/Users/nobody", None, 404),
        ] {
            let mut request = with(directory.request(method, path));
            if let Some(body) = body {
                request = request.body(body);
            }
            let answer = wire.send(&request).unwrap();
            assert_eq!(
                answer.status, status,
                "{method} {path} {headers:?}: {answer:?}"
            );
            let media = answer.header("content-type");
            assert_eq!(media, Some("application/scim+json"), "{method} {path}");
        }
    }
}

#[test]
fn a_content_type_without_a_body_and_an_odd_scheme_do_no_harm() {
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let id = create(&appliance, &directory, MARA);
    let mut wire = appliance.connect();
    let path = format!("/Users/{id}");
    // What reads and what deletes has no body, whatever its headers say of one.
    for media in ["text/html", "application/x-www-form-urlencoded", "nonsense"] {
        for (method, path, status) in [("GET", &path, 200), ("DELETE", &"/Users/x".to_owned(), 404)]
        {
            let request = directory
                .request(method, path)
                .header("Content-Type", media);
            let answer = wire.send(&request.body("")).unwrap();
            assert_eq!(answer.status, status, "{method} {media}: {answer:?}");
        }
    }
    for scheme in ["bearer", "BEARER", "Bearer  ", "Bearer Bearer"] {
        let value = format!("{scheme} {}", directory.token);
        let target = format!("{}/Users", directory.base);
        let request = Request::new("GET", &target).header("Authorization", &value);
        assert_eq!(wire.send(&request).unwrap().status, 200, "{scheme}");
    }
    let deleted = wire.send(&directory.request("DELETE", &path)).unwrap();
    assert_eq!(deleted.status, 204, "{deleted:?}");
}

#[test]
fn a_flag_before_the_path_is_explained_and_nothing_is_guessed() {
    let (appliance, directories) = directories();
    let filter = encoded("userName eq \"somebody@northbridge.example\"");
    let user = json!({"schemas": [USER], "userName": "wrong"});
    for directory in &directories {
        let mut wire = appliance.connect();
        for (method, path) in [
            ("GET", "?aadOptscim062020/Users".to_owned()),
            ("GET", format!("?aadOptscim062020/Users?filter={filter}")),
            ("GET", format!("/?aadOptscim062020/Users&filter={filter}")),
            (
                "GET",
                format!("?aadOptscim062020=true/Users?filter={filter}"),
            ),
            (
                "GET",
                format!("?AZUREADSCIMPATCH2017%2FGroups%3Ffilter={filter}"),
            ),
            ("GET", format!("/Users?aadOptscim062020?filter={filter}")),
            (
                "GET",
                format!("/Users?aadOptscim062020=true?filter={filter}"),
            ),
            ("GET", format!("/Users?filter={filter}?aadOptscim062020")),
            (
                "GET",
                format!("/Groups/{GUID}?excludedAttributes=members?aadOptscim062020"),
            ),
            ("GET", "?aadOptscim062020/Schemas".to_owned()),
            ("POST", "?aadOptscim062020/Users".to_owned()),
            ("PATCH", format!("?aadOptscim062020/Users/{GUID}")),
            ("DELETE", format!("?aadOptscim062020/Users/{GUID}")),
        ] {
            let mut request = directory.request(method, &path);
            if method == "POST" || method == "PATCH" {
                request = request.json(&user);
            }
            let answer = wire.send(&request).unwrap();
            let detail = answer.refusal(400, Some("invalidValue"), &path);
            assert!(detail.contains("Tenant URL"), "{path}: {detail}");
        }
        let list = wire.send(&directory.request("GET", "/Users?count=0"));
        assert_eq!(list.unwrap().json()["totalResults"], 1);
    }
}
