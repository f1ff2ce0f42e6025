//! What a connection is doing, and until when it may: noted by the socket and the requests, read by the connection's timer.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::ident::RequestId;
use crate::http::limits::Limits;

/// Writes longer than this show that the client takes its answer. Shorter ones may be replies to PING, which
/// must not keep an idle connection open.
const CONTROL_FRAME_BYTES_MAX: usize = 1024;

/// A deadline that is never reached within the life of a connection's timer; it is looked at again then.
const NEVER_MS: u64 = 24 * 60 * 60 * 1_000;

/// Nothing has come yet.
pub(super) const FRESH: u8 = 0;
/// Between requests.
pub(super) const RESTING: u8 = 1;
/// A request's head has begun (HTTP/1 only).
pub(super) const IN_HEAD: u8 = 2;
/// A request runs.
const RUNNING: u8 = 3;
/// The last answer is out; the client is to close.
pub(super) const CLOSING: u8 = 4;

/// What a connection is doing, and until when it may. Shared by the socket, the requests and the connection's timer.
///
/// Two HTTP/2 requests that begin and end at the same moment can leave the deadline of the one that ended; the timer
/// therefore asks for running requests once more before it acts.
pub(super) struct Activity {
    /// Zero of the deadline.
    epoch: Instant,
    /// One of the constants above.
    phase: AtomicU8,
    /// Requests running.
    running: AtomicU32,
    /// When the timer is due, in milliseconds after the epoch.
    due_ms: AtomicU64,
    /// Answers that are being sent in pieces.
    sent: Mutex<Vec<Arc<Deadline>>>,
    /// When the timer is due because of them: never later than the earliest of their deadlines.
    sent_due_ms: AtomicU64,
    /// Whether the client was resting when the end came: then nothing is on its way that could be lost.
    rested: AtomicBool,
    /// Whether several requests share the connection.
    multiplexed: bool,
    /// Time for a head.
    header_ms: u64,
    /// Time to rest.
    idle_ms: u64,
    /// Time to close.
    linger_ms: u64,
    /// Time to take a piece of an answer.
    send_ms: u64,
}

impl Activity {
    /// A connection that has just been opened.
    pub(super) fn new(multiplexed: bool, limits: &Limits) -> Self {
        let millis = |time: Duration| {
            u64::try_from(time.as_millis())
                .unwrap_or(NEVER_MS)
                .min(NEVER_MS)
        };
        let header_ms = millis(limits.header_timeout);
        Self {
            epoch: Instant::now(),
            phase: AtomicU8::new(FRESH),
            running: AtomicU32::new(0),
            due_ms: AtomicU64::new(header_ms),
            sent: Mutex::default(),
            sent_due_ms: AtomicU64::new(u64::MAX),
            rested: AtomicBool::new(false),
            multiplexed,
            header_ms,
            idle_ms: millis(limits.idle_timeout),
            linger_ms: millis(limits.linger_timeout),
            send_ms: millis(limits.send_timeout),
        }
    }

    /// What the connection is doing.
    pub(super) fn phase(&self) -> u8 {
        self.phase.load(Ordering::Relaxed)
    }

    /// When the timer is due.
    pub(super) fn due(&self) -> Instant {
        let phase = self.due_ms.load(Ordering::Relaxed);
        let sent = self.sent_due_ms.load(Ordering::Relaxed);
        self.epoch + Duration::from_millis(phase.min(sent))
    }

    /// Moves to `phase`, which may last `millis`.
    fn enter(&self, phase: u8, millis: u64) {
        self.due_ms.store(self.after(millis), Ordering::Relaxed);
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// The time in `millis` from now.
    fn after(&self, millis: u64) -> u64 {
        let now = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(0);
        now.saturating_add(millis)
    }

    /// A request begins.
    pub(super) fn request_begins(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.enter(RUNNING, NEVER_MS);
    }

    /// A request ends.
    pub(super) fn request_ends(&self) {
        if self.running.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.enter(RESTING, self.idle_ms);
        }
    }

    /// Input came.
    pub(super) fn was_read(&self) {
        if self.multiplexed {
            return;
        }
        match self.phase() {
            // The deadline of the first head began with the connection.
            FRESH => self.phase.store(IN_HEAD, Ordering::Relaxed),
            RESTING => self.enter(IN_HEAD, self.header_ms),
            _ => {}
        }
    }

    /// Output went: the client takes its answer.
    pub(super) fn was_written(&self, bytes: usize) {
        if bytes > CONTROL_FRAME_BYTES_MAX {
            match self.phase() {
                RESTING => self.enter(RESTING, self.idle_ms),
                CLOSING => self.enter(CLOSING, self.linger_ms),
                _ => {}
            }
        }
    }

    /// The last byte is out.
    pub(super) fn closes(&self) {
        if self.phase() != CLOSING {
            self.enter(CLOSING, self.linger_ms);
        }
    }

    /// The end comes while nothing is asked.
    pub(super) fn closes_rested(&self) {
        self.rested.store(true, Ordering::Relaxed);
        self.closes();
    }

    /// Whether the end came while nothing was asked.
    pub(super) fn has_rested(&self) -> bool {
        self.rested.load(Ordering::Relaxed)
    }

    /// Whether requests run.
    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// A request whose answer the client has not gone on taking in time. Learns when the timer is due next because of answers.
    pub(super) fn stalled(&self) -> Option<RequestId> {
        let sent = self.sent();
        let first = sent
            .iter()
            .min_by_key(|deadline| deadline.due_ms.load(Ordering::Relaxed));
        let due_ms = first.map_or(u64::MAX, |first| first.due_ms.load(Ordering::Relaxed));
        self.sent_due_ms.store(due_ms, Ordering::Relaxed);
        first
            .filter(|_| due_ms <= self.after(0))
            .map(|first| first.request_id)
    }

    /// The answers that are being sent.
    fn sent(&self) -> MutexGuard<'_, Vec<Arc<Deadline>>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests turn out to run still.
    pub(super) fn runs_on(&self) {
        self.enter(RUNNING, NEVER_MS);
    }
}

/// Until when a client is to take the next piece of its answer.
struct Deadline {
    /// What it asked.
    request_id: RequestId,
    /// In milliseconds after the connection's epoch.
    due_ms: AtomicU64,
}

/// An answer that is being sent in pieces: a request that runs until this is dropped.
pub(super) struct Sending {
    /// Of its connection.
    activity: Arc<Activity>,
    /// Until when the next piece is to be taken.
    deadline: Arc<Deadline>,
}

impl Sending {
    /// The first piece may be taken.
    pub(super) fn begin(activity: Arc<Activity>, request_id: RequestId) -> Self {
        activity.request_begins();
        let due_ms = activity.after(activity.send_ms);
        let deadline = Arc::new(Deadline {
            request_id,
            due_ms: AtomicU64::new(due_ms),
        });
        let mut sent = activity.sent();
        sent.push(Arc::clone(&deadline));
        // Under the lock, so that nobody who looks at the others meanwhile puts it off.
        activity.sent_due_ms.fetch_min(due_ms, Ordering::Relaxed);
        drop(sent);
        Self { activity, deadline }
    }

    /// A piece was taken. The timer learns of it when the old deadline is reached.
    pub(super) fn goes_on(&self) {
        let due_ms = self.activity.after(self.activity.send_ms);
        self.deadline.due_ms.store(due_ms, Ordering::Relaxed);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut sent = self.activity.sent();
        sent.retain(|deadline| !Arc::ptr_eq(deadline, &self.deadline));
        drop(sent);
        self.activity.request_ends();
    }
}
