//! What the store offers of history and audit. Everything acknowledged before the call is in the
//! answer, unless the applier is seconds behind.

use std::time::Duration;

use crate::audit::entry::AuditEntry;
use crate::audit::history::HistoryEntry;
use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::scim::schema::ResourceKind;
use crate::store::chronicle::Page;
use crate::store::chronicle::Report;
use crate::store::chronicle::file::Place;
use crate::store::error::Unread;
use crate::store::view::View;

/// How long a reader waits for the applier.
const PATIENCE: Duration = Duration::from_secs(5);

impl View {
    /// Entries of a resource's history, newest first, `count` of them at most, all before entry
    /// `before`. The resource may be deleted. Reads files: belongs on a thread that may wait.
    ///
    /// # Errors
    ///
    /// [`Unread`].
    pub fn history(
        &self,
        directory: DirectoryId,
        kind: ResourceKind,
        id: ResourceId,
        before: Option<u64>,
        count: usize,
    ) -> Result<Page<HistoryEntry>, Unread> {
        let newest = {
            let memory = self.memory();
            let found = memory.directories.get(&directory);
            found.and_then(|found| Some(found.shelf(kind).indexes.get(id)?.history))
        };
        // A record of an older format does not know its entry.
        let newest = newest.filter(|newest| *newest != 0);
        self.catch_up();
        let resource = (directory, kind, id);
        let story = self.chronicle().story(resource, newest, before, count);
        story.map_err(|error| Unread::of(&error))
    }

    /// Entries of the audit, newest first, `count` of them at most, all before entry `before`.
    /// Reads files: belongs on a thread that may wait.
    ///
    /// # Errors
    ///
    /// [`Unread`].
    pub fn audit(&self, before: Option<u64>, count: usize) -> Result<Page<AuditEntry>, Unread> {
        self.catch_up();
        let page = self.chronicle().audit(before, count);
        page.map_err(|error| Unread::of(&error))
    }

    /// Verifies the audit. Reads all of it.
    ///
    /// # Errors
    ///
    /// [`Unread`], when it cannot even be read. What is wrong with it is in the report.
    pub fn audit_verify(&self) -> Result<Report, Unread> {
        let last = self.memory().audit_last.0;
        self.verify(Place::Audit, last)
    }

    /// Verifies a directory's history. Reads all of it.
    ///
    /// # Errors
    ///
    /// As [`View::audit_verify`].
    pub fn history_verify(&self, directory: DirectoryId) -> Result<Report, Unread> {
        let last = {
            let memory = self.memory();
            let found = memory.directories.get(&directory);
            found.map_or(0, |found| found.history.0)
        };
        self.verify(Place::History(directory), last)
    }

    /// Verifies a series.
    fn verify(&self, place: Place, last: u64) -> Result<Report, Unread> {
        self.catch_up();
        let report = self.chronicle().verify(place, last);
        report.map_err(|error| Unread::of(&error))
    }

    /// Waits until what is committed now can be read.
    fn catch_up(&self) {
        let seq = self.memory().seq;
        if !self.chronicle().wait_for(seq, PATIENCE) {
            tracing::warn!(
                seq,
                "history and audit are behind: their last entries are left out"
            );
        }
    }
}
