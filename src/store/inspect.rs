//! Looking at everything there is: what a verification of records, indexes and references asks.

use std::sync::Arc;
use std::time::Duration;

use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::scim::schema::ResourceKind;
use crate::store::change::Index;
use crate::store::error::StoreError;
pub use crate::store::index::Standing;
use crate::store::record::Record;
use crate::store::sweep;
use crate::store::view::View;

impl View {
    /// `count` resources in the order of their ids, after `after` or from the first.
    pub fn ids_after(
        &self,
        directory: DirectoryId,
        kind: ResourceKind,
        after: Option<ResourceId>,
        count: usize,
    ) -> Vec<ResourceId> {
        let memory = self.memory();
        let found = memory.directories.get(&directory);
        found
            .map(|found| found.shelf(kind).indexes.ids_after(after, count))
            .unwrap_or_default()
    }

    /// Whether there is such a resource.
    pub fn exists(&self, directory: DirectoryId, kind: ResourceKind, id: ResourceId) -> bool {
        let memory = self.memory();
        let found = memory.directories.get(&directory);
        found.is_some_and(|found| found.shelf(kind).indexes.get(id).is_some())
    }

    /// As [`View::resource`], for who reads everything there is: what is kept in memory stays what
    /// others have asked for.
    ///
    /// # Errors
    ///
    /// As [`View::resource`].
    pub fn resource_in_passing(
        &self,
        directory: DirectoryId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.read((directory, kind, id), false)
    }

    /// How a resource stands in the indexes, when it should be found by `keys` and by nothing
    /// else, and by those of `unique` alone. Nothing when it does not exist.
    pub fn standing(
        &self,
        (directory, kind, id): (DirectoryId, ResourceKind, ResourceId),
        keys: &[(Index, Box<str>)],
        unique: &[Index],
    ) -> Option<Standing> {
        let memory = self.memory();
        let found = memory.directories.get(&directory)?;
        found.shelf(kind).indexes.standing(id, keys, unique)
    }

    /// What is damaged or lost, and neither in the base nor in the commit log: for people.
    pub fn lost(&self) -> Vec<String> {
        let lost = self.desk().lost();
        if lost.is_empty() {
            return Vec::new();
        }
        let memory = self.memory();
        // What was written again since, or deleted, is not missed any more.
        let missed = lost
            .into_iter()
            .filter(|(key, mark)| sweep::expected(&memory, key) == Some(*mark));
        missed.map(|(key, _mark)| key.to_string()).collect()
    }

    /// Waits until everything that is known to be damaged is put right or lost, at most `patience`.
    /// Returns whether that is so.
    pub fn wait_for_repairs(&self, patience: Duration) -> bool {
        self.desk().wait_for_repairs(patience)
    }

    /// Whether who takes long has to end now: the process is about to stop.
    pub fn is_hurried(&self) -> bool {
        self.desk().is_hurried()
    }

    /// Loses the stored copy of a resource, as a disk may.
    #[cfg(test)]
    pub fn spoil(&self, directory: DirectoryId, kind: ResourceKind, id: ResourceId) {
        let key = crate::store::cell::Key::Resource(directory, kind, id);
        while self.status().applied_seq.get() < self.status().seq.get() {
            std::thread::yield_now();
        }
        self.state().mend(&key, None).unwrap();
    }
}
