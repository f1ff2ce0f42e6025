//! The body of a group's frame: transactions, each with its logical changes, its history entries
//! and its audit entries, as they were decided.

use std::sync::Arc;

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::audit::entry::AuditEntry;
use crate::audit::history::HistoryEntry;
use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::scim::schema::ResourceKind;
use crate::store::record::Stored;
use crate::store::row;
use crate::store::row::DeletedRow;
use crate::store::row::DirectoryRow;
use crate::store::row::TokenRow;

/// A change with nothing left to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// A resource is now this.
    PutResource {
        /// Its directory.
        directory: DirectoryId,
        /// Its kind.
        kind: ResourceKind,
        /// Its id.
        id: ResourceId,
        /// What it is.
        stored: Stored,
    },
    /// A resource is gone.
    DeleteResource {
        /// Its directory.
        directory: DirectoryId,
        /// Its kind.
        kind: ResourceKind,
        /// Its id.
        id: ResourceId,
        /// What is left of it; what older versions wrote leaves nothing.
        left: Option<DeletedRow>,
    },
    /// Members of a group came and went: the member, and whether it came. Each at most once.
    Members {
        /// Its directory.
        directory: DirectoryId,
        /// The group.
        group: ResourceId,
        /// Who.
        members: Vec<(ResourceId, bool)>,
    },
    /// Nothing is left of a deleted resource.
    Forget {
        /// Its directory.
        directory: DirectoryId,
        /// Its id.
        id: ResourceId,
        /// Memberships that go with it: pairs of group and member.
        memberships: Vec<(ResourceId, ResourceId)>,
    },
    /// A token is now this.
    PutToken(Arc<TokenRow>),
    /// A directory is now this.
    PutDirectory(Arc<DirectoryRow>),
    /// A directory is gone.
    DeleteDirectory(DirectoryId),
    /// A setting is now this.
    PutSetting {
        /// Its name.
        name: Box<str>,
        /// Its value.
        value: Arc<[u8]>,
    },
}

/// A transaction with nothing left to decide.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Logged {
    /// Its changes, in order.
    pub changes: Vec<Made>,
    /// Its history entries.
    pub history: Vec<HistoryEntry>,
    /// Its audit entries.
    pub audit: Vec<AuditEntry>,
}

/// Appends which resource is meant.
fn put_resource(out: &mut Vec<u8>, directory: DirectoryId, kind: ResourceKind, id: ResourceId) {
    bytes::put_u32(out, directory.0);
    row::put_kind(out, kind);
    out.extend_from_slice(id.as_bytes());
}

/// Reads which resource is meant.
fn resource(input: &mut Input<'_>) -> Result<(DirectoryId, ResourceKind, ResourceId), BadBytes> {
    let directory = DirectoryId(input.u32()?);
    let kind = row::kind(input)?;
    Ok((directory, kind, id(input)?))
}

