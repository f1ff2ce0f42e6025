//! The rooms of `src/` and what each may name. Holds the table; fails on any other `crate::` path or external crate.
//!
//! A room is a folder or file directly under `src/`. It imports only rooms above it in the table, and of those only
//! the ones its row names. Which external crates a room may name stands in `tidy.rs`, beside their reasons.
//! ARCHITECTURE.md changes together with this file.

use crate::sources::Source;
use crate::sources::rust_files;
use crate::tidy::DEPENDENCIES;

/// Each room, lowest first, with the rooms that it may import.
const ROOMS: [(&str, &[&str]); 18] = [
    ("base", &[]),
    ("telemetry", &["base"]),
    ("audit", &["base"]),
    ("scim", &["base"]),
    ("http", &["base", "telemetry"]),
    ("store", &["base", "telemetry", "audit", "scim"]),
    (
        "directory",
        &["base", "telemetry", "audit", "scim", "store"],
    ),
    ("auth", &["base", "telemetry", "audit", "scim", "store"]),
    (
        "admin",
        &[
            "base",
            "telemetry",
            "audit",
            "scim",
            "store",
            "directory",
            "auth",
        ],
    ),
    ("control", &["base", "telemetry"]),
    (
        "console",
        &["base", "telemetry", "http", "directory", "auth", "admin"],
    ),
    (
        "api",
        &[
            "base",
            "telemetry",
            "scim",
            "http",
            "store",
            "directory",
            "auth",
        ],
    ),
    ("config", &["base", "http"]),
    (
        "daemon",
        &[
            "base",
            "telemetry",
            "audit",
            "scim",
            "http",
            "store",
            "directory",
            "auth",
            "admin",
            "control",
            "console",
            "api",
            "config",
        ],
    ),
    ("cli", &["base", "config", "control", "daemon"]),
    ("measure", &["base", "audit", "scim", "store", "directory"]),
    ("lib", &[]),
    ("main", &["cli"]),
];

/// Only these are asynchronous; the rest needs no runtime to test.
const ASYNCHRONOUS: [&str; 5] = ["http", "api", "console", "control", "daemon"];

#[test]
fn rooms_import_only_what_their_row_names() {
    let mut wrong = Vec::new();
    for source in rust_files() {
        let Some(room) = source.room() else { continue };
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!(
                "{}: the room {room} is not in the table",
                source.path
            ));
            continue;
        };
        // `main` and `lib` see the library from outside and from the top.
        let paths = if room == "main" { "rollcall" } else { "crate" };
        for (line, name) in imports(&source, paths) {
            if name != room && !allowed.contains(&name.as_str()) {
                wrong.push(format!(
                    "{}:{line}: {room} must not name {paths}::{name}",
                    source.path
                ));
            }
        }
        for text in ["super::super", "crate::{", "crate::*"] {
            if source.code.contains(text) {
                wrong.push(format!(
                    "{}: {text}: write the path out, one import a line",
                    source.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn rooms_import_only_rooms_above_them_in_the_table() {
    for (number, (room, allowed)) in ROOMS.iter().enumerate() {
        for name in *allowed {
            let at = ROOMS.iter().position(|(other, _)| other == name);
            assert!(at.is_some_and(|at| at < number), "{room} imports {name}");
        }
    }
}

#[test]
fn external_crates_are_named_only_in_their_rooms() {
    let mut wrong = Vec::new();
    for source in rust_files() {
        let Some(room) = source.room() else { continue };
        // Files that hold nothing but tests may use what they need.
        if source.path.ends_with("/tests.rs") || source.path.contains("/tests/") {
            continue;
        }
        for dependency in &DEPENDENCIES {
            let name = dependency.name.replace('-', "_");
            let allowed = dependency.rooms.contains(&room) || dependency.rooms == ["any"];
            let at = starts(&source.code, &name).next();
            if let (false, Some(at)) = (allowed, at) {
                wrong.push(format!(
                    "{}:{}: {room} must not name {name}",
                    source.path,
                    source.line(at)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn only_asynchronous_rooms_name_tokio() {
    for dependency in DEPENDENCIES
        .iter()
        .filter(|dependency| dependency.name.starts_with("tokio"))
    {
        for room in dependency.rooms {
            assert!(ASYNCHRONOUS.contains(room), "{} in {room}", dependency.name);
        }
    }
}

/// The rooms that a file names after `first::`, with the lines.
fn imports(source: &Source, first: &str) -> Vec<(usize, String)> {
    starts(&source.code, first)
        .map(|at| {
            let after = &source.code[at + first.len() + 2..];
            let name: String = after
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            (source.line(at), name)
        })
        .filter(|(_, name)| !name.is_empty())
        .collect()
}

/// Where a path begins with `name::`.
fn starts<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(name)
        .map(|(at, _)| at)
        .filter(move |&at| {
            let before = code[..at].chars().next_back();
            let begins =
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '.');
            // `::name` from the root of all crates counts too.
            let rooted = code[..at].ends_with("::")
                && !code[..at - 2].ends_with(|c: char| c.is_alphanumeric() || c == '>' || c == '_');
            (begins || rooted) && code[at + name.len()..].starts_with("::")
        })
}
