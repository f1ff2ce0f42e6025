//! Carrying operations out on a copy of a resource (RFC 7644 §3.5.2.1 to §3.5.2.3).

use serde_json::Map;
use serde_json::Value;

use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::filter::Filter;
use crate::scim::filter::eval::member;
use crate::scim::patch::ELEMENT_BUILT;
use crate::scim::patch::LABELS_DROPPED;
use crate::scim::patch::Labels;
use crate::scim::patch::OnNoMatch;
use crate::scim::patch::Operation;
use crate::scim::patch::Outcome;
use crate::scim::patch::elements;
use crate::scim::path::AttrPath;
use crate::scim::path::PatchPath;
use crate::scim::resource::Note;
use crate::scim::resource::Resource;
use crate::scim::resource::is_unassigned;
use crate::scim::resource::parse::settle;
use crate::scim::schema::Attribute;
use crate::scim::schema::Mutability;
use crate::scim::schema::registry::Registry;

/// How many comparisons of a term with an element one PATCH may cost: about a second.
const COMPARISONS_MAX: usize = 10_000_000;

/// Carries the operations out, in order.
///
/// # Errors
///
/// What the client is told when one cannot be carried out, or when the result does not fit the schema.
pub fn apply(
    operations: &[Operation],
    resource: &Resource,
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<Outcome, ScimError> {
    // All of them were about memberships, which are elsewhere.
    if operations.is_empty() {
        return Ok(Outcome::Unchanged);
    }
    let mut tree = resource.tree().clone();
    let mut work_left = COMPARISONS_MAX;
    for operation in operations {
        match operation {
            Operation::Add {
                path,
                value,
                on_no_match,
            } => {
                spend(&mut work_left, &tree, path)?;
                set(&mut tree, path, Step::Add(value), *on_no_match, notes)?;
            }
            Operation::Replace {
                path,
                value,
                on_no_match,
            } => {
                spend(&mut work_left, &tree, path)?;
                set(&mut tree, path, Step::Replace(value), *on_no_match, notes)?;
            }
            Operation::Remove { path, .. } => {
                spend(&mut work_left, &tree, path)?;
                remove(&mut tree, path)?;
            }
        }
    }
    for operation in operations {
        if let Operation::Remove { path, labels } = operation {
            check_required(&tree, path)?;
            if *labels == Labels::Drop && drop_labels(&mut tree, path) {
                Note::add(notes, LABELS_DROPPED, &path.to_string());
            }
        }
    }
    let settled = settle(resource.kind(), tree, registry)?;
    // RFC 7644 §3.5.2.1: what changes nothing does not move `lastModified` either.
    Ok(if settled == *resource {
        Outcome::Unchanged
    } else {
        Outcome::Changed(settled)
    })
}

/// Takes what an operation will cost from what one PATCH may cost: its filter is compared with every
/// element. Without a bound, many operations on a long list would keep a thread busy for minutes.
fn spend(left: &mut usize, tree: &Map<String, Value>, path: &PatchPath) -> Result<(), ScimError> {
    let PatchPath::Elements { path, filter } = path else {
        return Ok(());
    };
    let members = match &path.extension {
        None => Some(tree),
        Some(urn) => member(tree, urn).and_then(Value::as_object),
    };
    let present = members.and_then(|members| member(members, &path.attribute.name));
    let count = present.and_then(Value::as_array).map_or(1, Vec::len);
    let cost = count.saturating_mul(filter.terms());
    *left = left.checked_sub(cost).ok_or_else(|| {
        let detail = format!(
            "choosing elements of `{}` takes more than {COMPARISONS_MAX} comparisons; send fewer operations at once",
            path.whole()
        );
        ScimError::new(Condition::TooMany, detail)
    })?;
    Ok(())
}

/// A value to be set, and how.
#[derive(Clone, Copy)]
pub enum Step<'v> {
    /// Added to what is there.
    Add(&'v Value),
    /// In place of what is there.
    Replace(&'v Value),
}

impl<'v> Step<'v> {
    /// The value.
    pub const fn value(self) -> &'v Value {
        match self {
            Self::Add(value) | Self::Replace(value) => value,
        }
    }
}

/// Carries out an add or replace.
fn set(
    tree: &mut Map<String, Value>,
    path: &PatchPath,
    step: Step<'_>,
    on_no_match: OnNoMatch,
    notes: &mut Vec<Note>,
) -> Result<(), ScimError> {
    let (target, filter) = match path {
        PatchPath::Attribute(target) => (target, None),
        PatchPath::Elements { path, filter } => (path, Some(&**filter)),
        // The reader has made operations on attributes of it.
        PatchPath::Extension(_) => return Ok(()),
    };
    let Some(members) = container(tree, target) else {
        return Err(no_target(path, "is in no object"));
    };
    let key = key(members, &target.attribute.name);
    let attribute = &*target.attribute;
    match (&target.sub, filter) {
        (None, None) if attribute.multi_valued => {
            let present = members
                .entry(key)
                .or_insert_with(|| Value::Array(Vec::new()));
            elements::set_all(present, attribute, step);
            Ok(())
        }
        (None, None) => {
            check_immutable(members.get(&key), attribute, step.value(), path)?;
            match (step, members.get_mut(&key)) {
                // Lists of an extension that nobody registered grow like registered ones.
                (Step::Add(Value::Array(_)), Some(present @ Value::Array(_))) => {
                    elements::set_all(present, attribute, step);
                }
                _ => drop(members.insert(key, step.value().clone())),
            }
            Ok(())
        }
        (Some(sub), None) if !attribute.multi_valued && !is_array(members.get(&key)) => {
            let present = members
                .entry(key)
                .or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(parts) = present else {
                return Err(no_target(path, "has no parts"));
            };
            set_part(parts, attribute, sub, step.value(), path)
        }
        (_, _) => {
            let present = members
                .entry(key)
                .or_insert_with(|| Value::Array(Vec::new()));
            let chosen = choose(present, filter);
            if chosen.is_empty() {
                return build(present, target, filter, step, on_no_match, path, notes);
            }
            set_elements(present, &chosen, target, step, path)
        }
    }
}

/// Sets the value, or its sub-attribute, in each of the chosen elements.
fn set_elements(
    present: &mut Value,
    chosen: &[usize],
    target: &AttrPath,
    step: Step<'_>,
    path: &PatchPath,
) -> Result<(), ScimError> {
    let attribute = &*target.attribute;
    for element in elements::chosen_mut(present, chosen) {
        match (&target.sub, element) {
            (Some(sub), Value::Object(parts)) => {
                set_part(parts, attribute, sub, step.value(), path)?;
            }
            (Some(_), _) => return Err(no_target(path, "has no parts")),
            (None, element) => set_element(element, attribute, step, path)?,
        }
    }
    let primary = match &target.sub {
        Some(sub) => &*sub.name == "primary" && *step.value() == Value::Bool(true),
        None => elements::is_primary(step.value()),
    };
    if primary {
        elements::only_primary(present, chosen);
    }
    Ok(())
}

/// Sets a whole element: an add merges, a replace puts the new one in its place (RFC 7644 §3.5.2.3).
fn set_element(
    element: &mut Value,
    attribute: &Attribute,
    step: Step<'_>,
    path: &PatchPath,
) -> Result<(), ScimError> {
    if let (Value::Object(old), Value::Object(new)) = (&mut *element, step.value()) {
        for sub in &attribute.sub_attributes {
            let changed = new.get(&*sub.name);
            let changed = changed.or(matches!(step, Step::Replace(_)).then_some(&Value::Null));
            if let Some(changed) = changed {
                check_immutable(old.get(&*sub.name), sub, changed, path)?;
            }
        }
        if matches!(step, Step::Add(_)) {
            drop_stale_reference(old, attribute, new.get("value"));
            old.extend(
                new.iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
            return Ok(());
        }
    }
    *element = step.value().clone();
    Ok(())
}

/// Sets one part of a complex value.
fn set_part(
    parts: &mut Map<String, Value>,
    attribute: &Attribute,
    sub: &Attribute,
    value: &Value,
    path: &PatchPath,
) -> Result<(), ScimError> {
    let key = key(parts, &sub.name);
    check_immutable(parts.get(&key), sub, value, path)?;
    if &*sub.name == "value" {
        drop_stale_reference(parts, attribute, Some(value));
    }
    parts.insert(key, value.clone());
    Ok(())
}

/// Drops `$ref` when `value` becomes another one: it would refer to what is no longer meant, and
/// clients that set one rarely set the other.
fn drop_stale_reference(parts: &mut Map<String, Value>, of: &Attribute, new: Option<&Value>) {
    let changed = new.is_some_and(|new| parts.get("value").is_some_and(|old| old != new));
    if changed && of.sub_attribute("$ref").is_some() {
        parts.shift_remove("$ref");
    }
}

/// Builds the element that a filter asks for but nothing matches, where the operation may.
fn build(
    present: &mut Value,
    target: &AttrPath,
    filter: Option<&Filter>,
    step: Step<'_>,
    on_no_match: OnNoMatch,
    path: &PatchPath,
    notes: &mut Vec<Note>,
) -> Result<(), ScimError> {
    let Value::Array(list) = present else {
        return Err(no_target(path, "does not match"));
    };
    if on_no_match == OnNoMatch::Refuse {
        return Err(no_target(path, "matches no value"));
    }
    let Some(described) = elements::described(filter) else {
        let why = "matches no value, and only `eq` joined by `and` describes one to build";
        return Err(no_target(path, why));
    };
    let mut built = match (&target.sub, step.value()) {
        (None, Value::Object(_)) | (Some(_), _) => Value::Object(described),
        (None, simple) => simple.clone(),
    };
    match (&target.sub, &mut built) {
        (Some(sub), Value::Object(parts)) => {
            parts.insert(sub.name.to_string(), step.value().clone());
        }
        (None, built) => set_element(built, &target.attribute, Step::Add(step.value()), path)?,
        (Some(_), _) => {}
    }
    let primary = elements::is_primary(&built);
    list.push(built);
    if primary {
        let last = list.len().saturating_sub(1);
        elements::only_primary(present, &[last]);
    }
    Note::add(notes, ELEMENT_BUILT, &path.to_string());
    Ok(())
}

/// Carries out a removal. Where there is nothing to remove the client has what it wants.
fn remove(tree: &mut Map<String, Value>, path: &PatchPath) -> Result<(), ScimError> {
    let (target, filter) = match path {
        PatchPath::Attribute(target) => (target, None),
        PatchPath::Elements { path, filter } => (path, Some(&**filter)),
        PatchPath::Extension(urn) => {
            let key = key(tree, urn);
            tree.shift_remove(&key);
            return Ok(());
        }
    };
    let Some(members) = container(tree, target) else {
        return Ok(());
    };
    let key = key(members, &target.attribute.name);
    let Some(present) = members.get_mut(&key) else {
        return Ok(());
    };
    let attribute = &*target.attribute;
    match (&target.sub, filter) {
        (None, None) => {
            check_immutable(Some(present), attribute, &Value::Null, path)?;
            *present = Value::Null;
        }
        (sub, filter) => {
            let chosen = choose(present, filter);
            for element in elements::chosen_mut(present, &chosen) {
                match (sub, element) {
                    (None, element) => *element = Value::Null,
                    (Some(sub), Value::Object(parts)) => {
                        remove_part(parts, attribute, sub, path)?;
                    }
                    (Some(_), _) => {}
                }
            }
            elements::drop_empty(present);
        }
    }
    if is_unassigned(present) {
        members.shift_remove(&key);
    }
    Ok(())
}

/// Removes one part of a complex value, and the reference that goes with `value`.
fn remove_part(
    parts: &mut Map<String, Value>,
    attribute: &Attribute,
    sub: &Attribute,
    path: &PatchPath,
) -> Result<(), ScimError> {
    let key = key(parts, &sub.name);
    check_immutable(parts.get(&key), sub, &Value::Null, path)?;
    parts.shift_remove(&key);
    if &*sub.name == "value" && attribute.sub_attribute("$ref").is_some() {
        parts.shift_remove("$ref");
    }
    Ok(())
}

/// Which elements the filter chooses; all of them without a filter. The only value of an attribute
/// counts as its element.
fn choose(present: &Value, filter: Option<&Filter>) -> Vec<usize> {
    let list = match present {
        Value::Array(list) => list,
        single => std::slice::from_ref(single),
    };
    let matches = |element: &Value| filter.is_none_or(|filter| filter.matches_element(element));
    let numbered = list.iter().enumerate();
    numbered
        .filter(|(_, element)| matches(element))
        .map(|(index, _)| index)
        .collect()
}

/// Drops elements that hold nothing but labels after their value was removed; tells whether there
/// were any.
fn drop_labels(tree: &mut Map<String, Value>, path: &PatchPath) -> bool {
    let Some(target) = path.attr_path().filter(|target| target.sub.is_some()) else {
        return false;
    };
    let members = container(tree, target);
    let present = members.and_then(|members| members.get_mut(&*target.attribute.name));
    let Some(Value::Array(list)) = present else {
        return false;
    };
    let count = list.len();
    let is_label = |name: &String| matches!(&**name, "type" | "primary");
    list.retain(|element| {
        element
            .as_object()
            .is_none_or(|parts| !parts.keys().all(is_label))
    });
    list.len() < count
}

/// The members among which an attribute is: the resource's, or an extension's. An extension that is
/// missing is put there; settling drops it if it stays empty. `None` if it is not an object, which
/// no settled tree has.
fn container<'t>(
    tree: &'t mut Map<String, Value>,
    target: &AttrPath,
) -> Option<&'t mut Map<String, Value>> {
    let Some(urn) = &target.extension else {
        return Some(tree);
    };
    let key = key(tree, urn);
    let extension = tree.entry(key).or_insert_with(|| Value::Object(Map::new()));
    extension.as_object_mut()
}

