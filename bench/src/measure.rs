//! Clocks and medians.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Processor time, and time on the wall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elapsed {
    cpu: Duration,
    /// On the wall's clock, since when and until when.
    from: Duration,
    until: Duration,
}

impl Elapsed {
    /// Processor time.
    pub(crate) fn cpu(&self) -> Duration {
        self.cpu
    }

    /// Time on the wall.
    pub(crate) fn wall(&self) -> Duration {
        self.until.saturating_sub(self.from)
    }

    /// What this thread and another took side by side: the sum of their processor times, and the
    /// wall from the first start to the last end.
    pub(crate) fn beside(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, from: self.from.min(other.from), until: self.until.max(other.until) }
    }
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    // Neither clock used here can stand before zero.
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// The wall's clock, for pieces of work too short for a [`Stopwatch`].
pub(crate) fn wall() -> Duration {
    read(ClockId::Monotonic)
}

/// Runs a piece of work and says what it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Elapsed) {
    let stopwatch = Stopwatch::start();
    let result = work();
    (result, stopwatch.read())
}

/// A running measurement, for work that cannot be wrapped in a closure.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    clock: ClockId,
    cpu: Duration,
    from: Duration,
}

impl Stopwatch {
    /// Starts measuring the whole process, background threads included.
    pub(crate) fn start() -> Self {
        Self::on(ClockId::ProcessCPUTime)
    }

    /// Starts measuring this thread alone, which also has to read it.
    pub(crate) fn of_thread() -> Self {
        Self::on(ClockId::ThreadCPUTime)
    }

    fn on(clock: ClockId) -> Self {
        Self { clock, from: read(ClockId::Monotonic), cpu: read(clock) }
    }

    /// What has passed since the start.
    pub(crate) fn read(&self) -> Elapsed {
        let cpu = read(self.clock).saturating_sub(self.cpu);
        Elapsed { cpu, from: self.from, until: read(ClockId::Monotonic) }
    }
}

/// The coarse monotonic clock in milliseconds, as ours reads it: one kernel tick coarse, cheap.
pub(crate) fn coarse_ms() -> u32 {
    let now = read(ClockId::MonotonicCoarse);
    // Wraps after 49 days of uptime, longer than any run.
    now.as_millis() as u32
}

/// The middle of the values, the mean of the middle two when they are even in number.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The geometric mean, `None` of nothing.
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let logs: f64 = values.iter().map(|value| value.ln()).sum();
    Some((logs / values.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_the_mean_of_the_middle_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_geometric_mean_of_a_number_and_its_inverse_is_one() {
        let mean = geometric_mean(&[4.0, 0.25]).unwrap();
        assert!((mean - 1.0).abs() < 1e-12);
        assert!(geometric_mean(&[]).is_none());
    }

    #[test]
    fn work_takes_time() {
        let (sum, elapsed) = timed(|| (0..1_000_000_u64).map(std::hint::black_box).sum::<u64>());
        assert_eq!(sum, 499_999_500_000);
        assert!(elapsed.cpu() > Duration::ZERO && elapsed.wall() > Duration::ZERO);
    }

    #[test]
    fn threads_side_by_side_last_from_the_first_start_to_the_last_end() {
        let elapsed = |cpu, from, until| {
            let [cpu, from, until] = [cpu, from, until].map(Duration::from_millis);
            Elapsed { cpu, from, until }
        };
        let both = elapsed(3, 10, 14).beside(elapsed(4, 11, 16));
        assert_eq!((both.cpu(), both.wall()), (Duration::from_millis(7), Duration::from_millis(6)));
    }
}
