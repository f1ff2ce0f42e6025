//! What memberships look like in answers: `members` of a group, `groups` of a user (RFC 7643 §4.1.2,
//! §4.2). Neither is stored with the resource; both are written from what the store knows of edges.
//!
//! A group may have a hundred thousand members. They are written in slices, and how many bytes they
//! take is known before the first is written.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::ident::ResourceId;
use crate::scim::json;
use crate::scim::members::MEMBERS;
use crate::scim::resource::answer::location;
use crate::scim::schema::ResourceKind;

/// The attribute of a user that names its groups.
pub const GROUPS: &str = ResourceKind::User.memberships();

/// Length of an id, in bytes.
const ID_BYTES: usize = 36;
/// What stands before the id.
const VALUE: &[u8] = b"{\"value\":\"";
/// What stands between id and URI.
const REF: &[u8] = b"\",\"$ref\":\"";
/// What stands between a member's URI and its kind.
const TYPE: &[u8] = b"\",\"type\":\"";
/// What stands behind the last part.
const END: &[u8] = b"\"}";

/// A group that a user is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupOf<'a> {
    /// The group.
    pub id: ResourceId,
    /// Its name.
    pub display: &'a str,
    /// Whether the user is a member of it, rather than of a group in it.
    pub direct: bool,
}

impl GroupOf<'_> {
    /// The membership's word in `type`.
    const fn word(&self) -> &'static str {
        if self.direct { "direct" } else { "indirect" }
    }
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberOf {
    /// The member.
    pub id: ResourceId,
    /// What it is.
    pub kind: ResourceKind,
}

/// The array of a user's groups as JSON text; `base` is the Tenant URL. `None` without groups: an
/// unassigned attribute is left out.
pub fn groups_text(base: &str, groups: &[GroupOf<'_>]) -> Option<Vec<u8>> {
    if groups.is_empty() {
        return None;
    }
    let base = escaped(base);
    let mut out = vec![b'['];
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_reference(&mut out, &base, ResourceKind::Group, group.id);
        out.extend_from_slice(b"\",\"display\":");
        json::write_text(&mut out, group.display);
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(group.word().as_bytes());
        out.extend_from_slice(END);
    }
    out.push(b']');
    Some(out)
}

