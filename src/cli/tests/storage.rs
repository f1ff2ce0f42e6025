//! How the store is printed, and how `--repair` asks.

use serde_json::Value;
use serde_json::json;

use crate::cli::tests::Ended;
use crate::cli::tests::Shell;
use crate::cli::tests::complained;
use crate::cli::tests::printed;
use crate::control::protocol::Reply;
use crate::control::protocol::Request;

/// Bytes on disk.
fn bytes() -> Value {
    json!({"log": 67_108_864, "state": 30_000_000, "base": 5000, "history": 4096, "audit": 100, "snapshot": 2000,
           "reserve": 0, "other_states": 7})
}

/// What a store with everything answers.
fn status() -> Value {
    json!({
        "writable": true, "reason": null, "seq": 90, "applied_seq": 89, "checkpoint_seq": 80, "users": 1200, "groups": 12, "memberships": 340,
        "base": {"seq": 70, "at": "2026-03-10T10:00:00.000Z", "cells": 1214, "bytes": 120_000},
        "snapshot": {"seq": 60, "at": "2026-03-09T12:00:00.000Z", "bytes": 30_000},
        "verification": {"at": "2026-03-10T11:59:00.000Z", "seq": 80, "cells": 1215, "damaged": 2, "surplus": 1, "agrees": true},
        "rebuilt": "2026-03-10T11:00:00.000Z", "bytes": bytes(), "live_bytes": 12_000_000, "state_percent": 250,
        "free_bytes": 1_000_000_000_u64,
        "under_way": {"chore": "base", "what": "writing a base", "cells": 500, "of": 1212},
        "failed": [{"chore": "rebuild", "what": "rebuilding the state", "why": "no room"}],
        "damaged_reads": 5, "repaired": 3, "repairing": 1, "lost": 1, "lost_names": ["User 7 of directory 1"],
        "start": ["replayed 3 transactions from the commit log"],
    })
}

#[test]
fn the_store_is_shown_in_detail() {
    let shell = Shell::replying(status());
    let expected = "\
Writes          taken
Transactions    90 committed, 89 in the state, 80 synced there
Stored          1200 users, 12 groups, 340 memberships
Commit log      64 MiB
State           28 MiB, 2.5 times the 11 MiB that it holds
Base            117 KiB, transaction 70, 1214 cells, 2 hours ago
Index snapshot  29 KiB, transaction 60, 1 day ago
Histories       4096 B
Audit           100 B
Reserve         0 B
Other states    7 B
Free            953 MiB
State verified  1 minute ago: 1215 cells, 2 damaged, 1 surplus
State rebuilt   1 hour ago
Damage          5 reads found some; 3 copies repaired, 1 being repaired, 1 lost
Under way       writing a base: 500 cells of about 1212
Last start      see below
at the start: replayed 3 transactions from the commit log
rebuilding the state failed: no room
lost: User 7 of directory 1
";
    assert_eq!(shell.run("storage status"), printed(expected));
    let mut bare = status();
    for name in [
        "base",
        "snapshot",
        "verification",
        "rebuilt",
        "under_way",
        "state_percent",
    ] {
        bare[name] = Value::Null;
    }
    for name in ["failed", "lost_names", "start"] {
        bare[name] = json!([]);
    }
    (bare["writable"], bare["reason"]) = (json!(false), json!("the disk is nearly full"));
    let shell = Shell::replying(bare);
    let ended = shell.run("storage status");
    for line in [
        "Writes          refused: the disk is nearly full",
        "State           28 MiB",
        "Base            none",
        "Index snapshot  none",
        "State verified  not since the start",
        "State rebuilt   not since the start",
        "Under way       nothing",
        "Last start      nothing out of the ordinary",
    ] {
        assert!(
            ended.data.lines().any(|said| said == line),
            "{line}: {}",
            ended.data
        );
    }
    let json: Value =
        serde_json::from_str(&shell.run("storage status --output json").data).unwrap();
    assert_eq!(json["schema"], "rollcall.storage.status/1");
}

