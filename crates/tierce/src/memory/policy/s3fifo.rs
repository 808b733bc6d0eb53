//! S3-FIFO.

use super::ghost::Ghost;
use crate::memory::queue::Queue;
use crate::memory::slot::{Life, Link, Slot};

const SMALL: u8 = 1;
const MAIN: u8 = 2;
const MOST_HITS: u8 = 3;
const SMALL_SHARE: u64 = 10;
const LONGEST_WALK: u32 = 128;

pub(in crate::memory) struct S3Fifo {
    small: Queue,
    main: Queue,
    ghost: Ghost,
    limit: u64,
}

impl S3Fifo {
    pub(super) fn new(limit: u64) -> Self {
        S3Fifo { small: Queue::new(), main: Queue::new(), ghost: Ghost::new(limit - limit / SMALL_SHARE), limit }
    }

    #[inline]
    pub(super) fn hit(life: &mut Life) {
        let hits = life.hits();
        if hits < MOST_HITS {
            life.set_hits(hits + 1);
        }
    }

    #[inline]
    pub(super) fn place(&mut self, links: &mut [Link], slot: u32, life: &mut Life) {
        let hash = links[slot as usize].hash;
        if self.main.weight() < self.main_share() && self.small.weight() >= self.small_share() || self.ghost.take(hash)
        {
            life.set_queue(MAIN);
            self.main.push_back(links, slot);
        } else {
            life.set_queue(SMALL);
            self.small.push_back(links, slot);
        }
    }

    #[inline]
    pub(super) fn victim<K, V>(&mut self, links: &mut [Link], slots: &mut [Option<Slot<K, V>>]) -> Option<u32> {
        for step in 0.. {
            let tired = step >= LONGEST_WALK;
            if self.small.weight() > self.small_share() || self.main.front().is_none() {
                let slot = self.small.front()?;
                self.small.unlink(links, slot);
                let Some(entry) = slots[slot as usize].as_mut() else { return Some(slot) };
                if entry.life.hits() == 0 || tired {
                    self.ghost.room_for(u64::from(self.main.len()));
                    self.ghost.add(links[slot as usize].hash);
                    return Some(slot);
                }
                entry.life.set_hits(0);
                entry.life.set_queue(MAIN);
                self.main.push_back(links, slot);
            } else {
                let slot = self.main.front()?;
                let Some(entry) = slots[slot as usize].as_mut() else { return Some(slot) };
                let hits = entry.life.hits();
                if hits == 0 || tired {
                    self.main.unlink(links, slot);
                    return Some(slot);
                }
                entry.life.set_hits(hits - 1);
                self.main.rotate(links);
            }
        }
        None
    }

    pub(super) fn forget(&mut self, links: &mut [Link], slot: u32, life: Life) {
        self.queue(life).unlink(links, slot);
    }

    pub(super) fn reweigh(&mut self, life: Life, old: u32, new: u32) {
        self.queue(life).reweigh(old, new);
    }

    pub(super) fn resize(&mut self, limit: u64) {
        self.limit = limit;
        self.ghost.resize(self.main_share());
    }

    fn queue(&mut self, life: Life) -> &mut Queue {
        match life.queue() {
            SMALL => &mut self.small,
            _ => &mut self.main,
        }
    }

    #[inline]
    fn small_share(&self) -> u64 {
        (self.limit / SMALL_SHARE).max(1)
    }

    #[inline]
    fn main_share(&self) -> u64 {
        self.limit - self.limit / SMALL_SHARE
    }
}
