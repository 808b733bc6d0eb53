//! What a memory counts, kept plain under each shard's lock: a hit pays one increment of a line it owns already.

use super::fallout::Cause;
use crate::stats::Removals;

/// One shard's counts.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) removals: Removals,
    /// Hits on values past their freshness, counted by the cache.
    pub(crate) stale_hits: u64,
    /// Hits on known absences, counted by the cache.
    pub(crate) negative_hits: u64,
}

/// A memory's counts since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Lookups that found a live entry.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Entries that left, by cause.
    pub removals: Removals,
    /// Entries now; expired ones that nobody noticed yet among them.
    pub len: u64,
    /// Their weights together; the same as `len` where entries are not weighed.
    pub weight: u64,
    /// The bound on `weight`; `None` for an unbounded memory.
    pub capacity: Option<u64>,
}

impl Stats {
    /// Hits among lookups, from 0 to 1; `None` before the first lookup.
    #[allow(clippy::cast_precision_loss, reason = "a rate of more than 2^52 lookups may be off in its 16th digit")]
    pub fn hit_rate(&self) -> Option<f64> {
        let lookups = self.hits + self.misses;
        (lookups > 0).then(|| self.hits as f64 / lookups as f64)
    }
}

impl Tally {
    #[inline]
    pub(crate) fn count(&mut self, cause: Cause) {
        let removals = &mut self.removals;
        match cause {
            Cause::Evicted => removals.evicted += 1,
            Cause::Expired => removals.expired += 1,
            Cause::Replaced => removals.replaced += 1,
            Cause::Invalidated => removals.invalidated += 1,
            Cause::Purged => removals.purged += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.stale_hits += other.stale_hits;
        self.negative_hits += other.negative_hits;
        self.removals.evicted += other.removals.evicted;
        self.removals.expired += other.removals.expired;
        self.removals.replaced += other.removals.replaced;
        self.removals.invalidated += other.removals.invalidated;
        self.removals.purged += other.removals.purged;
    }
}
