//! Whether a store is asked at all.
//!
//! A server that hangs costs every lookup its whole budget. After a few failures in a row nobody is sent to it any more,
//! but for one request now and then that looks whether it is back; the pause before it doubles up to a bound that keeps a
//! recovery short.

use std::time::Duration;

use crate::clock::to_ms;
use crate::random::Random;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Failures in a row before nobody is sent: so many lookups, one after the other, pay for a server that hangs.
const FAILURES: u32 = 3;
/// The first pause and the longest: a server that is back is in full use after less than a second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

/// The state of one store, as this process has seen it.
#[derive(Default)]
pub(crate) struct Breaker {
    failures: AtomicU32,
    /// When to look again, in milliseconds; 0 while all is well.
    closed_until_ms: AtomicU64,
}

/// Whether to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Ask,
    /// Ask, behind the caller, whether it is back. Said to one at a time.
    Probe,
    No,
}

impl Breaker {
    /// Whether to ask the store now.
    pub(crate) fn leave(&self, now_ms: u64, random: &Random) -> Leave {
        let until_ms = self.closed_until_ms.load(Relaxed);
        if until_ms == 0 {
            return Leave::Ask;
        }
        if now_ms < until_ms {
            return Leave::No;
        }
        let next_ms = now_ms + self.pause_ms(random);
        let is_first = self.closed_until_ms.compare_exchange(until_ms, next_ms, Relaxed, Relaxed).is_ok();
        if is_first { Leave::Probe } else { Leave::No }
    }

    /// Whether nobody is sent.
    pub(crate) fn is_shut(&self) -> bool {
        self.closed_until_ms.load(Relaxed) != 0
    }

    /// The store answered.
    pub(crate) fn answered(&self) {
        // Mostly there is nothing to write, and the line stays every core's.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
            self.closed_until_ms.store(0, Relaxed);
        }
    }

    /// It did not.
    pub(crate) fn failed(&self, now_ms: u64, random: &Random) {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures >= FAILURES && !self.is_shut() {
            self.closed_until_ms.store(now_ms + self.pause_ms(random), Relaxed);
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "half a second"
    )]
    fn pause_ms(&self, random: &Random) -> u64 {
        let doublings = self.failures.load(Relaxed).saturating_sub(FAILURES).min(8);
        let pause_ms = (to_ms(PAUSE.0) << doublings).min(to_ms(PAUSE.1));
        // Down to half of it, so that processes do not come back together.
        ((pause_ms as f64 * (1.0 - random.unit() / 2.0)) as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_in_a_row_one_looks_now_and_then_and_an_answer_opens_it_for_all() {
        let (breaker, random) = (Breaker::default(), Random::seeded(1));
        breaker.failed(10, &random);
        breaker.failed(10, &random);
        breaker.answered();
        breaker.failed(10, &random);
        breaker.failed(10, &random);
        assert_eq!(breaker.leave(10, &random), Leave::Ask);
        breaker.failed(10, &random);
        assert!(breaker.is_shut());
        assert_eq!(breaker.leave(11, &random), Leave::No);
        assert_eq!(breaker.leave(110, &random), Leave::Probe);
        assert_eq!(breaker.leave(110, &random), Leave::No);
        for _ in 0..20 {
            breaker.failed(110, &random);
        }
        assert_eq!(breaker.leave(110 + 500, &random), Leave::Probe);
        breaker.answered();
        assert_eq!(breaker.leave(110 + 500, &random), Leave::Ask);
    }
}
