//! Discovery answers whole, and what Microsoft makes of them.

use serde_json::Value;
use serde_json::json;

use crate::scim::discovery::DiscoveryLimits;
use crate::scim::discovery::resource_type;
use crate::scim::discovery::resource_types;
use crate::scim::discovery::schema;
use crate::scim::discovery::schemas;
use crate::scim::discovery::service_provider_config;
use crate::scim::schema::Profile;
use crate::scim::schema::Profile::Entra;
use crate::scim::schema::Profile::Strict;
use crate::scim::schema::core::ENTERPRISE_USER;
use crate::scim::schema::core::GROUP;
use crate::scim::schema::core::USER;
use crate::scim::schema::registry::Registry;

const BASE: &str = "https://scim.example/scim/d/v2";

/// The tree of an answer.
fn tree(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

/// The schema as a directory of that profile publishes it.
fn published(profile: Profile, urn: &str) -> Value {
    tree(&schema(&Registry::new(profile, false), BASE, urn).unwrap())
}

/// The names that Microsoft's validation makes of a schema's attributes, as `entra-client` tells it.
fn flattened(schema: &Value) -> Vec<String> {
    let urn = schema["id"].as_str().unwrap();
    let extension = urn.contains(":extension:");
    let mut names = Vec::new();
    for attribute in schema["attributes"].as_array().unwrap() {
        let name = attribute["name"].as_str().unwrap();
        let many = attribute["multiValued"] == true;
        let subs = attribute["subAttributes"].as_array();
        let Some(subs) = subs.filter(|_| !extension) else {
            let reference = attribute["type"] == "reference";
            if extension {
                names.push(format!("{urn}:{name}"));
            } else if !reference {
                names.push(name.to_owned());
            }
            continue;
        };
        let is = |sub: &Value, names: &[&str]| names.contains(&sub["name"].as_str().unwrap());
        let kinds = subs.iter().find(|sub| is(sub, &["type"]));
        let kinds = kinds.and_then(|sub| sub["canonicalValues"].as_array());
        for sub in subs {
            let part = sub["name"].as_str().unwrap();
            match (many, kinds) {
                (true, Some(_)) if is(sub, &["type", "primary"]) => {}
                (true, None) if is(sub, &["primary"]) => {}
                (true, Some(kinds)) => names.extend(
                    kinds
                        .iter()
                        .map(|kind| format!("{name}[type eq {kind}].{part}")),
                ),
                (true, None) => names.push(format!("{name}[primary eq \"True\"].{part}")),
                (false, _) => names.push(format!("{name}.{part}")),
            }
        }
    }
    names
}

#[test]
fn the_service_provider_config_tells_what_exists() {
    let limits = DiscoveryLimits {
        page_default: 100,
        page_max: 500,
    };
    let expected = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": 500},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": true},
        "pagination": {
            "cursor": false,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": 100,
            "maxPageSize": 500,
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
            "location": "https://scim.example/scim/d/v2/ServiceProviderConfig",
        },
    });
    let text = service_provider_config(BASE, &limits);
    assert_eq!(String::from_utf8(text).unwrap(), expected.to_string());
}

#[test]
fn resource_types_name_their_schemas() {
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "User",
        "name": "User",
        "description": "User Account",
        "endpoint": "/Users",
        "schema": USER,
        "schemaExtensions": [{"schema": ENTERPRISE_USER, "required": false}],
        "meta": {
            "resourceType": "ResourceType",
            "location": "https://scim.example/scim/d/v2/ResourceTypes/User",
        },
    });
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "Group",
        "name": "Group",
        "description": "Group",
        "endpoint": "/Groups",
        "schema": GROUP,
        "meta": {
            "resourceType": "ResourceType",
            "location": "https://scim.example/scim/d/v2/ResourceTypes/Group",
        },
    });
    for (users_only, types) in [(false, vec![user.clone(), group]), (true, vec![user])] {
        let registry = Registry::new(Entra, users_only);
        let all = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": types.len(),
            "startIndex": 1,
            "itemsPerPage": types.len(),
            "Resources": types,
        });
        let text = resource_types(&registry, BASE);
        assert_eq!(String::from_utf8(text).unwrap(), all.to_string());
        for name in ["User", "Group", "user", "Device", ""] {
            let one = types.iter().find(|kind| kind["name"] == name).cloned();
            let got = resource_type(&registry, BASE, name).map(|text| tree(&text));
            assert_eq!(got, one, "{name}");
        }
    }
}

#[test]
fn schemas_are_found_by_urn_in_any_case_and_without_groups_where_there_are_none() {
    for (users_only, urns) in [
        (false, vec![USER, GROUP, ENTERPRISE_USER]),
        (true, vec![USER, ENTERPRISE_USER]),
    ] {
        let registry = Registry::new(Entra, users_only);
        let all = tree(&schemas(&registry, BASE));
        let resources = all["Resources"].as_array().unwrap();
        let ids: Vec<_> = resources
            .iter()
            .map(|r| r["id"].as_str().unwrap())
            .collect();
        assert_eq!((&ids, &all["totalResults"]), (&urns, &json!(urns.len())));
        for urn in [USER, GROUP, ENTERPRISE_USER, "urn:x", ""] {
            let one = resources.iter().find(|schema| schema["id"] == urn).cloned();
            let got = schema(&registry, BASE, &urn.to_uppercase()).map(|text| tree(&text));
            assert_eq!(got, one, "{urn}");
        }
    }
}

