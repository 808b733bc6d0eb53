//! Rounds cut in slices: what is timed.
//!
//! *Problem.* The speed of a shared machine drifts by a factor of two within seconds. Two contenders
//! that work a second each, one after the other, are not compared but dated.
//!
//! *Idea.* All contenders of a round are built and warmed first. Then the stream is cut in
//! [`SLICES`], and each slice is worked by every contender in turn before the next slice begins. A
//! slice takes milliseconds, so the ratio of two contenders within one slice saw one machine. A
//! round's ratio is the median over its slices: one interruption would stay in a quotient of sums
//! for good. Its cost is the median slice for the same reason.
//!
//! *Order.* It stays within a round, and the next round starts with another contender. So between
//! two turns of a contender all others work exactly once, and it finds the caches as cold as they
//! did. An order that moved on at every slice would let the one that ends a slice and starts the
//! next keep its data near; with two contenders each would be warm and cold by turns, and the
//! ratio would be of one's warm slice to the other's cold one.
//!
//! *Caches.* While the others worked, a contender's own data left the processor's caches. So a
//! slice begins with [`LEAD_IN`] operations that are not timed: the next of the same stream, so that
//! the memory goes through the same states as without slices, and the timed keys are as fresh.
//! The bench itself reads a slice's keys once before anybody does, so that no contender pays for
//! being the first.
//!
//! *Limits.* All contenders are in memory at once. A lead-in brings back the hottest data and not
//! all of it: costs are above those of a contender that has the machine to itself, most for
//! those that touch many lines an operation. What a contender does less often than in every other
//! slice is not in its median slice.

use std::hint::black_box;

use crate::measure::Elapsed;
use crate::rounds::{Outcome, Row, progress, rotated};

/// Parts of a round. By trying: 50 and 100 gave no steadier ratio, and leave less of a slice after
/// its lead-in. With 20, a slice takes one to ten milliseconds.
pub(crate) const SLICES: usize = 20;
/// Operations before the timed ones of every slice; a multiple of four, the period of the mixed load.
/// By trying: with four and twelve times as many, whether the rest is still in a cache that is
/// shared with other programs is up to these, and `insert_evict` moved twice as much from run to run.
pub(crate) const LEAD_IN: usize = 4096;

/// Keys of a stream of which so many are timed.
pub(crate) const fn stream_length(timed: usize) -> usize {
    timed + SLICES * LEAD_IN
}

/// A part of the stream.
#[derive(Debug)]
pub(crate) struct Slice<'a, K> {
    /// Worked before the clock starts.
    pub(crate) lead_in: &'a [K],
    pub(crate) timed: &'a [K],
}

impl<'a, K> Slice<'a, K> {
    /// The same, divided among so many threads.
    pub(crate) fn parts(&self, threads: usize) -> impl Iterator<Item = Slice<'a, K>> {
        let part = |keys: &'a [K]| keys.chunks(keys.len() / threads);
        part(self.lead_in).zip(part(self.timed)).map(|(lead_in, timed)| Slice { lead_in, timed })
    }
}

/// What a contender did in the timed part of one slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worked {
    pub(crate) operations: usize,
    /// Lookups that found something.
    pub(crate) found: usize,
    pub(crate) elapsed: Elapsed,
}

impl Worked {
    /// Nanoseconds of processor time per operation.
    pub(crate) fn cpu_ns(&self) -> f64 {
        self.elapsed.cpu().as_nanos() as f64 / self.operations as f64
    }

    /// Nanoseconds on the wall per operation.
    pub(crate) fn wall_ns(&self) -> f64 {
        self.elapsed.wall().as_nanos() as f64 / self.operations as f64
    }

    /// This thread's part and another's, worked at the same time.
    pub(crate) fn beside(self, other: Self) -> Self {
        let (operations, found) = Self::sums(&[self, other]);
        Self { operations, found, elapsed: self.elapsed.beside(other.elapsed) }
    }

    /// Operations and finds of them all.
    pub(crate) fn sums(parts: &[Self]) -> (usize, usize) {
        parts.iter().fold((0, 0), |(operations, found), one| (operations + one.operations, found + one.found))
    }
}

/// A contender, built and warmed. One call works through a whole slice: within it, all is static.
pub(crate) trait Runner<K> {
    /// Works through a slice.
    fn work(&self, slice: &Slice<'_, K>) -> Worked;

    /// What the slices of the round cost.
    fn costs(&self, slices: &[Worked]) -> Outcome;
}

/// What all contenders of a round share.
pub(crate) trait Load {
    type Key: PartialEq;

