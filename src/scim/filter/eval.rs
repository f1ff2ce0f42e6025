//! Whether a resource, or one element of an attribute, satisfies a filter (RFC 7644 §3.4.2.2).

use std::cmp::Ordering;

use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::scim::filter::CompareOp;
use crate::scim::filter::Filter;
use crate::scim::filter::literal::Instant;
use crate::scim::filter::literal::Literal;
use crate::scim::path::AttrPath;
use crate::scim::schema::Attribute;
use crate::scim::schema::Type;
use crate::scim::text::fold;

/// What a filter's names are looked up in.
#[derive(Clone, Copy)]
enum Subject<'v> {
    /// A whole resource.
    Resource(&'v Map<String, Value>),
    /// An element of an attribute.
    Element(&'v Value),
}

impl Filter {
    /// Whether the resource satisfies the filter. `tree` is what a client is shown: with `id`,
    /// `meta` and `groups`.
    pub fn matches(&self, tree: &Map<String, Value>) -> bool {
        holds(self, Subject::Resource(tree))
    }

    /// Whether the element satisfies the filter that stands between brackets.
    pub fn matches_element(&self, element: &Value) -> bool {
        holds(self, Subject::Element(element))
    }
}

/// Whether the subject satisfies the filter. The parser limits how deep this goes.
fn holds(filter: &Filter, subject: Subject<'_>) -> bool {
    match filter {
        Filter::And(terms) => terms.iter().all(|term| holds(term, subject)),
        Filter::Or(terms) => terms.iter().any(|term| holds(term, subject)),
        Filter::Not(term) => !holds(term, subject),
        Filter::Present(path) => any(path, subject, &is_present),
        Filter::Compare { path, op, value } => compare(path, *op, value, subject),
        Filter::ValuePath { path, filter } => {
            let matches = |element: &Value| holds(filter, Subject::Element(element));
            any(path, subject, &matches)
        }
    }
}

/// Whether the comparison holds for any value; `ne` where `eq` does not, so that `x ne v` is always
/// `not (x eq v)`, also for unassigned and multi-valued attributes.
fn compare(path: &AttrPath, op: CompareOp, literal: &Literal, subject: Subject<'_>) -> bool {
    if op == CompareOp::Ne {
        return !compare(path, CompareOp::Eq, literal, subject);
    }
    if *literal == Literal::Null {
        // RFC 7643 §2.5: null is the unassigned state, and that has no place in an order.
        return op == CompareOp::Eq && !any(path, subject, &is_present);
    }
    let leaf = path.leaf();
    any(path, subject, &|value| satisfies(value, op, literal, leaf))
}

/// Whether any value that the path leads to passes the test.
fn any(path: &AttrPath, subject: Subject<'_>, test: &dyn Fn(&Value) -> bool) -> bool {
    let name = &*path.attribute.name;
    let value = match (subject, &path.extension) {
        (Subject::Resource(tree), None) => tree.get(name),
        (Subject::Resource(tree), Some(urn)) => member(tree, urn)
            .and_then(Value::as_object)
            .and_then(|extension| member(extension, name)),
        (Subject::Element(Value::Object(members)), _) => member(members, name),
        // A simple element has no parts; between brackets it is called `value`.
        (Subject::Element(value), _) => Some(value).filter(|_| name == "value"),
    };
    let Some(value) = value else {
        return false;
    };
    elements(value).iter().any(|element| match &path.sub {
        None => test(element),
        Some(sub) => element
            .as_object()
            .and_then(|members| member(members, &sub.name))
            .is_some_and(|value| elements(value).iter().any(test)),
    })
}

/// The elements of an array; anything else is its own only element.
fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        single => std::slice::from_ref(single),
    }
}

/// The member of that name: as spelled, or else in any letter case, since what an unregistered
/// extension holds is kept in the client's spelling.
pub fn member<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    members.get(name).or_else(|| {
        let mut alike = members.iter();
        let alike = alike.find(|(other, _)| other.eq_ignore_ascii_case(name));
        alike.map(|(_, value)| value)
    })
}

/// Whether a value counts as one (`pr`): not null, not empty, some part not empty.
fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(is_present),
        Value::Object(members) => members.values().any(is_present),
    }
}

