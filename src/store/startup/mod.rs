//! A start: lock, find the commit log, climb the [`ladder`] until memory and state are at the end
//! of it, and prove that it can be written. Never starts empty over existing data.

mod ladder;
mod leftovers;
mod restore;

use std::fs::DirBuilder;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Advice;

use crate::base::clock::Clock;
use crate::base::ident::IdSource;
use crate::store::Settings;
use crate::store::applier::Applier;
use crate::store::base;
use crate::store::base::write::Finished;
use crate::store::chronicle;
use crate::store::chronicle::Chronicle;
use crate::store::error::OpenError;
use crate::store::generation::Generation;
use crate::store::health::Rung;
use crate::store::log::FOLDER;
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
use crate::store::snapshot::Taken;
use crate::store::space;
use crate::store::space::Space;
use crate::store::startup::ladder::Ladder;
use crate::store::upkeep::Beginning;

/// The file that is locked.
const LOCK: &str = "lock";

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
    /// History and audit, at the end of the log.
    pub chronicle: Chronicle,
    /// What had to be done.
    pub rungs: Vec<Rung>,
    /// The base in use.
    pub base: Option<Finished>,
    /// The snapshot of the indexes that was used.
    pub snapshot: Option<Taken>,
    /// What the upkeep begins with.
    pub beginning: Beginning,
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
    let log = dir.join(FOLDER);
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
    let chronicle = chronicle::open(
        dir,
        (store, &segments),
        &recovered.memory,
        settings.retention,
        ids.apart(),
        &mut rungs,
    )?;
    let writer = go_on(&spares, store, recovered.end, &segments, clock)?;
    for rung in &rungs {
        rung.tell();
    }
    Ok(Opened {
        lock,
        store,
        memory: recovered.memory,
        applier: recovered.applier,
        writer,
        spares,
        space,
        chronicle,
        rungs,
        base: recovered.base,
        snapshot: recovered.snapshot,
        beginning: Beginning {
            dir: dir.clone(),
            base_log_bytes: settings.base_log_bytes,
            generation: recovered.generation,
            log_damaged: recovered.log_damaged,
            verified: recovered.snapshot.is_none(),
        },
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
    let log = dir.join(FOLDER);
    let mut segments = read::list(&log)?;
    if segments.is_empty() {
        let generation = Generation::current(dir).map_err(OpenError::io("read", dir))?;
        let state = generation.folder(dir).join("db");
        let bases = base::list(dir).map_err(OpenError::io("read", dir))?;
        if state.exists() || !bases.is_empty() {
            return Err(OpenError::Damaged {
                file: log,
                offset: 0,
                what: format!(
                    "it holds no segment of the commit log, although {} or a base holds a state",
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
