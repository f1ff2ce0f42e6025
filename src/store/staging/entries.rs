//! Numbering what a transaction leaves in history and audit.

use crate::audit::entry::AuditDraft;
use crate::audit::entry::AuditEntry;
use crate::audit::history::HistoryEntry;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::scim::json::write_plain;
use crate::store::change::HistoryDraft;
use crate::store::error::Reject;
use crate::store::staging::Attempt;
use crate::store::staging::ResourceKey;

/// A history entry that has its number.
#[derive(Debug)]
pub struct Numbered {
    /// What it says.
    draft: HistoryDraft,
    /// Its number.
    number: u64,
    /// Number of the resource's entry before it.
    previous: u64,
}

impl Attempt<'_> {
    /// Numbers the history entries about a resource, whose last one so far is `last`. Returns the
    /// number of the last of them. To be called before the resource is stored: a stored record
    /// holds the number of the entry that wrote it.
    pub fn number_entries(&mut self, resource: ResourceKey, last: Option<u64>) -> Option<u64> {
        let mine = self.drafts.iter_mut();
        let mine: Vec<HistoryDraft> = mine
            .filter(|draft| draft.as_ref().is_some_and(|draft| draft.is_about(resource)))
            .filter_map(Option::take)
            .collect();
        for draft in mine {
            self.number_entry(draft, last);
        }
        // What was numbered before in this transaction still is the last one.
        self.last_entry(resource).map(|entry| entry.number)
    }

    /// Numbers a history entry. `last` is the resource's last one before this transaction.
    fn number_entry(&mut self, draft: HistoryDraft, last: Option<u64>) {
        let before = self.last_entry((draft.directory, draft.kind, draft.id));
        let previous = before.map(|entry| entry.number).or(last);
        let number = self.next_number(draft.directory);
        self.numbered.push(Numbered {
            draft,
            number,
            previous: previous.unwrap_or_default(),
        });
    }

    /// The last history entry about a resource that has its number.
    fn last_entry(&mut self, resource: ResourceKey) -> Option<&mut Numbered> {
        let mut entries = self.numbered.iter_mut().rev();
        entries.find(|entry| entry.draft.is_about(resource))
    }

    /// Drops the history entries about a resource to which nothing happens.
    pub fn drop_entries(&mut self, resource: ResourceKey) {
        for draft in &mut self.drafts {
            draft.take_if(|draft| draft.is_about(resource));
        }
    }

    /// Notes in the last history entry about a group which members came and which went.
    pub fn note_members(
        &mut self,
        group: ResourceKey,
        members: &[(ResourceId, bool)],
        left: &[ResourceId],
    ) {
        let Some(entry) = self.last_entry(group) else {
            return;
        };
        let ids = |came: bool| {
            let ids = members.iter().filter(move |(_id, other)| *other == came);
            ids.map(|(id, _came)| *id)
        };
        let payload = &mut entry.draft.payload;
        // A payload is an object.
        if payload.pop() != Some(b'}') {
            return;
        }
        if payload.len() > 1 {
            payload.push(b',');
        }
        payload.extend_from_slice(b"\"members\":{\"added\":[");
        put_ids(payload, ids(true));
        payload.extend_from_slice(b"],\"removed\":[");
        put_ids(payload, ids(false).chain(left.iter().copied()));
        payload.extend_from_slice(b"]}}");
    }

    /// Takes in all history entries: first those with a number, then those about what the
    /// transaction did not change.
    ///
    /// # Errors
    ///
    /// [`Reject::DirectoryGone`].
    pub fn finish_history(&mut self) -> Result<(), Reject> {
        for draft in std::mem::take(&mut self.drafts).into_iter().flatten() {
            let resource = (draft.directory, draft.kind, draft.id);
            let last = self.resource(resource).map(|current| current.history);
            self.number_entry(draft, last);
        }
        for entry in std::mem::take(&mut self.numbered) {
            let draft = entry.draft;
            self.directory(draft.directory)
                .ok_or(Reject::DirectoryGone)?;
            self.logged.history.push(HistoryEntry {
                number: entry.number,
                previous: entry.previous,
                at: self.at,
                directory: draft.directory,
                kind: draft.kind.name().into(),
                id: draft.id,
                action: draft.action,
                revision: draft.revision,
                actor: draft.actor,
                request: draft.request,
                payload: draft.payload.into(),
            });
        }
        Ok(())
    }

    /// The next number in the history of a directory.
    fn next_number(&mut self, id: DirectoryId) -> u64 {
        let last = self.own.histories.get(&id);
        let last = last.or_else(|| self.decided.histories.get(&id)).copied();
        let published = self.memory.directories.get(&id);
        let last = last.or_else(|| published.map(|found| found.history.0));
        let number = last.unwrap_or(0).saturating_add(1);
        self.own.histories.insert(id, number);
        number
    }

    /// Numbers an audit entry.
    pub fn audit(&mut self, draft: AuditDraft, at: Timestamp) {
        let last = self.own.audit_last.or(self.decided.audit_last);
        let number = last.unwrap_or(self.memory.audit_last.0).saturating_add(1);
        self.own.audit_last = Some(number);
        self.logged.audit.push(AuditEntry { number, at, draft });
    }
}

/// Appends ids as JSON, with commas between them.
fn put_ids(out: &mut Vec<u8>, ids: impl Iterator<Item = ResourceId>) {
    for (number, id) in ids.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        out.push(b'"');
        write_plain(out, id);
        out.push(b'"');
    }
}
