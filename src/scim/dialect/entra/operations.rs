//! The operations of a PATCH as Entra sends them, in its default dialect and with the flag
//! `aadOptscim062020`; both are always accepted.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::scim::dialect::entra;
use crate::scim::dialect::entra::values;
use crate::scim::dialect::entra::values::Sent;
use crate::scim::filter::parse::patch_path;
use crate::scim::filter::refusal::Cause;
use crate::scim::members::Member;
use crate::scim::patch::Labels;
use crate::scim::patch::OnNoMatch;
use crate::scim::patch::RawOperation;
use crate::scim::path::AttrPath;
use crate::scim::path::PatchPath;
use crate::scim::resource::Note;
use crate::scim::resource::is_unassigned;
use crate::scim::schema::Attribute;
use crate::scim::schema::Mutability;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::Schema;
use crate::scim::schema::Type;
use crate::scim::schema::registry::Registry;

/// Names of the message and its operations in any letter case.
///
/// ```json
/// {"schemas": ["…:PatchOp"], "operations": [{"Op": "replace", "Path": "title", "Value": "Optics"}]}
/// ```
pub fn envelope_names(message: &mut Map<String, Value>, notes: &mut Vec<Note>) {
    respell(message, &["schemas", "Operations"], notes);
    if let Some(Value::Array(operations)) = message.get_mut("Operations") {
        for operation in operations {
            if let Value::Object(members) = operation {
                respell(members, &["op", "path", "value"], notes);
            }
        }
    }
}

/// Gives members the spelling they have in the RFC.
fn respell(members: &mut Map<String, Value>, names: &[&str], notes: &mut Vec<Note>) {
    for name in names {
        if members.contains_key(*name) {
            continue;
        }
        let mut alike = members.keys();
        let alike = alike.find(|key| key.eq_ignore_ascii_case(name)).cloned();
        if let Some(value) = alike.and_then(|key| members.shift_remove(&key)) {
            Note::add(notes, entra::ENVELOPE_NAMES, name);
            members.insert((*name).to_owned(), value);
        }
    }
}

/// Rewrites the operations into the RFC's form. What stays wrong is left for the engine to refuse.
pub fn rewrite(
    operations: Vec<RawOperation>,
    registry: &Registry,
    kind: ResourceKind,
    notes: &mut Vec<Note>,
) -> Vec<RawOperation> {
    let mut rewriter = Rewriter {
        registry,
        kind,
        notes,
        rewritten: Vec::with_capacity(operations.len()),
    };
    for mut operation in operations {
        op_case(&mut operation, rewriter.notes);
        rewriter.operation(operation);
    }
    rewriter.rewritten
}

/// `op` capitalised, as the default dialect has it.
///
/// ```json
/// {"op": "Replace", "path": "displayName", "value": "Mara Lindqvist-Ode"}
/// ```
fn op_case(operation: &mut RawOperation, notes: &mut Vec<Note>) {
    if operation.op.bytes().any(|b| b.is_ascii_uppercase()) {
        Note::add(notes, entra::OP_CASE, &operation.op);
        operation.op.make_ascii_lowercase();
    }
}

/// Rewrites operations one after the other.
struct Rewriter<'a> {
    /// Knows the attributes.
    registry: &'a Registry,
    /// Whose attributes they are.
    kind: ResourceKind,
    /// What was tolerated.
    notes: &'a mut Vec<Note>,
    /// What was rewritten so far.
    rewritten: Vec<RawOperation>,
}

