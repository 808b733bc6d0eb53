//! How long one lookup may wait for its store, all questions together.

use std::time::Duration;

use crate::clock::Clock;

/// What is left of a lookup's time for its store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    left: Duration,
}

impl Budget {
    pub(crate) fn of(time: Duration) -> Self {
        Budget { left: time }
    }

    /// Nothing more is asked for this lookup.
    pub(crate) fn spend_all(&mut self) {
        self.left = Duration::ZERO;
    }

    /// How long the next question may take; `None` when it is not to be asked.
    pub(crate) fn left(&self) -> Option<Duration> {
        (self.left > Duration::ZERO).then_some(self.left)
    }

    /// A question took so long.
    pub(crate) fn spend(&mut self, took: Duration) {
        self.left = self.left.saturating_sub(took);
    }

    /// A question was asked at that time, and has been answered.
    pub(crate) fn spend_since(&mut self, asked: Duration, clock: &Clock) {
        self.spend(clock.precise().saturating_sub(asked));
    }
}
