//! DELETE: the resource is gone and its name free (RFC 7644 §3.6).

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::base::ident::ResourceId;
use crate::directory::Act;
use crate::directory::Directory;
use crate::directory::error::DirectoryError;
use crate::directory::write::Decision;
use crate::scim::schema::ResourceKind;

impl Directory {
    /// Deletes the resource `id`. Its last state goes into the history, from where an operator can
    /// one day bring it back.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NotFound`], [`DirectoryError::VersionMismatch`], and the store's own.
    pub fn delete(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        act: &Act,
    ) -> Result<(), DirectoryError> {
        self.change(
            kind,
            id,
            act,
            Arc::new(|old, _notes| {
                let payload = json!({ "deleted": Value::Object(old.tree().clone()) });
                Ok(Decision::Delete(payload.to_string().into_bytes()))
            }),
        )?;
        Ok(())
    }
}
