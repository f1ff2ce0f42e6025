//! Filters (RFC 7644 §3.4.2.2, errata applied): what they are and how they print.
//!
//! `parse` reads the text, `literal` holds the rules of values and operators, `eval` decides
//! whether a resource matches. Indexes and paging are left to others.

use std::fmt;

use crate::scim::error::ScimError;
use crate::scim::path::AttrPath;
use crate::scim::resource::Note;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::registry::Registry;

mod element;
pub(in crate::scim) mod eval;
mod lex;
mod literal;
mod mention;
pub(in crate::scim) mod parse;
pub(in crate::scim) mod refusal;
#[cfg(test)]
mod tests;

pub use literal::Instant;
pub use literal::Literal;
pub use mention::Mention;

/// How large a filter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterLimits {
    /// Longest filter, in bytes.
    pub bytes_max: usize,
    /// Most comparisons in one filter.
    pub terms_max: usize,
    /// Deepest nesting of parentheses and brackets.
    pub depth_max: usize,
}

impl FilterLimits {
    /// What holds when nobody decides otherwise, and for the paths of PATCH operations.
    pub const DEFAULT: Self = Self {
        bytes_max: 4096,
        terms_max: 100,
        depth_max: 32,
    };
}

/// A condition on a resource, or inside brackets on one element of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of them hold.
    And(Vec<Self>),
    /// At least one of them holds.
    Or(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// The attribute has a value.
    Present(AttrPath),
    /// The comparison holds for at least one value of the attribute; `ne` for none.
    Compare {
        /// The attribute. A complex one is compared by its `value`, and the path says so.
        path: AttrPath,
        /// How it is compared.
        op: CompareOp,
        /// What it is compared with; of a type that fits attribute and operator.
        value: Literal,
    },
    /// One element satisfies the whole filter. Its paths are relative to the element.
    ValuePath {
        /// The attribute, without sub-attribute.
        path: AttrPath,
        /// What one element has to satisfy.
        filter: Box<Self>,
    },
}

/// How an attribute is compared with a value (RFC 7644 Table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// Equal.
    Eq,
    /// Not equal: the complement of equal, also for unassigned attributes.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than.
    Gt,
    /// Greater than or equal to.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal to.
    Le,
}

impl CompareOp {
    /// All of them, in the RFC's order.
    pub const ALL: [Self; 9] = [
        Self::Eq,
        Self::Ne,
        Self::Co,
        Self::Sw,
        Self::Ew,
        Self::Gt,
        Self::Ge,
        Self::Lt,
        Self::Le,
    ];

    /// The operator's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    /// The operator of that word, in any letter case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|op| op.word().eq_ignore_ascii_case(word))
    }

    /// Whether the operator looks for a part of a text.
    pub const fn is_partial(self) -> bool {
        matches!(self, Self::Co | Self::Sw | Self::Ew)
    }

    /// Whether the operator asks for an order.
    pub const fn is_ordering(self) -> bool {
        matches!(self, Self::Gt | Self::Ge | Self::Lt | Self::Le)
    }
}

impl Filter {
    /// Parses a filter on resources of a kind. The registry's profile decides what is tolerated
    /// beyond the RFC; what was tolerated is noted.
    ///
    /// # Errors
    ///
    /// 400 `invalidFilter`, with the position and the text that does not belong.
    pub fn parse(
        text: &str,
        registry: &Registry,
        kind: ResourceKind,
        limits: FilterLimits,
        notes: &mut Vec<Note>,
    ) -> Result<Self, ScimError> {
        parse::filter(text, registry, kind, limits, notes)
    }

    /// How many comparisons and presence tests there are: what evaluating it once may cost.
    pub fn terms(&self) -> usize {
        match self {
            Self::And(terms) | Self::Or(terms) => terms.iter().map(Self::terms).sum(),
            Self::Not(term) => term.terms(),
            Self::ValuePath { filter, .. } => filter.terms(),
            Self::Present(_) | Self::Compare { .. } => 1,
        }
    }
}

impl fmt::Display for Filter {
    /// The filter in the RFC's form. Parsing it again gives the same filter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(terms) => join(f, terms, " and "),
            Self::Or(terms) => join(f, terms, " or "),
            Self::Not(term) => write!(f, "not ({term})"),
            Self::Present(path) => write!(f, "{path} pr"),
            Self::Compare { path, op, value } => write!(f, "{path} {} {value}", op.word()),
            Self::ValuePath { path, filter } => write!(f, "{path}[{filter}]"),
        }
    }
}

/// Prints terms with a word between them. `and` binds tighter than `or`, so only an `and` among
/// `or` needs no parentheses.
fn join(f: &mut fmt::Formatter<'_>, terms: &[Filter], word: &str) -> fmt::Result {
    for (index, term) in terms.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        match term {
            Filter::And(_) if word == " or " => write!(f, "{term}")?,
            Filter::And(_) | Filter::Or(_) => write!(f, "({term})")?,
            Filter::Not(_)
            | Filter::Present(_)
            | Filter::Compare { .. }
            | Filter::ValuePath { .. } => write!(f, "{term}")?,
        }
    }
    Ok(())
}
