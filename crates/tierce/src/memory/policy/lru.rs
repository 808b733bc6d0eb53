//! Strictly least recently used: a hit moves its entry to the back of one queue.

use crate::memory::queue::Queue;
use crate::memory::slot::Link;

pub(in crate::memory) struct Lru {
    queue: Queue,
}

impl Lru {
    pub(super) fn new() -> Self {
        Lru { queue: Queue::new() }
    }

    #[inline]
    pub(super) fn hit(&mut self, links: &mut [Link], slot: u32) {
        self.queue.unlink(links, slot);
        self.queue.push_back(links, slot);
    }

    #[inline]
    pub(super) fn place(&mut self, links: &mut [Link], slot: u32) {
        self.queue.push_back(links, slot);
    }

    pub(super) fn victim(&mut self, links: &mut [Link]) -> Option<u32> {
        let slot = self.queue.front()?;
        self.queue.unlink(links, slot);
        Some(slot)
    }

    pub(super) fn forget(&mut self, links: &mut [Link], slot: u32) {
        self.queue.unlink(links, slot);
    }
}
