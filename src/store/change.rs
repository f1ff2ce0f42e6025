//! What is to be changed, under which conditions, and what came of it. Conditions are data: the
//! commit thread checks them, nobody holds a lock between preparing and committing.

use crate::audit::entry::AuditDraft;
use crate::audit::history::Action;
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::base::ident::RequestId;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::scim::schema::ResourceKind;
use crate::store::row::DirectoryRow;
use crate::store::row::TokenRow;

/// Most bytes of one transaction.
pub const TRANSACTION_BYTES_MAX: usize = 32 << 20;

/// What a resource can be found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Index {
    /// `userName`, folded by `scim::text::fold`.
    UserName,
    /// `displayName`, folded.
    DisplayName,
    /// `externalId`, exact.
    ExternalId,
    /// `emails.value`, folded.
    Email,
    /// `manager.value`, exact.
    Manager,
}

impl Index {
    /// All of them, in the order of their numbers on disk.
    pub const ALL: [Self; 5] = [
        Self::UserName,
        Self::DisplayName,
        Self::ExternalId,
        Self::Email,
        Self::Manager,
    ];

    /// The attribute's name in the protocol.
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::UserName => "userName",
            Self::DisplayName => "displayName",
            Self::ExternalId => "externalId",
            Self::Email => "emails.value",
            Self::Manager => "manager.value",
        }
    }

    /// The number on disk.
    pub(in crate::store) const fn tag(self) -> u8 {
        match self {
            Self::UserName => 1,
            Self::DisplayName => 2,
            Self::ExternalId => 3,
            Self::Email => 4,
            Self::Manager => 5,
        }
    }

    /// The index of that number.
    pub(in crate::store) fn of_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|index| index.tag() == tag)
    }
}

/// A time of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// `meta.created`.
    Created,
    /// `meta.lastModified`.
    Modified,
}

/// Resources that an index finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// Those with this key, folded as the index wants it.
    Key(Index, String),
    /// Those with a key that begins so; only for indexes that are folded. Where both are long,
    /// some are among them whose key begins otherwise.
    Prefix(Index, String),
    /// Those from a first time to a last.
    Times(Time, Timestamp, Timestamp),
    /// Groups that have this resource as a member.
    HasMember(ResourceId),
    /// Users that are in this group, or in a group that is in it.
    InGroup(ResourceId),
}

/// A resource as it is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Its revision from now on.
    pub revision: Revision,
    /// `meta.created`.
    pub created: Timestamp,
    /// `meta.lastModified`.
    pub modified: Timestamp,
    /// What it can be found by, folded as the index wants it.
    pub keys: Vec<(Index, Box<str>)>,
    /// Which of the indexes admit no second resource with the same key in this directory and kind.
    pub unique: Vec<Index>,
    /// What those call it that refer to it: of a group, its name as it was sent.
    pub label: Option<Box<str>>,
    /// JSON, as `scim::resource` stores it.
    pub body: Box<[u8]>,
}

/// What must hold for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests put what may be there"))]
    Any,
    /// The thing does not exist.
    Absent,
    /// The thing exists.
    Exists,
    /// The thing exists at this revision.
    Revision(Revision),
}

/// What happens to the members of a group, one step after the other. What of it changes anything is
/// decided when it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberStep {
    /// These become members, unless they are.
    Add(Vec<ResourceId>),
    /// These are members no more, when they are.
    Remove(Vec<ResourceId>),
    /// These are its members and nobody else is.
    Set(Vec<ResourceId>),
    /// This one is deleted in the same transaction: its membership stays for a restore, and counts
    /// no more.
    Leave(ResourceId),
}

/// What happens to ids of members that never were any resource's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The transaction is rejected.
    Refuse,
    /// They are left out, unless nothing remains of a step: then the transaction is rejected.
    LeaveOut,
    /// They are left out, whatever remains.
    LeaveOutAll,
}

