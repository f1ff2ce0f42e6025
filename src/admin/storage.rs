//! The store from the operator's side: how it is in detail, and giving room back to the disk.

use std::sync::MutexGuard;
use std::sync::TryLockError;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use crate::admin::Admin;
use crate::admin::AdminError;
use crate::admin::Problem;
use crate::admin::audit;
use crate::base::actor::Actor;
use crate::store::change::Transaction;
use crate::store::desk::Chore;
use crate::store::desk::Reports;
use crate::store::health::Health;
use crate::store::parts::Parts;

/// How long a chore of the store may take.
const CHORE_PATIENCE: Duration = Duration::from_secs(3600);
/// How long it may take until everything damaged is put right.
pub(super) const REPAIR_PATIENCE: Duration = Duration::from_secs(600);
/// How long it may take until a state that is not in use any more is gone from the disk.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether it is.
const REMOVAL_LOOK: Duration = Duration::from_millis(50);
/// Lost cells that are named.
pub(super) const LOST_MAX: usize = 1000;

/// The store in detail.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StorageStatus {
    /// Whether it takes writes.
    pub writable: bool,
    /// Why not.
    pub reason: Option<String>,
    /// The last committed transaction.
    pub seq: u64,
    /// The last transaction in the state on disk.
    pub applied_seq: u64,
    /// The last transaction in the state when it was last synced.
    pub checkpoint_seq: u64,
    /// Users in all directories.
    pub users: usize,
    /// Groups in all directories.
    pub groups: usize,
    /// Memberships in all directories.
    pub memberships: usize,
    /// The base in use.
    pub base: Option<BaseItem>,
    /// The snapshot of the indexes that the next start can use.
    pub snapshot: Option<SnapshotItem>,
    /// The last comparison of the whole state with memory.
    pub verification: Option<StateVerified>,
    /// When the state was last rebuilt while serving.
    pub rebuilt: Option<String>,
    /// What each part takes of the disk.
    pub bytes: Parts,
    /// Bytes of all resources as they are stored.
    pub live_bytes: u64,
    /// The state's size in hundredths of the live bytes.
    pub state_percent: Option<u64>,
    /// Free bytes on the file system.
    pub free_bytes: u64,
    /// What is being done beside serving.
    pub under_way: Option<UnderWay>,
    /// What was tried and did not succeed since.
    pub failed: Vec<FailedChore>,
    /// Reads since the start that found a damaged copy.
    pub damaged_reads: u64,
    /// Stored copies that were put right since the start.
    pub repaired: u64,
    /// Stored copies that are being put right.
    pub repairing: u64,
    /// How many stored copies are damaged and nowhere else.
    pub lost: u64,
    /// The first thousand of them.
    pub lost_names: Vec<String>,
    /// What the last start had to do beyond opening.
    pub start: Vec<String>,
}

/// A base.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BaseItem {
    /// The log behind this transaction is needed beside it.
    pub seq: u64,
    /// When it was begun.
    pub at: String,
    /// Cells in it.
    pub cells: u64,
    /// Its size.
    pub bytes: u64,
}

/// A snapshot of the indexes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SnapshotItem {
    /// The log behind this transaction is needed beside it.
    pub seq: u64,
    /// When it was begun.
    pub at: String,
    /// Its size.
    pub bytes: u64,
}

/// A comparison of the whole state with memory.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StateVerified {
    /// When it ended.
    pub at: String,
    /// The transaction the state was at.
    pub seq: u64,
    /// Cells compared.
    pub cells: u64,
    /// Cells that were lost or damaged.
    pub damaged: u64,
    /// Cells that should not have been there.
    pub surplus: u64,
    /// Whether count and hash agreed.
    pub agrees: bool,
}

/// Something that is being done beside serving.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UnderWay {
    /// `verify`, `base`, `rebuild`
    pub chore: &'static str,
    /// The same, for people.
    pub what: &'static str,
    /// Cells dealt with.
    pub cells: u64,
    /// Of about so many.
    pub of: u64,
}

/// Something that was tried and did not succeed since.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FailedChore {
    /// `verify`, `base`, `rebuild`
    pub chore: &'static str,
    /// The same, for people.
    pub what: &'static str,
    /// Why.
    pub why: String,
}

/// What compacting came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Compacted {
    /// The new base.
    pub base: Option<BaseItem>,
    /// When the state was rebuilt; `None` when it was left as it is.
    pub rebuilt: Option<String>,
    /// What each part took of the disk before.
    pub before: Parts,
    /// What each part takes now.
    pub after: Parts,
    /// Free bytes on the file system now.
    pub free_bytes: u64,
}

