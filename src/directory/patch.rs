//! PATCH: part of a resource changed in place (RFC 7644 §3.5.2).

use std::sync::Arc;

use serde_json::Value;

use crate::base::ident::ResourceId;
use crate::directory::Act;
use crate::directory::Directory;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::directory::history;
use crate::directory::write::Decision;
use crate::scim::patch::Outcome;
use crate::scim::patch::Patch;
use crate::scim::schema::ResourceKind;

impl Directory {
    /// Applies the operations in `body` to the resource `id`: all of them or none.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Rejected`] when an operation cannot be applied, and as [`Directory::create`].
    pub fn patch(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        body: Value,
        act: &Act,
    ) -> Result<Written, DirectoryError> {
        let mut notes = Vec::new();
        let patch = Patch::parse(body, &self.registry, kind, &mut notes)?;
        let registry = self.registry.clone();
        let mut written = self.change(
            kind,
            id,
            act,
            Arc::new(move |old, notes| {
                Ok(match patch.apply_noting(old, &registry, notes)? {
                    Outcome::Unchanged => Decision::Keep,
                    Outcome::Changed(new) => {
                        let payload = history::difference(old, &new);
                        Decision::Put(new, payload)
                    }
                })
            }),
        )?;
        written.notes.append(&mut notes);
        Ok(written)
    }
}
