//! History and audit in files of their own: copied out of the commit log by the applier, in the
//! order of commit, chained, kept for their retention.
//!
//! ```text
//! history/<directory's number>/<first entry>.history      audit/<first entry>.audit
//! history/position      the transaction up to which all of them are synced, and where they end
//! ```
//!
//! Nothing here makes anything durable: what is behind the position is in the commit log, and a
//! start copies it again. So a torn end is cut without a loss, and a file that is shorter than it
//! was is written again as far as the log reaches back. Where it does not, a gap is written down.

mod book;
mod face;
mod file;
mod position;
mod read;
mod scan;
mod start;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::chain::Salt;
use crate::audit::entry::AuditEntry;
use crate::audit::history::HistoryEntry;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::base::ident::IdSource;
use crate::store::chronicle::book::Book;
pub(in crate::store) use crate::store::chronicle::file::AUDIT;
use crate::store::chronicle::file::Content;
pub(in crate::store) use crate::store::chronicle::file::HISTORY;
use crate::store::chronicle::file::Place;
use crate::store::chronicle::position::Mark;
use crate::store::chronicle::position::Position;
pub use crate::store::chronicle::read::Page;
pub(in crate::store) use crate::store::chronicle::read::Reader;
pub(in crate::store) use crate::store::chronicle::start::open;
pub use crate::store::chronicle::verify::Report;
use crate::store::log::frame::StoreId;
use crate::store::log::group::Logged;
use crate::store::log::group::Made;

/// How often it is looked whether a retention has ended, in milliseconds.
const EXPIRE_EVERY_MS: i64 = 3_600_000;

/// How long entries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// In the histories.
    pub history: Duration,
    /// In the audit.
    pub audit: Duration,
}

/// What a transaction leaves here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Entries {
    /// Its history entries.
    pub history: Vec<HistoryEntry>,
    /// Its audit entries.
    pub audit: Vec<AuditEntry>,
    /// The directories it deleted.
    pub deleted: Vec<DirectoryId>,
}

impl Entries {
    /// What this transaction leaves.
    pub fn of(logged: Logged) -> Self {
        let deleted = logged.changes.iter().filter_map(|made| match made {
            Made::DeleteDirectory(id) => Some(*id),
            Made::PutResource { .. }
            | Made::DeleteResource { .. }
            | Made::Members { .. }
            | Made::Forget { .. }
            | Made::PutToken(_)
            | Made::PutDirectory(_)
            | Made::PutSetting { .. } => None,
        });
        Self {
            deleted: deleted.collect(),
            history: logged.history,
            audit: logged.audit,
        }
    }

    /// The bytes they keep waiting, roughly.
    pub fn bytes(&self) -> usize {
        let history = self.history.iter().map(|entry| entry.payload.len());
        let audit = self.audit.iter().map(|entry| entry.draft.detail.len());
        history
            .chain(audit)
            .map(|bytes| bytes.saturating_add(128))
            .sum()
    }
}

/// The writing end: belongs to the applier.
pub(in crate::store) struct Chronicle {
    /// The store's directory.
    dir: PathBuf,
    /// The store.
    store: StoreId,
    /// How long entries are kept.
    retention: Retention,
    /// Where salts come from.
    salts: Box<dyn IdSource>,
    /// The series that have entries.
    books: BTreeMap<Place, Book>,
    /// The last transaction taken.
    seq: u64,
    /// The last transaction synced.
    synced: u64,
    /// Directories that were deleted since the last sync.
    gone: Vec<DirectoryId>,
    /// When it is to be looked again whether a retention has ended.
    expire_at: Option<Timestamp>,
    /// Gaps written since it was opened: the series, the first and the last entry.
    gaps: Vec<(Place, u64, u64)>,
    /// The reading end.
    reader: Arc<Reader>,
    /// The bytes of an entry's header, to be used again.
    header: Vec<u8>,
}

impl fmt::Debug for Chronicle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chronicle").finish_non_exhaustive()
    }
}

impl Chronicle {
    /// The last transaction whose entries survive power loss here: of the commit log, nothing
    /// behind it may be deleted.
    pub const fn synced_seq(&self) -> u64 {
        self.synced
    }

