//! Taking in what the state on disk, or a snapshot, has.

use std::sync::Arc;

use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::scim::schema::ResourceKind;
use crate::store::cell::Counter;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::memory::BadCell;
use crate::store::memory::DeletedHeld;
use crate::store::memory::Held;
use crate::store::memory::Memory;
use crate::store::memory::token_key;
use crate::store::record::Stored;
use crate::store::row::DeletedRow;
use crate::store::row::DirectoryRow;
use crate::store::row::TokenRow;

impl Memory {
    /// Takes in a cell that the state on disk has. Cells come in the order of their keys, so a
    /// directory comes before what is in it; what belongs to no directory waits for its purge.
    /// Resources can be found once [`Memory::loaded`] was called.
    ///
    /// # Errors
    ///
    /// [`BadCell`].
    pub fn load(&mut self, key: &Key, mark: Mark, content: Arc<[u8]>) -> Result<(), BadCell> {
        match key {
            Key::Purge(id) => {
                self.purges.insert(*id, mark);
            }
            Key::Directory(id) if self.purges.contains_key(id) => {}
            Key::Directory(id) => {
                let row = DirectoryRow::decode(&content).map_err(|_bytes| BadCell)?;
                if row.id != *id {
                    return Err(BadCell);
                }
                self.insert_directory(Held {
                    row: Arc::new(row),
                    mark,
                });
            }
            Key::History(id) => {
                if let Some(directory) = self.directories.get_mut(id) {
                    directory.history = (number(&content)?, Some(mark));
                }
            }
            Key::Counter(Counter::Audit) => self.audit_last = (number(&content)?, Some(mark)),
            Key::Counter(Counter::Directory) => {
                let last: [u8; 4] = (*content).try_into().map_err(|_length| BadCell)?;
                self.directory_last = (u32::from_le_bytes(last), Some(mark));
            }
            Key::Setting(name) => {
                let row = content;
                self.settings.insert(name.clone(), Held { row, mark });
            }
            Key::Token(directory, id) => {
                let row = Arc::new(TokenRow::decode(&content).map_err(|_bytes| BadCell)?);
                if token_key(&row) != *key {
                    return Err(BadCell);
                }
                if directory.0 == 0 || self.directories.contains_key(directory) {
                    self.tokens.insert(*id, Held { row, mark });
                }
            }
            Key::Resource(directory, kind, id) => {
                let stored = Stored::decode(content).map_err(|_bytes| BadCell)?;
                self.born_last = self.born_last.max(stored.header.born);
                if self.directories.contains_key(directory) {
                    let loader = self.loading.entry((*directory, *kind)).or_default();
                    loader.put(*id, mark, &stored.header);
                }
                if let Some(directory) = self.directories.get_mut(directory)
                    && let Some(label) = stored.header.label
                {
                    directory.labels.insert(*id, label);
                }
            }
            Key::Member(directory, group, member) => {
                if !content.is_empty() {
                    return Err(BadCell);
                }
                if self.directories.contains_key(directory) {
                    let waiting = self.loading_members.entry(*directory).or_default();
                    wait(waiting, *group, *member);
                }
            }
            Key::Deleted(directory, id) => {
                let row = DeletedRow::decode(&content).map_err(|_bytes| BadCell)?;
                if let Some(directory) = self.directories.get_mut(directory) {
                    let ticket = None;
                    let held = DeletedHeld { row, mark, ticket };
                    directory.insert_deleted(*id, held);
                }
            }
        }
        Ok(())
    }

    /// Takes in a stretch of slots that a snapshot has.
    ///
    /// # Errors
    ///
    /// [`BadCell`].
    pub fn load_stretch(
        &mut self,
        shelf: (DirectoryId, ResourceKind),
        input: &mut Input<'_>,
    ) -> Result<(), BadCell> {
        let loader = self.loading.entry(shelf).or_default();
        loader.stretch(input).map_err(|_bytes| BadCell)
    }

    /// Builds the indexes of what [`Memory::load`] took in: sorting once costs a fraction of what
    /// it costs to put one resource after the other.
    pub fn loaded(&mut self) {
        for ((directory, kind), loader) in self.loading.drain() {
            if let Some(directory) = self.directories.get_mut(&directory) {
                directory.shelf_mut(kind).indexes = loader.finish();
            }
        }
        for (directory, groups) in self.loading_members.drain() {
            if let Some(directory) = self.directories.get_mut(&directory) {
                directory.load_members(groups);
            }
        }
    }

    /// Takes in memberships that a snapshot has: a group and its members. They count once both ends
    /// have been taken in.
    ///
    /// # Errors
    ///
    /// [`BadBytes`].
    pub fn load_members(
        &mut self,
        directory: DirectoryId,
        input: &mut Input<'_>,
    ) -> Result<(), BadBytes> {
        let id = |input: &mut Input<'_>| Ok(ResourceId::from_bytes(input.array()?));
        let waiting = self.loading_members.entry(directory).or_default();
        for _group in 0..input.count()? {
            let group = id(input)?;
            for _member in 0..input.count()? {
                wait(waiting, group, id(input)?);
            }
        }
        Ok(())
    }

    /// Takes in what groups are called, as a snapshot has it.
    ///
    /// # Errors
    ///
    /// [`BadBytes`].
    pub fn load_labels(
        &mut self,
        directory: DirectoryId,
        input: &mut Input<'_>,
    ) -> Result<(), BadBytes> {
        for _label in 0..input.count()? {
            let id = ResourceId::from_bytes(input.array()?);
            let label = Arc::from(input.text()?);
            if let Some(directory) = self.directories.get_mut(&directory) {
                directory.labels.insert(id, label);
            }
        }
        Ok(())
    }
}

/// Adds a membership to those that wait: those of one group come one after the other.
fn wait(waiting: &mut Vec<(ResourceId, Vec<ResourceId>)>, group: ResourceId, member: ResourceId) {
    match waiting.last_mut() {
        Some((last, members)) if *last == group => members.push(member),
        Some(_) | None => waiting.push((group, vec![member])),
    }
}

/// A counter's value.
fn number(content: &[u8]) -> Result<u64, BadCell> {
    let bytes: [u8; 8] = content.try_into().map_err(|_length| BadCell)?;
    Ok(u64::from_le_bytes(bytes))
}
