//! POST: a new resource (RFC 7644 §3.3).

use serde_json::Value;
use serde_json::json;

use crate::audit::history::Action;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::directory::Act;
use crate::directory::Directory;
use crate::directory::Stored;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::directory::history::RECREATES;
use crate::directory::intent::Intent;
use crate::directory::keys;
use crate::directory::members::Wish;
use crate::scim::dialect;
use crate::scim::members::MemberStep;
use crate::scim::resource::parse;
use crate::scim::schema::ResourceKind;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::Index;
use crate::store::change::Transaction;
use crate::store::row::DeletedRow;

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
        let mut resource = parse::parse(body, &self.registry, kind, &mut notes)?;
        let members = match kind {
            ResourceKind::User => None,
            ResourceKind::Group => resource.take_members(),
        };
        let id = self.ids.resource_id();
        let now = self.clock.now();
        let record = self.record(id, &resource, Revision::FIRST, now, now);
        let stored = Stored::written(id, &record);
        // The new state stands in the change itself; the history entry need not repeat it.
        let payload = match self.predecessor(kind, &record.keys) {
            Some((old, row)) => {
                let told = json!({"id": old.to_string(), "deleted": row.at.to_string()});
                json!({ RECREATES: told }).to_string().into_bytes()
            }
            None => b"{}".to_vec(),
        };
        let change = Change::PutResource {
            directory: self.row.id,
            kind,
            id,
            expect: Expect::Absent,
            record,
        };
        let mut changes = vec![change];
        if let Some(members) = members {
            let steps = vec![MemberStep::Add(members)];
            let wish = Wish::new(steps, true, self.registry.profile());
            let revision = Revision::FIRST;
            changes.push(self.members_change(id, &wish, revision, None, act, &mut notes)?);
        }
        let draft = self.draft(kind, id, Action::Created, Revision::FIRST, act, payload);
        let transaction = Transaction {
            changes,
            history: vec![draft],
            audit: Vec::new(),
        };
        let written = Written {
            stored,
            changed: true,
            notes,
        };
        Ok(Intent::put(kind, transaction, written))
    }

    /// The deleted resource that comes again in one with these keys, by its name or else by what its
    /// source calls it: a new id, and the history tells of the old one.
    fn predecessor(
        &self,
        kind: ResourceKind,
        keys: &[(Index, Box<str>)],
    ) -> Option<(ResourceId, DeletedRow)> {
        let mut names = keys::names(kind, keys);
        names.find_map(|(index, name)| self.store.deleted_by(self.row.id, kind, *index, name))
    }
}
