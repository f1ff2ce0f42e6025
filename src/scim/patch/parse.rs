//! From the message of a PATCH to typed operations (RFC 7644 §3.5.2).
//!
//! What names several attributes at once (an operation without a path, the object of a complex
//! attribute or of an extension) becomes one operation for each.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::scim::dialect;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::filter::parse::patch_path;
use crate::scim::filter::refusal::Cause;
use crate::scim::filter::refusal::Refusal;
use crate::scim::json::shortened;
use crate::scim::patch::Licence;
use crate::scim::patch::OPERATIONS_MAX;
use crate::scim::patch::Operation;
use crate::scim::patch::PATCH_OP;
use crate::scim::patch::RawOperation;
use crate::scim::path::AttrPath;
use crate::scim::path::PatchPath;
use crate::scim::resource::Note;
use crate::scim::resource::is_unassigned;
use crate::scim::resource::parse;
use crate::scim::schema::Attribute;
use crate::scim::schema::Mutability;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::Type;
use crate::scim::schema::registry::Registry;

/// Reads the message.
///
/// # Errors
///
/// What the client is told.
pub fn patch(
    body: Value,
    registry: &Registry,
    kind: ResourceKind,
    notes: &mut Vec<Note>,
) -> Result<Vec<Operation>, ScimError> {
    let raw = envelope(body, registry, notes)?;
    let raw = dialect::operations(raw, registry, kind, notes);
    let mut reader = Reader {
        registry,
        kind,
        notes,
        operations: Vec::with_capacity(raw.len()),
    };
    for operation in raw {
        let number = operation.number;
        reader
            .operation(operation)
            .map_err(|error| error.within(&format!("operation {number}")))?;
    }
    Ok(reader.operations)
}

/// Reads the message down to the JSON types of each operation.
fn envelope(
    body: Value,
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<Vec<RawOperation>, ScimError> {
    let Value::Object(mut message) = body else {
        return Err(malformed("the body must be a JSON object"));
    };
    dialect::envelope(&mut message, registry.profile(), notes);
    let is_patch = |urn: &Value| {
        urn.as_str()
            .is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH_OP))
    };
    let schemas = message.get("schemas").and_then(Value::as_array);
    if !schemas.is_some_and(|schemas| schemas.iter().any(is_patch)) {
        let detail = format!("`schemas` must be an array that contains \"{PATCH_OP}\"");
        return Err(malformed(detail));
    }
    let Some(Value::Array(operations)) = message.shift_remove("Operations") else {
        return Err(malformed("`Operations` must be an array of operations"));
    };
    if operations.is_empty() {
        return Err(malformed(
            "`Operations` is empty; it must hold at least one operation",
        ));
    }
    if operations.len() > OPERATIONS_MAX {
        let count = operations.len();
        let detail = format!("{count} operations; one PATCH may have at most {OPERATIONS_MAX}");
        return Err(ScimError::new(Condition::BodyTooLarge, detail));
    }
    let numbered = operations.into_iter().enumerate();
    numbered
        .map(|(index, operation)| {
            let number = index.saturating_add(1);
            raw(number, operation).map_err(|error| error.within(&format!("operation {number}")))
        })
        .collect()
}

/// Reads one operation down to its JSON types. Members that the RFC does not define are ignored.
fn raw(number: usize, operation: Value) -> Result<RawOperation, ScimError> {
    let Value::Object(mut members) = operation else {
        return Err(malformed("it must be a JSON object"));
    };
    let Some(Value::String(op)) = members.shift_remove("op") else {
        return Err(malformed("`op` must be \"add\", \"replace\" or \"remove\""));
    };
    let path = match members.shift_remove("path") {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) => Some(path),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            let detail = "`path` must be a string";
            return Err(ScimError::new(Condition::PatchPath, detail));
        }
    };
    Ok(RawOperation {
        number,
        op,
        path,
        value: members.shift_remove("value"),
        licence: Licence::default(),
    })
}

/// Whether values are added or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// `add`
    Add,
    /// `replace`
    Replace,
}

/// Turns raw operations into typed ones.
struct Reader<'a> {
    /// Knows the attributes.
    registry: &'a Registry,
    /// Whose attributes they are.
    kind: ResourceKind,
    /// What was tolerated.
    notes: &'a mut Vec<Note>,
    /// What was read so far.
    operations: Vec<Operation>,
}

