//! What is sent of a resource: its stored bytes with `groups` and `meta` spliced in
//! (RFC 7643 §3.1). Nothing is parsed unless a filter or a projection asks for a tree.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::clock::Timestamp;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::scim::etag::etag;
use crate::scim::json;
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
    // `Resource::to_stored` writes an object that is never empty.
    out.extend_from_slice(stored.strip_suffix(b"}").unwrap_or(stored));
    if let Some(groups) = groups {
        out.extend_from_slice(b",\"groups\":");
        out.extend_from_slice(groups);
    }
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

/// The same answer as a tree, without `groups`. `None` when the stored form is damaged.
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
    use crate::base::ident::Revision;
    use crate::scim::resource::answer::Meta;
    use crate::scim::resource::answer::full_tree;
    use crate::scim::resource::answer::write;
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
    fn damage_is_not_an_answer() {
        for stored in [&b""[..], b"{", b"[]", b"\xff"] {
            assert_eq!(full_tree(ResourceKind::User, stored, &meta("l")), None);
        }
    }
}
