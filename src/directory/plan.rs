//! Which indexes can answer a filter. A plan never changes a result: what an index selects is a
//! superset of the matches, and is checked against the whole filter unless the index alone decides
//! it. Which of several selects fewest is asked of the store when the filter is run.

use crate::base::clock::Timestamp;
use crate::base::ident::ResourceId;
use crate::directory::keys::ENTERPRISE;
use crate::scim::filter::CompareOp;
use crate::scim::filter::Filter;
use crate::scim::filter::Literal;
use crate::scim::members::MEMBERS;
use crate::scim::path::AttrPath;
use crate::scim::resource::memberships::GROUPS;
use crate::scim::text::fold;
use crate::store::change::Index;
use crate::store::change::Select;
use crate::store::change::Time;

/// Where the candidates of a filter may come from.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// The resource of this id, if there is one.
    Id(String),
    /// What an index selects.
    Index(Select),
}

/// How a filter is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Each of these has every match; without any, all resources are looked at.
    pub sources: Vec<Source>,
    /// Whether every candidate matches, so that the filter need not be asked again.
    pub exact: bool,
}

impl Plan {
    /// The plan for `filter`.
    pub fn of(filter: &Filter) -> Self {
        let sources = sources(filter);
        let single = matches!(filter, Filter::Compare { .. });
        let exact = |source: &Source| match source {
            Source::Id(_)
            | Source::Index(Select::Key(..) | Select::HasMember(_) | Select::InGroup(_)) => single,
            Source::Index(Select::Prefix(..) | Select::Times(..)) => false,
        };
        let exact = !sources.is_empty() && sources.iter().all(exact);
        Self { sources, exact }
    }
}

/// The sources that have every match of `filter`.
fn sources(filter: &Filter) -> Vec<Source> {
    match filter {
        Filter::Compare { path, op, value } => {
            compared(path, *op, value).map_or_else(Vec::new, |source| vec![source])
        }
        Filter::ValuePath { path, filter } => element_values(path, filter),
        Filter::And(terms) => terms.iter().flat_map(sources).collect(),
        Filter::Or(_) | Filter::Not(_) | Filter::Present(_) => Vec::new(),
    }
}

/// The source for a comparison.
fn compared(path: &AttrPath, op: CompareOp, value: &Literal) -> Option<Source> {
    let name = &*path.attribute.name;
    let sub = path.sub.as_ref().map(|sub| &*sub.name);
    let (text, folded) = match value {
        Literal::String(text) => (text, fold(text)),
        Literal::DateTime(instant) => {
            let time = match (&path.extension, name, sub) {
                (None, "meta", Some("created")) => Time::Created,
                (None, "meta", Some("lastModified")) => Time::Modified,
                _ => return None,
            };
            return times(time, op, instant.timestamp()).map(Source::Index);
        }
        Literal::Null | Literal::Bool(_) | Literal::Number(_) => return None,
    };
    let select = match (&path.extension, name, sub) {
        (None, "id", None) if op == CompareOp::Eq => return Some(Source::Id(text.clone())),
        (None, "externalId", None) => exact(Index::ExternalId, op, text)?,
        (Some(urn), "manager", Some("value")) if urn.eq_ignore_ascii_case(ENTERPRISE) => {
            exact(Index::Manager, op, text)?
        }
        (None, "userName", None) => begun(Index::UserName, op, folded)?,
        (None, "displayName", None) => begun(Index::DisplayName, op, folded)?,
        (None, "emails", None | Some("value")) => begun(Index::Email, op, folded)?,
        (None, MEMBERS, Some("value")) => related(op, text, Select::HasMember)?,
        (None, GROUPS, Some("value")) => related(op, text, Select::InGroup)?,
        _ => return None,
    };
    Some(Source::Index(select))
}

/// What memberships find. An id of another form than ours is nobody's: the filter tells as much.
fn related(op: CompareOp, text: &str, select: fn(ResourceId) -> Select) -> Option<Select> {
    let id = ResourceId::parse(text).filter(|_id| op == CompareOp::Eq)?;
    // Ids are compared letter by letter.
    (id.to_string() == text).then(|| select(id))
}

/// What an index finds that knows whole keys.
fn exact(index: Index, op: CompareOp, text: &str) -> Option<Select> {
    (op == CompareOp::Eq).then(|| Select::Key(index, text.to_owned()))
}

/// What an index finds that knows the order of its keys.
fn begun(index: Index, op: CompareOp, folded: String) -> Option<Select> {
    match op {
        CompareOp::Eq => Some(Select::Key(index, folded)),
        CompareOp::Sw => Some(Select::Prefix(index, folded)),
        CompareOp::Ne
        | CompareOp::Co
        | CompareOp::Ew
        | CompareOp::Gt
        | CompareOp::Ge
        | CompareOp::Lt
        | CompareOp::Le => None,
    }
}

/// The times that may satisfy a comparison with one that was cut to the millisecond: both ends are
/// among them.
fn times(time: Time, op: CompareOp, at: Timestamp) -> Option<Select> {
    let (first, last) = match op {
        CompareOp::Eq => (at, at),
        CompareOp::Gt | CompareOp::Ge => (at, Timestamp::from_millis(i64::MAX)),
        CompareOp::Lt | CompareOp::Le => (Timestamp::from_millis(i64::MIN), at),
        CompareOp::Ne | CompareOp::Co | CompareOp::Sw | CompareOp::Ew => return None,
    };
    Some(Select::Times(time, first, last))
}

/// The sources for the `value` that every matching element of `path` must have:
/// `emails[value eq "x" and type eq "work"]`.
fn element_values(path: &AttrPath, filter: &Filter) -> Vec<Source> {
    let terms = match filter {
        Filter::And(terms) => terms.as_slice(),
        single => std::slice::from_ref(single),
    };
    let attribute = &*path.attribute.name;
    if path.extension.is_some() || !["emails", MEMBERS, GROUPS].contains(&attribute) {
        return Vec::new();
    }
    let selects = terms.iter().filter_map(|term| match term {
        Filter::Compare {
            path,
            op,
            value: Literal::String(text),
        } if &*path.leaf().name == "value" => match attribute {
            MEMBERS => related(*op, text, Select::HasMember),
            GROUPS => related(*op, text, Select::InGroup),
            _ => begun(Index::Email, *op, fold(text)),
        },
        Filter::And(_)
        | Filter::Or(_)
        | Filter::Not(_)
        | Filter::Present(_)
        | Filter::Compare { .. }
        | Filter::ValuePath { .. } => None,
    });
    selects.map(Source::Index).collect()
}
