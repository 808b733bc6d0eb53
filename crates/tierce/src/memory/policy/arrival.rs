//! What a policy is told of a shard's entries, and what it answers to a new key.

use crate::memory::ring::Item;
use crate::memory::slot::{Life, Slot};

/// A key that is looked up to be put in, and what the policy may remember of it.
#[derive(Clone, Copy)]
pub(in crate::memory) struct Recalled {
    pub(in crate::memory) hash: u32,
    pub(super) matching: u128,
}

/// How a new key is received.
pub(in crate::memory) struct Arrival {
    /// It was here not long ago, and deserves better than a newcomer's place.
    pub(in crate::memory) favoured: bool,
    /// It took the place of this entry, which stands in no queue any more.
    pub(in crate::memory) evicted: Option<Item>,
}

/// The entries' lives, as the policy sees them.
pub(in crate::memory) trait Lives {
    /// The life of the entry in this slot.
    fn life(&mut self, slot: u32) -> &mut Life;
}

impl<K, V> Lives for Vec<Option<Slot<K, V>>> {
    #[inline]
    fn life(&mut self, slot: u32) -> &mut Life {
        &mut self[slot as usize].as_mut().expect("queues name full slots only").life
    }
}
