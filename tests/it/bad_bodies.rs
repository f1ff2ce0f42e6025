//! Bodies that are wrong, each with the keyword of its refusal: the tables of `bad_input`.

use serde_json::Value;
use serde_json::json;

/// The core User schema.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The PATCH message.
pub const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A body and how it is refused.
pub struct Row {
    /// What is wrong.
    pub why: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// The keyword of RFC 7644 Table 9.
    pub scim_type: &'static str,
}

/// A row for a text.
pub fn row(why: &'static str, body: impl Into<Vec<u8>>, scim_type: &'static str) -> Row {
    Row {
        why,
        body: body.into(),
        scim_type,
    }
}

/// Bodies that are wrong in every message.
pub fn broken() -> Vec<Row> {
    let mut not_text = format!("{{\"schemas\":[\"{USER}\"],\"userName\":\"").into_bytes();
    not_text.extend(b"\xff\xfe\"}");
    let deep = format!(
        "{{\"schemas\":[\"{USER}\"],\"userName\":\"deep\",\"x\":{}1{}}}",
        "[".repeat(40),
        "]".repeat(40)
    );
    let bottomless = "[".repeat(100_000);
    vec![
        row("nothing at all", "", "invalidSyntax"),
        row("not JSON", "userName=mara", "invalidSyntax"),
        row("cut off", "{\"schemas\":[\"urn", "invalidSyntax"),
        row(
            "text after the end",
            format!("{{\"schemas\":[\"{USER}\"],\"userName\":\"x\"}} {{}}"),
            "invalidSyntax",
        ),
        row("a list", "[]", "invalidSyntax"),
        row("a text", "\"mara\"", "invalidSyntax"),
        row("null", "null", "invalidSyntax"),
        row("invalid UTF-8", not_text, "invalidSyntax"),
        row(
            "a lone surrogate",
            "{\"schemas\":[\"\\ud800\"]}",
            "invalidSyntax",
        ),
        row(
            "a key twice",
            format!("{{\"schemas\":[\"{USER}\"],\"userName\":\"a\",\"userName\":\"b\"}}"),
            "invalidSyntax",
        ),
        row(
            "a key twice in other case",
            format!("{{\"schemas\":[\"{USER}\"],\"userName\":\"a\",\"USERNAME\":\"b\"}}"),
            "invalidSyntax",
        ),
        row(
            "a key twice further in",
            format!(
                "{{\"schemas\":[\"{USER}\"],\"userName\":\"a\",\"name\":{{\"givenName\":\"a\",\"givenName\":\"b\"}}}}"
            ),
            "invalidSyntax",
        ),
        row("deeper than the limit", deep, "invalidSyntax"),
        row("far deeper than the limit", bottomless, "invalidSyntax"),
        row(
            "a number that no computer holds",
            format!("{{\"schemas\":[\"{USER}\"],\"userName\":\"a\",\"x\":1e999}}"),
            "invalidSyntax",
        ),
    ]
}

