//! The thread that does what takes long and that nobody waits for: it finds again what damaged
//! cells held, and takes snapshots of the indexes.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::store::base::check;
use crate::store::log::frame::StoreId;
use crate::store::repair;
use crate::store::snapshot;
use crate::store::snapshot::Taken;
use crate::store::view::View;

/// How often it looks around.
const ROUND: Duration = Duration::from_secs(1);
/// Two snapshots are this far apart, unless the log behind the last one is gone.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(3600);
/// The base is read again this often; the first time once the state was verified.
const CHECK_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How long a snapshot waits for the state to be synced behind it.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether that has happened.
const CHECKPOINT_LOOK: Duration = Duration::from_millis(50);

/// The tender's thread.
pub struct Tender {
    /// What readers see.
    pub view: View,
    /// The store's directory.
    pub dir: PathBuf,
    /// The store.
    pub store: StoreId,
}

impl Tender {
    /// Works until the store is closed.
    pub fn run(self) {
        let desk = self.view.desk();
        let mut tried = Instant::now();
        let mut checked = None;
        while !desk.is_closed() {
            let wanted = desk.take_wanted(ROUND);
            if !wanted.is_empty() {
                desk.put_found(repair::find(&self.dir, self.store, &self.view, wanted));
            }
            let unchecked = checked.is_none_or(|at: Instant| at.elapsed() >= CHECK_EVERY);
            if unchecked && desk.reports().verification.is_some() {
                checked = Some(Instant::now());
                // What is wrong is told and mended there.
                drop(check::check(&self.dir, self.store, &self.view));
            }
            if self.is_due(tried) {
                tried = Instant::now();
                match self.snapshot() {
                    Ok(Some(taken)) => {
                        tracing::info!(
                            seq = taken.seq,
                            bytes = taken.bytes,
                            "took a snapshot of the indexes"
                        );
                        desk.report(|reports| reports.snapshot = Some(taken));
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, "no snapshot of the indexes can be taken");
                    }
                }
            }
        }
    }

    /// Whether a snapshot is due; one was last tried at `tried`.
    fn is_due(&self, tried: Instant) -> bool {
        let reports = self.view.desk().reports();
        let last = reports.snapshot.map_or(0, |taken| taken.seq);
        let stale = self.view.status().seq.get() > last;
        // With a new base the log before it goes, and the snapshot is of no use without.
        let cut_off = reports.base.is_some_and(|base| base.seq > last);
        stale && (tried.elapsed() >= SNAPSHOT_EVERY || (cut_off && tried.elapsed() >= ROUND))
    }

    /// Takes a snapshot and puts it to use once the state is synced behind it. Nothing when that
    /// does not happen in time.
    fn snapshot(&self) -> io::Result<Option<Taken>> {
        let unused = snapshot::write::take(&self.dir, self.store, &self.view)?;
        let began = Instant::now();
        while self.view.status().checkpoint_seq.get() < unused.taken.end_seq {
            if self.view.desk().is_closed() || began.elapsed() > CHECKPOINT_PATIENCE {
                return Ok(None);
            }
            self.view.desk().ask_checkpoint();
            thread::park_timeout(CHECKPOINT_LOOK);
        }
        unused.put_to_use().map(Some)
    }
}

/// Takes a snapshot of a store that nobody changes any more, unless there is one already.
pub fn last_snapshot(dir: &std::path::Path, store: StoreId, view: &View) {
    let status = view.status();
    let seq = status.seq.get();
    let settled = status.failure().is_none() && status.checkpoint_seq.get() == seq;
    let known = view.desk().reports().snapshot;
    if !settled || known.is_some_and(|taken| taken.seq == seq) {
        return;
    }
    let taken =
        snapshot::write::take(dir, store, view).and_then(snapshot::write::Unused::put_to_use);
    if let Err(error) = taken {
        tracing::warn!(%error, "no snapshot of the indexes can be taken; the next start takes longer");
    }
}
