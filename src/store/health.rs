//! How the store is: what `status`, `/health` and the supervisor ask.

use std::fmt;
use std::path::PathBuf;

use crate::base::clock::Timestamp;
use crate::scim::schema::ResourceKind;
use crate::store::base::write::Finished;
use crate::store::desk::Chore;
use crate::store::desk::Verification;
use crate::store::parts::Parts;
use crate::store::snapshot::Taken;
use crate::store::space::Room;
use crate::store::view::View;

/// How the store is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether writes are taken, and if not, why.
    pub writable: Result<(), String>,
    /// Since when the store cannot go on by itself: a failed disk, a state that does not advance.
    /// After ten seconds a restart is the way out.
    pub failed_since: Option<Timestamp>,
    /// The last committed transaction.
    pub seq: u64,
    /// The last transaction wholly in the state on disk.
    pub applied_seq: u64,
    /// The last transaction that was in the state when it was last synced.
    pub checkpoint_seq: u64,
    /// Bytes committed but not yet in the state.
    pub waiting_bytes: u64,
    /// Users in all directories.
    pub users: usize,
    /// Groups in all directories.
    pub groups: usize,
    /// Memberships in all directories; those of deleted users and groups do not count.
    pub memberships: usize,
    /// Deleted directories whose data is not wholly gone from the state yet.
    pub purging: u64,
    /// Bytes of the commit log on disk.
    pub log_bytes: u64,
    /// Bytes of the state on disk, as of the last checkpoint.
    pub state_bytes: u64,
    /// What each part took of the disk when that was measured last, some seconds ago.
    pub parts: Parts,
    /// Free bytes on the file system.
    pub free_bytes: u64,
    /// Whether free space is below the soft mark.
    pub space_low: bool,
    /// Bytes of all resources as they are stored.
    pub live_bytes: u64,
    /// Reads that found a stored copy lost or damaged since the start.
    pub damaged_reads: u64,
    /// Stored copies that were put right since the start.
    pub repaired: u64,
    /// Stored copies that are damaged or lost, and are being found again.
    pub repairing: u64,
    /// Stored copies that are damaged or lost, and that neither base nor log has.
    pub lost: u64,
    /// The last verification of the whole state.
    pub verification: Option<Verification>,
    /// The base in use.
    pub base: Option<Finished>,
    /// The snapshot of the indexes that the next start can use.
    pub snapshot: Option<Taken>,
    /// When the state was last rebuilt while serving.
    pub rebuilt: Option<Timestamp>,
    /// What is being done beside, and how many cells of the state that has dealt with.
    pub under_way: Option<(Chore, u64)>,
    /// Why the last try at something of that kind failed.
    pub chores_failed: Vec<(Chore, String)>,
    /// What the last start had to do beyond opening.
    pub rungs: Vec<Rung>,
}

impl View {
    /// How the store is.
    pub fn health(&self) -> Health {
        let status = self.status();
        let count = |kind| {
            let memory = self.memory();
            let directories = memory.directories.values();
            directories
                .map(|found| found.shelf(kind).indexes.count())
                .sum()
        };
        // A slow step holds nothing up as long as nothing waits for it: a checkpoint on a busy disk.
        let stalled = || {
            status
                .stalled_since()
                .filter(|_| status.waiting_bytes.get() > 0)
        };
        let reports = self.desk().reports();
        let failed_since = status.failure().map(|failure| failure.since);
        Health {
            writable: self.refusal().map_or(Ok(()), Err),
            failed_since: failed_since
                .or_else(|| status.log_stalled_since())
                .or_else(stalled),
            seq: status.seq.get(),
            applied_seq: status.applied_seq.get(),
            checkpoint_seq: status.checkpoint_seq.get(),
            waiting_bytes: status.waiting_bytes.get(),
            users: count(ResourceKind::User),
            groups: count(ResourceKind::Group),
            memberships: self.membership_count().0,
            purging: status.purging.get(),
            log_bytes: status.log_bytes.get(),
            state_bytes: status.state_bytes.get(),
            parts: status.parts(),
            free_bytes: status.free_bytes.get(),
            space_low: status.room() != Room::Enough,
            live_bytes: self.live_bytes(),
            damaged_reads: status.damaged_reads.get(),
            repaired: reports.repaired,
            repairing: reports.repairing,
            lost: u64::try_from(self.lost().len()).unwrap_or(u64::MAX),
            verification: reports.verification,
            base: reports.base,
            snapshot: reports.snapshot,
            rebuilt: reports.rebuilt,
            under_way: reports.under_way,
            chores_failed: reports.failed.into_iter().collect(),
            rungs: status.rungs(),
        }
    }
}

