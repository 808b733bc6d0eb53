//! A queue of slots, linked through [`Link`]s by index: any entry leaves from any place in constant time.

use super::slot::{Link, NIL};

/// Front is the oldest, back the newest.
pub(super) struct Queue {
    front: u32,
    back: u32,
    len: u32,
    weight: u64,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Queue { front: NIL, back: NIL, len: 0, weight: 0 }
    }

    #[inline]
    pub(super) fn front(&self) -> Option<u32> {
        (self.front != NIL).then_some(self.front)
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    #[inline]
    pub(super) fn push_back(&mut self, links: &mut [Link], slot: u32) {
        let link = &mut links[slot as usize];
        link.prev = self.back;
        link.next = NIL;
        self.weight += u64::from(link.weight);
        match self.back {
            NIL => self.front = slot,
            back => links[back as usize].next = slot,
        }
        self.back = slot;
        self.len += 1;
    }

    #[inline]
    pub(super) fn unlink(&mut self, links: &mut [Link], slot: u32) {
        let Link { prev, next, weight, .. } = links[slot as usize];
        match prev {
            NIL => self.front = next,
            prev => links[prev as usize].next = next,
        }
        match next {
            NIL => self.back = prev,
            next => links[next as usize].prev = prev,
        }
        self.weight -= u64::from(weight);
        self.len -= 1;
    }

    /// Moves the front to the back: a second chance.
    #[inline]
    pub(super) fn rotate(&mut self, links: &mut [Link]) {
        if let Some(slot) = self.front() {
            self.unlink(links, slot);
            self.push_back(links, slot);
        }
    }

    /// Tells the queue that a member's weight changed, before it is written to the link.
    pub(super) fn reweigh(&mut self, old: u32, new: u32) {
        self.weight = self.weight - u64::from(old) + u64::from(new);
    }
}
