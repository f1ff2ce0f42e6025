//! Whether a stored resource is what everything else says of it: its schema, the indexes, the
//! rules of uniqueness, and what it refers to.

use serde_json::Value;

use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::directory::Directory;
use crate::directory::error::DirectoryError;
use crate::directory::keys;
use crate::directory::keys::ENTERPRISE;
use crate::scim::json::shortened;
use crate::scim::resource::Resource;
use crate::scim::resource::parse;
use crate::scim::schema::ResourceKind;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::Index;
use crate::store::error::StoreError;

/// How often a resource is read again that somebody changes meanwhile. What has just been written
/// need not be looked at.
const READS_MAX: usize = 8;

/// Something that is wrong with a stored resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be read.
    Unreadable(String),
    /// What is stored is not a resource.
    NotAResource,
    /// What is stored names another id.
    OtherId,
    /// What is stored does not fit its schema.
    Misfit(String),
    /// The indexes do not have the keys that it should be found by.
    WrongKeys {
        /// By these it should be found with a key that it is not found with.
        missing: Vec<Index>,
        /// By these it is found with a key that it should not be found with.
        surplus: Vec<Index>,
    },
    /// A list of the indexes does not lead to it.
    Unlisted,
    /// Its membership in a group is known at one end only.
    Lopsided {
        /// The group.
        group: ResourceId,
        /// The member.
        member: ResourceId,
    },
    /// It is not alone with a key that only one may have.
    Shared {
        /// Which.
        index: Index,
        /// The others, all younger.
        with: Vec<ResourceId>,
    },
}

/// A reference that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dangling {
    /// The attribute.
    pub attribute: &'static str,
    /// What it holds.
    pub value: String,
}

/// What came of looking at a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// References that lead nowhere: no fault, since what they name may come later.
    pub dangling: Vec<Dangling>,
}

impl Directory {
    /// `count` resources in the order of their ids, after `after` or from the first.
    pub fn ids_after(
        &self,
        kind: ResourceKind,
        after: Option<ResourceId>,
        count: usize,
    ) -> Vec<ResourceId> {
        self.store.ids_after(self.row.id, kind, after, count)
    }

    /// Compares what is stored of a resource with everything else that is known of it. Nothing
    /// when it is gone. Reads the disk.
    pub fn examine(&self, kind: ResourceKind, id: ResourceId) -> Option<Examined> {
        let mut examined = Examined::default();
        for _read in 0..READS_MAX {
            let record = match self.store.resource_in_passing(self.row.id, kind, id) {
                Ok(record) => record?,
                Err(error) => {
                    examined.faults.push(Fault::Unreadable(error.to_string()));
                    return Some(examined);
                }
            };
            let Some((resource, stored_id)) = Resource::from_stored_with_id(kind, &record.body)
            else {
                examined.faults.push(Fault::NotAResource);
                return Some(examined);
            };
            let Some((revision, faults)) = self.index_faults(kind, id, &resource) else {
                // Deleted meanwhile.
                return None;
            };
            if revision != record.revision {
                continue;
            }
            examined.faults = faults;
            let lopsided = self.store.lopsided(self.row.id, id).into_iter();
            let lopsided = lopsided.map(|(group, member)| Fault::Lopsided { group, member });
            examined.faults.extend(lopsided);
            if stored_id.as_str() != Some(id.to_string().as_str()) {
                examined.faults.push(Fault::OtherId);
            }
            examined.dangling = self.dangling(&resource);
            let tree = Value::Object(resource.into_tree());
            if let Err(error) = parse::parse(tree, &self.registry, kind, &mut Vec::new()) {
                examined.faults.push(Fault::Misfit(error.to_string()));
            }
            break;
        }
        Some(examined)
    }

    /// What is wrong with how the indexes know a resource, and its revision there.
    fn index_faults(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        resource: &Resource,
    ) -> Option<(Revision, Vec<Fault>)> {
        let unique = keys::unique(kind, &self.registry);
        let keys = keys::keys(resource);
        let standing = self
            .store
            .standing((self.row.id, kind, id), &keys, &unique)?;
        let mut faults = Vec::new();
        if !standing.has_right_keys() {
            faults.push(Fault::WrongKeys {
                missing: standing.missing,
                surplus: standing.surplus,
            });
        }
        if !standing.listed {
            faults.push(Fault::Unlisted);
        }
        let shared = standing.shared.into_iter();
        faults.extend(shared.map(|(index, with)| Fault::Shared { index, with }));
        Some((standing.revision, faults))
    }

    /// References of a resource that lead nowhere.
    fn dangling(&self, resource: &Resource) -> Vec<Dangling> {
        let tree = resource.tree();
        let manager = tree
            .get(ENTERPRISE)
            .and_then(|extension| extension.get("manager"));
        let dangling = manager.and_then(|value| {
            let text = value.get("value")?.as_str()?;
            let kind = ResourceKind::User;
            let id = ResourceId::parse(text);
            let there = id.is_some_and(|id| self.store.exists(self.row.id, kind, id));
            (!there).then(|| Dangling {
                attribute: "manager.value",
                value: shortened(text).to_owned(),
            })
        });
        dangling.into_iter().collect()
    }

    /// Whether each membership is known at both ends, as far as their number tells.
    pub fn memberships_are_balanced(&self) -> bool {
        self.store.is_balanced(self.row.id)
    }

    /// The change that stores a resource as it is, with the keys that it should be found by. Nothing
    /// when it has them, or is gone.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Store`] when it cannot be read.
    pub fn with_right_keys(
        &self,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Change>, DirectoryError> {
        let Some(record) = self.store.resource_in_passing(self.row.id, kind, id)? else {
            return Ok(None);
        };
        let resource = Resource::from_stored(kind, &record.body);
        let resource = resource.ok_or(DirectoryError::Store(StoreError::Damaged(id)))?;
        let keys = keys::keys(&resource);
        let standing = self.store.standing((self.row.id, kind, id), &keys, &[]);
        if standing.is_none_or(|standing| standing.has_right_keys()) {
            return Ok(None);
        }
        let revision = record.revision;
        Ok(Some(Change::PutResource {
            directory: self.row.id,
            kind,
            id,
            expect: Expect::Revision(revision),
            record: self.record_again(&resource, &record, revision.next()),
        }))
    }
}
