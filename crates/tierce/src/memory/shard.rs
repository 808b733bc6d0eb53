//! One shard: a table of slot numbers, the slots, and the order in which they go.
//!
//! Everything here runs under the shard's lock and calls foreign code in two places only: `KeyRef::is`, before
//! anything is changed, and the closures of `read`, `update` and `remove_where`, after which only counters change. A
//! panic in either therefore leaves the shard whole. Removed entries are handed to the caller in a [`Fallout`], to be
//! told and dropped once the lock is free.

use std::hash::Hash;

use hashbrown::HashTable;

use super::Policy;
use super::fallout::{Cause, Fallout, Removed};
use super::policy::{Entries, Order, Recalled};
use super::slot::{Life, Link, NIL, Slot};
use super::stats::Tally;
use crate::clock::{Clock, NEVER};
use crate::key::KeyRef;

/// Slots looked at for an expired entry at each insertion. Two make a full round every half of the shard's size in
/// insertions, so that at a steady rate expired entries nobody reads take at most half of the room of live ones.
const SWEPT_AT_INSERT: usize = 2;

/// Slots looked at when a reader sweeps.
pub(super) const SWEPT_AT_READ: usize = 4;

/// Slots looked at under one lock where all are: 256 slots of a web cache's size are a few microseconds.
pub(super) const CHUNK: usize = 256;

/// Reads between two sweeps, for shards that are read and hardly written; a power of two.
const READS_A_SWEEP: u64 = 64;

/// In this order: with the lock's eight bytes before it, what a hit reads is one cache line and the start of a second.
#[repr(C)]
pub(super) struct Shard<K, V> {
    table: HashTable<u32>,
    slots: Vec<Option<Slot<K, V>>>,
    pub(super) tally: Tally,
    /// How many entries have an expiry: no clock is read and nothing swept while there are none.
    expiring: usize,
    order: Order,
    links: Vec<Link>,
    /// The first empty slot; the others follow through their links' `next`.
    free: u32,
    limit: u64,
    weight: u64,
    hand: usize,
    policy: Policy,
}

/// What a reader sees of an entry.
pub(crate) struct Found<'a, V> {
    pub(crate) value: &'a mut V,
    /// The clock's reading; 0 where the entry never expires, since the clock was not asked.
    pub(crate) now_ms: u64,
    pub(crate) tally: &'a mut Tally,
    life: &'a mut Life,
}

impl<V> Found<'_, V> {
    /// When the entry goes, in milliseconds of the clock.
    #[inline]
    pub(crate) fn expiry_ms(&self) -> u64 {
        self.life.expiry_ms()
    }

    /// Moves the end of an entry that has one.
    pub(crate) fn move_expiry(&mut self, expiry_ms: u64) {
        if self.life.expiry_ms() != NEVER {
            self.life.set_expiry_ms(expiry_ms.min(NEVER - 1));
        }
    }
}

/// What a reader decides about an entry.
pub(crate) enum Verdict<R> {
    /// A hit.
    Hit(R),
    /// Seen, and kept, but the lookup has to load: a miss.
    Miss(R),
    /// Not to be served: the entry goes, and the read was a miss.
    Gone(Cause),
}

/// What a read found.
pub(super) enum Read<R> {
    Found(R),
    Nothing,
    /// Not to be served: this slot is to be emptied.
    Gone(u32, Cause),
}

/// Where a key is, or would come in, as long as the lock is held.
pub(super) struct Place {
    hash: u32,
    recalled: Recalled,
    slot: Option<u32>,
}

/// A new entry.
pub(crate) struct Fresh<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
    pub(crate) weight: u32,
    pub(crate) expiry_ms: u64,
}

