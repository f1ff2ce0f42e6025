//! How what happened is printed, and what the check of it says.

use serde_json::json;

use crate::cli::tests::Ended;
use crate::cli::tests::Shell;

#[test]
fn a_story_is_a_table_newest_first() {
    let shell = Shell::replying(json!({
        "items": [
            {"number": 9, "at": "2026-03-10T11:00:00.000Z", "directory": "entra", "id": "i", "action": "deleted", "revision": 2,
             "actor": {"kind": "operator", "stated_name": "joy", "root": true}, "request": null, "changes": {},
             "resource": {"userName": "mara", "title": "x"}},
            {"number": 7, "at": "2026-03-09T11:00:00.000Z", "directory": "entra", "id": "i", "action": "updated", "revision": 2,
             "actor": {"kind": "token", "id": "aaaaaaaaab", "label": "Entra"}, "request": "0f",
             "changes": {"active": {"old": true, "new": false}, "title": {"new": "a".repeat(60)}, "nickName": {"old": "M\u{1b}"}}},
            {"number": 5, "at": "2026-03-08T11:00:00.000Z", "directory": "entra", "id": "i", "action": "updated", "revision": 2,
             "actor": {"kind": "system"}, "request": null, "changes": null},
            {"number": 3, "at": "2026-03-07T11:00:00.000Z", "directory": "entra", "id": "i", "action": "created", "revision": 1,
             "actor": {"kind": "token", "id": "aaaaaaaaab", "label": null}, "request": "0e", "changes": {}},
            {"number": 2, "at": "2026-03-06T11:00:00.000Z", "directory": "entra", "id": "i", "action": "updated", "revision": 1,
             "actor": {"kind": "system"}, "request": null,
             "changes": {"members": {"added": ["a", "b", "c", "d"], "removed": ["e"]}, "note": "so it is"}},
            {"number": 1, "at": "2026-03-05T11:00:00.000Z", "directory": "entra", "id": "i", "action": "created", "revision": 1,
             "actor": {"kind": "system"}, "request": null,
             "changes": {"recreates": {"id": "o", "deleted": "2026-03-01T11:00:00.000Z"}, "members": {"added": ["a"], "removed": []}}},
        ],
        "next": "3",
    }));
    let long = format!("\"{}…", "a".repeat(39));
    let expected = format!(
        "\
WHEN                      WHAT     WHO                       REQUEST  CHANGES
2026-03-10T11:00:00.000Z  deleted  root (stated: joy)        -        was \"mara\"
2026-03-09T11:00:00.000Z  updated  token aaaaaaaaab (Entra)  0f       active: true → false; title: - → {long}; nickName: \"M\\u001b\" → -
2026-03-08T11:00:00.000Z  updated  system                    -        (erased)
2026-03-07T11:00:00.000Z  created  token aaaaaaaaab          0e       -
2026-03-06T11:00:00.000Z  updated  system                    -        members: added a, b, c and 1 more, removed e; so it is
2026-03-05T11:00:00.000Z  created  system                    -        was o before, deleted 2026-03-01T11:00:00.000Z; members: added a
"
    );
    for command in ["user history mara", "group history staff"] {
        let ended = shell.run(command);
        assert_eq!(
            ended,
            Ended {
                code: 0,
                data: expected.clone(),
                talk: "there are older ones: add --before 3\n".to_owned(),
            },
            "{command}"
        );
    }
}

#[test]
fn the_audit_is_a_table_newest_first() {
    let shell = Shell::replying(json!({
        "items": [
            {"number": 2, "at": "2026-03-10T11:00:00.000Z", "actor": {"kind": "operator", "stated_name": "joy", "root": false},
             "action": "token.create", "target": "token aaaaaaaaab", "detail": {"scope": "read", "expires": null}},
            {"number": 1, "at": "2026-03-09T11:00:00.000Z", "actor": {"kind": "system"}, "action": "directory.create",
             "target": "directory entra", "detail": {}},
        ],
        "next": null,
    }));
    let expected = "\
NUMBER  WHEN                      WHO                     ACTION            TARGET            DETAIL
2       2026-03-10T11:00:00.000Z  operator (stated: joy)  token.create      token aaaaaaaaab  scope: \"read\"; expires: null
1       2026-03-09T11:00:00.000Z  system                  directory.create  directory entra   -
";
    let ended = shell.run("audit list");
    assert_eq!((ended.code, ended.data.as_str()), (0, expected));
}

#[test]
fn a_check_that_finds_something_names_it_and_ends_with_seven() {
    let item = |problems: serde_json::Value| {
        json!({"what": "history", "directory": "entra", "files": 2, "entries": 10, "erased": 0, "last": 11,
               "problems_found": problems.as_array().unwrap().len(), "problems": problems})
    };
    let problems = json!([
        {"file": "/s/history/1/3.history", "entry": 4, "what": "entry 3 is missing"},
        {"file": "/s/history/1/3.history", "entry": null, "what": "the header of the file is damaged"},
    ]);
    let shell = Shell::replying(json!({"sound": false, "items": [item(problems)]}));
    let expected = "\
WHAT     DIRECTORY  FILES  ENTRIES  LAST  PROBLEMS
history  entra      2      10       11    2
/s/history/1/3.history: entry 4: entry 3 is missing
/s/history/1/3.history: the header of the file is damaged
";
    let ended = shell.run("audit verify");
    assert_eq!((ended.code, ended.data.as_str()), (7, expected));
    assert_eq!(shell.run("audit verify --output json").code, 7);
    let shell = Shell::replying(json!({"sound": true, "items": [item(json!([]))]}));
    assert_eq!(shell.run("audit verify").code, 0);
}
