//! Which entry goes when there is no room.

mod arrival;
mod ghost;
mod lap;
mod lru;
mod s3fifo;

use super::ring::Item;
use super::slot::Life;
use arrival::Arrival;
pub(super) use arrival::{Lives, Recalled};
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

impl Policy {
    /// Whether a hit changes the order, so that readers must come alone.
    #[inline]
    pub(super) fn moves_on_hit(self) -> bool {
        self == Policy::Lru
    }
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

    /// An entry was read, by one of several readers at once: counted with the entry, whatever the policy.
    #[inline]
    pub(super) fn hit_shared(life: &Life) {
        S3Fifo::hit(life);
    }

    /// An entry was read or written over, by somebody who is alone.
    #[inline]
    pub(super) fn hit(&mut self, slot: u32, life: &Life) {
        match self {
            Order::S3Fifo(_) => S3Fifo::hit(life),
            Order::Lru(order) => order.hit(slot),
        }
    }

    /// A key is about to be looked up and perhaps put in.
    #[inline]
    pub(super) fn recall(&self, hash: u32) -> Recalled {
        let matching = match self {
            Order::S3Fifo(order) => order.recall(hash),
            Order::Lru(_) => 0,
        };
        Recalled { hash, matching }
    }

    /// A key that is not here is about to come in; whether the shard is full.
    #[inline]
    pub(super) fn arrive(&mut self, key: Recalled, full: bool, lives: &mut impl Lives) -> Arrival {
        match self {
            Order::S3Fifo(order) => order.arrive(key, full, lives),
            Order::Lru(_) => Arrival { favoured: false, evicted: None },
        }
    }

    /// The new entry takes its place.
    #[inline]
    pub(super) fn place(&mut self, item: Item, life: &mut Life, favoured: bool) {
        match self {
            Order::S3Fifo(order) => order.place(item, life, favoured),
            Order::Lru(order) => order.push(item),
        }
    }

    /// Takes the next entry to evict out of its queue; the caller empties its slot.
    #[inline]
    pub(super) fn victim(&mut self, lives: &mut impl Lives) -> Option<Item> {
        match self {
            Order::S3Fifo(order) => order.victim(lives),
            Order::Lru(order) => order.victim(),
        }
    }

    /// Takes an entry that goes for another reason out of its queue; gives its hash.
    pub(super) fn forget(&mut self, slot: u32, life: &Life) -> u32 {
        match self {
            Order::S3Fifo(order) => order.forget(slot, life),
            Order::Lru(order) => order.unlink(slot),
        }
    }

    /// The entry that will probably be evicted next; what is remembered of those before it is being fetched.
    #[inline]
    pub(super) fn next_victim(&self) -> Option<Item> {
        match self {
            Order::S3Fifo(order) => order.next_victim(),
            Order::Lru(_) => None,
        }
    }

    /// Makes room for so many more slots.
    pub(super) fn widen(&mut self, more: usize) {
        match self {
            Order::S3Fifo(order) => order.widen(more),
            Order::Lru(order) => order.widen(more),
        }
    }

    /// Shows every entry's hash and slot.
    pub(super) fn each(&self, show: &mut dyn FnMut(u32, u32)) {
        match self {
            Order::S3Fifo(order) => order.iter().for_each(|item| show(item.hash, item.slot)),
            Order::Lru(order) => order.iter().for_each(|item| show(item.hash, item.slot)),
        }
    }

    /// The shard's limit changed.
    pub(super) fn resize(&mut self) {
        if let Order::S3Fifo(order) = self {
            order.resize();
        }
    }
}
