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
    /// GET /Groups/{id}
    GroupGet,
    /// GET /Groups?filter=displayName eq "…"
    GroupFilter,
    /// PATCH /Groups/{id}: one member added, or removed again
    GroupPatch,
}

/// A request.
#[derive(Debug)]
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

    /// Whether it needs groups.
    pub const fn of_groups(self) -> bool {
        matches!(self, Self::GroupGet | Self::GroupFilter | Self::GroupPatch)
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
            Self::Get => get(format!("/Users/{}", people.id(anybody)?)),
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
            Self::GroupGet => get(format!("/Groups/{}", people.id(anybody)?)),
            Self::GroupFilter => {
                let name = people.external_id(anybody);
                get(format!("/Groups?filter=displayName+eq+%22{name}%22"))
            }
            Self::GroupPatch => {
                // Each group gets the member in one round and loses it in the next.
                let added = number.checked_div(people.len())? % 2 == 0;
                let member = people.member()?;
                let operation = if added {
                    json!({"op": "add", "path": "members", "value": [{"value": member}]})
                } else {
                    json!({"op": "remove", "path": format!("members[value eq \"{member}\"]")})
                };
                patch(format!("/Groups/{}", people.id(everybody)?), &operation)
            }
        })
    }
}

/// A GET.
const fn get(path: String) -> Ask {
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
fn with_body(method: Method, path: String, body: &Value) -> Ask {
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
