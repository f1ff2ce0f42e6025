//! Everything has a limit: what is over it is refused with the limit in the answer, what is just under it is not.

use serde_json::json;

use crate::harness::Appliance;
use crate::harness::Directory;
use crate::wire::Answer;
use crate::wire::Request;

/// The core User schema.
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// A user whose body has exactly `bytes` bytes.
fn user_of(bytes: usize, name: &str) -> String {
    let empty = json!({"schemas": [USER], "userName": name, "title": ""}).to_string();
    json!({"schemas": [USER], "userName": name, "title": "x".repeat(bytes - empty.len())})
        .to_string()
}

/// Posts a body on a connection of its own.
fn post(appliance: &Appliance, directory: &Directory, body: String) -> Answer {
    let request = directory
        .request("POST", "/Users")
        .header("Content-Type", "application/scim+json")
        .body(body);
    appliance.send(&request)
}

/// How many users there are.
fn total(appliance: &Appliance, directory: &Directory) -> u64 {
    appliance
        .send(&directory.request("GET", "/Users?count=0"))
        .json()["totalResults"]
        .as_u64()
        .unwrap()
}

#[test]
fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
    let appliance = Appliance::start_with(&["limits.body=\"64KiB\""]);
    let directory = appliance.directory("one", "entra");
    let fits = post(&appliance, &directory, user_of(64 * 1024, "fits"));
    assert_eq!(fits.status, 201, "{}", fits.status);
    let detail = post(&appliance, &directory, user_of(64 * 1024 + 1, "too-long")).refusal(
        413,
        None,
        "one byte over",
    );
    assert!(
        detail.contains("65536") || detail.contains("64 KiB") || detail.contains("64KiB"),
        "{detail}"
    );
    assert_eq!(total(&appliance, &directory), 1);
}

#[test]
fn what_the_store_does_not_take_is_refused_with_its_limits() {
    let appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let emails = |count: usize| {
        let emails: Vec<_> = (0..count)
            .map(|n| json!({"value": n.to_string()}))
            .collect();
        json!({"schemas": [USER], "userName": "mara", "emails": emails}).to_string()
    };
    let long_name = json!({"schemas": [USER], "userName": "x".repeat((64 << 10) + 1)}).to_string();
    for body in [emails(10_001), long_name] {
        let detail = post(&appliance, &directory, body).refusal(
            400,
            Some("invalidValue"),
            "too large to store",
        );
        assert!(detail.contains("64 KiB"), "{detail}");
    }
    assert_eq!(post(&appliance, &directory, emails(9_999)).status, 201);
    assert_eq!(total(&appliance, &directory), 1);
}

#[test]
fn a_body_without_a_stated_length_has_the_same_limit() {
    let appliance = Appliance::start_with(&["limits.body=\"64KiB\""]);
    let directory = appliance.directory("one", "entra");
    let chunked = |body: &str| {
        let mut wire = appliance.connect();
        let mut bytes = directory
            .request("POST", "/Users")
            .header("Content-Type", "application/scim+json")
            .header("Transfer-Encoding", "chunked")
            .bytes();
        for chunk in body.as_bytes().chunks(1000) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        wire.raw(&bytes).unwrap();
        wire.answer(false).unwrap()
    };
    assert_eq!(chunked(&user_of(64 * 1024, "fits")).status, 201);
    chunked(&user_of(64 * 1024 + 1, "too-long")).refusal(413, None, "one byte over");
    assert_eq!(total(&appliance, &directory), 1);
}

#[test]
fn a_length_that_is_only_stated_is_refused_before_the_body_comes() {
    let appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let mut wire = appliance.connect();
    let head = directory
        .request("POST", "/Users")
        .header("Content-Type", "application/scim+json")
        .header("Content-Length", "999999999999")
        .bytes();
    wire.raw(&head).unwrap();
    wire.answer(false)
        .unwrap()
        .refusal(413, None, "a terabyte, announced");
}

#[test]
fn a_body_is_not_read_from_those_who_may_not_write() {
    let appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let mut wire = appliance.connect();
    let head = Request::new("POST", &format!("{}/Users", directory.base))
        .header("Content-Type", "application/scim+json")
        .header("Content-Length", "500000")
        .bytes();
    wire.raw(&head).unwrap();
    // Not a byte of the body was sent, and there is an answer.
    wire.answer(false).unwrap().refusal(401, None, "nobody");
}