    /// The keys that are cut in slices, [`stream_length`] of them.
    fn stream(&self) -> &[Self::Key];

    /// Builds and warms a contender.
    ///
    /// # Errors
    /// Why it cannot do this work.
    fn ready(&self, contender: &str) -> Result<Box<dyn Runner<Self::Key> + '_>, &'static str>;
}

/// Runs the rounds of one case in slices; `load` makes what the contenders of a round share.
pub(crate) fn interleave<L: Load>(
    case: &str,
    contenders: &[String],
    rounds: usize,
    load: impl Fn(usize) -> L,
) -> Vec<Row> {
    let mut rows = Row::all(contenders);
    for round in 0..rounds {
        self::round(&mut rows, &load(round), round, &format!("{case}: round {}/{rounds}", round + 1));
    }
    progress("");
    rows
}

fn round<L: Load>(rows: &mut [Row], load: &L, round: usize, label: &str) {
    let mut ready = Vec::with_capacity(rows.len());
    for index in rotated(rows.len(), round) {
        if rows[index].rounds.is_ok() {
            progress(&format!("{label}, warming {}", rows[index].contender));
            match load.ready(&rows[index].contender) {
                Ok(runner) => ready.push((index, runner, Vec::with_capacity(SLICES))),
                Err(reason) => rows[index].add(Err(reason)),
            }
        }
    }
    for (turn, slice) in cut(load.stream()).enumerate() {
        progress(&format!("{label}, slice {}/{SLICES}", turn + 1));
        read(&slice);
        for (_, runner, worked) in &mut ready {
            worked.push(runner.work(&slice));
        }
    }
    for (index, runner, worked) in ready {
        rows[index].add(runner.costs(&worked));
    }
}

fn cut<K>(stream: &[K]) -> impl Iterator<Item = Slice<'_, K>> {
    stream.chunks_exact(stream.len() / SLICES).map(|keys| {
        let (lead_in, timed) = keys.split_at(LEAD_IN);
        Slice { lead_in, timed }
    })
}

/// Brings the keys near the processor.
fn read<K: PartialEq>(slice: &Slice<'_, K>) {
    let first = &slice.lead_in[0];
    black_box(slice.lead_in.iter().chain(slice.timed).filter(|key| *key == first).count());
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::measure::timed;
    use crate::rounds::Costs;

    struct Numbers {
        stream: Vec<usize>,
        /// Who worked, the first key of the lead-in, the first and the number of those timed.
        seen: RefCell<Vec<(String, usize, usize, usize)>>,
    }

    struct Named<'a>(String, &'a Numbers);

    impl Load for Numbers {
        type Key = usize;

        fn stream(&self) -> &[usize] {
            &self.stream
        }

        fn ready(&self, contender: &str) -> Result<Box<dyn Runner<usize> + '_>, &'static str> {
            if contender == "c" { Err("has no face") } else { Ok(Box::new(Named(contender.into(), self))) }
        }
    }

    impl Runner<usize> for Named<'_> {
        fn work(&self, slice: &Slice<'_, usize>) -> Worked {
            let seen = (self.0.clone(), slice.lead_in[0], slice.timed[0], slice.timed.len());
            self.1.seen.borrow_mut().push(seen);
            Worked { operations: slice.timed.len(), found: 1, elapsed: timed(|| ()).1 }
        }

        fn costs(&self, slices: &[Worked]) -> Outcome {
            assert_eq!(Worked::sums(slices), (SLICES * 10, SLICES));
            Ok(Costs { slices: vec![vec![1.0]; slices.len()], ..Costs::default() })
        }
    }

    #[test]
    fn every_slice_is_worked_by_all_before_the_next_and_the_round_says_who_begins() {
        let load = Numbers { stream: (0..stream_length(SLICES * 10)).collect(), seen: RefCell::default() };
        let mut rows = Row::all(&["a", "c", "b"].map(String::from));
        round(&mut rows, &load, 2, "case");
        let seen = load.seen.borrow();
        let period = LEAD_IN + 10;
        for slice in 0..SLICES {
            let first = slice * period;
            let expected = ["b", "a"].map(|name| (name.into(), first, first + LEAD_IN, 10));
            assert_eq!(seen[2 * slice..][..2], expected, "slice {slice}");
        }
        assert_eq!(seen.len(), 2 * SLICES);
        assert_eq!(rows[0].costs(0).unwrap(), [1.0]);
        assert!(rows[1].rounds.is_err());
    }
}
