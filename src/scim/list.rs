//! The message around a list (RFC 7644 §3.4.2).

use crate::scim::json;

/// Room for the message without its resources, in bytes.
const ENVELOPE_BYTES: usize = 160;

/// What comes after the last resource.
pub const END: &[u8] = b"]}";

/// Appends the beginning of a ListResponse, up to the first of `count` resources. Between them come
/// commas, after them [`END`]. All members are always there: Entra takes a list without `Resources`
/// for a failure.
pub fn write_head(out: &mut Vec<u8>, total: usize, start_index: usize, count: usize) {
    out.reserve(ENVELOPE_BYTES);
    out.extend_from_slice(
        br#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":"#,
    );
    json::write_plain(out, total);
    out.extend_from_slice(b",\"startIndex\":");
    json::write_plain(out, start_index);
    out.extend_from_slice(b",\"itemsPerPage\":");
    json::write_plain(out, count);
    out.extend_from_slice(b",\"Resources\":[");
}

/// Appends a ListResponse of resources that are JSON text already.
pub fn write(out: &mut Vec<u8>, total: usize, start_index: usize, resources: &[Vec<u8>]) {
    write_head(out, total, start_index, resources.len());
    out.extend_from_slice(&resources.join(&b','));
    out.extend_from_slice(END);
}

#[cfg(test)]
mod tests {
    use crate::scim::list::write;

    #[test]
    fn a_list_says_how_much_there_is_and_how_much_is_here() {
        const SCHEMAS: &str =
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"#;
        for (total, start_index, resources, rest) in [
            (
                0,
                1,
                &[][..],
                r#""totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}"#,
            ),
            (
                7,
                3,
                &[b"{}".to_vec(), b"{\"id\":1}".to_vec()],
                r#""totalResults":7,"startIndex":3,"itemsPerPage":2,"Resources":[{},{"id":1}]}"#,
            ),
        ] {
            let mut out = Vec::new();
            write(&mut out, total, start_index, resources);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{SCHEMAS}{rest}"));
        }
    }
}
