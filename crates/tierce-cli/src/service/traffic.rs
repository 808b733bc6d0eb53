//! Synthetic traffic: requests of the race's load at a steady rate, and now and then an update, while somebody looks.
//!
//! The rate is that of an open shop: callers come whether or not those before them have been served, as they do to a web
//! service. So a frozen database lets them pile up, up to a bound; who comes beyond it is turned away and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Interval, MissedTickBehavior};

use super::feed::Feed;
use super::front::Front;
use crate::load::Load;
use crate::place::Change;
use crate::race::Seat;

/// Requests a second at the start: enough for smooth plots, and about a twentieth of one processor.
const GENTLE: u32 = 300;
/// The most that the page may ask for.
pub(super) const FASTEST: u32 = 5_000;
/// Callers under way at once. At 300 a second and a time-out of two seconds a frozen database holds fewer.
const CROWD: usize = 1_000;
/// Between two batches of requests: fifty a second look like a stream.
const TICK: Duration = Duration::from_millis(20);
/// One update for so many requests: at the gentle rate about two a second.
const READS_PER_UPDATE: u64 = 150;

/// The rate, and who was turned away.
pub(super) struct Traffic {
    seat: Seat,
    /// Of all processes together.
    per_second: AtomicU32,
    turned_away: AtomicU64,
}

impl Traffic {
    /// The share of one of several processes.
    pub(super) fn new(seat: Seat) -> Self {
        Self { seat, per_second: AtomicU32::new(GENTLE), turned_away: AtomicU64::new(0) }
    }

    pub(super) fn per_second(&self) -> u32 {
        self.per_second.load(Ordering::Relaxed)
    }

    /// Zero pauses it.
    pub(super) fn set_per_second(&self, rate: u32) {
        self.per_second.store(rate.min(FASTEST), Ordering::Relaxed);
    }

    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Runs for ever, while somebody looks.
    pub(super) async fn run(&self, feed: &Feed, front: Arc<Front>, load: Arc<Load>) {
        let crowd = Arc::new(Semaphore::new(CROWD));
        // Each process goes on from a place of its own in the load.
        let mut asked = load.requests.len() * self.seat.process as usize / self.seat.processes as usize;
        loop {
            feed.watched().await;
            let mut ticks = ticks();
            let mut due = 0.0;
            while feed.is_watched() {
                ticks.tick().await;
                due += f64::from(self.per_second()) * TICK.as_secs_f64() / f64::from(self.seat.processes);
                for _ in 0..due as usize {
                    self.send(&crowd, &front, &load, asked);
                    asked += 1;
                }
                due = due.fract();
            }
        }
    }

    /// One request, and the update whose turn it is.
    fn send(&self, crowd: &Arc<Semaphore>, front: &Arc<Front>, load: &Arc<Load>, number: usize) {
        let Ok(place) = Arc::clone(crowd).try_acquire_owned() else {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let (front, load) = (Arc::clone(front), Arc::clone(load));
        tokio::spawn(async move {
            let _place = place;
            front.ask(&load, load.requests[number % load.requests.len()]).await;
            if (number as u64).is_multiple_of(READS_PER_UPDATE)
                && let Some(&(id, population)) = load.updates.get(number % load.updates.len().max(1))
            {
                // A database in trouble refuses updates too; the page shows that it is, and what the store does not take.
                let _ = front.update(id, Change { name: None, population: Some(population) }).await;
            }
        });
    }
}

fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(TICK);
    // After a busy moment the stream goes on; it does not catch up in a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
