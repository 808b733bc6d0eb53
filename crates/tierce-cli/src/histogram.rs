//! Latencies in buckets: 32 to each power of two, so that a quantile is at most about 3 % off.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Each power of two of nanoseconds is cut into this many buckets: 1/32 is the 3 % above.
const STEPS: u64 = 32;
/// `STEPS` is 2 to this power.
const STEP_BITS: u32 = 5;
/// Enough for every `u64` of nanoseconds.
const BUCKETS: usize = ((64 - STEP_BITS as usize) + 1) * STEPS as usize;

/// How many requests took how long. From one process to another it goes as the buckets that have any.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Vec<(u16, u64)>", into = "Vec<(u16, u64)>")]
pub(crate) struct Histogram {
    counts: Vec<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS] }
    }
}

impl From<Histogram> for Vec<(u16, u64)> {
    fn from(histogram: Histogram) -> Self {
        (0..).zip(histogram.counts).filter(|(_, count)| *count > 0).collect()
    }
}

impl From<Vec<(u16, u64)>> for Histogram {
    fn from(buckets: Vec<(u16, u64)>) -> Self {
        let mut histogram = Self::default();
        for (index, count) in buckets {
            if let Some(mine) = histogram.counts.get_mut(usize::from(index)) {
                *mine = count;
            }
        }
        histogram
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, took: Duration) {
        self.counts[bucket(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))] += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    /// The time that the share `quantile` (0 to 1) of the requests did not exceed; zero if nothing was recorded.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        let total: u64 = self.counts.iter().sum();
        let wanted = (total as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                return Duration::from_nanos(middle(index as u64));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - STEP_BITS;
    (u64::from(shift) * STEPS + (nanos >> shift)) as usize
}

fn middle(index: u64) -> u64 {
    if index < 2 * STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    let low = (index % STEPS + STEPS) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_four_percent() {
        for nanos in [0, 1, 31, 32, 63, 64, 1_000, 123_456, 9_876_543_210] {
            let mut histogram = Histogram::default();
            histogram.record(Duration::from_nanos(nanos));
            let found = histogram.quantile(0.5).as_nanos() as f64;
            assert!((found - nanos as f64).abs() <= nanos as f64 * 0.04, "{nanos} became {found}");
        }
    }

    #[test]
    fn another_process_reads_what_was_written() {
        let mut histogram = Histogram::default();
        for nanos in [7, 7, 123_456] {
            histogram.record(Duration::from_nanos(nanos));
        }
        let text = serde_json::to_string(&histogram).unwrap();
        assert_eq!(text.matches('[').count(), 3, "only what was recorded is written: {text}");
        let read: Histogram = serde_json::from_str(&text).unwrap();
        assert_eq!(read.counts, histogram.counts);
    }

    #[test]
    fn the_longest_duration_has_a_bucket() {
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_of_two_groups_are_told_apart() {
        let mut histogram = Histogram::default();
        for _ in 0..98 {
            histogram.record(Duration::from_nanos(10));
        }
        let mut slow = Histogram::default();
        slow.record(Duration::from_millis(1));
        slow.record(Duration::from_millis(1));
        histogram.merge(&slow);
        assert_eq!(histogram.quantile(0.5), Duration::from_nanos(10));
        assert!(histogram.quantile(0.99) > Duration::from_micros(900));
    }
}
