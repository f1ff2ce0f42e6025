//! What the applier does beside its work, in small steps with rests between them, so that nobody
//! waits long behind one: sweeps that verify, bases and the log they make superfluous, rebuilt
//! states, repairs.

mod bases;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use crate::store::applier::Applier;
use crate::store::base;
use crate::store::base::BaseError;
use crate::store::base::Header;
use crate::store::base::write::ReadBack;
use crate::store::base::write::Writer;
use crate::store::cell::Op;
use crate::store::chronicle::Chronicle;
use crate::store::desk::Chore;
use crate::store::desk::Verification;
use crate::store::generation::Generation;
use crate::store::log::FOLDER;
use crate::store::log::recycle;
use crate::store::rebuild::Target;
use crate::store::snapshot;
use crate::store::space;
use crate::store::state::State;
use crate::store::state::StateError;
use crate::store::sweep;
use crate::store::sweep::Findings;
use crate::store::sweep::Sink;
use crate::store::sweep::Sweep;
use crate::store::sweep::SweepError;
use crate::store::view::View;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(1);
/// After a step it rests for this many times as long as the step took,
const RESTS: u32 = 3;
/// at least,
const REST_MIN: Duration = Duration::from_micros(200);
/// and at most.
const REST_MAX: Duration = Duration::from_millis(100);
/// A chore that failed is not tried again on its own before this.
const AGAIN: Duration = Duration::from_secs(600);
/// The state is verified on its own this often.
const VERIFY_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Two rebuilds on its own are this far apart.
const REBUILD_EVERY: Duration = Duration::from_secs(3600);
/// Bytes of the state beyond which a rebuild can be worth it.
const REBUILD_BYTES_MIN: u64 = 256 << 20;
/// Another base is written when the log behind the last one has this share of what is stored: log,
/// base and state together stay below three times the JSON.
const BASE_LOG_SHARE: u64 = 4;
/// A state this many times as large as what it holds is rebuilt.
const REBUILD_RATIO: u64 = 3;

/// A chore under way.
enum Job {
    /// A pass over all cells.
    Sweep(Box<Sweep>),
    /// A base is read back.
    ReadBack(ReadBack),
}

/// What the applier does beside its work.
pub struct Upkeep {
    /// The store's directory.
    dir: PathBuf,
    /// Bytes of log behind the last base below which no other is written on its own.
    base_log_bytes: u64,
    /// The folder of the state in use.
    generation: Generation,
    /// What is being done.
    job: Option<(Chore, Job)>,
    /// When the next step may be taken.
    rest_until: Instant,
    /// When a chore may be tried on its own, in the order of [`Chore::ALL`].
    not_before: [Instant; 3],
    /// A part of the log is damaged, and there is no base behind it yet.
    log_damaged: bool,
    /// A verification found count or hash to disagree, and not why.
    suspicious: bool,
    /// Removes a state that is no longer in use.
    removing: Option<JoinHandle<()>>,
}

/// What a start hands to the upkeep.
pub struct Beginning {
    /// The store's directory.
    pub dir: PathBuf,
    /// Bytes of log behind the last base below which no other is written on its own.
    pub base_log_bytes: u64,
    /// The folder of the state in use.
    pub generation: Generation,
    /// Whether a part of the log is damaged: base and log would not do for a rebuild.
    pub log_damaged: bool,
    /// Whether this start has compared every cell already.
    pub verified: bool,
}

impl Upkeep {
    /// Begins with nothing under way.
    pub fn new(beginning: Beginning) -> Self {
        let now = Instant::now();
        let verify_from = if beginning.verified {
            now.checked_add(VERIFY_EVERY).unwrap_or(now)
        } else {
            now
        };
        Self {
            dir: beginning.dir,
            base_log_bytes: beginning.base_log_bytes,
            generation: beginning.generation,
            job: None,
            rest_until: now,
            not_before: Chore::ALL.map(|chore| match chore {
                Chore::Verify => verify_from,
                Chore::Base | Chore::Rebuild => now,
            }),
            log_damaged: beginning.log_damaged,
            suspicious: false,
            removing: None,
        }
    }

    /// How long the applier may wait for work before the next turn.
    pub fn patience(&self) -> Duration {
        self.rest_until
            .saturating_duration_since(Instant::now())
            .min(LOOK)
    }