impl Rewriter<'_> {
    /// Rewrites one operation, whose `op` is in small letters.
    fn operation(&mut self, operation: RawOperation) {
        match (&operation.path, &operation.value) {
            (None, Some(Value::Object(_))) if operation.op != "remove" => self.path_keys(operation),
            (None, _) => self.rewritten.push(operation),
            (Some(path), Some(Value::Object(_)))
                if operation.op != "remove" && self.is_core(path) =>
            {
                Note::add(self.notes, entra::PATH_KEYS, path);
                self.path_keys(operation);
            }
            (Some(path), _) => {
                let path = path.clone();
                self.pathed(operation, &path, true);
            }
        }
    }

    /// A value without a path whose keys are paths. Each key becomes an operation of its own.
    ///
    /// ```json
    /// {"op": "replace", "value": {"name.givenName": "Mara", "urn:…:enterprise:2.0:User:employeeNumber": "50118"}}
    /// ```
    fn path_keys(&mut self, operation: RawOperation) {
        let Some(Value::Object(members)) = operation.value else {
            return;
        };
        let one = |value| RawOperation {
            number: operation.number,
            op: operation.op.clone(),
            path: None,
            value: Some(value),
            licence: operation.licence,
        };
        for (key, value) in members {
            if self.is_core(&key) && value.is_object() {
                Note::add(self.notes, entra::PATH_KEYS, &key);
                self.path_keys(one(value));
                continue;
            }
            let extension = self.extension(&key, &value);
            match (extension, value) {
                (Some(urn), Value::Object(members)) => {
                    for (name, value) in members {
                        if name.contains('.') {
                            Note::add(self.notes, entra::PATH_KEYS, &name);
                        }
                        self.pathed(one(value), &format!("{urn}:{name}"), false);
                    }
                }
                (Some(urn), value) => self.pathed(one(value), &urn, false),
                (None, value) => {
                    if key.contains(['.', ':', '[']) {
                        Note::add(self.notes, entra::PATH_KEYS, &key);
                    }
                    self.pathed(one(value), &key, false);
                }
            }
        }
    }

    /// Whether the text is the URN of the core schema: in front of an object it says no more than
    /// that what follows are attributes.
    ///
    /// ```json
    /// {"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User", "value": {"title": "Optics"}}
    /// ```
    fn is_core(&self, text: &str) -> bool {
        self.registry.core(self.kind).id.eq_ignore_ascii_case(text)
    }

    /// The URN of the extension that a key with this value names: a registered one, or one that
    /// nobody registered but whose value is an object.
    fn extension(&self, key: &str, value: &Value) -> Option<Arc<str>> {
        let schema: Option<&Schema> = self.registry.extension(self.kind, key);
        if let Some(schema) = schema {
            return Some(Arc::clone(&schema.id));
        }
        let unknown = AttrPath::parse(key, self.registry, self.kind)
            .is_ok_and(|path| path.sub.is_none() && path.attribute.kind == Type::Any);
        (unknown && value.is_object()).then(|| key.into())
    }

    /// Rewrites an operation on what `text` names. `stated` tells whether the client sent it as a path
    /// rather than as a key.
    fn pathed(&mut self, mut operation: RawOperation, text: &str, stated: bool) {
        let mut noted = Vec::new();
        let path = match patch_path(text, self.registry, self.kind, &mut noted) {
            Ok(path) => path,
            Err(refusal) => {
                let unknown = matches!(&refusal.cause, Cause::Path(error) if error.is_unknown());
                if !refusal.in_brackets && (unknown || !stated) {
                    return self.unknown_ignored(text);
                }
                operation.path = Some(text.to_owned());
                return self.rewritten.push(operation);
            }
        };
        self.notes.append(&mut noted);
        if !stated && is_read_only(&path) {
            return entra::read_only_ignored(text, self.notes);
        }
        if operation.op == "remove" {
            operation.path = Some(path.to_string());
            return self.removal(operation, &path);
        }
        self.unknown_kept(&path);
        let path = plain_element(path, operation.value.as_ref(), self.notes);
        operation.path = Some(path.to_string());
        match (&path, &operation.value) {
            (PatchPath::Extension(urn), Some(Value::Object(_))) => {
                let urn = Arc::clone(urn);
                self.extension_members(operation, &urn);
            }
            _ => self.setting(operation, &path),
        }
    }

    /// The object of an extension, named by a path: an operation for each member.
    fn extension_members(&mut self, operation: RawOperation, urn: &str) {
        if let Some(value) = operation.value {
            let mut members = Map::new();
            members.insert(urn.to_owned(), value);
            self.path_keys(RawOperation {
                path: None,
                value: Some(Value::Object(members)),
                ..operation
            });
        }
    }

    /// An attribute that no schema has: a refusal would lose the whole update, again in every cycle.
    ///
    /// ```json
    /// {"op": "Add", "path": "shoeSize", "value": "43"}
    /// ```
    fn unknown_ignored(&mut self, text: &str) {
        Note::add(self.notes, Note::UNKNOWN_IGNORED, text);
    }

    /// An attribute of an extension that nobody registered: it is kept as it was sent, since customers
    /// name their own in Entra's mapping.
    ///
    /// ```json
    /// {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:Northbridge:2.0:User:badge", "value": "B-7"}
    /// ```
    fn unknown_kept(&mut self, path: &PatchPath) {
        let urn = path.attr_path().and_then(|path| path.extension.as_deref());
        if let Some(urn) = urn.filter(|urn| self.registry.extension(self.kind, urn).is_none()) {
            Note::add(self.notes, Note::UNKNOWN_KEPT, urn);
        }
    }

    /// Rewrites an add or replace.
    fn setting(&mut self, mut operation: RawOperation, path: &PatchPath) {
        let Some(target) = path.attr_path() else {
            return self.rewritten.push(operation);
        };
        let leaf = target.leaf();
        if let Some(value) = operation.value.take() {
            let null = value.is_null();
            let whole_element = matches!(path, PatchPath::Elements { .. }) && target.sub.is_none();
            let value = if whole_element {
                values::one(value, leaf, Sent::InPatch, self.notes)
            } else {
                values::rewrite(value, leaf, Sent::InPatch, self.notes)
            };
            // An empty string in place of members stays an element that names nobody, for the engine
            // to refuse: it does not empty a group.
            let nobody = !null && value.is_null() && leaf.has_fixed_elements();
            operation.value = Some(if nobody { json!([value]) } else { value });
            if null && !leaf.multi_valued {
                null_clears(&operation, self.notes);
            }
        }
        // Adding nothing to a list adds nothing: a group must not be emptied by it.
        let grows = operation.op == "add" && leaf.multi_valued;
        if operation.value.as_ref().is_some_and(Value::is_null) && !grows {
            return self.removal(cleared(operation), path);
        }
        create_missing(&mut operation);
        self.rewritten.push(operation);
    }

    /// Rewrites a removal.
    fn removal(&mut self, mut operation: RawOperation, path: &PatchPath) {
        drop_labels(&mut operation);
        single_filter(&mut operation, path, self.notes);
        let Some(value) = operation.value.take() else {
            return self.rewritten.push(operation);
        };
        match path {
            PatchPath::Attribute(target)
                if target.sub.is_none() && target.attribute.has_fixed_elements() =>
            {
                self.remove_list(&operation, target, value);
            }
            _ if value.is_null() => self.rewritten.push(operation),
            PatchPath::Attribute(target)
                if target.sub.is_none() && has_elements(target, &value) =>
            {
                self.remove_list(&operation, target, value);
            }
            PatchPath::Attribute(_) | PatchPath::Elements { .. } | PatchPath::Extension(_) => {
                remove_value(&operation, self.notes);
                self.rewritten.push(operation);
            }
        }
    }

    /// A removal that names the values to remove: only those go. The RFC knows no `value` here, and
    /// a server that ignores it empties the group.
    ///
    /// ```json
    /// {"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "u-7f31c2"}]}
    /// ```
    ///
    /// A list that names nobody, or null in its place, removes nobody.
    fn remove_list(&mut self, operation: &RawOperation, target: &AttrPath, value: Value) {
        Note::add(self.notes, entra::REMOVE_LIST, &target.to_string());
        let elements = match value {
            Value::Array(elements) => elements,
            single => vec![single],
        };
        for element in elements {
            // One that says nothing is no reason to remove anything.
            if let Some(filter) = filter_for(&element, &target.attribute) {
                self.rewritten.push(RawOperation {
                    path: Some(format!("{target}[{filter}]")),
                    ..operation.clone()
                });
            }
        }
    }
}

