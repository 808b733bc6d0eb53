//! Which keys were evicted lately, and how long ago: a set-associative table, four bytes a trace.
//!
//! Time is the shard's number of misses, in steps so coarse that the window is at most a quarter of 16 bits. A trace
//! is 16 bits of time, one bit for the queue that the key left, and 15 bits of fingerprint, never zero, so that zero is
//! an empty place. A set of eight is 32 bytes in the order of their coming: a note shifts them and the oldest falls out,
//! a look and a note touch one cache line each, and nothing is ever rehashed. With eight fingerprints compared a look,
//! one in about 4,000 strangers is taken for a key that was here; that only gives one entry a better or worse place
//! than it earned.

use crate::memory::prefetch::prefetch;

const WAYS: usize = 8;
const LANE_BITS: u32 = 16;
/// In a lane of `prints`: the key left the main queue.
const FROM_MAIN: u128 = 1 << 15;
const PRINT: u128 = FROM_MAIN - 1;
/// One in every lane.
const ONES: u128 = 0x0001_0001_0001_0001_0001_0001_0001_0001;

pub(super) struct Ghost {
    sets: Vec<Set>,
    /// Misses remembered.
    window: u32,
    /// log2 of the misses in one step of time.
    step: u32,
}

/// Eight lanes each, the youngest lowest.
#[repr(align(32))]
#[derive(Clone, Copy)]
struct Set {
    times: u128,
    prints: u128,
}

const EMPTY: Set = Set { times: 0, prints: 0 };

/// What is known of a key that was here.
#[derive(Clone, Copy)]
pub(super) struct Trace {
    /// Misses since it left.
    pub(super) age: u32,
    pub(super) from_main: bool,
}

impl Ghost {
    /// Remembers nothing, and has no table.
    pub(super) const fn empty() -> Self {
        Ghost { sets: Vec::new(), window: 0, step: 0 }
    }

    /// Remembers what leaves for so many misses.
    pub(super) fn new(window: u32) -> Self {
        let mut step = 0;
        while window >> step > u32::from(u16::MAX) / 4 {
            step += 1;
        }
        Ghost { sets: vec![EMPTY; (window as usize).div_ceil(WAYS).max(1)], window, step }
    }

    pub(super) fn window(&self) -> u32 {
        self.window
    }

    /// The lane of its set that matches a key: its highest bit, or nothing. Asked before anything else is known of the
    /// key, so that the wait for this cache line overlaps the wait for the table's.
    #[inline]
    pub(super) fn matching(&self, hash: u32) -> u128 {
        let Some(set) = self.sets.get(self.place(hash)) else { return 0 };
        let differs = set.prints ^ (ONES * print(hash));
        // The sum reaches a lane's highest bit unless all bits below are zero, and never the next lane.
        let same = !((differs & (ONES * PRINT)) + ONES * PRINT) & (ONES * FROM_MAIN);
        same & same.wrapping_neg()
    }

    /// What is known of a key that matched, which is forgotten by being asked for.
    #[inline]
    pub(super) fn take(&mut self, hash: u32, matching: u128, now: u32) -> Option<Trace> {
        if matching == 0 {
            return None;
        }
        let place = self.place(hash);
        let set = self.sets.get_mut(place)?;
        let lane = matching.trailing_zeros() / LANE_BITS * LANE_BITS;
        let then = (set.times >> lane) as u16;
        let from_main = set.prints >> lane & FROM_MAIN != 0;
        // The older ones move up, so that the oldest place is free again.
        let younger = (1 << lane) - 1;
        set.times = set.times & younger | set.times >> LANE_BITS & !younger;
        set.prints = set.prints & younger | set.prints >> LANE_BITS & !younger;
        let age = u32::from(((now >> self.step) as u16).wrapping_sub(then)) << self.step;
        (age < self.window).then_some(Trace { age, from_main })
    }

    /// Remembers a key in the place of the oldest.
    #[inline]
    pub(super) fn note(&mut self, hash: u32, now: u32, from_main: bool) {
        let place = self.place(hash);
        let Some(set) = self.sets.get_mut(place) else { return };
        set.times = set.times << LANE_BITS | u128::from((now >> self.step) as u16);
        set.prints = set.prints << LANE_BITS | print(hash) | if from_main { FROM_MAIN } else { 0 };
    }

    /// Begins to fetch the line that a note of this hash will change.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        if let Some(set) = self.sets.get(self.place(hash)) {
            prefetch(set);
        }
    }

    #[inline]
    fn place(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.sets.len() as u64) >> 32) as usize
    }
}

#[inline]
fn print(hash: u32) -> u128 {
    (u128::from(hash) & PRINT).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(ghost: &mut Ghost, hash: u32, now: u32) -> Option<Trace> {
        ghost.take(hash, ghost.matching(hash), now)
    }

    #[test]
    fn a_key_is_remembered_with_its_age_once_and_within_the_window() {
        let mut ghost = Ghost::new(1000);
        ghost.note(7 << 20 | 7, 5, true);
        ghost.note(9 << 20 | 9, 6, false);
        assert_eq!(take(&mut ghost, 7 << 20 | 7, 105).map(|t| (t.age, t.from_main)), Some((100, true)));
        assert!(take(&mut ghost, 7 << 20 | 7, 105).is_none(), "taken already");
        assert!(take(&mut ghost, 9 << 20 | 9, 1006).is_none(), "past the window");
    }

    #[test]
    fn the_oldest_of_a_full_set_is_forgotten_and_what_is_taken_makes_room() {
        let mut ghost = Ghost::new(WAYS as u32);
        (1..=9).for_each(|key| ghost.note(key, 1, key % 2 == 0));
        assert!(take(&mut ghost, 1, 2).is_none(), "the ninth pushed the first out");
        assert!(take(&mut ghost, 4, 2).is_some_and(|trace| trace.from_main));
        ghost.note(10, 1, false);
        let left: Vec<u32> = (1..=10).filter(|key| take(&mut ghost, *key, 2).is_some()).collect();
        assert_eq!(left, [2, 3, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn a_coarse_clock_survives_its_own_wrap() {
        let mut ghost = Ghost::new(1 << 20);
        for now in [0, u32::MAX - 100, 77] {
            ghost.note(0xABCD_EF01, now, false);
            let age = take(&mut ghost, 0xABCD_EF01, now.wrapping_add(5000)).map(|t| t.age);
            assert!(age.is_some_and(|age| age.abs_diff(5000) <= 64), "{age:?} at {now}");
        }
    }
}
