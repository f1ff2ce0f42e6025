//! Projections of one answer, as tables.

use serde_json::Value;
use serde_json::json;

use crate::scim::error::Condition;
use crate::scim::resource::project::Projection;
use crate::scim::resource::project::project;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core::ENTERPRISE_USER;
use crate::scim::schema::core::GROUP;
use crate::scim::schema::core::USER;
use crate::scim::schema::registry::Registry;

const CUSTOM: &str = "urn:ietf:params:scim:schemas:extension:Acme:2.0:User";

/// A user's whole answer.
fn answer() -> Value {
    json!({
        "schemas": [USER, ENTERPRISE_USER, CUSTOM],
        "id": "1",
        "externalId": "x",
        "userName": "mara",
        "name": {"familyName": "Ode", "givenName": "Mara"},
        "emails": [{"value": "a", "type": "work"}, {"type": "home"}],
        ENTERPRISE_USER: {"department": "Optics", "manager": {"value": "m", "$ref": "r"}},
        CUSTOM: {"costCode": 7, "place": {"floor": 1, "desk": 2}},
        "meta": {"resourceType": "User", "version": "W/\"1\""},
    })
}

/// The projection of these two parameters.
fn parsed(attributes: Option<&str>, excluded: Option<&str>) -> Projection {
    let registry = Registry::new(Profile::Entra, false);
    Projection::parse(attributes, excluded, &registry, ResourceKind::User).unwrap()
}

/// What a projection leaves of [`answer`].
fn left(projection: &Projection) -> String {
    let Value::Object(mut tree) = answer() else {
        panic!("an object");
    };
    let registry = Registry::new(Profile::Entra, false);
    project(&mut tree, projection, &registry, ResourceKind::User);
    Value::Object(tree).to_string()
}

/// `schemas` and `id`, then these members.
fn with(schemas: &[&str], members: Value) -> String {
    let mut all = json!({"schemas": schemas, "id": "1"});
    let Value::Object(members) = members else {
        panic!("an object");
    };
    all.as_object_mut().unwrap().extend(members);
    all.to_string()
}

#[test]
fn without_names_everything_is_returned() {
    for (attributes, excluded) in [(None, None), (Some(""), None), (Some(" , "), Some(""))] {
        let projection = parsed(attributes, excluded);
        assert!(projection.is_default(), "{attributes:?} {excluded:?}");
        assert_eq!(left(&projection), answer().to_string());
    }
}

#[test]
fn attributes_leaves_what_is_named_and_what_is_always_returned() {
    for (attributes, schemas, members) in [
        ("id", &[USER][..], json!({})),
        ("shoeSize,emails.shoe", &[USER], json!({})),
        ("password", &[USER], json!({})),
        (
            "USERNAME, externalid",
            &[USER],
            json!({"externalId": "x", "userName": "mara"}),
        ),
        (
            "name.familyname",
            &[USER],
            json!({"name": {"familyName": "Ode"}}),
        ),
        (
            "name.familyName,name",
            &[USER],
            json!({"name": {"familyName": "Ode", "givenName": "Mara"}}),
        ),
        ("emails.value", &[USER], json!({"emails": [{"value": "a"}]})),
        ("emails.display", &[USER], json!({})),
        (
            "emails[type eq \"a,]b\"],meta.version",
            &[USER],
            json!({
                "emails": [{"value": "a", "type": "work"}, {"type": "home"}],
                "meta": {"version": "W/\"1\""},
            }),
        ),
        (
            "emails[type eq \"work\"].value",
            &[USER],
            json!({"emails": [{"value": "a"}]}),
        ),
    ] {
        let projection = parsed(Some(attributes), None);
        assert_eq!(left(&projection), with(schemas, members), "{attributes}");
    }
}

