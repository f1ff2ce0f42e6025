//! What `schemas` of a body says against what the body holds (RFC 7643 §3).

use serde_json::Map;
use serde_json::Value;

use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::json::shortened;
use crate::scim::resource::Note;
use crate::scim::resource::is_unassigned;
use crate::scim::resource::parse::found;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::registry::Registry;

/// Checks `schemas` as sent: which URNs the client says it uses.
///
/// # Errors
///
/// [`Condition::BodySchema`] when the core schema is missing or something else is there than URNs; in
/// profile `strict` also when a URN is unknown or named twice.
pub fn declared_schemas(
    schemas: Option<Value>,
    registry: &Registry,
    kind: ResourceKind,
    notes: &mut Vec<Note>,
) -> Result<Vec<String>, ScimError> {
    let refused = |detail| Err(ScimError::new(Condition::BodySchema, detail));
    let core = &registry.core(kind).id;
    let schemas = match schemas {
        Some(value) if !is_unassigned(&value) => value,
        _ => return refused(format!("`schemas` is missing; it must contain \"{core}\"")),
    };
    let Value::Array(schemas) = schemas else {
        let found = found(&schemas);
        return refused(format!("`schemas` must be an array of URNs, not {found}"));
    };
    let mut declared: Vec<String> = Vec::with_capacity(schemas.len());
    for (index, urn) in schemas.into_iter().enumerate() {
        let Value::String(urn) = urn else {
            let found = found(&urn);
            return refused(format!("`schemas[{index}]` must be a URN, not {found}"));
        };
        let known = core.eq_ignore_ascii_case(&urn) || registry.extension(kind, &urn).is_some();
        let repeated = declared
            .iter()
            .any(|other| other.eq_ignore_ascii_case(&urn));
        match registry.profile() {
            Profile::Strict if !known => {
                let urn = shortened(&urn);
                return refused(format!(
                    "`schemas[{index}]`: \"{urn}\" is not a schema of this resource type; see /Schemas"
                ));
            }
            Profile::Strict if repeated => {
                return refused(format!("`schemas[{index}]` names a schema a second time"));
            }
            Profile::Entra if !known => Note::add(notes, Note::SCHEMA_IGNORED, &urn),
            Profile::Strict | Profile::Entra => {}
        }
        if !repeated && declared.len() < Note::COUNT_MAX {
            declared.push(urn);
        }
    }
    if declared.iter().any(|urn| core.eq_ignore_ascii_case(urn)) {
        Ok(declared)
    } else {
        refused(format!("`schemas` must contain \"{core}\""))
    }
}

/// Compares the extensions that are there with those that `schemas` names. Entra leaves custom ones
/// out of the list.
///
/// # Errors
///
/// [`Condition::BodySchema`] when one is missing and the profile is `strict`.
pub fn check_declared(
    declared: &[String],
    tree: &Map<String, Value>,
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<(), ScimError> {
    for urn in tree.keys().filter(|name| name.contains(':')) {
        if declared.iter().any(|other| other.eq_ignore_ascii_case(urn)) {
            continue;
        }
        match registry.profile() {
            Profile::Entra => Note::add(notes, Note::SCHEMA_ADDED, urn),
            Profile::Strict => {
                let detail = format!("`schemas` must contain \"{urn}\", which the body uses");
                return Err(ScimError::new(Condition::BodySchema, detail));
            }
        }
    }
    Ok(())
}
