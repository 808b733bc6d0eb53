//! Clocks, rounds, medians.
//!
//! Contenders run one after the other within a round, and each round starts with another one, so
//! that a machine that slows down slows all of them. A ratio is taken within a round and its
//! median over the rounds is reported: drift between rounds cancels out.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Processor time of the whole process, background threads included, and time on the wall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elapsed {
    /// Processor time.
    pub(crate) cpu: Duration,
    /// Time on the wall.
    pub(crate) wall: Duration,
}

impl Elapsed {
    /// Nanoseconds of processor time per operation.
    pub(crate) fn cpu_ns(&self, operations: usize) -> f64 {
        self.cpu.as_nanos() as f64 / operations as f64
    }

    /// Nanoseconds on the wall per operation.
    pub(crate) fn wall_ns(&self, operations: usize) -> f64 {
        self.wall.as_nanos() as f64 / operations as f64
    }
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    // Neither clock used here can stand before zero.
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
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
    cpu: Duration,
    wall: Duration,
}

impl Stopwatch {
    /// Starts measuring.
    pub(crate) fn start() -> Self {
        Self { wall: read(ClockId::Monotonic), cpu: read(ClockId::ProcessCPUTime) }
    }

    /// What has passed since the start.
    pub(crate) fn read(&self) -> Elapsed {
        Elapsed {
            cpu: read(ClockId::ProcessCPUTime).saturating_sub(self.cpu),
            wall: read(ClockId::Monotonic).saturating_sub(self.wall),
        }
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

/// What one contender answered in one round: a cost per unit, and a remark; or why it cannot run.
pub(crate) type Outcome = Result<Costs, &'static str>;

/// One round of one contender.
#[derive(Debug, Clone, Default)]
pub(crate) struct Costs {
    /// One number per unit of the case.
    pub(crate) values: Vec<f64>,
    /// What the reader should know beside the number.
    pub(crate) note: String,
    /// Whether the work was another than ours did, so that a ratio would compare nothing.
    pub(crate) apart: bool,
}

impl From<Vec<f64>> for Costs {
    fn from(values: Vec<f64>) -> Self {
        Self { values, ..Self::default() }
    }
}

/// All rounds of one contender in one case.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) contender: String,
    /// A round each, or why there is none.
    pub(crate) rounds: Result<Vec<Costs>, &'static str>,
}

impl Row {
    /// The rounds in one unit.
    pub(crate) fn costs(&self, unit: usize) -> Option<Vec<f64>> {
        let rounds = self.rounds.as_ref().ok()?;
        Some(rounds.iter().map(|round| round.values[unit]).collect())
    }

    /// Whether it did the work ours did.
    pub(crate) fn comparable(&self) -> bool {
        self.rounds.as_ref().is_ok_and(|rounds| rounds.iter().all(|round| !round.apart))
    }
}

/// Runs the rounds of one case: `load` makes what all contenders of a round share, `run` is asked
/// for one contender, and every round starts one contender further down the list.
pub(crate) fn interleave<L>(
    case: &str,
    contenders: &[String],
    rounds: usize,
    mut load: impl FnMut(usize) -> L,
    mut run: impl FnMut(&str, &L) -> Outcome,
) -> Vec<Row> {
    let mut rows: Vec<Row> =
        contenders.iter().map(|name| Row { contender: name.clone(), rounds: Ok(Vec::new()) }).collect();
    for round in 0..rounds {
        let shared = load(round);
        for turn in 0..rows.len() {
            let row_count = rows.len();
            let row = &mut rows[(round + turn) % row_count];
            let Ok(done) = &mut row.rounds else { continue };
            eprint!("\r\x1b[K{case}: round {}/{rounds}, {}", round + 1, row.contender);
            match run(&row.contender, &shared) {
                Ok(costs) => done.push(costs),
                Err(reason) => row.rounds = Err(reason),
            }
        }
    }
    eprint!("\r\x1b[K");
    rows
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
    fn every_round_starts_with_another_contender_and_all_share_its_load() {
        let names: Vec<String> = ["a", "b", "c"].map(String::from).into();
        let mut seen = Vec::new();
        let rows = interleave(
            "case",
            &names,
            3,
            |round| round,
            |name, load| {
                seen.push(format!("{name}{load}"));
                if name == "c" { Err("has no face") } else { Ok(vec![*load as f64].into()) }
            },
        );
        assert_eq!(seen, ["a0", "b0", "c0", "b1", "a1", "a2", "b2"]);
        assert_eq!(rows[0].costs(0).unwrap(), [0.0, 1.0, 2.0]);
        assert!(rows[2].costs(0).is_none());
    }

    #[test]
    fn work_takes_time() {
        let (sum, elapsed) = timed(|| (0..1_000_000_u64).map(std::hint::black_box).sum::<u64>());
        assert_eq!(sum, 499_999_500_000);
        assert!(elapsed.cpu > Duration::ZERO && elapsed.wall > Duration::ZERO);
    }
}
