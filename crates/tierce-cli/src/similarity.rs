//! Trigram similarity of names, as PostgreSQL's `pg_trgm` defines it.
//!
//! A text is cut into words of lower case; each word, with two blanks before it and one behind, gives its runs of three
//! characters. The similarity of two texts is the share of distinct runs they have in common: |A ∩ B| / |A ∪ B|. It
//! forgives a missing, doubled or swapped letter.
//!
//! Cost: no index helps, so a search compares every name. Most names share nearly nothing with the text, and a sieve
//! tells so at a nanosecond or two a letter: the runs found in it bound |A ∩ B| from above, and the text's own runs
//! bound |A ∪ B| from below. Only what may pass is compared exactly. Limit: texts are ASCII (the database keeps an ASCII
//! form of each name).

/// Names less alike than this are not found; the default of `pg_trgm.similarity_threshold`.
const THRESHOLD: f64 = 0.3;

/// Bits of the sieve: 512 bytes, of which a text of twenty letters sets twenty or so.
const SIEVE_BITS: usize = 4_096;

/// A text to compare names with.
pub(crate) struct Wanted {
    runs: Vec<u32>,
    sieve: [u64; SIEVE_BITS / 64],
    /// With fewer runs than this in common, a name cannot pass.
    needed: usize,
}

impl Wanted {
    pub(crate) fn new(text: &str) -> Self {
        let runs = distinct_runs(text.as_bytes());
        let mut sieve = [0; SIEVE_BITS / 64];
        for run in &runs {
            let bit = sieve_bit(*run);
            sieve[bit / 64] |= 1 << (bit % 64);
        }
        // At least one: names that have nothing in common with the text are never compared.
        let needed = ((runs.len() as f64 * THRESHOLD).ceil() as usize).max(1);
        Self { runs, sieve, needed }
    }

    /// How alike `name` is, from the threshold to 1; 0 below the threshold.
    pub(crate) fn similarity(&self, name: &[u8]) -> f64 {
        let mut maybe = 0;
        each_run(name, |run| {
            let bit = sieve_bit(run);
            maybe += (self.sieve[bit / 64] >> (bit % 64) & 1) as usize;
        });
        if maybe < self.needed {
            return 0.0;
        }
        let exact = share(&self.runs, &distinct_runs(name));
        if exact < THRESHOLD { 0.0 } else { exact }
    }
}

/// |A ∩ B| / |A ∪ B| of two sorted lists.
fn share(ours: &[u32], theirs: &[u32]) -> f64 {
    let both = theirs.iter().filter(|run| ours.binary_search(run).is_ok()).count();
    both as f64 / (ours.len() + theirs.len() - both).max(1) as f64
}

fn distinct_runs(text: &[u8]) -> Vec<u32> {
    let mut runs = Vec::with_capacity(text.len() + 8);
    each_run(text, |run| runs.push(run));
    runs.sort_unstable();
    runs.dedup();
    runs
}

/// Calls `found` with each run of three characters, packed into the lower 24 bits.
fn each_run(text: &[u8], mut found: impl FnMut(u32)) {
    /// Two blanks, which open a word.
    const OPEN: u32 = u32::from_be_bytes([0, 0, b' ', b' ']);
    let mut window = OPEN;
    for byte in text.iter().copied().chain([b' ']) {
        if byte.is_ascii_alphanumeric() {
            window = (window << 8 | u32::from(byte.to_ascii_lowercase())) & 0x00ff_ffff;
            found(window);
        } else if window != OPEN {
            found((window << 8 | u32::from(b' ')) & 0x00ff_ffff);
            window = OPEN;
        }
    }
}

fn sieve_bit(run: u32) -> usize {
    // Fibonacci hashing: 2^32 divided by the golden ratio; the top 12 bits are the index.
    (run.wrapping_mul(0x9e37_79b9) >> 20) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str, expected: f64) {
        let found = Wanted::new(text).similarity(name.as_bytes());
        assert!((found - expected).abs() < 1e-6, "{text} against {name}: {found}");
    }

    #[test]
    fn similarity_is_that_of_pg_trgm() {
        check("word", "word", 1.0);
        check("word", "two words", 4.0 / 11.0);
        check("Berlin", "berlni", 4.0 / 10.0);
    }

    #[test]
    fn what_is_below_the_threshold_is_zero() {
        check("", "", 0.0);
        check("Rome", "xyz", 0.0);
        check("Rome", "", 0.0);
        // One run of nine in common.
        check("Rome", "Riga", 0.0);
    }

    #[test]
    fn the_sieve_loses_no_name_that_passes() {
        let names = crate::dataset::places();
        for text in ["sao palo", "new yrok", "st. petersburg"] {
            let wanted = Wanted::new(text);
            for name in names.iter().map(|place| place.name.as_bytes()) {
                let exact = share(&wanted.runs, &distinct_runs(name));
                assert_eq!(wanted.similarity(name), if exact < THRESHOLD { 0.0 } else { exact });
            }
        }
    }
}
