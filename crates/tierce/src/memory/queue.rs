//! A queue of slots, linked through [`Link`]s by index: any entry leaves from any place in constant time.

use super::slot::{Link, NIL};

/// In at the back, out at the front.
pub(super) struct Queue {
    front: u32,
    back: u32,
    len: u32,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Queue { front: NIL, back: NIL, len: 0 }
    }

    #[inline]
    pub(super) fn front(&self) -> Option<u32> {
        (self.front != NIL).then_some(self.front)
    }

    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(super) fn push_back(&mut self, links: &mut [Link], slot: u32) {
        let link = &mut links[slot as usize];
        link.prev = self.back;
        link.next = NIL;
        match self.back {
            NIL => self.front = slot,
            back => links[back as usize].next = slot,
        }
        self.back = slot;
        self.len += 1;
    }

    #[inline]
    pub(super) fn unlink(&mut self, links: &mut [Link], slot: u32) {
        let Link { prev, next, .. } = links[slot as usize];
        match prev {
            NIL => self.front = next,
            prev => links[prev as usize].next = next,
        }
        match next {
            NIL => self.back = prev,
            next => links[next as usize].prev = prev,
        }
        self.len -= 1;
    }
}