/// The removal that a cleared value means.
fn cleared(operation: RawOperation) -> RawOperation {
    RawOperation {
        op: "remove".to_owned(),
        value: None,
        ..operation
    }
}

/// An add of null. To the RFC that adds nothing; here it clears, like a replace.
///
/// ```json
/// {"op": "Add", "path": "title", "value": null}
/// ```
fn null_clears(operation: &RawOperation, notes: &mut Vec<Note>) {
    if operation.op == "add" {
        let path = operation.path.as_deref().unwrap_or_default();
        Note::add(notes, entra::NULL_CLEARS, path);
    }
}

/// A string in place of an element that a filter chooses: the element's value. As the whole element it
/// would lose the type by which the next cycle looks for it.
///
/// ```json
/// {"op": "Replace", "path": "emails[type eq \"work\"]", "value": "mara@northbridge.example"}
/// ```
fn plain_element(path: PatchPath, value: Option<&Value>, notes: &mut Vec<Note>) -> PatchPath {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    match path {
        PatchPath::Elements { path, filter }
            if path.sub.is_none() && path.attribute.kind == Type::Complex && !text.is_empty() =>
        {
            let value = path.attribute.sub_attribute("value").cloned();
            if value.is_some() {
                Note::add(notes, entra::PLAIN_VALUE, &path.attribute.name);
            }
            let path = AttrPath { sub: value, ..path };
            PatchPath::Elements { path, filter }
        }
        other => other,
    }
}

