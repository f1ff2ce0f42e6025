//! Lists that are walked in pages while they grow (RFC 7644 §3.4.2.4).

use serde_json::json;

use crate::harness::Appliance;
use crate::harness::Directory;
use crate::roster::GROUP;
use crate::roster::USER;
use crate::roster::create;
use crate::wire::Wire;

/// Resources on a page.
const PAGE: usize = 5;

/// Walks a list page by page and does something after each page, as long as the list may grow. Returns the ids in the
/// order in which they came.
fn walk(
    wire: &mut Wire,
    directory: &Directory,
    path: &str,
    between: &mut dyn FnMut(),
) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let start = ids.len() + 1;
        let path = format!("{path}startIndex={start}&count={PAGE}");
        let answer = wire.send(&directory.request("GET", &path)).unwrap();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let page = answer.json();
        let resources = page["Resources"].as_array().unwrap();
        let total = usize::try_from(page["totalResults"].as_u64().unwrap()).unwrap();
        assert_eq!(page["startIndex"], start, "{path}");
        assert_eq!(page["itemsPerPage"], resources.len(), "{path}");
        assert_eq!(resources.len(), (total - ids.len()).min(PAGE), "{path}");
        let found = resources.iter().map(|found| found["id"].as_str().unwrap());
        ids.extend(found.map(str::to_owned));
        if ids.len() >= total {
            return ids;
        }
        between();
    }
}

#[test]
fn pages_have_everybody_once_while_others_are_created() {
    let appliance = Appliance::start();
    let directory = appliance.directory("entra", "entra");
    let (mut reader, mut writer) = (appliance.connect(), appliance.connect());
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    let mut add = |users: &mut Vec<String>, groups: &mut Vec<String>| {
        let name = format!("number-{}", users.len());
        let user = json!({"schemas": [USER], "userName": name});
        users.push(create(&mut writer, &directory, "/Users", &user));
        let group = json!({"schemas": [GROUP], "displayName": name});
        groups.push(create(&mut writer, &directory, "/Groups", &group));
    };
    for _ in 0..23 {
        add(&mut users, &mut groups);
    }
    for (path, is_user) in [
        ("/Users?", true),
        ("/Groups?excludedAttributes=members&", false),
        ("/Users?filter=userName+sw+%22number%22&", true),
        ("/Groups?filter=displayName+sw+%22NUMBER%22&", false),
    ] {
        // Two come after each page.
        let found = walk(&mut reader, &directory, path, &mut || {
            add(&mut users, &mut groups);
            add(&mut users, &mut groups);
        });
        let expected = if is_user { &users } else { &groups };
        assert_eq!(found, *expected, "{path}");
    }
}
