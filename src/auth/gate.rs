//! How many argon2 computations run at once.
//!
//! Each takes memory and a core for tens of milliseconds. The rest wait in line, and the line has an end.

use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Lets a fixed number in.
pub struct Gate {
    /// Who is in and who waits.
    crowd: Mutex<Crowd>,
    /// Told when somebody leaves.
    left: Condvar,
    /// How many may be in.
    inside_max: usize,
    /// How many may wait.
    waiting_max: usize,
}

/// Who is at the gate.
#[derive(Default)]
struct Crowd {
    /// How many are in.
    inside: usize,
    /// How many wait.
    waiting: usize,
}

/// A place inside. Given back when dropped.
pub struct Place<'a>(&'a Gate);

impl Gate {
    /// A gate for `inside_max` (at least one) at once and `waiting_max` waiting.
    pub fn new(inside_max: usize, waiting_max: usize) -> Self {
        Self {
            crowd: Mutex::default(),
            left: Condvar::new(),
            inside_max: inside_max.max(1),
            waiting_max,
        }
    }

    /// Waits for a place; `None` when the line is full.
    pub fn enter(&self) -> Option<Place<'_>> {
        let mut crowd = self.crowd();
        if crowd.inside >= self.inside_max {
            if crowd.waiting >= self.waiting_max {
                return None;
            }
            crowd.waiting = crowd.waiting.saturating_add(1);
            crowd = self
                .left
                .wait_while(crowd, |crowd| crowd.inside >= self.inside_max)
                .unwrap_or_else(PoisonError::into_inner);
            crowd.waiting = crowd.waiting.saturating_sub(1);
        }
        crowd.inside = crowd.inside.saturating_add(1);
        Some(Place(self))
    }

    /// The counts. Two numbers cannot be half changed, so a panic elsewhere does not spoil them.
    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut crowd = self.0.crowd();
        crowd.inside = crowd.inside.saturating_sub(1);
        drop(crowd);
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use std::thread;

    use crate::auth::gate::Gate;

    #[test]
    fn no_more_than_allowed_are_in_and_everybody_gets_through() {
        let gate = Gate::new(2, 100);
        let inside = AtomicUsize::new(0);
        let passed = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    let place = gate.enter();
                    assert!(place.is_some());
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    passed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(passed.into_inner(), 50);
    }

    #[test]
    fn the_line_has_an_end() {
        let gate = Gate::new(1, 0);
        let place = gate.enter();
        assert!(place.is_some());
        assert!(gate.enter().is_none());
        drop(place);
        assert!(gate.enter().is_some());
    }
}
