//! What the server says of itself: `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`
//! (RFC 7643 §5 to §7, RFC 7644 §4, RFC 9865 §4). Every statement is true of what exists.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::scim::json;
use crate::scim::list;
use crate::scim::schema::Attribute;
use crate::scim::schema::Mutability;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::Returned;
use crate::scim::schema::Schema;
use crate::scim::schema::Type;
use crate::scim::schema::Uniqueness;
use crate::scim::schema::core;
use crate::scim::schema::registry::Registry;

/// The enforced limits that clients are told.
#[derive(Clone, Copy, Debug)]
pub struct DiscoveryLimits {
    /// Resources on a page when the client names no `count`.
    pub page_default: usize,
    /// Most resources on a page.
    pub page_max: usize,
}

/// The answer to GET `/ServiceProviderConfig`. `base` is the Tenant URL without a slash at its end.
pub fn service_provider_config(base: &str, limits: &DiscoveryLimits) -> Vec<u8> {
    let config = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": limits.page_max},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": true},
        "pagination": {
            "cursor": false,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": limits.page_default,
            "maxPageSize": limits.page_max,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "A token of this directory, sent as `Authorization: Bearer`.",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base}/ServiceProviderConfig"),
        },
    });
    text(&config)
}

/// The answer to GET `/Schemas`.
pub fn schemas(registry: &Registry, base: &str) -> Vec<u8> {
    listed(
        registry
            .schemas()
            .map(|schema| text(&schema_tree(schema, registry, base))),
    )
}

/// The answer to GET `/Schemas/{urn}`; `None` when there is no such schema.
pub fn schema(registry: &Registry, base: &str, urn: &str) -> Option<Vec<u8>> {
    let schema = registry
        .schemas()
        .find(|schema| schema.id.eq_ignore_ascii_case(urn))?;
    Some(text(&schema_tree(schema, registry, base)))
}

/// The answer to GET `/ResourceTypes`.
pub fn resource_types(registry: &Registry, base: &str) -> Vec<u8> {
    listed(kinds(registry).map(|kind| text(&resource_type_tree(kind, registry, base))))
}

/// The answer to GET `/ResourceTypes/{name}`; `None` when there is no such resource type.
pub fn resource_type(registry: &Registry, base: &str, name: &str) -> Option<Vec<u8>> {
    let kind = kinds(registry).find(|kind| kind.name() == name)?;
    Some(text(&resource_type_tree(kind, registry, base)))
}

/// A tree's JSON text.
fn text(tree: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    json::write(&mut out, tree);
    out
}

/// A list of all of these.
fn listed(resources: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let resources: Vec<_> = resources.collect();
    let mut out = Vec::new();
    list::write(&mut out, resources.len(), 1, &resources);
    out
}

/// The kinds of resource that the directory speaks of.
fn kinds(registry: &Registry) -> impl Iterator<Item = ResourceKind> {
    let group = (!registry.users_only()).then_some(ResourceKind::Group);
    [ResourceKind::User].into_iter().chain(group)
}

/// A resource type (RFC 7643 §6).
fn resource_type_tree(kind: ResourceKind, registry: &Registry, base: &str) -> Value {
    let core = registry.core(kind);
    let name = kind.name();
    let mut tree = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": name,
        "name": name,
        "description": core.description,
        "endpoint": format!("/{}", kind.endpoint()),
        "schema": &*core.id,
    });
    if let Value::Object(members) = &mut tree {
        let extensions = registry.extensions(kind).iter();
        let extensions: Vec<_> = extensions
            .map(|schema| json!({"schema": &*schema.id, "required": false}))
            .collect();
        if !extensions.is_empty() {
            members.insert("schemaExtensions".to_owned(), extensions.into());
        }
        let location = format!("{base}/ResourceTypes/{name}");
        let meta = json!({"resourceType": "ResourceType", "location": location});
        members.insert("meta".to_owned(), meta);
    }
    tree
}

