//! Zipf's law over a fixed number of things.

use fastrand::Rng;

/// Draws index `k` (from 0) with a probability in proportion to 1 / (k + 1)^skew.
pub(super) struct Zipf {
    /// The sum of the weights up to and including each index.
    sums: Vec<f64>,
}

impl Zipf {
    pub(super) fn new(things: usize, skew: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=things)
            .map(|rank| {
                sum += (rank as f64).powf(-skew);
                sum
            })
            .collect();
        Self { sums }
    }

    pub(super) fn draw(&self, rng: &mut Rng) -> usize {
        let drawn = rng.f64() * self.sums.last().copied().unwrap_or(0.0);
        self.sums.partition_point(|sum| *sum <= drawn).min(self.sums.len() - 1)
    }
}
