//! Plays the conversations in `tests/fixtures` against a real appliance over TLS and compares whole answers: status,
//! the headers listed below, body with the order of its members.
//!
//! ```text
//! {"origin", "about", "date", "profile": "entra"|"strict",
//!  "steps": [{"about",
//!             "request": {"method", "path", "headers", "body" (JSON) or "raw" (text)},
//!             "capture": {"NAME": "/json/pointer into the answer"},
//!             "answer": {"status", "headers", "body"}}]}
//! ```
//!
//! Paths are relative to the Tenant URL. `{{NAME}}` stands for a captured text, `{{token}}` for the Secret Token,
//! `{{request}}` for the request's id, and `"{{any}}"` in an answer for whatever is there. The token is sent unless the step names an Authorization header
//! (null: none). The clock stands at 2026-01-31T07:00:00.000Z and moves one second after each step.
//!
//! `UPDATE=1` rewrites the answers with what was answered. Read the difference before you keep it.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::harness::Appliance;
use crate::harness::Directory;
use crate::wire::Answer;
use crate::wire::Request;

/// The headers that are compared. The others are the same in every answer, or differ in every run.
const HEADERS: [&str; 7] = [
    "content-type",
    "location",
    "etag",
    "www-authenticate",
    "allow",
    "retry-after",
    "transfer-encoding",
];
/// Matches whatever is there.
const ANY: &str = "{{any}}";

/// Texts that stand for others: placeholder and what it stands for.
type Captures = Vec<(String, String)>;

#[test]
fn every_conversation_is_answered_exactly_as_written() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = String::new();
    let files = fixtures();
    assert!(!files.is_empty(), "there are conversations");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let mut conversation: Value = serde_json::from_str(&text).unwrap();
        let differences = play(&mut conversation);
        if update {
            let text = serde_json::to_string_pretty(&conversation).unwrap() + "\n";
            fs::write(&file, text).unwrap();
        } else {
            for difference in differences {
                wrong.push_str(&format!("\n==== {}, {difference}", file.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong}\n\nUPDATE=1 rewrites the fixtures"
    );
}

/// All conversations, in order of their names.
fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut files = Vec::new();
    for folder in fs::read_dir(root).unwrap() {
        let folder = folder.unwrap().path();
        if folder.is_dir() {
            files.extend(
                fs::read_dir(folder)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    files
}

/// Plays one conversation and puts what was answered into it. Returns how that differs from what was expected.
fn play(conversation: &mut Value) -> Vec<String> {
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", conversation["profile"].as_str().unwrap());
    let mut wire = appliance.connect();
    let mut captures: Captures = vec![("{{token}}".to_owned(), directory.token.clone())];
    let mut differences = Vec::new();
    for (number, step) in conversation["steps"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        let request = request(&step["request"], &directory, &captures);
        let answer = wire
            .send(&request)
            .unwrap_or_else(|error| panic!("step {number} {}: {error}", step["about"]));
        check_common(&answer);
        if answer.header("connection") == Some("close") {
            wire = appliance.connect();
        }
        for (name, pointer) in step["capture"].as_object().into_iter().flatten() {
            if let Some(text) = answer
                .json()
                .pointer(pointer.as_str().unwrap())
                .and_then(Value::as_str)
            {
                captures.push((format!("{{{{{name}}}}}"), text.to_owned()));
            }
        }
        let seen = written(&answer, &captures);
        if !agrees(&step["answer"], &seen) {
            differences.push(format!(
                "step {number}: {}\n{}",
                step["about"],
                changed(&format!("{:#}", step["answer"]), &format!("{seen:#}"))
            ));
        }
        // Rewritten even when it agrees: that fills in what was left open.
        step["answer"] = seen;
        appliance.advance(1000);
    }
    differences
}

/// What holds for every answer and is not in the fixtures.
fn check_common(answer: &Answer) {
    let id = answer.header("x-request-id").unwrap_or_default();
    assert!(
        id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "X-Request-Id: {answer:?}"
    );
    assert_eq!(
        answer.header("x-content-type-options"),
        Some("nosniff"),
        "{answer:?}"
    );
    let cache = answer.header("cache-control").unwrap_or_default();
    assert!(
        cache.contains("no-store") || cache.contains("private"),
        "Cache-Control: {answer:?}"
    );
    assert_eq!(answer.header("server"), None, "{answer:?}");
}

/// The request that a step describes.
fn request(step: &Value, directory: &Directory, captures: &Captures) -> Request {
    let step = replace(step, &|text| fill(text, captures));
    let target = format!("{}{}", directory.base, step["path"].as_str().unwrap());
    let mut request = Request::new(step["method"].as_str().unwrap(), &target);
    let headers = step["headers"].as_object().cloned().unwrap_or_default();
    if !headers
        .keys()
        .any(|name| name.eq_ignore_ascii_case("authorization"))
    {
        request = request.bearer(&directory.token);
    }
    for (name, value) in &headers {
        if let Some(value) = value.as_str() {
            request = request.header(name, value);
        }
    }
    match (step.get("body"), step.get("raw")) {
        (Some(body), _) => request.body(body.to_string()),
        (None, Some(raw)) => request.body(raw.as_str().unwrap()),
        (None, None) => request,
    }
}

/// An answer as a fixture writes it.
fn written(answer: &Answer, captures: &Captures) -> Value {
    let mut headers = Map::new();
    for name in HEADERS {
        if let Some(value) = answer.header(name) {
            headers.insert(name.to_owned(), value.into());
        }
    }
    let mut seen = json!({"status": answer.status, "headers": headers});
    if !answer.body.is_empty() {
        seen["body"] = answer.json();
    }
    let request = answer.header("x-request-id").unwrap_or_default();
    replace(&seen, &|text| {
        let text = text.replace(request, "{{request}}");
        captures
            .iter()
            .fold(text, |text, (name, value)| text.replace(value, name))
    })
}

/// The lines between what two texts have in common at their beginnings and ends.
fn changed(expected: &str, seen: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), seen.lines().collect());
    let same = |(old, new): &(&&str, &&str)| old == new;
    let start = old.iter().zip(&new).take_while(same).count();
    let end = old[start..]
        .iter()
        .rev()
        .zip(new[start..].iter().rev())
        .take_while(same)
        .count();
    let minus = old[start..old.len() - end]
        .iter()
        .map(|line| format!("- {line}\n"));
    let plus = new[start..new.len() - end]
        .iter()
        .map(|line| format!("+ {line}\n"));
    minus.chain(plus).collect()
}

/// The text with each placeholder filled in.
fn fill(text: &str, captures: &Captures) -> String {
    captures
        .iter()
        .fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
}

/// The tree with `change` applied to each text.
fn replace(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(text).into(),
        Value::Array(items) => items.iter().map(|item| replace(item, change)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), replace(member, change)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Whether two trees are the same, the order of members included; [`ANY`] agrees with everything.
fn agrees(expected: &Value, seen: &Value) -> bool {
    match (expected, seen) {
        (Value::String(text), _) if text == ANY => true,
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| agrees(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|((name, left), (same, right))| name == same && agrees(left, right))
        }
        _ => expected == seen,
    }
}
