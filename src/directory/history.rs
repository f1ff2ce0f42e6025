//! What a change leaves in the history: the attributes that differ, old beside new.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::scim::resource::Resource;
use crate::scim::text::fold;

/// The member of a payload that names the deleted resource that comes again in a new one: its `id`
/// and when it was `deleted`.
pub const RECREATES: &str = "recreates";
/// The member of a payload that says in words what a change means.
pub const NOTE: &str = "note";
/// Hexadecimal digits that Entra puts before the name of somebody who is deleted there: an object id.
const OBJECT_ID_DIGITS: usize = 32;

/// The payload of an update: `{"attribute": {"old": …, "new": …}}`, one member for each top-level
/// attribute that differs. A side that is unassigned is left out; of a complex attribute or an
/// extension, each side has only the sub-attributes that differ.
pub fn difference(old: &Resource, new: &Resource) -> Vec<u8> {
    let mut changes = Map::new();
    for (name, after) in new.tree() {
        match old.tree().get(name) {
            Some(before) if before == after => {}
            Some(before) => {
                let (old, new) = (without(before, after), without(after, before));
                changes.insert(name.clone(), json!({ "old": old, "new": new }));
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
    if let Some(note) = note(old, new) {
        changes.insert(NOTE.to_owned(), Value::from(note));
    }
    Value::Object(changes).to_string().into_bytes()
}

/// What a change of `userName` means when Entra makes it: it frees the name of somebody who is
/// deleted there by putting the object id before it, and takes it back when that is undone.
fn note(old: &Resource, new: &Resource) -> Option<&'static str> {
    let (before, after) = (old.text("userName")?, new.text("userName")?);
    if is_freed(after, before) {
        return Some("deleted in Entra ID for now: the name is free for somebody else");
    }
    is_freed(before, after).then_some("restored in Entra ID: the name is back")
}

/// Whether a name is another one with an object id before it.
fn is_freed(long: &str, short: &str) -> bool {
    let parts = long.split_at_checked(OBJECT_ID_DIGITS);
    parts.is_some_and(|(id, rest)| {
        id.bytes().all(|digit| digit.is_ascii_hexdigit()) && fold(rest) == fold(short)
    })
}

/// A value without the members that `other` has alike.
fn without(value: &Value, other: &Value) -> Value {
    let (Value::Object(members), Value::Object(others)) = (value, other) else {
        return value.clone();
    };
    let differ = members
        .iter()
        .filter(|(name, value)| others.get(*name) != Some(*value));
    let differ = differ.map(|(name, value)| (name.clone(), value.clone()));
    Value::Object(differ.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use crate::base::ident::CountedIds;
    use crate::base::ident::IdSource;
    use crate::directory::history::difference;
    use crate::scim::resource::Resource;
    use crate::scim::schema::ResourceKind;

    /// A user with these attributes.
    fn user(attributes: &Value) -> Resource {
        let id = CountedIds::default().resource_id();
        let mut stored = attributes.clone();
        stored["id"] = json!(id.to_string());
        stored["schemas"] = json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
        let stored = stored.to_string();
        Resource::from_stored(ResourceKind::User, stored.as_bytes()).unwrap()
    }

    #[test]
    fn only_what_differs_is_told() {
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        for (old, new, expected) in [
            (json!({"title": "a"}), json!({"title": "a"}), json!({})),
            (
                json!({"title": "a"}),
                json!({"title": "b"}),
                json!({"title": {"old": "a", "new": "b"}}),
            ),
            (
                json!({}),
                json!({"title": "b"}),
                json!({"title": {"new": "b"}}),
            ),
            (
                json!({"title": "a"}),
                json!({}),
                json!({"title": {"old": "a"}}),
            ),
            (
                json!({"name": {"givenName": "Mara", "familyName": "Vos"}}),
                json!({"name": {"givenName": "Mara", "familyName": "Lind"}}),
                json!({"name": {"old": {"familyName": "Vos"}, "new": {"familyName": "Lind"}}}),
            ),
            (
                json!({urn: {"department": "Tools", "costCenter": "7"}}),
                json!({urn: {"department": "Tools"}}),
                json!({urn: {"old": {"costCenter": "7"}, "new": {}}}),
            ),
            (
                json!({"emails": [{"value": "a@b.example", "type": "work"}]}),
                json!({"emails": [{"value": "c@b.example", "type": "work"}]}),
                json!({"emails": {
                    "old": [{"value": "a@b.example", "type": "work"}],
                    "new": [{"value": "c@b.example", "type": "work"}],
                }}),
            ),
        ] {
            let told = difference(&user(&old), &user(&new));
            let told: Value = serde_json::from_slice(&told).unwrap();
            assert_eq!(told, expected, "{old} → {new}");
        }
    }

    #[test]
    fn a_name_that_entra_frees_or_takes_back_is_told() {
        for (old, new, expected) in [
            (
                json!({"userName": "Mara@b.example"}),
                json!({"userName": "3f0a3f0a3f0a3f0a3f0a3f0a3f0a3f9cmara@b.example"}),
                json!({
                    "userName": {
                        "old": "Mara@b.example",
                        "new": "3f0a3f0a3f0a3f0a3f0a3f0a3f0a3f9cmara@b.example",
                    },
                    "note": "deleted in Entra ID for now: the name is free for somebody else",
                }),
            ),
            (
                json!({"userName": "3f0a3f0a3f0a3f0a3f0a3f0a3f0a3f9cmara@b.example"}),
                json!({"userName": "mara@b.example"}),
                json!({
                    "userName": {
                        "old": "3f0a3f0a3f0a3f0a3f0a3f0a3f0a3f9cmara@b.example",
                        "new": "mara@b.example",
                    },
                    "note": "restored in Entra ID: the name is back",
                }),
            ),
            (
                json!({"userName": "3f0a3f0a3f0a3f0a3f0a3f0a3f0a3f9cmara@b.example"}),
                json!({"userName": "ines@b.example"}),
                json!({"userName": {
                    "old": "3f0a3f0a3f0a3f0a3f0a3f0a3f0a3f9cmara@b.example",
                    "new": "ines@b.example",
                }}),
            ),
        ] {
            let told = difference(&user(&old), &user(&new));
            let told: Value = serde_json::from_slice(&told).unwrap();
            assert_eq!(told, expected, "{old} → {new}");
        }
    }
}
