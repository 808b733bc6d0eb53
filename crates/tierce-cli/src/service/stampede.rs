//! A stampede at the press of a button: many callers at once of one key that has just been invalidated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::front::Front;
use super::meter::{Outcome, micros};
use crate::clock;
use crate::error::Error;

/// A misspelt name that neither the traffic nor the race searches for: all its queries are of the stampede.
pub(super) const TEXT: &str = "sankt petersbrug";
/// More callers than one process serves at a moment, and little memory.
pub(super) const MOST: u32 = 10_000;

/// What a stampede cost. Times are in microseconds, from the moment at which all callers stood ready.
#[derive(Serialize)]
pub(super) struct Stampede {
    key: &'static str,
    callers: u32,
    /// Queries that it sent to the database, counted where they are sent.
    queries: u64,
    failed: u32,
    /// The first failure, in words.
    error: Option<String>,
    first_us: f64,
    median_us: f64,
    p99_us: f64,
    last_us: f64,
    /// Callers that got a stale value.
    stale: u32,
}

/// Invalidates the key and lets all callers ask for it.
pub(super) async fn run(front: &Arc<Front>, size: u32) -> Result<Stampede, Error> {
    front.tierce.invalidate_search(TEXT).await?;
    let queries = Arc::new(AtomicU64::new(0));
    let start = Arc::new(Barrier::new(size as usize));
    let mut callers = JoinSet::new();
    for _ in 0..size {
        let (front, start, queries) = (Arc::clone(front), Arc::clone(&start), Arc::clone(&queries));
        callers.spawn(async move {
            start.wait().await;
            let began = clock::now();
            let answer = front.search(TEXT, Some(queries)).await;
            (began, clock::now(), answer.map(|answer| answer.outcome).map_err(|error| error.to_string()))
        });
    }
    let (mut began, mut ended) = (Vec::with_capacity(size as usize), Vec::with_capacity(size as usize));
    let (mut failed, mut stale, mut error) = (0, 0, None);
    while let Some(caller) = callers.join_next().await {
        let (from, to, answer) = caller.expect("callers are neither aborted nor panic");
        began.push(from);
        ended.push(to);
        match answer {
            Ok(outcome) => stale += u32::from(outcome == Outcome::Stale),
            Err(problem) => {
                failed += 1;
                error.get_or_insert(problem);
            }
        }
    }
    let start = began.iter().min().copied().unwrap_or_else(clock::now);
    let mut took: Vec<Duration> = ended.iter().map(|end| end.saturating_duration_since(start)).collect();
    took.sort_unstable();
    let at = |share: f64| {
        let place = ((took.len() as f64 * share) as usize).min(took.len().saturating_sub(1));
        took.get(place).copied().map_or(0.0, micros)
    };
    Ok(Stampede {
        key: TEXT,
        callers: size,
        queries: queries.load(Ordering::Relaxed),
        failed,
        error,
        first_us: at(0.0),
        median_us: at(0.5),
        p99_us: at(0.99),
        last_us: at(1.0),
        stale,
    })
}
