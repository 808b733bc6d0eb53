//! What a race measured.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::contender::Kept;
use crate::database::Queries;

/// The result of a race; `--json` prints it as it is here.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The load in words.
    pub(crate) load: String,
    /// How many slices each contender had, and how long one was.
    pub(crate) turns: u32,
    pub(crate) slice_ms: f64,
    /// Callers in each stampede.
    pub(crate) callers: u32,
    /// No cache, the guide, tierce.
    pub(crate) columns: Vec<Column>,
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
    pub(crate) stale_reads: u64,
    pub(crate) kept: Kept,
    pub(crate) stampede: Stampede,
    pub(crate) absent_stampede: Stampede,
    /// Bytes given back when the cache was dropped; `None` if that could not be measured.
    pub(crate) memory_bytes: Option<u64>,
}

/// What a stampede cost.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Stampede {
    /// Queries that reached the database.
    pub(crate) loads: u64,
    /// From the first caller's question to the last one's answer.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub(crate) took: Duration,
}

impl Column {
    pub(crate) fn requests_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.requests as f64 / self.seconds } else { 0.0 }
    }

    /// Database queries for each thousand requests, updates apart. Columns serve different numbers of requests in the
    /// same time, so that only this compares.
    pub(crate) fn queries_per_thousand(&self) -> f64 {
        if self.requests > 0 { self.queries.reads() as f64 * 1e3 / self.requests as f64 } else { 0.0 }
    }
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
