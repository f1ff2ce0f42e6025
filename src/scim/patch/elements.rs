//! The elements of a multi-valued attribute under PATCH: which are the same, which is primary, and
//! what a filter describes (RFC 7643 §2.4, RFC 7644 §3.5.2).

use std::collections::BTreeMap;
use std::collections::HashMap;

use serde_json::Map;
use serde_json::Value;

use crate::scim::filter::CompareOp;
use crate::scim::filter::Filter;
use crate::scim::filter::Literal;
use crate::scim::patch::apply::Step;
use crate::scim::resource::is_unassigned;
use crate::scim::schema::Attribute;
use crate::scim::text::fold;

/// Sets a whole attribute: an add appends what is not there yet, a replace puts the new list in place
/// of the old. `present` is an array.
pub fn set_all(present: &mut Value, attribute: &Attribute, step: Step<'_>) {
    let (Value::Array(list), Value::Array(new)) = (&mut *present, step.value()) else {
        return;
    };
    if matches!(step, Step::Replace(_)) {
        list.clone_from(new);
        return;
    }
    let mut known = Known::default();
    for (index, element) in list.iter().enumerate() {
        known.remember(element, attribute, index);
    }
    let mut primary = None;
    for element in new {
        let index = if let Some(index) = known.find(element, attribute) {
            if let Some(old) = list.get_mut(index) {
                complete(old, element);
            }
            index
        } else {
            known.remember(element, attribute, list.len());
            list.push(element.clone());
            list.len().saturating_sub(1)
        };
        if is_primary(element) {
            primary = Some(index);
        }
    }
    if let Some(primary) = primary {
        only_primary(present, &[primary]);
    }
}

/// Adds to an element what the same element says elsewhere. Its value and type stay as they are
/// spelled.
fn complete(old: &mut Value, new: &Value) {
    if let (Value::Object(old), Value::Object(new)) = (old, new) {
        for (name, value) in new {
            if !matches!(&**name, "value" | "type") || !old.contains_key(name) {
                old.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Where elements are, by what makes them the same: `value` and `type` (RFC 7643 §2.4), or
/// everything where there is no `value`. A look-up, because a client may add thousands at once.
#[derive(Default)]
struct Known(HashMap<(String, Option<String>), usize>);

impl Known {
    /// Where the same element is. One without `type` is the same as any with its value.
    fn find(&self, element: &Value, attribute: &Attribute) -> Option<usize> {
        self.0.get(&identity(element, attribute)).copied()
    }

    /// Remembers where an element is.
    fn remember(&mut self, element: &Value, attribute: &Attribute, index: usize) {
        let (value, label) = identity(element, attribute);
        if label.is_some() {
            self.0.entry((value.clone(), label)).or_insert(index);
        }
        self.0.entry((value, None)).or_insert(index);
    }
}

/// What makes an element the same as another one.
fn identity(element: &Value, attribute: &Attribute) -> (String, Option<String>) {
    let Value::Object(parts) = element else {
        return (element.to_string(), None);
    };
    let folded = |name: &str| {
        let text = parts.get(name)?.as_str()?;
        let exact = attribute
            .sub_attribute(name)
            .is_some_and(|sub| sub.case_exact);
        Some(if exact { text.to_owned() } else { fold(text) })
    };
    match folded("value") {
        Some(value) => (value, folded("type")),
        None => {
            let sorted: BTreeMap<_, _> = parts.iter().collect();
            let everything = serde_json::to_string(&sorted).unwrap_or_default();
            (everything, None)
        }
    }
}

/// Whether an element is marked as the preferred one.
pub fn is_primary(element: &Value) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
}

/// Takes the mark from all elements but these: it was set on one, and only one may have it
/// (RFC 7644 §3.5.2). `but` ascends.
pub fn only_primary(present: &mut Value, but: &[usize]) {
    let Value::Array(list) = present else {
        return;
    };
    for (index, element) in list.iter_mut().enumerate() {
        if but.binary_search(&index).is_err()
            && let Some(mark) = element.get_mut("primary")
        {
            *mark = Value::Bool(false);
        }
    }
}

/// The chosen elements of an array, or the only value if it is chosen. `chosen` ascends.
pub fn chosen_mut<'v>(
    present: &'v mut Value,
    chosen: &'v [usize],
) -> impl Iterator<Item = &'v mut Value> {
    let list = match present {
        Value::Array(list) => list.as_mut_slice(),
        single => std::slice::from_mut(single),
    };
    let mut chosen = chosen.iter().peekable();
    list.iter_mut()
        .enumerate()
        .filter_map(move |(index, element)| {
            let is_chosen = chosen.next_if(|next| **next == index).is_some();
            is_chosen.then_some(element)
        })
}

/// Drops elements of which nothing is left.
pub fn drop_empty(present: &mut Value) {
    if let Value::Array(list) = present {
        list.retain(|element| !is_unassigned(element));
    }
}

/// The element that a filter describes: its equalities, joined by `and`. `None` where it says
/// something else, or contradicts itself. Without a filter nothing is described.
pub fn described(filter: Option<&Filter>) -> Option<Map<String, Value>> {
    let mut parts = Map::new();
    let Some(filter) = filter else {
        return Some(parts);
    };
    collect(filter, &mut parts)?;
    let element = Value::Object(parts);
    if !filter.matches_element(&element) {
        return None;
    }
    match element {
        Value::Object(parts) => Some(parts),
        _ => None,
    }
}

/// Collects the equalities of a filter.
fn collect(filter: &Filter, parts: &mut Map<String, Value>) -> Option<()> {
    match filter {
        Filter::And(terms) => terms.iter().try_for_each(|term| collect(term, parts)),
        Filter::Compare {
            path,
            op: CompareOp::Eq,
            value,
        } => {
            let value = match value {
                Literal::String(text) => Value::from(text.as_str()),
                Literal::Number(number) => Value::Number(number.clone()),
                Literal::Bool(value) => Value::Bool(*value),
                Literal::DateTime(instant) => Value::from(instant.to_string()),
                Literal::Null => return Some(()),
            };
            parts.insert(path.attribute.name.to_string(), value);
            Some(())
        }
        Filter::Compare { .. }
        | Filter::Or(_)
        | Filter::Not(_)
        | Filter::Present(_)
        | Filter::ValuePath { .. } => None,
    }
}
