//! Tables for reading, printing and evaluating filters.

#![expect(
    clippy::too_many_lines,
    reason = "a table is one thing, however many rows it has"
)]

use crate::scim::filter::Filter;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::registry::Registry;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

mod mentions;
mod properties;

/// The enterprise extension's URN.
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The filter on users and the codes of the notes, or the sentence of the refusal.
fn read(profile: Profile, text: &str) -> Result<(Filter, Vec<&'static str>), String> {
    let registry = Registry::new(profile, false);
    let mut notes = Vec::new();
    let filter = Filter::parse(
        text,
        &registry,
        ResourceKind::User,
        super::FilterLimits::DEFAULT,
        &mut notes,
    );
    let filter = filter.map_err(|error| {
        assert_eq!(error.condition().scim_type(), Some("invalidFilter"));
        error.detail().to_owned()
    })?;
    Ok((filter, notes.into_iter().map(|note| note.code).collect()))
}

/// A user with something of everything.
fn mara() -> Map<String, Value> {
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "id": "4e8b0f06-3f0f-4a57-8d2a-0b7a3c1d5e11",
        "externalId": "Mara-1",
        "userName": "Mara.Straße@northbridge.example",
        "name": {"familyName": "Lindqvist", "givenName": "Mara"},
        "title": "",
        "active": true,
        "emails": [
            {"value": "mara@northbridge.example", "type": "work", "primary": true},
            {"value": "mara@home.example", "type": "home"}
        ],
        "roles": [{"value": "Reader", "primary": true}],
        ENTERPRISE: {"department": "Optics", "manager": {"value": "U-11"}},
        "urn:x:2.0:Custom": {"CostCode": "A7", "level": 3},
        "meta": {"resourceType": "User", "created": "2026-01-31T07:00:00.123Z"}
    });
    user.as_object().unwrap().clone()
}

#[test]
fn a_filter_prints_in_the_rfcs_form() {
    for (text, printed) in [
        ("USERNAME Eq \"x\"", "userName eq \"x\""),
        ("  userName \t eq   \"x\"  ", "userName eq \"x\""),
        ("title pr", "title pr"),
        ("active eq true", "active eq true"),
        ("title eq null", "title eq null"),
        ("emails co \"x\"", "emails.value co \"x\""),
        (
            "emails[type eq \"work\" and value co \"@\"]",
            "emails[type eq \"work\" and value co \"@\"]",
        ),
        ("emails [ type pr ]", "emails[type pr]"),
        ("schemas[value eq \"urn:x\"]", "schemas[value eq \"urn:x\"]"),
        (
            "title pr or userName pr and active eq true",
            "title pr or userName pr and active eq true",
        ),
        (
            "(title pr or userName pr) and active eq true",
            "(title pr or userName pr) and active eq true",
        ),
        ("((title pr))", "title pr"),
        (
            "not(title pr)and(active pr)",
            "not (title pr) and active pr",
        ),
        ("NOT (title pr) OR title pr", "not (title pr) or title pr"),
        (
            "userName eq \"a\\\"\\\\\\u00e5\\ud83d\\ude00\"",
            "userName eq \"a\\\"\\\\å😀\"",
        ),
        (
            "meta.created gt \"2026-01-31T09:00:00.5+02:00\"",
            "meta.created gt \"2026-01-31T07:00:00.5Z\"",
        ),
        (
            "urn:ietf:params:scim:schemas:core:2.0:User:name.familyname pr",
            "name.familyName pr",
        ),
    ] {
        for profile in [Profile::Entra, Profile::Strict] {
            let (filter, notes) = read(profile, text).unwrap();
            assert_eq!(filter.to_string(), printed, "{text}");
            assert_eq!(notes, [""; 0], "{text}");
        }
    }
}

#[test]
fn and_binds_tighter_than_or() {
    let (filter, _) = read(Profile::Strict, "title pr or userName pr and active pr").unwrap();
    let Filter::Or(terms) = filter else {
        panic!("not an or");
    };
    assert!(matches!(terms[..], [Filter::Present(_), Filter::And(_)]));
}

