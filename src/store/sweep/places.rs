//! The cells that memory lists as the state does: resources, memberships, deleted resources.

use std::ops::Bound;

use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::scim::schema::ResourceKind;
use crate::store::cell::Key;
use crate::store::memory::Directory;
use crate::store::memory::Memory;

/// Tables in the order of the state's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    /// Users.
    Users,
    /// Groups.
    Groups,
    /// Memberships.
    Members,
    /// Deleted resources.
    Deleted,
}

impl Table {
    /// All of them.
    const ALL: [Self; 4] = [Self::Users, Self::Groups, Self::Members, Self::Deleted];
}

/// Where such a cell is among all of them: the order of the state's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The table.
    table: Table,
    /// The directory.
    directory: DirectoryId,
    /// The resource; of a membership, the group.
    id: ResourceId,
    /// Of a membership, the member.
    member: ResourceId,
}

impl Place {
    /// The place of a key.
    pub fn of(key: &Key) -> Option<Self> {
        let place = |table, directory: &DirectoryId, id: &ResourceId, member: &ResourceId| {
            let (directory, id, member) = (*directory, *id, *member);
            Some(Self {
                table,
                directory,
                id,
                member,
            })
        };
        let none = &ResourceId::NIL;
        match key {
            Key::Resource(directory, ResourceKind::User, id) => {
                place(Table::Users, directory, id, none)
            }
            Key::Resource(directory, ResourceKind::Group, id) => {
                place(Table::Groups, directory, id, none)
            }
            Key::Member(directory, group, member) => {
                place(Table::Members, directory, group, member)
            }
            Key::Deleted(directory, id) => place(Table::Deleted, directory, id, none),
            Key::Purge(_)
            | Key::Directory(_)
            | Key::History(_)
            | Key::Counter(_)
            | Key::Setting(_)
            | Key::Token(..) => None,
        }
    }

    /// The key at this place.
    pub const fn key(self) -> Key {
        let Self {
            directory,
            id,
            member,
            ..
        } = self;
        match self.table {
            Table::Users => Key::Resource(directory, ResourceKind::User, id),
            Table::Groups => Key::Resource(directory, ResourceKind::Group, id),
            Table::Members => Key::Member(directory, id, member),
            Table::Deleted => Key::Deleted(directory, id),
        }
    }
}

/// The places of memory behind `after`, up to `until`, in the order of the state's keys; asked for in
/// stretches of `step`.
pub fn between(
    memory: &Memory,
    after: Option<Place>,
    until: Option<Place>,
    step: usize,
) -> Vec<Place> {
    let mut found = Vec::new();
    for table in Table::ALL {
        for (directory, held) in &memory.directories {
            let shelf = (table, *directory);
            let here = |place: Place| (place.table, place.directory).cmp(&shelf);
            if after.is_some_and(|after| here(after).is_gt())
                || until.is_some_and(|until| here(until).is_lt())
            {
                continue;
            }
            let mut from = after.filter(|after| here(*after).is_eq());
            loop {
                let places = stretch(held, shelf, from, step);
                let (count, last) = (places.len(), places.last().copied());
                let places = places.into_iter();
                let before = found.len();
                found.extend(places.take_while(|place| until.is_none_or(|until| *place <= until)));
                from = last;
                if count < step || found.len().saturating_sub(before) < step {
                    break;
                }
            }
        }
    }
    found
}

/// Up to `count` places of one table in one directory behind `after`.
fn stretch(
    held: &Directory,
    (table, directory): (Table, DirectoryId),
    after: Option<Place>,
    count: usize,
) -> Vec<Place> {
    let place = |id, member| Place {
        table,
        directory,
        id,
        member,
    };
    let alone = |id| place(id, ResourceId::NIL);
    let after_id = after.map(|after| after.id);
    let ids = |kind| {
        let ids = held.shelf(kind).indexes.ids_after(after_id, count);
        ids.into_iter().map(alone).collect()
    };
    match table {
        Table::Users => ids(ResourceKind::User),
        Table::Groups => ids(ResourceKind::Group),
        Table::Members => {
            let after = after.map(|after| (after.id, after.member));
            let pairs = held.edges.after(held.ends(), after, count);
            let pairs = pairs.into_iter();
            pairs.map(|(group, member)| place(group, member)).collect()
        }
        Table::Deleted => {
            let from = after_id.map_or(Bound::Unbounded, Bound::Excluded);
            let ids = held.deleted.range((from, Bound::Unbounded)).take(count);
            ids.map(|(id, _held)| alone(*id)).collect()
        }
    }
}
