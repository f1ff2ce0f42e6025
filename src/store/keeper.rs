//! The thread beside: makes the next segment of the log ahead of time, watches the room on the
//! disk once a second, keeps the reserve.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::store::log::segment::NoSegment;
use crate::store::log::segment::Spares;
use crate::store::parts;
use crate::store::space;
use crate::store::space::Room;
use crate::store::space::Space;
use crate::store::view::View;

/// How often the room is looked at.
const ROUND: Duration = Duration::from_secs(1);
/// The parts of the store are measured once in so many rounds: there may be thousands of files.
const MEASURE_EVERY: u32 = 15;

/// What the bell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// Nothing.
    Silent,
    /// A segment was put to use: there is another one to make.
    Look,
    /// The store is being closed.
    Stop,
}

/// Wakes the keeper.
#[derive(Debug)]
pub struct Bell {
    /// What it says.
    call: Mutex<Call>,
    /// It was rung.
    rung: Condvar,
}

impl Default for Bell {
    fn default() -> Self {
        Self {
            call: Mutex::new(Call::Silent),
            rung: Condvar::new(),
        }
    }
}

impl Bell {
    /// A segment was put to use.
    pub fn ring(&self) {
        self.say(Call::Look);
    }

    /// The store is being closed.
    pub fn stop(&self) {
        self.say(Call::Stop);
    }

    /// Says something, unless it is said already or all is over.
    fn say(&self, what: Call) {
        let mut call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        if *call != what && *call != Call::Stop {
            *call = what;
            self.rung.notify_one();
        }
    }

    /// Waits for a call, at most one round.
    fn wait(&self) -> Call {
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut call, _timed_out) = self
            .rung
            .wait_timeout_while(call, ROUND, |call| *call == Call::Silent)
            .unwrap_or_else(PoisonError::into_inner);
        let heard = *call;
        if heard == Call::Look {
            *call = Call::Silent;
        }
        heard
    }
}

/// The keeper's thread.
pub struct Keeper {
    /// What readers see.
    pub view: View,
    /// Wakes it.
    pub bell: Arc<Bell>,
    /// Where segments are made.
    pub spares: Arc<Spares>,
    /// The marks and the reserve.
    pub space: Space,
    /// The store's directory.
    pub dir: PathBuf,
}

impl Keeper {
    /// Works until it is told to stop.
    pub fn run(self) {
        let mut last_round = None;
        let mut rounds = 0_u32;
        loop {
            let due = last_round.is_none_or(|last: std::time::Instant| last.elapsed() >= ROUND);
            if due {
                self.look();
                if rounds.is_multiple_of(MEASURE_EVERY) {
                    self.measure();
                }
                rounds = rounds.wrapping_add(1);
                last_round = Some(std::time::Instant::now());
            }
            // Making one that is not needed is no work, and without room the next round tries again.
            match self.spares.prepare() {
                Ok(()) => self.view.status().set_segment(true),
                Err(NoSegment::Space) => {}
                Err(NoSegment::Io(error)) => {
                    tracing::warn!(%error, "the next segment of the commit log cannot be made");
                }
            }
            if self.bell.wait() == Call::Stop {
                return;
            }
        }
    }

    /// Measures what each part of the store takes.
    fn measure(&self) {
        match parts::measure(&self.dir) {
            Ok(parts) => self.view.status().set_parts(parts),
            Err(error) => tracing::warn!(%error, "the sizes of the store's files cannot be read"),
        }
    }

    /// Measures the room.
    pub fn look(&self) {
        let free = match space::free_bytes(&self.dir) {
            Ok(free) => free,
            Err(error) => {
                tracing::warn!(%error, "the free space on the disk cannot be read");
                return;
            }
        };
        let status = self.view.status();
        status.free_bytes.set(free);
        let room = self.space.room(free);
        let before = status.set_room(room);
        match (before, room) {
            (Some(Room::Enough) | None, Room::Low) => {
                tracing::warn!(free_bytes = free, "the disk is getting full");
            }
            (Some(Room::Enough | Room::Low) | None, Room::Full) => {
                tracing::error!(
                    free_bytes = free,
                    "the disk is nearly full: writes are refused"
                );
            }
            (Some(Room::Full), Room::Low | Room::Enough) => {
                tracing::info!(free_bytes = free, "there is room again: writes are taken");
            }
            (Some(Room::Enough | Room::Low | Room::Full) | None, _) => {}
        }
        if let Err(error) = self.space.keep_reserve(free) {
            tracing::warn!(%error, "the reserve for a full disk cannot be made");
        }
    }
}
