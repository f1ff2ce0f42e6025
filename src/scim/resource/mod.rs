//! A resource: a tree that is known to fit its schema (RFC 7643 §2, §3).
//!
//! In the tree names have the schema's spelling, nothing is unassigned, `schemas` comes first and
//! says what is there. `id`, `meta` and `groups` are never in it: the server adds them when it
//! answers. So it does with a group's `members`, which are in the tree only until they are taken out
//! ([`Resource::take_members`]). `password` is discarded on arrival.

pub mod answer;
mod declared;
pub mod memberships;
pub mod parse;
pub mod project;

use serde_json::Map;
use serde_json::Value;

use crate::base::ident::ResourceId;
use crate::scim::json;
use crate::scim::members::MEMBERS;
use crate::scim::members::Member;
use crate::scim::schema::ResourceKind;

/// A user or a group as the client describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// What it is.
    kind: ResourceKind,
    /// Its attributes.
    tree: Map<String, Value>,
}

/// Something that was tolerated rather than refused. Logged and counted, never sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What was tolerated: a stable code such as `attribute.unknown_ignored`.
    pub code: &'static str,
    /// Where: an attribute's path.
    pub path: String,
}

impl Note {
    /// An attribute that no schema has was left out.
    pub const UNKNOWN_IGNORED: &'static str = "attribute.unknown_ignored";
    /// An extension that is not registered was kept as it was sent.
    pub const UNKNOWN_KEPT: &'static str = "attribute.unknown_kept";
    /// `schemas` names something that the resource type does not use.
    pub const SCHEMA_IGNORED: &'static str = "schemas.unknown_ignored";
    /// `schemas` does not name an extension that the body uses.
    pub const SCHEMA_ADDED: &'static str = "schemas.missing_added";
    /// So many notes of one request are kept; what comes later is of the same kind.
    pub const COUNT_MAX: usize = 50;

    /// Adds a note, unless there are enough already.
    pub fn add(notes: &mut Vec<Self>, code: &'static str, path: &str) {
        if notes.len() < Self::COUNT_MAX {
            let path = json::shortened(path).to_owned();
            notes.push(Self { code, path });
        }
    }
}

impl Resource {
    /// What the resource is.
    pub const fn kind(&self) -> ResourceKind {
        self.kind
    }

    /// The resource's attributes, `schemas` first.
    pub const fn tree(&self) -> &Map<String, Value> {
        &self.tree
    }

    /// The attributes, to be changed and settled again ([`parse::settle`]).
    pub fn into_tree(self) -> Map<String, Value> {
        self.tree
    }

    /// Takes the members out of a group that was sent. `None` when it has no `members`, or none in
    /// them, which means the same (RFC 7643 §2.5).
    pub fn take_members(&mut self) -> Option<Vec<Member>> {
        let members = self.tree.shift_remove(MEMBERS)?;
        Some(Member::list(&members))
    }

    /// Reads the stored form. `None` when it is damaged.
    pub fn from_stored(kind: ResourceKind, bytes: &[u8]) -> Option<Self> {
        Self::from_stored_with_id(kind, bytes).map(|(resource, _id)| resource)
    }

    /// The same, and the id that is stored with it.
    pub fn from_stored_with_id(kind: ResourceKind, bytes: &[u8]) -> Option<(Self, Value)> {
        let mut tree: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        let id = tree.shift_remove("id")?;
        tree.get("schemas")?.as_array()?;
        Some((Self { kind, tree }, id))
    }

    /// The stored form: the tree's JSON text with `id` after `schemas`, so that an answer is these
    /// bytes with `meta` spliced in.
    pub fn to_stored(&self, id: ResourceId) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"{\"schemas\":");
        json::write(&mut out, self.tree.get("schemas").unwrap_or(&Value::Null));
        out.extend_from_slice(b",\"id\":\"");
        json::write_plain(&mut out, id);
        out.push(b'"');
        for (name, value) in self.tree.iter().filter(|(name, _)| *name != "schemas") {
            out.push(b',');
            json::write_text(&mut out, name);
            out.push(b':');
            json::write(&mut out, value);
        }
        out.push(b'}');
        out
    }

    /// The text of a top-level attribute, by its name in the schema's spelling.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.tree.get(name)?.as_str()
    }

    /// Whether the person may use what is provisioned from here: unless `active` is false.
    pub fn active(&self) -> bool {
        self.tree.get("active") != Some(&Value::Bool(false))
    }
}

/// Whether a value means the same as no value (RFC 7643 §2.5): null, `[]` or `{}`.
pub fn is_unassigned(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::base::ident::CountedIds;
    use crate::base::ident::IdSource;
    use crate::scim::resource::Resource;
    use crate::scim::resource::parse::parse;
    use crate::scim::schema::Profile;
    use crate::scim::schema::ResourceKind;
    use crate::scim::schema::core::ENTERPRISE_USER;
    use crate::scim::schema::core::USER;
    use crate::scim::schema::registry::Registry;

    #[test]
    fn the_stored_form_is_read_back() {
        let registry = Registry::new(Profile::Entra, false);
        let body = json!({
            "schemas": [USER, ENTERPRISE_USER],
            "userName": "mara",
            "title": "\"Lens\" designer",
            ENTERPRISE_USER: {"department": "Å"},
        });
        let resource = parse(body, &registry, ResourceKind::User, &mut vec![]).unwrap();
        let stored = resource.to_stored(CountedIds::default().resource_id());
        let text = json!({
            "schemas": [USER, ENTERPRISE_USER],
            "id": "00000000-0000-4000-8000-000000000001",
            "userName": "mara",
            "title": "\"Lens\" designer",
            ENTERPRISE_USER: {"department": "Å"},
            "active": true,
        });
        assert_eq!(String::from_utf8(stored.clone()).unwrap(), text.to_string());
        assert_eq!(
            Resource::from_stored(ResourceKind::User, &stored),
            Some(resource)
        );
        for damaged in [
            &b""[..],
            b"{}",
            b"[]",
            b"{\"id\":\"1\"}",
            b"{\"schemas\":[]}",
        ] {
            assert_eq!(Resource::from_stored(ResourceKind::User, damaged), None);
        }
    }
}
