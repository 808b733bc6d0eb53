//! One entry's place in a shard: what a hit touches, and what only its coming and going touch.
//!
//! The two halves live in two vectors. A hit on a `u64 → u64` entry reads one table group and 24 bytes of [`Slot`];
//! the 16 bytes of [`Link`] stay out of its cache lines: most of a hit's time is the wait for them.

use std::num::NonZeroU64;

use crate::clock::NEVER;

/// No slot: the end of a list.
pub(super) const NIL: u32 = u32::MAX;

/// What a hit reads.
#[repr(C)]
pub(super) struct Slot<K, V> {
    pub(super) life: Life,
    pub(super) key: K,
    pub(super) value: V,
}

/// What placing, moving and removing an entry reads.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) prev: u32,
    pub(super) next: u32,
    /// The low half of the key's hash: tables grow and ghosts remember without hashing the key again.
    pub(super) hash: u32,
    pub(super) weight: u32,
}

/// When an entry expires, how often it was hit and which queue it stands in, in eight bytes.
///
/// Bits 0–3: hits, bits 4–6: queue, bit 7: always one (so that `Option<Slot>` costs nothing), bits 8–63: expiry in
/// milliseconds of the clock.
#[derive(Clone, Copy)]
pub(super) struct Life(NonZeroU64);

const HITS: u64 = 0b1111;
const QUEUE_SHIFT: u32 = 4;
const QUEUE: u64 = 0b111 << QUEUE_SHIFT;
const ONE: NonZeroU64 = NonZeroU64::new(1 << 7).expect("bit 7 is not zero");
const EXPIRY_SHIFT: u32 = 8;
const _: () = assert!(NEVER == u64::MAX >> EXPIRY_SHIFT);

impl Life {
    /// A new entry's life; an expiry past [`NEVER`] is never.
    #[inline]
    pub(super) fn new(expiry_ms: u64) -> Self {
        Life(ONE | (expiry_ms.min(NEVER) << EXPIRY_SHIFT))
    }

    #[inline]
    pub(super) fn expiry_ms(self) -> u64 {
        self.0.get() >> EXPIRY_SHIFT
    }

    #[inline]
    pub(super) fn set_expiry_ms(&mut self, expiry_ms: u64) {
        let low = self.0.get() & ((1 << EXPIRY_SHIFT) - 1);
        self.0 = ONE | low | (expiry_ms.min(NEVER) << EXPIRY_SHIFT);
    }

    #[inline]
    pub(super) fn hits(self) -> u8 {
        (self.0.get() & HITS) as u8
    }

    #[inline]
    pub(super) fn set_hits(&mut self, hits: u8) {
        self.0 = ONE | (self.0.get() & !HITS) | (u64::from(hits) & HITS);
    }

    #[inline]
    pub(super) fn queue(self) -> u8 {
        ((self.0.get() & QUEUE) >> QUEUE_SHIFT) as u8
    }

    #[inline]
    pub(super) fn set_queue(&mut self, queue: u8) {
        self.0 = ONE | (self.0.get() & !QUEUE) | ((u64::from(queue) << QUEUE_SHIFT) & QUEUE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_u64_slot_and_its_link_take_forty_bytes() {
        assert_eq!(size_of::<Option<Slot<u64, u64>>>(), 24);
        assert_eq!(size_of::<Link>(), 16);
    }

    #[test]
    fn the_parts_of_a_life_do_not_touch_each_other() {
        let mut life = Life::new(12_345);
        life.set_hits(15);
        life.set_queue(5);
        life.set_expiry_ms(NEVER + 7);
        assert_eq!((life.hits(), life.queue(), life.expiry_ms()), (15, 5, NEVER));
        life.set_hits(0);
        life.set_expiry_ms(0);
        assert_eq!((life.hits(), life.queue(), life.expiry_ms()), (0, 5, 0));
    }
}
