//! Strictly least recently used: a hit moves its entry to the back of one queue.
//!
//! A list linked through an array of its own: any entry leaves from any place, and a hit leaves no hole.

use crate::memory::ring::Item;
use crate::memory::slot::NIL;

pub(in crate::memory) struct Lru {
    nodes: Vec<Node>,
    front: u32,
    back: u32,
}

#[derive(Clone, Copy)]
struct Node {
    prev: u32,
    next: u32,
    hash: u32,
}

impl Lru {
    pub(super) fn new() -> Self {
        Lru { nodes: Vec::new(), front: NIL, back: NIL }
    }

    #[inline]
    pub(super) fn hit(&mut self, slot: u32) {
        let hash = self.unlink(slot);
        self.push(Item { slot, hash });
    }

    #[inline]
    pub(super) fn push(&mut self, item: Item) {
        let node = Node { prev: self.back, next: NIL, hash: item.hash };
        match self.nodes.get_mut(item.slot as usize) {
            Some(known) => *known = node,
            // Slots are taken in order when they are taken for the first time.
            None => self.nodes.push(node),
        }
        match self.back {
            NIL => self.front = item.slot,
            back => self.nodes[back as usize].next = item.slot,
        }
        self.back = item.slot;
    }

    /// Takes a slot out; gives its hash.
    #[inline]
    pub(super) fn unlink(&mut self, slot: u32) -> u32 {
        let Node { prev, next, hash } = self.nodes[slot as usize];
        match prev {
            NIL => self.front = next,
            prev => self.nodes[prev as usize].next = next,
        }
        match next {
            NIL => self.back = prev,
            next => self.nodes[next as usize].prev = prev,
        }
        hash
    }

    pub(super) fn victim(&mut self) -> Option<Item> {
        let slot = self.front;
        (slot != NIL).then(|| Item { slot, hash: self.unlink(slot) })
    }

    /// Makes room for so many more slots.
    pub(super) fn widen(&mut self, more: usize) {
        self.nodes.reserve_exact(more);
    }

    /// All, from the next to go.
    pub(super) fn iter(&self) -> impl Iterator<Item = Item> + '_ {
        let item = |slot: u32| (slot != NIL).then(|| Item { slot, hash: self.nodes[slot as usize].hash });
        std::iter::successors(item(self.front), move |last| item(self.nodes[last.slot as usize].next))
    }
}