/// Users that are wrong.
pub fn users() -> Vec<Row> {
    vec![
        row("no schemas", "{\"userName\":\"wrong\"}", "invalidSyntax"),
        row(
            "empty schemas",
            user(&json!({"schemas": []})),
            "invalidSyntax",
        ),
        row(
            "schemas of another type",
            user(&json!({"schemas": USER})),
            "invalidSyntax",
        ),
        row(
            "schemas of something else",
            user(&json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"]})),
            "invalidSyntax",
        ),
        row(
            "no userName",
            format!("{{\"schemas\":[\"{USER}\"]}}"),
            "invalidValue",
        ),
        row(
            "userName null",
            user(&json!({"userName": null})),
            "invalidValue",
        ),
        row(
            "userName empty",
            user(&json!({"userName": ""})),
            "invalidValue",
        ),
        row(
            "userName a number",
            user(&json!({"userName": 7})),
            "invalidValue",
        ),
        row(
            "userName an object",
            user(&json!({"userName": {"value": {"a": "b"}}})),
            "invalidValue",
        ),
        row(
            "a control character in userName",
            user(&json!({"userName": "a\u{0}b"})),
            "invalidValue",
        ),
    ]
}

/// Users with one value that does not fit its attribute.
pub fn users_with_wrong_values() -> Vec<Row> {
    vec![
        row(
            "active neither true nor false",
            user(&json!({"active": "maybe"})),
            "invalidValue",
        ),
        row(
            "active a number",
            user(&json!({"active": 1})),
            "invalidValue",
        ),
        row(
            "displayName an object",
            user(&json!({"displayName": {"a": {"b": "c"}}})),
            "invalidValue",
        ),
        row(
            "emails a text",
            user(&json!({"emails": "mara@northbridge.example"})),
            "invalidValue",
        ),
        row(
            "an e-mail whose value is an object",
            user(&json!({"emails": [{"type": "work", "value": {"a": 1}}]})),
            "invalidValue",
        ),
        row(
            "two primary e-mails",
            user(
                &json!({"emails": [{"value": "a", "primary": true}, {"value": "b", "primary": true}]}),
            ),
            "invalidValue",
        ),
        row(
            "a userName longer than an index takes",
            user(&json!({"userName": "m".repeat(70_000)})),
            "invalidValue",
        ),
        row(
            "an externalId longer than an index takes",
            user(&json!({"externalId": "m".repeat(70_000)})),
            "invalidValue",
        ),
        row(
            "a userName that reads the other way",
            user(&json!({"userName": "ma\u{202e}ra"})),
            "invalidValue",
        ),
        row(
            "name a list",
            user(&json!({"name": ["Mara"]})),
            "invalidValue",
        ),
        row(
            "the extension a text",
            user(&json!({"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": "Optics"})),
            "invalidValue",
        ),
    ]
}

/// PATCH messages that are wrong. Each also carries an operation that is right and must not stay.
pub fn patches() -> Vec<Row> {
    vec![
        row(
            "no schemas",
            "{\"Operations\":[{\"op\":\"replace\",\"path\":\"title\",\"value\":\"x\"}]}",
            "invalidSyntax",
        ),
        row(
            "schemas of a user",
            json!({"schemas": [USER], "Operations": [{"op": "remove", "path": "title"}]})
                .to_string(),
            "invalidSyntax",
        ),
        row(
            "no operations",
            format!("{{\"schemas\":[\"{PATCH}\"]}}"),
            "invalidSyntax",
        ),
        row(
            "zero operations",
            format!("{{\"schemas\":[\"{PATCH}\"],\"Operations\":[]}}"),
            "invalidSyntax",
        ),
        row(
            "operations no list",
            format!("{{\"schemas\":[\"{PATCH}\"],\"Operations\":{{}}}}"),
            "invalidSyntax",
        ),
        row(
            "an operation that is no object",
            operations(&json!("remove")),
            "invalidSyntax",
        ),
        row(
            "no op",
            operations(&json!({"path": "title", "value": "x"})),
            "invalidSyntax",
        ),
        row(
            "an op that nobody knows",
            operations(&json!({"op": "increase", "path": "title", "value": "x"})),
            "invalidSyntax",
        ),
        row(
            "op a number",
            operations(&json!({"op": 7, "path": "title", "value": "x"})),
            "invalidSyntax",
        ),
        row(
            "path a number",
            operations(&json!({"op": "replace", "path": 7, "value": "x"})),
            "invalidPath",
        ),
    ]
}

/// PATCH messages whose second operation cannot be carried out.
pub fn patches_that_fail() -> Vec<Row> {
    vec![
        row(
            "a path with a gap",
            operations(&json!({"op": "replace", "path": "name..givenName", "value": "x"})),
            "invalidPath",
        ),
        row(
            "a path that begins with a digit",
            operations(&json!({"op": "replace", "path": "1title", "value": "x"})),
            "invalidPath",
        ),
        row(
            "remove without a path",
            operations(&json!({"op": "remove"})),
            "noTarget",
        ),
        row(
            "a value without a path that is no object",
            operations(&json!({"op": "replace", "value": "x"})),
            "invalidValue",
        ),
        row(
            "a number for text",
            operations(&json!({"op": "replace", "path": "displayName", "value": 7})),
            "invalidValue",
        ),
        row(
            "a text that is no boolean",
            operations(&json!({"op": "replace", "path": "active", "value": "maybe"})),
            "invalidValue",
        ),
        row(
            "userName removed",
            operations(&json!({"op": "remove", "path": "userName"})),
            "mutability",
        ),
        row(
            "the id replaced",
            operations(&json!({"op": "replace", "path": "id", "value": "x"})),
            "mutability",
        ),
    ]
}

/// A user that would be right without what is added.
fn user(more: &Value) -> String {
    let mut user = json!({"schemas": [USER], "userName": "wrong"});
    user.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    user.to_string()
}

/// A PATCH message of an operation that is right and must not stay, and one more.
fn operations(more: &Value) -> String {
    let right = json!({"op": "replace", "path": "title", "value": "must not stay"});
    json!({"schemas": [PATCH], "Operations": [right, more]}).to_string()
}