#[test]
fn a_wrong_filter_is_refused_where_it_goes_wrong() {
    for (text, sentence) in [
        (
            "",
            "at character 1: an attribute's name should follow, but found the end",
        ),
        (
            "()",
            "at character 2: an attribute's name should follow, but found `)`",
        ),
        (
            "emails[]",
            "at character 8: an attribute's name should follow, but found `]`",
        ),
        (
            "userName",
            "at character 9: an operator should follow: eq, ne, co, sw, ew, gt, ge, lt, le or pr, but found the end",
        ),
        (
            "userName is \"x\"",
            "at character 10: an operator should follow: eq, ne, co, sw, ew, gt, ge, lt, le or pr, but found `is`",
        ),
        (
            "userName eq",
            "at character 12: a value should follow, after a blank: a string in double quotes, a number, true, false or null, but found the end",
        ),
        (
            "userName eq\"x\"",
            "at character 12: a value should follow, after a blank: a string in double quotes, a number, true, false or null, but found `\"x\"`",
        ),
        (
            "userName eq \"x\"and title pr",
            "at character 16: it should end here, or `and` or `or` should follow, but found `and`",
        ),
        (
            "userName eq \"å\" title pr",
            "at character 17: it should end here, or `and` or `or` should follow, but found `title`",
        ),
        (
            "(title pr",
            "at character 10: `and`, `or` or `)` should follow, but found the end",
        ),
        (
            "emails[type pr",
            "at character 15: `and`, `or` or `]` should follow, but found the end",
        ),
        (
            "emails[type[value pr]]",
            "at character 12: brackets inside brackets are not allowed, but found `[`",
        ),
        (
            "userName[value pr]",
            "at character 9: userName has no elements to choose from, but found `[`",
        ),
        (
            "userName eq \"x",
            "at character 13: the string has no closing quote",
        ),
        (
            "userName eq 'x'",
            "at character 13: userName is compared with text in double quotes",
        ),
        (
            "shoeSize eq \"x\"",
            "at character 1: User has no attribute \"shoeSize\"",
        ),
        (
            "emails[shoe eq \"x\"]",
            "at character 8: \"emails\" has no sub-attribute \"shoe\"",
        ),
        (
            "password sw \"a\"",
            "at character 1: password cannot be used in a filter",
        ),
        (
            "name eq \"x\"",
            "at character 9: name is made of parts; compare one of them, such as name.formatted",
        ),
        (
            "active gt true",
            "at character 11: `gt` does not fit active, which takes eq, ne and pr",
        ),
        (
            "active co \"tr\"",
            "at character 11: `co` does not fit active, which takes eq, ne and pr",
        ),
        (
            "x509Certificates.value sw \"a\"",
            "at character 27: `sw` does not fit value, which takes eq, ne and pr",
        ),
        (
            "active eq \"yes\"",
            "at character 11: active is compared with true or false, without quotes",
        ),
        (
            "title co null",
            "at character 10: `co` looks for text, and null is none",
        ),
        (
            "meta.created gt \"yesterday\"",
            "at character 17: created is compared with a date and time with zone, such as \"2026-01-31T07:00:00Z\"",
        ),
        (
            "not title pr",
            "at character 1: User has no attribute \"not\"",
        ),
        (
            "title pr and",
            "at character 13: an attribute's name should follow, but found the end",
        ),
    ] {
        for profile in [Profile::Entra, Profile::Strict] {
            let error = read(profile, text).unwrap_err();
            assert_eq!(error, format!("filter, {sentence}"), "{text} {profile:?}");
        }
    }
}

#[test]
fn a_filter_has_limits() {
    let long = format!("title eq \"{}\"", "x".repeat(4096));
    let many = |count| vec!["title pr"; count].join(" or ");
    let deep = |count| format!("{}title pr{}", "(".repeat(count), ")".repeat(count));
    for (text, sentence) in [
        (
            long,
            Some("at character 1: longer than 4096 bytes, which is the most"),
        ),
        (many(100), None),
        (
            many(101),
            Some("at character 1201: more than 100 comparisons, which is the most"),
        ),
        (deep(32), None),
        (
            deep(33),
            Some("at character 33: nested deeper than 32, which is the most"),
        ),
    ] {
        let refused = read(Profile::Strict, &text).err();
        assert_eq!(
            refused,
            sentence.map(|sentence| format!("filter, {sentence}"))
        );
    }
}

