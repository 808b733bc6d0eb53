//! Random numbers for jitter and early refreshes: fast, shared, and repeatable when seeded.

use std::hash::BuildHasher;

use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// splitmix64 (Steele, Lea, Flood; OOPSLA 2014) over a shared counter.
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Random(AtomicU64::new(seed))
    }

    /// Seeded from the process's own hash seed.
    pub(crate) fn from_process() -> Self {
        Random::seeded(foldhash::quality::RandomState::default().hash_one(0_u64))
    }

    fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Evenly in (0, 1].
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub(crate) fn unit(&self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}
