//! Searches over a directory of many alike users: what an index answers is what looking at every
//! resource would.

use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::prop;
use proptest::prop_assert_eq;
use proptest::prop_oneof;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::base::clock::Timestamp;
use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::keys::ENTERPRISE;
use crate::directory::plan::Plan;
use crate::directory::plan::Source;
use crate::directory::read::FromMemory;
use crate::directory::search::Found;
use crate::directory::search::Page;
use crate::directory::search::Search;
use crate::directory::tests::fixture::START;
use crate::directory::tests::fixture::Stage;
use crate::directory::tests::fixture::USER;
use crate::directory::tests::fixture::Way;
use crate::scim::filter::Filter;
use crate::scim::filter::FilterLimits;
use crate::scim::schema::Profile;
use crate::store::change::Index;
use crate::store::change::Select;
use crate::store::change::Time;

/// When the first user is created, in milliseconds.
const AT: i64 = START.millis();
/// How many users there are: more than a search looks at in memory.
const USERS: u64 = 150;

/// A directory of users with few names and times between them.
fn stage() -> Stage {
    let stage = Stage::new(Profile::Entra);
    for number in 0..USERS {
        // Several users share each time, name, address and manager; some have none.
        stage
            .clock
            .advance(i64::try_from(number % 3 / 2 * 500).unwrap());
        let mut user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
            "userName": format!("Mara{number:03}{}", "x".repeat(usize::try_from(number % 70).unwrap())),
            "externalId": format!("{}", number % 40),
            "emails": [
                { "type": "work", "value": format!("m{}@Example.com", number % 20) },
                { "type": "home", "value": format!("mara{}@example.com", number % 7) },
            ],
            ENTERPRISE: { "manager": { "value": if number % 2 == 0 { "a" } else { "b" } } },
        });
        if number % 4 != 0 {
            user["displayName"] = json!(format!("Weiß {}", number % 5));
        }
        stage.create(Way::Waiting, USER, &user).unwrap();
    }
    stage
}

/// Reads a filter.
fn read(directory: &Directory, text: &str) -> Filter {
    Filter::parse(
        text,
        directory.registry(),
        USER,
        FilterLimits::DEFAULT,
        &mut Vec::new(),
    )
    .unwrap()
}

/// A point in time near those of the users, as a filter spells it.
fn times() -> impl Strategy<Value = String> {
    (-2..60_i64, prop_oneof!["", "1", "0000", "9999"]).prop_map(|(steps, finer)| {
        let at = Timestamp::from_millis(AT + steps * 250).to_string();
        at.replace('Z', &format!("{finer}Z"))
    })
}

/// A comparison that an index may answer, or none.
fn terms() -> impl Strategy<Value = String> {
    let op = prop_oneof![Just("eq"), Just("sw"), Just("co")];
    let text = prop_oneof![
        "M?a?r?a?[01]?[0-9]?[0-9]?x?",
        "m[0-9]?[0-9]?@?E?",
        "mara[0-9]@example[.]com",
        "WEISS [0-9]?",
        "Weiß ?",
        "mara0[0-9][0-9]x{0,70}",
    ];
    let paths = [
        "userName",
        "displayName",
        "emails",
        "emails.value",
        "name.familyName",
    ];
    let texts = (
        prop::sample::select(paths.to_vec()),
        op.clone(),
        text.clone(),
    )
        .prop_map(|(path, op, text)| format!("{path} {op} \"{text}\""));
    let elements = (op, text, any_type())
        .prop_map(|(op, text, kind)| format!("emails[value {op} \"{text}\"{kind}]"));
    let exact = (
        prop::sample::select(vec![
            "externalId".to_owned(),
            format!("{ENTERPRISE}:manager.value"),
            "id".to_owned(),
        ]),
        "[0-9ab]{1,2}",
    )
        .prop_map(|(path, text)| format!("{path} eq \"{text}\""));
    let moments = (
        prop_oneof![Just("created"), Just("lastModified")],
        prop::sample::select(&["eq", "ne", "gt", "ge", "lt", "le"]),
        times(),
    )
        .prop_map(|(path, op, at)| format!("meta.{path} {op} \"{at}\""));
    prop_oneof![3 => texts, 1 => elements, 1 => exact, 2 => moments]
}

/// What else is asked of an element.
fn any_type() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(""),
        Just(" and type eq \"work\""),
        Just(" or type eq \"home\"")
    ]
}

/// Some terms, joined.
fn filters() -> impl Strategy<Value = String> {
    terms().prop_recursive(2, 6, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            3 => several.clone().prop_map(|terms| format!("({})", terms.join(" and "))),
            1 => several.prop_map(|terms| format!("({})", terms.join(" or "))),
            1 => inner.prop_map(|term| format!("not ({term})")),
        ]
    })
}

