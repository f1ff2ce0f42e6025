//! What commands ask for, what they ask the person first, and what they refuse to ask.

use clap::CommandFactory;
use serde_json::Value;
use serde_json::json;

use crate::cli::args::Arguments;
use crate::cli::tests::Ended;
use crate::cli::tests::Shell;
use crate::cli::tests::complained;
use crate::cli::tests::run_in;
use crate::cli::tests::token;
use crate::control::protocol::Reply;
use crate::control::protocol::Request;

#[test]
fn the_arguments_are_consistent() {
    Arguments::command().debug_assert();
}

/// Checks that a command sends this request, in the name of the person at the keyboard.
fn asks_for(shell: &Shell, command: &str, mut expected: Value) {
    assert_eq!(shell.run(command).code, 0, "{command}");
    expected["by"] = json!("joy");
    assert_eq!(shell.asked(), [expected], "{command}");
}

#[test]
fn commands_ask_for_what_was_typed() {
    let shell = Shell::replying(json!({"items": [], "next": null}));
    for (command, expected) in [
        ("status", json!({"verb": "status"})),
        (
            "directory create hr --users-only --profile strict",
            json!({"verb": "directory.create", "name": "hr", "users_only": true, "profile": "strict"}),
        ),
        (
            "directory create entra",
            json!({"verb": "directory.create", "name": "entra", "users_only": false, "profile": "entra"}),
        ),
        ("directory list", json!({"verb": "directory.list"})),
        (
            "directory show a",
            json!({"verb": "directory.show", "name": "a"}),
        ),
        (
            "directory enable a",
            json!({"verb": "directory.enable", "name": "a"}),
        ),
        (
            "directory disable a",
            json!({"verb": "directory.disable", "name": "a"}),
        ),
        (
            "directory delete a --yes",
            json!({"verb": "directory.delete", "name": "a"}),
        ),
    ] {
        asks_for(&shell, command, expected);
    }
}

#[test]
fn commands_about_tokens_users_and_groups_ask_for_what_was_typed() {
    let shell = Shell::replying(json!({"items": [], "next": null}));
    for (command, expected) in [
        (
            "token create --directory entra --scope read --label crm --expires 90d",
            json!({"verb": "token.create", "directory": "entra", "scope": "read", "label": "crm", "expires_after_s": 7_776_000}),
        ),
        (
            "token create --directory entra --scope provision --expires never",
            json!({"verb": "token.create", "directory": "entra", "scope": "provision", "label": null, "expires_after_s": null}),
        ),
        (
            "token list",
            json!({"verb": "token.list", "directory": null}),
        ),
        (
            "token list --directory entra --output json",
            json!({"verb": "token.list", "directory": "entra"}),
        ),
        (
            "token show aaaa",
            json!({"verb": "token.show", "id": "aaaa"}),
        ),
        (
            "token revoke aaaa --yes --reason lost",
            json!({"verb": "token.revoke", "id": "aaaa", "reason": "lost"}),
        ),
        (
            "user list --directory entra --filter active --limit 5 --after o5",
            json!({"verb": "user.list", "directory": "entra", "filter": "active", "limit": 5, "after": "o5"}),
        ),
        (
            "user show joy",
            json!({"verb": "user.show", "directory": null, "user": "joy"}),
        ),
        (
            "group list",
            json!({"verb": "group.list", "directory": null, "filter": null, "limit": null, "after": null}),
        ),
        (
            "group show staff --directory entra",
            json!({"verb": "group.show", "directory": "entra", "group": "staff"}),
        ),
    ] {
        asks_for(&shell, command, expected);
    }
}

#[test]
fn nobody_there_is_exit_code_5() {
    let ended = run_in(&[], "status --socket /nowhere/admin.sock", "", false);
    let expected = "\
error: rollcall cannot be reached at /nowhere/admin.sock
  why:  there is no such socket, so it is not running, or elsewhere
  fix:  start it (systemctl start rollcall), or name its socket with --socket PATH or ROLLCALL_SOCKET
";
    assert_eq!(ended, complained(5, expected));
}

#[test]
fn destructive_verbs_need_yes_where_nobody_can_be_asked() {
    let shell = Shell::replying(token());
    for (command, what) in [
        ("directory delete entra", "deleting directory entra"),
        ("token revoke aaaa", "revoking token aaaa"),
    ] {
        let expected = format!(
            "error: {what} was not confirmed\n  why:  it cannot be undone, and standard input is not a terminal to ask at\n  fix:  add --yes\n"
        );
        assert_eq!(shell.run(command), complained(2, &expected), "{command}");
        assert!(shell.asked().is_empty(), "{command}");
    }
}

