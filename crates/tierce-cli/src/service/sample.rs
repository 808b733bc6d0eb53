//! One sample of the live feed: what the caches and the database did in half a second.

use std::time::Duration;

use serde::Serialize;

use super::account::Account;
use super::backend::Trouble;
use super::meter::micros;
use crate::database::Health;
use crate::histogram::Histogram;

/// What happened in one interval. Rates are per second, times in the unit of their name.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    seq: u64,
    at_ms: u64,
    health: Health,
    /// What the server is made to suffer that the processes share.
    trouble: Trouble,
    /// Lookups that ended, and of them: fresh hits, stale ones, those that found the store's
    /// entry (`None` without one), misses, failures.
    lookups: f64,
    hits: f64,
    stale: f64,
    found: Option<f64>,
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

impl Sample {
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// What happened since `before`, `length` ago.
    pub(super) fn new(
        (seq, at_ms): (u64, u64),
        (health, trouble): (Health, Trouble),
        now: &Account,
        before: &Account,
        length: Duration,
    ) -> Self {
        let tally = &now.tally;
        let seconds = length.as_secs_f64().max(1e-3);
        let rate = |number: u64| round(number as f64 / seconds);
        let grown = |of: fn(&Account) -> u64| of(now).saturating_sub(of(before));
        let per_second = |time: Duration| round(time.as_secs_f64() * 1e3 / seconds);
        let spent = |account: &Account| account.costs.iter().map(|cost| cost.time).sum::<Duration>();
        // A lookup that finds the store's entry waits for it, but for no load.
        let found = grown(|account| account.sum(|counts| counts.store_hits)).min(tally.misses);
        Self {
            seq,
            at_ms,
            health,
            trouble,
            lookups: rate(tally.lookups()),
            hits: rate(tally.hits),
            stale: rate(tally.stale),
            found: now.store.as_ref().map(|_| rate(found)),
            misses: rate(tally.misses - found),
            failed: rate(tally.failed),
            hit_p50_us: quantile(&tally.served, 0.5),
            hit_p99_us: quantile(&tally.served, 0.99),
            miss_p50_us: quantile(&tally.waited, 0.5),
            miss_p99_us: quantile(&tally.waited, 0.99),
            queries: rate(grown(|account| account.queries.reads())),
            queued: now.queued,
            loads: rate(grown(|account| account.sum(|counts| counts.loads))),
            coalesced: rate(grown(|account| account.sum(|counts| counts.coalesced))),
            load_errors: rate(grown(|account| account.sum(|counts| counts.load_errors))),
            saved_ms: per_second(saved(now, before)),
            spent_ms: per_second(spent(now).saturating_sub(spent(before))),
            entries: now.caches.map(|counts| counts.entries),
            tags: rate(grown(|account| account.tags)),
            invalidated: rate(grown(|account| account.sum(|counts| counts.invalidated))),
            refused: rate(grown(|account| account.sum(|counts| counts.refused))),
        }
    }
}

/// What the hits since `before` would have cost the database: their number times what a query for their cache takes.
fn saved(now: &Account, before: &Account) -> Duration {
    let hits = now.caches.iter().zip(&before.caches).map(|(now, before)| now.hits.saturating_sub(before.hits));
    hits.zip(&now.costs).map(|(hits, cost)| cost.mean().mul_f64(hits as f64)).sum()
}

/// In microseconds; `None` where nothing was recorded.
fn quantile(times: &Histogram, share: f64) -> Option<f64> {
    Some(micros(times.quantile(share))).filter(|time| *time > 0.0)
}

/// One decimal: no plot shows more.
fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
