//! DELETE: the resource is gone and its name free (RFC 7644 §3.6).

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::audit::history::Action;
use crate::base::ident::ResourceId;
use crate::directory::Act;
use crate::directory::Directory;
use crate::directory::error::DirectoryError;
use crate::directory::history;
use crate::directory::intent::Decision;
use crate::directory::intent::Intent;
use crate::directory::keys;
use crate::directory::keys::ENTERPRISE;
use crate::scim::resource::Note;
use crate::scim::resource::Resource;
use crate::scim::resource::parse::settle;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::HistoryDraft;
use crate::store::change::Index;
use crate::store::error::StoreError;

impl Directory {
    /// The intent to delete the resource `id`. Its last state goes into the history, from where an
    /// operator can one day bring it back.
    pub fn deletion(&self, kind: ResourceKind, id: ResourceId) -> Intent {
        let judge = |old: &Resource, _notes: &mut Vec<Note>| {
            let payload = json!({ "deleted": Value::Object(old.tree().clone()) });
            Ok(Decision::Delete(payload.to_string().into_bytes()))
        };
        Intent::deletion(kind, id, Arc::new(judge))
    }

    /// The changes that delete a resource at `expect`, with the history of those it concerns: groups
    /// lose a member, users their manager.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] when one of them cannot be read or be without.
    pub(in crate::directory) fn delete_changes(
        &self,
        resource: &Resource,
        id: ResourceId,
        expect: Expect,
        act: &Act,
    ) -> Result<(Vec<Change>, Vec<HistoryDraft>), DirectoryError> {
        let kind = resource.kind();
        let others = self.leaves(id, act)?.into_iter();
        let others = others.chain(self.without_manager(kind, id, act)?);
        let (mut changes, history): (Vec<_>, Vec<_>) = others.unzip();
        changes.push(Change::DeleteResource {
            directory: self.row.id,
            kind,
            id,
            expect,
            names: keys::names(kind, &keys::keys(resource)).cloned().collect(),
        });
        Ok((changes, history))
    }

    /// The users whose manager is the user `id`, where their `manager` goes with it: in profile
    /// `entra` it stays as it was sent.
    pub(in crate::directory) fn managed(&self, id: ResourceId) -> Vec<ResourceId> {
        match self.registry.profile() {
            Profile::Entra => Vec::new(),
            Profile::Strict => {
                let (kind, text) = (ResourceKind::User, id.to_string());
                let managed = self.store.lookup(self.row.id, kind, Index::Manager, &text);
                managed.into_iter().filter(|other| *other != id).collect()
            }
        }
    }

    /// The changes, with their history, that take the manager from those whose manager goes.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] when one of them cannot be read or be without.
    pub(in crate::directory) fn without_manager(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        act: &Act,
    ) -> Result<Vec<(Change, HistoryDraft)>, DirectoryError> {
        let managed = match kind {
            ResourceKind::User => self.managed(id),
            ResourceKind::Group => Vec::new(),
        };
        let mut changes = Vec::with_capacity(managed.len());
        for other in managed {
            let Some(record) = self.store.resource(self.row.id, kind, other)? else {
                continue;
            };
            let old = Resource::from_stored(kind, &record.body)
                .ok_or(DirectoryError::Store(StoreError::Damaged(other)))?;
            let mut tree = old.tree().clone();
            if let Some(Value::Object(extension)) = tree.get_mut(ENTERPRISE) {
                extension.shift_remove("manager");
            }
            let new = settle(kind, tree, &self.registry)?;
            let payload = history::difference(&old, &new);
            let revision = record.revision.next();
            let (created, now) = (record.created, self.clock.now());
            let change = Change::PutResource {
                directory: self.row.id,
                kind,
                id: other,
                expect: Expect::Revision(record.revision),
                record: self.record(other, &new, revision, created, now),
            };
            let draft = self.draft(kind, other, Action::Updated, revision, act, payload);
            changes.push((change, draft));
        }
        Ok(changes)
    }
}
