//! Use cases on the resources of one directory: create, read, replace, patch, delete, search.
//!
//! Each write is one transaction: the resource, its index entries and its history entry become
//! durable together or not at all. Synchronous: what reads or waits for the disk, callers run on the
//! blocking pool; what says that it does not, they need not. What a client may be told about a
//! failure is decided in `api/error.rs`, not here.

pub mod create;
pub mod delete;
pub mod error;
mod history;
pub mod intent;
pub mod keys;
pub mod members;
pub mod patch;
mod plan;
pub mod read;
pub mod replace;
pub mod search;
pub mod verify;
pub mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::base::actor::Actor;
use crate::base::clock::Clock;
use crate::base::clock::Timestamp;
use crate::base::ident::IdSource;
use crate::base::ident::RequestId;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::scim::etag::Precondition;
use crate::scim::resource::Note;
use crate::scim::schema::Profile;
use crate::scim::schema::registry::Registry;
use crate::store::Store;
use crate::store::change::NewRecord;
use crate::store::record::Record;
use crate::store::relations::GroupOf;
use crate::store::relations::Member;
use crate::store::row::DirectoryRow;

/// Opens directories: holds what all of them share.
#[derive(Clone, Debug)]
pub struct Directories {
    /// Where resources live.
    store: Store,
    /// The time of writes.
    clock: Arc<dyn Clock>,
    /// New resource ids.
    ids: Arc<dyn IdSource>,
    /// The schemas by profile and users-only, so that no request builds them.
    registries: Arc<[Registry; 4]>,
}

impl Directories {
    /// A handle over `store`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        let registry = Registry::new;
        let registries = Arc::new([
            registry(Profile::Entra, false),
            registry(Profile::Entra, true),
            registry(Profile::Strict, false),
            registry(Profile::Strict, true),
        ]);
        Self {
            store,
            clock,
            ids,
            registries,
        }
    }

    /// The directory that `row` describes.
    pub fn open(&self, row: Arc<DirectoryRow>) -> Directory {
        let [entra, entra_users, strict, strict_users] = &*self.registries;
        let registry = match (row.profile, row.users_only) {
            (Profile::Entra, false) => entra,
            (Profile::Entra, true) => entra_users,
            (Profile::Strict, false) => strict,
            (Profile::Strict, true) => strict_users,
        };
        Directory {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            registry: registry.clone(),
            row,
        }
    }
}

/// One directory, ready for use cases. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Where its resources live.
    store: Store,
    /// The time of writes.
    clock: Arc<dyn Clock>,
    /// New resource ids.
    ids: Arc<dyn IdSource>,
    /// Its schemas.
    registry: Registry,
    /// What the store says of it.
    row: Arc<DirectoryRow>,
}

impl Directory {
    /// The directory's schemas.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The directory's row: name, profile, state.
    pub fn row(&self) -> &DirectoryRow {
        &self.row
    }
}

/// Who asks for a write, and under which conditions.
#[derive(Clone, Debug)]
pub struct Act {
    /// Who.
    pub actor: Actor,
    /// The request that carries it, for the history.
    pub request: RequestId,
    /// `If-Match`, where the client sent one (RFC 7644 §3.14).
    pub if_match: Option<Precondition>,
}

/// A resource as the store holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its id.
    pub id: ResourceId,
    /// Its revision: the ETag.
    pub revision: Revision,
    /// When it was created.
    pub created: Timestamp,
    /// When it last really changed.
    pub modified: Timestamp,
    /// The stored JSON.
    body: Body,
    /// Who it belongs to or who belongs to it, when that was asked for.
    pub memberships: Memberships,
}

/// Memberships of a resource, which are no part of what is stored of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Memberships {
    /// They were not asked for.
    #[default]
    Unread,
    /// The groups that a user is in.
    Groups(Vec<GroupOf>),
    /// The members of a group.
    Members(Vec<Member>),
}

/// The stored JSON of a resource: as the store shares it, or as it was just written.
#[derive(Clone, Debug)]
enum Body {
    /// In a record of the store.
    Shared(Arc<Record>),
    /// Just written.
    Own(Box<[u8]>),
}

impl Stored {
    /// What `record` holds for the resource `id`.
    fn new(id: ResourceId, record: &Arc<Record>) -> Self {
        Self {
            id,
            revision: record.revision,
            created: record.created,
            modified: record.modified,
            body: Body::Shared(Arc::clone(record)),
            memberships: Memberships::Unread,
        }
    }

    /// What `record` will hold for the resource `id` once it is committed.
    fn written(id: ResourceId, record: &NewRecord) -> Self {
        Self {
            id,
            revision: record.revision,
            created: record.created,
            modified: record.modified,
            body: Body::Own(record.body.clone()),
            memberships: Memberships::Unread,
        }
    }

    /// The stored JSON, without `meta`, `groups` and `members`.
    pub fn body(&self) -> &[u8] {
        match &self.body {
            Body::Shared(record) => &record.body,
            Body::Own(body) => body,
        }
    }
}

/// The outcome of a write.
#[derive(Clone, Debug)]
pub struct Written {
    /// The resource after the write.
    pub stored: Stored,
    /// Whether anything changed.
    pub changed: bool,
    /// What was tolerated in the request.
    pub notes: Vec<Note>,
}
