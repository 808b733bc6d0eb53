//! Ages: how old a value may be to be served, and when to refresh it early. Plain functions of time.

use std::time::Duration;

use crate::clock::{NEVER, to_ms};
use crate::mutant::{self, Mutant};
use crate::random::Random;

/// How a cache's values age. Times in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Ages {
    /// How long a value is fresh; `NEVER` for good.
    pub(crate) ttl_ms: u64,
    /// How long an absence is believed.
    pub(crate) negative_ttl_ms: u64,
    /// The largest share that chance takes off a ttl, 0 to 1.
    pub(crate) jitter: f64,
    /// How long past its freshness a value is served while it is reloaded behind.
    pub(crate) revalidate_ms: u64,
    /// How long past its freshness a value is served when its load fails or is slow.
    pub(crate) on_error_ms: u64,
    /// How long after a failed load a stale value is served without a new one.
    pub(crate) throttle_ms: u64,
    /// A value that nobody reads for this long goes, though it be fresh; 0 for none.
    pub(crate) idle_ms: u64,
    pub(crate) early: Early,
}

/// When a fresh value is refreshed before its time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Early {
    /// Never.
    #[default]
    Off,
    /// By chance, the likelier the nearer the end and the dearer the load: "optimal probabilistic cache stampede
    /// prevention" (Vattani, Chierichetti, Lowenstein; VLDB 2015). The usual `beta` is 1; above it refreshes earlier.
    XFetch {
        /// How eager.
        beta: f64,
    },
    /// By the first caller after this share of the ttl, 0 to 1.
    Fraction(f64),
}

/// The times of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// Served without question before this.
    pub(crate) fresh_until_ms: u64,
    /// Gone from this on.
    pub(crate) expiry_ms: u64,
    /// What it lived for when it was filled; 0 when that is forgotten.
    pub(crate) ttl_ms: u64,
    /// When its freshness ended, or will: `fresh_until_ms`, unless a failed load has written over that.
    pub(crate) ended_ms: u64,
    /// A load has failed since: `fresh_until_ms` says until when not to try again.
    pub(crate) overdue: bool,
}

/// What may be done with a value of some age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    /// Fresh, and to be refreshed behind.
    Early,
    /// Served while it is reloaded behind.
    Revalidate,
    /// Served only if its load fails or is slow.
    OnError,
    /// Past its freshness, but a load has just failed: served without another.
    Throttled,
}

impl Ages {
    /// The times of an entry that is filled now. `ttl` is the entry's own, where it has one.
    pub(crate) fn times(&self, now_ms: u64, ttl: Option<Duration>, negative: bool, random: &Random) -> Times {
        let usual = if negative && !mutant::on(Mutant::NegativeTtlIgnored) {
            self.negative_ttl_ms.min(self.ttl_ms)
        } else {
            self.ttl_ms
        };
        let ttl_ms = ttl.map_or(usual, to_ms);
        let ttl_ms = if ttl_ms >= NEVER { NEVER } else { self.jittered(ttl_ms, random) };
        let times = if mutant::on(Mutant::TtlStretched) { 2 } else { 1 };
        self.lasting(now_ms, ttl_ms.saturating_mul(times), negative)
    }

    /// The times of an entry that is fresh from now on for exactly so long.
    pub(crate) fn lasting(&self, now_ms: u64, ttl_ms: u64, negative: bool) -> Times {
        let fresh_until_ms = now_ms.saturating_add(ttl_ms).min(NEVER);
        let kept_ms = if negative { 0 } else { self.stale_ms() };
        // Only what is fresh for good never expires: a memory asks no clock for it.
        let last_ms = if fresh_until_ms < NEVER { NEVER - 1 } else { NEVER };
        let mut expiry_ms = fresh_until_ms.saturating_add(kept_ms).min(last_ms);
        if self.idle_ms > 0 {
            expiry_ms = expiry_ms.min(now_ms.saturating_add(self.idle_ms));
        }
        Times { fresh_until_ms, expiry_ms, ttl_ms, ended_ms: fresh_until_ms, overdue: false }
    }

