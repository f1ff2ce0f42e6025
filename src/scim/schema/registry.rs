//! The schemas of one directory: look-up by kind, URN and name (RFC 7643 §6, RFC 7644 §3.10).

use std::sync::Arc;

use crate::scim::schema::Attribute;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::Schema;
use crate::scim::schema::Type;
use crate::scim::schema::core;

/// The schemas of one directory. Clones share one table.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Table>);

/// What a registry's clones share.
#[derive(Debug)]
struct Table {
    /// How forgiving the directory is.
    profile: Profile,
    /// Whether the directory holds no groups.
    users_only: bool,
    /// Attributes of every resource.
    common: Vec<Arc<Attribute>>,
    /// The core schema of users.
    user: Schema,
    /// The core schema of groups.
    group: Schema,
    /// Extensions of users.
    user_extensions: Vec<Schema>,
}

impl Registry {
    /// The schemas of a directory of this profile, with or without groups.
    pub fn new(profile: Profile, users_only: bool) -> Self {
        Self(Arc::new(Table {
            profile,
            users_only,
            common: core::common(),
            user: core::user(),
            group: core::group(profile),
            user_extensions: vec![core::enterprise_user()],
        }))
    }

    /// How forgiving the directory is.
    pub fn profile(&self) -> Profile {
        self.0.profile
    }

    /// Whether the directory holds no groups.
    pub fn users_only(&self) -> bool {
        self.0.users_only
    }

    /// The core schema of a kind of resource, without the common attributes.
    pub fn core(&self, kind: ResourceKind) -> &Schema {
        match kind {
            ResourceKind::User => &self.0.user,
            ResourceKind::Group => &self.0.group,
        }
    }

    /// The attributes of every resource: `schemas`, `id`, `externalId`, `meta`.
    pub fn common(&self) -> &[Arc<Attribute>] {
        &self.0.common
    }

    /// The extensions that a kind of resource may carry.
    pub fn extensions(&self, kind: ResourceKind) -> &[Schema] {
        match kind {
            ResourceKind::User => &self.0.user_extensions,
            ResourceKind::Group => &[],
        }
    }

