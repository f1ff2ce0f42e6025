//! One request below a Tenant URL, from the known caller to the answer.

use std::sync::Arc;

use crate::api::Api;
use crate::api::error::ApiError;
use crate::api::parts::Parts;
use crate::api::reply::Reply;
use crate::api::resources::View;
use crate::api::route::Method;
use crate::api::route::Target;
use crate::api::route::misplaced_flag;
use crate::auth::Caller;
use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::error::DirectoryError;
use crate::directory::read::FromMemory;
use crate::directory::search::Found;
use crate::directory::search::Page;
use crate::directory::search::Search;
use crate::http::Head;
use crate::http::HeaderName;
use crate::http::Received;
use crate::http::header;
use crate::scim::discovery;
use crate::scim::discovery::DiscoveryLimits;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::etag::Precondition;
use crate::scim::filter::Filter;
use crate::scim::filter::FilterLimits;
use crate::scim::list;
use crate::scim::query;
use crate::scim::query::Query;
use crate::scim::resource::Note;
use crate::scim::schema::ResourceKind;

/// What is known of a request once its caller may make it.
pub struct Asked {
    /// The directory.
    pub directory: Directory,
    /// The Tenant URL, without a slash at its end.
    pub base: String,
    /// What the request is about.
    pub target: Target,
    /// What is to be done with it.
    pub method: Method,
    /// The decoded parameters of the query.
    pub parameters: Vec<(String, String)>,
}

/// A list that is asked for: of resources of one kind.
struct AskedList {
    /// Of what.
    kind: ResourceKind,
    /// How.
    query: Query,
    /// Which part of it.
    page: Page,
    /// Which resources.
    search: Search,
}

impl Api {
    /// Answers a request whose caller is known.
    pub(in crate::api) async fn answer_scim(
        &self,
        received: Received,
        caller: Caller,
        target: Target,
        parameters: Vec<(String, String)>,
    ) -> Result<Reply, ApiError> {
        let method = Method::parse(received.head().method().as_str());
        let row = Arc::clone(&caller.directory);
        let base = row.name.tenant_url(&self.public_url);
        let asked = Asked {
            directory: self.directories.open(row),
            base,
            target,
            method,
            parameters,
        };
        let misplaced = |(name, value): &(String, String)| misplaced_flag(name, value);
        if let Some(flag) = asked.parameters.iter().find_map(misplaced) {
            let detail = format!(
                "the query key {flag} stands in the middle of the URL; take it out of the Tenant URL: both PATCH dialects are understood without it"
            );
            return Err(ScimError::new(Condition::BadRequest, detail).into());
        }
        let nowhere = matches!(asked.target, Target::OtherVersion(_) | Target::Unknown);
        if method == Method::Options && !nowhere {
            let mut reply = Reply::empty(204);
            reply.allow = Some(asked.target.allow());
            return Ok(reply);
        }
        match &asked.target {
            Target::OtherVersion(version) => Err(ScimError::new(
                Condition::Version,
                format!("protocol version {version} is not spoken here; use v2"),
            )
            .into()),
            Target::Unknown => Err(ScimError::new(
                Condition::NotFound,
                "no such endpoint; there are /Users, /Groups, /ServiceProviderConfig, /Schemas and /ResourceTypes",
            )
            .into()),
            Target::Bulk => Err(not_offered("bulk operations are not offered").into()),
            Target::SearchBody => Err(not_offered("queries by POST are not offered; use GET with a filter").into()),
            Target::Me => Err(not_offered("/Me is not offered: a token stands for a client, not for a user").into()),
            Target::ServiceProviderConfig
            | Target::Schemas
            | Target::Schema(_)
            | Target::ResourceTypes
            | Target::ResourceType(_) => self.discover(&asked),
            Target::Root | Target::Collection(_) if method != Method::Post => {
                self.list(&asked).await
            }
            Target::Resource(kind, id) if method.is_read() => self.read(&received, &asked, *kind, id).await,
            Target::Root | Target::Collection(_) | Target::Resource(..) => {
                self.write(received, caller, asked).await
            }
        }
    }

