//! Streams of keys: zipf ranks drawn by rejection-inversion, and names for the ranks.
//!
//! Rejection-inversion (W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from
//! monotone discrete distributions", ACM TOMACS 6(3), 1996) draws exact zipf variates in constant
//! time and memory; it is written here for exponent 1, the one the workloads use, where the
//! integral of the density is the natural logarithm.

/// Splitmix64 (Steele, Lea, Flood 2014): small, seedable, good enough to draw streams.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator that repeats itself for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        // The odd constant of splitmix64: 2^64 over the golden ratio.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// A number in `[0, 1)` with 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Fisher-Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.next_u64() % (i as u64 + 1);
            items.swap(i, j as usize);
        }
    }
}

/// A bijection of the 64-bit numbers (splitmix64's finish): turns ranks and counters into keys
/// that show neither popularity nor order.
pub(crate) fn scramble(number: u64) -> u64 {
    let mut x = number;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Ranks `0..keys`, rank `r` with a probability proportional to `1 / (r + 1)`.
#[derive(Debug, Clone)]
pub(crate) struct Zipf {
    keys: f64,
    integral_low: f64,
    integral_high: f64,
}

impl Zipf {
    /// Zipf of exponent 1 over so many keys.
    pub(crate) fn new(keys: u64) -> Self {
        let keys = keys as f64;
        Self {
            keys,
            // The hat starts one below the integral at 1.5 because the mass of rank 1 is 1.
            integral_low: 1.5_f64.ln() - 1.0,
            integral_high: (keys + 0.5).ln(),
        }
    }

    /// Draws a rank, 0 the most popular.
    pub(crate) fn draw(&self, random: &mut Random) -> u64 {
        loop {
            let u = self.integral_high + random.unit() * (self.integral_low - self.integral_high);
            let rank = u.exp().round().clamp(1.0, self.keys);
            if u >= (rank + 0.5).ln() - 1.0 / rank {
                return rank as u64 - 1;
            }
        }
    }
}

/// So many scrambled keys drawn from a zipf distribution over `keys` of them.
pub(crate) fn stream(keys: u64, length: usize, random: &mut Random) -> Vec<u64> {
    let zipf = Zipf::new(keys);
    (0..length).map(|_| scramble(zipf.draw(random))).collect()
}

/// All of so many scrambled keys, in an order that says nothing about their popularity.
pub(crate) fn shuffled(keys: u64, random: &mut Random) -> Vec<u64> {
    let mut all: Vec<u64> = (0..keys).map(scramble).collect();
    random.shuffle(&mut all);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_drawn_as_often_as_the_harmonic_law_says() {
        let (keys, draws) = (1000, 1_000_000);
        let harmonic: f64 = (1..=keys).map(|rank| 1.0 / rank as f64).sum();
        let mut counts = vec![0_u64; keys as usize];
        let mut random = Random::new(7);
        let zipf = Zipf::new(keys);
        for _ in 0..draws {
            counts[zipf.draw(&mut random) as usize] += 1;
        }
        for rank in [1, 2, 3, 10, 100] {
            let expected = f64::from(draws) / (rank as f64 * harmonic);
            let found = counts[rank - 1] as f64;
            // Five standard deviations of a binomial count.
            let bound = 5.0 * expected.sqrt();
            assert!((found - expected).abs() < bound, "rank {rank}: {found} for {expected}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_stream() {
        assert_eq!(stream(100, 50, &mut Random::new(1)), stream(100, 50, &mut Random::new(1)));
        assert_ne!(stream(100, 50, &mut Random::new(1)), stream(100, 50, &mut Random::new(2)));
    }
}
