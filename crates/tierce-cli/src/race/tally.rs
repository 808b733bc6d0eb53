//! What clients count.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seconds::{as_seconds, from_seconds};
use crate::histogram::Histogram;
use crate::ledger::{Ledger, Verdict};

/// Requests, how long they took, and which were stale.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) stale: Stale,
    pub(super) latencies: Histogram,
    /// Reads that cannot be judged yet.
    pub(super) later: Vec<Later>,
}

/// A place that a read showed, to be judged when it is known what was settled meanwhile.
pub(super) struct Later {
    /// The number of the read among those of its client.
    pub(super) read: u64,
    pub(super) rank: u32,
    pub(super) version: u32,
    pub(super) began_ns: u64,
}

/// Stale reads.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stale {
    pub(crate) reads: u64,
    /// Of these, in another process than the one that had updated and invalidated.
    pub(crate) elsewhere: u64,
    /// How long after the invalidation had returned the last of them began.
    #[serde(rename = "worst_seconds", serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub(crate) worst: Duration,
}

impl Stale {
    pub(super) fn note(&mut self, by: Duration, elsewhere: bool) {
        self.reads += 1;
        self.elsewhere += u64::from(elsewhere);
        self.worst = self.worst.max(by);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.reads += other.reads;
        self.elsewhere += other.elsewhere;
        self.worst = self.worst.max(other.worst);
    }
}

impl Tally {
    /// Takes over what one client counted in a slice.
    pub(super) fn merge(&mut self, other: Self) {
        // Reads are numbered by client and slice: the numbers of the next one go on after those of the last.
        let before = self.requests;
        self.requests += other.requests;
        self.stale.merge(other.stale);
        self.latencies.merge(&other.latencies);
        self.later.extend(other.later.into_iter().map(|later| Later { read: later.read + before, ..later }));
    }

    /// Judges the reads that had to wait, in this process.
    pub(super) fn judge(&mut self, ledger: &Ledger, process: u32) {
        let later = std::mem::take(&mut self.later);
        for read in later.chunk_by(|one, next| one.read == next.read) {
            let verdicts = read.iter().map(|shown| ledger.judge_now(shown.rank, shown.version, shown.began_ns));
            let worst = verdicts.filter_map(|verdict| match verdict {
                Verdict::Stale(by, process) => Some((by, process)),
                Verdict::Fresh | Verdict::Later => None,
            });
            if let Some((by, updater)) = worst.max() {
                self.stale.note(by, updater != process);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Settled;

    #[test]
    fn a_read_that_shows_two_old_rows_is_stale_once_by_the_older() {
        let ledger = Ledger::new(3);
        for (rank, at_ns) in [(0, 10), (1, 30), (2, 90)] {
            ledger.settle(Settled { rank, version: 1, at_ns, process: 1 });
        }
        let later = |read, rank| Later { read, rank, version: 0, began_ns: 40 };
        let mut tally = Tally { later: vec![later(1, 0), later(1, 1), later(2, 2), later(3, 1)], ..Tally::default() };
        tally.judge(&ledger, 0);
        assert_eq!((tally.stale.reads, tally.stale.elsewhere), (2, 2));
        assert_eq!(tally.stale.worst, Duration::from_nanos(30));
        assert!(tally.later.is_empty());
    }
}
