//! DELETE: the resource is gone and its name free (RFC 7644 §3.6).

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::write::Decision;
use crate::directory::write::Intent;
use crate::scim::resource::Note;
use crate::scim::resource::Resource;
use crate::scim::schema::ResourceKind;

impl Directory {
    /// The intent to delete the resource `id`. Its last state goes into the history, from where an
    /// operator can one day bring it back.
    pub fn deletion(&self, kind: ResourceKind, id: ResourceId) -> Intent {
        let judge = |old: &Resource, _notes: &mut Vec<Note>| {
            let payload = json!({ "deleted": Value::Object(old.tree().clone()) });
            Ok(Decision::Delete(payload.to_string().into_bytes()))
        };
        Intent::change(kind, id, Arc::new(judge), Vec::new())
    }
}