    /// How long past its freshness an entry is kept.
    pub(crate) fn stale_ms(&self) -> u64 {
        if mutant::on(Mutant::StaleWithoutLimit) {
            return 1 << 40;
        }
        self.revalidate_ms.max(self.on_error_ms)
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a ttl, between nothing and all of it"
    )]
    fn jittered(&self, ttl_ms: u64, random: &Random) -> u64 {
        if self.jitter <= 0.0 || ttl_ms == 0 {
            return ttl_ms;
        }
        let off = (ttl_ms as f64 * self.jitter.min(1.0) * random.unit()) as u64;
        ttl_ms.saturating_sub(off).max(1)
    }

    /// Whether a hit on a fresh value has nothing to decide and nothing to put off.
    #[inline]
    pub(crate) fn are_plain(&self) -> bool {
        self.idle_ms == 0 && self.early == Early::Off
    }

    /// What may be done now with an entry.
    pub(crate) fn judge(&self, now_ms: u64, times: Times, cost_us: u32, random: &Random) -> Age {
        if now_ms < times.fresh_until_ms {
            if times.overdue {
                return Age::Throttled;
            }
            return match self.early {
                Early::Off => Age::Fresh,
                early => early.judge(now_ms, times, cost_us, random),
            };
        }
        if now_ms.saturating_sub(times.ended_ms) < self.revalidate_ms { Age::Revalidate } else { Age::OnError }
    }

    /// Whether an entry may stand in for a load that failed now.
    pub(crate) fn covers_errors(&self, now_ms: u64, times: Times) -> bool {
        now_ms.saturating_sub(times.ended_ms) < self.on_error_ms || mutant::on(Mutant::StaleWithoutLimit)
    }

    /// The times of an entry past its freshness whose load has just failed: served for a while without another, but not
    /// past the time for which it may stand in.
    pub(crate) fn throttled(&self, times: Times, now_ms: u64) -> Times {
        let covered_until_ms = times.ended_ms.saturating_add(self.on_error_ms);
        let fresh_until_ms = now_ms.saturating_add(self.throttle_ms).min(covered_until_ms);
        Times { fresh_until_ms, overdue: true, ..times }
    }
}

impl Early {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a ttl")]
    fn judge(self, now_ms: u64, times: Times, cost_us: u32, random: &Random) -> Age {
        let left_ms = (times.fresh_until_ms - now_ms) as f64;
        let refresh = match self {
            Early::Off => false,
            Early::XFetch { beta } => {
                // ln of the smallest `unit` is -37: beyond that no chance can refresh, and none is thrown.
                let scale_ms = f64::from(cost_us) / 1000.0 * beta;
                left_ms <= scale_ms * 37.0 && left_ms <= -scale_ms * random.unit().ln()
            }
            Early::Fraction(share) => times.ttl_ms as f64 - left_ms >= times.ttl_ms as f64 * share,
        };
        if refresh { Age::Early } else { Age::Fresh }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ages() -> Ages {
        Ages {
            ttl_ms: 1000,
            negative_ttl_ms: 100,
            jitter: 0.0,
            revalidate_ms: 50,
            on_error_ms: 500,
            throttle_ms: 10,
            idle_ms: 0,
            early: Early::Off,
        }
    }

    #[test]
    fn a_value_is_fresh_then_revalidated_then_kept_for_errors_then_gone() {
        let (ages, random) = (ages(), Random::seeded(1));
        let times = ages.times(10_000, None, false, &random);
        assert_eq!(
            times,
            Times { fresh_until_ms: 11_000, expiry_ms: 11_500, ttl_ms: 1000, ended_ms: 11_000, overdue: false }
        );
        let at = |now| ages.judge(now, times, 0, &random);
        assert_eq!(
            [at(10_999), at(11_000), at(11_049), at(11_050)],
            [Age::Fresh, Age::Revalidate, Age::Revalidate, Age::OnError]
        );
    }

    #[test]
    fn an_absence_is_believed_for_its_own_time_and_never_stale() {
        let times = ages().times(10_000, None, true, &Random::seeded(1));
        assert_eq!((times.fresh_until_ms, times.expiry_ms), (10_100, 10_100));
    }

    #[test]
    fn jitter_takes_off_at_most_its_share() {
        let ages = Ages { jitter: 0.1, ..ages() };
        let random = Random::seeded(7);
        let ttls: Vec<u64> = (0..1000).map(|_| ages.times(0, None, false, &random).ttl_ms).collect();
        assert!(ttls.iter().all(|ttl| (900..=1000).contains(ttl)), "{ttls:?}");
        let spread = ttls.iter().max().zip(ttls.iter().min()).map(|(max, min)| max - min);
        assert!(spread > Some(80), "{spread:?}");
    }

    #[test]
    fn xfetch_refreshes_as_often_as_its_formula_says() {
        let ages = Ages { early: Early::XFetch { beta: 1.0 }, ..ages() };
        let random = Random::seeded(3);
        let times = ages.times(0, None, false, &random);
        // 100 ms left and a load of 100 ms: P(-ln u >= 1) = 1/e.
        let early = (0..10_000).filter(|_| ages.judge(900, times, 100_000, &random) == Age::Early).count();
        assert!((3500..3850).contains(&early), "{early} of 10000, expected about 3679");
        let far = (0..10_000).filter(|_| ages.judge(100, times, 1000, &random) == Age::Early).count();
        assert_eq!(far, 0, "a cheap load far from its end");
    }

    #[test]
    fn a_fraction_refreshes_from_its_moment_on() {
        let ages = Ages { early: Early::Fraction(0.8), ..ages() };
        let random = Random::seeded(3);
        let times = ages.times(0, None, false, &random);
        assert_eq!(ages.judge(799, times, 0, &random), Age::Fresh);
        assert_eq!(ages.judge(800, times, 0, &random), Age::Early);
    }
}
