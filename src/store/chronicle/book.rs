//! One series of entries being written: its last file, when a new one begins, what its retention
//! lets go.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Advice;

use crate::audit::chain;
use crate::audit::chain::Hash;
use crate::base::clock::Timestamp;
use crate::store::chronicle::file;
use crate::store::chronicle::file::Content;
use crate::store::chronicle::file::FRAMES_AT;
use crate::store::chronicle::file::HEADER_BYTES;
use crate::store::chronicle::file::Header;
use crate::store::chronicle::file::Place;
use crate::store::chronicle::position::Mark;
use crate::store::chronicle::scan::Scan;
use crate::store::chronicle::scan::Step;
use crate::store::folder;
use crate::store::log::frame::StoreId;
use crate::store::log::segment;

/// A file takes no more entries from this size on,
const FILE_BYTES_MAX: u64 = 64 << 20;
/// or from this size on once another day (UTC) has begun,
const FILE_BYTES_A_DAY: u64 = 1 << 20;
/// or at this age: a file goes as a whole, so its age is how much later than the retention says.
const FILE_AGE_MAX_MS: i64 = 30 * DAY_MS;
/// A day.
const DAY_MS: i64 = 86_400_000;
/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// A file of the series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Begun {
    /// The first entry in it.
    first: u64,
    /// When that was committed; unknown when the header is damaged.
    at: Option<Timestamp>,
}

/// The file that takes entries.
#[derive(Debug)]
struct Tip {
    /// Itself.
    begun: Begun,
    /// Its bytes, with what waits in the buffer.
    bytes: u64,
    /// Open between the first write and the next sync.
    file: Option<File>,
}

/// What a series is, read back.
#[derive(Debug, Default)]
pub struct Found {
    /// It ends before the place it was synced to.
    pub short: bool,
    /// Stretches of its last file that cannot be read: file, beginning, end.
    pub damage: Vec<(PathBuf, u64, u64)>,
}

/// One series of entries.
#[derive(Debug)]
pub struct Book {
    /// The store's directory.
    dir: PathBuf,
    /// The store.
    store: StoreId,
    /// Which series.
    place: Place,
    /// The last entry.
    last: u64,
    /// When that was committed.
    last_at: Timestamp,
    /// Its hash.
    hash: Hash,
    /// The first entry that was not let go.
    kept_from: u64,
    /// Its files, oldest first.
    files: Vec<Begun>,
    /// The one that takes entries.
    tip: Option<Tip>,
    /// What waits to be written to it.
    buffer: Vec<u8>,
    /// Files that were written since the last sync and take no more.
    full: Vec<File>,
    /// Files came or went since the last sync.
    renamed: bool,
    /// Files to be removed once it is noted that they are let go.
    doomed: Vec<PathBuf>,
}

/// The files of a series: first entry and path, oldest first. None when there is no folder.
///
/// # Errors
///
/// What the machine says.
pub fn list(dir: &Path, place: Place) -> io::Result<Vec<(u64, PathBuf)>> {
    folder::list(&place.folder(dir), |name| place.first_of(name))
}

/// Makes a folder for its owner alone, durably.
///
/// # Errors
///
/// What the machine says.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    folder.parent().map_or(Ok(()), segment::sync_dir)
}

