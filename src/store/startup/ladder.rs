//! The ladder: the state as it is; without sled's snapshots; rebuilt from base and commit log, the
//! old one set aside; refused, saying what is missing. Each rung ends with every cell compared and
//! the log replayed.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use rustix::io::Errno;

use crate::base::clock::Clock;
use crate::store::applier::Applier;
use crate::store::base;
use crate::store::base::BaseError;
use crate::store::base::read::Base;
use crate::store::base::write::Finished;
use crate::store::error::OpenError;
use crate::store::generation::Generation;
use crate::store::health::Rung;
use crate::store::log;
use crate::store::log::frame::StoreId;
use crate::store::log::read;
use crate::store::log::read::End;
use crate::store::log::read::Segment;
use crate::store::log::recycle;
use crate::store::log::segment;
use crate::store::memory::Memory;
use crate::store::meta;
use crate::store::meta::Meta;
use crate::store::replay;
use crate::store::replay::Fault;
use crate::store::replay::Replay;
use crate::store::snapshot;
use crate::store::snapshot::Taken;
use crate::store::startup::Progress;
use crate::store::startup::leftovers;
use crate::store::startup::restore;
use crate::store::startup::restore::Unrestored;
use crate::store::state::State;
use crate::store::state::StateError;

/// How a state that was set aside is called; the time follows.
const ASIDE: &str = "sled.bad.";
/// Transactions between two messages about a replay.
const PROGRESS_EVERY: u64 = 10_000;

/// So much of the commit log is read quickly in any case.
const SHORT_LOG_BYTES: u64 = 256 << 20;

/// What an attempt begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// The snapshot of the indexes, when it is usable.
    Snapshot,
    /// The records, each compared.
    Records,
}

/// The state, brought up to the end of the log.
pub struct Recovered {
    /// What is published.
    pub memory: Memory,
    /// The state.
    pub applier: Applier,
    /// Where the log ends.
    pub end: End,
    /// How many transactions were replayed.
    pub replayed: u64,
    /// The folder of the state.
    pub generation: Generation,
    /// The base in use.
    pub base: Option<Finished>,
    /// Whether a part of the log is damaged that this start did not need.
    pub log_damaged: bool,
    /// The snapshot of the indexes that was used; without one every cell was compared.
    pub snapshot: Option<Taken>,
}

/// What every rung needs.
pub struct Ladder<'a> {
    /// The store's directory.
    pub dir: &'a Path,
    /// The store.
    pub store: StoreId,
    /// The commit log.
    pub segments: &'a [Segment],
    /// The time.
    pub clock: &'a dyn Clock,
    /// Says what is being done.
    pub progress: Progress<'a>,
}

