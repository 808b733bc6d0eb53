//! Exact policies with one queue, simulated over a whole trace: what LRU is, and what nothing beats.

use std::collections::HashMap;

mod belady;
mod lru;

pub(crate) use belady::belady_hits;
pub(crate) use lru::lru_hits;

/// The trace with its keys numbered from 0 in order of first use, and how many there are.
fn numbered(keys: &[u64]) -> (Vec<usize>, usize) {
    let mut numbers: HashMap<u64, usize, foldhash::quality::RandomState> = HashMap::default();
    let mut number = |key: &u64| {
        let next = numbers.len();
        *numbers.entry(*key).or_insert(next)
    };
    let trace = keys.iter().map(&mut number).collect();
    let distinct = numbers.len();
    (trace, distinct)
}