impl Made {
    /// Appends the change.
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::PutResource {
                directory,
                kind,
                id,
                stored,
            } => {
                bytes::put_u8(out, 1);
                put_resource(out, *directory, *kind, *id);
                bytes::put_bytes(out, &stored.content);
            }
            Self::DeleteResource {
                directory,
                kind,
                id,
                left: None,
            } => {
                bytes::put_u8(out, 2);
                put_resource(out, *directory, *kind, *id);
            }
            Self::DeleteResource {
                directory,
                kind,
                id,
                left: Some(left),
            } => {
                bytes::put_u8(out, 7);
                put_resource(out, *directory, *kind, *id);
                bytes::put_bytes(out, &left.encode());
            }
            Self::Members {
                directory,
                group,
                members,
            } => {
                put_about(out, 8, *directory, *group);
                put_members(out, members);
            }
            Self::Forget {
                directory,
                id,
                memberships,
            } => {
                put_about(out, 9, *directory, *id);
                put_memberships(out, memberships);
            }
            Self::PutToken(row) => {
                bytes::put_u8(out, 3);
                bytes::put_bytes(out, &row.encode());
            }
            Self::PutDirectory(row) => {
                bytes::put_u8(out, 4);
                bytes::put_bytes(out, &row.encode());
            }
            Self::DeleteDirectory(id) => {
                bytes::put_u8(out, 5);
                bytes::put_u32(out, id.0);
            }
            Self::PutSetting { name, value } => {
                bytes::put_u8(out, 6);
                bytes::put_text(out, name);
                bytes::put_bytes(out, value);
            }
        }
    }

    /// Reads what [`Made::encode`] wrote.
    fn decode(input: &mut Input<'_>) -> Result<Self, BadBytes> {
        Ok(match input.u8()? {
            1 => {
                let (directory, kind, id) = resource(input)?;
                Self::PutResource {
                    directory,
                    kind,
                    id,
                    stored: Stored::decode(input.bytes()?.into())?,
                }
            }
            2 => {
                let (directory, kind, id) = resource(input)?;
                Self::DeleteResource {
                    directory,
                    kind,
                    id,
                    left: None,
                }
            }
            3 => Self::PutToken(Arc::new(TokenRow::decode(input.bytes()?)?)),
            4 => Self::PutDirectory(Arc::new(DirectoryRow::decode(input.bytes()?)?)),
            5 => Self::DeleteDirectory(DirectoryId(input.u32()?)),
            6 => Self::PutSetting {
                name: input.text()?.into(),
                value: input.bytes()?.into(),
            },
            7 => {
                let (directory, kind, id) = resource(input)?;
                Self::DeleteResource {
                    directory,
                    kind,
                    id,
                    left: Some(DeletedRow::decode(input.bytes()?)?),
                }
            }
            8 => Self::Members {
                directory: DirectoryId(input.u32()?),
                group: id(input)?,
                members: many(input, |input| Ok((id(input)?, input.flag()?)))?,
            },
            9 => Self::Forget {
                directory: DirectoryId(input.u32()?),
                id: id(input)?,
                memberships: many(input, |input| Ok((id(input)?, id(input)?)))?,
            },
            _ => return Err(BadBytes),
        })
    }
}

/// Appends the tag of a change and what it is about.
fn put_about(out: &mut Vec<u8>, tag: u8, directory: DirectoryId, id: ResourceId) {
    bytes::put_u8(out, tag);
    bytes::put_u32(out, directory.0);
    out.extend_from_slice(id.as_bytes());
}

/// Appends who came and who went.
fn put_members(out: &mut Vec<u8>, members: &[(ResourceId, bool)]) {
    bytes::put_count(out, members.len());
    for (member, came) in members {
        out.extend_from_slice(member.as_bytes());
        bytes::put_u8(out, u8::from(*came));
    }
}

/// Appends pairs of group and member.
fn put_memberships(out: &mut Vec<u8>, memberships: &[(ResourceId, ResourceId)]) {
    bytes::put_count(out, memberships.len());
    for (group, member) in memberships {
        out.extend_from_slice(group.as_bytes());
        out.extend_from_slice(member.as_bytes());
    }
}

/// Reads an id.
fn id(input: &mut Input<'_>) -> Result<ResourceId, BadBytes> {
    Ok(ResourceId::from_bytes(input.array()?))
}

/// The body of a frame with these transactions.
pub fn encode<'a>(transactions: impl ExactSizeIterator<Item = &'a Logged>) -> Vec<u8> {
    let mut out = Vec::new();
    bytes::put_count(&mut out, transactions.len());
    for transaction in transactions {
        bytes::put_count(&mut out, transaction.changes.len());
        for change in &transaction.changes {
            change.encode(&mut out);
        }
        bytes::put_count(&mut out, transaction.history.len());
        for entry in &transaction.history {
            entry.encode(&mut out);
        }
        bytes::put_count(&mut out, transaction.audit.len());
        for entry in &transaction.audit {
            entry.encode(&mut out);
        }
    }
    out
}

/// Reads what [`encode`] wrote.
///
/// # Errors
///
/// [`BadBytes`] when the body is not a group of this format.
pub fn decode(body: &[u8]) -> Result<Vec<Logged>, BadBytes> {
    let mut input = Input::new(body);
    let count = input.count()?;
    let transactions = (0..count)
        .map(|_nth| {
            Ok(Logged {
                changes: many(&mut input, Made::decode)?,
                history: many(&mut input, HistoryEntry::decode)?,
                audit: many(&mut input, AuditEntry::decode)?,
            })
        })
        .collect::<Result<_, _>>()?;
    input.end()?;
    Ok(transactions)
}

/// Reads a count and that many things.
fn many<T>(
    input: &mut Input<'_>,
    one: impl Fn(&mut Input<'_>) -> Result<T, BadBytes>,
) -> Result<Vec<T>, BadBytes> {
    let count = input.count()?;
    (0..count).map(|_nth| one(input)).collect()
}
