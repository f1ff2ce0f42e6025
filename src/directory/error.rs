//! Why a use case on a resource was not carried out.

use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::scim::error::ScimError;
use crate::scim::schema::ResourceKind;
use crate::store::change::Index;
use crate::store::error::CommitError;
use crate::store::error::StoreError;

/// Why a use case on a resource was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// No such resource in this directory.
    #[error("no {} with this id", kind.name())]
    NotFound {
        /// What was looked for.
        kind: ResourceKind,
    },
    /// Another resource holds a value that must be unique.
    #[error("{index:?} is taken by {by}")]
    Taken {
        /// The kind of both resources.
        kind: ResourceKind,
        /// Which value.
        index: Index,
        /// The resource that holds it.
        by: ResourceId,
        /// Whether that resource is active; `None` where it cannot be told any more.
        active: Option<bool>,
    },
    /// Ids that are to be members are nobody's.
    #[error("{} members do not exist", values.len())]
    UnknownMembers {
        /// What was sent for them; the first of them.
        values: Vec<String>,
    },
    /// The page has more members of groups than one answer may.
    #[error("the page has over {members_max} members of groups")]
    TooManyMembers {
        /// So many there may be.
        members_max: usize,
    },
    /// `If-Match` names another version.
    #[error("the resource is at revision {current}")]
    VersionMismatch {
        /// The version it has.
        current: Revision,
    },
    /// The directory was deleted while the request was under way.
    #[error("the directory is gone")]
    DirectoryGone,
    /// The protocol forbids it.
    #[error(transparent)]
    Rejected(#[from] ScimError),
    /// The store could not read.
    #[error("the store could not read")]
    Store(#[from] StoreError),
    /// The store could not write.
    #[error("the store could not write")]
    Commit(#[source] CommitError),
}