/// Spreads the kept half of a hash over 64 bits: hashbrown takes its tag from the top and its bucket from the bottom.
#[inline]
fn wide(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl<K, V> Shard<K, V> {
    pub(super) fn new(policy: Policy, limit: u64) -> Self {
        Shard {
            table: HashTable::new(),
            slots: Vec::new(),
            links: Vec::new(),
            free: NIL,
            order: Order::new(policy),
            policy,
            limit,
            weight: 0,
            expiring: 0,
            hand: 0,
            tally: Tally::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// The bound on `weight`; `None` when there is none.
    pub(super) fn limit(&self) -> Option<u64> {
        (self.limit != u64::MAX).then_some(self.limit)
    }

    /// Takes everything out and gives the room back.
    pub(super) fn purge(&mut self) -> impl Iterator<Item = Removed<K, V>> + use<K, V> {
        let mut tally = self.tally;
        tally.removals.purged += self.table.len() as u64;
        let emptied = Shard { tally, ..Shard::new(self.policy, self.limit) };
        let old = std::mem::replace(self, emptied);
        let removed = |Slot { key, value, .. }| Removed { key, value, cause: Cause::Purged };
        old.slots.into_iter().flatten().map(removed)
    }

    #[inline]
    fn find<Q: KeyRef<K> + ?Sized>(&self, hash: u32, key: &Q) -> Option<u32> {
        let slots = &self.slots;
        let is = |&slot: &u32| slots[slot as usize].as_ref().is_some_and(|entry| key.is(&entry.key));
        self.table.find(wide(hash), is).copied()
    }

    /// A counted hit, if there is a live entry and the closure gives something for it; else nothing is counted.
    #[inline]
    pub(super) fn hit<Q, R>(
        &mut self,
        hash: u32,
        key: &Q,
        clock: &Clock,
        take: impl FnOnce(&V, u64) -> Option<R>,
    ) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let slot = self.find(hash, key)?;
        let Slot { life, value, .. } = self.slots[slot as usize].as_mut()?;
        let mut now_ms = 0;
        if life.expiry_ms() != NEVER {
            now_ms = clock.now_ms();
            if now_ms >= life.expiry_ms() {
                return None;
            }
        }
        let hit = take(value, now_ms)?;
        self.order.hit(&mut self.links, slot, life);
        self.tally.hits += 1;
        Some(hit)
    }

    /// Whether it is this reader's turn to sweep.
    #[inline]
    pub(super) fn sweep_is_due(&self) -> bool {
        self.tally.hits & (READS_A_SWEEP - 1) == 0 && self.expiring != 0
    }

    /// A lookup: counted, and telling the order about a hit. What is not to be served is only named, and taken out by
    /// the caller, so that the path of a hit stays short.
    #[inline]
    pub(super) fn read<Q, R>(
        &mut self,
        hash: u32,
        key: &Q,
        clock: &Clock,
        judge: impl FnOnce(Found<'_, V>) -> Verdict<R>,
    ) -> Read<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let Some(slot) = self.find(hash, key) else {
            self.tally.misses += 1;
            return Read::Nothing;
        };
        let Some(Slot { life, value, .. }) = self.slots[slot as usize].as_mut() else { return Read::Nothing };
        let mut now_ms = 0;
        if life.expiry_ms() != NEVER {
            now_ms = clock.now_ms();
            if now_ms >= life.expiry_ms() {
                return Read::Gone(slot, Cause::Expired);
            }
        }
        match judge(Found { value, now_ms, tally: &mut self.tally, life }) {
            Verdict::Hit(read) => {
                self.order.hit(&mut self.links, slot, life);
                self.tally.hits += 1;
                Read::Found(read)
            }
            Verdict::Miss(read) => {
                self.tally.misses += 1;
                Read::Found(read)
            }
            Verdict::Gone(cause) => Read::Gone(slot, cause),
        }
    }

    /// Takes out what a read named, which was a miss then.
    pub(super) fn missed(&mut self, slot: u32, cause: Cause) -> Removed<K, V> {
        self.tally.misses += 1;
        self.take(slot, cause)
    }

    /// A look that changes and counts nothing.
    pub(super) fn peek<Q, R>(&self, hash: u32, key: &Q, clock: &Clock, look: impl FnOnce(&V, u64) -> R) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let entry = self.slots[self.find(hash, key)? as usize].as_ref()?;
        (!expired(entry.life, clock)).then(|| look(&entry.value, entry.life.expiry_ms()))
    }

    /// Changes a value in place; the closure gives the new weight and expiry.
    pub(super) fn update<Q, R>(
        &mut self,
        (hash, key): (u32, &Q),
        clock: &Clock,
        out: &mut Fallout<K, V>,
        change: impl FnOnce(&K, &mut V, &mut u32, &mut u64) -> R,
    ) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let slot = self.find(hash, key)?;
        let entry = self.slots[slot as usize].as_mut()?;
        if expired(entry.life, clock) {
            return None;
        }
        let old = self.links[slot as usize].weight;
        let (mut weight, mut expiry_ms) = (old, entry.life.expiry_ms());
        let changed = change(&entry.key, &mut entry.value, &mut weight, &mut expiry_ms);
        self.set_expiry(slot, expiry_ms);
        self.reweigh(slot, weight, out);
        Some(changed)
    }

    /// Where a key is, or would come in.
    #[inline]
    pub(super) fn seek(&self, hash: u32, key: &K) -> Place
    where
        K: Hash + Eq,
    {
        let recalled = self.order.recall(hash);
        Place { hash, recalled, slot: self.find(hash, key) }
    }

    /// Puts an entry in at its place, making room; gives the entry it replaced. What it pushed out falls out; an entry
    /// heavier than the whole shard falls out itself.
    #[inline]
    pub(super) fn insert(
        &mut self,
        place: Place,
        fresh: Fresh<K, V>,
        clock: &Clock,
        out: &mut Fallout<K, V>,
    ) -> Option<Removed<K, V>> {
        match place.slot {
            Some(slot) => Some(self.replace(slot, fresh, clock, out)),
            None => {
                self.add((place.hash, place.recalled), fresh, clock, out);
                None
            }
        }
    }

    #[inline]
    fn add(&mut self, (hash, recalled): (u32, Recalled), fresh: Fresh<K, V>, clock: &Clock, out: &mut Fallout<K, V>) {
        let Fresh { key, value, weight, expiry_ms } = fresh;
        if self.expiring != 0 {
            self.sweep(SWEPT_AT_INSERT, clock.now_ms(), out);
        }
        if u64::from(weight) > self.limit {
            self.tally.count(Cause::Evicted);
            return out.push(Removed { key, value, cause: Cause::Evicted });
        }
        let full = self.weight + u64::from(weight) > self.limit;
        let entries = Entries { links: &mut self.links, slots: &mut self.slots };
        let arrival = self.order.arrive(recalled, full, entries);
        if let Some(slot) = arrival.evicted {
            out.push(self.vacate(slot, Cause::Evicted));
        }
        self.make_room(u64::from(weight), out);
        self.expiring += usize::from(expiry_ms < NEVER);
        self.weight += u64::from(weight);
        let mut life = Life::new(expiry_ms);
        let slot = self.vacant(Link { prev: NIL, next: NIL, hash, weight });
        self.order.place(&mut self.links, slot, &mut life, arrival.favoured);
        self.slots[slot as usize] = Some(Slot { life, key, value });
        let links = &self.links;
        self.table.insert_unique(wide(hash), slot, |&slot| wide(links[slot as usize].hash));
    }

    fn replace(&mut self, slot: u32, fresh: Fresh<K, V>, clock: &Clock, out: &mut Fallout<K, V>) -> Removed<K, V> {
        let entry = self.slots[slot as usize].as_mut().expect("the table names full slots only");
        let cause = if expired(entry.life, clock) { Cause::Expired } else { Cause::Replaced };
        let value = std::mem::replace(&mut entry.value, fresh.value);
        self.order.hit(&mut self.links, slot, &mut entry.life);
        self.tally.count(cause);
        self.set_expiry(slot, fresh.expiry_ms);
        self.reweigh(slot, fresh.weight, out);
        Removed { key: fresh.key, value, cause }
    }

    /// Takes one entry out.
    pub(super) fn remove<Q>(&mut self, hash: u32, key: &Q, clock: &Clock, cause: Cause) -> Option<Removed<K, V>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let slot = self.find(hash, key)?;
        let late = self.slots[slot as usize].as_ref().is_some_and(|entry| expired(entry.life, clock));
        Some(self.take(slot, if late { Cause::Expired } else { cause }))
    }

    /// Takes out what the closure names among the slots from `from` on, at most `many` looked at; says where to go on.
    pub(super) fn remove_where(
        &mut self,
        (from, many): (usize, usize),
        cause: Cause,
        out: &mut Fallout<K, V>,
        mut name: impl FnMut(&K, &V, u64) -> bool,
    ) -> Option<usize> {
        let end = self.slots.len().min(from.saturating_add(many));
        for slot in from..end {
            let named = self.slots[slot].as_ref().is_some_and(|e| name(&e.key, &e.value, e.life.expiry_ms()));
            if named && let Ok(slot) = u32::try_from(slot) {
                out.push(self.take(slot, cause));
            }
        }
        (end < self.slots.len()).then_some(end)
    }

    /// Shows the live entries among the slots from `from` on, at most `many` looked at; says where to go on.
    pub(super) fn visit(
        &self,
        (from, many): (usize, usize),
        now_ms: u64,
        mut show: impl FnMut(&K, &V),
    ) -> Option<usize> {
        let end = self.slots.len().min(from.saturating_add(many));
        for entry in self.slots.get(from..end)?.iter().flatten() {
            if entry.life.expiry_ms() > now_ms {
                show(&entry.key, &entry.value);
            }
        }
        (end < self.slots.len()).then_some(end)
    }

    /// Changes the limit; the caller goes on with `shrink` until it is kept.
    pub(super) fn resize(&mut self, limit: u64) {
        self.limit = limit;
        self.order.resize();
    }

    /// Evicts at most `many` entries above the limit; whether more are left.
    pub(super) fn shrink(&mut self, many: usize, out: &mut Fallout<K, V>) -> bool {
        for _ in 0..many {
            if self.weight <= self.limit || !self.evict(out) {
                return false;
            }
        }
        self.weight > self.limit
    }

    /// Takes out the expired entries among the next `many` slots.
    pub(super) fn sweep(&mut self, many: usize, now_ms: u64, out: &mut Fallout<K, V>) {
        for _ in 0..many.min(self.slots.len()) {
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            let late = self.slots[self.hand].as_ref().is_some_and(|entry| now_ms >= entry.life.expiry_ms());
            if late && let Ok(slot) = u32::try_from(self.hand) {
                out.push(self.take(slot, Cause::Expired));
            }
        }
    }

    #[inline]
    fn make_room(&mut self, weight: u64, out: &mut Fallout<K, V>) {
        while self.weight + weight > self.limit && self.evict(out) {}
    }

    #[inline]
    fn evict(&mut self, out: &mut Fallout<K, V>) -> bool {
        let Some(slot) = self.order.victim(Entries { links: &mut self.links, slots: &mut self.slots }) else {
            return false;
        };
        out.push(self.vacate(slot, Cause::Evicted));
        true
    }

    #[inline]
    fn take(&mut self, slot: u32, cause: Cause) -> Removed<K, V> {
        if let Some(entry) = self.slots[slot as usize].as_ref() {
            self.order.forget(&mut self.links, slot, entry.life);
        }
        self.vacate(slot, cause)
    }

    /// Empties a slot that stands in no queue any more. Inlined, because an entry returned through memory is read back
    /// before its writes have settled, and waits for them.
    #[inline(always)]
    fn vacate(&mut self, slot: u32, cause: Cause) -> Removed<K, V> {
        let link = self.links[slot as usize];
        if let Ok(found) = self.table.find_entry(wide(link.hash), |&other| other == slot) {
            found.remove();
        }
        self.links[slot as usize].next = self.free;
        self.free = slot;
        self.weight -= u64::from(link.weight);
        self.tally.count(cause);
        let entry = self.slots[slot as usize].take().expect("queues and table name full slots only");
        self.expiring -= usize::from(entry.life.expiry_ms() != NEVER);
        Removed { key: entry.key, value: entry.value, cause }
    }

    #[inline]
    fn vacant(&mut self, link: Link) -> u32 {
        if self.free != NIL {
            let slot = self.free;
            self.free = self.links[slot as usize].next;
            self.links[slot as usize] = link;
            return slot;
        }
        if self.slots.len() == self.slots.capacity() {
            self.grow();
        }
        self.slots.push(None);
        self.links.push(link);
        u32::try_from(self.slots.len() - 1).expect("a shard of four billion entries does not fit any memory")
    }

    /// Grows by a quarter and never past the limit: doubling left half of the room empty (105 bytes an entry in
    /// quick_cache against 52 full; `bench memory --only footprint_u64_1m`).
    #[cold]
    fn grow(&mut self) {
        let len = self.slots.len();
        let left = usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_sub(len).max(1);
        let more = (len / 4).max(16).min(left);
        self.slots.reserve_exact(more);
        self.links.reserve_exact(more);
    }

    fn set_expiry(&mut self, slot: u32, expiry_ms: u64) {
        let Some(entry) = self.slots[slot as usize].as_mut() else { return };
        self.expiring -= usize::from(entry.life.expiry_ms() != NEVER);
        self.expiring += usize::from(expiry_ms < NEVER);
        entry.life.set_expiry_ms(expiry_ms);
    }

    /// Gives an entry its new weight. One that has become heavier than the whole shard goes, alone.
    fn reweigh(&mut self, slot: u32, weight: u32, out: &mut Fallout<K, V>) {
        let old = std::mem::replace(&mut self.links[slot as usize].weight, weight);
        self.weight = self.weight - u64::from(old) + u64::from(weight);
        if u64::from(weight) > self.limit {
            out.push(self.take(slot, Cause::Evicted));
        } else {
            self.make_room(0, out);
        }
    }
}

#[inline]
fn expired(life: Life, clock: &Clock) -> bool {
    life.expiry_ms() != NEVER && clock.now_ms() >= life.expiry_ms()
}
