//! Finding resources: by key, by time, by membership, in order of creation.

use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::scim::schema::ResourceKind;
use crate::store::change::Index;
use crate::store::change::Select;
use crate::store::view::View;

impl View {
    /// The resources with this key, folded as the index wants it, oldest first.
    pub fn lookup(
        &self,
        directory: DirectoryId,
        kind: ResourceKind,
        index: Index,
        key: &str,
    ) -> Vec<ResourceId> {
        self.shelf(directory, kind, |shelf| shelf.indexes.lookup(index, key))
            .unwrap_or_default()
    }

    /// The resources selected, oldest first.
    pub fn select(
        &self,
        directory: DirectoryId,
        kind: ResourceKind,
        select: &Select,
    ) -> Vec<ResourceId> {
        let memory = self.memory();
        let Some(found) = memory.directories.get(&directory) else {
            return Vec::new();
        };
        let indexes = &found.shelf(kind).indexes;
        let mut found = match (select, kind) {
            (Select::HasMember(member), ResourceKind::Group) => {
                let groups = found.edges.groups(found.ends(), *member);
                let born = |id| Some((indexes.get(id)?.born, id));
                groups.into_iter().filter_map(born).collect()
            }
            (Select::InGroup(group), ResourceKind::User) => {
                found.edges.users_within(found.ends(), *group)
            }
            (Select::HasMember(_) | Select::InGroup(_), _) => return Vec::new(),
            (Select::Key(..) | Select::Prefix(..) | Select::Times(..), _) => {
                return indexes.select(select);
            }
        };
        // Nobody has to wait for this.
        drop(memory);
        found.sort_unstable();
        found.into_iter().map(|(_born, id)| id).collect()
    }

    /// How many resources [`View::select`] would find, or somewhat more; at little cost.
    pub fn estimate(&self, directory: DirectoryId, kind: ResourceKind, select: &Select) -> usize {
        match select {
            Select::HasMember(member) => self.direct_groups(directory, *member).len(),
            // Whoever is in a group through others is only known once all of them are gone through.
            Select::InGroup(_) => self.count(directory, kind),
            Select::Key(..) | Select::Prefix(..) | Select::Times(..) => self
                .shelf(directory, kind, |shelf| shelf.indexes.estimate(select))
                .unwrap_or_default(),
        }
    }

    /// How many resources there are, and `count` of them in order of creation after the first
    /// `offset`.
    pub fn page(
        &self,
        directory: DirectoryId,
        kind: ResourceKind,
        offset: usize,
        count: usize,
    ) -> (usize, Vec<ResourceId>) {
        self.shelf(directory, kind, |shelf| {
            (shelf.indexes.count(), shelf.indexes.page(offset, count))
        })
        .unwrap_or_default()
    }

    /// How many resources there are.
    pub fn count(&self, directory: DirectoryId, kind: ResourceKind) -> usize {
        self.shelf(directory, kind, |shelf| shelf.indexes.count())
            .unwrap_or_default()
    }
}