#[test]
fn an_address_may_be_as_long_as_the_limit_and_no_longer() {
    let appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let send = |bytes: usize| {
        let start = format!("{}/Users?x=", directory.base);
        let target = format!("{start}{}", "y".repeat(bytes - start.len()));
        appliance.send(&Request::new("GET", &target).bearer(&directory.token))
    };
    assert_eq!(send(8 * 1024).status, 200);
    let detail = send(8 * 1024 + 1).refusal(414, None, "one byte over");
    assert!(
        detail.contains("8192") || detail.contains("8 KiB") || detail.contains("8KiB"),
        "{detail}"
    );
}

#[test]
fn headers_over_the_limit_are_refused() {
    let appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let fits = directory
        .request("GET", "/Users")
        .header("X-Long", &"y".repeat(12 * 1024));
    assert_eq!(appliance.send(&fits).status, 200);
    let mut wire = appliance.connect();
    let over = directory
        .request("GET", "/Users")
        .header("X-Long", &"y".repeat(40 * 1024));
    // The connection may already be gone when the last bytes are written.
    let status = wire.send(&over).map(|answer| answer.status).unwrap_or(431);
    assert_eq!(status, 431);
    assert_eq!(
        appliance.send(&directory.request("GET", "/Users")).status,
        200,
        "others are served"
    );
}

#[test]
fn json_and_filters_may_be_as_deep_as_the_limit_and_no_deeper() {
    let appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let nested = |depth: usize| {
        // The user's own braces are the first level.
        format!(
            "{{\"schemas\":[\"{USER}\"],\"userName\":\"d{depth}\",\"x\":{}1{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    assert_eq!(post(&appliance, &directory, nested(32)).status, 201);
    post(&appliance, &directory, nested(33)).refusal(400, Some("invalidSyntax"), "33 levels");
    let filter = |text: &str| {
        let text = text.replace(' ', "+").replace('"', "%22");
        appliance.send(&directory.request("GET", &format!("/Users?filter={text}")))
    };
    let parentheses = |depth: usize| format!("{}title pr{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(filter(&parentheses(30)).status, 200);
    filter(&parentheses(40)).refusal(400, Some("invalidFilter"), "40 parentheses");
    let terms = |count: usize| vec!["title pr"; count].join(" or ");
    assert_eq!(filter(&terms(100)).status, 200);
    filter(&terms(101)).refusal(400, Some("invalidFilter"), "101 terms");
    filter(&format!("title eq \"{}\"", "x".repeat(5000))).refusal(
        400,
        Some("invalidFilter"),
        "over 4 KiB",
    );
}

#[test]
fn a_page_has_a_default_and_a_most() {
    let appliance = Appliance::start_with(&["limits.page_default=3", "limits.page_max=5"]);
    let directory = appliance.directory("one", "entra");
    for number in 0..7 {
        let user = json!({"schemas": [USER], "userName": format!("u{number}")}).to_string();
        assert_eq!(post(&appliance, &directory, user).status, 201);
    }
    for (query, items) in [
        ("", 3),
        ("?count=4", 4),
        ("?count=5", 5),
        ("?count=6", 5),
        ("?count=5&startIndex=6", 2),
        ("?count=0", 0),
    ] {
        let list = appliance
            .send(&directory.request("GET", &format!("/Users{query}")))
            .json();
        let resources = list["Resources"].as_array().unwrap().len();
        assert_eq!(
            (&list["totalResults"], &list["itemsPerPage"], resources),
            (&json!(7), &json!(items), items),
            "{query}"
        );
    }
    let config = appliance
        .send(&directory.request("GET", "/ServiceProviderConfig"))
        .json();
    assert_eq!(
        config["filter"]["maxResults"], 5,
        "what is declared is what is enforced"
    );
}

#[test]
fn one_connection_serves_many_requests_whatever_they_were() {
    let appliance = Appliance::start();
    let directory = appliance.directory("one", "entra");
    let mut wire = appliance.connect();
    for round in 0..20 {
        let wrong = directory
            .request("POST", "/Users")
            .header("Content-Type", "application/scim+json")
            .body("{");
        wire.send(&wrong)
            .unwrap()
            .refusal(400, Some("invalidSyntax"), "broken");
        let right = json!({"schemas": [USER], "userName": format!("u{round}")});
        assert_eq!(
            wire.send(&directory.request("POST", "/Users").json(&right))
                .unwrap()
                .status,
            201
        );
        wire.send(&directory.request("GET", "/Users/nobody"))
            .unwrap()
            .refusal(404, None, "nobody");
    }
    assert_eq!(total(&appliance, &directory), 20);
}
