//! The operations that are measured, and the request of each.

use clap::ValueEnum;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::Value;
use serde_json::json;

use crate::people::People;
use crate::people::scatter;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// GET /Users/{id}
    Get,
    /// GET /Users, a page of 100 somewhere
    List,
    /// GET /Users?filter=userName eq "…"
    Filter,
    /// GET /Users?filter=externalId eq "…"
    External,
    /// GET /Users?filter=emails.value eq "…"
    Email,
    /// GET /Users?filter=userName sw "…", with some eleven hits
    Prefix,
    /// GET /Users?filter=title eq "…": not indexed, no hit
    Scan,
    /// GET /ServiceProviderConfig
    Config,
    /// PATCH /Users/{id}, one changed attribute
    Patch,
    /// PUT /Users/{id}, one changed attribute
    Put,
    /// POST /Users
    Post,
    /// DELETE /Users/{id}
    Delete,
    /// GET /Users/{id} of a user that is in 50 groups
    GetInGroups,
    /// GET /Groups/{id}
    GroupGet,
    /// GET /Groups?filter=displayName eq "…"
    GroupFilter,
    /// The same with excludedAttributes=members, as Entra asks
    GroupLookup,
    /// GET /Groups?excludedAttributes=members&filter=members.value eq "…"
    GroupOf,
    /// GET /Groups/{id} of the large group, with all its members
    GroupLarge,
    /// GET /Groups/{id}?excludedAttributes=members of the large group
    GroupBare,
    /// PATCH /Groups/{id}: one member added, or removed again
    GroupPatch,
}

/// Whom requests are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Users.
    Users,
    /// Users that are in many groups.
    Crowd,
    /// Groups.
    Groups,
    /// A group with very many members.
    Large,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its method.
    pub method: Method,
    /// Its path and query below the Tenant URL.
    pub path: String,
    /// Its body.
    pub body: Option<Bytes>,
}

impl Operation {
    /// As it is called in tables, and on the command line.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whom it is about.
    pub const fn about(self) -> About {
        match self {
            Self::GetInGroups => About::Crowd,
            Self::GroupGet | Self::GroupFilter | Self::GroupLookup | Self::GroupPatch => {
                About::Groups
            }
            Self::GroupLarge | Self::GroupBare => About::Large,
            _ => About::Users,
        }
    }

    /// Whether it needs groups.
    pub fn of_groups(self) -> bool {
        self == Self::GroupOf || self.about() != About::Users
    }

    /// Whether it changes something.
    pub const fn writes(self) -> bool {
        matches!(
            self,
            Self::Patch | Self::Put | Self::Post | Self::Delete | Self::GroupPatch
        )
    }

    /// Whether `status` is the answer that this operation is to get.
    pub const fn is_good(self, status: u16) -> bool {
        match self {
            Self::Post => status == 201,
            Self::Delete => status == 204,
            // RFC 7644 §3.5.2: the resource, or nothing.
            Self::Patch | Self::GroupPatch => status == 200 || status == 204,
            _ => status == 200,
        }
    }

    /// Request `number` on `people`, or on the groups that `people` stands for. Reads go to anybody, writes to one after
    /// the other, so that connections do not change the same person at once. Nothing when there is nobody (any more).
    pub fn ask(self, people: &People, number: u64) -> Option<Ask> {
        let anybody = scatter(number).checked_rem(people.len()).unwrap_or(0);
        let everybody = number.checked_rem(people.len()).unwrap_or(0);
        Some(match self {
            Self::Get | Self::GetInGroups => get(format!("/Users/{}", people.id(anybody)?)),
            Self::List => get(format!("/Users?startIndex={}&count=100", anybody + 1)),
            Self::Filter => filter("userName", "eq", &people.name(anybody)),
            Self::External => filter("externalId", "eq", &people.external_id(anybody)),
            Self::Email => filter("emails.value", "eq", &people.name(anybody)),
            Self::Prefix => filter("userName", "sw", &people.prefix(scatter(number))),
            Self::Scan => filter("title", "eq", "Nobody has this title"),
            Self::Config => get("/ServiceProviderConfig".to_owned()),
            Self::Patch => {
                let operation = json!({"op": "Replace", "path": "displayName", "value": format!("Changed {number}")});
                patch(format!("/Users/{}", people.id(everybody)?), &operation)
            }
            Self::Put => {
                let body = people.body(everybody, &format!("Changed {number}"));
                let path = format!("/Users/{}", people.id(everybody)?);
                with_body(Method::PUT, path, &body)
            }
            Self::Post => with_body(Method::POST, "/Users".to_owned(), &people.new_user(number)),
            Self::Delete => Ask {
                method: Method::DELETE,
                path: format!("/Users/{}", people.id(number)?),
                body: None,
            },
            Self::GroupGet | Self::GroupLarge => get(format!("/Groups/{}", people.id(anybody)?)),
            Self::GroupFilter => {
                let name = people.external_id(anybody);
                get(format!("/Groups?filter=displayName+eq+%22{name}%22"))
            }
            Self::GroupLookup => {
                let name = people.external_id(anybody);
                get(format!(
                    "/Groups?excludedAttributes=members&filter=displayName+eq+%22{name}%22"
                ))
            }
            Self::GroupOf => {
                let id = people.id(anybody)?;
                get(format!(
                    "/Groups?excludedAttributes=members&filter=members.value+eq+%22{id}%22"
                ))
            }
            Self::GroupBare => {
                let id = people.id(anybody)?;
                get(format!("/Groups/{id}?excludedAttributes=members"))
            }
            Self::GroupPatch => {
                // Each group gets the member in one round and loses it in the next.
                let added = number.checked_div(people.len())? % 2 == 0;
                change_member(people.id(everybody)?, people.member()?, added)
            }
        })
    }
}

/// The PATCH of a group by which one member comes or goes.
pub fn change_member(group: &str, member: &str, comes: bool) -> Ask {
    let operation = if comes {
        json!({"op": "Add", "path": "members", "value": [{"value": member}]})
    } else {
        json!({"op": "Remove", "path": format!("members[value eq \"{member}\"]")})
    };
    patch(format!("/Groups/{group}"), &operation)
}

/// The PATCH by which many become members of a group.
pub fn add_members(group: &str, members: &[&str]) -> Ask {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    let operation = json!({"op": "Add", "path": "members", "value": members});
    patch(format!("/Groups/{group}"), &operation)
}

/// A GET.
pub const fn get(path: String) -> Ask {
    Ask {
        method: Method::GET,
        path,
        body: None,
    }
}

/// A GET of users by a filter.
fn filter(attribute: &str, operator: &str, value: &str) -> Ask {
    let value = value.replace('@', "%40").replace(' ', "+");
    get(format!(
        "/Users?filter={attribute}+{operator}+%22{value}%22"
    ))
}

/// A request with a body.
pub fn with_body(method: Method, path: String, body: &Value) -> Ask {
    Ask {
        method,
        path,
        body: Some(Bytes::from(body.to_string())),
    }
}

/// A PATCH with one operation.
fn patch(path: String, operation: &Value) -> Ask {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [operation],
    });
    with_body(Method::PATCH, path, &body)
}