    /// Discovery endpoints (RFC 7644 §4). Other query parameters than `filter` are ignored.
    fn discover(&self, asked: &Asked) -> Result<Reply, ApiError> {
        if !asked.method.is_read() {
            return Err(ApiError::Method {
                allow: asked.target.allow(),
            });
        }
        if asked
            .parameters
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("filter"))
        {
            let detail = "discovery documents cannot be filtered; leave the filter out";
            return Err(ScimError::new(Condition::DiscoveryFilter, detail).into());
        }
        let (registry, base) = (asked.directory.registry(), &asked.base);
        let body = match &asked.target {
            Target::ServiceProviderConfig => {
                let limits = DiscoveryLimits {
                    page_default: self.limits.page_default,
                    page_max: self.limits.page_max,
                };
                Some(discovery::service_provider_config(base, &limits))
            }
            Target::Schemas => Some(discovery::schemas(registry, base)),
            Target::Schema(urn) => discovery::schema(registry, base, urn),
            Target::ResourceTypes => Some(discovery::resource_types(registry, base)),
            Target::ResourceType(name) => discovery::resource_type(registry, base, name),
            Target::Root
            | Target::Collection(_)
            | Target::Resource(..)
            | Target::SearchBody
            | Target::Bulk
            | Target::Me
            | Target::OtherVersion(_)
            | Target::Unknown => None,
        };
        match body {
            Some(body) => Ok(Reply::json(200, body)),
            None => Err(ScimError::new(
                Condition::NotFound,
                "no schema or resource type of this name",
            )
            .into()),
        }
    }

    /// A list of resources (RFC 7644 §3.4.2). The Tenant URL itself lists the users, then the groups.
    async fn list(&self, asked: &Asked) -> Result<Reply, ApiError> {
        if !asked.method.is_read() {
            return Err(ApiError::Method {
                allow: asked.target.allow(),
            });
        }
        let kinds = match asked.target {
            Target::Collection(kind) => vec![kind],
            _ => ResourceKind::ALL.to_vec(),
        };
        let (mut lists, mut refused) = (Vec::new(), None);
        for kind in kinds {
            match self.asked_list(asked, kind) {
                Ok(list) => lists.push(list),
                // What a resource type does not have, none of its resources matches.
                Err(ApiError::Scim(error)) if matches!(asked.target, Target::Root) => {
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        let start_index = match (lists.first(), refused) {
            (Some(list), _) => list.query.start_index,
            (None, Some(error)) => return Err(error.into()),
            (None, None) => 1,
        };
        let (mut total, mut listed, mut found) = (0_usize, 0_usize, Vec::new());
        for list in lists {
            let page = Page {
                offset: list.page.offset.saturating_sub(total),
                count: list.page.count.saturating_sub(listed),
            };
            let here = self.search(asked, list.search, page).await?;
            total = total.saturating_add(here.total);
            listed = listed.saturating_add(here.resources.len());
            found.push((list.kind, list.query.projection, here.resources));
        }
        let mut body = Parts::new(&asked.base);
        list::write_head(&mut body.text, total, start_index, listed);
        let mut begun = false;
        for (kind, projection, resources) in found {
            let view = View {
                directory: &asked.directory,
                base: &asked.base,
                projection: &projection,
            };
            for stored in resources {
                if std::mem::replace(&mut begun, true) {
                    body.text.push(b',');
                }
                view.listed(&mut body, kind, stored)?;
            }
        }
        body.text.extend_from_slice(list::END);
        Ok(body.reply(200))
    }

    /// What is asked of resources of one kind.
    fn asked_list(&self, asked: &Asked, kind: ResourceKind) -> Result<AskedList, ApiError> {
        let registry = asked.directory.registry();
        let query = query::parse(&asked.parameters, registry, kind)?;
        let mut notes = Vec::new();
        let filter = query
            .filter
            .as_deref()
            .map(|text| Filter::parse(text, registry, kind, self.filter_limits(), &mut notes))
            .transpose()?;
        self.count_notes(&notes);
        let page = Page {
            offset: query.start_index.saturating_sub(1),
            count: query
                .count
                .unwrap_or(self.limits.page_default)
                .min(self.limits.page_max),
        };
        let mut search = Search::new(kind, filter, asked.base.clone());
        if query.projection.wants(kind.memberships(), kind) {
            search = search.whole(self.limits.page_members_max);
        }
        Ok(AskedList {
            kind,
            query,
            page,
            search,
        })
    }

    /// Runs a search, where it may.
    async fn search(&self, asked: &Asked, search: Search, page: Page) -> Result<Found, ApiError> {
        match asked.directory.search_in_memory(&search, page) {
            FromMemory::Known(found) => Ok(found),
            FromMemory::AskDisk => {
                let permit = if asked.directory.is_scan(&search) {
                    // The semaphore is never closed.
                    Arc::clone(&self.scans).acquire_owned().await.ok()
                } else {
                    None
                };
                let directory = asked.directory.clone();
                let found = blocking(move || {
                    let found = directory.search(&search, page);
                    drop(permit);
                    found
                });
                Ok(found.await??)
            }
        }
    }

    /// One resource (RFC 7644 §3.4.1).
    async fn read(
        &self,
        received: &Received,
        asked: &Asked,
        kind: ResourceKind,
        id: &str,
    ) -> Result<Reply, ApiError> {
        let projection = query::projection(&asked.parameters, asked.directory.registry(), kind)?;
        let if_none_match = precondition(received.head(), &header::IF_NONE_MATCH);
        // An id of any other shape names nothing: Entra probes with all sorts (RFC 7644 §3.4.1).
        let not_found = DirectoryError::NotFound { kind };
        let Some(id) = ResourceId::parse(id) else {
            return Err(not_found.into());
        };
        let whole = projection.wants(kind.memberships(), kind);
        let stored = match asked.directory.read_from_memory(kind, id, whole) {
            FromMemory::Known(stored) => stored,
            FromMemory::AskDisk => {
                let directory = asked.directory.clone();
                blocking(move || directory.read(kind, id, whole)).await??
            }
        };
        let stored = stored.ok_or(not_found)?;
        let view = View {
            directory: &asked.directory,
            base: &asked.base,
            projection: &projection,
        };
        Ok(view.read(kind, stored, if_none_match.as_ref())?)
    }

    /// How large a filter may be.
    fn filter_limits(&self) -> FilterLimits {
        FilterLimits {
            bytes_max: self.limits.filter_bytes_max,
            terms_max: self.limits.filter_terms_max,
            depth_max: self.limits.filter_depth_max,
        }
    }

    /// Counts what was tolerated.
    pub(in crate::api) fn count_notes(&self, notes: &[Note]) {
        for note in notes {
            self.metrics.dialect_notes.add_one(note.code);
        }
    }
}

/// The condition in a header, if the client sent one.
pub(in crate::api) fn precondition(head: &Head, name: &HeaderName) -> Option<Precondition> {
    let mut lines = head
        .headers()
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap_or_default())
        .peekable();
    lines.peek()?;
    Some(Precondition::parse(lines))
}

/// The refusal of a feature that SCIM defines and Rollcall does not offer (RFC 7644 Table 8).
pub(in crate::api) fn not_offered(detail: &str) -> ScimError {
    ScimError::new(Condition::NotImplemented, detail)
}

/// Runs `work` on the blocking pool. It goes on even if the returned future is dropped.
pub(in crate::api) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ApiError::Internal(format!("a use case panicked: {error}")))
}
