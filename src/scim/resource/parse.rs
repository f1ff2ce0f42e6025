//! Trees that clients sent become [`Resource`]s: types checked, names in the schema's spelling,
//! the unassigned dropped (RFC 7643 §2, RFC 7644 §3.3, §3.5.1).
//!
//! Strict in both profiles. What Entra does differently was rewritten by `dialect` before; here the
//! profile decides only about extensions that nobody registered.

use std::fmt;

use serde_json::Map;
use serde_json::Value;

use crate::base::clock::Timestamp;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::json::shortened;
use crate::scim::resource::Note;
use crate::scim::resource::Resource;
use crate::scim::resource::declared::check_declared;
use crate::scim::resource::declared::declared_schemas;
use crate::scim::resource::is_unassigned;
use crate::scim::schema::Attribute;
use crate::scim::schema::Mutability;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::Returned;
use crate::scim::schema::Schema;
use crate::scim::schema::Type;
use crate::scim::schema::registry::Registry;
use crate::scim::text::is_invisible;

/// Reads the body of a POST or PUT.
///
/// # Errors
///
/// The first thing in the body that the schema forbids.
pub fn parse(
    body: Value,
    registry: &Registry,
    kind: ResourceKind,
    notes: &mut Vec<Note>,
) -> Result<Resource, ScimError> {
    let Value::Object(mut body) = body else {
        let detail = format!("the body must be a JSON object, not {}", found(&body));
        return Err(ScimError::new(Condition::BodySchema, detail));
    };
    let schemas = take(&mut body, "schemas");
    let declared = declared_schemas(schemas, registry, kind, notes)?;
    // RFC 7644 §3.3: what is left out may get a default, what is null shall not.
    let default_active = kind == ResourceKind::User && get(&body, "active").is_none();
    let mut tree = members(body, registry, kind, notes)?;
    check_declared(&declared, &tree, registry, notes)?;
    if default_active {
        tree.insert("active".to_owned(), Value::Bool(true));
    }
    finish(tree, registry, kind)
}

/// Checks a tree that a patch produced, drops what is unassigned and says in `schemas` what is there.
///
/// # Errors
///
/// The first thing in the tree that the schema forbids.
pub fn settle(
    kind: ResourceKind,
    mut tree: Map<String, Value>,
    registry: &Registry,
) -> Result<Resource, ScimError> {
    tree.shift_remove("schemas");
    let tree = members(tree, registry, kind, &mut Vec::new())?;
    finish(tree, registry, kind)
}

/// Checks one value of an attribute or sub-attribute that is called `at` in errors. Names of
/// sub-attributes get the schema's spelling; unknown ones are left out and noted, read-only ones left
/// out. [`Value::Null`] means unassigned; so does everything given to an attribute that is
/// never returned, since Rollcall keeps no such values.
///
/// # Errors
///
/// [`Condition::ValueType`] when the value has another type than the attribute, or two elements
/// are primary.
pub fn value(
    value: Value,
    attribute: &Attribute,
    at: &str,
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<Value, ScimError> {
    let at = At {
        extension: None,
        attribute: at,
        index: None,
        sub: None,
    };
    checked(value, attribute, at, registry, notes)
}

/// Where in a body a value is. Printed only when something is wrong.
#[derive(Clone, Copy)]
struct At<'a> {
    /// The extension's URN.
    extension: Option<&'a str>,
    /// The attribute, or its whole path.
    attribute: &'a str,
    /// The element of a multi-valued attribute, from 0.
    index: Option<usize>,
    /// The sub-attribute.
    sub: Option<&'a str>,
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = self.extension {
            write!(f, "{urn}:")?;
        }
        f.write_str(self.attribute)?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        if let Some(sub) = self.sub {
            write!(f, ".{sub}")?;
        }
        Ok(())
    }
}

