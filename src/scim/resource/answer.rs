//! What is sent of a resource: its stored bytes with `groups` or `members` and `meta` spliced in
//! (RFC 7643 §3.1). Nothing is parsed unless a filter or a projection asks for a tree.
//!
//! A group's answer can also be had in three pieces, so that its members need not all be in memory:
//! [`write_head`], what a [`MembersWriter`](crate::scim::resource::memberships::MembersWriter) writes,
//! [`write_tail`].

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::clock::Timestamp;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::scim::etag::etag;
use crate::scim::json;
use crate::scim::resource::memberships::MemberOf;
use crate::scim::resource::memberships::write_members;
use crate::scim::schema::ResourceKind;

/// Room for `meta` without its location, in bytes: keys, two times and a version.
const META_BYTES: usize = 192;

/// What the server records about a resource.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// When it was created.
    pub created: Timestamp,
    /// When it last really changed.
    pub modified: Timestamp,
    /// Which version this is.
    pub revision: Revision,
    /// Its URI.
    pub location: &'a str,
}

/// Appends the whole answer: the stored form, then `groups` (the text of a JSON array; `None`
/// leaves the member out), then `meta`.
pub fn write(
    out: &mut Vec<u8>,
    kind: ResourceKind,
    stored: &[u8],
    groups: Option<&[u8]>,
    meta: &Meta<'_>,
) {
    let groups_bytes = groups.map_or(0, <[u8]>::len);
    let bytes = stored.len() + groups_bytes + meta.location.len() + META_BYTES;
    out.reserve(bytes);
    write_stored(out, stored);
    if let Some(groups) = groups {
        out.extend_from_slice(b",\"groups\":");
        out.extend_from_slice(groups);
    }
    write_meta(out, kind, meta);
}

/// Appends the whole answer of a group with these members, below the Tenant URL `base`. Without
/// members the attribute is left out: that is the unassigned state (RFC 7643 §2.5).
pub fn write_group(
    out: &mut Vec<u8>,
    stored: &[u8],
    base: &str,
    members: &[MemberOf],
    meta: &Meta<'_>,
) {
    if members.is_empty() {
        return write(out, ResourceKind::Group, stored, None, meta);
    }
    write_head(out, stored);
    write_members(out, base, members);
    write_tail(out, meta);
}

/// Appends what comes before the members of a group that has some.
pub fn write_head(out: &mut Vec<u8>, stored: &[u8]) {
    write_stored(out, stored);
    out.extend_from_slice(b",\"members\":[");
}

/// Appends what comes after the members of a group that has some.
pub fn write_tail(out: &mut Vec<u8>, meta: &Meta<'_>) {
    out.push(b']');
    write_meta(out, ResourceKind::Group, meta);
}

/// Appends the stored form without the brace at its end.
fn write_stored(out: &mut Vec<u8>, stored: &[u8]) {
    // `Resource::to_stored` writes an object that is never empty.
    out.extend_from_slice(stored.strip_suffix(b"}").unwrap_or(stored));
}

/// Appends `meta` and the brace at the end.
fn write_meta(out: &mut Vec<u8>, kind: ResourceKind, meta: &Meta<'_>) {
    out.extend_from_slice(b",\"meta\":{\"resourceType\":\"");
    out.extend_from_slice(kind.name().as_bytes());
    out.extend_from_slice(b"\",\"created\":\"");
    json::write_plain(out, meta.created);
    out.extend_from_slice(b"\",\"lastModified\":\"");
    json::write_plain(out, meta.modified);
    out.extend_from_slice(b"\",\"location\":");
    json::write_text(out, meta.location);
    out.extend_from_slice(b",\"version\":\"W/\\\"");
    json::write_plain(out, meta.revision);
    out.extend_from_slice(b"\\\"\"}}");
}

/// The URL of a resource below the Tenant URL `base`: `meta.location` (RFC 7643 §3.1).
pub fn location(base: &str, kind: ResourceKind, id: ResourceId) -> String {
    // Put together in one piece: the longest text that is made for every answer.
    [base, "/", kind.endpoint(), "/", &id.to_string()].concat()
}

