//! How replies and failures are printed, for people and for programs.

use serde_json::Value;
use serde_json::json;

use crate::base::clock::Timestamp;
use crate::cli::output::clean;
use crate::cli::output::relative;
use crate::cli::tests::Ended;
use crate::cli::tests::Shell;
use crate::cli::tests::complained;
use crate::cli::tests::printed;
use crate::cli::tests::run_in;
use crate::cli::tests::token;
use crate::control::failure::Failure;
use crate::control::failure::FailureKind;
use crate::control::protocol::Reply;
use crate::control::protocol::Request;

#[test]
fn a_list_is_a_table_with_columns_in_line() {
    let shell = Shell::replying(json!({
        "items": [
            {"name": "entra", "tenant_url": "https://a/scim/entra/v2", "profile": "entra", "users_only": false,
             "enabled": true, "created": "2026-03-09T11:00:00.000Z", "users": 1200, "groups": 7, "tokens_live": 1},
            {"name": "hr", "tenant_url": "https://a/scim/hr/v2", "profile": "strict", "users_only": true,
             "enabled": false, "created": "2026-03-10T11:59:59.500Z", "users": 0, "groups": 0, "tokens_live": 0},
        ],
        "next": "o2",
    }));
    let expected = "\
NAME   STATE     PROFILE  USERS  GROUPS  TOKENS  CREATED    TENANT URL
entra  enabled   entra    1200   7       1       1 day ago  https://a/scim/entra/v2
hr     disabled  strict   0      0       0       just now   https://a/scim/hr/v2
";
    let ended = shell.run("directory list");
    assert_eq!(ended.data, expected);
    assert_eq!(ended.talk, "there are more: add --after o2\n");
}

#[test]
fn an_empty_list_prints_no_data() {
    let shell = Shell::replying(json!({"items": [], "next": null}));
    for command in ["directory list", "token list", "user list", "group list"] {
        assert_eq!(shell.run(command), complained(0, "(none)\n"), "{command}");
    }
}

#[test]
fn json_starts_with_the_schema_and_keeps_every_member() {
    let shell = Shell::replying(json!({"items": [{"name": "x", "new": 1}], "next": null}));
    for (command, schema) in [
        ("status", "rollcall.status/1"),
        ("directory list", "rollcall.directory.list/1"),
        ("directory create a", "rollcall.directory.create/1"),
        ("directory show a", "rollcall.directory.show/1"),
        ("directory enable a", "rollcall.directory.enable/1"),
        ("directory disable a", "rollcall.directory.disable/1"),
        ("directory delete a --yes", "rollcall.directory.delete/1"),
        (
            "token create --directory a --scope read",
            "rollcall.token.create/1",
        ),
        ("token list", "rollcall.token.list/1"),
        ("token show a", "rollcall.token.show/1"),
        ("token revoke a --yes", "rollcall.token.revoke/1"),
        ("user list", "rollcall.user.list/1"),
        ("user show a", "rollcall.user.show/1"),
        ("group list", "rollcall.group.list/1"),
        ("group show a", "rollcall.group.show/1"),
        ("user history a", "rollcall.user.history/1"),
        ("group history a", "rollcall.group.history/1"),
        ("audit list", "rollcall.audit.list/1"),
    ] {
        let expected = format!(
            "{{\n  \"schema\": \"{schema}\",\n  \"items\": [\n    {{\n      \"name\": \"x\",\n      \"new\": 1\n    }}\n  ],\n  \"next\": null\n}}\n"
        );
        let ended = shell.run(&format!("{command} --output json"));
        assert_eq!(ended, printed(&expected), "{command}");
    }
}

#[test]
fn what_is_pasted_stands_on_lines_of_its_own() {
    let shell = Shell::new(|request| {
        Reply::Ok(match request {
            Request::DirectoryCreate { .. } => {
                json!({"name": "entra", "tenant_url": "https://a/scim/entra/v2"})
            }
            _ => json!({
                "id": "aaaaaaaaab",
                "token": "rc_aaaaaaaaab_secret_check",
                "tenant_url": "https://a/scim/entra/v2",
                "scope": "provision",
                "expires": null,
            }),
        })
    });
    assert_eq!(
        shell.run("directory create entra"),
        Ended {
            code: 0,
            data: "https://a/scim/entra/v2\n".to_owned(),
            talk: "Directory entra is there. Its Tenant URL:\n\
                   Next: rollcall token create --directory entra --scope provision\n"
                .to_owned(),
        }
    );
    assert_eq!(
        shell.run("token create --directory entra --scope provision"),
        Ended {
            code: 0,
            data: "Tenant URL\nhttps://a/scim/entra/v2\nSecret Token\nrc_aaaaaaaaab_secret_check\n"
                .to_owned(),
            talk: "Token aaaaaaaaab (provision) does not expire. It is shown this once; \
                   Rollcall keeps no readable copy.\n"
                .to_owned(),
        }
    );
}

#[test]
fn one_thing_is_a_list_of_fields() {
    let shell = Shell::replying(token());
    let expected = "\
Id              aaaaaaaaab
Directory       entra
Scope           provision
State           live
Label           -
Created         2026-03-01T12:00:00.000Z
Expires         -
Rotate by       2027-03-01T12:00:00.000Z
Last used       2026-03-10T11:00:00.000Z
Last used from  10.0.0.7
Revoked         -
";
    assert_eq!(shell.run("token show aaaa"), printed(expected));
}

