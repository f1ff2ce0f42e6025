//! JSON text to trees and back (RFC 8259), stricter than `serde_json` alone: duplicate keys are
//! refused, also those that differ only in case, since SCIM names have none (RFC 7643 §2.1) and a
//! reader that takes the last and one that takes the first would see two different people.
//! Depth is limited here, length by whoever read the bytes.

use std::collections::HashSet;
use std::fmt;
use std::io::Write;

use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::Error;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::scim::error::Condition;
use crate::scim::error::ScimError;

/// Longest piece of a client's name that an error or note repeats, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// Up to so many keys of an object are compared one by one; beyond, a set remembers them, so that
/// an object of a hundred thousand keys costs no more per key than a small one.
const KEYS_COMPARED_MAX: usize = 16;

/// 2^64. Integers from here on arrive rounded to a float and would be returned as another number.
const INTEGER_END: f64 = 18_446_744_073_709_551_616.0;

/// Parses a body: one JSON value, nested at most `depth_max` deep.
///
/// # Errors
///
/// [`Condition::BodyNotJson`], naming line and column, when the bytes are not UTF-8 or not JSON,
/// hold a key twice, nest too deep, or hold a number that would not survive.
pub fn parse(bytes: &[u8], depth_max: usize) -> Result<Value, ScimError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        refused(&format!(
            "byte {} is not UTF-8; send the body in UTF-8",
            error.valid_up_to().saturating_add(1)
        ))
    })?;
    if text.trim_ascii().is_empty() {
        return Err(refused("it is empty; send a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let tree = Tree {
        depth_left: depth_max,
        depth_max,
    };
    tree.deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| refused(&error.to_string()))
}

/// The refusal of a body.
fn refused(why: &str) -> ScimError {
    ScimError::new(
        Condition::BodyNotJson,
        format!("the body is not acceptable JSON: {why}"),
    )
}

/// Appends a value's JSON text, without blanks.
pub fn write(out: &mut Vec<u8>, value: &Value) {
    #[expect(
        clippy::expect_used,
        reason = "keys are strings, numbers are finite, and a Vec takes every write"
    )]
    serde_json::to_writer(out, value).expect("a tree has a text");
}

/// Appends an object's JSON text, without blanks.
pub fn write_object(out: &mut Vec<u8>, members: &Map<String, Value>) {
    let mut separator = b'{';
    for (name, value) in members {
        out.push(separator);
        write_text(out, name);
        out.push(b':');
        write(out, value);
        separator = b',';
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

/// Appends a string with its quotation marks.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    // Without an early end, so that many bytes are looked at together.
    let plain = |plain, b: u8| plain & (b >= b' ') & (b != b'"') & (b != b'\\');
    if text.bytes().fold(true, plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        #[expect(
            clippy::expect_used,
            reason = "a string has a JSON text, and a Vec takes every write"
        )]
        serde_json::to_writer(out, text).expect("a string has a text");
    }
}

/// Appends what `value` prints, as it is: for numbers and times, which need no escapes.
pub fn write_plain(out: &mut Vec<u8>, value: impl fmt::Display) {
    #[expect(clippy::expect_used, reason = "a Vec takes every write")]
    write!(out, "{value}").expect("a Vec takes every write");
}

/// A client's name, cut to a length that fits an error or a log line.
pub fn shortened(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAME_BYTES_MAX))
        .unwrap_or_default()
}

/// Builds one value of the tree.
#[derive(Clone, Copy)]
struct Tree {
    /// How many levels may still open inside.
    depth_left: usize,
    /// How many might open in all; for the message.
    depth_max: usize,
}