/// The name as it is spelled among the members, where it is there in any letter case.
fn key(members: &Map<String, Value>, name: &str) -> String {
    if members.contains_key(name) || member(members, name).is_none() {
        return name.to_owned();
    }
    let mut alike = members.keys();
    let alike = alike.find(|key| key.eq_ignore_ascii_case(name));
    alike.map_or_else(|| name.to_owned(), Clone::clone)
}

/// Whether there is an array.
fn is_array(present: Option<&Value>) -> bool {
    present.is_some_and(Value::is_array)
}

/// Refuses to change what is set once (RFC 7644 §3.5.2).
fn check_immutable(
    present: Option<&Value>,
    attribute: &Attribute,
    new: &Value,
    path: &PatchPath,
) -> Result<(), ScimError> {
    let changes = present.is_some_and(|present| present != new);
    if attribute.mutability == Mutability::Immutable && changes {
        let name = &attribute.name;
        let detail = format!("`{path}`: `{name}` cannot be changed once it is set");
        return Err(ScimError::new(Condition::PatchReadOnly, detail));
    }
    Ok(())
}

/// Refuses the removal of a required attribute (RFC 7644 §3.5.2.2), unless a later operation has
/// set it again.
fn check_required(tree: &Map<String, Value>, path: &PatchPath) -> Result<(), ScimError> {
    let PatchPath::Attribute(target) = path else {
        return Ok(());
    };
    let required = target.attribute.required && target.sub.is_none();
    if required && target.extension.is_none() && !tree.contains_key(&*target.attribute.name) {
        let detail = format!("`{target}` is required and cannot be removed");
        return Err(ScimError::new(Condition::PatchReadOnly, detail));
    }
    Ok(())
}

/// The refusal of an operation that finds nothing to act on.
fn no_target(path: &PatchPath, why: &str) -> ScimError {
    ScimError::new(Condition::PatchNoTarget, format!("`{path}` {why}"))
}
