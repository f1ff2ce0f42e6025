//! The ladder of a start: lock, remove leftovers, open, verify, replay; when the state cannot be
//! trusted, open it without its snapshots; when that does not help, set it aside and rebuild it
//! from the commit log. Never starts empty over existing data.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::Advice;

use crate::base::clock::Clock;
use crate::base::ident::IdSource;
use crate::store::Settings;
use crate::store::applier::Applier;
use crate::store::error::OpenError;
use crate::store::health::Rung;
use crate::store::log::frame;
use crate::store::log::frame::Kind;
use crate::store::log::frame::StoreId;
use crate::store::log::read;
use crate::store::log::read::End;
use crate::store::log::read::Segment;
use crate::store::log::segment;
use crate::store::log::segment::NoSegment;
use crate::store::log::segment::Spares;
use crate::store::log::write::AppendError;
use crate::store::log::write::Writer;
use crate::store::memory::Memory;
use crate::store::replay;
use crate::store::replay::Fault;
use crate::store::replay::Replay;
use crate::store::space;
use crate::store::space::Space;
use crate::store::state;
use crate::store::state::Meta;
use crate::store::state::State;
use crate::store::state::StateError;

/// The file that is locked.
const LOCK: &str = "lock";
/// Folder of the commit log.
const LOG: &str = "log";
/// Folder of the state.
const STATE: &str = "sled";
/// How a state that was set aside is called; the time follows.
const ASIDE: &str = "sled.bad.";
/// Transactions between two messages about a replay.
const PROGRESS_EVERY: u64 = 10_000;

/// Says what the start is doing.
type Progress<'a> = &'a (dyn Fn(&str) + Sync);

/// A store that was opened and has no threads yet.
pub struct Opened {
    /// Held as long as the store is open.
    pub lock: File,
    /// The store.
    pub store: StoreId,
    /// What is published.
    pub memory: Memory,
    /// The state, and how far it is.
    pub applier: Applier,
    /// The end of the log.
    pub writer: Writer,
    /// Where segments are made.
    pub spares: Arc<Spares>,
    /// The marks and the reserve.
    pub space: Space,
    /// What had to be done.
    pub rungs: Vec<Rung>,
}

/// The state, verified and brought up to the end of the log.
struct Recovered {
    /// What is published.
    memory: Memory,
    /// The state.
    applier: Applier,
    /// Where the log ends.
    end: End,
    /// How many transactions were replayed.
    replayed: u64,
}

/// Opens the store.
///
/// # Errors
///
/// [`OpenError`].
pub fn open(
    settings: &Settings,
    clock: &dyn Clock,
    ids: &dyn IdSource,
    progress: Progress<'_>,
) -> Result<Opened, OpenError> {
    let dir = &settings.dir;
    let log = dir.join(LOG);
    // Nobody else's business: records of people, hashes of tokens.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&log);
    made.map_err(OpenError::io("create", &log))?;
    let lock = take_lock(dir)?;
    let mut rungs = Vec::new();
    let space = Space::new(settings);
    let free = space::free_bytes(dir).map_err(OpenError::io("read the free space of", dir))?;
    let released = space.release_reserve(free);
    if let Some(bytes) = released.map_err(OpenError::io("remove the reserve in", dir))? {
        rungs.push(Rung::ReserveUsed { bytes });
    }
    let spares = Spares::new(&log, settings.segment_bytes, settings.free_hard_bytes);
    let spares = Arc::new(spares.map_err(OpenError::io("read", &log))?);
    let (store, segments) = find_log(dir, &spares, clock, ids)?;
    let ladder = Ladder {
        dir,
        store,
        segments: &segments,
        clock,
        progress,
    };
    let recovered = ladder.climb(&mut rungs)?;
    if recovered.replayed > 0 {
        let transactions = recovered.replayed;
        rungs.push(Rung::Replayed { transactions });
    }
    rungs.extend(recovered.end.cut.clone().map(|cut| Rung::TailCut {
        file: cut.file,
        offset: cut.offset,
        bytes: cut.bytes,
    }));
    let writer = go_on(&spares, store, recovered.end, &segments, clock)?;
    for rung in &rungs {
        match rung {
            Rung::Replayed { .. } => tracing::info!("at the start: {rung}"),
            Rung::ReserveUsed { .. }
            | Rung::LeftoverRemoved { .. }
            | Rung::TailCut { .. }
            | Rung::OldSegmentDamaged { .. }
            | Rung::SnapshotsDropped { .. }
            | Rung::Rebuilt { .. } => tracing::warn!("at the start: {rung}"),
        }
    }
    Ok(Opened {
        lock,
        store,
        memory: recovered.memory,
        applier: recovered.applier,
        writer,
        spares,
        space,
        rungs,
    })
}

