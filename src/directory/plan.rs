//! Which index answers a filter. A plan never changes a result: what it selects is a superset of
//! the matches, and is checked against the whole filter unless the index alone decides it.

use crate::scim::filter::CompareOp;
use crate::scim::filter::Filter;
use crate::scim::filter::Literal;
use crate::scim::path::AttrPath;
use crate::scim::text::fold;
use crate::store::change::Index;

/// Where the candidates of a filter come from.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// The resource of this id, if there is one.
    Id(String),
    /// The resources under this key.
    Key(Index, String),
    /// All resources.
    Scan,
}

/// How a filter is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where the candidates come from.
    pub source: Source,
    /// Whether every candidate matches, so that the filter need not be asked again.
    pub exact: bool,
}

impl Plan {
    /// The plan for `filter`.
    pub fn of(filter: &Filter) -> Self {
        let (source, exact) = narrowest(filter);
        Self { source, exact }
    }
}

/// The narrowest source for `filter`, and whether it decides the filter alone.
fn narrowest(filter: &Filter) -> (Source, bool) {
    match filter {
        Filter::Compare {
            path,
            op: CompareOp::Eq,
            value: Literal::String(text),
        } => of_equality(path, text).map_or((Source::Scan, false), |source| (source, true)),
        // `emails[value eq "x" and type eq "work"]`: the element's value finds the candidates.
        Filter::ValuePath { path, filter } => (element_value(path, filter), false),
        Filter::And(terms) => {
            let mut sources = terms.iter().map(|term| narrowest(term).0);
            let best = sources.by_ref().min_by_key(rank).unwrap_or(Source::Scan);
            (best, false)
        }
        Filter::Or(_) | Filter::Not(_) | Filter::Present(_) | Filter::Compare { .. } => {
            (Source::Scan, false)
        }
    }
}

/// How many resources a source is likely to select: fewer is lower.
fn rank(source: &Source) -> u8 {
    match source {
        Source::Id(_) => 0,
        Source::Key(Index::UserName, _) => 1,
        Source::Key(Index::Email | Index::ExternalId, _) => 2,
        Source::Key(Index::DisplayName, _) => 3,
        Source::Key(Index::Manager, _) => 4,
        Source::Scan => 5,
    }
}

/// The index that answers `path eq text`.
fn of_equality(path: &AttrPath, text: &str) -> Option<Source> {
    let name = &*path.attribute.name;
    let sub = path.sub.as_ref().map(|sub| &*sub.name);
    if path.extension.is_some() {
        return matches!((name, sub), ("manager", Some("value")))
            .then(|| Source::Key(Index::Manager, text.to_owned()));
    }
    let key = |index| Some(Source::Key(index, fold(text)));
    match (name, sub) {
        ("id", None) => Some(Source::Id(text.to_owned())),
        ("userName", None) => key(Index::UserName),
        ("displayName", None) => key(Index::DisplayName),
        ("emails", None | Some("value")) => key(Index::Email),
        ("externalId", None) => Some(Source::Key(Index::ExternalId, text.to_owned())),
        _ => None,
    }
}

/// The index on the `value` that every matching element of `path` must have.
fn element_value(path: &AttrPath, filter: &Filter) -> Source {
    let terms = match filter {
        Filter::And(terms) => terms.as_slice(),
        single => std::slice::from_ref(single),
    };
    if path.extension.is_some() || &*path.attribute.name != "emails" {
        return Source::Scan;
    }
    terms
        .iter()
        .find_map(|term| match term {
            Filter::Compare {
                path,
                op: CompareOp::Eq,
                value: Literal::String(text),
            } => {
                let leaf = path.sub.as_ref().unwrap_or(&path.attribute);
                (&*leaf.name == "value").then(|| Source::Key(Index::Email, fold(text)))
            }
            Filter::And(_)
            | Filter::Or(_)
            | Filter::Not(_)
            | Filter::Present(_)
            | Filter::Compare { .. }
            | Filter::ValuePath { .. } => None,
        })
        .unwrap_or(Source::Scan)
}
