//! What a policy is told of a shard's entries, and what it answers to a new key.

use crate::memory::slot::{Life, Link, Slot};

/// A key that is looked up to be put in, and what the policy may remember of it.
#[derive(Clone, Copy)]
pub(in crate::memory) struct Recalled {
    pub(super) hash: u32,
    pub(super) matches: u32,
}

/// How a new key is received.
pub(in crate::memory) struct Arrival {
    /// It was here not long ago, and deserves better than a newcomer's place.
    pub(in crate::memory) favoured: bool,
    /// It took the place of this entry, which stands in no queue any more.
    pub(in crate::memory) evicted: Option<u32>,
}

/// The queues' entries, as the policy sees them.
pub(in crate::memory) struct Entries<'a, K, V> {
    pub(in crate::memory) links: &'a mut [Link],
    pub(in crate::memory) slots: &'a mut [Option<Slot<K, V>>],
}

impl<K, V> Entries<'_, K, V> {
    #[inline]
    pub(super) fn life(&mut self, slot: u32) -> &mut Life {
        &mut self.slots[slot as usize].as_mut().expect("queues name full slots only").life
    }
}