#[test]
fn what_only_entra_writes_is_refused_elsewhere() {
    let manager = format!("{ENTERPRISE}:manager.value eq \"U-11\"");
    for (text, printed, notes) in [
        (
            "externalId eq mlindqvist",
            "externalId eq \"mlindqvist\"",
            vec!["dialect.filter_unquoted"],
        ),
        (
            "externalId eq 12",
            "externalId eq \"12\"",
            vec!["dialect.filter_unquoted"],
        ),
        (
            "meta.Created gt 2026-01-31T07:00:00Z",
            "meta.created gt \"2026-01-31T07:00:00Z\"",
            vec!["dialect.filter_unquoted"],
        ),
        (
            "name.FamilyName eq Employee and (emails.Value co example.com or emails.Value co example.org)",
            "name.familyName eq \"Employee\" and (emails.value co \"example.com\" or emails.value co \"example.org\")",
            vec!["dialect.filter_unquoted"; 3],
        ),
        (
            "emails[type eq \"work\"].value eq \"x\"",
            "emails[type eq \"work\" and value eq \"x\"]",
            vec!["dialect.filter_value_path"],
        ),
        (
            "emails[type eq \"work\"] eq \"x\"",
            "emails[type eq \"work\" and value eq \"x\"]",
            vec!["dialect.filter_value_path"],
        ),
        (
            "emails[type eq \"work\" or primary eq true].value pr and active pr",
            "emails[(type eq \"work\" or primary eq true) and value pr] and active pr",
            vec!["dialect.filter_value_path"],
        ),
        (
            "active eq \"True\"",
            "active eq true",
            vec!["dialect.filter_boolean"],
        ),
        (
            "active eq False",
            "active eq false",
            vec!["dialect.filter_boolean"],
        ),
        (
            "roles[primary eq \"True\"]",
            "roles[primary eq true]",
            vec!["dialect.filter_boolean"],
        ),
        (
            "manager eq \"U-11\"",
            &manager,
            vec!["dialect.bare_manager", "dialect.filter_single_value"],
        ),
        (
            "manager.value eq \"U-11\"",
            &manager,
            vec!["dialect.bare_manager"],
        ),
        (
            &format!("{ENTERPRISE}:manager eq \"U-11\""),
            &manager,
            vec!["dialect.filter_single_value"],
        ),
        (
            "urn:x:2.0:Custom:costCode eq \"A7\"",
            "urn:x:2.0:Custom:costCode eq \"A7\"",
            vec![],
        ),
    ] {
        let (filter, found) = read(Profile::Entra, text).unwrap();
        assert_eq!(filter.to_string(), printed, "{text}");
        assert_eq!(found, notes, "{text}");
        assert!(read(Profile::Strict, text).is_err(), "{text}");
    }
}

#[test]
fn a_resource_matches_or_not() {
    let tree = mara();
    for (text, expected) in [
        // Letter case: only where caseExact says so; full folding.
        ("userName eq \"MARA.STRASSE@NORTHBRIDGE.EXAMPLE\"", true),
        ("userName sw \"mara.straSS\"", true),
        ("externalId eq \"mara-1\"", false),
        ("externalId eq \"Mara-1\"", true),
        ("name.familyName co \"QVI\"", true),
        ("name.familyName ew \"ist\"", true),
        ("name.familyName ew \"longer than it is\"", false),
        ("name.familyName gt \"lind\"", true),
        ("name.familyName le \"LINDQVIST\"", true),
        ("name.familyName co \"\"", true),
        (&format!("{ENTERPRISE}:manager.value eq \"u-11\""), false),
        (&format!("{ENTERPRISE}:manager.value eq \"U-11\""), true),
        (&format!("{ENTERPRISE}:department eq \"optics\""), true),
        // Any element; inside brackets the same element.
        (
            "emails.type eq \"work\" and emails.value co \"home.example\"",
            true,
        ),
        (
            "emails[type eq \"work\" and value co \"home.example\"]",
            false,
        ),
        ("emails[type eq \"home\" and not (primary eq true)]", true),
        (
            "schemas eq \"URN:ietf:params:scim:schemas:core:2.0:user\"",
            true,
        ),
        ("schemas[value eq \"urn:x\"]", false),
        ("name[givenName eq \"mara\"]", true),
        // `ne` is the complement of `eq`.
        ("emails.type ne \"work\"", false),
        ("emails.type ne \"other\"", true),
        ("emails[type ne \"work\"]", true),
        ("nickName ne \"x\"", true),
        // Null, presence.
        ("nickName eq null", true),
        ("userName eq null", false),
        ("userName ne null", true),
        ("nickName gt null", false),
        ("title pr", false),
        ("active pr", true),
        ("name pr", true),
        ("addresses pr", false),
        ("emails.display pr", false),
        ("emails eq null", false),
        // Times are instants.
        ("meta.created eq \"2026-01-31T09:00:00.123+02:00\"", true),
        ("meta.created lt \"2026-01-31T07:00:00.1230001Z\"", true),
        ("meta.created gt \"2026-01-31T07:00:00Z\"", true),
        ("meta.created sw \"2026-01-31\"", true),
        // What an unregistered extension holds.
        ("urn:x:2.0:Custom:costcode eq \"a7\"", true),
        ("urn:x:2.0:custom:level ge 3", true),
        ("urn:x:2.0:Custom:level gt 3.0", false),
        ("urn:x:2.0:Custom:level eq \"3\"", false),
        // Logic.
        ("not (active eq true) or userName pr", true),
        ("not (active eq true or userName pr)", false),
    ] {
        let (filter, _) = read(Profile::Entra, text).unwrap();
        assert_eq!(filter.matches(&tree), expected, "{text}");
    }
}
