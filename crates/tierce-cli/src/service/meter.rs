//! What lookups took and how they ended, measured where the service asks its caches.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;

/// Lookups that the page lists; a screen shows no more.
const RECENT: usize = 12;

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// Fresh from memory; a known absence among them.
    Hit,
    /// Past its time, served while it is reloaded or since that failed.
    Stale,
    /// Loaded, or waited for somebody else's load.
    Miss,
    /// No answer: the load failed, was too slow or turned away.
    Failed,
}

/// Counts of the lookups since they were last taken.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) hits: u64,
    pub(super) stale: u64,
    pub(super) misses: u64,
    pub(super) failed: u64,
    /// Of hits, stale ones among them.
    pub(super) served: Histogram,
    /// Of misses and failures.
    pub(super) waited: Histogram,
}

/// A lookup of a moment ago.
#[derive(Clone, Serialize)]
pub(super) struct Recent {
    pub(super) cache: &'static str,
    pub(super) key: String,
    pub(super) outcome: Outcome,
    pub(super) took_us: f64,
}

/// Where each lookup is noted.
pub(super) struct Meter {
    tally: Mutex<Tally>,
    recent: Mutex<VecDeque<Recent>>,
    /// Lookups without an answer since the start.
    failed: AtomicU64,
}

impl Tally {
    pub(super) fn lookups(&self) -> u64 {
        self.hits + self.stale + self.misses + self.failed
    }

    /// With that of another process.
    pub(super) fn merge(&mut self, other: &Self) {
        self.hits += other.hits;
        self.stale += other.stale;
        self.misses += other.misses;
        self.failed += other.failed;
        self.served.merge(&other.served);
        self.waited.merge(&other.waited);
    }
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { tally: Mutex::new(Tally::default()), recent: Mutex::default(), failed: AtomicU64::new(0) }
    }

    pub(super) fn note(&self, cache: &'static str, key: String, outcome: Outcome, took: Duration) {
        let mut tally = lock(&self.tally);
        match outcome {
            Outcome::Hit => tally.hits += 1,
            Outcome::Stale => tally.stale += 1,
            Outcome::Miss => tally.misses += 1,
            Outcome::Failed => tally.failed += 1,
        }
        match outcome {
            Outcome::Hit | Outcome::Stale => tally.served.record(took),
            Outcome::Miss | Outcome::Failed => tally.waited.record(took),
        }
        drop(tally);
        self.failed.fetch_add(u64::from(outcome == Outcome::Failed), Ordering::Relaxed);
        let mut recent = lock(&self.recent);
        if recent.len() == RECENT {
            recent.pop_back();
        }
        recent.push_front(Recent { cache, key, outcome, took_us: micros(took) });
    }

    /// The counts since the last time, which begin anew.
    pub(super) fn take(&self) -> Tally {
        std::mem::take(&mut *lock(&self.tally))
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// The newest lookups, the newest first.
    pub(super) fn recent(&self) -> Vec<Recent> {
        lock(&self.recent).iter().cloned().collect()
    }
}

/// Microseconds, with as many digits as anybody reads.
pub(super) fn micros(took: Duration) -> f64 {
    (took.as_nanos() as f64 / 10.0).round() / 100.0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock can panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_holds_what_ended_since_the_last_and_the_list_stays_short() {
        let meter = Meter::new();
        for at in 0..100 {
            meter.note("places", at.to_string(), Outcome::Hit, Duration::from_micros(1));
        }
        meter.note("places", "last".to_owned(), Outcome::Failed, Duration::from_secs(2));
        let tally = meter.take();
        assert_eq!((tally.hits, tally.failed, tally.lookups()), (100, 1, 101));
        assert!(tally.served.quantile(0.99) < Duration::from_micros(2));
        assert!(tally.waited.quantile(0.5) > Duration::from_secs(1));
        assert_eq!(meter.take().lookups(), 0);
        let recent = meter.recent();
        assert_eq!((recent.len(), recent[0].key.as_str()), (RECENT, "last"));
    }
}
