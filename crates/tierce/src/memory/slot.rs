//! One entry's place in a shard: what a hit reads.
//!
//! A hit on a `u64 → u64` entry reads one line of the table and 24 bytes of [`Slot`]; what only the coming and going of
//! an entry needs stands elsewhere: its place in its queue with the policy, its weight and what its owner keeps beside
//! it in arrays of their own.

use crate::clock::NEVER;
use crate::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// No slot.
pub(super) const NIL: u32 = u32::MAX;

/// What a hit reads.
#[repr(C)]
pub(super) struct Slot<K, V> {
    pub(super) life: Life,
    pub(super) key: K,
    pub(super) value: V,
}

/// When an entry expires, how often it was hit and which queue it stands in, in eight bytes.
///
/// Readers of a shard share it and write the hits only, of which two at once may count as one. The queue is also what
/// tells a full slot from an empty one.
#[repr(C)]
pub(super) struct Life {
    expiry_low: u32,
    expiry_high: u16,
    hits: AtomicU8,
    pub(super) queue: Queue,
}

/// Which queue of its policy an entry stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Queue {
    Small,
    Main,
}

const _: () = assert!(NEVER == u64::MAX >> 16, "an expiry has 48 bits");

/// What the owner of a memory keeps beside each entry, out of a hit's way.
pub(crate) trait Beside: Default {
    /// How long past its expiry an entry is kept, in milliseconds. Until then lookups that ask for it see it.
    #[inline]
    fn kept_ms(&self) -> u64 {
        0
    }
}

impl Beside for () {}

impl Life {
    /// A new entry's life; an expiry past [`NEVER`] is never.
    #[inline]
    pub(super) fn new(expiry_ms: u64) -> Self {
        let mut life = Life { expiry_low: 0, expiry_high: 0, hits: AtomicU8::new(0), queue: Queue::Small };
        life.set_expiry_ms(expiry_ms);
        life
    }

    /// Whether there is an expiry at all.
    #[inline]
    pub(super) fn expires(&self) -> bool {
        self.expiry_high != u16::MAX
    }

    /// [`NEVER`] where there is none.
    #[inline]
    pub(super) fn expiry_ms(&self) -> u64 {
        u64::from(self.expiry_low) | u64::from(self.expiry_high) << 32
    }

    #[inline]
    pub(super) fn set_expiry_ms(&mut self, expiry_ms: u64) {
        // Times that would look like none are none: the last 50 days of 8,900 years.
        let expiry_ms = if expiry_ms >> 32 >= u64::from(u16::MAX) { NEVER } else { expiry_ms };
        (self.expiry_low, self.expiry_high) = (expiry_ms as u32, (expiry_ms >> 32) as u16);
    }

    /// Counts a hit, up to `most`. Writes nothing then: the line of a favourite stays shared.
    #[inline]
    pub(super) fn hit(&self, most: u8) {
        let hits = self.hits.load(Relaxed);
        if hits < most {
            self.hits.store(hits + 1, Relaxed);
        }
    }

    #[inline]
    pub(super) fn hits(&self) -> u8 {
        self.hits.load(Relaxed)
    }

    #[inline]
    pub(super) fn set_hits(&self, hits: u8) {
        self.hits.store(hits, Relaxed);
    }
}

#[cfg(all(test, not(tierce_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_u64_slot_takes_24_bytes() {
        assert_eq!(size_of::<Option<Slot<u64, u64>>>(), 24);
    }

    #[test]
    fn the_parts_of_a_life_do_not_touch_each_other() {
        let mut life = Life::new(12_345);
        (0..9).for_each(|_| life.hit(3));
        life.queue = Queue::Main;
        life.set_expiry_ms(NEVER + 7);
        assert_eq!((life.hits(), life.queue, life.expiry_ms()), (3, Queue::Main, NEVER));
        assert!(!life.expires());
        life.set_hits(0);
        life.set_expiry_ms(0x1234_5678_9ABC);
        assert!(life.expires());
        assert_eq!((life.hits(), life.queue, life.expiry_ms()), (0, Queue::Main, 0x1234_5678_9ABC));
    }
}
