//! What a change leaves in the history: the attributes that differ, old beside new.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::scim::resource::Resource;

/// The payload of an update: `{"attribute": {"old": …, "new": …}}`, one member for each top-level
/// attribute that differs. A side that is unassigned is left out.
pub fn difference(old: &Resource, new: &Resource) -> Vec<u8> {
    let mut changes = Map::new();
    for (name, after) in new.tree() {
        match old.tree().get(name) {
            Some(before) if before == after => {}
            Some(before) => {
                changes.insert(name.clone(), json!({ "old": before, "new": after }));
            }
            None => {
                changes.insert(name.clone(), json!({ "new": after }));
            }
        }
    }
    for (name, before) in old.tree() {
        if !new.tree().contains_key(name) {
            changes.insert(name.clone(), json!({ "old": before }));
        }
    }
    Value::Object(changes).to_string().into_bytes()
}