impl Book {
    /// Reads a series back. `known` is what it was when it was synced last: only what is behind
    /// that is read. A torn end is cut: the commit log has it.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn open(
        dir: &Path,
        store: StoreId,
        place: Place,
        known: Option<&Mark>,
    ) -> io::Result<(Self, Found)> {
        let mut book = Self {
            dir: dir.to_owned(),
            store,
            place,
            last: 0,
            last_at: Timestamp::from_millis(0),
            hash: chain::BEGINNING,
            kept_from: known.map_or(1, |known| known.kept_from),
            files: Vec::new(),
            tip: None,
            buffer: Vec::new(),
            full: Vec::new(),
            renamed: false,
            doomed: Vec::new(),
        };
        let mut found = Found::default();
        for (first, path) in list(dir, place)? {
            let mut head = vec![0; HEADER_BYTES];
            let file = File::open(&path)?;
            let whole = file.read_exact_at(&mut head, 0).is_ok();
            let header = Header::decode(&head).ok().filter(|_header| whole);
            match header {
                // Begun and never finished: nothing was in it.
                None if file.metadata()?.len() <= FRAMES_AT => fs::remove_file(&path)?,
                Some(header)
                    if header.store != store || header.place != place || header.first != first =>
                {
                    // Nothing may be added to a file of somebody else, and its name is needed.
                    fs::rename(&path, path.with_extension("foreign"))?;
                    found.damage.push((path, 0, FRAMES_AT));
                }
                header => book.files.push(Begun {
                    first,
                    at: header.map(|header| header.at),
                }),
            }
        }
        if known.is_none() {
            book.kept_from = book.files.first().map_or(1, |begun| begun.first);
        }
        book.read_tip(known, &mut found)?;
        found.short = known.is_some_and(|known| known.last > book.last);
        Ok((book, found))
    }

    /// Reads the last file from where it was synced last, and cuts a torn end.
    fn read_tip(&mut self, known: Option<&Mark>, found: &mut Found) -> io::Result<()> {
        let Some(&begun) = self.files.last() else {
            return Ok(());
        };
        let path = self.place.file(&self.dir, begun.first);
        let file = File::options().read(true).write(true).open(&path)?;
        // What the disk once refused stays readable in memory as if it had been written: it is to
        // be read from the disk.
        file.sync_data()?;
        if let Err(error) = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed) {
            tracing::debug!(%error, "{} may be read from memory", path.display());
        }
        let length = file.metadata()?.len();
        let known = known.filter(|known| known.first == begun.first && known.end <= length);
        let mut from = FRAMES_AT;
        self.last = begun.first.saturating_sub(1);
        if let Some(known) = known {
            from = known.end;
            (self.last, self.last_at, self.hash) = (known.last, known.last_at, known.hash);
        } else {
            let mut head = vec![0; HEADER_BYTES];
            file.read_exact_at(&mut head, 0)?;
            if let Ok(header) = Header::decode(&head) {
                (self.last_at, self.hash) = (header.at, header.before);
            }
        }
        let mut scan = Scan::new(&file, self.store, from, length);
        let mut end = length;
        while let Some(step) = scan.step()? {
            match step {
                Step::Frame { .. } => {
                    if let Ok((hash, content)) = file::content(scan.body()) {
                        let (_from, through) = content.numbers().unwrap_or_default();
                        self.last = self.last.max(through);
                        self.hash = hash;
                    }
                }
                Step::Damage { at, to } if to == length => end = at,
                Step::Damage { at, to } => found.damage.push((path.clone(), at, to)),
            }
        }
        if end < length {
            file.set_len(end)?;
            file.sync_all()?;
        }
        self.tip = Some(Tip {
            begun,
            bytes: end,
            file: None,
        });
        Ok(())
    }

    /// The last entry.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// The first entry of the file that takes entries, and how much of it is written.
    pub fn written(&self) -> Option<(u64, u64)> {
        let waiting = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        let tip = self.tip.as_ref()?;
        Some((tip.begun.first, tip.bytes.saturating_sub(waiting)))
    }

    /// Whether anything happened since the last sync.
    pub fn changed(&self) -> bool {
        let open = self.tip.as_ref().is_some_and(|tip| tip.file.is_some());
        open || self.renamed || !self.full.is_empty() || !self.buffer.is_empty()
    }

    /// How far it is, to be noted once it is synced.
    pub fn mark(&self) -> Option<Mark> {
        let tip = self.tip.as_ref()?;
        Some(Mark {
            last: self.last,
            last_at: self.last_at,
            hash: self.hash,
            kept_from: self.kept_from,
            first: tip.begun.first,
            end: tip.bytes,
        })
    }

    /// Appends entries or a gap that end with number `through`.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn append(&mut self, through: u64, at: Timestamp, content: &Content<'_>) -> io::Result<()> {
        if self.is_full(at) {
            self.begin(at)?;
        }
        let hash = content.hash(&self.hash);
        let before = self.buffer.len();
        file::put(&mut self.buffer, self.store, &hash, content);
        let bytes = self.buffer.len().saturating_sub(before);
        if let Some(tip) = &mut self.tip {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            tip.bytes = tip.bytes.saturating_add(bytes);
        }
        (self.last, self.last_at, self.hash) = (through, at, hash);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Whether an entry of that time needs a new file.
    fn is_full(&self, at: Timestamp) -> bool {
        let Some(tip) = &self.tip else { return true };
        // The next one would have the same name.
        if tip.bytes <= FRAMES_AT {
            return false;
        }
        let day = |at: Timestamp| at.millis().div_euclid(DAY_MS);
        let Some(begun) = tip.begun.at else {
            return true;
        };
        let age = at.millis().saturating_sub(begun.millis());
        tip.bytes >= FILE_BYTES_MAX
            || (tip.bytes >= FILE_BYTES_A_DAY && day(at) != day(begun))
            || age >= FILE_AGE_MAX_MS
    }

    /// Begins a new file, behind the last entry.
    fn begin(&mut self, at: Timestamp) -> io::Result<()> {
        self.flush()?;
        let folder = self.place.folder(&self.dir);
        make_folder(&folder)?;
        let first = self.last.saturating_add(1);
        let header = Header {
            store: self.store,
            place: self.place,
            first,
            at,
            before: self.hash,
        };
        let file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(self.place.file(&self.dir, first))?;
        file.write_all_at(&header.encode(), 0)?;
        let begun = Begun {
            first,
            at: Some(at),
        };
        if self.files.is_empty() {
            self.kept_from = first;
        }
        self.files.push(begun);
        self.renamed = true;
        let tip = Tip {
            begun,
            bytes: FRAMES_AT,
            file: Some(file),
        };
        self.full
            .extend(self.tip.replace(tip).and_then(|old| old.file));
        Ok(())
    }

    /// Writes what waits: from then on readers find it.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let Some(tip) = &mut self.tip else {
            return Ok(());
        };
        let file = match tip.file.take() {
            Some(file) => file,
            None => File::options()
                .write(true)
                .open(self.place.file(&self.dir, tip.begun.first))?,
        };
        let waiting = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        file.write_all_at(&self.buffer, tip.bytes.saturating_sub(waiting))?;
        tip.file = Some(file);
        self.buffer.clear();
        Ok(())
    }

    /// Makes everything appended survive power loss.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        let tip = self.tip.as_mut().and_then(|tip| tip.file.take());
        for file in self.full.drain(..).chain(tip) {
            file.sync_data()?;
        }
        if std::mem::take(&mut self.renamed) {
            segment::sync_dir(&self.place.folder(&self.dir))?;
        }
        Ok(())
    }

    /// Lets go of files whose last entry is older than `before`. They are removed by
    /// [`Book::remove_doomed`], once it is noted that they are gone.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn expire(&mut self, before: Timestamp) -> io::Result<()> {
        let used = |tip: &Tip| tip.bytes > FRAMES_AT;
        if self.last_at < before && self.tip.as_ref().is_some_and(used) {
            // An empty file goes on with numbers and chain where this one ended.
            self.begin(self.last_at)?;
        }
        while let [oldest, next, ..] = self.files.as_slice()
            && next.at.is_some_and(|at| at < before)
        {
            self.doomed.push(self.place.file(&self.dir, oldest.first));
            self.kept_from = next.first;
            self.files.remove(0);
            self.renamed = true;
        }
        Ok(())
    }

    /// Removes what was let go, when that is noted.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn remove_doomed(&mut self) -> io::Result<usize> {
        let count = self.doomed.len();
        for path in self.doomed.drain(..) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(count)
    }

    /// Lets go of files that were to be removed when an earlier process ended.
    pub fn forget_let_go(&mut self) {
        while let [oldest, next, ..] = self.files.as_slice()
            && next.first <= self.kept_from
        {
            self.doomed.push(self.place.file(&self.dir, oldest.first));
            self.files.remove(0);
        }
    }
}
