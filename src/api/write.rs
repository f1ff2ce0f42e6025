//! Writes: from an allowed request to an answer that is durable.
//!
//! What is small and in memory is understood, prepared and submitted where the request runs, and
//! waits for the disk without a thread; anything else goes to the blocking pool. Either way it is a
//! task of its own, so that it finishes even if the client goes away.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::oneshot;

use crate::api::Api;
use crate::api::error::ApiError;
use crate::api::reply::Reply;
use crate::api::resources::View;
use crate::api::route::Method;
use crate::api::route::Target;
use crate::api::scim::Asked;
use crate::api::scim::blocking;
use crate::api::scim::not_offered;
use crate::api::scim::precondition;
use crate::auth::Caller;
use crate::base::actor::Actor;
use crate::base::ident::ResourceId;
use crate::directory::Act;
use crate::directory::Directory;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::directory::intent::Begun;
use crate::directory::intent::Intent;
use crate::directory::members::MEMBER_UNKNOWN;
use crate::directory::members::REPLACE_SHRANK;
use crate::directory::write::PROMPT_BYTES_MAX;
use crate::http::Authorised;
use crate::http::Bytes;
use crate::http::Head;
use crate::http::HeaderValue;
use crate::http::Limits;
use crate::http::Received;
use crate::http::header;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::json;
use crate::scim::query;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;

/// A body of more bytes than this is large.
const LARGE_BYTES: usize = 1 << 20;

/// What a write does.
#[derive(Clone, Copy)]
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

/// A write that may be carried out.
struct Order {
    /// Where.
    directory: Directory,
    /// On what.
    kind: ResourceKind,
    /// What it does.
    write: Write,
    /// The body as it came.
    body: Bytes,
    /// Deepest nesting of the body.
    depth_max: usize,
    /// Who asks, and under which conditions.
    act: Act,
    /// The permit for a large body, held while it is in memory.
    _large: Option<OwnedSemaphorePermit>,
}

impl Api {
    /// POST, PUT, PATCH, DELETE.
    pub(in crate::api) async fn write(
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
        let (large, body) = if matches!(write, Write::Delete(_)) {
            (None, Bytes::new())
        } else {
            let large = self.large_permit(request.head(), kind).await;
            (large, json_body(request, &self.limits, kind).await?)
        };
        // The semaphore is never closed.
        let place = Arc::clone(&self.writes).acquire_owned().await.ok();
        let order = Order {
            directory: asked.directory.clone(),
            kind,
            write,
            body,
            depth_max: self.limits.json_depth_max,
            act,
            _large: large,
        };
        // From here on the write runs to its end, even if the client goes away.
        let written = tokio::spawn(order.carry_out(place)).await;
        let written = written
            .map_err(|error| ApiError::Internal(format!("a use case panicked: {error}")))??;
        if matches!(write, Write::Delete(_)) {
            return Ok(Reply::empty(204));
        }
        self.count_notes(&written.notes);
        self.metrics
            .scim_write(asked.directory.row().name.as_str(), self.clock.now());
        let stored = written.stored;
        let view = View {
            directory: &asked.directory,
            base: &asked.base,
            projection: &projection,
        };
        if is_short(&asked, kind, write) {
            return Ok(view.unseen(kind, &stored));
        }
        let status = if matches!(write, Write::Create) {
            201
        } else {
            200
        };
        let stored = if projection.wants(kind.memberships(), kind) {
            match kind {
                ResourceKind::User => asked.directory.written_whole(kind, stored)?,
                ResourceKind::Group => {
                    let directory = asked.directory.clone();
                    blocking(move || directory.written_whole(kind, stored)).await??
                }
            }
        } else {
            stored
        };
        Ok(view.one(status, kind, stored)?)
    }

    /// The permit for a body that is or may become large, once there is one: only those of groups can.
    async fn large_permit(&self, head: &Head, kind: ResourceKind) -> Option<OwnedSemaphorePermit> {
        let length = head.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let is_small = length.is_some_and(|length: usize| length <= LARGE_BYTES);
        if kind == ResourceKind::User || is_small {
            return None;
        }
        // The semaphore is never closed.
        Arc::clone(&self.large_bodies).acquire_owned().await.ok()
    }
}

/// Whether the answer to a write has no body: a PATCH of a group in profile `entra`, unless the client
/// says what it wants to see of it (RFC 7644 §3.5.2, §3.9).
fn is_short(asked: &Asked, kind: ResourceKind, write: Write) -> bool {
    let projected = |(name, _value): &(String, String)| {
        let names = ["attributes", "excludedAttributes"];
        names.iter().any(|other| name.eq_ignore_ascii_case(other))
    };
    kind == ResourceKind::Group
        && matches!(write, Write::Patch(_))
        && asked.directory.registry().profile() == Profile::Entra
        && !asked.parameters.iter().any(projected)
}

