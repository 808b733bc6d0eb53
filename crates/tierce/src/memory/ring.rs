//! A queue of slots in one piece: in at the back, out at the front, and out of the middle by its place.
//!
//! The next to leave stand beside each other with their hashes, so that eviction reads what it needs from lines the
//! processor has fetched already; a list linked through the entries reads a line of its own for each.
//!
//! What leaves from the middle leaves a hole, which the front skips and which is closed when the ring is full. The front
//! is never a hole.

use super::slot::NIL;

/// A queued slot, and the hash of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) slot: u32,
    pub(super) hash: u32,
}

const HOLE: Item = Item { slot: NIL, hash: 0 };

/// Where each slot stands in its ring, by slot.
pub(super) type Places = Vec<u32>;

pub(super) struct Ring {
    items: Vec<Item>,
    front: usize,
    /// Places from the front to the back, holes among them.
    span: usize,
    len: u32,
}

impl Ring {
    pub(super) const fn new() -> Self {
        Ring { items: Vec::new(), front: 0, span: 0, len: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(super) fn front(&self) -> Option<Item> {
        (self.span > 0).then(|| self.items[self.front])
    }

    #[inline]
    pub(super) fn push(&mut self, item: Item, places: &mut Places) {
        if self.span == self.items.len() {
            self.make_room(places);
        }
        let back = self.at(self.span);
        self.items[back] = item;
        match places.get_mut(item.slot as usize) {
            Some(place) => *place = back as u32,
            // Slots are taken in order when they are taken for the first time.
            None => places.push(back as u32),
        }
        self.span += 1;
        self.len += 1;
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.front()?;
        self.len -= 1;
        self.skip();
        Some(item)
    }

    /// Takes out a slot that stands here; gives its hash.
    pub(super) fn remove(&mut self, slot: u32, places: &[u32]) -> u32 {
        let place = places[slot as usize] as usize;
        let hash = self.items[place].hash;
        self.len -= 1;
        if place == self.front {
            self.skip();
        } else {
            self.items[place] = HOLE;
        }
        hash
    }

    /// All that stand here, from the front.
    pub(super) fn iter(&self) -> impl Iterator<Item = Item> + '_ {
        (0..self.span).map(|i| self.items[self.at(i)]).filter(|item| item.slot != NIL)
    }

    /// Past the front, and the holes behind it.
    #[inline]
    fn skip(&mut self) {
        loop {
            self.front = self.at(1);
            self.span -= 1;
            if self.span == 0 || self.items[self.front].slot != NIL {
                return;
            }
        }
    }

    #[inline]
    fn at(&self, offset: usize) -> usize {
        let at = self.front + offset;
        if at < self.items.len() { at } else { at - self.items.len() }
    }

    /// Closes the holes, with a quarter more room than is taken.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, places: &mut [u32]) {
        let room = self.len as usize + (self.len as usize / 4).max(16);
        let mut items = Vec::with_capacity(room);
        items.extend(self.iter());
        for (place, item) in items.iter().enumerate() {
            places[item.slot as usize] = place as u32;
        }
        items.resize(room, HOLE);
        (self.items, self.front, self.span) = (items, 0, self.len as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use std::collections::VecDeque;

    #[test]
    fn it_agrees_with_a_plain_queue_whatever_leaves_from_the_middle() {
        let random = Random::seeded(3);
        let below = |n: usize| (random.unit() * n as f64) as usize;
        let (mut ring, mut plain, mut places) = (Ring::new(), VecDeque::new(), vec![0; 500]);
        let mut free: Vec<u32> = (0..500).collect();
        for step in 0..100_000_u32 {
            match below(5) {
                0..=2 if !free.is_empty() => {
                    let slot = free.swap_remove(below(free.len()));
                    let item = Item { slot, hash: step };
                    ring.push(item, &mut places);
                    plain.push_back(item);
                }
                3 if !plain.is_empty() => {
                    let item: Item = plain.remove(below(plain.len())).unwrap();
                    assert_eq!(ring.remove(item.slot, &places), item.hash);
                    free.push(item.slot);
                }
                _ => {
                    let item = ring.pop();
                    assert_eq!(item, plain.pop_front());
                    free.extend(item.map(|item| item.slot));
                }
            }
            assert_eq!((ring.len() as usize, ring.front()), (plain.len(), plain.front().copied()));
        }
        assert!(ring.iter().eq(plain));
    }
}
