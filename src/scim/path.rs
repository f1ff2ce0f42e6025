//! Attribute paths: `[urn ":"] name ["." sub]` (RFC 7644 §3.10), and the paths of PATCH, which may
//! also choose elements (RFC 7644 §3.5.2). Reading the latter is `filter::parse`'s work.

use std::fmt;
use std::sync::Arc;

use crate::scim::filter::Filter;
use crate::scim::json::shortened;
use crate::scim::schema::Attribute;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::Schema;
use crate::scim::schema::Type;
use crate::scim::schema::registry::Registry;
use crate::scim::schema::registry::untyped;

/// A path that names an attribute the resource type has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttrPath {
    /// The extension's URN in the schema's spelling; `None` for core and common attributes.
    pub extension: Option<Arc<str>>,
    /// The attribute.
    pub attribute: Arc<Attribute>,
    /// The sub-attribute, where the path names one.
    pub sub: Option<Arc<Attribute>>,
}

/// Why a text is not the path of an attribute. `Display` says so to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// There is nothing where a name should be.
    #[error("there is no attribute name where one is needed")]
    Empty,
    /// A name holds a character that names do not have (RFC 7643 §2.1).
    #[error(
        "{name:?} is not an attribute name; a name is a letter, then letters, digits, `-`, `_` or `$`"
    )]
    Name {
        /// The text that should be a name.
        name: String,
    },
    /// More than one dot: SCIM has two levels of attributes.
    #[error("{path:?} goes deeper than attribute and sub-attribute")]
    Deep {
        /// The names after the schema's URN.
        path: String,
    },
    /// The schema has no such attribute.
    #[error("{owner} has no attribute {name:?}")]
    Unknown {
        /// The resource type or schema that was asked.
        owner: String,
        /// The name as it was sent.
        name: String,
    },
    /// The attribute has no such sub-attribute.
    #[error("{attribute:?} has no sub-attribute {name:?}")]
    UnknownSub {
        /// The attribute in the schema's spelling.
        attribute: String,
        /// The name as it was sent.
        name: String,
    },
    /// The URN is not that of a schema of the resource type.
    #[error("no schema of {kind} is the beginning of {path:?}")]
    UnknownSchema {
        /// The resource type.
        kind: &'static str,
        /// The path as it was sent.
        path: String,
    },
}

impl PathError {
    /// Whether the text is well formed and merely names what the resource type does not have.
    pub const fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::UnknownSub { .. } | Self::UnknownSchema { .. } => true,
            Self::Empty | Self::Name { .. } | Self::Deep { .. } => false,
        }
    }
}

impl AttrPath {
    /// Parses an attribute path of a kind of resource.
    ///
    /// # Errors
    ///
    /// [`PathError`] when the text is no path, or names what the kind of resource does not have.
    pub fn parse(text: &str, registry: &Registry, kind: ResourceKind) -> Result<Self, PathError> {
        if !text.contains(':') {
            return Self::within(None, text, &|name| registry.attribute(kind, None, name))
                .map_err(|error| error.owned_by(kind.name()));
        }
        if let Some((core, rest)) = split(text, [registry.core(kind)]) {
            let find = |name: &str| registry.attribute(kind, None, name);
            return Self::within(None, rest, &find).map_err(|error| error.owned_by(&core.id));
        }
        if let Some((schema, rest)) = split(text, registry.extensions(kind)) {
            let find = |name: &str| schema.attribute(name).cloned();
            return Self::within(Some(schema.id.clone()), rest, &find)
                .map_err(|error| error.owned_by(&schema.id));
        }
        let unknown = || PathError::UnknownSchema {
            kind: kind.name(),
            path: shortened(text).to_owned(),
        };
        // A schema of another kind of resource is known, and says nothing about this one.
        // Its URN alone names no attribute: split at the last colon, it would be one of nobody's.
        let known = split(text, registry.schemas()).is_some() || registry.schema(text).is_some();
        if registry.profile() == Profile::Strict || known {
            return Err(unknown());
        }
        // Nobody registered the extension, so only its last colon can end the URN: the URN's
        // version holds a dot, and names hold no colon.
        let (urn, rest) = text.rsplit_once(':').ok_or_else(unknown)?;
        let find = |name: &str| Some(Arc::new(untyped(name)));
        Self::within(Some(urn.into()), rest, &find).map_err(|error| error.owned_by(urn))
    }