/// A resource as it was read, and how it is stored again: what a commit needs of it to change no
/// more than its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsRead {
    /// The revision it was read at. It may have moved since, as long as the JSON is the same.
    pub revision: Revision,
    /// The same JSON and keys; its revision and `modified` do not count.
    pub record: NewRecord,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Creates or replaces a resource.
    PutResource {
        /// Its directory.
        directory: DirectoryId,
        /// Its kind.
        kind: ResourceKind,
        /// Its id.
        id: ResourceId,
        /// The condition.
        expect: Expect,
        /// What it becomes.
        record: NewRecord,
    },
    /// Changes who is in a group. That moves its revision, unless nothing changes.
    Members {
        /// Its directory.
        directory: DirectoryId,
        /// The group, which must exist.
        group: ResourceId,
        /// The condition.
        expect: Expect,
        /// What happens to its members, in order.
        steps: Vec<MemberStep>,
        /// What happens to ids that never were.
        unknown: Unknown,
        /// The group as it was read; nothing when it is put earlier in the same transaction.
        read: Option<AsRead>,
    },
    /// Deletes a resource, which must exist. Each group it is in must have been told before by
    /// [`MemberStep::Leave`].
    DeleteResource {
        /// Its directory.
        directory: DirectoryId,
        /// Its kind.
        kind: ResourceKind,
        /// Its id.
        id: ResourceId,
        /// The condition.
        expect: Expect,
        /// What it is called, as indexes want it: by this one who comes again is known.
        names: Vec<(Index, Box<str>)>,
    },
    /// Forgets a deleted resource for ever, with the memberships that it had.
    Forget {
        /// Its directory.
        directory: DirectoryId,
        /// Its id.
        id: ResourceId,
        /// Its memberships: pairs of group and member.
        memberships: Vec<(ResourceId, ResourceId)>,
    },
    /// Creates or replaces a token. It stays with its directory for ever.
    PutToken {
        /// The token.
        row: TokenRow,
        /// The condition.
        expect: Expect,
    },
    /// Creates or replaces a directory. A new one has number 0 and is given its own.
    PutDirectory {
        /// The directory.
        row: DirectoryRow,
        /// The condition.
        expect: Expect,
    },
    /// Deletes a directory with its tokens and resources: invisible at once, purged afterwards.
    DeleteDirectory {
        /// Its number.
        id: DirectoryId,
    },
    /// Sets a setting. Settings have no revision of their own: all are at 0 for ever.
    PutSetting {
        /// Its name, at most 128 bytes.
        name: String,
        /// Its value.
        value: Box<[u8]>,
        /// The condition.
        expect: Expect,
    },
}

/// A history entry to be; number and time are given when it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryDraft {
    /// The directory.
    pub directory: DirectoryId,
    /// The resource's kind.
    pub kind: ResourceKind,
    /// The resource.
    pub id: ResourceId,
    /// What was done.
    pub action: Action,
    /// Its revision after it; a deletion counts as one.
    pub revision: Revision,
    /// Who did it.
    pub actor: Actor,
    /// The request that did it, when one did.
    pub request: Option<RequestId>,
    /// JSON: the changed attributes, old and new.
    pub payload: Vec<u8>,
}

impl HistoryDraft {
    /// Whether it is about this resource.
    pub(in crate::store) fn is_about(
        &self,
        resource: (DirectoryId, ResourceKind, ResourceId),
    ) -> bool {
        (self.directory, self.kind, self.id) == resource
    }
}

/// Changes that are made together or not at all, with what is to be remembered of them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Transaction {
    /// Checked and made in this order; a later one sees the earlier ones.
    pub changes: Vec<Change>,
    /// For the directory's history.
    pub history: Vec<HistoryDraft>,
    /// For the audit.
    pub audit: Vec<AuditDraft>,
}

/// A transaction that survives whatever happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its number: counts the appliance's transactions from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The number that a new directory was given.
    pub directory: Option<DirectoryId>,
    /// The numbers of its history entries. Those about one resource are next to each other, in the
    /// order of the drafts; resources are in the order of the changes.
    pub history: Vec<u64>,
    /// What came of each [`Change::Members`], in order.
    pub members: Vec<MembersChanged>,
}

/// What came of a change of a group's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersChanged {
    /// The group.
    pub group: ResourceId,
    /// Whether anything changed.
    pub changed: bool,
    /// Its revision now.
    pub revision: Revision,
    /// Its `meta.lastModified` now.
    pub modified: Timestamp,
    /// Ids that were left out because they never were any resource's.
    pub unknown: Vec<ResourceId>,
    /// Whether a list that was to be the whole took more members away than it brought.
    pub shrank: bool,
}