impl Ladder<'_> {
    /// Tries one rung after the other.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when no rung holds.
    pub fn climb(&self, rungs: &mut Vec<Rung>) -> Result<Recovered, OpenError> {
        let generation = self.clean(rungs)?;
        let bases = self.bases(rungs)?;
        let newest = bases.first().map(|base| Finished {
            seq: base.header().seq,
            at: base.header().at,
            cells: base.tally().cells,
            bytes: base.bytes(),
        });
        let recovered = self.rungs(generation, &bases, rungs)?;
        Ok(Recovered {
            base: newest,
            ..recovered
        })
    }

    /// Removes what an interrupted process left behind. Returns which folder holds the state.
    fn clean(&self, rungs: &mut Vec<Rung>) -> Result<Generation, OpenError> {
        let dir = self.dir;
        let generation = Generation::current(dir).map_err(OpenError::io("read", dir))?;
        let others = generation.remove_others(dir);
        let mut removed = others.map_err(OpenError::io("clean", dir))?;
        removed.extend(base::remove_unfinished(dir).map_err(OpenError::io("clean", dir))?);
        removed.extend(snapshot::remove_unfinished(dir).map_err(OpenError::io("clean", dir))?);
        let state = generation.folder(dir);
        removed.extend(leftovers::of_sled(&state).map_err(OpenError::io("clean", &state))?);
        let removed = removed.into_iter();
        rungs.extend(removed.map(|file| Rung::LeftoverRemoved { file }));
        Ok(generation)
    }

    /// The usable bases, newest first. One that is not is told, and does no harm by itself.
    fn bases(&self, rungs: &mut Vec<Rung>) -> Result<Vec<Base>, OpenError> {
        let folder = self.dir.join(base::FOLDER);
        let first = self.segments.first().map_or(1, |segment| segment.first_seq);
        let mut usable = Vec::new();
        for (_seq, path) in base::list(self.dir).map_err(OpenError::io("read", folder))? {
            match Base::open(&path, self.store) {
                Ok(found) if first > found.header().seq.saturating_add(1) => {
                    let what = format!("the commit log begins only with transaction {first}");
                    rungs.push(Rung::BaseDamaged { file: path, what });
                }
                Ok(found) => usable.push(found),
                Err(BaseError::Newer(found)) => {
                    return Err(OpenError::Newer {
                        file: path,
                        found,
                        known: base::FORMAT,
                    });
                }
                Err(BaseError::Io(error)) => return Err(OpenError::io("read", path)(error)),
                Err(error @ (BaseError::Damaged { .. } | BaseError::Foreign)) => {
                    rungs.push(Rung::BaseDamaged {
                        file: path,
                        what: error.to_string(),
                    });
                }
            }
        }
        Ok(usable)
    }

    /// The rungs, one after the other.
    fn rungs(
        &self,
        generation: Generation,
        bases: &[Base],
        rungs: &mut Vec<Rung>,
    ) -> Result<Recovered, OpenError> {
        let state = generation.folder(self.dir);
        let first = match self.attempt(generation, bases, Use::Snapshot, rungs) {
            // The snapshot needs more of the log than the records do.
            Err(Fault::Final(OpenError::Damaged { file, offset, what })) => {
                let records = self.attempt(generation, bases, Use::Records, rungs);
                records.map(|recovered| {
                    let what = format!("at byte {offset}: {what}");
                    rungs.push(Rung::OldSegmentDamaged { file, what });
                    Recovered {
                        log_damaged: true,
                        ..recovered
                    }
                })
            }
            first => first,
        };
        let mut why = match first {
            Ok(recovered) => return Ok(recovered),
            // We hold the store's lock, so this is no Rollcall. Leave its state where it is.
            Err(Fault::State(StateError::Io(error))) if is_a_lock(&error) => {
                return Err(OpenError::io("open", &state)(error));
            }
            Err(fault) => self.blame(generation, fault)?,
        };
        tracing::warn!(why, "the state cannot be used as it is");
        let dropped = leftovers::snapshots_of_sled(&state);
        if dropped.map_err(OpenError::io("clean", &state))? > 0 {
            (self.progress)("opening the state without its snapshots");
            why = match self.attempt(generation, bases, Use::Records, rungs) {
                Ok(recovered) => {
                    rungs.push(Rung::SnapshotsDropped { why });
                    return Ok(recovered);
                }
                Err(fault) => self.blame(generation, fault)?,
            };
        }
        let (rebuilt, aside) = self.rebuild(generation, bases, &why)?;
        match self.attempt(rebuilt, bases, Use::Records, rungs) {
            Ok(recovered) => {
                rungs.push(Rung::Rebuilt { why, aside });
                Ok(recovered)
            }
            Err(fault) => {
                let why = self.blame(rebuilt, fault)?;
                let error = io::Error::other(why);
                Err(OpenError::io("rebuild", &state)(error))
            }
        }
    }

    /// What is wrong with the state, unless no rung helps.
    fn blame(&self, generation: Generation, fault: Fault) -> Result<String, OpenError> {
        let state = generation.folder(self.dir);
        match fault {
            Fault::Final(error) => Err(error),
            Fault::State(StateError::Newer(found)) => Err(OpenError::Newer {
                file: state,
                found,
                known: meta::FORMAT,
            }),
            Fault::State(StateError::Io(error)) if is_the_machines(&error) => {
                Err(OpenError::io("open", state)(error))
            }
            Fault::State(error) => Ok(error.to_string()),
        }
    }

    /// Sets the state aside, and puts one in its place that base and log can bring to the end.
    /// Returns its folder, and where the old one is.
    fn rebuild(
        &self,
        generation: Generation,
        bases: &[Base],
        why: &str,
    ) -> Result<(Generation, PathBuf), OpenError> {
        let state = generation.folder(self.dir);
        let mut tried = Vec::new();
        for base in bases {
            let name = base.path().display();
            (self.progress)(&format!(
                "rebuilding the state from {name} and the commit log"
            ));
            match restore::fill(self.dir, generation, base, self.segments, self.progress) {
                Ok(rebuilt) => return Ok((rebuilt, self.set_aside(&state)?)),
                Err(Unrestored::Unfit(what)) => tried.push(format!("{name}: {what}")),
                Err(Unrestored::Machine(error)) => {
                    return Err(OpenError::io("rebuild", &state)(error));
                }
            }
        }
        match self.segments.first() {
            Some(first) if first.first_seq == 1 => {
                (self.progress)("rebuilding the state from the commit log");
                Ok((generation, self.set_aside(&state)?))
            }
            first => Err(OpenError::Damaged {
                file: state,
                offset: 0,
                what: format!(
                    "{why}; it cannot be rebuilt, because the commit log begins only with \
                     transaction {} and no base reaches that far ({})",
                    first.map_or(0, |first| first.first_seq),
                    if tried.is_empty() {
                        "there is no usable one".to_owned()
                    } else {
                        tried.join("; ")
                    }
                ),
            }),
        }
    }

    /// Sets the state aside, when there is one. Only the latest such copy is kept.
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
    fn attempt(
        &self,
        generation: Generation,
        bases: &[Base],
        from: Use,
        rungs: &mut Vec<Rung>,
    ) -> Result<Recovered, Fault> {
        (self.progress)("opening the state");
        // Both take about as long, and neither needs the other.
        let (state, snapshot) = thread::scope(|scope| {
            let snapshot = scope.spawn(|| self.snapshot(from));
            let state = State::open(&generation.folder(self.dir));
            (state, snapshot.join().ok().flatten())
        });
        let state = Arc::new(state?);
        let meta = state.meta()?.unwrap_or_else(|| Meta::empty(self.store));
        if meta.store != self.store {
            let what = "it belongs to another store than the commit log";
            return Err(StateError::Broken(what.to_owned()).into());
        }
        let first = self.segments.first().map_or(1, |segment| segment.first_seq);
        if first > meta.seq.saturating_add(1) {
            let what = format!(
                "it ends with transaction {}, and the commit log begins only with {first}",
                meta.seq
            );
            return Err(StateError::Broken(what).into());
        }
        let snapshot = snapshot.filter(|(_memory, taken)| self.is_usable(taken, &meta, &state));
        let used = snapshot.as_ref().map(|(_memory, taken)| *taken);
        let (memory, after) = match snapshot {
            Some((mut memory, taken)) => {
                memory.purges = state.purges()?;
                (memory, taken.seq)
            }
            None => {
                (self.progress)("verifying the state");
                (replay::verify(&state, &meta)?, meta.seq)
            }
        };
        let mut replay = Replay::new(state, meta, memory);
        self.note_old_damage(after, rungs);
        // A base may have cells of transactions up to its end.
        let in_bases = bases.iter().map(Base::end_seq).max().unwrap_or(0);
        let held = meta.seq.saturating_add(u64::from(meta.done > 0));
        let held = held.max(in_bases);
        let (segments, store) = (self.segments, self.store);
        let end = read::replay::<Fault>(segments, store, after, held, &mut |transaction| {
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
            generation,
            base: None,
            log_damaged: false,
            snapshot: used,
        })
    }

    /// The snapshot of the indexes, when there is one to be used.
    fn snapshot(&self, from: Use) -> Option<(Memory, Taken)> {
        match from {
            Use::Snapshot => snapshot::read::load(self.dir, self.store).unwrap_or_else(|why| {
                // It is only ever a short cut.
                tracing::warn!("the snapshot of the indexes is not used: {why}");
                None
            }),
            Use::Records => None,
        }
    }

    /// Whether state and log make up for what a snapshot lacks, and sooner than reading the records.
    fn is_usable(&self, taken: &Taken, meta: &Meta, state: &State) -> bool {
        let first = self.segments.first().map_or(1, |segment| segment.first_seq);
        let log = recycle::bytes_after(&self.dir.join(log::FOLDER), taken.seq);
        let why = if taken.end_seq > meta.seq {
            "it is ahead of the state"
        } else if first > taken.seq.saturating_add(1) {
            "the commit log does not reach back to it"
        } else if log.unwrap_or(u64::MAX) > state.bytes().unwrap_or(0).max(SHORT_LOG_BYTES) {
            "reading the records is quicker than the commit log behind it"
        } else {
            return true;
        };
        tracing::info!("the snapshot of the indexes is not used: {why}");
        false
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
pub fn is_the_machines(error: &io::Error) -> bool {
    let no_more_files = [Errno::MFILE, Errno::NFILE].map(|code| Some(code.raw_os_error()));
    no_more_files.contains(&error.raw_os_error())
        || matches!(
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
