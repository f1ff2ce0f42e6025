//! What Microsoft Entra ID and Microsoft's documents and test suites send that the RFCs do not
//! provide for, one function for each deviation, with the request that shows it.
//!
//! `filters` is asked by the filter parser, `operations` rewrites PATCH, `values` what is sent as a
//! value in either PATCH or body.

use serde_json::Map;
use serde_json::Value;

use crate::scim::resource::Note;
use crate::scim::resource::is_unassigned;
use crate::scim::schema::Attribute;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;
use crate::scim::schema::registry::Registry;

pub mod filters;
pub mod operations;
#[cfg(test)]
mod tests;
pub mod values;

/// A filter's value had no quotes.
pub const FILTER_UNQUOTED: &str = "dialect.filter_unquoted";
/// A filter's boolean was a string or capitalised.
pub const FILTER_BOOLEAN: &str = "dialect.filter_boolean";
/// A comparison followed brackets.
pub const FILTER_VALUE_PATH: &str = "dialect.filter_value_path";
/// A complex attribute with one value was compared by its `value`.
pub const FILTER_SINGLE_VALUE: &str = "dialect.filter_single_value";
/// `manager` had no URN.
pub const BARE_MANAGER: &str = "dialect.bare_manager";
/// A name of the PATCH message was in another letter case.
pub const ENVELOPE_NAMES: &str = "dialect.envelope_names";
/// `op` was in another letter case.
pub const OP_CASE: &str = "dialect.op_case";
/// A value without a path had a path as key.
pub const PATH_KEYS: &str = "dialect.path_keys";
/// A read-only attribute was sent along and left alone.
pub const READ_ONLY_IGNORED: &str = "attribute.read_only_ignored";
/// A boolean was a string.
pub const STRING_BOOLEAN: &str = "dialect.string_boolean";
/// A single value was in an array, or in an object in an array.
pub const WRAPPED_VALUE: &str = "dialect.wrapped_value";
/// The value of a complex attribute, or of an element, stood alone.
pub const PLAIN_VALUE: &str = "dialect.plain_value";
/// An empty string meant: clear.
pub const EMPTY_CLEARS: &str = "dialect.empty_clears";
/// An add of null meant: clear.
pub const NULL_CLEARS: &str = "dialect.null_clears";
/// A removal named the values to remove in `value`.
pub const REMOVE_LIST: &str = "dialect.remove_list";
/// A removal came with a value that says nothing new.
pub const REMOVE_VALUE: &str = "dialect.remove_value";
/// A filter chose the only value of an attribute.
pub const SINGLE_FILTER: &str = "dialect.single_filter";

/// `"True"`, `"False"`, `"true"`, `"false"`: the boolean that a word means.
fn boolean_word(word: &str) -> Option<bool> {
    if word.eq_ignore_ascii_case("true") {
        Some(true)
    } else if word.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// What only the server sets, among other things that a client sends. It is no reason to refuse those.
///
/// ```json
/// {"op": "replace", "value": {"displayName": "Mara", "id": "u-7f31c2", "meta": {"resourceType": "User"}}}
/// ```
fn read_only_ignored(path: &str, notes: &mut Vec<Note>) {
    Note::add(notes, READ_ONLY_IGNORED, path);
}

/// Rewrites the values in the body of a POST or PUT. An empty string stays one there: what was sent
/// is returned.
pub fn body(body: &mut Value, registry: &Registry, kind: ResourceKind, notes: &mut Vec<Note>) {
    let Value::Object(members) = body else {
        return;
    };
    bare_manager(members, registry, kind, notes);
    for (name, value) in members {
        match (registry.extension(kind, name), value) {
            (Some(schema), Value::Object(members)) => {
                for (name, value) in members {
                    let attribute = schema.attribute(name).map(|attribute| &**attribute);
                    rewrite_member(value, attribute, notes);
                }
            }
            (Some(_), _) => {}
            (None, value) => {
                let attribute = registry.attribute(kind, None, name);
                rewrite_member(value, attribute.as_deref(), notes);
            }
        }
    }
}

/// The manager beside the core attributes instead of in the enterprise extension, as in Microsoft's
/// tutorial. One in the extension goes before it.
///
/// ```json
/// {"userName": "mara@northbridge.example", "manager": "u-11aa02"}
/// ```
fn bare_manager(
    members: &mut Map<String, Value>,
    registry: &Registry,
    kind: ResourceKind,
    notes: &mut Vec<Note>,
) {
    let Some(schema) = registry.extension(kind, core::ENTERPRISE_USER) else {
        return;
    };
    let manager = key(members, "manager");
    let Some(manager) = manager.and_then(|key| members.shift_remove(&key)) else {
        return;
    };
    if is_unassigned(&manager) {
        return;
    }
    let urn = key(members, &schema.id).unwrap_or_else(|| schema.id.to_string());
    let extension = members.entry(urn).or_insert(Value::Null);
    if extension.is_null() {
        *extension = Value::Object(Map::new());
    }
    if let Value::Object(parts) = extension
        && key(parts, "manager").is_none()
    {
        parts.insert("manager".to_owned(), manager);
        Note::add(notes, BARE_MANAGER, "manager");
    }
}

/// The name as it is spelled among the members, if it is there in any letter case.
fn key(members: &Map<String, Value>, name: &str) -> Option<String> {
    let mut keys = members.keys();
    keys.find(|key| key.eq_ignore_ascii_case(name)).cloned()
}

/// Rewrites one member of a body, where its attribute is known.
fn rewrite_member(value: &mut Value, attribute: Option<&Attribute>, notes: &mut Vec<Note>) {
    if let Some(attribute) = attribute {
        let sent = std::mem::take(value);
        *value = values::rewrite(sent, attribute, values::Sent::InBody, notes);
    }
}