/// A removal that leaves only `type` and `primary` of an element. Entra clears an e-mail address by its
/// `value` and means all of it; what stayed would be an address that is none.
///
/// ```json
/// {"op": "Remove", "path": "emails[type eq \"work\"].value"}
/// ```
fn drop_labels(operation: &mut RawOperation) {
    operation.licence.labels = Labels::Drop;
}

/// A filter that matches no element, which is then to be built. Entra sends a replace for the work
/// address of people who have none; the RFC's 400 `noTarget` would leave them out of date for ever.
///
/// ```json
/// {"op": "Replace", "path": "addresses[type eq \"work\"].country", "value": "SE"}
/// ```
fn create_missing(operation: &mut RawOperation) {
    operation.licence.on_no_match = OnNoMatch::Create;
}

/// A filter on the only value of an attribute: with the flag, the way to remove a manager.
///
/// ```json
/// {"op": "remove", "path": "manager[value eq \"u-11aa02\"]"}
/// ```
fn single_filter(operation: &mut RawOperation, path: &PatchPath, notes: &mut Vec<Note>) {
    if let PatchPath::Elements { path: target, .. } = path
        && !target.attribute.multi_valued
        && target.attribute.kind == Type::Complex
    {
        Note::add(notes, entra::SINGLE_FILTER, &path.to_string());
        operation.licence.single_filter = true;
    }
}

/// A removal whose path says everything, with the old value beside it. The value is never set.
///
/// ```json
/// {"op": "Remove", "path": "emails[type eq \"work\"].value", "value": "mara@northbridge.example"}
/// ```
fn remove_value(operation: &RawOperation, notes: &mut Vec<Note>) {
    let path = operation.path.as_deref().unwrap_or_default();
    Note::add(notes, entra::REMOVE_VALUE, path);
}

/// Whether a removal's value can be a list of elements.
fn has_elements(target: &AttrPath, value: &Value) -> bool {
    let attribute = &target.attribute;
    attribute.multi_valued || attribute.kind == Type::Any && value.is_array()
}

/// The filter that finds an element: a member by its id, others by `value` and `type`, or by all its
/// parts where it has no `value`. `None` when it says nothing to find it by.
fn filter_for(element: &Value, attribute: &Attribute) -> Option<String> {
    let term = |name: &str, value: &Value| format!("{name} eq {value}");
    let Value::Object(parts) = element else {
        return (!is_unassigned(element)).then(|| term("value", element));
    };
    if attribute.has_fixed_elements() {
        let id = Member::of(element).value;
        return (!id.is_empty()).then(|| term("value", &id.into()));
    }
    let has_value = parts
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("value") && !is_unassigned(value));
    let terms: Vec<_> = parts
        .iter()
        .filter(|(_, value)| !is_unassigned(value) && !value.is_object() && !value.is_array())
        .filter(|(name, _)| {
            let finds = |word: &&str| name.eq_ignore_ascii_case(word);
            let known = attribute.kind == Type::Any || attribute.sub_attribute(name).is_some();
            known
                && if has_value {
                    ["value", "type"].iter().any(finds)
                } else {
                    !["$ref", "display", "primary"].iter().any(finds)
                }
        })
        .map(|(name, value)| term(name, value))
        .collect();
    (!terms.is_empty()).then(|| terms.join(" and "))
}

/// Whether only the server sets what the path names.
fn is_read_only(path: &PatchPath) -> bool {
    path.attr_path().is_some_and(|target| {
        let parts = [Some(&target.attribute), target.sub.as_ref()];
        let mut parts = parts.into_iter().flatten();
        parts.any(|part| part.mutability == Mutability::ReadOnly)
    })
}