#[test]
fn attributes_may_name_schemas_and_what_is_in_them() {
    let department = format!("{}:Department", ENTERPRISE_USER.to_uppercase());
    let manager = format!("{ENTERPRISE_USER}:manager.value,{USER}:title");
    for (attributes, schemas, members) in [
        (
            ENTERPRISE_USER,
            &[USER, ENTERPRISE_USER][..],
            json!({ENTERPRISE_USER: {"department": "Optics", "manager": {"value": "m", "$ref": "r"}}}),
        ),
        (
            &department,
            &[USER, ENTERPRISE_USER],
            json!({ENTERPRISE_USER: {"department": "Optics"}}),
        ),
        (
            &manager,
            &[USER, ENTERPRISE_USER],
            json!({ENTERPRISE_USER: {"manager": {"value": "m"}}}),
        ),
        (
            USER,
            &[USER],
            json!({
                "userName": "mara",
                "name": {"familyName": "Ode", "givenName": "Mara"},
                "emails": [{"value": "a", "type": "work"}, {"type": "home"}],
            }),
        ),
        (
            &CUSTOM.to_lowercase(),
            &[USER, CUSTOM],
            json!({CUSTOM: {"costCode": 7, "place": {"floor": 1, "desk": 2}}}),
        ),
        (
            &format!("{CUSTOM}:place.desk"),
            &[USER, CUSTOM],
            json!({CUSTOM: {"place": {"desk": 2}}}),
        ),
    ] {
        let projection = parsed(Some(attributes), None);
        assert_eq!(left(&projection), with(schemas, members), "{attributes}");
    }
}

#[test]
fn excluded_attributes_takes_what_is_named_but_not_what_is_always_returned() {
    let everything_but = |names: &[&str]| {
        let mut tree = answer();
        for name in names {
            tree.as_object_mut().unwrap().shift_remove(*name);
        }
        let schemas = tree["schemas"].as_array_mut().unwrap();
        schemas.retain(|urn| !names.contains(&urn.as_str().unwrap()));
        tree
    };
    let mut without_parts = everything_but(&["meta"]);
    without_parts["name"] = json!({"givenName": "Mara"});
    without_parts["emails"] = json!([{"value": "a"}]);
    without_parts[ENTERPRISE_USER] = json!({"manager": {"value": "m", "$ref": "r"}});
    let parts = format!("meta,name.familyName,emails.type,{ENTERPRISE_USER}:department");
    for (excluded, tree) in [
        ("members", answer()),
        ("id,SCHEMAS", answer()),
        ("Name,externalId", everything_but(&["name", "externalId"])),
        (ENTERPRISE_USER, everything_but(&[ENTERPRISE_USER])),
        (CUSTOM, everything_but(&[CUSTOM])),
        (
            &format!("{CUSTOM}:costCode,{CUSTOM}:place"),
            everything_but(&[CUSTOM]),
        ),
        (&parts, without_parts),
    ] {
        let projection = parsed(None, Some(excluded));
        assert_eq!(left(&projection), tree.to_string(), "{excluded}");
    }
}

#[test]
fn what_is_not_wanted_need_not_be_read() {
    let user = ResourceKind::User;
    let group = ResourceKind::Group;
    for (kind, attributes, excluded, wanted) in [
        (user, None, None, true),
        (user, Some("id"), None, false),
        (user, Some("Groups"), None, true),
        (user, Some("groups.value"), None, true),
        (user, Some("groups.shoe"), None, false),
        (user, Some(USER), None, true),
        (user, Some(&format!("{USER}:GROUPS.display")), None, true),
        (user, Some(ENTERPRISE_USER), None, false),
        (user, None, Some("title"), true),
        (user, None, Some("GROUPS"), false),
        (user, None, Some("groups.display"), true),
        (user, None, Some(USER), false),
        (group, None, None, true),
        (group, Some("displayName"), None, false),
        (group, Some("displayName,members"), None, true),
        (group, Some("MEMBERS.$ref"), None, true),
        (group, Some("members[type eq \"User\"].value"), None, true),
        (group, None, Some("members"), false),
        (group, None, Some("Members"), false),
        (group, None, Some(&format!("{GROUP}:members")), false),
        (group, None, Some("members.value"), true),
        (
            group,
            None,
            Some("members.value,members.$ref,members.type,members"),
            false,
        ),
        (group, None, Some("displayName"), true),
    ] {
        let registry = Registry::new(Profile::Entra, false);
        let projection = Projection::parse(attributes, excluded, &registry, kind).unwrap();
        assert_eq!(
            projection.wants(kind.memberships(), kind),
            wanted,
            "{attributes:?} {excluded:?}"
        );
        let other = ResourceKind::ALL.into_iter().find(|other| *other != kind);
        assert!(!projection.wants(other.unwrap().memberships(), kind));
    }
}