#[test]
fn destructive_verbs_ask_for_the_name_at_a_terminal() {
    let shell = Shell::new(|request| {
        Reply::Ok(match request {
            Request::DirectoryShow { .. } => {
                json!({"name": "entra", "users": 5, "groups": 2, "tokens_live": 1})
            }
            _ => json!({"name": "entra", "deleted": true}),
        })
    });
    let question = "This removes directory entra with 5 users, 2 groups and 1 live tokens. \
                    It cannot be undone.\nType entra to go on: ";
    for (typed, code, data, talk, verbs) in [
        (
            "entra\n",
            0,
            "directory entra is deleted\n",
            "",
            vec!["directory.show", "directory.delete"],
        ),
        (
            "y\n",
            1,
            "",
            "error: nothing was changed\n  why:  what was typed is not entra\n",
            vec!["directory.show"],
        ),
        (
            "",
            1,
            "",
            "error: nothing was changed\n  why:  what was typed is not entra\n",
            vec!["directory.show"],
        ),
    ] {
        let ended = shell.typing("directory delete entra", typed, true);
        let expected = Ended {
            code,
            data: data.to_owned(),
            talk: format!("{question}{talk}"),
        };
        assert_eq!(ended, expected, "{typed:?}");
        let asked = shell.asked();
        let asked: Vec<&str> = asked
            .iter()
            .filter_map(|one| one["verb"].as_str())
            .collect();
        assert_eq!(asked, verbs, "{typed:?}");
    }
}

#[test]
fn what_is_revoked_is_what_was_shown() {
    let shell = Shell::new(|request| {
        Reply::Ok(match request {
            Request::TokenShow { .. } => token(),
            _ => json!({"id": "aaaaaaaaab", "changed": true}),
        })
    });
    let ended = shell.typing("token revoke aaaa", "aaaaaaaaab\n", true);
    assert_eq!(ended.code, 0);
    assert!(ended.data.ends_with("token aaaaaaaaab is revoked\n"));
    assert_eq!(shell.asked().last().unwrap()["id"], "aaaaaaaaab");
    assert_eq!(shell.typing("token revoke aaaa", "aaaa\n", true).code, 1);
}

#[test]
fn a_token_is_verified_from_standard_input() {
    let shell = Shell::new(|request| {
        let Request::TokenVerify { token: text } = request else {
            return Reply::Ok(Value::Null);
        };
        Reply::Ok(match text.expose() {
            "rc_good" => json!({"valid": true, "id": "aaaaaaaaab", "token": token()}),
            _ => json!({
                "valid": false, "id": null, "token": null,
                "reason": "auth.truncated", "why": "it is cut off", "fix": "copy all of it",
            }),
        })
    });
    let good = shell.typing("token verify", "  rc_good \n", false);
    assert_eq!(good.code, 0);
    assert!(
        good.data
            .starts_with("the token is accepted\nId              aaaaaaaaab\n")
    );
    let bad = shell.typing("token verify", "rc_goo", false);
    let refused = "\
the token is refused
  reason: auth.truncated
  why:    it is cut off
  fix:    copy all of it
";
    assert_eq!(
        (bad.code, bad.data.as_str(), bad.talk.as_str()),
        (7, refused, "")
    );
    assert_eq!(shell.asked().len(), 2);
    assert_eq!(shell.typing("token verify", "\n", false).code, 2);
    assert!(shell.asked().is_empty());
}

#[test]
fn bad_arguments_are_exit_code_2_and_reach_nobody() {
    let shell = Shell::replying(Value::Null);
    for command in [
        "",
        "frobnicate",
        "directory",
        "directory create",
        "directory create a --profile lax",
        "token create --directory a",
        "token create --directory a --scope admin",
        "token create --directory a --scope read --expires soon",
        "token create --directory a --scope read --expires 10ms",
        "token verify rc_secret",
        "user list --limit 0",
        "user list --limit 501",
        "status --output xml",
        "config check a --config b",
    ] {
        let ended = shell.run(command);
        assert_eq!((ended.code, ended.data.as_str()), (2, ""), "{command}");
        assert!(!ended.talk.is_empty(), "{command}");
    }
    assert!(shell.asked().is_empty());
}

#[test]
fn commands_about_what_happened_ask_for_what_was_typed() {
    let shell = Shell::replying(json!({"items": [], "next": null, "sound": true}));
    for (command, expected) in [
        (
            "user history joy --directory entra --limit 5 --before 7",
            json!({"verb": "user.history", "directory": "entra", "user": "joy", "limit": 5, "before": 7}),
        ),
        (
            "group history staff",
            json!({"verb": "group.history", "directory": null, "group": "staff", "limit": null, "before": null}),
        ),
        (
            "audit list --limit 500",
            json!({"verb": "audit.list", "limit": 500, "before": null}),
        ),
        ("audit verify", json!({"verb": "audit.verify"})),
    ] {
        asks_for(&shell, command, expected);
    }
}
