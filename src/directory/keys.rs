//! Which index keys a resource has.

use serde_json::Value;

use crate::scim::resource::Resource;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::Uniqueness;
use crate::scim::schema::registry::Registry;
use crate::scim::text::fold;
use crate::store::change::Index;

/// URN of the enterprise extension, which holds `manager` (RFC 7643 §4.3).
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The index keys of `resource`, each as its index compares it.
pub fn keys(resource: &Resource) -> Vec<(Index, Box<str>)> {
    let mut keys = Vec::new();
    let mut folded = |index, text: Option<&str>| {
        if let Some(text) = text {
            keys.push((index, fold(text).into_boxed_str()));
        }
    };
    folded(Index::UserName, resource.text("userName"));
    folded(Index::DisplayName, resource.text("displayName"));
    for email in resource
        .tree()
        .get("emails")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        folded(Index::Email, email.get("value").and_then(Value::as_str));
    }
    let mut exact = |index, text: Option<&str>| {
        if let Some(text) = text {
            keys.push((index, text.into()));
        }
    };
    exact(Index::ExternalId, resource.text("externalId"));
    let manager = resource
        .tree()
        .get(ENTERPRISE)
        .and_then(|extension| extension.get("manager"));
    exact(
        Index::Manager,
        manager
            .and_then(|manager| manager.get("value"))
            .and_then(Value::as_str),
    );
    keys.sort();
    keys.dedup();
    keys
}

/// By which of its keys somebody who comes again is known: his name, then what his source calls him.
pub fn names(
    kind: ResourceKind,
    keys: &[(Index, Box<str>)],
) -> impl Iterator<Item = &(Index, Box<str>)> {
    let name = match kind {
        ResourceKind::User => Index::UserName,
        ResourceKind::Group => Index::DisplayName,
    };
    let of = move |wanted| keys.iter().filter(move |(index, _key)| *index == wanted);
    of(name).chain(of(Index::ExternalId))
}

/// What a resource is called by those that refer to it: a group, in the `groups` of its members
/// (RFC 7643 §4.1.2).
pub fn label(resource: &Resource) -> Option<Box<str>> {
    match resource.kind() {
        ResourceKind::User => None,
        ResourceKind::Group => resource.text("displayName").map(Into::into),
    }
}

/// Which indexes must hold each key once, by what the schemas say of the attribute.
pub fn unique(kind: ResourceKind, registry: &Registry) -> Vec<Index> {
    [
        (Index::UserName, "userName"),
        (Index::DisplayName, "displayName"),
    ]
    .into_iter()
    .filter(|(_, name)| {
        registry
            .core(kind)
            .attribute(name)
            .is_some_and(|attribute| attribute.uniqueness != Uniqueness::None)
    })
    .map(|(index, _)| index)
    .collect()
}
