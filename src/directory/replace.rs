//! PUT: a resource replaced as a whole (RFC 7644 §3.5.1). Never creates one.

use std::sync::Arc;

use serde_json::Value;

use crate::base::ident::ResourceId;
use crate::directory::Act;
use crate::directory::Directory;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::directory::history;
use crate::directory::write::Decision;
use crate::scim::dialect;
use crate::scim::resource::parse;
use crate::scim::schema::ResourceKind;

impl Directory {
    /// Replaces the resource `id` by `body`: what the body does not name is cleared.
    ///
    /// # Errors
    ///
    /// As [`Directory::create`], and [`DirectoryError::NotFound`].
    pub fn replace(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        mut body: Value,
        act: &Act,
    ) -> Result<Written, DirectoryError> {
        let mut notes = Vec::new();
        dialect::body(&mut body, &self.registry, kind, &mut notes);
        let new = parse::parse(body, &self.registry, kind, &mut notes)?;
        let mut written = self.change(
            kind,
            id,
            act,
            Arc::new(move |old, _notes| {
                // Order of members has no meaning (RFC 7643 §3): maps compare without it.
                if old.tree() == new.tree() {
                    return Ok(Decision::Keep);
                }
                Ok(Decision::Put(new.clone(), history::difference(old, &new)))
            }),
        )?;
        written.notes.append(&mut notes);
        Ok(written)
    }
}