/// The same answer as a tree, without `groups` or `members`, which
/// [`put_groups`](crate::scim::resource::memberships::put_groups) and
/// [`put_members`](crate::scim::resource::memberships::put_members) put there. `None` when the stored
/// form is damaged.
pub fn full_tree(kind: ResourceKind, stored: &[u8], meta: &Meta<'_>) -> Option<Map<String, Value>> {
    let mut tree: Map<String, Value> = serde_json::from_slice(stored).ok()?;
    let meta = json!({
        "resourceType": kind.name(),
        "created": meta.created.to_string(),
        "lastModified": meta.modified.to_string(),
        "location": meta.location,
        "version": etag(meta.revision),
    });
    tree.insert("meta".to_owned(), meta);
    Some(tree)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::base::clock::Timestamp;
    use crate::base::ident::CountedIds;
    use crate::base::ident::IdSource;
    use crate::base::ident::Revision;
    use crate::scim::resource::answer::Meta;
    use crate::scim::resource::answer::full_tree;
    use crate::scim::resource::answer::write;
    use crate::scim::resource::answer::write_group;
    use crate::scim::resource::answer::write_head;
    use crate::scim::resource::answer::write_tail;
    use crate::scim::resource::memberships::GroupOf;
    use crate::scim::resource::memberships::MemberOf;
    use crate::scim::resource::memberships::groups_text;
    use crate::scim::resource::memberships::members_bytes;
    use crate::scim::resource::memberships::put_groups;
    use crate::scim::resource::memberships::put_members;
    use crate::scim::schema::ResourceKind;

    const STORED: &[u8] = br#"{"schemas":["s"],"id":"1","userName":"mara"}"#;

    fn meta(location: &str) -> Meta<'_> {
        Meta {
            created: Timestamp::from_millis(0),
            modified: Timestamp::from_millis(1),
            revision: Revision(7),
            location,
        }
    }

    #[test]
    fn an_answer_is_the_stored_bytes_with_groups_and_meta() {
        for (groups, text) in [
            (None, ""),
            (
                Some(&b"[{\"value\":\"g\"}]"[..]),
                r#","groups":[{"value":"g"}]"#,
            ),
        ] {
            let mut out = b"before".to_vec();
            let meta = meta("https://h/Users/1");
            write(&mut out, ResourceKind::User, STORED, groups, &meta);
            let expected = [
                r#"before{"schemas":["s"],"id":"1","userName":"mara""#,
                text,
                r#","meta":{"resourceType":"User","created":"1970-01-01T00:00:00.000Z","#,
                r#""lastModified":"1970-01-01T00:00:00.001Z","location":"https://h/Users/1","#,
                r#""version":"W/\"7\""}}"#,
            ];
            assert_eq!(String::from_utf8(out).unwrap(), expected.concat());
        }
    }

    #[test]
    fn bytes_and_tree_say_the_same() {
        let meta = meta("https://h/\"quoted\"");
        let mut out = Vec::new();
        write(&mut out, ResourceKind::Group, STORED, None, &meta);
        let tree = full_tree(ResourceKind::Group, STORED, &meta).unwrap();
        assert_eq!(Value::Object(tree).to_string().into_bytes(), out);
    }

    #[test]
    fn bytes_and_tree_hold_the_same_memberships() {
        let meta = meta("https://h/x");
        let id = CountedIds::default().resource_id();
        let groups = [GroupOf {
            id,
            display: "\"G\"",
            direct: false,
        }];
        for groups in [&groups[..], &[]] {
            let mut out = Vec::new();
            let text = groups_text("b", groups);
            write(&mut out, ResourceKind::User, STORED, text.as_deref(), &meta);
            let mut tree = full_tree(ResourceKind::User, STORED, &meta).unwrap();
            put_groups(&mut tree, "b", groups);
            assert_eq!(Value::Object(tree).to_string().into_bytes(), out);
        }
        let kind = ResourceKind::User;
        for members in [&[MemberOf { id, kind }, MemberOf { id, kind }][..], &[]] {
            let mut out = Vec::new();
            write_group(&mut out, STORED, "b", members, &meta);
            let mut tree = full_tree(ResourceKind::Group, STORED, &meta).unwrap();
            put_members(&mut tree, "b", members);
            assert_eq!(Value::Object(tree).to_string().into_bytes(), out);
            let (mut head, mut tail) = (Vec::new(), Vec::new());
            write_head(&mut head, STORED);
            write_tail(&mut tail, &meta);
            if !members.is_empty() {
                let bytes = head.len() + members_bytes("b", members.len(), 0) + tail.len();
                assert_eq!(out.len(), bytes);
                assert!(out.starts_with(&head) && out.ends_with(&tail));
            }
        }
    }

    #[test]
    fn damage_is_not_an_answer() {
        for stored in [&b""[..], b"{", b"[]", b"\xff"] {
            assert_eq!(full_tree(ResourceKind::User, stored, &meta("l")), None);
        }
    }
}
