//! Reading history and audit while they are written: a resource's story, a page of the audit.
//!
//! A file is indexed when it is first needed: twelve bytes an entry, for a few files at a time. A
//! story follows the numbers that its entries give; only where that leads nowhere (a deleted
//! resource, an entry that was lost) is it searched for, by fingerprints of ids, newest file first.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::audit::bytes::Input;
use crate::audit::entry::AuditEntry;
use crate::audit::history::HistoryEntry;
use crate::base::ident::DirectoryId;
use crate::base::ident::ResourceId;
use crate::scim::schema::ResourceKind;
use crate::store::chronicle::book;
use crate::store::chronicle::file;
use crate::store::chronicle::file::Content;
use crate::store::chronicle::file::FRAMES_AT;
use crate::store::chronicle::file::Place;
use crate::store::chronicle::scan::Scan;
use crate::store::chronicle::scan::Step;
use crate::store::log::frame::StoreId;

/// Files that are indexed at a time.
const INDEXES_MAX: usize = 8;

/// How far the writing end is.
#[derive(Debug, Default)]
struct Progress {
    /// The last transaction whose entries can be read.
    seq: u64,
    /// The last file of each series, and how much of it can be read.
    ends: BTreeMap<Place, (u64, u64)>,
}

/// A file that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::chronicle) struct Part {
    /// The first entry in it, by its name.
    pub first: u64,
    /// The file.
    pub path: PathBuf,
    /// Where it ends.
    pub end: u64,
}

/// Where an entry is in its file.
#[derive(Clone, Copy, Debug)]
struct Spot {
    /// Its number, less the file's first.
    nth: u32,
    /// Fingerprint of its resource's id.
    fingerprint: u32,
    /// Where its frame begins.
    at: u32,
}

/// Where entries are in a file.
#[derive(Debug)]
struct FileIndex {
    /// What was indexed ends here.
    to: u64,
    /// In the order of their numbers.
    spots: Vec<Spot>,
}

/// The reading end. Shared by everybody.
#[derive(Debug)]
pub(in crate::store) struct Reader {
    /// The store's directory.
    dir: PathBuf,
    /// The store.
    store: StoreId,
    /// How far the writing end is.
    progress: Mutex<Progress>,
    /// It went further.
    moved: Condvar,
    /// The files indexed last, the latest at the end.
    indexes: Mutex<VecDeque<((Place, u64), FileIndex)>>,
}

/// A page of entries, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries. One whose payload was erased has none.
    pub entries: Vec<T>,
    /// What to ask for entries before, when there are any.
    pub next: Option<u64>,
}

/// Locks; a panic elsewhere leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fingerprint of an id.
fn fingerprint(id: ResourceId) -> u32 {
    crc32fast::hash(id.as_bytes())
}

impl Reader {
    /// Reads what is in the store's directory, as far as it will be told.
    pub(in crate::store::chronicle) fn new(dir: &Path, store: StoreId) -> Self {
        Self {
            dir: dir.to_owned(),
            store,
            progress: Mutex::default(),
            moved: Condvar::new(),
            indexes: Mutex::default(),
        }
    }

    /// The store's directory.
    pub(in crate::store::chronicle) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The store.
    pub(in crate::store::chronicle) const fn store(&self) -> StoreId {
        self.store
    }

    /// Notes how far the files are.
    pub(in crate::store::chronicle) fn publish(&self, seq: u64, ends: BTreeMap<Place, (u64, u64)>) {
        *lock(&self.progress) = Progress { seq, ends };
        self.moved.notify_all();
    }

    /// Waits until the entries of transaction `seq` can be read, at most for this time. Returns
    /// whether they can.
    pub fn wait_for(&self, seq: u64, patience: Duration) -> bool {
        let progress = lock(&self.progress);
        let (progress, _timed_out) = self
            .moved
            .wait_timeout_while(progress, patience, |progress| progress.seq < seq)
            .unwrap_or_else(PoisonError::into_inner);
        progress.seq >= seq
    }

