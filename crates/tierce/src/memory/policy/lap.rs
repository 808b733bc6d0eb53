//! How long ago the front of a queue was pushed, without a time in every entry.
//!
//! A queue that is pushed at the back and popped at the front holds the last `len` pushes in order. The time of every
//! `step`th push is noted in a ring; the front's is between two notes. Removals from the middle make the front look
//! younger than it is, by as many pushes.

/// Notes in the ring: twice as many as a full queue of `step * 32` pushes takes.
const NOTES: u32 = 64;

pub(super) struct Lap {
    notes: [u32; NOTES as usize],
    step: u32,
    pushes: u32,
}

impl Lap {
    /// For a queue of at most this many entries.
    pub(super) fn new(most: u32) -> Self {
        Lap { notes: [0; NOTES as usize], step: (most / (NOTES / 2)).max(1), pushes: 0 }
    }

    #[inline]
    pub(super) fn pushed(&mut self, now: u32) {
        if self.pushes.is_multiple_of(self.step) {
            self.notes[(self.pushes / self.step % NOTES) as usize] = now;
        }
        // Wraps after four billion pushes, and is wrong for one lap then: some entries get a place they did not earn.
        self.pushes = self.pushes.wrapping_add(1);
    }

    /// The front's age, at most one part in 32 of a lap too small; 0 where nothing is known.
    #[inline]
    pub(super) fn front_age(&self, len: u32, now: u32) -> u32 {
        let note = self.pushes.wrapping_sub(len).div_ceil(self.step);
        if u64::from(note) * u64::from(self.step) >= u64::from(self.pushes) {
            return 0;
        }
        now.wrapping_sub(self.notes[(note % NOTES) as usize])
    }
}