impl Order {
    /// Does the write, and says so in the log: one line each. `place` is held meanwhile.
    async fn carry_out(self, place: Option<OwnedSemaphorePermit>) -> Result<Written, ApiError> {
        let (directory, act) = (self.directory.clone(), self.act.clone());
        let (kind, write) = (self.kind, self.write);
        let written = self.until_durable().await?;
        drop(place);
        tell(&directory, kind, write, &act, &written);
        Ok(written)
    }

    /// Does the write.
    async fn until_durable(self) -> Result<Written, ApiError> {
        if self.body.len() > PROMPT_BYTES_MAX {
            return blocking(move || {
                let intent = self.understand()?;
                Ok(self.directory.finish(intent, &self.act)?)
            })
            .await?;
        }
        let intent = self.understand()?;
        let Self { directory, act, .. } = self;
        let (told, outcome) = oneshot::channel();
        // Whoever asked is waiting.
        let then = Box::new(move |outcome| drop(told.send(outcome)));
        match directory.begin(intent, &act, then)? {
            Begun::Done(written) => Ok(written),
            Begun::NotPromptly(intent) => {
                Ok(blocking(move || directory.finish(intent, &act)).await??)
            }
            Begun::Submitted(submitted) => match outcome.await {
                Ok(Ok(committed)) => Ok(submitted.acknowledged(&committed)),
                untold => {
                    let error = untold.ok().and_then(Result::err);
                    Ok(blocking(move || directory.settle(submitted, &act, error)).await??)
                }
            },
        }
    }

    /// Reads the body.
    fn understand(&self) -> Result<Intent, ApiError> {
        let (directory, kind) = (&self.directory, self.kind);
        let body = || json::parse(&self.body, self.depth_max);
        Ok(match self.write {
            Write::Create => directory.creation(kind, body()?, &self.act)?,
            Write::Replace(id) => directory.replacement(kind, id, body()?)?,
            Write::Patch(id) => directory.patch(kind, id, body()?)?,
            Write::Delete(id) => directory.deletion(kind, id),
        })
    }
}

/// Says in the log what was done: one line.
fn tell(directory: &Directory, kind: ResourceKind, write: Write, act: &Act, written: &Written) {
    let (id, revision) = (written.stored.id, written.stored.revision);
    let verb = match write {
        Write::Delete(id) => {
            tracing::info!(
                request_id = %act.request, directory = %directory.row().name, actor = %act.actor, resource = %id,
                "{} {id} deleted", kind.name()
            );
            return;
        }
        _ if !written.changed => "already as asked",
        Write::Create => "created",
        Write::Replace(_) => "replaced",
        Write::Patch(_) => "patched",
    };
    tracing::info!(
        request_id = %act.request, directory = %directory.row().name, actor = %act.actor, resource = %id,
        revision = revision.0, "{} {id} {verb}", kind.name()
    );
    let unknown = written.notes.iter();
    let unknown = unknown.filter(|note| note.code == MEMBER_UNKNOWN);
    let unknown: Vec<&str> = unknown.map(|note| &*note.path).collect();
    if !unknown.is_empty() {
        tracing::warn!(
            request_id = %act.request, directory = %directory.row().name, resource = %id, code = MEMBER_UNKNOWN,
            "{} {id}: {} members left out, because nobody here has such an id: {}",
            kind.name(), unknown.len(), unknown.join(", ")
        );
    }
    if written.notes.iter().any(|note| note.code == REPLACE_SHRANK) {
        tracing::warn!(
            request_id = %act.request, directory = %directory.row().name, resource = %id, code = REPLACE_SHRANK,
            "{} {id}: its list of members was replaced by one that takes more away than it brings; \
             the history tells who left",
            kind.name()
        );
    }
    for note in &written.notes {
        tracing::debug!(request_id = %act.request, code = note.code, path = %note.path, "tolerated");
    }
}

/// Which write the request means, and on what.
fn intended(asked: &Asked) -> Result<(ResourceKind, Write), ApiError> {
    match (&asked.target, asked.method) {
        // Whatever the id: no group can be there to be written.
        (Target::Collection(ResourceKind::Group), Method::Post)
        | (
            Target::Resource(ResourceKind::Group, _),
            Method::Put | Method::Patch | Method::Delete,
        ) if asked.directory.registry().users_only() => Err(not_offered(
            "this directory holds users only; its administrator decided that groups are not kept",
        )
        .into()),
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

/// Reads the body, if its media type says that it is JSON (RFC 7644 §3.8).
async fn json_body(
    request: Authorised<Caller>,
    limits: &Limits,
    kind: ResourceKind,
) -> Result<Bytes, ApiError> {
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
    request
        .body(bytes_max, limits.body_timeout)
        .await
        .map_err(ApiError::Body)
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
