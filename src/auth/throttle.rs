//! Counting failures so that guessing stays slow: by address, and by token id.
//!
//! A table has a fixed size, whoever asks and however often. It is cut into sets of a few slots each;
//! a key belongs to one set, and when its set is full the slot with the fewest failures is given up.
//! So a flood from many addresses can make the table forget other quiet addresses, never the loud ones,
//! and every call costs the same.

use std::hash::BuildHasher;
use std::hash::Hash;
use std::hash::RandomState;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::base::clock::Timestamp;

/// How long failures are held against a key, in milliseconds.
const WINDOW_MS: i64 = 60_000;
/// Slots in one set.
const WAYS: usize = 8;

/// Failures of one key within one window.
#[derive(Clone, Copy)]
struct Slot<K> {
    /// Whose failures.
    key: K,
    /// When the first of them happened; the window ends a minute later.
    since: Timestamp,
    /// How many there were.
    failures: u32,
}

impl<K> Slot<K> {
    /// Milliseconds until the window ends; `None` when it has. A clock that was set back ends it too.
    fn rest_ms(&self, now: Timestamp) -> Option<i64> {
        let passed = now.millis().saturating_sub(self.since.millis());
        (0..WINDOW_MS).contains(&passed).then(|| WINDOW_MS - passed)
    }
}

/// One set of slots.
type Set<K> = Mutex<[Option<Slot<K>>; WAYS]>;

/// Failures by key, bounded in size.
pub struct Throttle<K> {
    /// The slots.
    sets: Box<[Set<K>]>,
    /// Spreads keys over the sets, differently in each process, so that nobody can aim at one set.
    hasher: RandomState,
    /// From how many failures within a minute on a key has to wait.
    failures_max: u32,
}

impl<K: Copy + Eq + Hash> Throttle<K> {
    /// A table for about `keys_max` keys that holds a key back from `failures_max` failures within a minute on.
    pub fn new(keys_max: usize, failures_max: u32) -> Self {
        let sets = keys_max.div_ceil(WAYS).max(1);
        Self {
            sets: (0..sets).map(|_| Mutex::new([None; WAYS])).collect(),
            hasher: RandomState::new(),
            failures_max,
        }
    }

    /// Seconds that `key` has to wait, at least 1; `None` when it may go on.
    pub fn wait_s(&self, key: K, now: Timestamp) -> Option<u32> {
        let set = self
            .set(key)?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let slot = set.iter().flatten().find(|slot| slot.key == key)?;
        let rest_ms = slot.rest_ms(now)?;
        (slot.failures >= self.failures_max)
            .then(|| u32::try_from(rest_ms.saturating_add(999) / 1000).unwrap_or(u32::MAX))
    }

    /// Notes a failure of `key`.
    pub fn failed(&self, key: K, now: Timestamp) {
        let Some(set) = self.set(key) else { return };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = set.iter_mut().flatten().find(|slot| slot.key == key) {
            if slot.rest_ms(now).is_some() {
                slot.failures = slot.failures.saturating_add(1);
            } else {
                slot.since = now;
                slot.failures = 1;
            }
            return;
        }
        let fewest = set.iter_mut().min_by_key(|slot| match slot {
            Some(slot) if slot.rest_ms(now).is_some() => slot.failures,
            // Empty, or its window is over.
            Some(_) | None => 0,
        });
        if let Some(slot) = fewest {
            *slot = Some(Slot {
                key,
                since: now,
                failures: 1,
            });
        }
    }

    /// The set that `key` belongs to.
    fn set(&self, key: K) -> Option<&Set<K>> {
        let sets = u64::try_from(self.sets.len()).ok()?;
        let at = self.hasher.hash_one(key).checked_rem(sets)?;
        self.sets.get(usize::try_from(at).ok()?)
    }
}

/// What failures are counted by for a caller at `address`: IPv4 whole, IPv6 by its /64, since one
/// subscriber has all of it.
pub fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use crate::auth::throttle::Throttle;
    use crate::auth::throttle::WAYS;
    use crate::auth::throttle::address_key;
    use crate::base::clock::Timestamp;

    #[test]
    fn the_last_allowed_failure_closes_the_window_until_its_minute_is_over() {
        let throttle = Throttle::new(16, 3);
        let at = Timestamp::from_millis;
        for (now, expected) in [
            (at(1_000), None),
            (at(2_000), None),
            (at(2_500), None),
            // The third failure came at 2.5 s; the window began at 1 s.
            (at(3_000), Some(58)),
            (at(60_000), Some(1)),
            (at(60_999), Some(1)),
            (at(61_000), None),
            // A new window: counting begins again.
            (at(61_001), None),
        ] {
            assert_eq!(throttle.wait_s('a', now), expected, "{now:?}");
            if expected.is_none() {
                throttle.failed('a', now);
            }
        }
        assert_eq!(throttle.wait_s('b', at(3_000)), None);
    }

    #[test]
    fn a_clock_set_back_does_not_lock_anybody_out() {
        let throttle = Throttle::new(16, 1);
        throttle.failed('a', Timestamp::from_millis(1_000_000));
        assert_eq!(throttle.wait_s('a', Timestamp::from_millis(999_999)), None);
    }

    #[test]
    fn a_flood_of_keys_does_not_displace_the_loud_one() {
        let throttle = Throttle::new(WAYS, 2);
        let now = Timestamp::from_millis(0);
        throttle.failed(0, now);
        throttle.failed(0, now);
        for key in 1..10_000_u32 {
            throttle.failed(key, now);
        }
        assert_eq!(throttle.wait_s(0, now), Some(60));
        assert_eq!(throttle.sets.len(), 1);
    }

    #[test]
    fn addresses_are_counted_by_who_holds_them() {
        for (address, key) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            let key: IpAddr = key.parse().unwrap();
            assert_eq!(address_key(address.parse().unwrap()), key, "{address}");
        }
    }
}