    /// Parses `name ["." sub]`; `find` knows the attributes of the schema.
    fn within(
        extension: Option<Arc<str>>,
        text: &str,
        find: &dyn Fn(&str) -> Option<Arc<Attribute>>,
    ) -> Result<Self, PathError> {
        let (name, sub) = match text.split_once('.') {
            Some((_, sub)) if sub.contains('.') => {
                let path = shortened(text).to_owned();
                return Err(PathError::Deep { path });
            }
            Some((name, sub)) => (name, Some(sub)),
            None => (text, None),
        };
        check_name(name)?;
        let attribute = find(name).ok_or_else(|| PathError::Unknown {
            owner: String::new(),
            name: shortened(name).to_owned(),
        })?;
        let sub = sub.map(|sub| part(&attribute, sub)).transpose()?;
        Ok(Self {
            extension,
            attribute,
            sub,
        })
    }

    /// The path of one attribute of the same element or resource, without its sub-attribute.
    pub fn whole(&self) -> Self {
        Self {
            sub: None,
            ..self.clone()
        }
    }

    /// The same path, down to that sub-attribute.
    pub fn with_sub(&self, sub: Arc<Attribute>) -> Self {
        Self {
            sub: Some(sub),
            ..self.clone()
        }
    }

    /// What the path ends at: the sub-attribute, or else the attribute.
    pub fn leaf(&self) -> &Arc<Attribute> {
        self.sub.as_ref().unwrap_or(&self.attribute)
    }
}

impl PathError {
    /// The same refusal, with the name of the schema that was asked.
    fn owned_by(self, owner: &str) -> Self {
        match self {
            Self::Unknown { name, .. } => Self::Unknown {
                owner: owner.to_owned(),
                name,
            },
            other @ (Self::Empty
            | Self::Name { .. }
            | Self::Deep { .. }
            | Self::UnknownSub { .. }
            | Self::UnknownSchema { .. }) => other,
        }
    }
}

impl fmt::Display for AttrPath {
    /// The path as clients write it: with the URN for attributes of extensions only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.extension {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.attribute.name)?;
        match &self.sub {
            Some(sub) => write!(f, ".{}", sub.name),
            None => Ok(()),
        }
    }
}

/// What a PATCH operation acts on (RFC 7644 §3.5.2, errata 7122).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchPath {
    /// An attribute or sub-attribute; of a multi-valued attribute, that of every element.
    Attribute(AttrPath),
    /// Those elements of a multi-valued attribute that the filter matches.
    Elements {
        /// The attribute; the sub-attribute, where the path names one, is acted on in each element.
        path: AttrPath,
        /// Chooses the elements.
        filter: Box<Filter>,
    },
    /// Everything a resource has of an extension.
    Extension(Arc<str>),
}

impl PatchPath {
    /// The attribute path without the choice of elements; `None` for a whole extension.
    pub const fn attr_path(&self) -> Option<&AttrPath> {
        match self {
            Self::Attribute(path) | Self::Elements { path, .. } => Some(path),
            Self::Extension(_) => None,
        }
    }
}