    /// Keeps a sweep under way in step with a batch that the state took.
    pub fn follow(&mut self, ops: &[Op], view: &View) {
        let Some((chore, Job::Sweep(sweep))) = &mut self.job else {
            return;
        };
        if let Err(error) = sweep.follow(ops) {
            let chore = *chore;
            self.job = None;
            self.give_up(chore, &error.to_string(), view);
        }
    }

    /// Takes a step, when it is time for one.
    ///
    /// # Errors
    ///
    /// [`StateError`]: the state is at fault and must not be used any more.
    pub fn turn(
        &mut self,
        applier: &mut Applier,
        chronicle: &mut Chronicle,
        view: &View,
    ) -> Result<(), StateError> {
        mend(applier, view)?;
        if Instant::now() < self.rest_until {
            return Ok(());
        }
        let began = Instant::now();
        let rest = match self.job.take() {
            Some((chore, job)) => {
                let job = match job {
                    Job::Sweep(sweep) => self.sweep(chore, sweep, (applier, chronicle), view)?,
                    Job::ReadBack(base) => self.read_back(base, view),
                };
                self.job = job.map(|job| (chore, job));
                let worked = began.elapsed();
                worked.saturating_mul(RESTS).clamp(REST_MIN, REST_MAX)
            }
            None if self.start_what_is_due(applier, chronicle, view)? => REST_MIN,
            None => LOOK,
        };
        self.rest_until = Instant::now().checked_add(rest).unwrap_or(began);
        Ok(())
    }

    /// Begins what is asked for or due. Returns whether anything is.
    fn start_what_is_due(
        &mut self,
        applier: &Applier,
        chronicle: &mut Chronicle,
        view: &View,
    ) -> Result<bool, StateError> {
        self.recycle(view);
        for (chore, not_before) in Chore::ALL.into_iter().zip(self.not_before) {
            let asked = view.desk().is_asked(chore);
            let due = Instant::now() >= not_before && self.is_due(chore, view);
            if !asked && !due {
                continue;
            }
            view.desk().begin(chore);
            tracing::info!("begins {}", chore.name());
            match self.sink(chore, applier, chronicle, view) {
                Ok(sink) => {
                    self.job = Some((chore, Job::Sweep(Box::new(Sweep::new(sink)))));
                    return Ok(true);
                }
                Err(SweepError::State(error)) => return Err(error),
                Err(error) => self.give_up(chore, &error.to_string(), view),
            }
        }
        Ok(false)
    }

    /// Whether a chore should be done although nobody asked.
    fn is_due(&self, chore: Chore, view: &View) -> bool {
        match chore {
            Chore::Verify => true,
            Chore::Base => {
                let base = view.desk().reports().base;
                let since = base.map_or(0, |base| base.seq);
                if self.log_damaged || (base.is_none() && self.log_was_cut()) {
                    // The state could not be rebuilt now.
                    return true;
                }
                let enough = self.base_log_bytes.max(view.live_bytes() / BASE_LOG_SHARE);
                match recycle::bytes_after(&self.dir.join(FOLDER), since) {
                    Ok(bytes) => bytes > enough,
                    Err(error) => {
                        tracing::warn!(%error, "the folder of the commit log cannot be read");
                        false
                    }
                }
            }
            Chore::Rebuild => {
                let live = view.live_bytes().saturating_mul(REBUILD_RATIO);
                let large = live.saturating_add(REBUILD_BYTES_MIN);
                view.status().state_bytes.get() > large
            }
        }
    }

