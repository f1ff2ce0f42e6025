//! Numbering what a transaction leaves in history and audit.

use crate::audit::entry::AuditDraft;
use crate::audit::entry::AuditEntry;
use crate::audit::history::HistoryEntry;
use crate::base::clock::Timestamp;
use crate::store::change::HistoryDraft;
use crate::store::error::Reject;
use crate::store::staging::Attempt;

/// What the commit thread decides of a history entry.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// Its number.
    number: u64,
    /// Number of the resource's entry before it.
    previous: u64,
}

impl Attempt<'_> {
    /// Numbers history entries. What each is about is still as it was before the transaction.
    pub fn number_history(&mut self, drafts: &[HistoryDraft]) -> Vec<Numbers> {
        let mut numbers = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let id = draft.directory;
            let last = self.own.histories.get(&id);
            let last = last.or_else(|| self.decided.histories.get(&id)).copied();
            let published = self.memory.directories.get(&id);
            let last = last.or_else(|| published.map(|found| found.history.0));
            let number = last.unwrap_or(0).saturating_add(1);
            self.own.histories.insert(id, number);
            let resource = (id, draft.kind, draft.id);
            let current = self.resource(resource).map(|current| current.history);
            let previous = self.entries.insert(resource, number).or(current);
            numbers.push(Numbers {
                number,
                previous: previous.unwrap_or_default(),
            });
        }
        numbers
    }

    /// Takes in a history entry.
    pub fn history(
        &mut self,
        draft: HistoryDraft,
        numbers: Numbers,
        at: Timestamp,
    ) -> Result<(), Reject> {
        let id = draft.directory;
        self.directory(id).ok_or(Reject::DirectoryGone)?;
        self.logged.history.push(HistoryEntry {
            number: numbers.number,
            previous: numbers.previous,
            at,
            directory: id,
            kind: draft.kind.name().into(),
            id: draft.id,
            action: draft.action,
            revision: draft.revision,
            actor: draft.actor,
            request: draft.request,
            payload: draft.payload.into(),
        });
        Ok(())
    }

    /// Numbers an audit entry.
    pub fn audit(&mut self, draft: AuditDraft, at: Timestamp) {
        let last = self.own.audit_last.or(self.decided.audit_last);
        let number = last.unwrap_or(self.memory.audit_last.0).saturating_add(1);
        self.own.audit_last = Some(number);
        self.logged.audit.push(AuditEntry { number, at, draft });
    }
}