impl Admin {
    /// The store in detail.
    ///
    /// # Errors
    ///
    /// `Internal` when the sizes of its files cannot be read.
    pub fn storage_status(&self) -> Result<StorageStatus, AdminError> {
        let bytes = self.part_bytes()?;
        let health = self.store.health();
        let mut lost_names = self.store.lost();
        lost_names.truncate(LOST_MAX);
        Ok(StorageStatus {
            base: base_item(&health),
            snapshot: health.snapshot.map(|taken| SnapshotItem {
                seq: taken.seq,
                at: taken.at.to_string(),
                bytes: taken.bytes,
            }),
            verification: health.verification.as_ref().map(|verified| StateVerified {
                at: verified.at.to_string(),
                seq: verified.seq,
                cells: verified.cells,
                damaged: verified.damaged,
                surplus: verified.surplus,
                agrees: verified.agrees,
            }),
            under_way: under_way(&health),
            failed: health.chores_failed.iter().map(failed_chore).collect(),
            rebuilt: health.rebuilt.map(|at| at.to_string()),
            state_percent: bytes
                .state
                .saturating_mul(100)
                .checked_div(health.live_bytes),
            bytes,
            live_bytes: health.live_bytes,
            free_bytes: health.free_bytes,
            seq: health.seq,
            applied_seq: health.applied_seq,
            checkpoint_seq: health.checkpoint_seq,
            users: health.users,
            groups: health.groups,
            memberships: health.memberships,
            damaged_reads: health.damaged_reads,
            repaired: health.repaired,
            repairing: health.repairing,
            lost: health.lost,
            lost_names,
            start: health.rungs.iter().map(ToString::to_string).collect(),
            writable: health.writable.is_ok(),
            reason: health.writable.err(),
        })
    }

    /// Writes a base, which makes the log before it superfluous, and rebuilds the state unless
    /// `base_only`. Returns when that is done.
    ///
    /// # Errors
    ///
    /// `Conflict` while another one runs, `Unavailable` when it could not be done.
    pub fn storage_compact(&self, base_only: bool, actor: &Actor) -> Result<Compacted, AdminError> {
        let _alone = self.pass_alone()?;
        let before = self.part_bytes()?;
        let detail = json!({"base_only": base_only});
        let entry = audit(actor, "storage.compact", "storage".to_owned(), &detail);
        let transaction = Transaction {
            audit: vec![entry],
            ..Transaction::default()
        };
        self.store
            .commit(transaction)
            .map_err(|error| AdminError::of_commit(&error))?;
        self.chore(Chore::Base)?;
        let rebuilt = if base_only {
            None
        } else {
            let reports = self.chore(Chore::Rebuild)?;
            self.wait_for_removal(before.other_states);
            reports.rebuilt
        };
        let health = self.store.health();
        Ok(Compacted {
            base: base_item(&health),
            rebuilt: rebuilt.map(|at| at.to_string()),
            before,
            after: self.part_bytes()?,
            free_bytes: health.free_bytes,
        })
    }

    /// Sees to it that one at a time goes through everything that is stored.
    pub(super) fn pass_alone(&self) -> Result<MutexGuard<'_, ()>, AdminError> {
        match self.passing.try_lock() {
            Ok(alone) => Ok(alone),
            // It guards nothing in memory, so a panic while it was held has spoiled nothing.
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(AdminError::Conflict(Problem::new(
                "nothing was done",
                "another storage verify or storage compact is under way",
                "rollcall storage status      (tells how far it is), then run the command again",
            ))),
        }
    }

    /// Has the store do a chore. When that finds damage in the way, it is tried once more after
    /// the store has repaired it.
    pub(super) fn chore(&self, chore: Chore) -> Result<Reports, AdminError> {
        let mut tried = false;
        loop {
            let repaired = self.store.health().repaired;
            let why = match self.store.chore(chore, CHORE_PATIENCE) {
                Ok(Some(reports)) => return Ok(reports),
                Ok(None) if self.store.is_hurried() => "rollcall is stopping".to_owned(),
                Ok(None) => "it takes more than an hour, and goes on".to_owned(),
                Err(why) => {
                    let mended = self.store.wait_for_repairs(REPAIR_PATIENCE)
                        && self.store.health().repaired > repaired;
                    if mended && !std::mem::replace(&mut tried, true) {
                        continue;
                    }
                    why
                }
            };
            return Err(AdminError::Unavailable(Problem::new(
                format!(
                    "{} did not succeed; what is stored is as it was",
                    chore.name()
                ),
                why,
                "rollcall storage status      (tells what is wrong), mend that, then run the command again",
            )));
        }
    }

    /// Waits until states that are not in use take no more than `bytes`, but not for ever.
    fn wait_for_removal(&self, bytes: u64) {
        let began = Instant::now();
        while began.elapsed() < REMOVAL_PATIENCE
            && !self.store.is_hurried()
            && self
                .store
                .parts()
                .is_ok_and(|parts| parts.other_states > bytes)
        {
            thread::park_timeout(REMOVAL_LOOK);
        }
    }

    /// What each part takes of the disk.
    fn part_bytes(&self) -> Result<Parts, AdminError> {
        let parts = self.store.parts();
        parts.map_err(|error| {
            AdminError::Internal(Problem::new(
                "the sizes of the store's files cannot be read",
                error.to_string(),
                "look at the disk (dmesg, smartctl) and at who may read the state directory",
            ))
        })
    }
}

/// The base in use.
fn base_item(health: &Health) -> Option<BaseItem> {
    health.base.as_ref().map(|base| BaseItem {
        seq: base.seq,
        at: base.at.to_string(),
        cells: base.cells,
        bytes: base.bytes,
    })
}

/// What is being done beside serving.
fn under_way(health: &Health) -> Option<UnderWay> {
    let (chore, cells) = health.under_way?;
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Some(UnderWay {
        chore: chore.code(),
        what: chore.name(),
        cells,
        of: count(health.users).saturating_add(count(health.groups)),
    })
}

/// Something that did not succeed.
fn failed_chore((chore, why): &(Chore, String)) -> FailedChore {
    FailedChore {
        chore: chore.code(),
        what: chore.name(),
        why: why.clone(),
    }
}