#[test]
fn compacting_shows_before_and_after() {
    let mut after = bytes();
    (after["log"], after["state"]) = (json!(1_048_576), json!(20_000));
    let done =
        json!({"base": {}, "rebuilt": null, "before": bytes(), "after": after, "free_bytes": 1});
    let shell = Shell::replying(done);
    let expected = "\
PART            BEFORE  AFTER
commit log      64 MiB  1024 KiB
state           28 MiB  19 KiB
base            5000 B  5000 B
histories       4096 B  4096 B
audit           100 B   100 B
index snapshot  2000 B  2000 B
reserve         0 B     0 B
other states    7 B     7 B
";
    assert_eq!(shell.run("storage compact"), printed(expected));
    shell.run("storage compact --base-only --output json");
    let asked = shell.asked();
    let base_only: Vec<_> = asked.iter().map(|one| one["base_only"].clone()).collect();
    assert_eq!(base_only, [json!(false), json!(true)]);
}

/// What a verification answers that found this much which `--repair` mends.
fn verified(repair: bool, repairable: u64) -> Value {
    let finding = |code: &str, id: Option<&str>, what: &str, repaired| {
        json!({"code": code, "directory": id.map(|_| "entra"), "kind": id.map(|_| "User"), "id": id, "what": what,
               "fix": "do it", "repairable": false, "repaired": repaired})
    };
    json!({
        "sound": repairable == 0, "repair": repair, "cells": 9, "users": 5, "groups": 2,
        "found": 2, "repaired": 1, "repairable": repairable,
        "findings": [
            finding("state.damaged", None, "2 stored copies were damaged", true),
            finding("index.keys", Some("7"), "the indexes do not fit", false),
        ],
        "noted": 1,
        "notes": [finding("reference.dangling", Some("8"), "manager.value is \"x\u{1b}\"", false)],
    })
}

/// What is printed of it.
const VERIFIED: &str = "\
state: 2 stored copies were damaged
  repaired: do it
user 7 of entra: the indexes do not fit
  fix: do it
note: user 8 of entra: manager.value is \"x\\u{1b}\", and nothing here has that id
looked at 9 cells of the state, 5 users and 2 groups: 2 findings, 1 of them repaired; 1 notes
";

#[test]
fn what_is_wrong_is_named_and_ends_with_seven() {
    let shell = Shell::replying(verified(false, 1));
    let ended = Ended {
        code: 7,
        data: VERIFIED.to_owned(),
        talk: "1 of them are repaired by: rollcall storage verify --repair\n".to_owned(),
    };
    assert_eq!(shell.run("storage verify"), ended);
    let ended = shell.run("storage verify --output json");
    let json: Value = serde_json::from_str(&ended.data).unwrap();
    assert_eq!(
        (ended.code, &json["schema"]),
        (7, &json!("rollcall.storage.verify/1"))
    );
    let shell = Shell::replying(verified(true, 0));
    assert_eq!(
        shell.run("storage verify --repair --yes"),
        printed(VERIFIED)
    );
    assert_eq!(shell.asked()[0]["repair"], true);
    assert_eq!(shell.run("storage verify --yes").code, 2);
}

#[test]
fn mending_is_planned_and_asked_for() {
    let shell = Shell::new(|request| {
        let repair = *request == Request::StorageVerify { repair: true };
        Reply::Ok(verified(repair, if repair { 0 } else { 1 }))
    });
    let refused = "\
error: mending what is wrong was not confirmed
  why:  it cannot be undone, and standard input is not a terminal to ask at
  fix:  add --yes
";
    assert_eq!(shell.run("storage verify --repair"), complained(2, refused));
    assert!(shell.asked().is_empty());
    let talk = "1 of them are repaired by: rollcall storage verify --repair\n\
                This stores 1 users or groups again, with the right keys.\nType repair to go on: ";
    let twice = format!("{VERIFIED}{VERIFIED}");
    let no = "error: nothing was changed\n  why:  what was typed is not repair\n";
    for (typed, code, data, more, asked) in [
        ("repair\n", 0, twice.as_str(), "", vec![false, true]),
        ("y\n", 1, VERIFIED, no, vec![false]),
    ] {
        let ended = shell.typing("storage verify --repair", typed, true);
        let talk = format!("{talk}{more}");
        let data = data.to_owned();
        assert_eq!(ended, Ended { code, data, talk }, "{typed:?}");
        let repairs: Vec<_> = shell
            .asked()
            .iter()
            .map(|one| one["repair"] == true)
            .collect();
        assert_eq!(repairs, asked, "{typed:?}");
    }
    let shell = Shell::replying(verified(false, 0));
    assert_eq!(
        shell.typing("storage verify --repair", "", true),
        printed(VERIFIED)
    );
}
