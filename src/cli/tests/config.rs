//! `config check`, `config show`, and the configuration of `serve`.

use std::fs;

use serde_json::Value;
use serde_json::json;

use crate::cli::tests::Ended;
use crate::cli::tests::complained;
use crate::cli::tests::printed;
use crate::cli::tests::run_in;

#[test]
fn config_check_tells_everything_and_ends_with_7() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    fs::write(&file, "[tls]\nmode = \"acme\"\nchian = \"/c\"\n").unwrap();
    let path = file.to_str().unwrap();
    let ended = run_in(&[], &format!("config check {path}"), "", false);
    let expected = format!(
        "{path}:3:1: unknown key tls.chian; did you mean tls.chain?\n{path}:2:8: tls.mode: \"acme\" is not available in this version; use \"files\" with a certificate that another program renews, or \"local\"\n"
    );
    assert_eq!(
        ended,
        Ended {
            code: 7,
            data: expected,
            talk: String::new(),
        }
    );
    let ended = run_in(
        &[],
        &format!("config check {path} --output json"),
        "",
        false,
    );
    let value: Value = serde_json::from_str(&ended.data).unwrap();
    assert_eq!(ended.code, 7);
    assert_eq!(value["schema"], "rollcall.config.check/1");
    assert_eq!(value["ok"], false);
    assert_eq!(value["problems"][0]["line"], 3);
    assert_eq!(
        value["problems"][0]["text"],
        "unknown key tls.chian; did you mean tls.chain?"
    );
    fs::write(&file, "[console]\nlisten = \"\"\n").unwrap();
    let ended = run_in(&[], &format!("config check {path}"), "", false);
    let expected = format!(
        "note: console.listen has no effect: this version has no web console ({path}:2:10)\nthe configuration can be used\n"
    );
    assert_eq!(ended, printed(&expected));
}

#[test]
fn config_show_tells_what_holds_and_who_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    fs::write(&file, "[log]\nlevel = \"warn\"\n").unwrap();
    let path = file.to_str().unwrap();
    let environment = [("ROLLCALL_SCIM__LISTEN", "127.0.0.1:8443")];
    let show = |arguments: &str| {
        let command = format!("config show --config {path} --set limits.page_max=200 {arguments}");
        run_in(&environment, &command, "", false)
    };
    let expected =
        "scim.listen = [\"127.0.0.1:8443\"]\nlog.level = \"warn\"\nlimits.page_max = 200\n";
    assert_eq!(show(""), printed(expected));
    let expected = format!(
        "\
KEY              VALUE               ORIGIN
scim.listen      [\"127.0.0.1:8443\"]  ROLLCALL_SCIM__LISTEN
log.level        \"warn\"              {path}:2:9
limits.page_max  200                 --set limits.page_max
"
    );
    assert_eq!(show("--origin"), printed(&expected));
    let all = show("--effective").data;
    assert!(all.starts_with("server.public_url = \"https://localhost:8443\"\n"));
    let again = folder.path().join("again.toml");
    fs::write(&again, all).unwrap();
    let again = format!("config check {}", again.to_str().unwrap());
    assert_eq!(run_in(&[], &again, "", false).code, 0);
    let json: Value = serde_json::from_str(&show("--output json --origin").data).unwrap();
    assert_eq!(
        json,
        json!({
            "schema": "rollcall.config.show/1",
            "items": [
                {"key": "scim.listen", "value": ["127.0.0.1:8443"], "origin": "ROLLCALL_SCIM__LISTEN"},
                {"key": "log.level", "value": "warn", "origin": format!("{path}:2:9")},
                {"key": "limits.page_max", "value": 200, "origin": "--set limits.page_max"},
            ],
            "next": null,
        })
    );
}

#[test]
fn a_wrong_configuration_keeps_serve_from_starting() {
    let ended = run_in(&[], "serve --config /nowhere/rollcall.toml", "", false);
    let expected = "\
error: the configuration cannot be used
  why:  /nowhere/rollcall.toml:1:1: cannot be read: No such file or directory (os error 2)
  fix:  mend every line above, then: rollcall config check
";
    assert_eq!(ended, complained(7, expected));
}
