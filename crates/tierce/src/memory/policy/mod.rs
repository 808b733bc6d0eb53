//! Which entry goes when there is no room.

mod ghost;
mod lru;
mod s3fifo;

use super::slot::{Life, Link, Slot};
use lru::Lru;
use s3fifo::S3Fifo;

/// How a [`Memory`](crate::Memory) chooses what to evict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Three FIFO queues (Yang et al., SOSP 2023), made to hold its ground on loops: the best hit ratio on the web
    /// traces measured, and a hit moves nothing.
    #[default]
    S3Fifo,
    /// Strictly least recently used, in one shard, where the order is promised to somebody.
    Lru,
}

/// The queues of one shard.
pub(super) enum Order {
    S3Fifo(S3Fifo),
    Lru(Lru),
}

impl Order {
    pub(super) fn new(policy: Policy, limit: u64) -> Self {
        match policy {
            Policy::S3Fifo => Order::S3Fifo(S3Fifo::new(limit)),
            Policy::Lru => Order::Lru(Lru::new()),
        }
    }

    /// An entry was read, or written over.
    #[inline]
    pub(super) fn hit(&mut self, links: &mut [Link], slot: u32, life: &mut Life) {
        match self {
            Order::S3Fifo(_) => S3Fifo::hit(life),
            Order::Lru(order) => order.hit(links, slot),
        }
    }

    /// A new entry stands in its slot and wants a place.
    #[inline]
    pub(super) fn place(&mut self, links: &mut [Link], slot: u32, life: &mut Life) {
        match self {
            Order::S3Fifo(order) => order.place(links, slot, life),
            Order::Lru(order) => order.place(links, slot),
        }
    }

    /// Takes the next entry to evict out of its queue; the caller empties its slot.
    #[inline]
    pub(super) fn victim<K, V>(&mut self, links: &mut [Link], slots: &mut [Option<Slot<K, V>>]) -> Option<u32> {
        match self {
            Order::S3Fifo(order) => order.victim(links, slots),
            Order::Lru(order) => order.victim(links),
        }
    }

    /// Takes an entry that goes for another reason out of its queue.
    pub(super) fn forget(&mut self, links: &mut [Link], slot: u32, life: Life) {
        match self {
            Order::S3Fifo(order) => order.forget(links, slot, life),
            Order::Lru(order) => order.forget(links, slot),
        }
    }

    /// An entry's weight is about to change in its link.
    pub(super) fn reweigh(&mut self, life: Life, old: u32, new: u32) {
        match self {
            Order::S3Fifo(order) => order.reweigh(life, old, new),
            Order::Lru(order) => order.reweigh(old, new),
        }
    }

    /// The shard's limit changed.
    pub(super) fn resize(&mut self, limit: u64) {
        if let Order::S3Fifo(order) = self {
            order.resize(limit);
        }
    }
}