    /// Where the cells of a sweep for `chore` go.
    fn sink(
        &self,
        chore: Chore,
        applier: &Applier,
        chronicle: &mut Chronicle,
        view: &View,
    ) -> Result<Sink, SweepError> {
        let needed = match chore {
            Chore::Verify => 0,
            Chore::Base => view.live_bytes(),
            Chore::Rebuild => view.live_bytes().saturating_mul(2),
        };
        if needed > 0 {
            // What the keeper measured is up to a second old, and somebody may just have made room.
            let free = space::free_bytes(&self.dir);
            let free = free.unwrap_or_else(|_error| view.status().free_bytes.get());
            let spare = view.status().free_hard_bytes.get();
            if free < needed.saturating_add(spare) {
                return Err(SweepError::NoRoom {
                    needed,
                    free,
                    spare,
                });
            }
        }
        match chore {
            Chore::Verify => Ok(Sink::Verify),
            Chore::Base => {
                // The log before it goes, so what it rests on must be on the disk.
                applier.checkpoint(chronicle, view)?;
                let header = Header {
                    store: applier.meta.store,
                    seq: applier.meta.seq,
                    at: view.clock().now(),
                };
                let writer = Writer::begin(&self.dir, header).map_err(BaseError::Io)?;
                Ok(Sink::Base(Box::new(writer)))
            }
            Chore::Rebuild => {
                let target = Target::begin(&self.dir, self.generation, &applier.meta);
                Ok(Sink::Rebuild(Box::new(target.map_err(SweepError::Target)?)))
            }
        }
    }

    /// One slice of a sweep. Returns what is to be done next.
    fn sweep(
        &mut self,
        chore: Chore,
        mut sweep: Box<Sweep>,
        (applier, chronicle): (&mut Applier, &mut Chronicle),
        view: &View,
    ) -> Result<Option<Job>, StateError> {
        match sweep.slice(&applier.state, &applier.meta, view) {
            Ok(false) => {
                view.desk().progress(sweep.findings.cells);
                return Ok(Some(Job::Sweep(sweep)));
            }
            Ok(true) => {}
            Err(SweepError::State(error)) => return Err(error),
            Err(error) => {
                drop(sweep);
                self.give_up(chore, &error.to_string(), view);
                return Ok(None);
            }
        }
        sweep.judge(applier.meta.tally);
        let Sweep { sink, findings, .. } = *sweep;
        self.deal_with(&findings, applier, view)?;
        let outcome = match sink {
            Sink::Verify => {
                self.done(chore, view);
                return Ok(None);
            }
            _ if !findings.sound() => Err(format!(
                "{} cells of the state are damaged; they are repaired first",
                findings.damaged.len().max(1)
            )),
            Sink::Base(writer) => writer
                .finish(applier.meta.seq)
                .map(|base| Some(Job::ReadBack(base)))
                .map_err(|error| format!("the base cannot be written: {error}")),
            Sink::Rebuild(target) => self
                .swap(*target, applier, chronicle, view)
                .map(|()| None)
                .map_err(|error| format!("the rebuilt state cannot be put to use: {error}")),
        };
        match outcome {
            Ok(None) => self.done(chore, view),
            Ok(Some(job)) => return Ok(Some(job)),
            Err(why) => self.give_up(chore, &why, view),
        }
        Ok(None)
    }

    /// Reports what a sweep found, and has it put right.
    fn deal_with(
        &mut self,
        findings: &Findings,
        applier: &Applier,
        view: &View,
    ) -> Result<(), StateError> {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let verification = Verification {
            at: view.clock().now(),
            seq: applier.meta.seq,
            cells: findings.cells,
            damaged: count(findings.damaged.len()),
            surplus: count(findings.surplus.len()),
            agrees: findings.agrees,
        };
        view.desk()
            .report(|reports| reports.verification = Some(verification));
        for (key, mark) in &findings.damaged {
            tracing::error!("the stored copy of {key} is lost or damaged");
            view.desk().want(key.clone(), *mark);
        }
        for (key, _mark) in &findings.surplus {
            tracing::error!("the state holds {key}, which nobody put there; it is removed");
            applier.state.mend(key, None)?;
            view.desk()
                .report(|reports| reports.repaired = reports.repaired.saturating_add(1));
        }
        if findings.sound() || !findings.damaged.is_empty() || !findings.surplus.is_empty() {
            self.suspicious = false;
            return Ok(());
        }
        if std::mem::replace(&mut self.suspicious, true) {
            return Err(StateError::Broken(
                "count or hash of its cells is not what it should be".to_owned(),
            ));
        }
        // A cell that was damaged and overwritten during the sweep looks like this, once.
        tracing::warn!("count or hash of the state's cells do not agree; looking once more");
        self.put_off(Chore::Verify, Duration::ZERO);
        Ok(())
    }