#[test]
fn a_schema_is_published_whole() {
    let sub = |name: &str, kind: &str, types: &[&str], mutability: &str, description: &str| {
        let mut tree = json!({
            "name": name, "type": kind, "multiValued": false, "description": description,
            "required": false,
        });
        let members = tree.as_object_mut().unwrap();
        if name == "type" {
            members.insert("canonicalValues".to_owned(), json!(["User", "Group"]));
        }
        let exact = name == "value" || name == "$ref";
        members.insert("caseExact".to_owned(), json!(exact));
        members.insert("mutability".to_owned(), json!(mutability));
        members.insert("returned".to_owned(), json!("default"));
        members.insert("uniqueness".to_owned(), json!("none"));
        if !types.is_empty() {
            members.insert("referenceTypes".to_owned(), json!(types));
        }
        tree
    };
    for (profile, uniqueness) in [(Entra, "server"), (Strict, "none")] {
        let mut attributes = vec![
            json!({
                "name": "displayName", "type": "string", "multiValued": false,
                "description": "The group's name.", "required": true, "caseExact": false,
                "mutability": "readWrite", "returned": "default", "uniqueness": uniqueness,
            }),
            json!({
                "name": "members", "type": "complex",
                "subAttributes": [
                    sub("value", "string", &[], "immutable", "The member's id."),
                    sub("$ref", "reference", &["User", "Group"], "immutable", "The member's URI."),
                    sub("type", "string", &[], "immutable", "Whether the member is a User or a Group."),
                    sub("display", "string", &[], "readOnly", "The member's name."),
                ],
                "multiValued": true, "description": "The group's members.", "required": false,
                "mutability": "readWrite", "returned": "default",
            }),
        ];
        if profile == Entra {
            attributes.push(json!({
                "name": "externalId", "type": "string", "multiValued": false,
                "description": "The client's own identifier of the resource.", "required": false,
                "caseExact": true, "mutability": "readWrite", "returned": "default",
                "uniqueness": "none",
            }));
        }
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": GROUP,
            "name": "Group",
            "description": "Group",
            "attributes": attributes,
            "meta": {
                "resourceType": "Schema",
                "location": format!("https://scim.example/scim/d/v2/Schemas/{GROUP}"),
            },
        });
        let text = schema(&Registry::new(profile, false), BASE, GROUP).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), expected.to_string());
    }
}

#[test]
fn entra_finds_every_attribute_that_it_maps_by_default() {
    let user = flattened(&published(Entra, USER));
    let group = flattened(&published(Entra, GROUP));
    let enterprise = flattened(&published(Entra, ENTERPRISE_USER));
    for name in [
        "userName",
        "active",
        "displayName",
        "title",
        "emails[type eq \"work\"].value",
        "emails[type eq \"other\"].value",
        "preferredLanguage",
        "name.givenName",
        "name.familyName",
        "name.formatted",
        "addresses[type eq \"other\"].formatted",
        "addresses[type eq \"work\"].streetAddress",
        "addresses[type eq \"work\"].locality",
        "addresses[type eq \"work\"].region",
        "addresses[type eq \"work\"].postalCode",
        "addresses[type eq \"work\"].country",
        "phoneNumbers[type eq \"work\"].value",
        "phoneNumbers[type eq \"mobile\"].value",
        "phoneNumbers[type eq \"fax\"].value",
        "externalId",
        "roles[primary eq \"True\"].value",
        "roles[primary eq \"True\"].display",
    ] {
        assert!(user.iter().any(|known| known == name), "{name} in {user:?}");
    }
    for name in ["displayName", "externalId"] {
        assert!(group.iter().any(|known| known == name), "{name}");
    }
    for name in ["employeeNumber", "department", "manager"] {
        let name = format!("{ENTERPRISE_USER}:{name}");
        assert!(enterprise.contains(&name), "{name}");
    }
}

#[test]
fn what_microsofts_validator_refuses_is_published_by_strict_alone() {
    let names = |profile, whole: Option<&str>| {
        let schema = published(profile, USER);
        let mut list = schema["attributes"].clone();
        if let Some(whole) = whole {
            let found = list.as_array().unwrap().iter().find(|a| a["name"] == whole);
            list = found.unwrap()["subAttributes"].clone();
        }
        let list = list.as_array().unwrap().clone();
        list.into_iter()
            .map(|a| a["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for (whole, name) in [(None, "password"), (Some("emails"), "display")] {
        assert!(
            !names(Entra, whole).iter().any(|known| known == name),
            "{name}"
        );
        assert!(
            names(Strict, whole).iter().any(|known| known == name),
            "{name}"
        );
    }
    assert!(names(Entra, Some("roles")).contains(&"display".to_owned()));
    assert!(!names(Strict, None).contains(&"externalId".to_owned()));
}

#[test]
fn no_schema_holds_null_or_an_empty_list() {
    fn check(value: &Value) {
        match value {
            Value::Null => panic!("null"),
            Value::Array(elements) => {
                assert!(!elements.is_empty());
                elements.iter().for_each(check);
            }
            Value::Object(members) => members.values().for_each(check),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for profile in [Entra, Strict] {
        check(&tree(&schemas(&Registry::new(profile, false), BASE)));
    }
}
