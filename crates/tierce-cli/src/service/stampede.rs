//! A stampede at the press of a button: many callers at once of one key that has just been invalidated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::fleet::Fleet;
use super::front::Front;
use super::meter::{Outcome, micros};
use super::order::Order;
use crate::clock;
use crate::error::Error;

/// A misspelt name that neither the traffic nor the race searches for: all its queries are of the stampede.
pub(super) const TEXT: &str = "sankt petersbrug";
/// More callers than one process serves at a moment, and little memory.
pub(super) const MOST: u32 = 10_000;

/// From an order to the beginning, so that callers in all processes begin together.
const NOTICE: Duration = Duration::from_millis(100);
/// How long another process may take to tell of its callers: longer than any of them waits.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a stampede cost. Times are in microseconds, from the moment at which all callers stood ready.
#[derive(Serialize)]
pub(super) struct Stampede {
    key: &'static str,
    callers: u32,
    /// In which they were.
    processes: u32,
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

/// What the callers of one process saw; times are of the clock that all processes share.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Crowd {
    began_ns: Vec<u64>,
    ended_ns: Vec<u64>,
    queries: u64,
    failed: u32,
    error: Option<String>,
    stale: u32,
}

/// Invalidates the key and lets callers in all processes ask for it at the same time.
pub(super) async fn run(front: &Arc<Front>, fleet: &Fleet, size: u32) -> Result<Stampede, Error> {
    front.tierce.invalidate_search(TEXT).await?;
    let processes = fleet.size() as u32;
    let notice = if processes > 1 { NOTICE } else { Duration::ZERO };
    let at_ns = clock::common_ns() + notice.as_nanos() as u64;
    // The first ones have one more where the number cannot be divided.
    let share = |process: u32| size / processes + u32::from(process < size % processes);
    let order = |at: u32| Order::Crowd { callers: share(at + 1), at_ns };
    let (own, others) = tokio::join!(crowd(front, share(0), at_ns), fleet.each::<Crowd>(order, PATIENCE));
    let mut all = own;
    for crowd in others.into_iter().flatten() {
        all.began_ns.extend(crowd.began_ns);
        all.ended_ns.extend(crowd.ended_ns);
        all.queries += crowd.queries;
        all.failed += crowd.failed;
        all.stale += crowd.stale;
        all.error = all.error.or(crowd.error);
    }
    Ok(all.told(size, processes))
}

/// Lets so many callers of this process ask, at that time.
pub(super) async fn crowd(front: &Arc<Front>, size: u32, at_ns: u64) -> Crowd {
    let queries = Arc::new(AtomicU64::new(0));
    let start = Arc::new(Barrier::new(size.max(1) as usize));
    let mut callers = JoinSet::new();
    for _ in 0..size {
        let (front, start, queries) = (Arc::clone(front), Arc::clone(&start), Arc::clone(&queries));
        callers.spawn(async move {
            start.wait().await;
            clock::until_common_ns(at_ns).await;
            let began = clock::now();
            let answer = front.search(TEXT, Some(queries)).await;
            (began, clock::now(), answer.map(|answer| answer.outcome).map_err(|error| error.to_string()))
        });
    }
    let mut crowd = Crowd::default();
    while let Some(caller) = callers.join_next().await {
        let (from, to, answer) = caller.expect("callers are neither aborted nor panic");
        crowd.began_ns.push(clock::as_common_ns(from));
        crowd.ended_ns.push(clock::as_common_ns(to));
        match answer {
            Ok(outcome) => crowd.stale += u32::from(outcome == Outcome::Stale),
            Err(problem) => {
                crowd.failed += 1;
                crowd.error.get_or_insert(problem);
            }
        }
    }
    crowd.queries = queries.load(Ordering::Relaxed);
    crowd
}

impl Crowd {
    /// What the page is told of callers in so many processes.
    fn told(mut self, callers: u32, processes: u32) -> Stampede {
        let start_ns = self.began_ns.iter().min().copied().unwrap_or(0);
        self.ended_ns.sort_unstable();
        let at = |share: f64| {
            let last = self.ended_ns.len().saturating_sub(1);
            let end_ns = self.ended_ns.get(((self.ended_ns.len() as f64 * share) as usize).min(last));
            end_ns.map_or(0.0, |end_ns| micros(Duration::from_nanos(end_ns.saturating_sub(start_ns))))
        };
        Stampede {
            key: TEXT,
            callers,
            processes,
            queries: self.queries,
            failed: self.failed,
            first_us: at(0.0),
            median_us: at(0.5),
            p99_us: at(0.99),
            last_us: at(1.0),
            stale: self.stale,
            error: self.error,
        }
    }
}