/// Whether one value satisfies a comparison with something that is not null.
fn satisfies(value: &Value, op: CompareOp, literal: &Literal, leaf: &Attribute) -> bool {
    match (literal, value) {
        (Literal::String(wanted), Value::String(text)) => {
            let exact = leaf.case_exact || matches!(leaf.kind, Type::Binary | Type::Reference);
            if exact {
                text_satisfies(text, op, wanted)
            } else if text.is_ascii() && wanted.is_ascii() {
                ascii_satisfies(text.as_bytes(), op, wanted.as_bytes())
            } else {
                text_satisfies(&fold(text), op, &fold(wanted))
            }
        }
        (Literal::Number(wanted), Value::Number(number)) => {
            order(number, wanted).is_some_and(|order| order_satisfies(order, op))
        }
        (Literal::Bool(wanted), Value::Bool(value)) => op == CompareOp::Eq && wanted == value,
        (Literal::DateTime(wanted), Value::String(text)) => {
            Instant::parse(text).is_some_and(|instant| order_satisfies(instant.cmp(wanted), op))
        }
        _ => false,
    }
}

/// Whether a text satisfies a comparison, letter by letter.
fn text_satisfies(text: &str, op: CompareOp, wanted: &str) -> bool {
    match op {
        CompareOp::Co => text.contains(wanted),
        CompareOp::Sw => text.starts_with(wanted),
        CompareOp::Ew => text.ends_with(wanted),
        CompareOp::Eq
        | CompareOp::Ne
        | CompareOp::Gt
        | CompareOp::Ge
        | CompareOp::Lt
        | CompareOp::Le => order_satisfies(text.cmp(wanted), op),
    }
}

/// Whether a text satisfies a comparison without regard to case, when both are ASCII. Says the same
/// as folding both and spares a scan the copies.
fn ascii_satisfies(text: &[u8], op: CompareOp, wanted: &[u8]) -> bool {
    let count = wanted.len();
    match op {
        CompareOp::Co if count == 0 => true,
        CompareOp::Co => text
            .windows(count)
            .any(|part| part.eq_ignore_ascii_case(wanted)),
        CompareOp::Sw => text
            .get(..count)
            .is_some_and(|part| part.eq_ignore_ascii_case(wanted)),
        CompareOp::Ew => text
            .len()
            .checked_sub(count)
            .and_then(|start| text.get(start..))
            .is_some_and(|part| part.eq_ignore_ascii_case(wanted)),
        CompareOp::Eq => text.eq_ignore_ascii_case(wanted),
        CompareOp::Ne | CompareOp::Gt | CompareOp::Ge | CompareOp::Lt | CompareOp::Le => {
            let folded = |text: &[u8]| text.to_ascii_lowercase();
            order_satisfies(folded(text).cmp(&folded(wanted)), op)
        }
    }
}

/// Whether an order is what the operator asks for.
fn order_satisfies(order: Ordering, op: CompareOp) -> bool {
    match op {
        CompareOp::Eq => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
        CompareOp::Co | CompareOp::Sw | CompareOp::Ew => false,
    }
}

/// How two numbers compare: exactly when both are whole.
fn order(left: &Number, right: &Number) -> Option<Ordering> {
    let whole = |number: &Number| {
        let signed = number.as_i64().map(i128::from);
        signed.or_else(|| number.as_u64().map(i128::from))
    };
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use proptest::proptest;

    use crate::scim::filter::CompareOp;
    use crate::scim::filter::eval::ascii_satisfies;
    use crate::scim::filter::eval::text_satisfies;
    use crate::scim::text::fold;

    proptest! {
        #[test]
        fn the_short_way_for_ascii_says_the_same(text in "[ -~]{0,6}", wanted in "[ -~]{0,3}") {
            for op in CompareOp::ALL {
                assert_eq!(
                    ascii_satisfies(text.as_bytes(), op, wanted.as_bytes()),
                    text_satisfies(&fold(&text), op, &fold(&wanted)),
                    "{text:?} {op:?} {wanted:?}"
                );
            }
        }
    }
}