#[test]
fn a_user_is_shown_with_all_attributes() {
    let shell = Shell::replying(json!({
        "directory": "entra", "id": "1", "revision": 3,
        "created": "2026-03-01T12:00:00.000Z", "lastModified": "2026-03-02T12:00:00.000Z",
        "resource": {"userName": "joy\u{9b}31m", "active": true},
    }));
    let expected = "\
Directory  entra
Id         1
Revision   3
Created    2026-03-01T12:00:00.000Z
Changed    2026-03-02T12:00:00.000Z
{
  \"userName\": \"joy\\u{9b}31m\",
  \"active\": true
}
";
    assert_eq!(shell.run("user show joy"), printed(expected));
}

#[test]
fn status_is_one_screen_that_ends_with_what_needs_attention() {
    let shell = Shell::replying(json!({
        "version": "0.1.0", "started": "2026-03-07T12:00:00.000Z", "uptime_s": 259_200,
        "store": {
            "writable": false, "reason": "the disk is full", "users": 2, "groups": 0,
            "log_bytes": 67_108_864, "state_bytes": 524_288, "free_bytes": 0,
        },
        "tokens": {"live": 1, "expired": 0, "revoked": 2},
        "directories": [
            {"name": "a", "tenant_url": "u", "profile": "entra", "enabled": true,
             "created": "2026-03-09T11:00:00.000Z", "users": 2, "groups": 0, "tokens_live": 1},
        ],
        "warnings": [{"code": "store.read_only", "what": "the store takes no writes", "fix": "make room"}],
    }));
    let expected = "\
rollcall 0.1.0, up 3 days (since 2026-03-07T12:00:00.000Z)
store: takes no writes: the disk is full; 2 users, 0 groups; log 64 MiB, state 512 KiB, free 0 B
tokens: 1 live, 0 expired, 2 revoked

NAME  STATE    PROFILE  USERS  GROUPS  TOKENS  CREATED    TENANT URL
a     enabled  entra    2      0       1       1 day ago  u

attention: the store takes no writes
  fix: make room
";
    assert_eq!(shell.run("status"), printed(expected));
}

#[test]
fn every_kind_of_failure_has_its_exit_code_and_its_words() {
    for (kind, code) in [
        (FailureKind::Invalid, 2),
        (FailureKind::NotFound, 3),
        (FailureKind::Conflict, 4),
        (FailureKind::Unreachable, 5),
        (FailureKind::NotPermitted, 6),
        (FailureKind::Unavailable, 1),
        (FailureKind::UnknownVerb, 1),
        (FailureKind::Protocol, 1),
        (FailureKind::Internal, 1),
    ] {
        let shell = Shell::new(move |_| {
            let failure = Failure::new(kind, "it failed".to_owned());
            Reply::Error(failure.why("a\nb\u{7}".to_owned()).fix("do it".to_owned()))
        });
        let expected = "\
error: it failed
  why:  a
        b\\u{7}
  fix:  do it
  id:   00000000000000000000000000000001
";
        assert_eq!(shell.run("status"), complained(code, expected), "{kind:?}");
    }
}

#[test]
fn a_failure_is_json_for_programs() {
    let shell = Shell::new(|_| {
        Reply::Error(Failure::new(
            FailureKind::NotFound,
            "no directory".to_owned(),
        ))
    });
    let ended = shell.run("directory show x --output json");
    let value: Value = serde_json::from_str(&ended.talk).unwrap();
    assert_eq!(
        value,
        json!({
            "schema": "rollcall.error/1",
            "error": {
                "kind": "not_found",
                "what": "no directory",
                "id": "00000000000000000000000000000001",
                "exit": 3,
            },
        })
    );
    assert_eq!((ended.code, ended.data.as_str()), (3, ""));
}

#[test]
fn help_and_version_are_data() {
    let version = format!("rollcall {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run_in(&[], "--version", "", false), printed(&version));
    assert_eq!(run_in(&[], "version", "", false), printed(&version));
    let help = run_in(&[], "--help", "", false);
    assert_eq!((help.code, help.talk.as_str()), (0, ""));
    assert!(help.data.contains("Exit codes: 0 ok"));
    let json = run_in(&[], "version --output json", "", false);
    let value: Value = serde_json::from_str(&json.data).unwrap();
    assert_eq!(value["schema"], "rollcall.version/1");
}

#[test]
fn times_are_told_relative_to_now() {
    let now = Timestamp::parse("2026-03-10T12:00:00Z").unwrap();
    for (text, expected) in [
        ("2026-03-10T12:00:00.000Z", "just now"),
        ("2026-03-10T11:59:58.000Z", "2 seconds ago"),
        ("2026-03-10T11:59:00.000Z", "1 minute ago"),
        ("2026-03-10T09:30:00.000Z", "2 hours ago"),
        ("2026-01-01T00:00:00.000Z", "68 days ago"),
        ("2026-03-12T12:00:00.000Z", "in 2 days"),
        ("soon", "soon"),
    ] {
        assert_eq!(relative(text, now), expected, "{text}");
    }
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    for (text, expected) in [
        ("plain ä 漢", "plain ä 漢"),
        ("\u{1b}[31mred", "\\u{1b}[31mred"),
        ("a\tb\r\nc\u{0}", "a\\tb\\r\\nc\\u{0}"),
        ("\u{9b}x\u{7f}", "\\u{9b}x\\u{7f}"),
        ("exe.\u{202e}gpj", "exe.\\u{202e}gpj"),
    ] {
        assert_eq!(clean(text), expected, "{text:?}");
    }
}