/// What a search finds: the total and the ids of the page.
fn found(directory: &Directory, filter: Filter, page: Page) -> (usize, Vec<ResourceId>) {
    let search = Search::new(USER, Some(filter), "https://x/scim/entra/v2".to_owned());
    let found = directory.search(&search, page).unwrap();
    let ids = |found: &Found| {
        let ids = found.resources.iter().map(|stored| stored.id);
        (found.total, ids.collect::<Vec<_>>())
    };
    if let FromMemory::Known(in_memory) = directory.search_in_memory(&search, page) {
        assert_eq!(ids(&in_memory), ids(&found));
    }
    ids(&found)
}

#[test]
fn an_index_finds_what_looking_at_everything_finds() {
    let stage = stage();
    let directory = &stage.directory;
    let page = (0..4_usize, 1..300_usize).prop_map(|(offset, count)| Page { offset, count });
    TestRunner::default()
        .run(&(filters(), page), |(text, page)| {
            let filter = read(directory, &text);
            // No index answers `or`.
            let all = Filter::Or(vec![filter.clone(), filter.clone()]);
            prop_assert_eq!(
                found(directory, filter, page),
                found(directory, all, page),
                "{}",
                text
            );
            Ok(())
        })
        .unwrap();
}

#[test]
fn of_several_indexes_the_one_with_the_fewest_candidates_answers() {
    let stage = stage();
    let directory = &stage.directory;
    let in_memory = |text: &str| {
        let filter = Some(read(directory, text));
        let search = Search::new(USER, filter, String::new());
        let page = Page {
            offset: 0,
            count: 1,
        };
        let known = directory.search_in_memory(&search, page);
        (
            matches!(known, FromMemory::Known(_)),
            directory.is_scan(&search),
        )
    };
    let few = (true, false);
    for (text, expected) in [
        ("userName sw \"mara00\"", few),
        ("userName sw \"mara\"", (false, false)),
        ("userName sw \"mara\" and emails sw \"m19@\"", few),
        (
            "meta.created lt \"2020-01-01T00:00:00Z\" and userName sw \"\"",
            few,
        ),
        (
            "meta.lastModified gt \"2020-01-01T00:00:00Z\"",
            (false, false),
        ),
        ("displayName co \"e\"", (false, true)),
        (
            "userName eq \"nobody\" or displayName sw \"nobody\"",
            (false, true),
        ),
    ] {
        assert_eq!(in_memory(text), expected, "{text}");
    }
}

#[test]
fn a_filter_names_the_indexes_that_have_all_matches() {
    let stage = stage();
    let directory = &stage.directory;
    let at = Timestamp::from_millis(AT);
    let (min, max) = (
        Timestamp::from_millis(i64::MIN),
        Timestamp::from_millis(i64::MAX),
    );
    let key = |index, key: &str| Select::Key(index, key.to_owned());
    let prefix = |index, key: &str| Select::Prefix(index, key.to_owned());
    for (text, selects, exact) in [
        (
            "userName eq \"Mara\"",
            vec![key(Index::UserName, "mara")],
            true,
        ),
        (
            "userName sw \"Mara\"",
            vec![prefix(Index::UserName, "mara")],
            false,
        ),
        (
            "displayName sw \"Wei\"",
            vec![prefix(Index::DisplayName, "wei")],
            false,
        ),
        (
            "emails[value sw \"M\" and type eq \"work\"]",
            vec![prefix(Index::Email, "m")],
            false,
        ),
        (
            "externalId eq \"A\" and emails eq \"B\" and active eq true",
            vec![key(Index::ExternalId, "A"), key(Index::Email, "b")],
            false,
        ),
        (
            "meta.created ge \"2023-11-14T22:13:20.0009Z\"",
            vec![Select::Times(Time::Created, at, max)],
            false,
        ),
        (
            "meta.lastModified lt \"2023-11-14T22:13:20Z\"",
            vec![Select::Times(Time::Modified, min, at)],
            false,
        ),
        ("externalId sw \"A\"", vec![], false),
        ("userName gt \"A\"", vec![], false),
        ("not (userName eq \"A\")", vec![], false),
        ("urn:x:2.0:Custom:manager.value eq \"a\"", vec![], false),
    ] {
        let sources = selects.into_iter().map(Source::Index);
        let expected = Plan {
            sources: sources.collect(),
            exact,
        };
        assert_eq!(Plan::of(&read(directory, text)), expected, "{text}");
    }
}
