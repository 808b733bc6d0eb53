//! What a cache counts.

use std::fmt;
use std::time::Duration;

use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many entries left, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removals {
    /// No room.
    pub evicted: u64,
    /// Their time was over; counted when it is noticed.
    pub expired: u64,
    /// Another value took their place.
    pub replaced: u64,
    /// Somebody asked.
    pub invalidated: u64,
    /// Everything was asked to go.
    pub purged: u64,
}

/// A cache's counts since it was built.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Lookups answered without a load, fresh, stale and negative together.
    pub hits: u64,
    /// Lookups that had to load, to wait for a load, or to go without.
    pub misses: u64,
    /// Hits on values past their freshness, and values served because their load failed or was slow.
    pub stale_hits: u64,
    /// Hits on known absences.
    pub negative_hits: u64,
    /// Lookups that waited for somebody else's load.
    pub coalesced: u64,
    /// Loads started. One of a batch is one, however many ids it is for.
    pub loads: u64,
    /// Loads that were not started, or left the queue at their deadline, since as many ran and queued as allowed: those
    /// who asked were told `Busy`. Neither among `loads` nor among `load_errors`.
    pub busy: u64,
    /// Loads that ended in an error, a panic or at their deadline.
    pub load_errors: u64,
    /// Loaded values that were not kept, since their key or a tag was invalidated meanwhile.
    pub refused: u64,
    /// What loaders of batches brought for ids that nobody had asked for: it is not kept.
    pub unasked: u64,
    /// Misses of this process's memory that the store had an entry for.
    pub store_hits: u64,
    /// Lookups that passed memory by ([`Entry::strong`](crate::Entry::strong)).
    pub strong: u64,
    /// Keys without a stable text, and values that could not be written for the store or were too large for it: they stay
    /// in this process.
    pub unshared: u64,
    /// Loads running now, and those that queue to run.
    pub loading: u64,
    /// Entries that left, by cause.
    pub removals: Removals,
    /// What the hits would have cost as loads: their number times the mean load time, an estimate.
    pub time_saved: Duration,
    /// How long loads took.
    pub load_time: Histogram,
    /// Entries now.
    pub len: u64,
    /// Their weights together; the same as `len` where entries are not weighed.
    pub weight: u64,
    /// The bound on `weight`; `None` for an unbounded cache.
    pub capacity: Option<u64>,
}

impl Stats {
    /// Hits among lookups, from 0 to 1; `None` before the first lookup.
    pub fn hit_rate(&self) -> Option<f64> {
        rate(self.hits, self.misses)
    }
}

/// Hits among lookups; `None` of none.
#[allow(clippy::cast_precision_loss, reason = "a rate of more than 2^52 lookups may be off in its 16th digit")]
pub(crate) fn rate(hits: u64, misses: u64) -> Option<f64> {
    let lookups = hits + misses;
    (lookups > 0).then(|| hits as f64 / lookups as f64)
}

/// Powers of two of a microsecond: 2^0 to 2^30 µs (18 minutes), and the rest.
const BUCKETS: usize = 32;

/// How long loads took, in buckets that double from one microsecond.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum: Duration,
}

impl Histogram {
    /// How many loads there are in it.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All their times together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Their mean; `None` before the first.
    pub fn mean(&self) -> Option<Duration> {
        let count = self.count();
        (count > 0).then(|| self.sum.div_f64(count as f64))
    }

    /// A time that the share `q` (0 to 1) of loads did not exceed: the upper end of its bucket, so at most double the
    /// exact one. `None` before the first load.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "q is clamped to 0..=1")]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|n| {
            seen += n;
            seen >= rank
        })?;
        (count > 0).then(|| Duration::from_micros(1 << bucket))
    }

    /// Upper bound and number of each bucket that has any.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let full = self.counts.iter().enumerate().filter(|(_, n)| **n > 0);
        full.map(|(bucket, n)| (Duration::from_micros(1 << bucket), *n))
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.buckets()).finish()
    }
}

/// What is counted off the hit path, by every thread.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) stale_served: AtomicU64,
    pub(crate) negative_hits: AtomicU64,
    pub(crate) coalesced: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) busy: AtomicU64,
    pub(crate) load_errors: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unasked: AtomicU64,
    pub(crate) loading: AtomicU64,
    pub(crate) store_hits: AtomicU64,
    pub(crate) unshared: AtomicU64,
    pub(crate) strong: AtomicU64,
    load_us: [AtomicU64; BUCKETS],
    load_sum_us: AtomicU64,
}

impl Counters {
    /// One more.
    pub(crate) fn bump(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn loaded_in(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = (64 - us.saturating_sub(1).leading_zeros() as usize).min(BUCKETS - 1);
        Self::bump(&self.load_us[bucket]);
        self.load_sum_us.fetch_add(us, Relaxed);
    }

    /// These counts as the public ones; the memory's own are added by the cache.
    pub(crate) fn read(&self) -> Stats {
        Stats {
            stale_hits: self.stale_served.load(Relaxed),
            negative_hits: self.negative_hits.load(Relaxed),
            coalesced: self.coalesced.load(Relaxed),
            loads: self.loads.load(Relaxed),
            busy: self.busy.load(Relaxed),
            load_errors: self.load_errors.load(Relaxed),
            refused: self.refused.load(Relaxed),
            unasked: self.unasked.load(Relaxed),
            loading: self.loading.load(Relaxed),
            store_hits: self.store_hits.load(Relaxed),
            unshared: self.unshared.load(Relaxed),
            strong: self.strong.load(Relaxed),
            load_time: Histogram {
                counts: std::array::from_fn(|i| self.load_us[i].load(Relaxed)),
                sum: Duration::from_micros(self.load_sum_us.load(Relaxed)),
            },
            ..Stats::default()
        }
    }
}
