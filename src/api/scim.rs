//! One request below a Tenant URL, from the known caller to the answer.

use std::sync::Arc;

use serde_json::Value;

use crate::api::Api;
use crate::api::error::ApiError;
use crate::api::reply::Reply;
use crate::api::resources::View;
use crate::api::route::Method;
use crate::api::route::Target;
use crate::auth::Caller;
use crate::base::actor::Actor;
use crate::base::ident::ResourceId;
use crate::directory::Act;
use crate::directory::Directory;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::directory::read::FromMemory;
use crate::directory::search::Page;
use crate::directory::search::Search;
use crate::http::Authorised;
use crate::http::Head;
use crate::http::HeaderName;
use crate::http::HeaderValue;
use crate::http::Limits;
use crate::http::Received;
use crate::http::header;
use crate::scim::discovery;
use crate::scim::discovery::DiscoveryLimits;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::etag::Precondition;
use crate::scim::filter::Filter;
use crate::scim::filter::FilterLimits;
use crate::scim::json;
use crate::scim::query;
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

/// What a write does.
enum Write {
    /// POST.
    Create,
    /// PUT.
    Replace(ResourceId),
    /// PATCH.
    Patch(ResourceId),
    /// DELETE.
    Delete(ResourceId),
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

    /// A list of resources (RFC 7644 §3.4.2). The Tenant URL itself lists every resource; as long as
    /// groups cannot be written, those are the users.
    async fn list(&self, asked: &Asked) -> Result<Reply, ApiError> {
        if !asked.method.is_read() {
            return Err(ApiError::Method {
                allow: asked.target.allow(),
            });
        }
        let kind = match asked.target {
            Target::Collection(kind) => kind,
            _ => ResourceKind::User,
        };
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
        let search = Search::new(kind, filter, asked.base.clone());
        let found = match asked.directory.search_in_memory(&search, page) {
            FromMemory::Known(found) => found,
            FromMemory::AskDisk => {
                let permit = if search.is_scan() {
                    // The semaphore is never closed.
                    Arc::clone(&self.scans).acquire_owned().await.ok()
                } else {
                    None
                };
                let directory = asked.directory.clone();
                blocking(move || {
                    let found = directory.search(&search, page);
                    drop(permit);
                    found
                })
                .await??
            }
        };
        let view = View {
            directory: &asked.directory,
            base: &asked.base,
            projection: &query.projection,
        };
        Ok(view.list(kind, &found, query.start_index)?)
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
        let stored = match asked.directory.read_from_memory(kind, id) {
            FromMemory::Known(stored) => stored,
            FromMemory::AskDisk => {
                let directory = asked.directory.clone();
                blocking(move || directory.read(kind, id)).await??
            }
        };
        let stored = stored.ok_or(not_found)?;
        let view = View {
            directory: &asked.directory,
            base: &asked.base,
            projection: &projection,
        };
        Ok(view.read(kind, &stored, if_none_match.as_ref())?)
    }