/// A schema (RFC 7643 §7).
fn schema_tree(schema: &Schema, registry: &Registry, base: &str) -> Value {
    let common = registry.common().iter();
    // Microsoft's validation asks that each mapped attribute is found here, and `externalId` is
    // mapped by default; the RFC leaves the common attributes out.
    let common = common.filter(|attribute| {
        let core = &*schema.id == core::USER || &*schema.id == core::GROUP;
        core && registry.profile() == Profile::Entra && &*attribute.name == "externalId"
    });
    let attributes: Vec<_> = schema
        .attributes
        .iter()
        .chain(common)
        .filter(|attribute| is_published(attribute, None, registry.profile()))
        .map(|attribute| attribute_tree(attribute, None, registry.profile()))
        .collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": &*schema.id,
        "name": &*schema.name,
        "description": schema.description,
        "attributes": attributes,
        "meta": {
            "resourceType": "Schema",
            "location": format!("{base}/Schemas/{}", schema.id),
        },
    })
}

/// Whether clients of that profile are told of an attribute, or of that part of `whole`.
///
/// Microsoft's validator, reading the schema, refuses `password` and `emails.display` as "not supported
/// by the SCIM protocol". Bodies may hold both all the same.
fn is_published(attribute: &Attribute, whole: Option<&Attribute>, profile: Profile) -> bool {
    let path = (whole.map(|whole| &*whole.name), &*attribute.name);
    profile == Profile::Strict || !matches!(path, (None, "password") | (Some("emails"), "display"))
}

/// An attribute's characteristics, or those of that part of `whole`. What says nothing is left out:
/// case and uniqueness of values that are no text (erratum 6004), empty lists.
fn attribute_tree(attribute: &Attribute, whole: Option<&Attribute>, profile: Profile) -> Value {
    let mut tree = Map::new();
    let mut put = |name: &str, value: Value| {
        tree.insert(name.to_owned(), value);
    };
    put("name", (&*attribute.name).into());
    put("type", type_keyword(attribute.kind).into());
    if whole.is_none() && !attribute.sub_attributes.is_empty() {
        let parts = attribute.sub_attributes.iter();
        let parts = parts
            .filter(|part| is_published(part, Some(attribute), profile))
            .map(|part| attribute_tree(part, Some(attribute), profile))
            .collect();
        put("subAttributes", Value::Array(parts));
    }
    put("multiValued", attribute.multi_valued.into());
    put("description", (&*attribute.description).into());
    put("required", attribute.required.into());
    let strings = |list: &[Box<str>]| list.iter().map(|text| Value::from(&**text)).collect();
    if !attribute.canonical_values.is_empty() {
        put("canonicalValues", strings(&attribute.canonical_values));
    }
    let is_text = matches!(
        attribute.kind,
        Type::String | Type::Reference | Type::Binary
    );
    if is_text {
        put("caseExact", attribute.case_exact.into());
    }
    put(
        "mutability",
        mutability_keyword(attribute.mutability).into(),
    );
    put("returned", returned_keyword(attribute.returned).into());
    if is_text {
        put(
            "uniqueness",
            uniqueness_keyword(attribute.uniqueness).into(),
        );
    }
    if !attribute.reference_types.is_empty() {
        put("referenceTypes", strings(&attribute.reference_types));
    }
    Value::Object(tree)
}

/// The keyword of a type (RFC 7643 §7, errata 5606 and 8435).
const fn type_keyword(kind: Type) -> &'static str {
    match kind {
        // Unregistered attributes are in no schema and so never here.
        Type::String | Type::Any => "string",
        Type::Boolean => "boolean",
        Type::Decimal => "decimal",
        Type::Integer => "integer",
        Type::DateTime => "dateTime",
        Type::Binary => "binary",
        Type::Reference => "reference",
        Type::Complex => "complex",
    }
}

/// The keyword of a mutability (RFC 7643 §7).
const fn mutability_keyword(mutability: Mutability) -> &'static str {
    match mutability {
        Mutability::ReadOnly => "readOnly",
        Mutability::ReadWrite => "readWrite",
        Mutability::Immutable => "immutable",
        Mutability::WriteOnly => "writeOnly",
    }
}

/// The keyword of when an attribute is returned (RFC 7643 §7).
const fn returned_keyword(returned: Returned) -> &'static str {
    match returned {
        Returned::Always => "always",
        Returned::Never => "never",
        Returned::Default => "default",
        Returned::Request => "request",
    }
}

/// The keyword of a uniqueness (RFC 7643 §7).
const fn uniqueness_keyword(uniqueness: Uniqueness) -> &'static str {
    match uniqueness {
        Uniqueness::None => "none",
        Uniqueness::Server => "server",
        Uniqueness::Global => "global",
    }
}

#[cfg(test)]
mod tests;
