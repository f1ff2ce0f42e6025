//! What a filter asks of an attribute that is costly to put together, such as the members of a group:
//! nothing, a few elements, or all of it.

use crate::scim::filter::CompareOp;
use crate::scim::filter::Filter;
use crate::scim::filter::Literal;
use crate::scim::path::AttrPath;

/// How much of a multi-valued core attribute decides whether a filter matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mention {
    /// Nothing of it.
    None,
    /// The elements with these values, each named once: a resource that holds no other elements
    /// matches if and only if the whole one does.
    Values(Vec<String>),
    /// All of it.
    All,
}

impl Filter {
    /// How much of the core attribute of that name decides whether this filter matches.
    pub fn mentions(&self, attribute: &str) -> Mention {
        match self {
            Self::And(terms) | Self::Or(terms) => terms
                .iter()
                .map(|term| term.mentions(attribute))
                .fold(Mention::None, Mention::with),
            Self::Not(term) => term.mentions(attribute),
            Self::Present(path) if is_of(path, attribute) => Mention::All,
            Self::Compare { path, op, value } if is_of(path, attribute) => {
                let by_value = path.sub.as_ref().is_some_and(|sub| &*sub.name == "value");
                // `ne` is the complement of `eq`, so the same elements decide it.
                match (op, value) {
                    (CompareOp::Eq | CompareOp::Ne, Literal::String(value))
                        if by_value && path.leaf().case_exact =>
                    {
                        Mention::Values(vec![value.clone()])
                    }
                    _ => Mention::All,
                }
            }
            Self::ValuePath { path, filter } if is_of(path, attribute) => filter
                .element_values()
                .map_or(Mention::All, Mention::Values),
            Self::Present(_) | Self::Compare { .. } | Self::ValuePath { .. } => Mention::None,
        }
    }

    /// The values that an element must have one of to satisfy this filter, which stands between
    /// brackets; each is named once. `None` when it may have any.
    pub fn element_values(&self) -> Option<Vec<String>> {
        match self {
            Self::And(terms) => {
                let bounds = terms.iter().filter_map(Self::element_values);
                bounds.min_by_key(Vec::len)
            }
            Self::Or(terms) => {
                let mut values = Vec::new();
                for term in terms {
                    add_missing(&mut values, term.element_values()?);
                }
                Some(values)
            }
            Self::Compare {
                path,
                op: CompareOp::Eq,
                value: Literal::String(value),
            } if &*path.attribute.name == "value" && path.leaf().case_exact => {
                Some(vec![value.clone()])
            }
            Self::Not(_) | Self::Present(_) | Self::Compare { .. } | Self::ValuePath { .. } => None,
        }
    }
}

impl Mention {
    /// What decides two terms of one filter.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::None, mention) | (mention, Self::None) => mention,
            (Self::Values(mut values), Self::Values(more)) => {
                add_missing(&mut values, more);
                Self::Values(values)
            }
        }
    }
}

/// Adds values that are not there yet. A filter has few terms, so they are compared one by one.
fn add_missing(values: &mut Vec<String>, more: Vec<String>) {
    for value in more {
        if !values.contains(&value) {
            values.push(value);
        }
    }
}

/// Whether a path leads to the core attribute of that name.
fn is_of(path: &AttrPath, attribute: &str) -> bool {
    path.extension.is_none() && path.attribute.name.eq_ignore_ascii_case(attribute)
}
