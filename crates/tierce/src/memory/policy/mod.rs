//! Which entry goes when there is no room.

mod arrival;
mod ghost;
mod lap;
mod lru;
mod s3fifo;

use super::slot::{Life, Link};
use arrival::Arrival;
pub(super) use arrival::{Entries, Recalled};
use lru::Lru;
use s3fifo::S3Fifo;

/// How a [`Memory`](crate::Memory) chooses what to evict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Two FIFO queues and a memory of what left (Yang et al., SOSP 2023), with a test of reuse time that holds its
    /// ground on loops. A hit moves nothing.
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
    pub(super) fn new(policy: Policy) -> Self {
        match policy {
            Policy::S3Fifo => Order::S3Fifo(S3Fifo::new()),
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

    /// A key is about to be looked up and perhaps put in.
    #[inline]
    pub(super) fn recall(&self, hash: u32) -> Recalled {
        let matches = match self {
            Order::S3Fifo(order) => order.recall(hash),
            Order::Lru(_) => 0,
        };
        Recalled { hash, matches }
    }

    /// A key that is not here is about to come in; whether the shard is full.
    #[inline]
    pub(super) fn arrive<K, V>(&mut self, key: Recalled, full: bool, mut entries: Entries<'_, K, V>) -> Arrival {
        match self {
            Order::S3Fifo(order) => order.arrive(key, full, &mut entries),
            Order::Lru(_) => Arrival { favoured: false, evicted: None },
        }
    }

    /// The new entry takes its place.
    #[inline]
    pub(super) fn place(&mut self, links: &mut [Link], slot: u32, life: &mut Life, favoured: bool) {
        match self {
            Order::S3Fifo(order) => order.place(links, slot, life, favoured),
            Order::Lru(order) => order.place(links, slot),
        }
    }

    /// Takes the next entry to evict out of its queue; the caller empties its slot.
    #[inline]
    pub(super) fn victim<K, V>(&mut self, mut entries: Entries<'_, K, V>) -> Option<u32> {
        match self {
            Order::S3Fifo(order) => order.victim(&mut entries),
            Order::Lru(order) => order.victim(entries.links),
        }
    }

    /// Takes an entry that goes for another reason out of its queue.
    pub(super) fn forget(&mut self, links: &mut [Link], slot: u32, life: Life) {
        match self {
            Order::S3Fifo(order) => order.forget(links, slot, life),
            Order::Lru(order) => order.forget(links, slot),
        }
    }

    /// The shard's limit changed.
    pub(super) fn resize(&mut self) {
        if let Order::S3Fifo(order) = self {
            order.resize();
        }
    }
}