/// Takes the store's lock, before sled takes its own.
fn take_lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(OpenError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(OpenError::io("lock", &path)(error)),
    }
}

/// Finds the log, or begins one where there is neither log nor state.
fn find_log(
    dir: &Path,
    spares: &Arc<Spares>,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> Result<(StoreId, Vec<Segment>), OpenError> {
    let log = dir.join(LOG);
    let mut segments = read::list(&log)?;
    if segments.is_empty() {
        let state = dir.join(STATE).join("db");
        if state.exists() {
            return Err(OpenError::Damaged {
                file: log,
                offset: 0,
                what: format!(
                    "it holds no segment of the commit log, although {} holds a state",
                    state.display()
                ),
            });
        }
        let mut id = [0; 16];
        ids.fill(&mut id);
        let begun = Writer::begin(Arc::clone(spares), StoreId(id), clock.now());
        begun.map_err(|error| match error {
            NoSegment::Space => OpenError::io("create a segment in", &log)(io::Error::from(
                io::ErrorKind::StorageFull,
            )),
            NoSegment::Io(error) => OpenError::io("create a segment in", &log)(error),
        })?;
        for above in dir
            .ancestors()
            .skip(1)
            .filter(|above| above != &Path::new(""))
        {
            // They may not be ours to read, and were mostly there before us.
            if let Err(error) = segment::sync_dir(above) {
                tracing::debug!(%error, "{} cannot be synced", above.display());
            }
        }
        segments = read::list(&log)?;
    }
    secure(dir, &log, &segments)?;
    match segments.last() {
        Some(Segment {
            header: Some(header),
            ..
        }) => Ok((header.store, segments)),
        last => Err(OpenError::Damaged {
            file: last.map_or(log, |segment| segment.path.clone()),
            offset: 0,
            what: "the header of the last segment of the commit log is not readable".to_owned(),
        }),
    }
}

/// Makes what an earlier process wrote last durable, before anything rests on it: it may have been
/// killed between writing and syncing a frame, or between renaming a segment and syncing its name.
fn secure(dir: &Path, log: &Path, segments: &[Segment]) -> Result<(), OpenError> {
    if let Some(Segment { path, .. }) = segments.last() {
        let file = File::open(path).map_err(OpenError::io("open", path))?;
        file.sync_data().map_err(OpenError::io("sync", path))?;
        // What the disk once refused stays readable in memory as if it had been written: it is to
        // be read from the disk.
        if let Err(error) = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed) {
            tracing::debug!(%error, "{} may be read from memory", path.display());
        }
    }
    for dir in [log, dir] {
        segment::sync_dir(dir).map_err(OpenError::io("sync", dir))?;
    }
    Ok(())
}

