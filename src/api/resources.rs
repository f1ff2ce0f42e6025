//! Endpoints of resources: read, list, create, replace, patch, delete (RFC 7644 §3.3–§3.6).

use crate::api::reply::Reply;
use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::Stored;
use crate::directory::search::Found;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::etag::Precondition;
use crate::scim::etag::etag;
use crate::scim::list;
use crate::scim::resource::answer;
use crate::scim::resource::answer::Meta;
use crate::scim::resource::project::Projection;
use crate::scim::resource::project::project;
use crate::scim::schema::ResourceKind;

/// How the resources of one directory are shown.
#[derive(Debug)]
pub struct View<'a> {
    /// The directory.
    pub directory: &'a Directory,
    /// The Tenant URL, without a slash at its end.
    pub base: &'a str,
    /// Which attributes are wanted.
    pub projection: &'a Projection,
}

impl View<'_> {
    /// The URL of a resource.
    pub fn location(&self, kind: ResourceKind, id: ResourceId) -> String {
        answer::location(self.base, kind, id)
    }

    /// The resource as JSON.
    ///
    /// # Errors
    ///
    /// [`Condition::Internal`] when what is stored is not JSON, which the record's checksum excludes.
    fn body(
        &self,
        kind: ResourceKind,
        stored: &Stored,
        location: &str,
    ) -> Result<Vec<u8>, ScimError> {
        let meta = Meta {
            created: stored.created,
            modified: stored.modified,
            revision: stored.revision,
            location,
        };
        if self.projection.is_default() {
            let mut body = Vec::new();
            answer::write(&mut body, kind, stored.body(), None, &meta);
            return Ok(body);
        }
        let mut tree = answer::full_tree(kind, stored.body(), &meta).ok_or_else(|| {
            ScimError::new(Condition::Internal, "the stored resource cannot be read")
        })?;
        project(&mut tree, self.projection, self.directory.registry(), kind);
        serde_json::to_vec(&tree)
            .map_err(|error| ScimError::new(Condition::Internal, format!("cannot print: {error}")))
    }

    /// One resource: 200 or 201 with its body, ETag and location.
    ///
    /// # Errors
    ///
    /// As [`View::body`].
    pub fn one(
        &self,
        status: u16,
        kind: ResourceKind,
        stored: &Stored,
    ) -> Result<Reply, ScimError> {
        let location = self.location(kind, stored.id);
        let mut reply = Reply::json(status, self.body(kind, stored, &location)?);
        reply.etag = Some(etag(stored.revision));
        reply.location = Some(location);
        Ok(reply)
    }

    /// One resource read: 304 when the client has this version already (RFC 7644 §3.14).
    ///
    /// # Errors
    ///
    /// As [`View::body`].
    pub fn read(
        &self,
        kind: ResourceKind,
        stored: &Stored,
        if_none_match: Option<&Precondition>,
    ) -> Result<Reply, ScimError> {
        if if_none_match.is_some_and(|condition| condition.holds(stored.revision)) {
            let mut reply = Reply::empty(304);
            reply.etag = Some(etag(stored.revision));
            return Ok(reply);
        }
        self.one(200, kind, stored)
    }

    /// A page of a list (RFC 7644 §3.4.2).
    ///
    /// # Errors
    ///
    /// As [`View::body`].
    pub fn list(
        &self,
        kind: ResourceKind,
        found: &Found,
        start_index: usize,
    ) -> Result<Reply, ScimError> {
        let mut resources = Vec::with_capacity(found.resources.len());
        for stored in &found.resources {
            resources.push(self.body(kind, stored, &self.location(kind, stored.id))?);
        }
        let mut body = Vec::new();
        list::write(&mut body, found.total, start_index, &resources);
        Ok(Reply::json(200, body))
    }
}
