//! Why the store could not be opened, read or written. The texts say what happened, why, and
//! what to do; none of them holds an attribute's value.

use std::io;
use std::path::PathBuf;

use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::store::change::Index;

/// Why the store was not opened. Nothing on disk was given up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error(
        "the store {} is in use by another process. Only one rollcall may run on a state \
         directory: stop the other one (`systemctl stop rollcall`), or talk to it with the \
         command line instead of starting a second",
        dir.display()
    )]
    InUse {
        /// The store's directory.
        dir: PathBuf,
    },
    /// A later Rollcall wrote it.
    #[error(
        "{} was written by a newer Rollcall: its format is {found}, this program knows formats up \
         to {known}. Install the newer version again; to go back to this one, restore the backup \
         made before the upgrade",
        file.display()
    )]
    Newer {
        /// The file that says so.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this program knows.
        known: u32,
    },
    /// Data that is needed cannot be trusted.
    #[error(
        "{} is damaged at byte {offset}: {what}. Rollcall does not start, because starting \
         would drop acknowledged changes. Keep a copy of the whole directory, put the undamaged \
         file back (from a backup or a snapshot of the disk), and start again",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What was found there.
        what: String,
    },
    /// The machine refused.
    #[error("cannot {doing} {}: {source}. {}", path.display(), io_advice(source))]
    Io {
        /// What was being done: "create", "read".
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the machine said.
        source: io::Error,
    },
}

/// What to do about an I/O error at start.
fn io_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "Make room on that file system and start again; nothing was lost"
        }
        io::ErrorKind::PermissionDenied => {
            "The directory must belong to the user that runs rollcall"
        }
        io::ErrorKind::ReadOnlyFilesystem => "Mount that file system read-write",
        _ => "Check the disk (`dmesg`, `smartctl`) and start again",
    }
}

impl OpenError {
    /// An I/O error while `doing` something to `path`.
    pub(in crate::store) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

/// Why a transaction was not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// One of its conditions does not hold. Nothing was changed.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// No writes are taken at the moment. Nothing was changed.
    #[error("the store takes no writes: {reason}")]
    ReadOnly {
        /// Why.
        reason: String,
    },
    /// The disk is nearly full. Nothing was changed; writes resume by themselves.
    #[error("the disk is nearly full; writes resume by themselves once there is room")]
    NoSpace,
    /// The disk failed while this was written. It was not acknowledged to anybody and no reader
    /// sees it, but after a restart it may turn out to have been stored.
    #[error("the disk failed while this was written; it may or may not have been stored")]
    Failed,
}

/// Which condition of a transaction does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// The thing does not exist.
    #[error("it does not exist")]
    Missing,
    /// The thing exists already.
    #[error("it exists already")]
    Exists,
    /// The thing is at another revision.
    #[error("it changed meanwhile: its revision is {current}")]
    Changed {
        /// The revision it is at.
        current: Revision,
    },
    /// Another resource has the unique key.
    #[error("{} is taken by {by}", index.attribute())]
    Taken {
        /// Which key.
        index: Index,
        /// By whom.
        by: ResourceId,
    },
    /// What was read to prepare the transaction is not enough any more: prepare it again.
    #[error("what it rests on changed meanwhile")]
    Stale,
    /// Ids that are to be members never were any resource's.
    #[error("of the members, {} do not exist", ids.len())]
    UnknownMembers {
        /// Which.
        ids: Vec<ResourceId>,
    },
    /// Another directory has the name.
    #[error("another directory has this name")]
    NameTaken,
    /// The directory does not exist (any more).
    #[error("the directory does not exist")]
    DirectoryGone,
    /// More than the store takes in one record, key or transaction.
    #[error("it is larger than the store takes in one piece")]
    TooLarge,
}

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The stored copy of this resource is lost or damaged; others are not concerned. A restart
    /// rebuilds it from the commit log.
    #[error("the stored copy of {0} is damaged; a restart rebuilds it from the commit log")]
    Damaged(ResourceId),
    /// The disk did not give it.
    #[error("the disk did not give {id}: {why}")]
    Unreadable {
        /// The resource.
        id: ResourceId,
        /// What the disk said.
        why: String,
    },
}

/// History or audit could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the files of history and audit cannot be read: {0}")]
pub struct Unread(String);

impl Unread {
    /// What the machine said.
    pub(in crate::store) fn of(error: &io::Error) -> Self {
        Self(error.to_string())
    }
}