impl fmt::Display for PatchPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(path) => path.fmt(f),
            Self::Extension(urn) => f.write_str(urn),
            Self::Elements { path, filter } => {
                write!(f, "{}[{filter}]", path.whole())?;
                match &path.sub {
                    Some(sub) => write!(f, ".{}", sub.name),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The part of an attribute with that name.
///
/// # Errors
///
/// [`PathError`] when it is not a name, or the attribute has no such part.
pub fn part(attribute: &Attribute, name: &str) -> Result<Arc<Attribute>, PathError> {
    check_name(name)?;
    if attribute.kind == Type::Any {
        return Ok(Arc::new(untyped(name)));
    }
    let unknown = || PathError::UnknownSub {
        attribute: attribute.name.to_string(),
        name: shortened(name).to_owned(),
    };
    attribute.sub_attribute(name).cloned().ok_or_else(unknown)
}

/// Checks `ATTRNAME` (RFC 7643 §2.1). `$ref` begins with `$` in spite of it (erratum 8924).
fn check_name(name: &str) -> Result<(), PathError> {
    let mut letters = name.strip_prefix('$').unwrap_or(name).chars();
    let first = letters.next().ok_or(PathError::Empty)?;
    let later = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$');
    if first.is_ascii_alphabetic() && letters.all(later) {
        Ok(())
    } else {
        let name = shortened(name).to_owned();
        Err(PathError::Name { name })
    }
}

/// Splits the URN of one of these schemas off a path: the longest that fits, since one URN may
/// begin another, and URNs hold the dots and colons that end names elsewhere.
fn split<'s, 't>(
    text: &'t str,
    schemas: impl IntoIterator<Item = &'s Schema>,
) -> Option<(&'s Schema, &'t str)> {
    schemas
        .into_iter()
        .filter_map(|schema| {
            let (urn, rest) = text.split_at_checked(schema.id.len())?;
            let rest = rest.strip_prefix(':')?;
            urn.eq_ignore_ascii_case(&schema.id)
                .then_some((schema, rest))
        })
        .max_by_key(|(schema, _)| schema.id.len())
}

#[cfg(test)]
mod tests {
    use crate::scim::path::AttrPath;
    use crate::scim::schema::Profile;
    use crate::scim::schema::ResourceKind;
    use crate::scim::schema::registry::Registry;

    /// The path that `text` names in a user of a directory of this profile, printed.
    fn user_path(profile: Profile, text: &str) -> Result<String, String> {
        let registry = Registry::new(profile, false);
        AttrPath::parse(text, &registry, ResourceKind::User)
            .map(|path| path.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_is_read_in_any_case_and_printed_in_the_schemas_spelling() {
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        for (text, printed) in [
            ("username", "userName"),
            ("Name.FamilyName", "name.familyName"),
            ("emails.$ref", "!\"emails\" has no sub-attribute \"$ref\""),
            ("groups.$REF", "groups.$ref"),
            ("meta.LASTMODIFIED", "meta.lastModified"),
            ("urn:ietf:params:scim:schemas:core:2.0:User:title", "title"),
            (
                "URN:ietf:params:scim:schemas:core:2.0:user:Name.givenname",
                "name.givenName",
            ),
            (
                &format!("{enterprise}:manager.value"),
                &format!("{enterprise}:manager.value"),
            ),
            (
                &enterprise.to_uppercase().replace("USER", "USER:DEPARTMENT"),
                &format!("{enterprise}:department"),
            ),
        ] {
            for profile in [Profile::Entra, Profile::Strict] {
                let found = user_path(profile, text).unwrap_or_else(|error| format!("!{error}"));
                assert_eq!(found, printed, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "there is no attribute name where one is needed"),
            ("name.", "there is no attribute name where one is needed"),
            (".x", "there is no attribute name where one is needed"),
            (
                "a.b.c",
                "\"a.b.c\" goes deeper than attribute and sub-attribute",
            ),
            ("shoeSize", "User has no attribute \"shoeSize\""),
            (
                "urn:ietf:params:scim:schemas:core:2.0:User",
                "no schema of User is the beginning of \"urn:ietf:params:scim:schemas:core:2.0:User\"",
            ),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
                "no schema of User is the beginning of \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\"",
            ),
            ("userName.x", "\"userName\" has no sub-attribute \"x\""),
            (
                "user name",
                "\"user name\" is not an attribute name; a name is a letter, then letters, digits, `-`, `_` or `$`",
            ),
            (
                "urn:ietf:params:scim:schemas:core:2.0:User:shoeSize",
                "urn:ietf:params:scim:schemas:core:2.0:User has no attribute \"shoeSize\"",
            ),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:shoeSize",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User has no attribute \"shoeSize\"",
            ),
            (
                "urn:ietf:params:scim:schemas:core:2.0:Group:members",
                "no schema of User is the beginning of \"urn:ietf:params:scim:schemas:core:2.0:Group:members\"",
            ),
        ] {
            for profile in [Profile::Entra, Profile::Strict] {
                assert_eq!(user_path(profile, text).unwrap_err(), reason, "{text}");
            }
        }
    }

    #[test]
    fn an_unregistered_extension_ends_at_the_last_colon_where_it_is_tolerated() {
        let text = "urn:ietf:params:scim:schemas:extension:custom:2.0:User:costCode.x";
        assert_eq!(user_path(Profile::Entra, text).as_deref(), Ok(text));
        assert!(user_path(Profile::Strict, text).is_err());
        let registry = Registry::new(Profile::Entra, false);
        let path = AttrPath::parse(text, &registry, ResourceKind::User).unwrap();
        assert_eq!(
            path.extension.as_deref(),
            Some("urn:ietf:params:scim:schemas:extension:custom:2.0:User")
        );
        assert_eq!(&*path.attribute.name, "costCode");
    }
}
