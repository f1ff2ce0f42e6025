//! Values as Entra sends them, in POST, PUT and PATCH.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::scim::dialect::entra;
use crate::scim::resource::Note;
use crate::scim::schema::Attribute;
use crate::scim::schema::Mutability;
use crate::scim::schema::Type;

/// Where a value was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// In the body of a POST or PUT: an empty string stays one, since what was sent is returned.
    InBody,
    /// In a PATCH: an empty string means no value.
    InPatch,
}

/// Rewrites the value of an attribute, down to its parts.
pub fn rewrite(value: Value, attribute: &Attribute, sent: Sent, notes: &mut Vec<Note>) -> Value {
    if attribute.multi_valued {
        return match empty_clears(value, attribute, sent, notes) {
            Value::Array(elements) => elements
                .into_iter()
                .map(|element| one(element, attribute, sent, notes))
                .collect(),
            // POST and PUT have no single elements: the engine says so of what was sent.
            single if sent == Sent::InBody => single,
            single => one(single, attribute, sent, notes),
        };
    }
    let value = wrapped_value(value, attribute, notes);
    one(value, attribute, sent, notes)
}

/// Rewrites the only value of an attribute, or one element.
pub fn one(value: Value, attribute: &Attribute, sent: Sent, notes: &mut Vec<Note>) -> Value {
    let value = plain_value(value, attribute, notes);
    let value = empty_clears(value, attribute, sent, notes);
    match (attribute.kind, value) {
        (Type::Boolean, value) => string_boolean(value, attribute, notes),
        (Type::Complex, Value::Object(members)) => parts(members, attribute, sent, notes),
        (_, value) => value,
    }
}

/// Rewrites the parts of a complex value.
fn parts(
    members: Map<String, Value>,
    attribute: &Attribute,
    sent: Sent,
    notes: &mut Vec<Note>,
) -> Value {
    let mut kept = Map::with_capacity(members.len());
    for (name, value) in members {
        if sent == Sent::InPatch
            && (unknown_part(attribute, &name, notes) || read_only_part(attribute, &name, notes))
        {
            continue;
        }
        let value = match attribute.sub_attribute(&name) {
            Some(sub) => rewrite(value, sub, sent, notes),
            None => value,
        };
        kept.insert(name, value);
    }
    Value::Object(kept)
}

/// A part that the schema does not have. The engine refuses it in PATCH; in POST and PUT it leaves it
/// out itself.
///
/// ```json
/// {"op": "add", "path": "members", "value": [{"value": "u-7f31c2", "displayName": "Mara"}]}
/// ```
fn unknown_part(attribute: &Attribute, name: &str, notes: &mut Vec<Note>) -> bool {
    let unknown = attribute.sub_attribute(name).is_none();
    if unknown {
        let path = format!("{}.{name}", attribute.name);
        Note::add(notes, Note::UNKNOWN_IGNORED, &path);
    }
    unknown
}

/// A part that is not the client's to set, sent along because it was read.
///
/// ```json
/// {"op": "Replace", "path": "urn:…:enterprise:2.0:User:manager", "value": {"value": "u-11aa02", "displayName": "Ida"}}
/// ```
fn read_only_part(attribute: &Attribute, name: &str, notes: &mut Vec<Note>) -> bool {
    let sub = attribute.sub_attribute(name);
    let read_only = sub.is_some_and(|sub| sub.mutability == Mutability::ReadOnly);
    if read_only {
        entra::read_only_ignored(&format!("{}.{name}", attribute.name), notes);
    }
    read_only
}

/// A boolean as a string, at any depth: the default dialect's way to disable somebody.
///
/// ```json
/// {"op": "Replace", "path": "active", "value": "False"}
/// {"roles": [{"primary": "True", "value": "Reader"}]}
/// ```
fn string_boolean(value: Value, attribute: &Attribute, notes: &mut Vec<Note>) -> Value {
    match value.as_str().and_then(entra::boolean_word) {
        Some(boolean) => {
            Note::add(notes, entra::STRING_BOOLEAN, &attribute.name);
            Value::Bool(boolean)
        }
        None => value,
    }
}

/// An array around the value of an attribute that has one, often with an object around a scalar.
///
/// ```json
/// {"op": "Replace", "path": "title", "value": [{"$ref": null, "value": "Optics"}]}
/// {"op": "Add", "path": "manager", "value": [{"$ref": "https://…/Users/u-11aa02", "value": "u-11aa02"}]}
/// ```
fn wrapped_value(value: Value, attribute: &Attribute, notes: &mut Vec<Note>) -> Value {
    if attribute.kind == Type::Any {
        return value;
    }
    let mut elements = match value {
        Value::Array(elements) if elements.len() == 1 => elements,
        other => return other,
    };
    Note::add(notes, entra::WRAPPED_VALUE, &attribute.name);
    match elements.pop() {
        Some(Value::Object(mut members)) if attribute.kind != Type::Complex => {
            // Whatever else the object says, a simple attribute has no place for.
            match entra::key(&members, "value").and_then(|key| members.shift_remove(&key)) {
                Some(value) => value,
                None => Value::Array(vec![Value::Object(members)]),
            }
        }
        Some(value) => value,
        None => Value::Null,
    }
}

/// A complex attribute, or an element of one, given by its `value` alone. Microsoft's staff confirm
/// that managers are sent so; its request collection adds members so.
///
/// ```json
/// {"op": "Add", "path": "urn:…:enterprise:2.0:User:manager", "value": "u-11aa02"}
/// {"op": "add", "path": "members", "value": "u-7f31c2"}
/// ```
fn plain_value(value: Value, attribute: &Attribute, notes: &mut Vec<Note>) -> Value {
    match value {
        Value::String(text)
            if attribute.kind == Type::Complex
                && attribute.sub_attribute("value").is_some()
                && !text.is_empty() =>
        {
            Note::add(notes, entra::PLAIN_VALUE, &attribute.name);
            json!({ "value": text })
        }
        other => other,
    }
}

/// An empty string, which in PATCH means to clear; for a complex attribute also as its `value`, and
/// there in POST and PUT too: an empty reference refers to nobody.
///
/// ```json
/// {"op": "replace", "path": "title", "value": ""}
/// {"op": "Replace", "path": "urn:…:enterprise:2.0:User:manager", "value": {"value": ""}}
/// ```
fn empty_clears(value: Value, attribute: &Attribute, sent: Sent, notes: &mut Vec<Note>) -> Value {
    let is_empty = |value: &Value| value.as_str() == Some("");
    let clears = match (attribute.kind, &value) {
        // Neither true nor false: refused as a wrong type. Guessing could let somebody in.
        (Type::Boolean, _) => false,
        (Type::Complex, Value::Object(members)) => {
            let mut named = members.iter();
            let named = named.find(|(name, _)| name.eq_ignore_ascii_case("value"));
            let single_or_patch = sent == Sent::InPatch || !attribute.multi_valued;
            single_or_patch && named.is_some_and(|(_, value)| is_empty(value))
        }
        (Type::Complex, value) => is_empty(value),
        (_, value) => sent == Sent::InPatch && is_empty(value),
    };
    if clears {
        Note::add(notes, entra::EMPTY_CLEARS, &attribute.name);
        Value::Null
    } else {
        value
    }
}
