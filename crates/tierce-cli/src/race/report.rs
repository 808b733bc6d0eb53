//! What a race measured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seconds::{as_seconds, from_seconds};
use super::tally::Stale;
use crate::contender::Kept;
use crate::database::Queries;
use crate::histogram::Histogram;

/// The result of a race; `--json` prints it as it is here.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The load in words.
    pub(crate) load: String,
    /// How many slices each contender had, and how long one was.
    pub(crate) turns: u32,
    pub(crate) slice_ms: f64,
    /// Callers in each stampede, in each process.
    pub(crate) callers: u32,
    /// No cache, the guide, tierce.
    pub(crate) columns: Vec<Column>,
    /// What several processes shared, if there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shared: Option<Shared>,
    /// What the death of the server cost, where it was this run's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outage: Option<Outage>,
}

/// What the processes of a race shared.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shared {
    pub(crate) processes: u32,
    /// The store, without secrets.
    pub(crate) store: String,
    /// For how long tierce promises that others' invalidations may be missed.
    #[serde(rename = "bound_seconds", serialize_with = "as_seconds")]
    pub(crate) bound: Duration,
}

/// What the death of the server cost tierce's callers, in all processes.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outage {
    pub(crate) lookups: u64,
    pub(crate) failed: u64,
    /// Of hits, before and meanwhile.
    #[serde(rename = "hit_p99_before_seconds", serialize_with = "as_seconds")]
    pub(crate) hit_before: Duration,
    #[serde(rename = "hit_p99_seconds", serialize_with = "as_seconds")]
    pub(crate) hit: Duration,
    /// Misses that waited for the store, and the longest that any took.
    pub(crate) waited: u64,
    #[serde(rename = "longest_seconds", serialize_with = "as_seconds")]
    pub(crate) longest: Duration,
    /// Of the other misses, their load included, before and meanwhile.
    #[serde(rename = "miss_p99_before_seconds", serialize_with = "as_seconds")]
    pub(crate) miss_before: Duration,
    #[serde(rename = "miss_p99_seconds", serialize_with = "as_seconds")]
    pub(crate) miss: Duration,
    /// From the moment at which it went on, or answered again after a restart, until all processes used it.
    #[serde(rename = "after_freeze_seconds", serialize_with = "as_seconds")]
    pub(crate) after_freeze: Duration,
    #[serde(rename = "after_restart_seconds", serialize_with = "as_seconds")]
    pub(crate) after_restart: Duration,
}

/// The figures of one contender. All but the stampedes and the memory belong to the slices alone.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    #[serde(rename = "p50_seconds", serialize_with = "as_seconds")]
    pub(crate) p50: Duration,
    #[serde(rename = "p99_seconds", serialize_with = "as_seconds")]
    pub(crate) p99: Duration,
    /// As the database itself counts them.
    pub(crate) queries: Queries,
    /// Updates that the race asked for; the database counts them too, in `queries`.
    pub(crate) updates: u64,
    /// Of the invalidations after them, those that the store did not take in time; it was told again.
    #[serde(skip_serializing_if = "is_none")]
    pub(crate) untold: u64,
    pub(crate) stale_reads: u64,
    /// Of these, in other processes than the one that had updated.
    pub(crate) stale_reads_elsewhere: u64,
    /// How long after the invalidation had returned the last of them began.
    #[serde(rename = "stalest_seconds", serialize_with = "as_seconds")]
    pub(crate) stalest: Duration,
    /// What the server ran, commands within scripts counted singly; `None` where that was not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commands: Option<u64>,
    pub(crate) kept: Kept,
    pub(crate) stampede: Stampede,
    pub(crate) absent_stampede: Stampede,
    /// Bytes given back when the cache was dropped; `None` if that could not be measured.
    pub(crate) memory_bytes: Option<u64>,
}

/// What a stampede cost.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stampede {
    /// Queries that reached the database.
    pub(crate) loads: u64,
    /// From the first caller's question to the last one's answer.
    #[serde(rename = "seconds", serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub(crate) took: Duration,
}

/// What one process measured of one contender.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) latencies: Histogram,
    pub(crate) queries: Queries,
    pub(crate) updates: u64,
    pub(crate) untold: u64,
    pub(crate) stale: Stale,
    pub(crate) kept: Kept,
}

impl Part {
    /// Of two processes that ran at the same time.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.seconds = self.seconds.max(other.seconds);
        self.latencies.merge(&other.latencies);
        self.queries = self.queries + other.queries;
        self.updates += other.updates;
        self.untold += other.untold;
        self.stale.merge(other.stale);
        self.kept.merge(other.kept);
    }
}

impl Column {
    pub(crate) fn new(name: &'static str, part: &Part) -> Self {
        Self {
            name,
            requests: part.requests,
            seconds: part.seconds,
            p50: part.latencies.quantile(0.50),
            p99: part.latencies.quantile(0.99),
            queries: part.queries,
            updates: part.updates,
            untold: part.untold,
            stale_reads: part.stale.reads,
            stale_reads_elsewhere: part.stale.elsewhere,
            stalest: part.stale.worst,
            kept: part.kept,
            ..Self::default()
        }
    }

    /// Commands that the server ran for each thousand requests.
    pub(crate) fn commands_per_thousand(&self) -> Option<f64> {
        let commands = self.commands.filter(|_| self.requests > 0)?;
        Some(commands as f64 * 1e3 / self.requests as f64)
    }

    pub(crate) fn requests_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.requests as f64 / self.seconds } else { 0.0 }
    }

    /// Database queries for each thousand requests, updates apart. Columns serve different numbers of requests in the
    /// same time, so that only this compares.
    pub(crate) fn queries_per_thousand(&self) -> f64 {
        if self.requests > 0 { self.queries.reads() as f64 * 1e3 / self.requests as f64 } else { 0.0 }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_none(number: &u64) -> bool {
    *number == 0
}
