//! What a memory has counted: lookups by thread (`stripes.rs`), removals under each shard's lock.

use super::fallout::Cause;
use crate::stats::{Removals, rate};

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
    pub fn hit_rate(&self) -> Option<f64> {
        rate(self.hits, self.misses)
    }
}

impl Removals {
    #[inline]
    pub(super) fn count(&mut self, cause: Cause) {
        match cause {
            Cause::Evicted => self.evicted += 1,
            Cause::Expired => self.expired += 1,
            Cause::Replaced => self.replaced += 1,
            Cause::Invalidated => self.invalidated += 1,
            Cause::Purged => self.purged += 1,
        }
    }

    pub(super) fn add(&mut self, other: Removals) {
        self.evicted += other.evicted;
        self.expired += other.expired;
        self.replaced += other.replaced;
        self.invalidated += other.invalidated;
        self.purged += other.purged;
    }
}
