//! PUT: a resource replaced as a whole (RFC 7644 §3.5.1). Never creates one.

use std::sync::Arc;

use serde_json::Value;

use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::error::DirectoryError;
use crate::directory::history;
use crate::directory::intent::Decision;
use crate::directory::intent::Intent;
use crate::directory::members::Wish;
use crate::scim::dialect;
use crate::scim::members::MemberStep;
use crate::scim::resource::Note;
use crate::scim::resource::Resource;
use crate::scim::resource::parse;
use crate::scim::schema::ResourceKind;

impl Directory {
    /// The intent to replace the resource `id` by `body`: what the body does not name is cleared.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Rejected`] when the body does not fit the schema.
    pub fn replacement(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        mut body: Value,
    ) -> Result<Intent, DirectoryError> {
        let mut notes = Vec::new();
        dialect::body(&mut body, &self.registry, kind, &mut notes);
        let mut new = parse::parse(body, &self.registry, kind, &mut notes)?;
        let wish = match kind {
            ResourceKind::User => None,
            ResourceKind::Group => {
                let step = match new.take_members() {
                    Some(members) => MemberStep::Set(members),
                    // What a PUT does not name is cleared.
                    None => MemberStep::Clear,
                };
                Some(Wish::new(vec![step], true, self.registry.profile()))
            }
        };
        let judge = move |old: &Resource, _notes: &mut Vec<Note>| {
            // Order of members has no meaning (RFC 7643 §3): maps compare without it.
            if old.tree() == new.tree() {
                return Ok(Decision::Keep);
            }
            Ok(Decision::Put(new.clone(), history::difference(old, &new)))
        };
        Ok(Intent::change(kind, id, Arc::new(judge), wish, notes))
    }
}