impl Tree {
    /// What builds the values one level further in.
    fn inner<E: Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| {
            E::custom(format_args!("nested deeper than {} levels", self.depth_max))
        })?;
        Ok(Self { depth_left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .filter(|_| value.abs() < INTEGER_END)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is too large; integers have up to 64 bits"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut members = Map::new();
        let mut seen = HashSet::new();
        while let Some(name) = entries.next_key::<String>()? {
            if is_repeated(&name, &members, &mut seen) {
                return Err(A::Error::custom(format_args!(
                    "the key \"{}\" is there twice (names are compared without regard to case)",
                    shortened(&name)
                )));
            }
            let value = entries.next_value_seed(inner)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

/// Whether an object has a key of that name already, in whatever case.
fn is_repeated(name: &str, members: &Map<String, Value>, seen: &mut HashSet<String>) -> bool {
    if members.len() < KEYS_COMPARED_MAX {
        return members.keys().any(|key| key.eq_ignore_ascii_case(name));
    }
    if seen.is_empty() {
        seen.extend(members.keys().map(|key| key.to_ascii_lowercase()));
    }
    !seen.insert(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::scim::error::Condition;
    use crate::scim::json::parse;
    use crate::scim::json::shortened;
    use crate::scim::json::write;
    use crate::scim::json::write_object;
    use crate::scim::json::write_text;

    #[test]
    fn what_was_sent_comes_back_in_its_order() {
        for text in [
            "null",
            "true",
            r#""\"\\ å \n""#,
            "[1,-2,18446744073709551615,0.5]",
            r#"{"b":1,"a":{"c":[],"b":{}},"å":null}"#,
        ] {
            let mut printed = Vec::new();
            write(&mut printed, &parse(text.as_bytes(), 32).unwrap());
            assert_eq!(String::from_utf8(printed).unwrap(), text);
        }
    }

    #[test]
    fn a_bad_body_is_refused_where_it_goes_wrong() {
        for (bytes, detail) in [
            (&b""[..], "it is empty; send a JSON object"),
            (b" \n ", "it is empty; send a JSON object"),
            (
                b"{\"a\":\xff}",
                "byte 6 is not UTF-8; send the body in UTF-8",
            ),
            (
                b"{\"a\":1",
                "EOF while parsing an object at line 1 column 6",
            ),
            (b"{\"a\":1} x", "trailing characters at line 1 column 9"),
            (b"{'a':1}", "key must be a string at line 1 column 2"),
            (
                b"{\"a\":1,\n\"b\":{\"userName\":1,\"USERNAME\":2}}",
                "the key \"USERNAME\" is there twice (names are compared without regard to case) \
                 at line 2 column 28",
            ),
            (
                b"[[[[1]]]]",
                "nested deeper than 3 levels at line 1 column 4",
            ),
            (b"1e400", "number out of range at line 1 column 5"),
            (
                b"[18446744073709551616]",
                "a number is too large; integers have up to 64 bits at line 1 column 21",
            ),
            (
                br#"["\ud800"]"#,
                "unexpected end of hex escape at line 1 column 9",
            ),
        ] {
            let error = parse(bytes, 3).unwrap_err();
            assert_eq!(error.condition(), Condition::BodyNotJson);
            assert_eq!(
                error.detail(),
                format!("the body is not acceptable JSON: {detail}"),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn a_repeated_key_is_found_in_objects_of_any_size() {
        for size in [2, 16, 17, 18, 40] {
            let keys = (1..size).map(|i| format!("\"k{i}\":{i}"));
            let good = format!("{{{}}}", keys.collect::<Vec<_>>().join(","));
            assert!(parse(good.as_bytes(), 32).is_ok(), "{good}");
            for again in ["K1".to_owned(), format!("K{}", size - 1)] {
                let bad = good.replace('}', &format!(",\"{again}\":0}}"));
                assert!(parse(bad.as_bytes(), 32).is_err(), "{bad}");
            }
        }
    }

    #[test]
    fn texts_and_objects_are_escaped() {
        for text in ["", "plain å", "\"", "\\", "\u{1}", "\n"] {
            let mut printed = Vec::new();
            write_text(&mut printed, text);
            assert_eq!(printed, json!(text).to_string().into_bytes(), "{text:?}");
        }
        for object in [json!({}), json!({"a\"": 1, "b": [{}]})] {
            let mut printed = Vec::new();
            write_object(&mut printed, object.as_object().unwrap());
            assert_eq!(printed, object.to_string().into_bytes());
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(shortened("name"), "name");
        assert_eq!(shortened(&"å".repeat(60)), "å".repeat(50));
        assert_eq!(shortened(&format!("a{}", "å".repeat(60))).len(), 99);
    }
}
