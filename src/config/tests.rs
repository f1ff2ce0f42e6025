//! What the configuration says and means, with real files in temporary folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Config;
use crate::config::LogLevel;
use crate::config::TlsMode;
use crate::config::error::Origin;
use crate::config::error::Problems;
use crate::config::load::Sources;
use crate::config::load::load;

/// The manual that ships.
const MANUAL: &str = include_str!("../../config/rollcall.toml");

/// A folder with the given files, and the sources that name its `rollcall.toml`.
fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let sources = Sources {
        file: Some(folder.path().join("rollcall.toml")),
        hostname: "scim.corp.example".to_owned(),
        ..Sources::default()
    };
    (folder, sources)
}

/// Reads one file and nothing else.
fn read(text: &str) -> Result<Config, Problems> {
    let (_folder, sources) = folder(&[("rollcall.toml", text)]);
    load(&sources)
}

/// The problems in one file, without the folder's name.
fn problems(text: &str) -> Vec<String> {
    let (folder, sources) = folder(&[("rollcall.toml", text)]);
    let prefix = format!("{}/", folder.path().display());
    let Problems(problems) = load(&sources).unwrap_err();
    problems
        .iter()
        .map(|problem| problem.to_string().replace(&prefix, ""))
        .collect()
}

/// The value and the origin of a key.
fn entry(config: &Config, key: &str) -> (Option<String>, Origin) {
    let entry = config.entries().iter().find(|entry| entry.key == key);
    let entry = entry.unwrap();
    (entry.value.clone(), entry.origin.clone())
}

/// The manual with every key's line made live.
fn uncommented() -> String {
    MANUAL
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_assignment(rest) => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Whether a line of the manual gives a key a value.
fn is_assignment(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| {
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    })
}

#[test]
fn the_manual_changes_nothing() {
    assert_eq!(read(MANUAL).unwrap(), Config::built_in("scim.corp.example"));
}

#[test]
fn the_manual_names_every_key_with_its_default() {
    let live = read(&uncommented()).unwrap();
    let built_in = Config::built_in("scim.corp.example");
    for (live, built_in) in live.entries().iter().zip(built_in.entries()) {
        assert_ne!(live.origin, Origin::Default, "{} is missing", live.key);
        if built_in.value.is_some() {
            assert_eq!(live.value, built_in.value, "{}", live.key);
        }
    }
}

#[test]
fn the_manual_explains_each_key_in_a_paragraph_of_its_own() {
    let mut explained = BTreeSet::new();
    let mut section = "";
    let mut comment_before = false;
    for line in MANUAL.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let rest = line.strip_prefix("# ").unwrap_or_default();
        if is_assignment(rest) {
            let (key, _) = rest.split_once(" = ").unwrap();
            assert!(comment_before, "{section}.{key} is not explained");
            assert!(explained.insert(format!("{section}.{key}")), "{key}");
            comment_before = false;
        } else {
            comment_before = line.starts_with('#');
        }
    }
    let built_in = Config::built_in("localhost");
    let known: BTreeSet<String> = built_in
        .entries()
        .iter()
        .map(|entry| entry.key.to_owned())
        .collect();
    assert_eq!(explained, known);
}

