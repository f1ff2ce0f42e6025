//! Numbering what a transaction leaves in history and audit.

use crate::audit::entry::AuditDraft;
use crate::audit::entry::AuditEntry;
use crate::audit::history::HistoryEntry;
use crate::base::clock::Timestamp;
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
        let of = |draft: &HistoryDraft| (draft.directory, draft.kind, draft.id) == resource;
        let mine = self.drafts.iter_mut();
        let mine: Vec<HistoryDraft> = mine
            .filter(|draft| draft.as_ref().is_some_and(of))
            .filter_map(Option::take)
            .collect();
        let mut previous = last.unwrap_or_default();
        let mut number = None;
        for draft in mine {
            let next = self.next_number(&draft);
            number = Some(next);
            self.numbered.push(Numbered {
                draft,
                number: next,
                previous,
            });
            previous = next;
        }
        // What was numbered before in this transaction still is the last one.
        let mut numbered = self.numbered.iter().rev();
        number.or_else(|| {
            let found = numbered.find(|entry| of(&entry.draft));
            found.map(|entry| entry.number)
        })
    }

    /// Drops the history entries about a resource to which nothing happens.
    pub fn drop_entries(&mut self, resource: ResourceKey) {
        for draft in &mut self.drafts {
            let of = |draft: &HistoryDraft| (draft.directory, draft.kind, draft.id) == resource;
            if draft.as_ref().is_some_and(of) {
                *draft = None;
            }
        }
    }

    /// Notes in the last history entry about a group which members came and which went.
    pub fn note_members(
        &mut self,
        group: ResourceKey,
        members: &[(ResourceId, bool)],
        left: &[ResourceId],
    ) {
        let mut entries = self.numbered.iter_mut().rev();
        let of = |draft: &HistoryDraft| (draft.directory, draft.kind, draft.id) == group;
        let Some(entry) = entries.find(|entry| of(&entry.draft)) else {
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
            let mut numbered = self.numbered.iter().rev();
            let before = numbered
                .find(|entry| (entry.draft.directory, entry.draft.kind, entry.draft.id) == resource)
                .map(|entry| entry.number);
            let last = self.resource(resource).map(|current| current.history);
            let number = self.next_number(&draft);
            let previous = before.or(last).unwrap_or_default();
            self.numbered.push(Numbered {
                draft,
                number,
                previous,
            });
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

    /// The next number in the history of an entry's directory.
    fn next_number(&mut self, draft: &HistoryDraft) -> u64 {
        let id = draft.directory;
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