    /// The files of a series as far as they can be read, oldest first.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub(in crate::store::chronicle) fn parts(&self, place: Place) -> io::Result<Vec<Part>> {
        let Some(&(last, end)) = lock(&self.progress).ends.get(&place) else {
            return Ok(Vec::new());
        };
        let mut parts = Vec::new();
        for (first, path) in book::list(&self.dir, place)? {
            if first > last {
                break;
            }
            let end = if first == last {
                end
            } else {
                match path.metadata() {
                    Ok(found) => found.len(),
                    // Its retention ended meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
            };
            parts.push(Part { first, path, end });
        }
        Ok(parts)
    }

    /// The entries of a resource, newest first, `count` of them at most, all before number `before`.
    /// `newest` is the number of its last one, when that is known.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn story(
        &self,
        (directory, kind, id): (DirectoryId, ResourceKind, ResourceId),
        newest: Option<u64>,
        before: Option<u64>,
        count: usize,
    ) -> io::Result<Page<HistoryEntry>> {
        let parts = self.parts(Place::History(directory))?;
        let story = Story {
            reader: self,
            place: Place::History(directory),
            parts: &parts,
            kind,
            id,
        };
        let mut below = before.unwrap_or(u64::MAX);
        let mut hint = newest;
        if let Some(before) = before {
            hint = story.entry(before)?.map(|entry| entry.previous);
        }
        let mut entries: Vec<HistoryEntry> = Vec::new();
        let next = loop {
            if hint == Some(0) {
                break None;
            }
            if let Some(last) = entries.last().filter(|_last| entries.len() >= count) {
                break Some(last.number);
            }
            let hinted = match hint.filter(|hint| *hint < below) {
                Some(number) => story.entry(number)?,
                None => None,
            };
            let Some(entry) =
                hinted.map_or_else(|| story.search(below), |entry| Ok(Some(entry)))?
            else {
                break None;
            };
            (below, hint) = (entry.number, Some(entry.previous));
            entries.push(entry);
        };
        Ok(Page { entries, next })
    }

    /// Entries of the audit, newest first, `count` of them at most, all before number `before`.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn audit(&self, before: Option<u64>, count: usize) -> io::Result<Page<AuditEntry>> {
        let before = before.unwrap_or(u64::MAX);
        let parts = self.parts(Place::Audit)?;
        let mut entries: Vec<AuditEntry> = Vec::new();
        for part in parts.iter().rev() {
            let offsets: Vec<u64> = self.index(Place::Audit, part, |index| {
                let spots = index.spots.iter().rev();
                let spots = spots.filter(|spot| part.number(spot) < before);
                let spots = spots.take(count.saturating_add(1));
                spots.map(|spot| u64::from(spot.at)).collect()
            })?;
            for at in offsets {
                let entry = self.read(part, at, |header, payload| {
                    let mut entry = AuditEntry::decode_header(&mut Input::new(header)).ok()?;
                    entry.draft.detail = String::from_utf8_lossy(payload).into_owned();
                    Some(entry)
                })?;
                if entries.len() >= count && entry.is_some() {
                    let next = entries.last().map(|entry| entry.number);
                    return Ok(Page { entries, next });
                }
                entries.extend(entry);
            }
        }
        Ok(Page {
            entries,
            next: None,
        })
    }

    /// Calls `use_it` with the index of a file.
    fn index<T>(
        &self,
        place: Place,
        part: &Part,
        use_it: impl FnOnce(&FileIndex) -> T,
    ) -> io::Result<T> {
        let key = (place, part.first);
        let mut indexes = lock(&self.indexes);
        let known = indexes.iter().position(|(other, _index)| *other == key);
        let known = known.and_then(|at| indexes.remove(at));
        let mut index = known.map_or_else(
            || FileIndex {
                to: FRAMES_AT,
                spots: Vec::new(),
            },
            |(_key, index)| index,
        );
        if index.to < part.end {
            let file = File::open(&part.path)?;
            index.extend(&file, self.store, part)?;
        }
        let result = use_it(&index);
        indexes.push_back((key, index));
        if indexes.len() > INDEXES_MAX {
            indexes.pop_front();
        }
        Ok(result)
    }

    /// Reads the frame at `at` and calls `make` with header and payload of its entry. An erased
    /// payload is empty.
    fn read<T>(
        &self,
        part: &Part,
        at: u64,
        make: impl FnOnce(&[u8], &[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let file = File::open(&part.path)?;
        let mut scan = Scan::new(&file, self.store, at, part.end);
        if !matches!(scan.step()?, Some(Step::Frame { .. })) {
            return Ok(None);
        }
        Ok(match file::content(scan.body()) {
            Ok((
                _hash,
                Content::Entry {
                    header, payload, ..
                },
            )) => make(header, payload),
            Ok((_hash, Content::Erased { header, .. })) => make(header, &[]),
            Ok((_, Content::Gap { .. })) | Err(_) => None,
        })
    }
}

impl Part {
    /// The number of the entry there.
    fn number(&self, spot: &Spot) -> u64 {
        self.first.saturating_add(u64::from(spot.nth))
    }
}

impl FileIndex {
    /// Takes in what the file has gained.
    fn extend(&mut self, file: &File, store: StoreId, part: &Part) -> io::Result<()> {
        let mut scan = Scan::new(file, store, self.to, part.end);
        while let Some(step) = scan.step()? {
            let Step::Frame { at } = step else { continue };
            let Ok((_hash, content)) = file::content(scan.body()) else {
                continue;
            };
            let (Content::Entry { header, .. } | Content::Erased { header, .. }) = content else {
                continue;
            };
            let Ok((number, _through)) = content.numbers() else {
                continue;
            };
            let id = HistoryEntry::decode_header(&mut Input::new(header));
            let nth = number.checked_sub(part.first).map(u32::try_from);
            if let (Some(Ok(nth)), Ok(at)) = (nth, u32::try_from(at)) {
                self.spots.push(Spot {
                    nth,
                    fingerprint: id.map_or(0, |entry| fingerprint(entry.id)),
                    at,
                });
            }
        }
        self.to = part.end;
        // They are in order already, unless somebody put them into another.
        self.spots.sort_by_key(|spot| spot.nth);
        Ok(())
    }
}

/// Finds the entries of one resource.
struct Story<'a> {
    /// What reads.
    reader: &'a Reader,
    /// The directory's history.
    place: Place,
    /// Its files.
    parts: &'a [Part],
    /// The resource's kind.
    kind: ResourceKind,
    /// The resource.
    id: ResourceId,
}

