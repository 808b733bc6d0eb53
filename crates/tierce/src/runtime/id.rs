//! What runtimes are told apart by.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that no other running runtime has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(u64);

impl Id {
    /// A number that no runtime ever had.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        // Odd ones are tokio's.
        Id(IDS.fetch_add(1, Relaxed) << 1)
    }

    /// The number of one of tokio's: what it hashes to is the number itself.
    pub(super) fn of_tokio(number: &impl Hash) -> Self {
        let mut read = Read(0);
        number.hash(&mut read);
        Id(read.0 << 1 | 1)
    }
}

/// A hasher that gives back the one number it was given.
struct Read(u64);

impl Hasher for Read {
    fn write(&mut self, bytes: &[u8]) {
        // Whatever else it may be given one day stays apart well enough.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.wrapping_mul(0x0100_0000_01B3) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
