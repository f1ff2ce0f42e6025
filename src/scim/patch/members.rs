//! The operations on a group's members, taken out of a PATCH. What they come to depends on who the
//! members are, which only the store knows; here they become steps.

use std::sync::Arc;

use serde_json::Value;

use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::filter::CompareOp;
use crate::scim::filter::Filter;
use crate::scim::filter::Literal;
use crate::scim::members::MEMBERS;
use crate::scim::members::Member;
use crate::scim::members::MemberStep;
use crate::scim::patch::ELEMENT_BUILT;
use crate::scim::patch::OnNoMatch;
use crate::scim::patch::Operation;
use crate::scim::patch::elements;
use crate::scim::path::PatchPath;
use crate::scim::resource::Note;
use crate::scim::schema::Attribute;

/// Parts operations on members from the others, which keep their order.
///
/// # Errors
///
/// [`Condition::PatchReadOnly`] when a member is to be changed rather than added or removed.
pub fn split(
    operations: Vec<Operation>,
    notes: &mut Vec<Note>,
) -> Result<(Vec<Operation>, Vec<MemberStep>), ScimError> {
    let mut others = Vec::with_capacity(operations.len());
    let mut steps = Vec::new();
    for operation in operations {
        if is_on_members(&operation) {
            MemberStep::push(&mut steps, step(operation, notes)?);
        } else {
            others.push(operation);
        }
    }
    let steps = steps.into_iter().map(MemberStep::distinct).collect();
    Ok((others, steps))
}

/// Whether an operation acts on the members of a group.
fn is_on_members(operation: &Operation) -> bool {
    let (Operation::Add { path, .. }
    | Operation::Replace { path, .. }
    | Operation::Remove { path, .. }) = operation;
    path.attr_path()
        .is_some_and(|path| path.extension.is_none() && &*path.attribute.name == MEMBERS)
}

/// The step that an operation on members means.
fn step(operation: Operation, notes: &mut Vec<Note>) -> Result<MemberStep, ScimError> {
    match operation {
        Operation::Add {
            path: PatchPath::Attribute(path),
            value,
            ..
        } if path.sub.is_none() => Ok(MemberStep::Add(Member::list(&value))),
        Operation::Replace {
            path: PatchPath::Attribute(path),
            value,
            ..
        } if path.sub.is_none() => Ok(MemberStep::Set(Member::list(&value))),
        Operation::Remove {
            path: PatchPath::Attribute(path),
            ..
        } if path.sub.is_none() => Ok(MemberStep::Clear),
        Operation::Remove {
            path: PatchPath::Elements { path, filter },
            ..
        } if path.sub.is_none() => Ok(match named(&filter) {
            Some(values) => MemberStep::Remove(values),
            None => MemberStep::RemoveMatching(filter),
        }),
        Operation::Add {
            path,
            value,
            on_no_match: OnNoMatch::Create,
        }
        | Operation::Replace {
            path,
            value,
            on_no_match: OnNoMatch::Create,
        } => match described(&path, &value) {
            Some(member) => {
                Note::add(notes, ELEMENT_BUILT, &path.to_string());
                Ok(MemberStep::Add(vec![member]))
            }
            None => Err(never_changed(&path)),
        },
        Operation::Add { path, .. }
        | Operation::Replace { path, .. }
        | Operation::Remove { path, .. } => Err(never_changed(&path)),
    }
}

/// The ids that a filter asks for, if it matches whoever has one of them and nobody else.
fn named(filter: &Filter) -> Option<Vec<String>> {
    match filter {
        Filter::Compare {
            path,
            op: CompareOp::Eq,
            value: Literal::String(value),
        } if &*path.attribute.name == "value" => Some(vec![value.clone()]),
        Filter::Or(terms) => {
            let values: Option<Vec<_>> = terms.iter().map(named).collect();
            values.map(|values| values.into_iter().flatten().collect())
        }
        Filter::And(_)
        | Filter::Not(_)
        | Filter::Present(_)
        | Filter::Compare { .. }
        | Filter::ValuePath { .. } => None,
    }
}

/// The member that is wanted by a value for what a filter chooses, where filter and value agree who
/// it is: nothing of a member can be changed, so being one is all that can be meant.
fn described(path: &PatchPath, value: &Value) -> Option<Member> {
    let PatchPath::Elements { path, filter } = path else {
        return None;
    };
    let mut parts = elements::described(Some(filter))?;
    let id = parts.get("value")?.clone();
    match (&path.sub, value) {
        (Some(sub), value) => drop(parts.insert(part_name(sub), value.clone())),
        (None, Value::Object(more)) => parts.extend(more.clone()),
        (None, _) => return None,
    }
    let same = parts.get("value") == Some(&id);
    same.then(|| Member::of(&Value::Object(parts)))
}

/// The name of a part.
fn part_name(sub: &Arc<Attribute>) -> String {
    sub.name.to_string()
}

/// The refusal to change a member (RFC 7643 §8.7.1: what tells who a member is, is immutable).
fn never_changed(path: &PatchPath) -> ScimError {
    let detail = format!(
        "`{path}`: a member cannot be changed; remove it from `{MEMBERS}` and add another one"
    );
    ScimError::new(Condition::PatchReadOnly, detail)
}
