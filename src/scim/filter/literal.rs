//! The values that filters compare with, and which value and operator fit which attribute
//! (RFC 7644 Table 3). What profile `entra` tolerates is asked of `dialect`.

use std::fmt;

use serde_json::Number;
use serde_json::Value;

use crate::base::clock::Timestamp;
use crate::scim::dialect;
use crate::scim::filter::CompareOp;
use crate::scim::resource::Note;
use crate::scim::schema::Attribute;
use crate::scim::schema::Profile;
use crate::scim::schema::Type;

/// A value in a filter, of a type that fits its attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// Text; compared as the attribute's `caseExact` says.
    String(String),
    /// A number.
    Number(Number),
    /// `true` or `false`.
    Bool(bool),
    /// Unassigned.
    Null,
    /// A point in time.
    DateTime(Instant),
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => Value::from(text.as_str()).fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Null => f.write_str("null"),
            Self::DateTime(instant) => write!(f, "\"{instant}\""),
        }
    }
}

/// A point in time to the nanosecond. [`Timestamp`] cuts at the millisecond, which would make
/// two times equal that clients see differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    /// The last whole second before.
    second: Timestamp,
    /// Nanoseconds since then.
    nanos: u32,
}

impl Instant {
    /// Parses an `xsd:dateTime` with date, time and zone. More than nine digits of fraction are cut.
    pub fn parse(text: &str) -> Option<Self> {
        let Some((whole, rest)) = text.split_once('.') else {
            let second = Timestamp::parse(text).ok()?;
            return Some(Self { second, nanos: 0 });
        };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, zone) = rest.split_at_checked(digits)?;
        if fraction.is_empty() {
            return None;
        }
        let nanos = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        let second = Timestamp::parse(&format!("{whole}{zone}")).ok()?;
        Some(Self { second, nanos })
    }

    /// The same point, cut to the millisecond.
    pub fn timestamp(self) -> Timestamp {
        self.second.plus_millis(i64::from(self.nanos / 1_000_000))
    }
}

impl fmt::Display for Instant {
    /// UTC with as many digits of fraction as the point has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.second.to_string();
        let second = second.split_once('.').map_or(&*second, |(whole, _)| whole);
        if self.nanos == 0 {
            return write!(f, "{second}Z");
        }
        let nanos = format!("{:09}", self.nanos);
        write!(f, "{second}.{}Z", nanos.trim_end_matches('0'))
    }
}

/// A value as it stands in the text.
#[derive(Clone, Copy, Debug)]
pub enum Written<'t> {
    /// In double quotes, escapes resolved.
    Quoted(&'t str),
    /// Without quotes.
    Bare(&'t str),
}

/// The value, if it and the operator fit the attribute.
///
/// # Errors
///
/// The sentence that tells what would fit.
pub fn typed(
    attribute: &Attribute,
    op: CompareOp,
    written: Written<'_>,
    profile: Profile,
    notes: &mut Vec<Note>,
) -> Result<Literal, String> {
    check_op(attribute, op)?;
    let name = &attribute.name;
    if let Written::Bare("null") = written {
        return if op.is_partial() {
            Err(format!("`{}` looks for text, and null is none", op.word()))
        } else {
            Ok(Literal::Null)
        };
    }
    match attribute.kind {
        Type::String | Type::Reference | Type::Binary => {
            text(name, written, profile, notes).map(Literal::String)
        }
        Type::DateTime => {
            let text = text(name, written, profile, notes)?;
            if op.is_partial() {
                return Ok(Literal::String(text));
            }
            Instant::parse(&text).map(Literal::DateTime).ok_or_else(|| {
                format!("{name} is compared with a date and time with zone, such as \"2026-01-31T07:00:00Z\"")
            })
        }
        Type::Boolean => match written {
            Written::Bare("true") => Ok(Literal::Bool(true)),
            Written::Bare("false") => Ok(Literal::Bool(false)),
            Written::Quoted(word) | Written::Bare(word) => {
                dialect::filter_boolean(profile, name, word, notes)
                    .map(Literal::Bool)
                    .ok_or_else(|| format!("{name} is compared with true or false, without quotes"))
            }
        },
        Type::Integer | Type::Decimal => number(written)
            .ok_or_else(|| format!("{name} is compared with a number, without quotes")),
        Type::Complex => Err(format!(
            "{name} is made of parts; compare one of them, such as {name}.{}",
            attribute
                .sub_attributes
                .first()
                .map_or("value", |sub| &sub.name)
        )),
        Type::Any => match written {
            Written::Bare("true") => Ok(Literal::Bool(true)),
            Written::Bare("false") => Ok(Literal::Bool(false)),
            Written::Quoted(_) | Written::Bare(_) => number(written).map_or_else(
                || text(name, written, profile, notes).map(Literal::String),
                Ok,
            ),
        },
    }
}

/// Whether the operator makes sense for the attribute's type.
fn check_op(attribute: &Attribute, op: CompareOp) -> Result<(), String> {
    let fits = match attribute.kind {
        Type::String | Type::Reference | Type::DateTime | Type::Any => true,
        Type::Boolean | Type::Binary | Type::Complex => !op.is_partial() && !op.is_ordering(),
        Type::Integer | Type::Decimal => !op.is_partial(),
    };
    if fits {
        return Ok(());
    }
    let accepted = match attribute.kind {
        Type::Integer | Type::Decimal => "eq, ne, gt, ge, lt, le and pr",
        _ => "eq, ne and pr",
    };
    Err(format!(
        "`{}` does not fit {}, which takes {accepted}",
        op.word(),
        attribute.name
    ))
}

/// The text of a quoted value; of a bare one where the profile takes it for text.
fn text(
    name: &str,
    written: Written<'_>,
    profile: Profile,
    notes: &mut Vec<Note>,
) -> Result<String, String> {
    match written {
        Written::Quoted(text) => Ok(text.to_owned()),
        Written::Bare(word) => dialect::filter_unquoted(profile, name, word, notes)
            .ok_or_else(|| format!("{name} is compared with text in double quotes")),
    }
}

/// The number that a bare word is.
fn number(written: Written<'_>) -> Option<Literal> {
    let Written::Bare(word) = written else {
        return None;
    };
    match serde_json::from_str(word).ok()? {
        Value::Number(number) => Some(Literal::Number(number)),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scim::filter::literal::Instant;

    #[test]
    fn points_in_time_compare_across_zones_and_to_the_nanosecond() {
        let order = [
            "1969-12-31T23:59:58.9Z",
            "1969-12-31T23:59:59.000000001Z",
            "2026-01-31T09:00:00+02:00",
            "2026-01-31T07:00:00.000000001Z",
            "2026-01-31T07:00:00.123Z",
            "2026-01-31T07:00:00.1234567891Z",
        ];
        for pair in order.windows(2) {
            assert!(
                Instant::parse(pair[0]).unwrap() < Instant::parse(pair[1]).unwrap(),
                "{pair:?}"
            );
        }
        assert_eq!(
            Instant::parse("2026-01-31T09:00:00.50+02:00"),
            Instant::parse("2026-01-31T07:00:00.5Z")
        );
    }

    #[test]
    fn a_point_in_time_prints_as_it_parses() {
        for text in [
            "2026-01-31T07:00:00Z",
            "2026-01-31T07:00:00.5Z",
            "2026-01-31T07:00:00.000000001Z",
            "1969-12-31T23:59:59.25Z",
        ] {
            assert_eq!(Instant::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T07:00:00",
            "2026-01-31T07:00:00.Z",
        ] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
    }
}
