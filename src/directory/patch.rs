//! PATCH: part of a resource changed in place (RFC 7644 §3.5.2).

use std::sync::Arc;

use serde_json::Value;

use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::error::DirectoryError;
use crate::directory::history;
use crate::directory::intent::Decision;
use crate::directory::intent::Intent;
use crate::directory::members::Wish;
use crate::scim::patch::Outcome;
use crate::scim::patch::Patch;
use crate::scim::resource::Note;
use crate::scim::resource::Resource;
use crate::scim::schema::ResourceKind;

impl Directory {
    /// The intent to apply the operations in `body` to the resource `id`: all of them or none.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Rejected`] when the body is no PATCH that fits the schema.
    pub fn patch(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        body: Value,
    ) -> Result<Intent, DirectoryError> {
        let mut notes = Vec::new();
        let patch = Patch::parse(body, &self.registry, kind, &mut notes)?;
        let (patch, wish) = match kind {
            ResourceKind::User => (patch, None),
            ResourceKind::Group => {
                let (patch, steps) = patch.split(&mut notes)?;
                let wish = Wish::new(steps, false, self.registry.profile());
                (patch, Some(wish).filter(|wish| !wish.steps.is_empty()))
            }
        };
        let registry = self.registry.clone();
        let judge = move |old: &Resource, notes: &mut Vec<Note>| {
            Ok(match patch.apply_noting(old, &registry, notes)? {
                Outcome::Unchanged => Decision::Keep,
                Outcome::Changed(new) => {
                    let payload = history::difference(old, &new);
                    Decision::Put(new, payload)
                }
            })
        };
        Ok(Intent::change(kind, id, Arc::new(judge), wish, notes))
    }
}
