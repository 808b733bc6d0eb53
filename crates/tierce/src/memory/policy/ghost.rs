//! Which keys were evicted lately, and how long ago: a set-associative table, four bytes a trace.
//!
//! Time is the shard's number of misses, in steps so coarse that the window is at most a quarter of 16 bits. A trace
//! is 16 bits of time, one bit for the queue that the key left, and 15 bits of fingerprint, never zero, so that zero is
//! an empty place. A set of eight is 32 bytes: a look and a note touch one cache line each, and nothing is ever
//! rehashed. With eight fingerprints compared a look, one in about 4,000 strangers is taken for a key that was here;
//! that only gives one entry a better or worse place than it earned.

const WAYS: usize = 8;
const FROM_MAIN: u16 = 1 << 15;
const PRINT: u16 = FROM_MAIN - 1;

pub(super) struct Ghost {
    sets: Vec<Set>,
    /// Misses remembered.
    window: u32,
    /// log2 of the misses in one step of time.
    step: u32,
}

/// Times and fingerprints apart, so that all eight are compared as one vector.
#[repr(align(32))]
#[derive(Clone, Copy)]
struct Set {
    times: [u16; WAYS],
    prints: [u16; WAYS],
}

const EMPTY: Set = Set { times: [0; WAYS], prints: [0; WAYS] };

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

    /// Which ways of its set match a key. Asked before anything else is known of the key, so that the wait for this
    /// cache line overlaps the wait for the table's.
    #[inline]
    pub(super) fn matches(&self, hash: u32) -> u32 {
        let print = print(hash);
        let Some(set) = self.sets.get(self.place(hash)) else { return 0 };
        // Without a branch in the loop, so that it becomes vector code.
        let mut matches = 0_u32;
        for (way, known) in set.prints.iter().enumerate() {
            matches |= u32::from(known & PRINT == print) << way;
        }
        matches
    }

    /// What is known of a key that matched, which is forgotten by being asked for.
    #[inline]
    pub(super) fn take(&mut self, hash: u32, matches: u32, now: u32) -> Option<Trace> {
        if matches == 0 {
            return None;
        }
        let place = self.place(hash);
        let set = self.sets.get_mut(place)?;
        let way = matches.trailing_zeros() as usize % WAYS;
        let known = std::mem::take(&mut set.prints[way]);
        let age = u32::from(((now >> self.step) as u16).wrapping_sub(set.times[way])) << self.step;
        (age < self.window).then_some(Trace { age, from_main: known & FROM_MAIN != 0 })
    }

    /// Remembers a key: in its own old place, an empty one, or the oldest.
    #[inline]
    pub(super) fn note(&mut self, hash: u32, now: u32, from_main: bool) {
        let place = self.place(hash);
        let print = print(hash);
        let time = (now >> self.step) as u16;
        let Some(set) = self.sets.get_mut(place) else { return };
        let mut ages = [0_u16; WAYS];
        for (age, (then, known)) in ages.iter_mut().zip(set.times.iter().zip(&set.prints)) {
            let reusable = known & PRINT == 0 || known & PRINT == print;
            *age = time.wrapping_sub(*then) | u16::from(reusable).wrapping_neg();
        }
        let (mut best, mut oldest) = (0, ages[0]);
        for (way, &age) in ages.iter().enumerate().skip(1) {
            best = if age > oldest { way } else { best };
            oldest = oldest.max(age);
        }
        set.times[best] = time;
        set.prints[best] = print | if from_main { FROM_MAIN } else { 0 };
    }

    #[inline]
    fn place(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.sets.len() as u64) >> 32) as usize
    }
}

#[inline]
fn print(hash: u32) -> u16 {
    (hash as u16 & PRINT).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(ghost: &mut Ghost, hash: u32, now: u32) -> Option<Trace> {
        ghost.take(hash, ghost.matches(hash), now)
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
    fn a_coarse_clock_survives_its_own_wrap() {
        let mut ghost = Ghost::new(1 << 20);
        for now in [0, u32::MAX - 100, 77] {
            ghost.note(0xABCD_EF01, now, false);
            let age = take(&mut ghost, 0xABCD_EF01, now.wrapping_add(5000)).map(|t| t.age);
            assert!(age.is_some_and(|age| age.abs_diff(5000) <= 64), "{age:?} at {now}");
        }
    }
}