impl Reader<'_> {
    /// Reads one operation.
    fn operation(&mut self, raw: RawOperation) -> Result<(), ScimError> {
        let verb = match &*raw.op {
            "add" => Verb::Add,
            "replace" => Verb::Replace,
            "remove" => return self.remove(&raw),
            other => {
                let other = shortened(other);
                return Err(malformed(format!(
                    "`op` is \"{other}\"; it must be \"add\", \"replace\" or \"remove\""
                )));
            }
        };
        let Some(value) = raw.value else {
            let op = &raw.op;
            return Err(malformed(format!("`{op}` needs a `value`")));
        };
        if let Some(text) = &raw.path {
            let path = self.path(text, raw.licence)?;
            return self.set(verb, path, value, raw.licence);
        }
        let Value::Object(members) = value else {
            let detail = "without a `path`, `value` must be an object of attributes";
            return Err(ScimError::new(Condition::ValueType, detail));
        };
        for (name, value) in members {
            let path = self.member(&name)?;
            self.set(verb, path, value, raw.licence)?;
        }
        Ok(())
    }

    /// Reads a removal.
    fn remove(&mut self, raw: &RawOperation) -> Result<(), ScimError> {
        let Some(text) = &raw.path else {
            let detail = "`remove` needs a `path` that tells what to remove";
            return Err(ScimError::new(Condition::PatchNoTarget, detail));
        };
        // RFC 7644 §3.5.2.2 gives `value` no meaning here. Ignoring it would remove everything where
        // the client names a part, as Entra does with members.
        if raw.value.as_ref().is_some_and(|value| !value.is_null()) {
            return Err(malformed(
                "`remove` takes no `value`; name what to remove in `path`, such as members[value eq \"…\"]",
            ));
        }
        let path = self.path(text, raw.licence)?;
        self.push_remove(path, raw.licence)
    }

    /// Reads a path.
    fn path(&mut self, text: &str, licence: Licence) -> Result<PatchPath, ScimError> {
        let path = patch_path(text, self.registry, self.kind, self.notes)
            .map_err(|refusal| bad_path(text, &refusal))?;
        if let PatchPath::Elements { path, .. } = &path {
            let many = path.attribute.multi_valued || path.attribute.kind == Type::Any;
            if !many && !licence.single_filter {
                let path = path.whole();
                let detail = format!("`{path}` has one value, so a filter has nothing to choose");
                return Err(ScimError::new(Condition::PatchPath, detail));
            }
        }
        Ok(path)
    }

    /// Finds what a member of a value without a path names: an attribute or an extension, by its
    /// JSON name. Paths are no names.
    fn member(&self, name: &str) -> Result<PatchPath, ScimError> {
        if let Some(schema) = self.registry.extension(self.kind, name) {
            return Ok(PatchPath::Extension(Arc::clone(&schema.id)));
        }
        let attribute = self.registry.attribute(self.kind, None, name);
        let attribute = attribute.ok_or_else(|| unknown(self.kind.name(), name))?;
        Ok(PatchPath::Attribute(AttrPath {
            extension: None,
            attribute,
            sub: None,
        }))
    }

    /// Reads one value to be added or replaced.
    fn set(
        &mut self,
        verb: Verb,
        path: PatchPath,
        value: Value,
        licence: Licence,
    ) -> Result<(), ScimError> {
        check_writable(&path)?;
        let an_element = value.is_object() && is_list_of_fixed(&path);
        if is_unassigned(&value) && !an_element {
            return self.set_nothing(verb, path, licence);
        }
        let at = path.to_string();
        let value = match &path {
            PatchPath::Extension(urn) => {
                let urn = Arc::clone(urn);
                return self.set_extension(verb, &urn, value, licence);
            }
            PatchPath::Attribute(target) if target.sub.is_none() => {
                match (target.attribute.multi_valued, target.attribute.kind) {
                    (false, Type::Complex) => {
                        let target = target.clone();
                        return self.set_parts(verb, &target, value, licence);
                    }
                    // RFC 7644 §3.5.2.1: one element may come without its array.
                    (true, _) if !value.is_array() => {
                        let value = Value::Array(vec![value]);
                        self.checked(value, &target.attribute, &at)?
                    }
                    _ => self.checked(value, &target.attribute, &at)?,
                }
            }
            PatchPath::Attribute(target) | PatchPath::Elements { path: target, .. } => {
                let one = match &target.sub {
                    Some(sub) => (**sub).clone(),
                    None => Attribute {
                        multi_valued: false,
                        ..(*target.attribute).clone()
                    },
                };
                self.checked(value, &one, &at)?
            }
        };
        if value.is_null() {
            check_somebody(verb, &path)?;
            return self.set_nothing(verb, path, licence);
        }
        let on_no_match = licence.on_no_match;
        self.operations.push(match verb {
            Verb::Add => Operation::Add {
                path,
                value,
                on_no_match,
            },
            Verb::Replace => Operation::Replace {
                path,
                value,
                on_no_match,
            },
        });
        Ok(())
    }

    /// Checks a value against its attribute. What is left out of a body for being unknown is refused
    /// here: a PATCH names what it wants changed.
    fn checked(
        &mut self,
        value: Value,
        attribute: &Attribute,
        at: &str,
    ) -> Result<Value, ScimError> {
        let mut noted = Vec::new();
        let value = parse::value(value, attribute, at, self.registry, &mut noted)?;
        let mut unknown = noted.iter();
        if let Some(note) = unknown.find(|note| note.code == Note::UNKNOWN_IGNORED) {
            let detail = format!("`{}` is no attribute of {}", note.path, self.kind.name());
            return Err(ScimError::new(Condition::PatchPath, detail));
        }
        self.notes.append(&mut noted);
        Ok(value)
    }

    /// Reads a value that means no value (RFC 7643 §2.5): adding it changes nothing, replacing by it
    /// removes. Also what becomes of `password`, of which nothing is kept.
    fn set_nothing(
        &mut self,
        verb: Verb,
        path: PatchPath,
        licence: Licence,
    ) -> Result<(), ScimError> {
        match verb {
            Verb::Add => Ok(()),
            Verb::Replace => self.push_remove(path, licence),
        }
    }

    /// Reads the object of an extension: one operation for each attribute in it.
    fn set_extension(
        &mut self,
        verb: Verb,
        urn: &Arc<str>,
        value: Value,
        licence: Licence,
    ) -> Result<(), ScimError> {
        let members = object(value, urn)?;
        for (name, value) in members {
            let attribute = self.registry.attribute(self.kind, Some(urn), &name);
            let path = AttrPath {
                extension: Some(Arc::clone(urn)),
                attribute: attribute.ok_or_else(|| unknown(urn, &name))?,
                sub: None,
            };
            self.set(verb, PatchPath::Attribute(path), value, licence)?;
        }
        Ok(())
    }

    /// Reads the object of a complex attribute with one value: one operation for each part, so that
    /// the parts that it does not name stay (RFC 7644 §3.5.2.1, §3.5.2.3).
    fn set_parts(
        &mut self,
        verb: Verb,
        path: &AttrPath,
        value: Value,
        licence: Licence,
    ) -> Result<(), ScimError> {
        let members = object(value, &path.to_string())?;
        let mut parts = Vec::with_capacity(members.len());
        for (name, value) in members {
            let sub = path.attribute.sub_attribute(&name);
            let sub = sub.ok_or_else(|| unknown(&path.to_string(), &name))?;
            parts.push((Arc::clone(sub), value));
        }
        // A new `value` takes the old `$ref` with it, so the new `$ref` has to come after.
        parts.sort_by_key(|(sub, _)| &*sub.name == "$ref");
        for (sub, value) in parts {
            let path = PatchPath::Attribute(path.with_sub(sub));
            self.set(verb, path, value, licence)?;
        }
        Ok(())
    }

    /// Adds a removal to what was read.
    fn push_remove(&mut self, path: PatchPath, licence: Licence) -> Result<(), ScimError> {
        check_writable(&path)?;
        let labels = licence.labels;
        let kept = path
            .attr_path()
            .is_none_or(|path| path.leaf().mutability != Mutability::WriteOnly);
        if kept {
            self.operations.push(Operation::Remove { path, labels });
        }
        Ok(())
    }
}

