//! What is tolerated beyond the RFCs, by profile. Profile `strict` tolerates nothing: every function
//! here then answers no, or leaves what it is given as it is.
//!
//! The filter and PATCH engines know no client. They ask here where a text does not parse, and hand
//! bodies over before they read them; `entra` holds one function for each deviation of that client.

use serde_json::Map;
use serde_json::Value;

use crate::scim::patch::RawOperation;
use crate::scim::path::AttrPath;
use crate::scim::resource::Note;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::registry::Registry;

pub mod entra;

/// The text that an unquoted value of a filter stands for.
pub fn filter_unquoted(
    profile: Profile,
    name: &str,
    word: &str,
    notes: &mut Vec<Note>,
) -> Option<String> {
    match profile {
        Profile::Entra => entra::filters::unquoted(name, word, notes),
        Profile::Strict => None,
    }
}

/// The boolean that a word of a filter stands for, quoted or in another letter case.
pub fn filter_boolean(
    profile: Profile,
    name: &str,
    word: &str,
    notes: &mut Vec<Note>,
) -> Option<bool> {
    match profile {
        Profile::Entra => entra::filters::boolean(name, word, notes),
        Profile::Strict => None,
    }
}

/// Whether a comparison may follow brackets: `emails[type eq "work"].value eq "x"`.
pub fn filter_value_path(profile: Profile, path: &AttrPath, notes: &mut Vec<Note>) -> bool {
    match profile {
        Profile::Entra => entra::filters::value_path(path, notes),
        Profile::Strict => false,
    }
}

/// Whether a complex attribute with one value may be compared by its `value`: `manager eq "x"`.
pub fn filter_single_value(profile: Profile, path: &AttrPath, notes: &mut Vec<Note>) -> bool {
    match profile {
        Profile::Entra => entra::filters::single_value(path, notes),
        Profile::Strict => false,
    }
}

/// The enterprise extension's `manager`, where it is named without the URN.
pub fn bare_manager(
    registry: &Registry,
    kind: ResourceKind,
    text: &str,
    notes: &mut Vec<Note>,
) -> Option<AttrPath> {
    match registry.profile() {
        Profile::Entra => entra::filters::bare_manager(registry, kind, text, notes),
        Profile::Strict => None,
    }
}

/// Rewrites the message of a PATCH into the RFC's form, down to the names in each operation.
pub fn envelope(message: &mut Map<String, Value>, profile: Profile, notes: &mut Vec<Note>) {
    match profile {
        Profile::Entra => entra::operations::envelope_names(message, notes),
        Profile::Strict => {}
    }
}

/// Rewrites the operations of a PATCH into the RFC's form.
pub fn operations(
    operations: Vec<RawOperation>,
    registry: &Registry,
    kind: ResourceKind,
    notes: &mut Vec<Note>,
) -> Vec<RawOperation> {
    match registry.profile() {
        Profile::Entra => entra::operations::rewrite(operations, registry, kind, notes),
        Profile::Strict => operations,
    }
}

/// Rewrites the body of a POST or PUT into the RFC's form.
pub fn body(value: &mut Value, registry: &Registry, kind: ResourceKind, notes: &mut Vec<Note>) {
    match registry.profile() {
        Profile::Entra => entra::body(value, registry, kind, notes),
        Profile::Strict => {}
    }
}
