//! Attribute characteristics: the one table that drives parsing, validation, filters, PATCH,
//! projection, `/Schemas` and indexes (RFC 7643 §2.2, §7).

pub mod core;
pub mod registry;

use std::sync::Arc;

/// The kinds of resource a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// A person (RFC 7643 §4.1).
    User,
    /// A group of people and groups (RFC 7643 §4.2).
    Group,
}

impl ResourceKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// The name of the resource type: `meta.resourceType`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// The endpoint's path segment.
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    /// The attribute in which memberships are shown.
    pub const fn memberships(self) -> &'static str {
        match self {
            Self::User => "groups",
            Self::Group => "members",
        }
    }

    /// The kind whose resource type has that name, in any letter case.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// The kind whose endpoint is that path segment.
    pub fn at(segment: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.endpoint() == segment)
    }
}

/// How forgiving a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Profile {
    /// Takes what Microsoft Entra ID sends, rewritten into the RFC's form first.
    #[default]
    Entra,
    /// Takes what the RFCs allow and nothing else.
    Strict,
}

impl Profile {
    /// The profile's name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Entra => "entra",
            Self::Strict => "strict",
        }
    }

    /// The profile of that name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "entra" => Some(Self::Entra),
            "strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

/// Type of an attribute's value (RFC 7643 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Unicode text.
    String,
    /// `true` or `false`.
    Boolean,
    /// A number with or without fraction.
    Decimal,
    /// A whole number.
    Integer,
    /// Date and time with zone.
    DateTime,
    /// Base64 text.
    Binary,
    /// A URI.
    Reference,
    /// An object of sub-attributes.
    Complex,
    /// Whatever was sent: an attribute of an extension that nobody registered (profile `entra`).
    Any,
}

/// Who may set an attribute, and when (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// Set by the server alone.
    ReadOnly,
    /// Set by the client at any time.
    ReadWrite,
    /// Set once.
    Immutable,
    /// Set but never read.
    WriteOnly,
}

/// When an attribute is in an answer (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// Whatever the client asks.
    Always,
    /// Not even when asked for.
    Never,
    /// Unless the client excludes it or names others.
    Default,
    /// Only when named.
    Request,
}

/// Among whom a value is unique (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uniqueness {
    /// Not at all.
    None,
    /// Within the directory.
    Server,
    /// Everywhere.
    Global,
}

/// An attribute and its characteristics (RFC 7643 §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name in the schema's spelling; compared without regard to ASCII case.
    pub name: Box<str>,
    /// One sentence for people.
    pub description: Box<str>,
    /// Type of the value, or of each value.
    pub kind: Type,
    /// Whether there may be several values.
    pub multi_valued: bool,
    /// Whether a resource must have it.
    pub required: bool,
    /// Whether letter case counts in comparisons.
    pub case_exact: bool,
    /// Who may set it.
    pub mutability: Mutability,
    /// When it is returned.
    pub returned: Returned,
    /// Among whom it is unique.
    pub uniqueness: Uniqueness,
    /// Suggested values; others are accepted (RFC 7643 §7).
    pub canonical_values: Vec<Box<str>>,
    /// For references: what may be referred to.
    pub reference_types: Vec<Box<str>>,
    /// For complex attributes: the parts.
    pub sub_attributes: Vec<Arc<Self>>,
}

impl Attribute {
    /// The sub-attribute of that name, compared without regard to ASCII case.
    pub fn sub_attribute(&self, name: &str) -> Option<&Arc<Self>> {
        self.sub_attributes
            .iter()
            .find(|sub| sub.name.eq_ignore_ascii_case(name))
    }

    /// Whether elements are added and removed but never changed, as the members of a group are: their
    /// `value` is set once.
    pub fn has_fixed_elements(&self) -> bool {
        let value = self.sub_attribute("value");
        self.multi_valued && value.is_some_and(|value| value.mutability == Mutability::Immutable)
    }
}

/// A schema: a URN and its attributes (RFC 7643 §7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The schema's URN.
    pub id: Arc<str>,
    /// Name for people.
    pub name: Box<str>,
    /// One sentence for people.
    pub description: Box<str>,
    /// The attributes, in the order they are published.
    pub attributes: Vec<Arc<Attribute>>,
}

impl Schema {
    /// The attribute of that name, compared without regard to ASCII case.
    pub fn attribute(&self, name: &str) -> Option<&Arc<Attribute>> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}