impl Story<'_> {
    /// The entry of that number, when it is there and about this resource.
    fn entry(&self, number: u64) -> io::Result<Option<HistoryEntry>> {
        let part = self.parts.iter().rfind(|part| part.first <= number);
        let Some(part) = part else { return Ok(None) };
        let at = self.reader.index(self.place, part, |index| {
            let found = index
                .spots
                .binary_search_by_key(&number, |spot| part.number(spot));
            let spot = found.ok().and_then(|at| index.spots.get(at));
            spot.map(|spot| u64::from(spot.at))
        })?;
        at.map_or(Ok(None), |at| self.read(part, at))
    }

    /// The newest entry before number `below`.
    fn search(&self, below: u64) -> io::Result<Option<HistoryEntry>> {
        let fingerprint = fingerprint(self.id);
        for part in self.parts.iter().rev().filter(|part| part.first < below) {
            let offsets: Vec<u64> = self.reader.index(self.place, part, |index| {
                let spots = index.spots.iter().rev();
                let spots = spots.filter(|spot| spot.fingerprint == fingerprint);
                let spots = spots.filter(|spot| part.number(spot) < below);
                spots.map(|spot| u64::from(spot.at)).collect()
            })?;
            for at in offsets {
                if let Some(entry) = self.read(part, at)? {
                    return Ok(Some(entry));
                }
            }
        }
        Ok(None)
    }

    /// The entry there, when it is about this resource.
    fn read(&self, part: &Part, at: u64) -> io::Result<Option<HistoryEntry>> {
        let entry = self.reader.read(part, at, |header, payload| {
            let mut entry = HistoryEntry::decode_header(&mut Input::new(header)).ok()?;
            entry.payload = payload.into();
            Some(entry)
        })?;
        Ok(entry.filter(|entry| entry.id == self.id && *entry.kind == *self.kind.name()))
    }
}