#[test]
fn all_problems_are_told_at_once_from_top_to_bottom() {
    let text = r#"
[server]
state_dir = "rollcall"
public_ur = "https://a"
trusted_proxies = ["10.0.0.0/8", "10.0.0.1/8"]

[scmi]
listen = []

[scim]
listen = [443]
rate_limit = "fast"

[tls]
mode = "file"
acme.contact = "x"
key = 7

[log]
levle = "info"
verbosity = 3

[storage]
cache = 64
segment = "64MB"
reserve = "1PiB"

[limits]
page_max = 0
json_depth = "32"
idle_timeout = "1000h"
"#;
    let expected = [
        "rollcall.toml:3:13: server.state_dir: expected a path that starts with \"/\", found \"rollcall\"",
        "rollcall.toml:4:1: unknown key server.public_ur; did you mean server.public_url?",
        "rollcall.toml:5:19: server.trusted_proxies: element 2: expected a network whose bits after the prefix are zero, such as \"10.0.0.0/8\", found \"10.0.0.1/8\"",
        "rollcall.toml:7:2: unknown section [scmi]; did you mean [scim]?",
        "rollcall.toml:11:10: scim.listen: element 1: expected an address with a port such as \"0.0.0.0:443\" or \"[::]:443\", found the integer 443",
        "rollcall.toml:12:14: scim.rate_limit: expected \"off\" or a rate such as \"100/s\" (units s, m), found \"fast\"",
        "rollcall.toml:15:8: tls.mode: expected \"files\" or \"local\" or \"acme\" or \"off\", found \"file\"",
        "rollcall.toml:16:1: unknown key tls.acme; did you mean tls.mode?",
        "rollcall.toml:17:7: tls.key: expected a path that starts with \"/\", found the integer 7",
        "rollcall.toml:20:1: unknown key log.levle; did you mean log.level?",
        "rollcall.toml:21:1: unknown key log.verbosity; there are log.level, log.format",
        "rollcall.toml:24:9: storage.cache: expected a size such as \"64MiB\" (units B, KiB, MiB, GiB, TiB), found the integer 64",
        "rollcall.toml:25:11: storage.segment: expected a size such as \"64MiB\" (units B, KiB, MiB, GiB, TiB), found \"64MB\"",
        "rollcall.toml:26:11: storage.reserve: expected a size such as \"64MiB\" (units B, KiB, MiB, GiB, TiB), found \"1PiB\"",
        "rollcall.toml:29:12: limits.page_max: expected a whole number from 1 to 10000, found the integer 0",
        "rollcall.toml:30:14: limits.json_depth: expected a whole number from 8 to 128, found \"32\"",
        "rollcall.toml:31:16: limits.idle_timeout: expected a duration from 1s to 1h, found \"1000h\"",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn text_that_is_no_toml_is_told_with_its_place() {
    for (text, expected) in [
        ("[scim\n", "rollcall.toml:1:6: unclosed table, expected `]`"),
        (
            "[tls]\nmode = \"off\n",
            "rollcall.toml:2:12: invalid basic string, expected `\"`",
        ),
        (
            "[tls]\nmode = \"local\"\nmode = \"local\"\n",
            "rollcall.toml:3:1: duplicate key",
        ),
        (
            "scim = 5\n",
            "rollcall.toml:1:1: scim is a section: write [scim] and its keys below it",
        ),
        (
            "[ldap]\n",
            "rollcall.toml:1:2: unknown section [ldap]; there are server, scim, tls, console, metrics, log, storage, history, audit, directory_defaults, limits",
        ),
        (
            "[server]\nlisten = \"\"\n",
            "rollcall.toml:2:1: unknown key server.listen; did you mean scim.listen?",
        ),
    ] {
        assert_eq!(problems(text), [expected], "{text:?}");
    }
}

#[test]
fn rules_across_keys_name_the_key_to_change() {
    for (text, expected) in [
        (
            "[tls]\nmode = \"files\"\nchain = \"/c\"",
            "rollcall.toml:2:8: tls.mode: \"files\" needs tls.chain and tls.key; not set: tls.key",
        ),
        (
            "[tls]\nmode = \"files\"",
            "rollcall.toml:2:8: tls.mode: \"files\" needs tls.chain and tls.key; not set: tls.chain, tls.key",
        ),
        (
            "[tls]\nmode = \"acme\"",
            "rollcall.toml:2:8: tls.mode: \"acme\" is not available in this version; use \"files\" with a certificate that another program renews, or \"local\"",
        ),
        (
            "[tls]\nmode = \"off\"",
            "rollcall.toml:2:8: tls.mode: \"off\" would let 0.0.0.0:443 take tokens in clear text; listen on 127.0.0.1 only (scim.listen), or name the proxy that speaks TLS (server.trusted_proxies)",
        ),
        (
            "server.public_url = \"http://a\"",
            "rollcall.toml:1:21: server.public_url: \"http://a\" must start with https:// because the listener speaks TLS",
        ),
        (
            "server.admin_socket = \"/run/read.sock\"",
            "rollcall.toml:1:23: server.admin_socket: expected the path of a file that is not called read.sock, the name of the socket for those who may only read",
        ),
        (
            "[storage]\nfree_hard = \"2GiB\"",
            "rollcall.toml:2:13: storage.free_soft: 1GiB is less than storage.free_hard (2GiB); it must be at least as much",
        ),
        (
            "[limits]\npage_max = 50",
            "rollcall.toml:2:12: limits.page_max: 50 is less than limits.page_default (100); it must be at least as much",
        ),
        (
            "[limits]\nurl = \"32KiB\"",
            "rollcall.toml:2:7: limits.header: 16KiB is less than limits.url (32KiB); it must be at least as much",
        ),
    ] {
        assert_eq!(problems(text), [expected], "{text:?}");
    }
}

#[test]
fn tls_may_be_off_where_nobody_listens_in() {
    for (text, url) in [
        (
            "tls.mode = \"off\"\nscim.listen = [\"127.0.0.1:8080\", \"[::1]:8080\"]",
            "http://localhost:8080",
        ),
        (
            "tls.mode = \"off\"\nscim.listen = [\"0.0.0.0:8080\"]\nserver.trusted_proxies = [\"10.0.0.7\"]",
            "https://scim.corp.example",
        ),
    ] {
        let config = read(text).unwrap();
        assert_eq!(config.tls, TlsMode::Off, "{text}");
        assert_eq!(config.server.public_url.as_str(), url, "{text}");
    }
}

#[test]
fn the_public_url_follows_the_listener_unless_it_is_given() {
    for (text, url) in [
        ("", "https://scim.corp.example"),
        (
            "scim.listen = [\"0.0.0.0:8443\"]",
            "https://scim.corp.example:8443",
        ),
        ("scim.listen = [\"[::1]:443\"]", "https://localhost"),
        (
            "server.public_url = \"https://a.example/\"",
            "https://a.example",
        ),
    ] {
        let config = read(text).unwrap();
        assert_eq!(config.server.public_url.as_str(), url, "{text}");
    }
}

#[test]
fn later_sources_win_and_are_remembered() {
    let (folder, mut sources) = folder(&[
        (
            "rollcall.toml",
            "[log]\nlevel = \"error\"\n[limits]\npage_max = 200\nidle_timeout = \"60s\"\n[storage]\ncache = \"32MiB\"\n[scim]\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n",
        ),
        (
            "conf.d/50-setup.toml",
            "limits.page_max = 300\nlimits.idle_timeout = \"50s\"\nstorage.cache = \"16MiB\"\n",
        ),
        ("conf.d/60-mine.toml", "limits.page_max = 400\n"),
        ("conf.d/70-not.txt", "limits.page_max = 9\n"),
    ]);
    sources.environment = vec![
        ("ROLLCALL_LIMITS__IDLE_TIMEOUT".to_owned(), "40s".to_owned()),
        ("ROLLCALL_STORAGE__CACHE".to_owned(), "8MiB".to_owned()),
        (
            "ROLLCALL_SCIM__LISTEN".to_owned(),
            "127.0.0.1:3, [::1]:3".to_owned(),
        ),
        ("ROLLCALL_SOCKET".to_owned(), "/tmp/x".to_owned()),
        ("PATH".to_owned(), "/bin".to_owned()),
    ];
    sources.flags = vec!["storage.cache=4MiB".to_owned()];
    let config = load(&sources).unwrap();
    assert_eq!(config.log.level, LogLevel::Error);
    assert_eq!(config.limits.page_max, 400);
    assert_eq!(config.limits.idle_timeout, Duration::from_secs(40));
    assert_eq!(config.storage.cache_bytes, 4 << 20);
    let file = |name: &str, line, column| Origin::File {
        path: folder.path().join(name),
        line,
        column,
    };
    let environment = |name: &str| Origin::Environment(name.to_owned());
    for (key, value, origin) in [
        ("log.level", "\"error\"", file("rollcall.toml", 2, 9)),
        ("limits.page_max", "400", file("conf.d/60-mine.toml", 1, 19)),
        (
            "limits.idle_timeout",
            "\"40s\"",
            environment("ROLLCALL_LIMITS__IDLE_TIMEOUT"),
        ),
        (
            "scim.listen",
            "[\"127.0.0.1:3\", \"[::1]:3\"]",
            environment("ROLLCALL_SCIM__LISTEN"),
        ),
        (
            "storage.cache",
            "\"4MiB\"",
            Origin::Flag("storage.cache".to_owned()),
        ),
        ("log.format", "\"auto\"", Origin::Default),
    ] {
        assert_eq!(
            entry(&config, key),
            (Some(value.to_owned()), origin),
            "{key}"
        );
    }
}

#[test]
fn the_environment_and_flags_are_checked_like_the_file() {
    let (_folder, mut sources) = folder(&[("rollcall.toml", "")]);
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    sources.environment = vec![
        variable("ROLLCALL_SCIM__LISTN", "x"),
        variable("ROLLCALL_SCIM_LISTEN", "127.0.0.1:1"),
        variable("ROLLCALL_LIMITS__PAGE_MAX", "many"),
        variable("ROLLCALL_GUARD__MODE", "x"),
        variable("ROLLCALL_log__level", "info"),
    ];
    sources.flags = vec![
        "tls.mode".to_owned(),
        "tls.moed=off".to_owned(),
        "listen=x".to_owned(),
        "scim.listen=".to_owned(),
    ];
    let Problems(problems) = load(&sources).unwrap_err();
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "ROLLCALL_GUARD__MODE: unknown key",
            "ROLLCALL_LIMITS__PAGE_MAX: limits.page_max: expected a whole number from 1 to 10000, found \"many\"",
            "ROLLCALL_SCIM_LISTEN: has no effect; did you mean ROLLCALL_SCIM__LISTEN?",
            "ROLLCALL_SCIM__LISTN: unknown key; did you mean ROLLCALL_SCIM__LISTEN?",
            "ROLLCALL_log__level: unknown key; did you mean ROLLCALL_LOG__LEVEL?",
            "--set tls.mode: expected section.key=value",
            "--set tls.moed: unknown key tls.moed; did you mean tls.mode?",
            "--set listen: unknown key listen; keys are written section.key, such as scim.listen",
            "--set scim.listen: scim.listen: expected at least one address, found an empty list",
        ]
    );
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let sources = Sources {
        file: Some(PathBuf::from("/nowhere/rollcall.toml")),
        ..Sources::default()
    };
    assert_eq!(
        load(&sources).unwrap_err().to_string(),
        "/nowhere/rollcall.toml:1:1: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn what_is_set_and_has_no_effect_is_said() {
    let text = "console.listen = \"\"\nmetrics.listen = \"127.0.0.1:9464\"\nscim.rate_limit = \"100/s\"\ntls.key = \"/k\"\n";
    let (folder, sources) = folder(&[("rollcall.toml", text)]);
    let config = load(&sources).unwrap();
    let prefix = format!("{}/", folder.path().display());
    let notices: Vec<String> = config
        .notices()
        .iter()
        .map(|notice| notice.replace(&prefix, ""))
        .collect();
    assert_eq!(
        notices,
        [
            "scim.rate_limit has no effect: this version has no limit on the rate of requests (rollcall.toml:3:19)",
            "tls.key has no effect: tls.mode is not \"files\" (rollcall.toml:4:11)",
            "console.listen has no effect: this version has no web console (rollcall.toml:1:18)",
        ]
    );
    assert!(Config::built_in("a").notices().is_empty());
}

#[test]
fn the_read_socket_lies_beside_the_other() {
    let config = Config::built_in("a");
    assert_eq!(
        config.server.read_socket(),
        Path::new("/run/rollcall/read.sock")
    );
}
