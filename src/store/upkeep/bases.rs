//! The last part of writing a base: it is read back, put to use, and the log before it goes.

use crate::store::base;
use crate::store::base::write::Finished;
use crate::store::base::write::ReadBack;
use crate::store::desk::Chore;
use crate::store::log::FOLDER;
use crate::store::log::recycle;
use crate::store::upkeep::Job;
use crate::store::upkeep::Upkeep;
use crate::store::view::View;

impl Upkeep {
    /// Reads a block of a base back. Returns what is to be done next.
    pub(super) fn read_back(&mut self, mut base: ReadBack, view: &View) -> Option<Job> {
        match base.step() {
            Ok(None) => Some(Job::ReadBack(base)),
            Ok(Some(finished)) => {
                self.use_base(finished, view);
                self.done(Chore::Base, view);
                None
            }
            Err(error) => {
                let why = format!("the base cannot be read back: {error}");
                self.give_up(Chore::Base, &why, view);
                None
            }
        }
    }

    /// Makes the log before a new base superfluous.
    fn use_base(&mut self, finished: Finished, view: &View) {
        tracing::info!(
            seq = finished.seq,
            cells = finished.cells,
            bytes = finished.bytes,
            "a base was written and read back"
        );
        self.log_damaged = false;
        view.desk().report(|reports| reports.base = Some(finished));
        if let Err(error) = base::remove_older(&self.dir, finished.seq) {
            tracing::warn!(%error, "older bases cannot be removed");
        }
        self.recycle(view);
    }

    /// Removes the segments of the log that nobody needs: a base and a synced state cover them.
    pub(super) fn recycle(&self, view: &View) {
        let Some(base) = view.desk().reports().base else {
            return;
        };
        let status = view.status();
        let through = base.seq.min(status.checkpoint_seq.get());
        let through = through.min(status.history_seq.get());
        match recycle::remove_through(&self.dir.join(FOLDER), through) {
            Ok(0) => {}
            Ok(bytes) => {
                status.log_bytes.subtract(bytes);
                tracing::info!(bytes, "the commit log before the base was removed");
            }
            Err(error) => {
                tracing::warn!(%error, "segments of the commit log cannot be removed");
            }
        }
    }

    /// Whether the log does not begin with the first transaction.
    pub(super) fn log_was_cut(&self) -> bool {
        recycle::first_seq(&self.dir.join(FOLDER)).is_ok_and(|first| first > Some(1))
    }
}
