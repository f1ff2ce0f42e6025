//! What holds for every filter and every text.

use crate::scim::filter::CompareOp;
use crate::scim::filter::Filter;
use crate::scim::filter::FilterLimits;
use crate::scim::filter::Instant;
use crate::scim::filter::Literal;
use crate::scim::filter::tests::mara;
use crate::scim::filter::tests::read;
use crate::scim::path::AttrPath;
use crate::scim::path::part;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::Type;
use crate::scim::schema::registry::Registry;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prop_oneof;
use proptest::proptest;

/// Paths to filter by, and whether a bracket may follow.
const PATHS: [&str; 8] = [
    "userName",
    "name.familyName",
    "active",
    "meta.created",
    "emails.value",
    "photos.value",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
    "urn:x:2.0:Custom:level",
];

/// A comparison or presence test of this path.
fn term(path: &AttrPath) -> impl Strategy<Value = Filter> + use<> {
    let kind = path.leaf().kind;
    let (text, present) = (path.clone(), path.clone());
    let ops: Vec<CompareOp> = CompareOp::ALL
        .into_iter()
        .filter(|op| kind != Type::Boolean || !op.is_partial() && !op.is_ordering())
        .collect();
    let op = (0..ops.len()).prop_map(move |index| ops[index]);
    let compare = (op, any::<String>(), any::<bool>(), any::<i64>()).prop_map(
        move |(op, string, boolean, number)| {
            let value = match kind {
                Type::Boolean => Literal::Bool(boolean),
                Type::DateTime if !op.is_partial() => {
                    let nanos = number.unsigned_abs() % 1_000_000_000;
                    let second = number.unsigned_abs() % 60;
                    let text = format!("2026-01-31T07:00:{second:02}.{nanos:09}Z");
                    Literal::DateTime(Instant::parse(&text).unwrap())
                }
                Type::Any if boolean => Literal::Number(number.into()),
                _ if number % 5 == 0 && !op.is_partial() => Literal::Null,
                _ => Literal::String(string),
            };
            let path = text.clone();
            Filter::Compare { path, op, value }
        },
    );
    prop_oneof![4 => compare, 1 => Just(Filter::Present(present))]
}

/// Joins terms into deeper filters.
fn joined(leaf: impl Strategy<Value = Filter> + 'static) -> impl Strategy<Value = Filter> {
    leaf.prop_recursive(4, 24, 3, |inner| {
        let several = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(Filter::And),
            several.prop_map(Filter::Or),
            inner.prop_map(|term| Filter::Not(Box::new(term))),
        ]
    })
}

/// Any filter that the parser can give.
fn filters() -> impl Strategy<Value = Filter> {
    let registry = Registry::new(Profile::Entra, false);
    let path = move |text: &str| AttrPath::parse(text, &registry, ResourceKind::User).unwrap();
    let emails = path("emails");
    let value = AttrPath {
        extension: None,
        attribute: part(&emails.attribute, "value").unwrap(),
        sub: None,
    };
    let value_path = joined(term(&value)).prop_map(move |filter| Filter::ValuePath {
        path: emails.clone(),
        filter: Box::new(filter),
    });
    let plain = (0..PATHS.len()).prop_flat_map(move |index| term(&path(PATHS[index])));
    joined(prop_oneof![4 => plain, 1 => value_path])
}

/// Words that filters are made of, in any order.
fn word_salad() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("userName"),
        Just("emails"),
        Just("type"),
        Just("eq"),
        Just("pr"),
        Just("and"),
        Just("or"),
        Just("not"),
        Just("("),
        Just(")"),
        Just("["),
        Just("]"),
        Just("\"x\""),
        Just("true"),
        Just(".value"),
        Just("null"),
        Just("\""),
        Just("å"),
        Just("1e999"),
    ];
    let blank = prop_oneof![Just(""), Just(" "), Just("\t")];
    proptest::collection::vec((word, blank), 0..20).prop_map(|words| {
        words
            .into_iter()
            .map(|(word, blank)| format!("{word}{blank}"))
            .collect()
    })
}

proptest! {
    #[test]
    fn a_printed_filter_parses_to_itself(filter in filters()) {
        let text = filter.to_string();
        if text.len() <= FilterLimits::DEFAULT.bytes_max {
            let (parsed, notes) = read(Profile::Entra, &text).unwrap();
            assert_eq!(parsed, filter, "{text}");
            assert_eq!(notes, [""; 0], "{text}");
        }
    }

    #[test]
    fn no_text_breaks_the_parser(text in any::<String>()) {
        for profile in [Profile::Entra, Profile::Strict] {
            drop(read(profile, &text));
        }
    }

    #[test]
    fn no_order_of_words_breaks_the_parser(text in word_salad()) {
        for profile in [Profile::Entra, Profile::Strict] {
            if let Ok((filter, _)) = read(profile, &text) {
                filter.matches(&mara());
            }
        }
    }

    #[test]
    fn ne_is_always_the_complement_of_eq(filter in filters()) {
        if let Filter::Compare { path, op: CompareOp::Eq, value } = filter {
            let ne = Filter::Compare { path: path.clone(), op: CompareOp::Ne, value: value.clone() };
            let eq = Filter::Compare { path, op: CompareOp::Eq, value };
            assert_ne!(eq.matches(&mara()), ne.matches(&mara()), "{eq}");
        }
    }
}
