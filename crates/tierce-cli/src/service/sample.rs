//! One sample of the live feed: what the caches and the database did in half a second.

use std::time::Duration;

use serde::Serialize;

use super::front::Front;
use super::meter::micros;
use crate::database::{Cost, Database, Health};
use crate::histogram::Histogram;

/// The caches in the order of the page.
pub(super) const CACHES: [&str; 3] = ["places", "countries", "searches"];

/// What happened in one interval. Rates are per second, times in the unit of their name.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    seq: u64,
    at_ms: u64,
    health: Health,
    /// Lookups that ended, and of them: fresh hits, stale ones, misses, failures.
    lookups: f64,
    hits: f64,
    stale: f64,
    misses: f64,
    failed: f64,
    hit_p50_us: Option<f64>,
    hit_p99_us: Option<f64>,
    miss_p50_us: Option<f64>,
    miss_p99_us: Option<f64>,
    /// Queries that the database ran, updates apart.
    queries: f64,
    queued: u64,
    loads: f64,
    coalesced: f64,
    load_errors: f64,
    /// Milliseconds of the database's work that hits spared, and that queries took, in each second.
    saved_ms: f64,
    spent_ms: f64,
    entries: [u64; 3],
    tags: f64,
    invalidated: f64,
    refused: f64,
}

/// What only grows, at one moment.
#[derive(Default)]
pub(super) struct Counts {
    queries: u64,
    loads: u64,
    coalesced: u64,
    load_errors: u64,
    invalidated: u64,
    refused: u64,
    tags: u64,
    spent: Duration,
    /// Of each cache.
    hits: [u64; 3],
    /// Not a count: what a query for each cache takes on average, to price its hits by.
    mean_query: [Duration; 3],
    /// Nor this: what each cache holds.
    entries: [u64; 3],
}

impl Counts {
    pub(super) fn of(front: &Front, database: &Database) -> Self {
        let queries = database.queries().reads();
        let costs = database.costs();
        let mut counts = Self {
            queries,
            tags: front.tags_invalidated(),
            spent: costs.iter().map(|cost| cost.time).sum(),
            mean_query: costs.map(Cost::mean),
            ..Self::default()
        };
        for (name, stats) in front.tierce.stats() {
            counts.loads += stats.loads;
            counts.coalesced += stats.coalesced;
            counts.load_errors += stats.load_errors;
            counts.invalidated += stats.removals.invalidated;
            counts.refused += stats.refused;
            if let Some(at) = CACHES.iter().position(|cache| *cache == name) {
                counts.hits[at] = stats.hits;
                counts.entries[at] = stats.len;
            }
        }
        counts
    }

    /// What the hits since `before` would have cost the database.
    fn saved_since(&self, before: &Self) -> Duration {
        let hits = self.hits.iter().zip(&before.hits).map(|(now, before)| now.saturating_sub(*before));
        hits.zip(&self.mean_query).map(|(hits, mean)| mean.mul_f64(hits as f64)).sum()
    }
}

impl Sample {
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// What happened since `before`, `length` ago; and the counts that the next one is compared with.
    pub(super) fn new(
        (seq, at_ms): (u64, u64),
        front: &Front,
        database: &Database,
        before: &Counts,
        length: Duration,
    ) -> (Self, Counts) {
        let tally = front.meter.take();
        let now = Counts::of(front, database);
        let seconds = length.as_secs_f64().max(1e-3);
        let rate = |number: u64| round(number as f64 / seconds);
        let grown = |of: fn(&Counts) -> u64| rate(of(&now).saturating_sub(of(before)));
        let per_second = |time: Duration| round(time.as_secs_f64() * 1e3 / seconds);
        let sample = Self {
            seq,
            at_ms,
            health: database.health().0,
            lookups: rate(tally.lookups()),
            hits: rate(tally.hits),
            stale: rate(tally.stale),
            misses: rate(tally.misses),
            failed: rate(tally.failed),
            hit_p50_us: quantile(&tally.served, 0.5),
            hit_p99_us: quantile(&tally.served, 0.99),
            miss_p50_us: quantile(&tally.waited, 0.5),
            miss_p99_us: quantile(&tally.waited, 0.99),
            queries: grown(|counts| counts.queries),
            queued: database.queued(),
            loads: grown(|counts| counts.loads),
            coalesced: grown(|counts| counts.coalesced),
            load_errors: grown(|counts| counts.load_errors),
            saved_ms: per_second(now.saved_since(before)),
            spent_ms: per_second(now.spent.saturating_sub(before.spent)),
            entries: now.entries,
            tags: grown(|counts| counts.tags),
            invalidated: grown(|counts| counts.invalidated),
            refused: grown(|counts| counts.refused),
        };
        (sample, now)
    }
}

/// In microseconds; `None` where nothing was recorded.
fn quantile(times: &Histogram, share: f64) -> Option<f64> {
    Some(micros(times.quantile(share))).filter(|time| *time > 0.0)
}

/// One decimal: no plot shows more.
fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