    /// The reading end.
    pub fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.reader)
    }

    /// Takes what transaction `seq` leaves. What the files have already is passed over.
    ///
    /// # Errors
    ///
    /// What the machine says. The chronicle must not be used after it.
    pub fn append(&mut self, seq: u64, entries: &Entries) -> io::Result<()> {
        if seq <= self.seq {
            return Ok(());
        }
        for entry in &entries.history {
            let mut header = std::mem::take(&mut self.header);
            header.clear();
            entry.encode_header(&mut header);
            let place = Place::History(entry.directory);
            self.entry(place, entry.number, entry.at, &header, &entry.payload)?;
            self.header = header;
        }
        for entry in &entries.audit {
            let mut header = std::mem::take(&mut self.header);
            header.clear();
            entry.encode_header(&mut header);
            let detail = entry.draft.detail.as_bytes();
            self.entry(Place::Audit, entry.number, entry.at, &header, detail)?;
            self.header = header;
        }
        for id in &entries.deleted {
            self.books.remove(&Place::History(*id));
            self.gone.push(*id);
        }
        self.seq = seq;
        Ok(())
    }

    /// Appends one entry.
    fn entry(
        &mut self,
        place: Place,
        number: u64,
        at: Timestamp,
        header: &[u8],
        payload: &[u8],
    ) -> io::Result<()> {
        let book = match self.books.entry(place) {
            std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                let (book, _found) = Book::open(&self.dir, self.store, place, None)?;
                free.insert(book)
            }
        };
        let expected = book.last().saturating_add(1);
        if number < expected {
            return Ok(());
        }
        if number > expected {
            let (from, through) = (expected, number.saturating_sub(1));
            tracing::error!("entries {from} to {through} of {place} are lost");
            book.append(through, at, &Content::Gap { from, through, at })?;
            self.gaps.push((place, from, through));
        }
        let mut salt = Salt::default();
        self.salts.fill(&mut salt);
        let content = Content::Entry {
            header,
            salt,
            payload,
        };
        book.append(number, at, &content)
    }

    /// Lets readers find everything that was taken.
    ///
    /// # Errors
    ///
    /// What the machine says. The chronicle must not be used after it.
    pub fn flush(&mut self) -> io::Result<()> {
        for book in self.books.values_mut() {
            book.flush()?;
        }
        self.publish();
        Ok(())
    }

    /// Tells readers how far the files are.
    fn publish(&self) {
        let written = self
            .books
            .iter()
            .filter_map(|(place, book)| Some((*place, book.written()?)));
        self.reader.publish(self.seq, written.collect());
    }

    /// Makes everything taken survive power loss, notes that, and removes what is over.
    ///
    /// # Errors
    ///
    /// What the machine says. The chronicle must not be used after it.
    pub fn sync(&mut self, now: Timestamp) -> io::Result<()> {
        self.expire(now)?;
        if self.seq == self.synced && !self.books.values().any(Book::changed) {
            return Ok(());
        }
        for book in self.books.values_mut() {
            book.sync()?;
        }
        let marks = self
            .books
            .iter()
            .filter_map(|(place, book)| Some((*place, book.mark()?)));
        let position = Position {
            store: self.store,
            seq: self.seq,
            marks: marks.collect(),
        };
        position.write(&self.dir)?;
        self.synced = self.seq;
        self.publish();
        for book in self.books.values_mut() {
            book.remove_doomed()?;
        }
        for id in std::mem::take(&mut self.gone) {
            self.remove_history(id)?;
        }
        Ok(())
    }

    /// Whether something is to be synced although nothing was committed: a retention has ended.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.expire_at.is_none_or(|at| at <= now)
    }

    /// Lets go of what is older than its retention.
    fn expire(&mut self, now: Timestamp) -> io::Result<()> {
        if !self.is_due(now) {
            return Ok(());
        }
        self.expire_at = Some(now.plus_millis(EXPIRE_EVERY_MS));
        for (place, book) in &mut self.books {
            let kept = match place {
                Place::Audit => self.retention.audit,
                Place::History(_) => self.retention.history,
            };
            let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
            book.expire(now.plus_millis(kept.saturating_neg()))?;
        }
        Ok(())
    }

    /// Removes the history of a deleted directory.
    fn remove_history(&self, id: DirectoryId) -> io::Result<()> {
        match fs::remove_dir_all(Place::History(id).folder(&self.dir)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audit => f.write_str("the audit"),
            Self::History(id) => write!(f, "the history of directory {}", id.0),
        }
    }
}

/// The folders of histories on disk, by the directory's number.
fn histories(dir: &Path) -> io::Result<Vec<DirectoryId>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir.join(HISTORY))? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        found.extend(number.filter(|number| *number != 0).map(DirectoryId));
    }
    found.sort();
    Ok(found)
}

/// What is known of a series.
fn mark_of(position: Option<&Position>, place: Place) -> Option<&Mark> {
    position?.marks.get(&place)
}