/// Opens the end of the log and proves that it can be written.
fn go_on(
    spares: &Arc<Spares>,
    store: StoreId,
    end: End,
    segments: &[Segment],
    clock: &dyn Clock,
) -> Result<Writer, OpenError> {
    let path = end.tip.path.clone();
    let sizes = segments.iter().map(|segment| {
        let header = segment.header.map(|header| header.bytes);
        header.unwrap_or_default()
    });
    let log_bytes = sizes.sum();
    let writer = Writer::open(Arc::clone(spares), store, end.tip, log_bytes);
    let mut writer = writer.map_err(OpenError::io("open", &path))?;
    let (at, version) = (clock.now(), env!("CARGO_PKG_VERSION"));
    let probe = frame::encode(store, Kind::Opened, end.next_seq, at, version.as_bytes());
    match writer.append(probe, end.next_seq, at) {
        // Without room for a segment the store opens, and refuses writes until there is some.
        Ok(()) | Err(AppendError::Space) => Ok(writer),
        Err(AppendError::Failed { path, source }) => Err(OpenError::io("write", path)(source)),
    }
}

/// What every rung needs.
struct Ladder<'a> {
    /// The store's directory.
    dir: &'a Path,
    /// The store.
    store: StoreId,
    /// The commit log.
    segments: &'a [Segment],
    /// The time.
    clock: &'a dyn Clock,
    /// Says what is being done.
    progress: Progress<'a>,
}

impl Ladder<'_> {
    /// Tries one rung after the other.
    fn climb(&self, rungs: &mut Vec<Rung>) -> Result<Recovered, OpenError> {
        let state = self.dir.join(STATE);
        for file in remove_leftovers(&state).map_err(OpenError::io("clean", &state))? {
            rungs.push(Rung::LeftoverRemoved { file });
        }
        let mut why = match self.attempt(rungs) {
            Ok(recovered) => return Ok(recovered),
            // We hold the store's lock, so this is no Rollcall. Leave its state where it is.
            Err(Fault::State(StateError::Io(error))) if is_a_lock(&error) => {
                return Err(OpenError::io("open", &state)(error));
            }
            Err(fault) => self.blame(fault)?,
        };
        tracing::warn!(why, "the state cannot be used as it is");
        if remove_snapshots(&state).map_err(OpenError::io("clean", &state))? > 0 {
            (self.progress)("opening the state without its snapshots");
            why = match self.attempt(rungs) {
                Ok(recovered) => {
                    rungs.push(Rung::SnapshotsDropped { why });
                    return Ok(recovered);
                }
                Err(fault) => self.blame(fault)?,
            };
        }
        self.check_complete(&why)?;
        let aside = self.set_aside(&state)?;
        (self.progress)("rebuilding the state from the commit log");
        match self.attempt(rungs) {
            Ok(recovered) => {
                rungs.push(Rung::Rebuilt { why, aside });
                Ok(recovered)
            }
            Err(fault) => {
                let why = self.blame(fault)?;
                let error = io::Error::other(why);
                Err(OpenError::io("rebuild", &state)(error))
            }
        }
    }

    /// What is wrong with the state, unless no rung helps.
    fn blame(&self, fault: Fault) -> Result<String, OpenError> {
        let state = self.dir.join(STATE);
        match fault {
            Fault::Final(error) => Err(error),
            Fault::State(StateError::Newer(found)) => Err(OpenError::Newer {
                file: state,
                found,
                known: state::FORMAT,
            }),
            Fault::State(StateError::Io(error)) if is_the_machines(&error) => {
                Err(OpenError::io("open", state)(error))
            }
            Fault::State(error) => Ok(error.to_string()),
        }
    }

    /// A rebuild needs the log from the very first transaction on.
    fn check_complete(&self, why: &str) -> Result<(), OpenError> {
        match self.segments.first() {
            Some(first) if first.first_seq == 1 => Ok(()),
            first => Err(OpenError::Damaged {
                file: self.dir.join(STATE),
                offset: 0,
                what: format!(
                    "{why}; it cannot be rebuilt, because the commit log begins only with \
                     transaction {}",
                    first.map_or(0, |first| first.first_seq)
                ),
            }),
        }
    }

    /// Sets the state aside. Only the latest such copy is kept.
    fn set_aside(&self, state: &Path) -> Result<PathBuf, OpenError> {
        let move_aside = || -> io::Result<PathBuf> {
            for entry in fs::read_dir(self.dir)? {
                let entry = entry?;
                let name = entry.file_name();
                if name.to_str().is_some_and(|name| name.starts_with(ASIDE)) {
                    fs::remove_dir_all(entry.path())?;
                }
            }
            let time = self.clock.now().to_string().replace(':', "-");
            let aside = self.dir.join(format!("{ASIDE}{time}"));
            fs::rename(state, &aside)?;
            segment::sync_dir(self.dir)?;
            Ok(aside)
        };
        move_aside().map_err(OpenError::io("set aside", state))
    }

    /// Opens the state, verifies every cell of it, and replays the log behind it.
    fn attempt(&self, rungs: &mut Vec<Rung>) -> Result<Recovered, Fault> {
        (self.progress)("opening the state");
        let state = Arc::new(State::open(&self.dir.join(STATE))?);
        let meta = state.meta()?.unwrap_or_else(|| Meta::empty(self.store));
        if meta.store != self.store {
            let what = "it belongs to another store than the commit log";
            return Err(StateError::Broken(what.to_owned()).into());
        }
        (self.progress)("verifying the state");
        let memory = replay::verify(&state, &meta)?;
        let mut replay = Replay::new(state, meta, memory);
        self.note_old_damage(meta.seq, rungs);
        let held = meta.seq.saturating_add(u64::from(meta.done > 0));
        let (segments, store) = (self.segments, self.store);
        let end = read::replay::<Fault>(segments, store, meta.seq, held, &mut |transaction| {
            if transaction.seq.is_multiple_of(PROGRESS_EVERY) {
                (self.progress)(&format!("replaying transaction {}", transaction.seq));
            }
            replay.take(&transaction)
        })?;
        let (memory, applier, replayed) = replay.finish()?;
        Ok(Recovered {
            memory,
            applier,
            end,
            replayed,
        })
    }

    /// Notes segments that cannot be read but are not needed.
    fn note_old_damage(&self, after: u64, rungs: &mut Vec<Rung>) {
        let segments = self.segments.iter().zip(self.segments.iter().skip(1));
        for (segment, next) in segments {
            let needed = next.first_seq > after.saturating_add(1);
            if segment.header.is_none() && !needed {
                rungs.push(Rung::OldSegmentDamaged {
                    file: segment.path.clone(),
                    what: "its header is not readable".to_owned(),
                });
            }
        }
    }
}

