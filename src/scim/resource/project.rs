//! Which attributes an answer has: `attributes`, `excludedAttributes` and what is returned without
//! being asked for (RFC 7644 §3.4.2.5, §3.9). Names that no schema has are ignored.

use serde_json::Map;
use serde_json::Value;

use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::Returned;
use crate::scim::schema::Schema;
use crate::scim::schema::registry::Registry;

/// Most names a request may list.
const NAMES_MAX: usize = 200;

/// What the client wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projection {
    /// Everything that is returned by default.
    Default,
    /// These and what is always returned.
    Only(Vec<Name>),
    /// Everything but these; what is always returned stays.
    Except(Vec<Name>),
}

/// One name of a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The extension's URN; `None` for core and common attributes.
    extension: Option<Box<str>>,
    /// The attribute; `None` for the whole extension.
    attribute: Option<Box<str>>,
    /// The sub-attribute, where one is named.
    sub: Option<Box<str>>,
}

/// How much of an attribute the names mean.
#[derive(Debug, PartialEq, Eq)]
enum Share<'a> {
    /// Nothing of it.
    Nothing,
    /// These sub-attributes.
    Parts(Vec<&'a str>),
    /// All of it.
    Whole,
}

impl Projection {
    /// Reads the two parameters: names separated by commas. A parameter without names counts as
    /// absent.
    ///
    /// # Errors
    ///
    /// [`Condition::BadRequest`] when both are given or there are too many names.
    pub fn parse(
        attributes: Option<&str>,
        excluded: Option<&str>,
        registry: &Registry,
        kind: ResourceKind,
    ) -> Result<Self, ScimError> {
        let attributes = attributes.map_or_else(Vec::new, split);
        let excluded = excluded.map_or_else(Vec::new, split);
        if attributes.len().max(excluded.len()) > NAMES_MAX {
            let detail = format!("more than {NAMES_MAX} attribute names are listed");
            return Err(ScimError::new(Condition::BadRequest, detail));
        }
        let names = |list: Vec<&str>| {
            let mut names = Vec::with_capacity(list.len());
            for text in list {
                resolve(text, registry, kind, &mut names);
            }
            names
        };
        match (attributes.is_empty(), excluded.is_empty()) {
            (true, true) => Ok(Self::Default),
            (false, true) => Ok(Self::Only(names(attributes))),
            (true, false) => Ok(Self::Except(names(excluded))),
            (false, false) => Err(ScimError::new(
                Condition::BadRequest,
                "`attributes` and `excludedAttributes` exclude each other; send one of them",
            )),
        }
    }

    /// Whether the client asked for nothing in particular.
    pub fn is_default(&self) -> bool {
        *self == Self::Default
    }

    /// Whether anything may be shown of memberships: of `members` of a group, `groups` of a user. If
    /// not, they need not even be read.
    pub fn wants(&self, attribute: &str, kind: ResourceKind) -> bool {
        if !attribute.eq_ignore_ascii_case(kind.memberships()) {
            return false;
        }
        match self {
            Self::Default => true,
            Self::Only(names) => share(names, None, attribute) != Share::Nothing,
            Self::Except(names) => share(names, None, attribute) != Share::Whole,
        }
    }

    /// Whether memberships are shown as they are, with all that each says.
    pub fn wants_all(&self, kind: ResourceKind) -> bool {
        let attribute = kind.memberships();
        match self {
            Self::Default => true,
            Self::Only(names) => share(names, None, attribute) == Share::Whole,
            Self::Except(names) => share(names, None, attribute) == Share::Nothing,
        }
    }
}

