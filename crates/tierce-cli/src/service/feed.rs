//! The live feed: twice a second a sample of what the caches and the database did, kept for as long as the plots show.
//!
//! Nothing is sampled while nobody looks: each question for the feed keeps it, and the traffic, going for a few seconds
//! more. The ring of samples and the list of events are bounded.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Notify;

use super::sample::Sample;
use crate::clock;

/// Often enough to see a stampede of milliseconds as a peak of its own, seldom enough to cost nothing.
pub(super) const EVERY: Duration = Duration::from_millis(500);
/// A minute of samples.
const SAMPLES: usize = 120;
/// More than anybody can press in a minute of samples.
const EVENTS: usize = 40;
/// Longer than the slowest page waits between two questions (browsers wake a page in the background once a second).
const ATTENTION: Duration = Duration::from_secs(4);

/// Something that somebody did.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    at_ms: u64,
    what: &'static str,
}

/// Samples, events, and whether somebody looks.
pub(super) struct Feed {
    started: Instant,
    /// Tells this run of the server from the one before it, whose samples a page may still show.
    run: u64,
    ring: Mutex<VecDeque<Sample>>,
    events: Mutex<VecDeque<Event>>,
    looked: Mutex<Option<Instant>>,
    somebody_looks: Notify,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self {
            started: clock::now(),
            // JSON numbers are exact up to 2^53.
            run: fastrand::u64(..1 << 53),
            ring: Mutex::default(),
            events: Mutex::default(),
            looked: Mutex::default(),
            somebody_looks: Notify::new(),
        }
    }

    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// Since the service began, in milliseconds.
    pub(super) fn now_ms(&self) -> u64 {
        clock::since(self.started).as_millis() as u64
    }

    /// Notes what somebody did.
    pub(super) fn note(&self, what: &'static str) {
        let mut events = lock(&self.events);
        if events.len() == EVENTS {
            events.pop_front();
        }
        events.push_back(Event { at_ms: self.now_ms(), what });
    }

    pub(super) fn events(&self) -> Vec<Event> {
        lock(&self.events).iter().cloned().collect()
    }

    /// Samples newer than the one of this number; all that there are for 0.
    pub(super) fn after(&self, seq: u64) -> Vec<Sample> {
        lock(&self.ring).iter().filter(|sample| sample.seq() > seq).cloned().collect()
    }

    /// Somebody looks.
    pub(super) fn look(&self) {
        *lock(&self.looked) = Some(clock::now());
        self.somebody_looks.notify_waiters();
    }

    /// Whether somebody has looked in the last seconds.
    pub(super) fn is_watched(&self) -> bool {
        lock(&self.looked).is_some_and(|looked| clock::since(looked) < ATTENTION)
    }

    /// Returns at once while somebody looks, else when somebody does.
    pub(super) async fn watched(&self) {
        loop {
            let looks = self.somebody_looks.notified();
            if self.is_watched() {
                return;
            }
            looks.await;
        }
    }

    /// The next sample, in its place.
    pub(super) fn push(&self, sample: impl FnOnce(u64, u64) -> Sample) {
        let mut ring = lock(&self.ring);
        let seq = ring.back().map_or(1, |last| last.seq() + 1);
        if ring.len() == SAMPLES {
            ring.pop_front();
        }
        ring.push_back(sample(seq, self.now_ms()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock can panic")
}

#[cfg(test)]
mod tests {
    use super::super::account::Account;
    use super::super::backend::Trouble;
    use super::*;
    use crate::database::Health;

    #[test]
    fn the_ring_and_the_events_stay_bounded() {
        let (feed, account) = (Feed::new(), Account::default());
        for _ in 0..SAMPLES + 30 {
            let trouble = (Health::Running, Trouble::None);
            feed.push(|seq, at_ms| Sample::new((seq, at_ms), trouble, &account, &account, EVERY));
            feed.note("stampede");
        }
        assert_eq!(feed.after(0).len(), SAMPLES);
        assert_eq!(feed.after(SAMPLES as u64 + 20).len(), 10);
        assert_eq!(feed.events().len(), EVENTS);
    }

    #[test]
    fn nobody_looks_until_somebody_does() {
        let feed = Feed::new();
        assert!(!feed.is_watched());
        feed.look();
        assert!(feed.is_watched());
    }
}