    /// POST, PUT, PATCH, DELETE.
    async fn write(
        &self,
        received: Received,
        caller: Caller,
        asked: Asked,
    ) -> Result<Reply, ApiError> {
        caller.require_write().map_err(ApiError::Refused)?;
        let (kind, write) = intended(&asked)?;
        let registry = asked.directory.registry();
        let request = received.authorise(caller);
        let projection = query::projection(&asked.parameters, registry, kind)?;
        let act = Act {
            actor: Actor::Token(request.proof().token),
            request: request.head().request_id(),
            if_match: precondition(request.head(), &header::IF_MATCH),
        };
        let body = if matches!(write, Write::Delete(_)) {
            Value::Null
        } else {
            json_body(request, &self.limits, kind).await?
        };
        let directory = asked.directory.clone();
        // From here on the write runs to its end, even if the client goes away.
        let (write, outcome) = blocking(move || {
            let outcome = carry_out(&directory, kind, &write, body, &act);
            (write, outcome)
        })
        .await?;
        let Some(written) = outcome? else {
            return Ok(Reply::empty(204));
        };
        self.count_notes(&written.notes);
        self.metrics
            .scim_write(asked.directory.row().name.as_str(), self.clock.now());
        let status = if matches!(write, Write::Create) {
            201
        } else {
            200
        };
        let view = View {
            directory: &asked.directory,
            base: &asked.base,
            projection: &projection,
        };
        Ok(view.one(status, kind, &written.stored)?)
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
    fn count_notes(&self, notes: &[Note]) {
        for note in notes {
            self.metrics.dialect_notes.add_one(note.code);
        }
    }
}

/// Does a write, and says so in the log: one line each.
fn carry_out(
    directory: &Directory,
    kind: ResourceKind,
    write: &Write,
    body: Value,
    act: &Act,
) -> Result<Option<Written>, DirectoryError> {
    let (verb, written) = match write {
        Write::Create => ("created", directory.create(kind, body, act)?),
        Write::Replace(id) => ("replaced", directory.replace(kind, *id, body, act)?),
        Write::Patch(id) => ("patched", directory.patch(kind, *id, body, act)?),
        Write::Delete(id) => {
            directory.delete(kind, *id, act)?;
            tracing::info!(
                request_id = %act.request, directory = %directory.row().name, actor = %act.actor, resource = %id,
                "{} {id} deleted", kind.name()
            );
            return Ok(None);
        }
    };
    let (id, revision) = (written.stored.id, written.stored.revision);
    let verb = if written.changed {
        verb
    } else {
        "already as asked"
    };
    tracing::info!(
        request_id = %act.request, directory = %directory.row().name, actor = %act.actor, resource = %id,
        revision = revision.0, "{} {id} {verb}", kind.name()
    );
    for note in &written.notes {
        tracing::debug!(request_id = %act.request, code = note.code, path = %note.path, "tolerated");
    }
    Ok(Some(written))
}

/// Which write the request means, and on what.
fn intended(asked: &Asked) -> Result<(ResourceKind, Write), ApiError> {
    match (&asked.target, asked.method) {
        // Whatever the id: no group can be there to be written.
        (Target::Collection(ResourceKind::Group), Method::Post)
        | (
            Target::Resource(ResourceKind::Group, _),
            Method::Put | Method::Patch | Method::Delete,
        ) => {
            let detail = if asked.directory.registry().users_only() {
                "this directory holds users only; its administrator decided that groups are not kept"
            } else {
                "groups cannot be written yet in this version; switch the group mapping off in Entra"
            };
            Err(not_offered(detail).into())
        }
        (Target::Collection(kind), Method::Post) => Ok((*kind, Write::Create)),
        (Target::Resource(kind, id), Method::Put | Method::Patch | Method::Delete) => {
            let id = ResourceId::parse(id).ok_or(DirectoryError::NotFound { kind: *kind })?;
            let write = match asked.method {
                Method::Put => Write::Replace(id),
                Method::Patch => Write::Patch(id),
                _ => Write::Delete(id),
            };
            Ok((*kind, write))
        }
        (target, _) => Err(ApiError::Method {
            allow: target.allow(),
        }),
    }
}

/// Reads the body and parses it as JSON, if its media type allows (RFC 7644 §3.8).
async fn json_body(
    request: Authorised<Caller>,
    limits: &Limits,
    kind: ResourceKind,
) -> Result<Value, ApiError> {
    if let Some(media_type) = request.head().headers().get(header::CONTENT_TYPE)
        && !is_json(media_type)
    {
        return Err(ScimError::new(
            Condition::MediaType,
            "the body must be application/scim+json (application/json is accepted too)",
        )
        .into());
    }
    let encodings = request.head().headers().get_all(header::CONTENT_ENCODING);
    if encodings
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(ScimError::new(
            Condition::MediaType,
            "the body has a Content-Encoding; send it as it is, neither compressed nor encoded",
        )
        .into());
    }
    let bytes_max = match kind {
        ResourceKind::User => limits.body_bytes_max,
        ResourceKind::Group => limits.group_body_bytes_max,
    };
    let body = request
        .body(bytes_max, limits.body_timeout)
        .await
        .map_err(ApiError::Body)?;
    Ok(json::parse(&body, limits.json_depth_max)?)
}

/// The condition in a header, if the client sent one.
fn precondition(head: &Head, name: &HeaderName) -> Option<Precondition> {
    let mut lines = head
        .headers()
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap_or_default())
        .peekable();
    lines.peek()?;
    Some(Precondition::parse(lines))
}

/// Whether a `Content-Type` names JSON; parameters do not matter.
fn is_json(media_type: &HeaderValue) -> bool {
    let Ok(media_type) = media_type.to_str() else {
        return false;
    };
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.is_empty()
        || essence.eq_ignore_ascii_case("application/scim+json")
        || essence.eq_ignore_ascii_case("application/json")
}

/// The refusal of a feature that SCIM defines and Rollcall does not offer (RFC 7644 Table 8).
fn not_offered(detail: &str) -> ScimError {
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
