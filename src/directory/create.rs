//! POST: a new resource (RFC 7644 §3.3).

use serde_json::Value;

use crate::audit::history::Action;
use crate::base::ident::Revision;
use crate::directory::Act;
use crate::directory::Directory;
use crate::directory::Stored;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::directory::write::Intent;
use crate::scim::dialect;
use crate::scim::resource::parse;
use crate::scim::schema::ResourceKind;
use crate::store::change::Change;
use crate::store::change::Expect;

impl Directory {
    /// The intent to create a resource from `body`.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Rejected`] when the body does not fit the schema.
    pub fn creation(
        &self,
        kind: ResourceKind,
        mut body: Value,
        act: &Act,
    ) -> Result<Intent, DirectoryError> {
        let mut notes = Vec::new();
        dialect::body(&mut body, &self.registry, kind, &mut notes);
        let resource = parse::parse(body, &self.registry, kind, &mut notes)?;
        let id = self.ids.resource_id();
        let now = self.clock.now();
        let record = self.record(kind, id, &resource, Revision::FIRST, now, now);
        let stored = Stored::written(id, &record);
        let change = Change::PutResource {
            directory: self.row.id,
            kind,
            id,
            expect: Expect::Absent,
            record,
        };
        // The new state stands in the change itself; the history entry need not repeat it.
        let payload = b"{}".to_vec();
        let transaction = self.transaction(
            change,
            kind,
            id,
            Action::Created,
            Revision::FIRST,
            act,
            payload,
        );
        let written = Written {
            stored,
            changed: true,
            notes,
        };
        Ok(Intent::put(kind, transaction, written))
    }
}
