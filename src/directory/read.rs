//! GET by id (RFC 7644 §3.4.1).

use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::Memberships;
use crate::directory::Stored;
use crate::directory::error::DirectoryError;
use crate::scim::schema::ResourceKind;
use crate::store::view::Cached;

/// A group with more members than this is put together on the blocking pool.
pub const PROMPT_MEMBERS_MAX: usize = 1000;
/// How often a group that others change is read in pieces before it is read in one.
const READS_MAX: usize = 3;

/// What memory alone knows of a resource.
pub enum FromMemory<T> {
    /// The whole answer.
    Known(T),
    /// The disk has to be asked.
    AskDisk,
}

impl Directory {
    /// The resource `id`, if memory alone can tell at little cost; with its memberships if `whole`.
    /// Never blocks.
    pub fn read_from_memory(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        whole: bool,
    ) -> FromMemory<Option<Stored>> {
        let record = match self.store.resource_cached(self.row.id, kind, id) {
            Cached::Absent => return FromMemory::Known(None),
            Cached::Hit(record) => record,
            Cached::Cold => return FromMemory::AskDisk,
        };
        let mut stored = Stored::new(id, &record);
        if whole {
            if self.member_count(kind, id) > PROMPT_MEMBERS_MAX {
                return FromMemory::AskDisk;
            }
            match self.memberships(kind, &stored) {
                Some(memberships) => stored.memberships = memberships,
                None => return FromMemory::AskDisk,
            }
        }
        FromMemory::Known(Some(stored))
    }

    /// The resource `id`, read from disk where need be; with its memberships, as they are at its
    /// revision, if `whole`.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Store`] when the record cannot be read.
    pub fn read(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        whole: bool,
    ) -> Result<Option<Stored>, DirectoryError> {
        let mut reads = 0;
        loop {
            let Some(record) = self.store.resource(self.row.id, kind, id)? else {
                return Ok(None);
            };
            let mut stored = Stored::new(id, &record);
            if !whole {
                return Ok(Some(stored));
            }
            if let Some(memberships) = self.memberships(kind, &stored) {
                stored.memberships = memberships;
                return Ok(Some(stored));
            }
            reads += 1;
            if reads >= READS_MAX
                && let Some((record, members)) = self.store.group_at_once(self.row.id, id)
            {
                let mut stored = Stored::new(id, &record);
                stored.memberships = Memberships::Members(members);
                return Ok(Some(stored));
            }
        }
    }

    /// How many members a resource has.
    pub(in crate::directory) fn member_count(&self, kind: ResourceKind, id: ResourceId) -> usize {
        match kind {
            ResourceKind::User => 0,
            ResourceKind::Group => self.store.member_count(self.row.id, id),
        }
    }

    /// The memberships of a resource; nothing when it is a group that changed since it was read.
    pub(in crate::directory) fn memberships(
        &self,
        kind: ResourceKind,
        stored: &Stored,
    ) -> Option<Memberships> {
        let (directory, id) = (self.row.id, stored.id);
        Some(match kind {
            ResourceKind::User => Memberships::Groups(self.store.groups_of(directory, id)),
            ResourceKind::Group => {
                Memberships::Members(self.store.members(directory, id, stored.revision)?)
            }
        })
    }

    /// What was just written, with its memberships: as it was written, or as somebody made it since.
    ///
    /// # Errors
    ///
    /// As [`Directory::read`].
    pub fn written_whole(
        &self,
        kind: ResourceKind,
        mut written: Stored,
    ) -> Result<Stored, DirectoryError> {
        if let Some(memberships) = self.memberships(kind, &written) {
            written.memberships = memberships;
            return Ok(written);
        }
        // Deleted since: then it is shown as it was written, without members.
        Ok(self.read(kind, written.id, true)?.unwrap_or(written))
    }
}
