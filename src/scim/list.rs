//! The message around a list (RFC 7644 §3.4.2).

use crate::scim::json;

/// Room for the message without its resources, in bytes.
const ENVELOPE_BYTES: usize = 160;

/// Appends a ListResponse around resources that are JSON text already. All members are always there:
/// Entra takes a list without `Resources` for a failure.
pub fn write(out: &mut Vec<u8>, total: usize, start_index: usize, resources: &[Vec<u8>]) {
    let bytes: usize = resources.iter().map(|text| text.len() + 1).sum();
    out.reserve(bytes + ENVELOPE_BYTES);
    out.extend_from_slice(
        br#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":"#,
    );
    json::write_plain(out, total);
    out.extend_from_slice(b",\"startIndex\":");
    json::write_plain(out, start_index);
    out.extend_from_slice(b",\"itemsPerPage\":");
    json::write_plain(out, resources.len());
    out.extend_from_slice(b",\"Resources\":[");
    for (index, resource) in resources.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(resource);
    }
    out.extend_from_slice(b"]}");
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
