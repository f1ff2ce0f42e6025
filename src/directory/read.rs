//! GET by id (RFC 7644 §3.4.1).

use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::Stored;
use crate::directory::error::DirectoryError;
use crate::scim::schema::ResourceKind;
use crate::store::view::Cached;

/// What memory alone knows of a resource.
pub enum FromMemory<T> {
    /// The whole answer.
    Known(T),
    /// The disk has to be asked.
    AskDisk,
}

impl Directory {
    /// The resource `id`, if memory alone can tell. Never blocks.
    pub fn read_from_memory(
        &self,
        kind: ResourceKind,
        id: ResourceId,
    ) -> FromMemory<Option<Stored>> {
        match self.store.resource_cached(self.row.id, kind, id) {
            Cached::Absent => FromMemory::Known(None),
            Cached::Hit(record) => FromMemory::Known(Some(Stored::new(id, &record))),
            Cached::Cold => FromMemory::AskDisk,
        }
    }

    /// The resource `id`, read from disk where need be.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Store`] when the record cannot be read.
    pub fn read(
        &self,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Stored>, DirectoryError> {
        let record = self.store.resource(self.row.id, kind, id)?;
        Ok(record.map(|record| Stored::new(id, &record)))
    }
}