/// Refuses what only the server sets.
fn check_writable(path: &PatchPath) -> Result<(), ScimError> {
    let Some(target) = path.attr_path() else {
        return Ok(());
    };
    let read_only = |attribute: &Attribute| attribute.mutability == Mutability::ReadOnly;
    if read_only(&target.attribute) || target.sub.as_deref().is_some_and(read_only) {
        let detail = format!("`{target}` is read-only: only the server sets it");
        return Err(ScimError::new(Condition::PatchReadOnly, detail));
    }
    Ok(())
}

/// Refuses a list in which no element says anything, in place of the members of a group. That is a
/// mistake rather than the wish to have none, and nobody could tell who was in the group.
fn check_somebody(verb: Verb, path: &PatchPath) -> Result<(), ScimError> {
    if verb == Verb::Replace && is_list_of_fixed(path) {
        let detail = format!("`{path}`: the list names nobody; an empty list or null removes all");
        return Err(ScimError::new(Condition::ValueType, detail));
    }
    Ok(())
}

/// Whether a path names the whole of a list whose elements are never changed.
fn is_list_of_fixed(path: &PatchPath) -> bool {
    matches!(path, PatchPath::Attribute(path) if path.sub.is_none() && path.attribute.has_fixed_elements())
}

/// The members of a value that has to be an object.
fn object(value: Value, at: &str) -> Result<Map<String, Value>, ScimError> {
    match value {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            let detail = format!("`{at}` must be an object");
            Err(ScimError::new(Condition::ValueType, detail))
        }
    }
}

/// The refusal of a name that is no attribute of its owner.
fn unknown(owner: &str, name: &str) -> ScimError {
    let name = shortened(name);
    ScimError::new(
        Condition::PatchPath,
        format!("{owner} has no attribute \"{name}\""),
    )
}

/// The refusal of a path: `invalidFilter` for what stands between brackets, else `invalidPath`.
fn bad_path(text: &str, refusal: &Refusal) -> ScimError {
    let condition = match (&refusal.cause, refusal.in_brackets) {
        (Cause::Path(error), true) if error.is_unknown() => Condition::FilterAttributeUnknown,
        (_, true) => Condition::FilterSyntax,
        (_, false) => Condition::PatchPath,
    };
    ScimError::new(condition, format!("`path`, {}", refusal.sentence(text)))
}

/// The refusal of a message that is not built as RFC 7644 §3.5.2 says.
fn malformed(detail: impl Into<String>) -> ScimError {
    ScimError::new(Condition::BodySchema, detail)
}