/// [`value`], with a place that costs nothing until it is printed.
fn checked(
    value: Value,
    attribute: &Attribute,
    at: At<'_>,
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<Value, ScimError> {
    if is_unassigned(&value) {
        return Ok(Value::Null);
    }
    let value = if attribute.multi_valued {
        elements(value, attribute, at, registry, notes)?
    } else {
        single(value, attribute, at, registry, notes)?
    };
    // RFC 7643 §7 `never`: only `password`, which is discarded.
    if attribute.returned == Returned::Never {
        return Ok(Value::Null);
    }
    Ok(value)
}

/// Checks the elements of a multi-valued attribute.
fn elements(
    value: Value,
    attribute: &Attribute,
    at: At<'_>,
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<Value, ScimError> {
    let Value::Array(values) = value else {
        let expected = format!("an array in which each element is {}", expected(attribute));
        return Err(wrong_type(at, &expected, &value));
    };
    let mut kept = Vec::with_capacity(values.len());
    let mut primary = None;
    for (index, element) in values.into_iter().enumerate() {
        let here = At {
            index: Some(index),
            ..at
        };
        let element = single(element, attribute, here, registry, notes)?;
        if is_unassigned(&element) {
            continue;
        }
        if element.get("primary") == Some(&Value::Bool(true))
            && let Some(other) = primary.replace(index)
        {
            // RFC 7643 §2.4: `true` at most once.
            let detail = format!(
                "`{at}` has two primary elements, [{other}] and [{index}]; at most one may be"
            );
            return Err(ScimError::new(Condition::ValueType, detail));
        }
        kept.push(element);
    }
    Ok(if kept.is_empty() {
        Value::Null
    } else {
        Value::Array(kept)
    })
}

/// Checks one value of an attribute: the only one, or one element.
fn single(
    value: Value,
    attribute: &Attribute,
    at: At<'_>,
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<Value, ScimError> {
    if is_unassigned(&value) {
        return Ok(Value::Null);
    }
    let fits = match (attribute.kind, &value) {
        (Type::Any, _)
        | (Type::String | Type::Reference, Value::String(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::Decimal, Value::Number(_))
        | (Type::Complex, Value::Object(_)) => true,
        // RFC 7643 §2.3.4: no fraction, no exponent, not even `1.0`.
        (Type::Integer, Value::Number(number)) => !number.is_f64(),
        (Type::DateTime, Value::String(text)) => Timestamp::parse(text).is_ok(),
        (Type::Binary, Value::String(text)) => is_base64(text),
        _ => false,
    };
    if !fits {
        return Err(wrong_type(at, expected(attribute), &value));
    }
    match value {
        Value::Object(members) if attribute.kind == Type::Complex => {
            parts(members, attribute, at, registry, notes)
        }
        value => Ok(value),
    }
}

/// Checks the sub-attributes of one complex value (RFC 7643 §2.3.8).
fn parts(
    members: Map<String, Value>,
    attribute: &Attribute,
    at: At<'_>,
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<Value, ScimError> {
    let mut kept = Map::with_capacity(members.len());
    for (name, value) in members {
        if is_unassigned(&value) {
            continue;
        }
        let Some(sub) = attribute.sub_attribute(&name) else {
            let sub = Some(shortened(&name));
            Note::add(notes, Note::UNKNOWN_IGNORED, &At { sub, ..at }.to_string());
            continue;
        };
        if sub.mutability == Mutability::ReadOnly {
            continue;
        }
        let sub_at = At {
            sub: Some(&sub.name),
            ..at
        };
        let value = checked(value, sub, sub_at, registry, notes)?;
        if !value.is_null() {
            kept.insert(spelled(name, &sub.name), value);
        }
    }
    Ok(if kept.is_empty() {
        Value::Null
    } else {
        Value::Object(kept)
    })
}

/// Checks a resource's members, `schemas` apart.
fn members(
    body: Map<String, Value>,
    registry: &Registry,
    kind: ResourceKind,
    notes: &mut Vec<Note>,
) -> Result<Map<String, Value>, ScimError> {
    let mut tree = Map::with_capacity(body.len().saturating_add(2));
    for (name, value) in body {
        if is_unassigned(&value) {
            continue;
        }
        if let Some(schema) = registry.extension(kind, &name) {
            if let Some(value) = extension(value, schema, registry, notes)? {
                tree.insert(spelled(name, &schema.id), value);
            }
        } else if name.contains(':') {
            if let Some(value) = unregistered(&name, value, registry, notes)? {
                tree.insert(name, value);
            }
        } else if let Some(attribute) = registry.attribute(kind, None, &name) {
            // RFC 7644 §3.3, §3.5.1: read-only values are ignored. Clients send back what they read.
            if attribute.mutability == Mutability::ReadOnly {
                continue;
            }
            let at = At {
                extension: None,
                attribute: &attribute.name,
                index: None,
                sub: None,
            };
            let value = checked(value, &attribute, at, registry, notes)?;
            if !value.is_null() {
                tree.insert(spelled(name, &attribute.name), value);
            }
        } else {
            Note::add(notes, Note::UNKNOWN_IGNORED, &name);
        }
    }
    Ok(tree)
}

/// Checks the object of a registered extension (RFC 7643 §3.3). `None` when nothing is left of it.
fn extension(
    value: Value,
    schema: &Schema,
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<Option<Value>, ScimError> {
    let Value::Object(members) = value else {
        let detail = format!("`{}` must be an object, not {}", schema.id, found(&value));
        return Err(ScimError::new(Condition::ValueType, detail));
    };
    let mut kept = Map::with_capacity(members.len());
    for (name, value) in members {
        if is_unassigned(&value) {
            continue;
        }
        let Some(attribute) = schema.attribute(&name) else {
            let path = format!("{}:{}", schema.id, shortened(&name));
            Note::add(notes, Note::UNKNOWN_IGNORED, &path);
            continue;
        };
        if attribute.mutability == Mutability::ReadOnly {
            continue;
        }
        let at = At {
            extension: Some(&schema.id),
            attribute: &attribute.name,
            index: None,
            sub: None,
        };
        let value = checked(value, attribute, at, registry, notes)?;
        if !value.is_null() {
            kept.insert(spelled(name, &attribute.name), value);
        }
    }
    Ok((!kept.is_empty()).then_some(Value::Object(kept)))
}

/// What becomes of an extension that nobody registered: profile `entra` keeps its members as they
/// were sent, profile `strict` refuses it.
fn unregistered(
    urn: &str,
    value: Value,
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<Option<Value>, ScimError> {
    match (registry.profile(), value) {
        (Profile::Strict, _) => {
            let urn = shortened(urn);
            let detail = format!("`{urn}` is not a schema of this resource type; see /Schemas");
            Err(ScimError::new(Condition::BodySchema, detail))
        }
        (Profile::Entra, Value::Object(mut members)) if !is_of_registered(urn, registry) => {
            members.retain(|_, value| !is_unassigned(value));
            if members.is_empty() {
                return Ok(None);
            }
            Note::add(notes, Note::UNKNOWN_KEPT, urn);
            Ok(Some(Value::Object(members)))
        }
        // Not an extension: those are objects (RFC 7643 §3.3).
        (Profile::Entra, _) => {
            Note::add(notes, Note::UNKNOWN_IGNORED, urn);
            Ok(None)
        }
    }
}

/// Whether a name is a registered schema's URN, or an attribute's name with that URN before it.
/// Neither is the URN of an extension that nobody registered.
fn is_of_registered(name: &str, registry: &Registry) -> bool {
    let prefix = name.rsplit_once(':').map(|(urn, _)| urn);
    registry.schema(name).is_some() || prefix.is_some_and(|urn| registry.schema(urn).is_some())
}

/// Checks what concerns the whole resource and puts `schemas` first.
fn finish(
    mut tree: Map<String, Value>,
    registry: &Registry,
    kind: ResourceKind,
) -> Result<Resource, ScimError> {
    let core = registry.core(kind);
    for attribute in core.attributes.iter().filter(|a| a.required) {
        let missing = match tree.get(&*attribute.name) {
            None => true,
            Some(value) => value.as_str().is_some_and(|text| text.trim().is_empty()),
        };
        if missing {
            let detail = format!("`{}` is required and must not be empty", attribute.name);
            return Err(ScimError::new(Condition::ValueRequired, detail));
        }
    }
    // RFC 8265 §3.3: a name with characters that nobody sees could look like another one.
    let user_name = tree.get("userName").and_then(Value::as_str);
    if user_name.is_some_and(|name| name.contains(is_invisible)) {
        let detail = "`userName` must not contain control or invisible characters";
        return Err(ScimError::new(Condition::ValueType, detail));
    }
    let extensions = tree.keys().filter(|name| name.contains(':'));
    let schemas = [&*core.id]
        .into_iter()
        .chain(extensions.map(String::as_str))
        .map(Value::from)
        .collect();
    tree.shift_insert(0, "schemas".to_owned(), Value::Array(schemas));
    Ok(Resource { kind, tree })
}

/// The schema's spelling of a name: nearly always the one that came.
fn spelled(name: String, schema: &str) -> String {
    if name == schema {
        name
    } else {
        schema.to_owned()
    }
}

/// The member of that name, compared without regard to ASCII case.
fn get<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// Takes out the member of that name, compared without regard to ASCII case.
fn take(members: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let key = members.keys().find(|key| key.eq_ignore_ascii_case(name));
    let key = key?.clone();
    members.shift_remove(&key)
}

/// The refusal of a value that has another type than its attribute.
fn wrong_type(at: At<'_>, expected: &str, value: &Value) -> ScimError {
    // A string where the form is wrong rather than the type: "not a string" would mislead.
    let detail = match value {
        Value::String(_) if expected.contains("string in") || expected.contains("zone") => {
            format!("`{at}` must be {expected}")
        }
        _ => format!("`{at}` must be {expected}, not {}", found(value)),
    };
    ScimError::new(Condition::ValueType, detail)
}

/// What one value of an attribute must be, for an error's sentence.
fn expected(attribute: &Attribute) -> &'static str {
    match attribute.kind {
        Type::String => "a string",
        Type::Boolean => "true or false (without quotation marks)",
        Type::Decimal => "a number",
        Type::Integer => "a whole number without fraction or exponent",
        Type::DateTime => "a date and time with a zone, such as \"2026-01-31T07:00:00Z\"",
        Type::Binary => "a string in base64",
        Type::Reference => "a string that holds a URI",
        Type::Complex => "an object",
        Type::Any => "a value",
    }
}

/// What a value is, for an error's sentence. Never the value itself: it may be a secret.
pub(super) fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with fraction or exponent",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Whether a text is base64 in either alphabet of RFC 4648; padding may be missing (RFC 7643 §2.3.6).
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len().saturating_sub(digits.len());
    let digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_');
    let whole = padding == 0 || text.len().is_multiple_of(4);
    padding <= 2 && whole && digits.len() % 4 != 1 && digits.bytes().all(digit)
}

#[cfg(test)]
mod tests;
