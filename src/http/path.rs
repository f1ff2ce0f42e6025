//! Paths and queries as they came, taken apart and percent-decoded (RFC 3986 §2.1, §3.3; WHATWG URL §5.1 for forms).
//!
//! Nothing is normalised: an empty segment (a doubled or trailing slash) and `..` are handed on, and the service
//! decides. An escape that is not two hexadecimal digits, and bytes that are not UTF-8, are refused.

use std::borrow::Cow;

/// What is wrong with a part of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEscape {
    /// `%` is not followed by two hexadecimal digits.
    #[error("'%' is not followed by two hexadecimal digits")]
    Incomplete,
    /// The bytes are not UTF-8.
    #[error("the decoded bytes are not UTF-8")]
    NotUtf8,
}

/// The segments of `path`, decoded. The slash before the first is left out: `/a//b/` yields `a`, ``, `b`, ``.
pub fn segments(path: &str) -> impl Iterator<Item = Result<Cow<'_, str>, BadEscape>> {
    path.strip_prefix('/')
        .unwrap_or(path)
        .split('/')
        .map(decode)
}

/// The parameters of `query` in the order they came, names and values decoded, `+` as a space. A parameter without `=`
/// has an empty value; empty parameters (`&&`) are left out.
///
/// # Errors
///
/// [`BadEscape`] of the first name or value that cannot be decoded.
pub fn parameters(query: &str) -> Result<Vec<(String, String)>, BadEscape> {
    query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            Ok((decode_form(name)?, decode_form(value)?))
        })
        .collect()
}

/// Decodes a name or value of a form.
fn decode_form(text: &str) -> Result<String, BadEscape> {
    if text.contains('+') {
        decode(&text.replace('+', " ")).map(Cow::into_owned)
    } else {
        decode(text).map(Cow::into_owned)
    }
}

/// Decodes `%XX`.
fn decode(text: &str) -> Result<Cow<'_, str>, BadEscape> {
    // Nearly every segment is plain.
    if !text.as_bytes().contains(&b'%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut after = text.split('%');
    // What stands before the first `%` needs no look.
    after.next();
    for tail in after {
        let mut digits = tail.bytes();
        let both = [digits.next(), digits.next()];
        if !both
            .iter()
            .all(|digit| digit.is_some_and(|b| b.is_ascii_hexdigit()))
        {
            return Err(BadEscape::Incomplete);
        }
    }
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .map_err(|_error| BadEscape::NotUtf8)
}

#[cfg(test)]
mod tests {
    use crate::http::path::BadEscape;
    use crate::http::path::parameters;
    use crate::http::path::segments;

    #[test]
    fn a_path_is_cut_at_slashes_before_it_is_decoded() {
        for (path, expected) in [
            ("/", vec![""]),
            ("/scim/d/v2/Users", vec!["scim", "d", "v2", "Users"]),
            ("/v2//Users", vec!["v2", "", "Users"]),
            ("/Users/", vec!["Users", ""]),
            ("//", vec!["", ""]),
            ("/a%2Fb/c", vec!["a/b", "c"]),
            ("/a+b", vec!["a+b"]),
            ("/../%2e%2E", vec!["..", ".."]),
            ("/na%C3%AFve", vec!["naïve"]),
            ("/%00", vec!["\0"]),
            ("*", vec!["*"]),
        ] {
            let found: Result<Vec<_>, _> = segments(path).collect();
            assert_eq!(found.unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn a_bad_escape_spoils_its_segment_only() {
        for (path, expected) in [
            ("/a/%", BadEscape::Incomplete),
            ("/a/%4", BadEscape::Incomplete),
            ("/a/%zz", BadEscape::Incomplete),
            ("/a/%4%41", BadEscape::Incomplete),
            ("/a/%é1", BadEscape::Incomplete),
            ("/a/%ff", BadEscape::NotUtf8),
            ("/a/%C3", BadEscape::NotUtf8),
        ] {
            let found: Vec<_> = segments(path).collect();
            assert_eq!(found, [Ok("a".into()), Err(expected)], "{path}");
        }
    }

    #[test]
    fn a_query_is_decoded_as_a_form() {
        for (query, expected) in [
            ("", vec![]),
            ("&&", vec![]),
            ("aadOptscim062020", vec![("aadOptscim062020", "")]),
            (
                "aadOptscim062020&filter=userName+eq+%22a%40b.example%22",
                vec![
                    ("aadOptscim062020", ""),
                    ("filter", "userName eq \"a@b.example\""),
                ],
            ),
            ("filter=a=b", vec![("filter", "a=b")]),
            ("x=1%2B1", vec![("x", "1+1")]),
            ("a%3Db=%26", vec![("a=b", "&")]),
            ("x=1&x=2", vec![("x", "1"), ("x", "2")]),
            ("=v", vec![("", "v")]),
        ] {
            let found = parameters(query).unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(found, expected, "{query}");
        }
    }

    #[test]
    fn a_bad_query_is_refused() {
        for (query, expected) in [
            ("filter=%", BadEscape::Incomplete),
            ("a=1&%g0=2", BadEscape::Incomplete),
            ("a=%FF", BadEscape::NotUtf8),
        ] {
            assert_eq!(parameters(query), Err(expected), "{query}");
        }
    }
}