/// Leaves in `tree`, a whole answer, what the projection wants. Extensions of which nothing is left
/// disappear from `schemas` too.
pub fn project(
    tree: &mut Map<String, Value>,
    projection: &Projection,
    registry: &Registry,
    kind: ResourceKind,
) {
    if projection.is_default() {
        return;
    }
    let whole = std::mem::take(tree);
    for (name, value) in whole {
        let attribute = registry.attribute(kind, None, &name);
        let kept = if attribute.is_some_and(|a| a.returned == Returned::Always) {
            Some(value)
        } else if name.contains(':') {
            extension(&name, value, projection)
        } else {
            kept(value, None, &name, projection)
        };
        if let Some(value) = kept {
            tree.insert(name, value);
        }
    }
    let mut schemas = tree.get("schemas").cloned();
    if let Some(Value::Array(urns)) = &mut schemas {
        let core = &*registry.core(kind).id;
        urns.retain(|urn| {
            urn.as_str()
                .is_some_and(|urn| urn == core || tree.contains_key(urn))
        });
    }
    if let Some(schemas) = schemas {
        tree.insert("schemas".to_owned(), schemas);
    }
}

/// What is left of an extension's object.
fn extension(urn: &str, value: Value, projection: &Projection) -> Option<Value> {
    let whole = |names: &[Name]| names.iter().any(|name| name.is_whole(urn));
    match projection {
        Projection::Default => return Some(value),
        Projection::Only(names) if whole(names) => return Some(value),
        Projection::Except(names) if whole(names) => return None,
        Projection::Only(_) | Projection::Except(_) => {}
    }
    let Value::Object(members) = value else {
        return None;
    };
    let members: Map<_, _> = members
        .into_iter()
        .filter_map(|(name, value)| {
            let value = kept(value, Some(urn), &name, projection)?;
            Some((name, value))
        })
        .collect();
    (!members.is_empty()).then_some(Value::Object(members))
}

/// What is left of one attribute's value.
fn kept(
    value: Value,
    extension: Option<&str>,
    attribute: &str,
    projection: &Projection,
) -> Option<Value> {
    match projection {
        Projection::Default => Some(value),
        Projection::Only(names) => match share(names, extension, attribute) {
            Share::Nothing => None,
            Share::Whole => Some(value),
            Share::Parts(subs) => parts(value, &|name| contains(&subs, name)),
        },
        Projection::Except(names) => match share(names, extension, attribute) {
            Share::Nothing => Some(value),
            Share::Whole => None,
            Share::Parts(subs) => parts(value, &|name| !contains(&subs, name)),
        },
    }
}

/// Whether `subs` has this name.
fn contains(subs: &[&str], name: &str) -> bool {
    subs.iter().any(|sub| sub.eq_ignore_ascii_case(name))
}

/// The value with those sub-attributes that `wanted` lets pass, in each element.
fn parts(value: Value, wanted: &dyn Fn(&str) -> bool) -> Option<Value> {
    match value {
        Value::Object(mut members) => {
            members.retain(|name, _| wanted(name));
            (!members.is_empty()).then_some(Value::Object(members))
        }
        Value::Array(elements) => {
            let elements: Vec<_> = elements
                .into_iter()
                .filter_map(|element| parts(element, wanted))
                .collect();
            (!elements.is_empty()).then_some(Value::Array(elements))
        }
        // Without sub-attributes there is nothing that a sub-attribute's name could take or leave.
        simple => wanted("").then_some(simple),
    }
}

/// How much of an attribute these names mean.
fn share<'a>(names: &'a [Name], extension: Option<&str>, attribute: &str) -> Share<'a> {
    let mut parts = Vec::new();
    for name in names {
        if !name.is_of(extension, attribute) {
            continue;
        }
        match &name.sub {
            None => return Share::Whole,
            Some(sub) => parts.push(&**sub),
        }
    }
    if parts.is_empty() {
        Share::Nothing
    } else {
        Share::Parts(parts)
    }
}

impl Name {
    /// Whether the name means this whole extension.
    fn is_whole(&self, urn: &str) -> bool {
        let extension = self.extension.as_deref();
        self.attribute.is_none() && extension.is_some_and(|e| e.eq_ignore_ascii_case(urn))
    }