/// Something a start had to do beyond opening: a rung of the ladder from harmless to rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rung {
    /// The disk was full: the reserve was given up so that the start has room.
    ReserveUsed {
        /// Bytes gained.
        bytes: u64,
    },
    /// A file that an interrupted start or stop had left behind was removed.
    LeftoverRemoved {
        /// The file.
        file: PathBuf,
    },
    /// The last frame of the commit log was incomplete, never acknowledged, and removed.
    TailCut {
        /// The segment.
        file: PathBuf,
        /// Where the tail began.
        offset: u64,
        /// How many bytes it had.
        bytes: u64,
    },
    /// A part of the commit log that this start did not need is damaged.
    OldSegmentDamaged {
        /// The segment.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A base is damaged or foreign. It is not used; a new one is written.
    BaseDamaged {
        /// The base.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A part of a file of history or audit cannot be read. What is behind it can.
    HistoryDamaged {
        /// The file.
        file: PathBuf,
        /// Where the part begins.
        at: u64,
        /// Where it ends.
        to: u64,
    },
    /// Entries of history or audit are lost: neither files nor commit log have them any more.
    HistoryGap {
        /// Of what.
        what: String,
        /// The first of them.
        from: u64,
        /// The last of them.
        through: u64,
    },
    /// Transactions were replayed from the commit log.
    Replayed {
        /// How many.
        transactions: u64,
    },
    /// The state could not be trusted; its own snapshots were dropped and it was opened again.
    SnapshotsDropped {
        /// What was wrong.
        why: String,
    },
    /// The state could not be trusted; it was set aside and rebuilt from base and commit log.
    Rebuilt {
        /// What was wrong.
        why: String,
        /// Where the old one is.
        aside: PathBuf,
    },
}

impl Rung {
    /// Writes it to the log.
    pub(in crate::store) fn tell(&self) {
        match self {
            Self::Replayed { .. } => tracing::info!("at the start: {self}"),
            Self::ReserveUsed { .. }
            | Self::LeftoverRemoved { .. }
            | Self::TailCut { .. }
            | Self::OldSegmentDamaged { .. }
            | Self::BaseDamaged { .. }
            | Self::HistoryDamaged { .. }
            | Self::HistoryGap { .. }
            | Self::SnapshotsDropped { .. }
            | Self::Rebuilt { .. } => tracing::warn!("at the start: {self}"),
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReserveUsed { bytes } => write!(
                f,
                "the disk was full; the reserve of {bytes} bytes was given up to start"
            ),
            Self::LeftoverRemoved { file } => {
                write!(f, "removed the leftover {}", file.display())
            }
            Self::TailCut {
                file,
                offset,
                bytes,
            } => write!(
                f,
                "removed an incomplete, never acknowledged frame of {bytes} bytes at byte {offset} \
                 of {}",
                file.display()
            ),
            Self::OldSegmentDamaged { file, what } => write!(
                f,
                "{} is damaged ({what}); this start did not need it, a rebuild would",
                file.display()
            ),
            Self::BaseDamaged { file, what } => write!(
                f,
                "the base {} cannot be used: {what}; a new one is written",
                file.display()
            ),
            Self::HistoryDamaged { file, at, to } => write!(
                f,
                "bytes {at} to {to} of {} are damaged; what is behind them can be read",
                file.display()
            ),
            Self::HistoryGap {
                what,
                from,
                through,
            } => write!(
                f,
                "entries {from} to {through} of {what} are lost: the commit log does not reach back \
                 to them"
            ),
            Self::Replayed { transactions } => {
                write!(
                    f,
                    "replayed {transactions} transactions from the commit log"
                )
            }
            Self::SnapshotsDropped { why } => write!(
                f,
                "the state was not usable ({why}); opened it again without its snapshots"
            ),
            Self::Rebuilt { why, aside } => write!(
                f,
                "the state was not usable ({why}); rebuilt it from base and commit log, the old one is \
                 kept at {}",
                aside.display()
            ),
        }
    }
}