#[test]
fn memberships_are_shown_whole_in_part_or_not_at_all() {
    let one = json!({"value": "u", "$ref": "../Users/u", "type": "User"});
    let two = json!({"value": "g", "$ref": "../Groups/g", "type": "Group"});
    let groups = json!({"groups": [{"value": "g", "$ref": "r", "display": "G", "type": "direct"}]});
    let members = json!({"members": [one, two]});
    let user = ResourceKind::User;
    let group = ResourceKind::Group;
    for (kind, attributes, excluded, shown) in [
        (group, Some("members"), None, members.clone()),
        (
            group,
            Some("members.value"),
            None,
            json!({"members": [{"value": "u"}, {"value": "g"}]}),
        ),
        (
            group,
            Some("MEMBERS.VALUE,members.Type"),
            None,
            json!({"members": [{"value": "u", "type": "User"}, {"value": "g", "type": "Group"}]}),
        ),
        (group, Some("id"), None, json!({})),
        (group, None, Some("members"), json!({})),
        (group, None, Some(GROUP), json!({})),
        (
            group,
            None,
            Some("members.$ref,members.type"),
            json!({"members": [{"value": "u"}, {"value": "g"}]}),
        ),
        (group, None, Some("externalId"), members),
        (user, Some("groups"), None, groups),
        (
            user,
            Some("groups.display"),
            None,
            json!({"groups": [{"display": "G"}]}),
        ),
        (
            user,
            None,
            Some("groups.$ref,groups.value"),
            json!({"groups": [{"display": "G", "type": "direct"}]}),
        ),
        (user, None, Some("groups"), json!({})),
    ] {
        let registry = Registry::new(Profile::Strict, false);
        let projection = Projection::parse(attributes, excluded, &registry, kind).unwrap();
        let mut tree = json!({"schemas": [registry.core(kind).id.as_ref()], "id": "1"});
        let whole = match kind {
            ResourceKind::User => {
                json!({"groups": [{"value": "g", "$ref": "r", "display": "G", "type": "direct"}]})
            }
            ResourceKind::Group => json!({"members": [one, two]}),
        };
        let tree = tree.as_object_mut().unwrap();
        tree.extend(whole.as_object().unwrap().clone());
        project(tree, &projection, &registry, kind);
        tree.shift_remove("schemas");
        tree.shift_remove("id");
        assert_eq!(
            Value::Object(tree.clone()),
            shown,
            "{attributes:?} {excluded:?}"
        );
    }
}

#[test]
fn the_two_parameters_exclude_each_other_and_are_bounded() {
    let registry = Registry::new(Profile::Strict, false);
    let many = "a,".repeat(201);
    for (attributes, excluded, detail) in [
        (
            Some("id"),
            Some("name"),
            "`attributes` and `excludedAttributes` exclude each other; send one of them",
        ),
        (
            Some(&*many),
            None,
            "more than 200 attribute names are listed",
        ),
    ] {
        let error =
            Projection::parse(attributes, excluded, &registry, ResourceKind::User).unwrap_err();
        assert_eq!(
            (error.condition(), error.detail()),
            (Condition::BadRequest, detail)
        );
    }
}