    /// Whether the name means this attribute or a part of it.
    fn is_of(&self, extension: Option<&str>, attribute: &str) -> bool {
        let extension_fits = match (self.extension.as_deref(), extension) {
            (None, None) => true,
            (Some(this), Some(that)) => this.eq_ignore_ascii_case(that),
            _ => false,
        };
        let name = self.attribute.as_deref();
        extension_fits && name.is_some_and(|name| name.eq_ignore_ascii_case(attribute))
    }
}

/// Splits a list at its commas, those in brackets and quotation marks apart.
fn split(list: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let mut quoted = false;
    let at_comma = |c: char| {
        match c {
            '"' => quoted = !quoted,
            '[' if !quoted => depth = depth.saturating_add(1),
            ']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0 && !quoted
    };
    list.split(at_comma)
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// Appends what a name means: nothing when no schema has it.
fn resolve(text: &str, registry: &Registry, kind: ResourceKind, names: &mut Vec<Name>) {
    // Microsoft's request collection asks for `emails[type eq "work"]`. The RFC has no filters
    // here; the attribute it is about is the closest answer.
    let (text, tail) = match text.split_once('[') {
        Some((head, filter)) => (head, filter.rsplit_once(']').map_or("", |(_, tail)| tail)),
        None => (text, ""),
    };
    let core = registry.core(kind);
    if core.id.eq_ignore_ascii_case(text) {
        names.extend(
            core.attributes
                .iter()
                .map(|a| Name::new(None, &a.name, None)),
        );
        return;
    }
    if let Some(schema) = registry.extension(kind, text) {
        names.push(Name::extension(&schema.id));
        return;
    }
    let schemas = registry.extensions(kind).iter().chain([core]);
    let owned = schemas
        .filter_map(|schema| Some((schema, after_urn(text, &schema.id)?)))
        .max_by_key(|(schema, _)| schema.id.len());
    let (schema, path) = match owned {
        Some((schema, path)) => (Some(schema), path),
        None if text.contains(':') => return unregistered(text, tail, names),
        None => (None, text),
    };
    let (name, sub) = parts_of(path, tail);
    let urn = schema.filter(|schema| schema.id != core.id).map(urn_of);
    let Some(attribute) = registry.attribute(kind, urn, name) else {
        return;
    };
    match sub {
        None => names.push(Name::new(urn, &attribute.name, None)),
        Some(sub) => {
            if let Some(sub) = attribute.sub_attribute(sub) {
                names.push(Name::new(urn, &attribute.name, Some(&sub.name)));
            }
        }
    }
}

/// The schema's URN.
fn urn_of(schema: &Schema) -> &str {
    &schema.id
}

/// A name of an extension that nobody registered: the whole extension, or one attribute of it.
/// Only the resource can tell; so both are meant.
fn unregistered(text: &str, tail: &str, names: &mut Vec<Name>) {
    names.push(Name::extension(text));
    if let Some((urn, path)) = text.rsplit_once(':') {
        let (name, sub) = parts_of(path, tail);
        names.push(Name::new(Some(urn), name, sub));
    }
}

/// What follows a schema's URN and a colon.
fn after_urn<'a>(text: &'a str, urn: &str) -> Option<&'a str> {
    let (prefix, rest) = text.split_at_checked(urn.len())?;
    prefix.eq_ignore_ascii_case(urn).then_some(())?;
    rest.strip_prefix(':')
}

/// Attribute and sub-attribute of `name.sub`; the latter may stand after a filter.
fn parts_of<'a>(path: &'a str, tail: &'a str) -> (&'a str, Option<&'a str>) {
    match path.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (path, tail.strip_prefix('.')),
    }
}

impl Name {
    /// An attribute, or a part of one.
    fn new(extension: Option<&str>, attribute: &str, sub: Option<&str>) -> Self {
        Self {
            extension: extension.map(Into::into),
            attribute: Some(attribute.into()),
            sub: sub.map(Into::into),
        }
    }

    /// A whole extension.
    fn extension(urn: &str) -> Self {
        Self {
            extension: Some(urn.into()),
            attribute: None,
            sub: None,
        }
    }
}

#[cfg(test)]
mod tests;