    /// Puts a rebuilt state in the place of the one in use.
    fn swap(
        &mut self,
        target: Target,
        applier: &mut Applier,
        chronicle: &mut Chronicle,
        view: &View,
    ) -> Result<(), StateError> {
        let generation = target.generation;
        let state = Arc::new(target.finish(&applier.meta)?);
        generation.put_to_use(&self.dir).map_err(StateError::Io)?;
        let old_folder = self.generation.folder(&self.dir);
        self.generation = generation;
        view.set_state(Arc::clone(&state));
        let old = std::mem::replace(&mut applier.state, state);
        let at = view.clock().now();
        view.desk().report(|reports| reports.rebuilt = Some(at));
        applier.checkpoint(chronicle, view)?;
        self.wait_for_removal();
        let remove = move || remove_state(old, &old_folder);
        match std::thread::Builder::new()
            .name("store-remove".to_owned())
            .spawn(remove)
        {
            Ok(thread) => self.removing = Some(thread),
            Err(error) => tracing::warn!(%error, "the old state is removed at the next start"),
        }
        Ok(())
    }

    /// Has the next start compare every record: the state is damaged as a whole.
    pub fn distrust(&self) {
        if let Err(error) = snapshot::remove(&self.dir) {
            tracing::warn!(%error, "the snapshot of the indexes cannot be removed");
        }
    }

    /// Ends what is under way: the store is being closed.
    pub fn close(&mut self, view: &View) {
        if let Some((chore, job)) = self.job.take() {
            drop(job);
            self.give_up(chore, "the store is being closed", view);
        }
        self.wait_for_removal();
    }

    /// Waits until a state that is no longer in use is gone.
    fn wait_for_removal(&mut self) {
        if let Some(thread) = self.removing.take()
            && thread.join().is_err()
        {
            tracing::warn!("the old state could not be removed; the next start removes it");
        }
    }

    /// Notes that a chore was done.
    fn done(&mut self, chore: Chore, view: &View) {
        tracing::info!("done with {}", chore.name());
        let pause = match chore {
            Chore::Verify if self.suspicious => Duration::ZERO,
            Chore::Verify => VERIFY_EVERY,
            Chore::Rebuild => REBUILD_EVERY,
            Chore::Base => Duration::ZERO,
        };
        self.put_off(chore, pause);
        view.desk().end(chore, Ok(()));
    }

    /// Notes that a chore failed; what is in use stays in use.
    fn give_up(&mut self, chore: Chore, why: &str, view: &View) {
        tracing::warn!("gives up {}: {why}", chore.name());
        let leftover = match chore {
            Chore::Verify => Ok(()),
            Chore::Base => base::remove_unfinished(&self.dir).map(drop),
            Chore::Rebuild => self.generation.remove_others(&self.dir).map(drop),
        };
        if let Err(error) = leftover {
            tracing::warn!(%error, "what it left behind cannot be removed; the next start does");
        }
        self.put_off(chore, AGAIN);
        view.desk().end(chore, Err(why.to_owned()));
    }

    /// Has a chore wait.
    fn put_off(&mut self, chore: Chore, pause: Duration) {
        let now = Instant::now();
        for (of, not_before) in Chore::ALL.into_iter().zip(&mut self.not_before) {
            if of == chore {
                *not_before = now.checked_add(pause).unwrap_or(now);
            }
        }
    }
}

/// Writes cells that were found again, unless they changed meanwhile.
fn mend(applier: &Applier, view: &View) -> Result<(), StateError> {
    let desk = view.desk();
    let found = desk.take_found();
    if found.is_empty() {
        return Ok(());
    }
    for (key, mark, content) in found {
        if sweep::expected(&view.memory(), &key) == Some(mark) {
            applier.state.mend(&key, Some((mark, &content)))?;
            tracing::warn!("the stored copy of {key} was repaired from the commit log or the base");
            desk.report(|reports| reports.repaired = reports.repaired.saturating_add(1));
        }
    }
    desk.mended();
    Ok(())
}

/// Closes a state and removes its folder.
fn remove_state(state: Arc<State>, folder: &std::path::Path) {
    drop(state);
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "{} cannot be removed; the next start does", folder.display());
        }
        Ok(()) | Err(_) => {}
    }
}