    /// The extension of a kind of resource with that URN, compared without regard to ASCII case.
    pub fn extension(&self, kind: ResourceKind, urn: &str) -> Option<&Schema> {
        self.extensions(kind)
            .iter()
            .find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// The schema with that URN, core or extension, compared without regard to ASCII case.
    pub fn schema(&self, urn: &str) -> Option<&Schema> {
        [&self.0.user, &self.0.group]
            .into_iter()
            .chain(&self.0.user_extensions)
            .find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// The schemas that clients are told of, in the order of publication.
    pub fn schemas(&self) -> impl Iterator<Item = &Schema> {
        let group = (!self.0.users_only).then_some(&self.0.group);
        [&self.0.user]
            .into_iter()
            .chain(group)
            .chain(&self.0.user_extensions)
    }

    /// The attribute of that name, compared without regard to ASCII case: of the extension with
    /// that URN, or else of the core schema or among the common attributes.
    pub fn attribute(
        &self,
        kind: ResourceKind,
        extension: Option<&str>,
        name: &str,
    ) -> Option<Arc<Attribute>> {
        match extension {
            Some(urn) => self.extension(kind, urn)?.attribute(name).cloned(),
            None => self
                .core(kind)
                .attribute(name)
                .or_else(|| self.common_attribute(name))
                .cloned(),
        }
    }

    /// The common attribute of that name, compared without regard to ASCII case.
    fn common_attribute(&self, name: &str) -> Option<&Arc<Attribute>> {
        self.0
            .common
            .iter()
            .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}

/// An attribute of an extension that nobody registered. Profile `entra` keeps such values as
/// they were sent, so nothing is known about them but the name.
pub fn untyped(name: &str) -> Attribute {
    Attribute::plain(
        name,
        "An attribute of an extension that is not registered here.",
    )
    .of(Type::Any)
}

#[cfg(test)]
mod tests {
    use crate::scim::schema::Mutability;
    use crate::scim::schema::Profile;
    use crate::scim::schema::ResourceKind;
    use crate::scim::schema::Type;
    use crate::scim::schema::Uniqueness;
    use crate::scim::schema::core;
    use crate::scim::schema::registry::Registry;
    use crate::scim::schema::registry::untyped;

    #[test]
    fn names_and_urns_are_found_in_any_case_and_keep_the_schemas_spelling() {
        let registry = Registry::new(Profile::Strict, false);
        let enterprise = core::ENTERPRISE_USER.to_ascii_uppercase();
        for (kind, extension, name, found) in [
            (ResourceKind::User, None, "USERNAME", Some("userName")),
            (ResourceKind::User, None, "externalid", Some("externalId")),
            (ResourceKind::User, None, "Meta", Some("meta")),
            (ResourceKind::User, None, "department", None),
            (
                ResourceKind::User,
                Some(enterprise.as_str()),
                "Department",
                Some("department"),
            ),
            (
                ResourceKind::User,
                Some(enterprise.as_str()),
                "userName",
                None,
            ),
            (ResourceKind::User, Some("urn:x"), "department", None),
            (ResourceKind::Group, None, "MEMBERS", Some("members")),
            (ResourceKind::Group, None, "userName", None),
            (
                ResourceKind::Group,
                Some(enterprise.as_str()),
                "department",
                None,
            ),
        ] {
            let attribute = registry.attribute(kind, extension, name);
            assert_eq!(
                attribute.as_ref().map(|attribute| &*attribute.name),
                found,
                "{kind:?} {extension:?} {name}"
            );
        }
        for urn in [core::USER, core::GROUP, core::ENTERPRISE_USER] {
            let schema = registry.schema(&urn.to_ascii_uppercase()).unwrap();
            assert_eq!(&*schema.id, urn);
        }
        assert_eq!(
            registry.schema("urn:ietf:params:scim:schemas:core:2.0:Device"),
            None
        );
    }

    #[test]
    fn the_errata_are_applied() {
        let registry = Registry::new(Profile::Entra, false);
        let sub = |extension, name: &str, sub: &str| {
            let attribute = registry.attribute(ResourceKind::User, extension, name);
            attribute.unwrap().sub_attribute(sub).unwrap().clone()
        };
        // 8472, 8471, 6001, and `primary` of addresses.
        assert!(sub(Some(core::ENTERPRISE_USER), "manager", "value").case_exact);
        assert_eq!(
            *sub(None, "groups", "$ref").reference_types,
            ["Group".into()]
        );
        assert!(sub(None, "photos", "value").case_exact);
        assert_eq!(sub(None, "addresses", "primary").kind, Type::Boolean);
        // 5368, 6011.
        let group = registry.core(ResourceKind::Group);
        assert!(group.attribute("displayName").unwrap().required);
        let members = group.attribute("members").unwrap();
        let display = members.sub_attribute("display").unwrap();
        assert_eq!(display.mutability, Mutability::ReadOnly);
    }

    #[test]
    fn only_entra_directories_keep_group_names_apart() {
        for (profile, uniqueness) in [
            (Profile::Entra, Uniqueness::Server),
            (Profile::Strict, Uniqueness::None),
        ] {
            let registry = Registry::new(profile, false);
            let name = registry.attribute(ResourceKind::Group, None, "displayName");
            assert_eq!(name.unwrap().uniqueness, uniqueness, "{profile:?}");
        }
    }

    #[test]
    fn a_directory_without_groups_does_not_speak_of_them() {
        let published = |users_only| {
            let registry = Registry::new(Profile::Entra, users_only);
            registry
                .schemas()
                .map(|schema| schema.name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            *published(false),
            ["User".into(), "Group".into(), "EnterpriseUser".into()]
        );
        assert_eq!(*published(true), ["User".into(), "EnterpriseUser".into()]);
    }

    #[test]
    fn nothing_is_known_of_an_unregistered_attribute() {
        let attribute = untyped("costCode");
        assert_eq!((&*attribute.name, attribute.kind), ("costCode", Type::Any));
        assert!(!attribute.case_exact && !attribute.multi_valued);
        assert_eq!(attribute.mutability, Mutability::ReadWrite);
    }
}
