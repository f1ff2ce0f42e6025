//! Endpoints of resources: read, list, create, replace, patch, delete (RFC 7644 §3.3–§3.6).

use serde_json::Map;
use serde_json::Value;

use crate::api::parts::Parts;
use crate::api::reply::Reply;
use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::Memberships;
use crate::directory::Stored;
use crate::directory::members::group_of;
use crate::directory::members::member_of;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::etag::Precondition;
use crate::scim::etag::etag;
use crate::scim::members::MEMBERS;
use crate::scim::resource::answer;
use crate::scim::resource::answer::Meta;
use crate::scim::resource::memberships::groups_text;
use crate::scim::resource::memberships::put_groups;
use crate::scim::resource::memberships::put_members;
use crate::scim::resource::project::Projection;
use crate::scim::resource::project::project;
use crate::scim::schema::ResourceKind;
use crate::store::relations::Member;

/// Members that are projected at a time.
const PROJECTED_MEMBERS: usize = 512;

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

    /// Appends the resource as JSON.
    ///
    /// # Errors
    ///
    /// [`Condition::Internal`] when what is stored is not JSON, which the record's checksum excludes.
    fn write(
        &self,
        out: &mut Parts,
        kind: ResourceKind,
        stored: Stored,
        location: &str,
    ) -> Result<(), ScimError> {
        let meta = Meta {
            created: stored.created,
            modified: stored.modified,
            revision: stored.revision,
            location,
        };
        if self.projection.is_default() {
            match &stored.memberships {
                Memberships::Unread => {
                    answer::write(&mut out.text, kind, stored.body(), None, &meta);
                }
                Memberships::Groups(groups) => {
                    let groups: Vec<_> = groups.iter().map(group_of).collect();
                    let groups = groups_text(self.base, &groups);
                    answer::write(&mut out.text, kind, stored.body(), groups.as_deref(), &meta);
                }
                Memberships::Members(members) if members.is_empty() => {
                    answer::write(&mut out.text, kind, stored.body(), None, &meta);
                }
                Memberships::Members(members) => {
                    answer::write_head(&mut out.text, stored.body());
                    out.members(members.iter().map(member_of).collect());
                    answer::write_tail(&mut out.text, &meta);
                }
            }
            return Ok(());
        }
        let mut tree = answer::full_tree(kind, stored.body(), &meta).ok_or_else(|| {
            ScimError::new(Condition::Internal, "the stored resource cannot be read")
        })?;
        if let Memberships::Groups(groups) = &stored.memberships {
            let groups: Vec<_> = groups.iter().map(group_of).collect();
            put_groups(&mut tree, self.base, &groups);
        }
        let registry = self.directory.registry();
        project(&mut tree, self.projection, registry, kind);
        serde_json::to_writer(&mut out.text, &tree).map_err(|error| not_printed(&error))?;
        match stored.memberships {
            Memberships::Members(members) if !members.is_empty() => {
                self.write_members(out, &members)
            }
            Memberships::Members(_) | Memberships::Groups(_) | Memberships::Unread => Ok(()),
        }
    }

    /// Adds to a group that is written already, and has members, what the projection wants of them.
    fn write_members(&self, out: &mut Parts, members: &[Member]) -> Result<(), ScimError> {
        // The brace at its end; an `id` is always before it.
        out.text.pop();
        if self.projection.wants_all(ResourceKind::Group) {
            out.text.extend_from_slice(b",\"members\":[");
            out.members(members.iter().map(member_of).collect());
            out.text.extend_from_slice(b"]}");
            return Ok(());
        }
        let mut begin: &[u8] = b",\"members\":[";
        for some in members.chunks(PROJECTED_MEMBERS) {
            let mut tree = Map::new();
            let some: Vec<_> = some.iter().map(member_of).collect();
            put_members(&mut tree, self.base, &some);
            let registry = self.directory.registry();
            project(&mut tree, self.projection, registry, ResourceKind::Group);
            let elements = tree.get(MEMBERS).and_then(Value::as_array);
            for element in elements.into_iter().flatten() {
                out.text.extend_from_slice(begin);
                begin = b",";
                let printed = serde_json::to_writer(&mut out.text, element);
                printed.map_err(|error| not_printed(&error))?;
            }
        }
        let end: &[u8] = if begin == b"," { b"]}" } else { b"}" };
        out.text.extend_from_slice(end);
        Ok(())
    }

    /// One resource: 200 or 201 with its body, ETag and location.
    ///
    /// # Errors
    ///
    /// As [`View::write`].
    pub fn one(&self, status: u16, kind: ResourceKind, stored: Stored) -> Result<Reply, ScimError> {
        let (id, revision) = (stored.id, stored.revision);
        let location = self.location(kind, id);
        let mut body = Parts::new(self.base);
        self.write(&mut body, kind, stored, &location)?;
        let mut reply = body.reply(status);
        reply.etag = Some(etag(revision));
        reply.location = Some(location);
        Ok(reply)
    }

    /// A resource that was written and is not shown: 204 with its ETag and location.
    pub fn unseen(&self, kind: ResourceKind, stored: &Stored) -> Reply {
        let mut reply = Reply::empty(204);
        reply.etag = Some(etag(stored.revision));
        reply.location = Some(self.location(kind, stored.id));
        reply
    }

    /// One resource read: 304 when the client has this version already (RFC 7644 §3.14).
    ///
    /// # Errors
    ///
    /// As [`View::write`].
    pub fn read(
        &self,
        kind: ResourceKind,
        stored: Stored,
        if_none_match: Option<&Precondition>,
    ) -> Result<Reply, ScimError> {
        if if_none_match.is_some_and(|condition| condition.holds(stored.revision)) {
            let mut reply = Reply::empty(304);
            reply.etag = Some(etag(stored.revision));
            return Ok(reply);
        }
        self.one(200, kind, stored)
    }

    /// Appends a resource of a list.
    ///
    /// # Errors
    ///
    /// As [`View::write`].
    pub fn listed(
        &self,
        out: &mut Parts,
        kind: ResourceKind,
        stored: Stored,
    ) -> Result<(), ScimError> {
        let location = self.location(kind, stored.id);
        self.write(out, kind, stored, &location)
    }
}

/// The failure to print what is stored.
fn not_printed(error: &serde_json::Error) -> ScimError {
    ScimError::new(Condition::Internal, format!("cannot print: {error}"))
}