/// Whether an error is the machine's and not the state's: setting a sound state aside would help
/// nobody.
fn is_the_machines(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::OutOfMemory
    )
}

/// Whether sled could not lock its file. On a later rung that may be our own handle, left open by
/// a panic; the next rung works on another file.
fn is_a_lock(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

/// The files in `dir` whose name fits; none when there is no such directory.
fn files(dir: &Path, fits: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&fits) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Removes what an interrupted sled leaves behind and then stumbles over: it takes the half-written
/// `snap.*.generating` for its newest snapshot, and an empty `conf` for a damaged one.
fn remove_leftovers(state: &Path) -> io::Result<Vec<PathBuf>> {
    let mut leftovers = files(state, |name| {
        name.starts_with("snap.") && name.ends_with(".generating")
    })?;
    for conf in files(state, |name| name == "conf")? {
        if fs::metadata(&conf)?.len() == 0 {
            leftovers.push(conf);
        }
    }
    for file in &leftovers {
        fs::remove_file(file)?;
    }
    Ok(leftovers)
}

/// Removes sled's snapshots: it then reads its whole log. Returns how many there were.
fn remove_snapshots(state: &Path) -> io::Result<usize> {
    let snapshots = files(state, |name| name.starts_with("snap."))?;
    for file in &snapshots {
        fs::remove_file(file)?;
    }
    Ok(snapshots.len())
}
