//! What the store's threads tell of themselves: numbers, the first failure, the step under way.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::base::clock::Clock;
use crate::base::clock::Timestamp;
use crate::store::health::Rung;
use crate::store::parts::Parts;
use crate::store::space::Room;

/// A step of the applier, or an append to the log, that takes longer than this is stalled.
pub const STALL: Duration = Duration::from_secs(10);

/// Something went wrong that only a restart mends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Writes the number.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }

    /// Counts one more.
    pub fn count(&self) {
        self.add(1);
    }

    /// Adds to the number.
    pub fn add(&self, value: u64) {
        self.0.fetch_add(value, Ordering::AcqRel);
    }

    /// Takes from the number.
    pub fn subtract(&self, value: u64) {
        self.0.fetch_sub(value, Ordering::AcqRel);
    }
}

/// What the store's threads tell of themselves.
#[derive(Debug, Default)]
pub struct Status {
    /// The last committed transaction.
    pub seq: Gauge,
    /// The last transaction wholly in the state.
    pub applied_seq: Gauge,
    /// The last transaction in the state when it was last synced.
    pub checkpoint_seq: Gauge,
    /// The last transaction whose history and audit entries are synced in their files.
    pub history_seq: Gauge,
    /// Directories being purged.
    pub purging: Gauge,
    /// Bytes that wait for the applier.
    pub waiting_bytes: Gauge,
    /// Bytes of the log.
    pub log_bytes: Gauge,
    /// Bytes of the state.
    pub state_bytes: Gauge,
    /// Free bytes.
    pub free_bytes: Gauge,
    /// Free bytes below which writes are refused.
    pub free_hard_bytes: Gauge,
    /// Reads that found damage.
    pub damaged_reads: Gauge,
    /// What the marks say of the free bytes.
    room: Mutex<Option<Room>>,
    /// The log needed another segment, and there was no room for one.
    no_segment: AtomicBool,
    /// What each part takes of the disk.
    parts: Mutex<Parts>,
    /// What the start had to do.
    rungs: Mutex<Vec<Rung>>,
    /// The first failure.
    failure: Mutex<Option<Failure>>,
    /// The applier's step under way.
    step: Mutex<Option<(Instant, Timestamp)>>,
    /// The commit thread's append under way.
    append: Mutex<Option<(Instant, Timestamp)>>,
}

/// Locks; a panic elsewhere leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Status {
    /// Notes a failure. The first one counts, what follows are its consequences.
    pub fn fail(&self, reason: String, clock: &dyn Clock) {
        let mut failure = lock(&self.failure);
        if failure.is_none() {
            tracing::error!(reason, "the store takes no more writes until a restart");
            let since = clock.now();
            *failure = Some(Failure { reason, since });
        }
    }

    /// The first failure.
    pub fn failure(&self) -> Option<Failure> {
        lock(&self.failure).clone()
    }

    /// Notes that the applier begins a step.
    pub fn begin_step(&self, clock: &dyn Clock) {
        *lock(&self.step) = Some((Instant::now(), clock.now()));
    }

    /// Notes that the applier ended its step.
    pub fn end_step(&self) {
        *lock(&self.step) = None;
    }

    /// Makes the step under way one that stalls.
    #[cfg(test)]
    pub fn stall(&self) {
        *lock(&self.step) = Instant::now()
            .checked_sub(STALL)
            .map(|began| (began, Timestamp::from_millis(7)));
    }

    /// Since when the applier has been in one step, if that is too long.
    pub fn stalled_since(&self) -> Option<Timestamp> {
        (*lock(&self.step))
            .filter(|(began, _at)| began.elapsed() >= STALL)
            .map(|(_began, at)| at)
    }

    /// Notes that the commit thread begins to write to the log.
    pub fn begin_append(&self, clock: &dyn Clock) {
        *lock(&self.append) = Some((Instant::now(), clock.now()));
    }

    /// Notes that what was to be written to the log is written, or failed.
    pub fn end_append(&self) {
        *lock(&self.append) = None;
    }

    /// Since when the commit thread has waited for the disk, if that is too long: nobody who
    /// writes gets an answer.
    pub fn log_stalled_since(&self) -> Option<Timestamp> {
        (*lock(&self.append))
            .filter(|(began, _at)| began.elapsed() >= STALL)
            .map(|(_began, at)| at)
    }

    /// Notes how much room there is. Returns what it was before.
    pub fn set_room(&self, room: Room) -> Option<Room> {
        lock(&self.room).replace(room)
    }

    /// How much room there is: none as long as the log gets no segment, whatever the marks say.
    pub fn room(&self) -> Room {
        if self.no_segment.load(Ordering::Acquire) {
            return Room::Full;
        }
        lock(&self.room).unwrap_or(Room::Enough)
    }

    /// Notes that the log can have another segment, or cannot.
    pub fn set_segment(&self, there_is: bool) {
        let missed = self.no_segment.swap(!there_is, Ordering::AcqRel);
        match (missed, there_is) {
            (false, false) => {
                tracing::error!("no room for a segment of the commit log: writes are refused");
            }
            (true, true) => {
                tracing::info!("there is room for a segment again: writes are taken");
            }
            (false, true) | (true, false) => {}
        }
    }

    /// Notes what each part takes of the disk.
    pub fn set_parts(&self, parts: Parts) {
        *lock(&self.parts) = parts;
    }

    /// What each part took of the disk when that was measured last.
    pub fn parts(&self) -> Parts {
        *lock(&self.parts)
    }

    /// Notes what the start had to do.
    pub fn set_rungs(&self, rungs: Vec<Rung>) {
        *lock(&self.rungs) = rungs;
    }

    /// What the start had to do.
    pub fn rungs(&self) -> Vec<Rung> {
        lock(&self.rungs).clone()
    }
}

#[cfg(test)]
mod tests {
    use crate::base::clock::ManualClock;
    use crate::base::clock::Timestamp;
    use crate::store::status::Status;

    #[test]
    fn a_step_that_lasts_is_a_stall_since_it_began() {
        let clock = ManualClock::new(Timestamp::from_millis(7));
        let status = Status::default();
        assert_eq!(status.stalled_since(), None, "no step");
        status.begin_step(&clock);
        clock.advance(60_000);
        assert_eq!(
            status.stalled_since(),
            None,
            "the clock was set, no time passed"
        );
        status.stall();
        assert_eq!(status.stalled_since(), Some(Timestamp::from_millis(7)));
        status.end_step();
        assert_eq!(status.stalled_since(), None, "the step ended");
    }

    #[test]
    fn the_first_failure_counts() {
        let clock = ManualClock::new(Timestamp::from_millis(7));
        let status = Status::default();
        status.fail("first".to_owned(), &clock);
        clock.advance(1);
        status.fail("second".to_owned(), &clock);
        let failure = status.failure().unwrap();
        assert_eq!(
            (failure.reason.as_str(), failure.since.millis()),
            ("first", 7)
        );
    }
}
