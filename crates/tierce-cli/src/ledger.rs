//! Which reads were stale, exactly.
//!
//! An update is *settled* once both the update and the invalidation after it have returned. A read is stale if it began
//! after an update was settled and yet returned the row as it was before that update. Rows carry a version that every
//! update raises by one, and a place is updated by one task of one process, so the time at which version `v + 1` settled
//! decides: a read that returned version `v` is stale if that time lies before the read's beginning.
//!
//! Where other processes update too, what they settle is known here only later. Reads of places that they may be about to
//! update are put aside, and judged when it is.

use std::collections::HashMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::place::Place;

/// The settled updates of one contender's database. Times are nanoseconds of the machine's common clock.
pub(crate) struct Ledger {
    /// By rank: the newest settled version. Nearly every read is judged by this one load.
    newest: Vec<AtomicU32>,
    /// By rank: whether it may be updated at present, by whomever.
    open: Vec<AtomicBool>,
    /// By rank: when version 1, 2, 3 … settled, and in which process.
    settled: RwLock<HashMap<u32, Vec<(u64, u32)>>>,
}

/// When an update settles whose invalidation could not be told.
pub(crate) const NEVER: u64 = u64::MAX;

/// An update that is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settled {
    pub(crate) rank: u32,
    pub(crate) version: u32,
    pub(crate) at_ns: u64,
    /// The process that updated.
    pub(crate) process: u32,
}

/// What a read turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fresh,
    /// It began so long after the update that it does not show had settled, in that process.
    Stale(Duration, u32),
    /// Not known yet: it is to be judged once more when others have told what they settled.
    Later,
}

impl Ledger {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            newest: (0..places).map(|_| AtomicU32::new(0)).collect(),
            open: (0..places).map(|_| AtomicBool::new(false)).collect(),
            settled: RwLock::default(),
        }
    }

    /// From here on reads of these places are to be judged later, or no longer.
    pub(crate) fn set_open(&self, ranks: impl Iterator<Item = u32>, open: bool) {
        for rank in ranks {
            self.open[rank as usize].store(open, Ordering::Release);
        }
    }

    /// Notes that an update, and the invalidation after it, had returned by then.
    pub(crate) fn settle(&self, update: Settled) {
        let mut settled = self.settled.write().expect("no holder of this lock can panic");
        let times = settled.entry(update.rank).or_default();
        // The k-th element belongs to version k + 1; nothing but the race updates this database.
        debug_assert_eq!(times.len() + 1, update.version as usize);
        times.push((update.at_ns, update.process));
        self.newest[update.rank as usize].store(update.version, Ordering::Release);
    }

    /// What a read is that began then and returned this version of a place, as far as is known.
    pub(crate) fn judge(&self, place: &Place, began_ns: u64) -> Verdict {
        if self.open[place.rank as usize].load(Ordering::Acquire) {
            return Verdict::Later;
        }
        self.judge_now(place.rank, place.version, began_ns)
    }

    /// The same, by what is known.
    pub(crate) fn judge_now(&self, rank: u32, version: u32, began_ns: u64) -> Verdict {
        if self.newest[rank as usize].load(Ordering::Acquire) <= version {
            return Verdict::Fresh;
        }
        let settled = self.settled.read().expect("no holder of this lock can panic");
        // The first that it does not show, by the time at which it settled.
        let missed = settled.get(&rank).and_then(|times| times.get(version as usize..)?.iter().min());
        match missed {
            Some((at_ns, process)) if *at_ns < began_ns => {
                Verdict::Stale(Duration::from_nanos(began_ns - at_ns), *process)
            }
            _ => Verdict::Fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn settled(version: u32, at_ns: u64) -> Settled {
        Settled { rank: 0, version, at_ns, process: version }
    }

    #[test]
    fn only_a_read_that_began_after_the_next_version_settled_is_stale() {
        let ledger = Ledger::new(1);
        ledger.settle(settled(1, 10));
        ledger.settle(settled(2, 20));
        let check = |version, began_ns, expected| assert_eq!(ledger.judge(&place(version), began_ns), expected);
        check(0, 5, Verdict::Fresh);
        check(0, 15, Verdict::Stale(Duration::from_nanos(5), 1));
        check(1, 15, Verdict::Fresh);
        check(1, 25, Verdict::Stale(Duration::from_nanos(5), 2));
        check(2, 25, Verdict::Fresh);
        check(3, 25, Verdict::Fresh);
        // The third could not be told.
        ledger.settle(settled(3, NEVER));
        check(2, 35, Verdict::Fresh);
        ledger.settle(settled(4, 40));
        check(2, 45, Verdict::Stale(Duration::from_nanos(5), 4));
    }

    #[test]
    fn a_read_of_a_place_that_others_may_be_updating_is_judged_when_they_have_told() {
        let ledger = Ledger::new(1);
        ledger.set_open([0].into_iter(), true);
        assert_eq!(ledger.judge(&place(0), 15), Verdict::Later);
        ledger.settle(settled(1, 10));
        assert_eq!(ledger.judge(&place(0), 15), Verdict::Later);
        assert_eq!(ledger.judge_now(0, 0, 15), Verdict::Stale(Duration::from_nanos(5), 1));
        ledger.set_open([0].into_iter(), false);
        assert_eq!(ledger.judge(&place(0), 9), Verdict::Fresh);
    }
}
