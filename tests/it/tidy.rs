//! House rules on files: each begins by saying what it holds, none is long, nothing unfinished stays behind, and each
//! direct dependency has a reason and its rooms.

use std::fs;

use crate::sources::dependencies;
use crate::sources::root;
use crate::sources::rust_files;

/// Lines that a file may have, but for `tests.rs`.
const LINES_MAX: usize = 500;

/// A direct dependency.
pub struct Dependency {
    /// Its name in `Cargo.toml`.
    pub name: &'static str,
    /// The rooms that may name it; `any` for all.
    pub rooms: &'static [&'static str],
    /// Why it is here.
    pub reason: &'static str,
}

/// A row of the table below.
const fn row(
    name: &'static str,
    rooms: &'static [&'static str],
    reason: &'static str,
) -> Dependency {
    Dependency {
        name,
        rooms,
        reason,
    }
}

/// Every direct dependency.
pub const DEPENDENCIES: [Dependency; 32] = [
    row(
        "argon2",
        &["auth"],
        "hashes tokens (RFC 9106); nobody writes that anew",
    ),
    row(
        "caseless",
        &["scim"],
        "full case folding, independent of locale (RFC 8265)",
    ),
    row(
        "clap",
        &["cli"],
        "arguments, their help and their errors from one declaration",
    ),
    row(
        "crc32fast",
        &["store", "auth"],
        "checksums of frames and records; the check digits of tokens",
    ),
    row(
        "http-body-util",
        &["http"],
        "reads bodies up to a limit and makes bodies of bytes",
    ),
    row(
        "hyper",
        &["http"],
        "HTTP/1.1 and HTTP/2 without a framework",
    ),
    row("hyper-util", &["http"], "joins hyper to tokio"),
    row("jiff", &["base"], "prints and parses dates of RFC 3339"),
    row(
        "lz4_flex",
        &["store"],
        "compresses bases of the state, in Rust alone",
    ),
    row("percent-encoding", &["http"], "decodes URLs"),
    row(
        "quick_cache",
        &["store"],
        "the bounded cache of records in front of sled",
    ),
    row(
        "rcgen",
        &["http"],
        "makes the certificates of the local authority",
    ),
    row(
        "ring",
        &["base", "auth", "audit", "store", "http"],
        "randomness, HMAC and SHA-256; rustls uses it already",
    ),
    row(
        "rustix",
        &[
            "telemetry",
            "store",
            "http",
            "control",
            "config",
            "daemon",
            "cli",
        ],
        "locks, fallocate and host names without unsafe code",
    ),
    row("rustls", &["http"], "TLS 1.2 and 1.3 in Rust"),
    row(
        "sd-notify",
        &["daemon"],
        "tells systemd READY, RELOADING and STOPPING",
    ),
    row("serde", &["any"], "maps JSON and TOML to types"),
    row("serde_json", &["any"], "JSON, with the order of members"),
    row(
        "sled",
        &["store"],
        "the materialised state; never what makes it durable",
    ),
    row("strsim", &["config"], "the nearest name for a mistyped key"),
    row("thiserror", &["any"], "error enums without ceremony"),
    row(
        "tokio",
        &["http", "api", "control", "daemon"],
        "the asynchronous edge: sockets, timers, signals",
    ),
    row("tokio-rustls", &["http"], "joins rustls to tokio"),
    row(
        "toml",
        &["config"],
        "reads the configuration, with positions",
    ),
    row("tracing", &["any"], "log lines with fields"),
    row(
        "tracing-journald",
        &["telemetry"],
        "log fields for journald",
    ),
    row(
        "tracing-subscriber",
        &["telemetry"],
        "formats and filters log lines",
    ),
    row(
        "unicode-normalization",
        &["scim"],
        "NFC before names are compared (RFC 8265)",
    ),
    row("uuid", &["base"], "parses and prints ids"),
    row(
        "x509-parser",
        &["http"],
        "reads certificates to say what is wrong with them",
    ),
    row(
        "zeroize",
        &["base", "auth", "control"],
        "wipes secrets from memory",
    ),
    row("rollcall", &["main"], "the library, as the binary sees it"),
];

#[test]
fn every_file_begins_by_saying_what_it_holds() {
    let silent: Vec<String> = rust_files()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "no //! at the top of {silent:?}");
}

#[test]
fn no_file_is_longer_than_its_limit() {
    let long: Vec<String> = rust_files()
        .into_iter()
        .filter(|source| !source.path.ends_with("/tests.rs"))
        .map(|source| (source.text.lines().count(), source.path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines}"))
        .collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines: {long:?}");
}

#[test]
fn nothing_unfinished_stays_behind() {
    // Written in halves, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    let code = [
        concat!("dbg", "!("),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        "#[ignore",
        "#[should_panic",
    ];
    let mut found = Vec::new();
    for source in rust_files() {
        let here = |mark: &&str| {
            marks.contains(mark) && source.text.contains(*mark)
                || code.contains(mark) && source.code.contains(*mark)
        };
        found.extend(
            marks
                .iter()
                .chain(&code)
                .filter(|mark| here(mark))
                .map(|mark| format!("{}: {mark}", source.path)),
        );
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_direct_dependency_has_a_reason() {
    let mut listed: Vec<&str> = DEPENDENCIES
        .iter()
        .map(|dependency| dependency.name)
        .collect();
    listed.retain(|name| *name != "rollcall");
    let mut declared = dependencies("dependencies");
    declared.sort();
    assert_eq!(declared, listed, "Cargo.toml and the table in this file");
    for dependency in &DEPENDENCIES {
        assert!(
            !dependency.reason.is_empty() && !dependency.rooms.is_empty(),
            "{}",
            dependency.name
        );
    }
}

#[test]
fn what_is_published_says_its_licence() {
    for (file, text) in [
        (
            "LICENSE-MIT",
            "Permission is hereby granted, free of charge",
        ),
        ("LICENSE-APACHE", "Version 2.0, January 2004"),
        ("CHANGELOG.md", "## Unreleased"),
        ("README.md", "cargo test --profile ci"),
        (".ci/run", "cargo test --locked --profile ci"),
    ] {
        let found =
            fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(found.contains(text), "{file} has no {text:?}");
    }
}

#[test]
fn every_conversation_is_in_the_register_and_what_it_names_exists() {
    let fixtures = root().join("tests/fixtures");
    let register = fs::read_to_string(fixtures.join("README.md")).unwrap();
    // What stands between backticks is every second part.
    let named: Vec<&str> = register.split('`').skip(1).step_by(2).collect();
    let sources = rust_files();
    let exists = |name: &str| match name.rsplit_once("::") {
        Some((_room, test)) => {
            let test = format!("fn {test}()");
            sources.iter().any(|source| source.text.contains(&test))
        }
        None if name.ends_with(".json") => fixtures.join(name).is_file(),
        None if name.starts_with("tests/") => root().join(name).is_file(),
        None => true,
    };
    let gone: Vec<&&str> = named.iter().filter(|name| !exists(name)).collect();
    assert!(gone.is_empty(), "the register names {gone:?}");
    for folder in ["entra", "strict"] {
        for entry in fs::read_dir(fixtures.join(folder)).unwrap() {
            let file = entry.unwrap().file_name();
            let name = format!("{folder}/{}", file.to_str().unwrap());
            assert!(named.contains(&&*name), "{name} is not in the register");
        }
    }
}
