//! Which reads were stale, exactly.
//!
//! An update is *settled* once both the update and the invalidation after it have returned. A read is stale if it began
//! after an update was settled and yet returned the row as it was before that update. Rows carry a version that every
//! update raises by one, and places are updated by one task, so the time at which version `v + 1` settled decides: a
//! read that returned version `v` is stale if that time lies before the read's beginning.

use std::collections::HashMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::place::Place;

/// The settled updates of one contender's database.
pub(crate) struct Ledger {
    /// By rank: the newest settled version. Nearly every read is judged by this one load.
    newest: Vec<AtomicU32>,
    /// By rank: when version 1, 2, 3 … settled.
    settled: RwLock<HashMap<u32, Vec<Instant>>>,
}

impl Ledger {
    pub(crate) fn new(places: usize) -> Self {
        Self { newest: (0..places).map(|_| AtomicU32::new(0)).collect(), settled: RwLock::default() }
    }

    /// Notes that the update which made `place` what it is, and the invalidation after it, had returned by `at`.
    pub(crate) fn settle(&self, place: &Place, at: Instant) {
        let mut settled = self.settled.write().expect("no holder of this lock can panic");
        let times = settled.entry(place.rank).or_default();
        // The k-th element belongs to version k + 1; nothing but the race updates this database.
        debug_assert_eq!(times.len() + 1, place.version as usize);
        times.push(at);
        self.newest[place.rank as usize].store(place.version, Ordering::Release);
    }

    /// Whether a read that began at `began` and returned `place` was stale.
    pub(crate) fn is_stale(&self, place: &Place, began: Instant) -> bool {
        if self.newest[place.rank as usize].load(Ordering::Acquire) <= place.version {
            return false;
        }
        let settled = self.settled.read().expect("no holder of this lock can panic");
        settled.get(&place.rank).and_then(|times| times.get(place.version as usize)).is_some_and(|at| *at < began)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    fn place(version: u32) -> Place {
        Place {
            id: 7,
            name: String::new(),
            country: String::new(),
            population: 0,
            latitude: 0.0,
            longitude: 0.0,
            timezone: String::new(),
            rank: 0,
            version,
        }
    }

    #[test]
    fn only_a_read_that_began_after_the_next_version_settled_is_stale() {
        let ledger = Ledger::new(1);
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        ledger.settle(&place(1), at(10));
        ledger.settle(&place(2), at(20));
        assert!(!ledger.is_stale(&place(0), at(5)));
        assert!(ledger.is_stale(&place(0), at(15)));
        assert!(!ledger.is_stale(&place(1), at(15)));
        assert!(ledger.is_stale(&place(1), at(25)));
        assert!(!ledger.is_stale(&place(2), at(25)));
        assert!(!ledger.is_stale(&place(3), at(25)));
    }
}