/// Puts a user's groups into the tree of its answer.
pub fn put_groups(tree: &mut Map<String, Value>, base: &str, groups: &[GroupOf<'_>]) {
    let elements = groups.iter().map(|group| {
        json!({
            "value": group.id.to_string(),
            "$ref": location(base, ResourceKind::Group, group.id),
            "display": group.display,
            "type": group.word(),
        })
    });
    put(tree, GROUPS, elements.collect());
}

/// Puts members of a group into the tree of its answer.
pub fn put_members(tree: &mut Map<String, Value>, base: &str, members: &[MemberOf]) {
    let elements = members.iter().map(|member| {
        json!({
            "value": member.id.to_string(),
            "$ref": location(base, member.kind, member.id),
            "type": member.kind.name(),
        })
    });
    put(tree, MEMBERS, elements.collect());
}

/// Puts a list before `meta`, where the text has it too. An empty one is left out.
fn put(tree: &mut Map<String, Value>, name: &str, elements: Vec<Value>) {
    if elements.is_empty() {
        return;
    }
    let meta = tree.shift_remove_entry("meta");
    tree.insert(name.to_owned(), Value::Array(elements));
    tree.extend(meta);
}

/// Writes the members of one group, slice after slice.
#[derive(Clone, Debug)]
pub struct MembersWriter {
    /// The Tenant URL as it stands in a JSON string.
    base: Vec<u8>,
    /// Whether a member was written, so that a comma has to come before the next.
    begun: bool,
}

impl MembersWriter {
    /// A writer below the Tenant URL `base` that has written nothing yet.
    pub fn new(base: &str) -> Self {
        Self {
            base: escaped(base),
            begun: false,
        }
    }

    /// Appends these members, with commas between them and after those written before.
    pub fn write(&mut self, out: &mut Vec<u8>, members: &[MemberOf]) {
        let longest = element_bytes(self.base.len(), ResourceKind::Group).saturating_add(1);
        out.reserve(members.len().saturating_mul(longest));
        for member in members {
            if self.begun {
                out.push(b',');
            }
            self.begun = true;
            write_reference(out, &self.base, member.kind, member.id);
            out.extend_from_slice(TYPE);
            out.extend_from_slice(member.kind.name().as_bytes());
            out.extend_from_slice(END);
        }
    }
}

/// Appends members with commas between them, and nothing around them; `base` is the Tenant URL.
pub fn write_members(out: &mut Vec<u8>, base: &str, members: &[MemberOf]) {
    MembersWriter::new(base).write(out, members);
}

/// How many bytes a [`MembersWriter`] writes for so many users and groups, in whatever slices.
pub fn members_bytes(base: &str, users: usize, groups: usize) -> usize {
    let base_bytes = escaped(base).len();
    let elements = |count: usize, kind| count.saturating_mul(element_bytes(base_bytes, kind));
    let commas = users.saturating_add(groups).saturating_sub(1);
    elements(users, ResourceKind::User)
        .saturating_add(elements(groups, ResourceKind::Group))
        .saturating_add(commas)
}

/// How many bytes one member of that kind takes.
const fn element_bytes(base_bytes: usize, kind: ResourceKind) -> usize {
    let slashes = 2;
    let fixed = VALUE.len() + REF.len() + TYPE.len() + END.len() + 2 * ID_BYTES + slashes;
    fixed + kind.endpoint().len() + kind.name().len() + base_bytes
}

/// Appends `value` and `$ref`, up to the quotation mark behind the URI.
fn write_reference(out: &mut Vec<u8>, base: &[u8], kind: ResourceKind, id: ResourceId) {
    out.extend_from_slice(VALUE);
    json::write_plain(out, id);
    out.extend_from_slice(REF);
    out.extend_from_slice(base);
    out.push(b'/');
    out.extend_from_slice(kind.endpoint().as_bytes());
    out.push(b'/');
    json::write_plain(out, id);
}

/// A URL as it stands between the quotation marks of a JSON string.
fn escaped(base: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(base.len().saturating_add(2));
    json::write_text(&mut out, base);
    out.pop();
    out.drain(..1);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::Map;
    use serde_json::Value;
    use serde_json::json;

    use crate::base::ident::CountedIds;
    use crate::base::ident::IdSource;
    use crate::scim::resource::memberships::GroupOf;
    use crate::scim::resource::memberships::MemberOf;
    use crate::scim::resource::memberships::MembersWriter;
    use crate::scim::resource::memberships::groups_text;
    use crate::scim::resource::memberships::members_bytes;
    use crate::scim::resource::memberships::put_groups;
    use crate::scim::resource::memberships::put_members;
    use crate::scim::resource::memberships::write_members;
    use crate::scim::schema::ResourceKind;

    const BASE: &str = "https://h/scim/a/v2";

    /// So many members; every third is a group.
    fn members(count: usize) -> Vec<MemberOf> {
        let ids = CountedIds::default();
        let kinds = [ResourceKind::Group, ResourceKind::User, ResourceKind::User];
        let kinds = kinds.into_iter().cycle();
        kinds
            .take(count)
            .map(|kind| MemberOf {
                id: ids.resource_id(),
                kind,
            })
            .collect()
    }

    /// What a tree holds after something was put into it.
    fn tree(put: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut tree = json!({"id": "1", "meta": {}});
        put(tree.as_object_mut().unwrap());
        tree.to_string()
    }

    #[test]
    fn a_members_text_is_its_tree() {
        let one = members(2);
        let mut text = Vec::new();
        write_members(&mut text, BASE, &one);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(
            text,
            "{\"value\":\"00000000-0000-4000-8000-000000000001\",\
             \"$ref\":\"https://h/scim/a/v2/Groups/00000000-0000-4000-8000-000000000001\",\"type\":\"Group\"},\
             {\"value\":\"00000000-0000-4000-8000-000000000002\",\
             \"$ref\":\"https://h/scim/a/v2/Users/00000000-0000-4000-8000-000000000002\",\"type\":\"User\"}"
        );
        assert_eq!(
            tree(|tree| put_members(tree, BASE, &one)),
            format!("{{\"id\":\"1\",\"members\":[{text}],\"meta\":{{}}}}")
        );
        assert_eq!(
            tree(|tree| put_members(tree, BASE, &[])),
            "{\"id\":\"1\",\"meta\":{}}"
        );
    }

    #[test]
    fn a_groups_text_is_its_tree() {
        let ids = CountedIds::default();
        let group = |display, direct| GroupOf {
            id: ids.resource_id(),
            display,
            direct,
        };
        let groups = [group("Optics \"R&D\"", true), group("All", false)];
        let text = String::from_utf8(groups_text(BASE, &groups).unwrap()).unwrap();
        assert_eq!(
            text,
            "[{\"value\":\"00000000-0000-4000-8000-000000000001\",\
             \"$ref\":\"https://h/scim/a/v2/Groups/00000000-0000-4000-8000-000000000001\",\
             \"display\":\"Optics \\\"R&D\\\"\",\"type\":\"direct\"},\
             {\"value\":\"00000000-0000-4000-8000-000000000002\",\
             \"$ref\":\"https://h/scim/a/v2/Groups/00000000-0000-4000-8000-000000000002\",\
             \"display\":\"All\",\"type\":\"indirect\"}]"
        );
        assert_eq!(
            tree(|tree| put_groups(tree, BASE, &groups)),
            format!("{{\"id\":\"1\",\"groups\":{text},\"meta\":{{}}}}")
        );
        assert_eq!(groups_text(BASE, &[]), None);
        assert_eq!(
            tree(|tree| put_groups(tree, BASE, &[])),
            "{\"id\":\"1\",\"meta\":{}}"
        );
    }

    #[test]
    fn the_length_of_members_is_known_before_they_are_written() {
        for base in [BASE, "", "https://h:8443/\"odd\"\\\u{1}å"] {
            for count in [0, 1, 2, 3, 10, 1000] {
                let all = members(count);
                let mut text = Vec::new();
                write_members(&mut text, base, &all);
                let groups = all.iter().filter(|one| one.kind == ResourceKind::Group);
                let groups = groups.count();
                let bytes = members_bytes(base, count - groups, groups);
                assert_eq!(bytes, text.len(), "{base} {count}");
                // In slices, the empty ones too, it is the same text.
                let mut sliced = Vec::new();
                let mut writer = MembersWriter::new(base);
                writer.write(&mut sliced, &[]);
                for slice in all.chunks(7) {
                    let mut part = Vec::new();
                    writer.write(&mut part, slice);
                    sliced.extend(part);
                    writer.write(&mut sliced, &[]);
                }
                assert_eq!(sliced, text);
            }
        }
    }
}
