//! One shard: a table of slot numbers, the slots, and the order in which they go.
//!
//! Everything here runs under the shard's lock and calls foreign code in two places only: `KeyRef::is`, before anything is
//! changed, and the closures of `hit`, `look`, `visit`, `update` and `remove_where`, after which only counters change. A
//! panic in either therefore leaves the shard whole. Removed entries are handed to the caller in a [`Fallout`], to be told
//! and dropped once the lock is free.

use std::hash::Hash;

use super::Policy;
use super::entry::{Amend, Found, Fresh, Looked, Verdict};
use super::fallout::{Cause, Fallout, Removed};
use super::index::Index;
use super::policy::{Order, Recalled};
use super::prefetch::prefetch;
use super::ring::Item;
use super::slot::{Beside, Life, Slot};
use crate::clock::{Clock, NEVER};
use crate::key::KeyRef;
use crate::stats::Removals;

/// Slots looked at for an expired entry at each insertion. Two make a full round every half of the shard's size in
/// insertions, so that at a steady rate expired entries nobody reads take at most half of the room of live ones.
const SWEPT_AT_INSERT: usize = 2;

/// Slots looked at when a reader sweeps.
pub(super) const SWEPT_AT_READ: usize = 4;

/// Slots looked at under one lock where all are: 256 slots of a web cache's size are a few microseconds.
pub(super) const CHUNK: usize = 256;

/// In this order: with the lock's words before it, what a hit reads is one cache line.
#[repr(C)]
pub(super) struct Shard<K, V, B> {
    index: Index,
    slots: Vec<Option<Slot<K, V>>>,
    order: Order,
    /// How many entries have an expiry: no clock is read and nothing swept while there are none.
    expiring: usize,
    /// What the owner keeps beside each slot.
    beside: Vec<B>,
    /// Each slot's weight; empty while all weigh one.
    weights: Vec<u32>,
    /// The empty slots.
    free: Vec<u32>,
    limit: u64,
    weight: u64,
    hand: usize,
    policy: Policy,
    removals: Removals,
}

/// Where a key is, or would come in, as long as the lock is held.
pub(super) struct Place {
    recalled: Recalled,
    slot: Option<u32>,
}

impl<K, V, B: Beside> Shard<K, V, B> {
    pub(super) fn new(policy: Policy, limit: u64) -> Self {
        Shard {
            index: Index::new(),
            slots: Vec::new(),
            order: Order::new(policy),
            expiring: 0,
            beside: Vec::new(),
            weights: Vec::new(),
            free: Vec::new(),
            limit,
            weight: 0,
            hand: 0,
            policy,
            removals: Removals::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// The bound on `weight`; `None` when there is none.
    pub(super) fn limit(&self) -> Option<u64> {
        (self.limit != u64::MAX).then_some(self.limit)
    }

    pub(super) fn removals(&self) -> Removals {
        self.removals
    }

    /// Whether a sweep may find anything.
    #[inline]
    pub(super) fn is_expiring(&self) -> bool {
        self.expiring != 0
    }

    /// Takes everything out and gives the room back; what was here, for [`each`](Shard::each).
    pub(super) fn purge(&mut self) -> Self {
        let mut removals = self.removals;
        removals.purged += self.len() as u64;
        let emptied = Shard { removals, ..Shard::new(self.policy, self.limit) };
        std::mem::replace(self, emptied)
    }

    /// Shows each entry of what was purged, then drops it.
    pub(super) fn each(self, show: &mut dyn FnMut(&Removed<K, V, B>)) {
        let mut beside = self.beside.into_iter();
        for slot in self.slots {
            let beside = beside.next();
            if let (Some(Slot { key, value, .. }), Some(beside)) = (slot, beside) {
                show(&Removed { key, value, _beside: beside, cause: Cause::Purged });
            }
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn find<Q: KeyRef<K> + ?Sized>(&self, hash: u32, key: &Q) -> Option<(u32, &Slot<K, V>)> {
        self.index.find(hash, |slot| self.slots.get(slot as usize)?.as_ref().filter(|entry| key.is(&entry.key)))
    }

    /// A hit on an entry whose life has not ended, and before `until_ms` whatever its life is, if the closure gives something
    /// for it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn hit<Q, R>(
        &self,
        hash: u32,
        key: &Q,
        (clock, until_ms): (&Clock, u64),
        take: impl FnOnce(&V) -> Option<R>,
    ) -> Option<(u32, R)>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let (slot, entry) = self.find(hash, key)?;
        let ends = entry.life.expires() || until_ms < NEVER;
        if ends && clock.now_ms() >= entry.life.expiry_ms().min(until_ms) {
            return None;
        }
        let taken = take(&entry.value)?;
        Order::hit_shared(&entry.life);
        Some((slot, taken))
    }

    /// Shows an entry and tells the order about a hit. What is not to be served is only named, for the caller to take
    /// out when it is alone.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn look<Q, R>(
        &self,
        hash: u32,
        key: &Q,
        clock: &Clock,
        judge: &mut impl FnMut(Found<'_, V, B>) -> Verdict<R>,
    ) -> Looked<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let Some((slot, Slot { life, value, .. })) = self.find(hash, key) else { return Looked::Nothing };
        let (mut expiry_ms, mut now_ms) = (NEVER, 0);
        if life.expires() {
            (expiry_ms, now_ms) = (life.expiry_ms(), clock.now_ms());
            if self.has_expired(slot, expiry_ms, now_ms) {
                return Looked::Seen(slot, Verdict::Gone(Cause::Expired));
            }
        }
        let verdict = judge(Found { value, expiry_ms, now_ms, beside: &self.beside, slot });
        if matches!(verdict, Verdict::Hit(_)) {
            Order::hit_shared(life);
        }
        Looked::Seen(slot, verdict)
    }

    /// Tells the order of a use by somebody who is alone.
    #[inline]
    pub(super) fn moved(&mut self, slot: u32) {
        if let Some(entry) = self.slots[slot as usize].as_ref() {
            self.order.hit(slot, &entry.life);
        }
    }

    /// Changes an entry in place.
    pub(super) fn update<Q, R>(
        &mut self,
        (hash, key): (u32, &Q),
        clock: &Clock,
        out: &mut Fallout<K, V, B>,
        change: impl FnOnce(&K, &mut Amend<'_, V, B>) -> R,
    ) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let slot = self.find(hash, key)?.0;
        let weight = self.weight_of(slot);
        if self.is_late(slot, clock) {
            return None;
        }
        let Slot { life, key, value } = self.slots[slot as usize].as_mut()?;
        let beside = &mut self.beside[slot as usize];
        let mut amend = Amend { value, beside, weight, expiry_ms: life.expiry_ms(), used: false };
        let changed = change(key, &mut amend);
        let Amend { weight, expiry_ms, used, .. } = amend;
        if used {
            self.moved(slot);
        }
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
        self.index.prefetch(hash);
        let recalled = self.order.recall(hash);
        Place { recalled, slot: self.find(hash, key).map(|(slot, _)| slot) }
    }

    /// Puts an entry in at its place, making room; gives the entry it replaced. What it pushed out falls out; an entry
    /// heavier than the whole shard falls out itself.
    #[inline]
    pub(super) fn insert(
        &mut self,
        place: Place,
        fresh: Fresh<K, V, B>,
        clock: &Clock,
        out: &mut Fallout<K, V, B>,
    ) -> Option<Removed<K, V, B>> {
        match place.slot {
            Some(slot) => Some(self.replace(slot, fresh, clock, out)),
            None => {
                self.add(place.recalled, fresh, clock, out);
                None
            }
        }
    }

    #[inline]
    fn add(&mut self, key: Recalled, fresh: Fresh<K, V, B>, clock: &Clock, out: &mut Fallout<K, V, B>) {
        if self.expiring != 0 {
            self.sweep(SWEPT_AT_INSERT, clock.now_ms(), out);
        }
        let weight = fresh.weight;
        if u64::from(weight) > self.limit {
            self.removals.count(Cause::Evicted);
            let Fresh { key, value, beside, .. } = fresh;
            return out.push(Removed { key, value, _beside: beside, cause: Cause::Evicted });
        }
        let full = self.weight + u64::from(weight) > self.limit;
        let arrival = self.order.arrive(key, full, &mut self.slots);
        if let Some(item) = arrival.evicted {
            out.push(self.vacate(item, Cause::Evicted));
        }
        self.make_room(u64::from(weight), out);
        let mut life = Life::new(fresh.expiry_ms);
        self.expiring += usize::from(life.expires());
        let slot = self.vacant();
        self.order.place(Item { slot, hash: key.hash }, &mut life, arrival.favoured);
        self.slots[slot as usize] = Some(Slot { life, key: fresh.key, value: fresh.value });
        self.beside[slot as usize] = fresh.beside;
        self.set_weight(slot, weight);
        self.weight += u64::from(weight);
        self.index.insert(key.hash, slot);
        if full {
            self.prefetch_victim();
        }
    }

    /// Has the next victim's lines fetched while others are served.
    #[inline]
    fn prefetch_victim(&self) {
        if let Some(item) = self.order.next_victim() {
            prefetch(&self.slots[item.slot as usize]);
            self.index.prefetch(item.hash);
        }
    }

    fn replace(
        &mut self,
        slot: u32,
        fresh: Fresh<K, V, B>,
        clock: &Clock,
        out: &mut Fallout<K, V, B>,
    ) -> Removed<K, V, B> {
        let cause = if self.is_late(slot, clock) { Cause::Expired } else { Cause::Replaced };
        let entry = self.slots[slot as usize].as_mut().expect("the table names full slots only");
        let value = std::mem::replace(&mut entry.value, fresh.value);
        let beside = std::mem::replace(&mut self.beside[slot as usize], fresh.beside);
        self.order.hit(slot, &entry.life);
        self.removals.count(cause);
        self.set_expiry(slot, fresh.expiry_ms);
        self.reweigh(slot, fresh.weight, out);
        Removed { key: fresh.key, value, _beside: beside, cause }
    }

    /// Takes one entry out.
    pub(super) fn remove<Q>(&mut self, hash: u32, key: &Q, clock: &Clock, cause: Cause) -> Option<Removed<K, V, B>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let slot = self.find(hash, key)?.0;
        let cause = if self.is_late(slot, clock) { Cause::Expired } else { cause };
        Some(self.take(slot, cause))
    }

    /// Takes out what the closure names among the slots from `from` on, at most `many` looked at; says where to go on.
    pub(super) fn remove_where(
        &mut self,
        (from, many): (usize, usize),
        cause: Cause,
        out: &mut Fallout<K, V, B>,
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
    pub(super) fn shrink(&mut self, many: usize, out: &mut Fallout<K, V, B>) -> bool {
        for _ in 0..many {
            if self.weight <= self.limit || !self.evict(out) {
                return false;
            }
        }
        self.weight > self.limit
    }

    /// Takes out the expired entries among the next `many` slots.
    pub(super) fn sweep(&mut self, many: usize, now_ms: u64, out: &mut Fallout<K, V, B>) {
        for _ in 0..many.min(self.slots.len()) {
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            let Some(entry) = &self.slots[self.hand] else { continue };
            let slot = self.hand as u32;
            if self.has_expired(slot, entry.life.expiry_ms(), now_ms) {
                out.push(self.take(slot, Cause::Expired));
            }
        }
    }

    #[inline]
    fn make_room(&mut self, weight: u64, out: &mut Fallout<K, V, B>) {
        while self.weight + weight > self.limit && self.evict(out) {}
    }

    #[inline]
    fn evict(&mut self, out: &mut Fallout<K, V, B>) -> bool {
        let Some(item) = self.order.victim(&mut self.slots) else { return false };
        out.push(self.vacate(item, Cause::Evicted));
        true
    }

    /// Takes an entry out of its queue and its slot.
    #[inline]
    pub(super) fn take(&mut self, slot: u32, cause: Cause) -> Removed<K, V, B> {
        let entry = self.slots[slot as usize].as_ref().expect("the caller has seen the entry under this lock");
        let hash = self.order.forget(slot, &entry.life);
        self.vacate(Item { slot, hash }, cause)
    }

    /// Empties a slot that stands in no queue any more. Inlined, because an entry returned through memory is read back
    /// before its writes have settled, and waits for them.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn vacate(&mut self, item: Item, cause: Cause) -> Removed<K, V, B> {
        let Item { slot, hash } = item;
        self.index.remove(hash, slot);
        self.free.push(slot);
        self.weight -= u64::from(self.weight_of(slot));
        self.removals.count(cause);
        let entry = self.slots[slot as usize].take().expect("queues and table name full slots only");
        let beside = std::mem::take(&mut self.beside[slot as usize]);
        self.expiring -= usize::from(entry.life.expires());
        Removed { key: entry.key, value: entry.value, _beside: beside, cause }
    }

    /// An empty slot, with room for it in the table.
    #[inline]
    fn vacant(&mut self) -> u32 {
        if self.index.is_full() {
            self.grow_index();
        }
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        if self.slots.len() == self.slots.capacity() {
            self.grow();
        }
        self.slots.push(None);
        self.beside.push(B::default());
        u32::try_from(self.slots.len() - 1).expect("a shard of four billion entries does not fit any memory")
    }

    /// Grows by a quarter and never past the limit: doubling left half of the room empty (105 bytes an entry in
    /// quick_cache against 52 full; `bench memory --only footprint_u64_1m`).
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let len = self.slots.len();
        let more = self.room_for(len / 4);
        self.slots.reserve_exact(more);
        self.beside.reserve_exact(more);
        self.order.widen(more);
    }

    #[cold]
    #[inline(never)]
    fn grow_index(&mut self) {
        let len = self.index.len();
        self.index = Index::with(len + self.room_for(len / 2), |put| self.order.each(put));
    }

    /// How many more entries to make room for: about so many, at least one, and none past the limit.
    fn room_for(&self, about: usize) -> usize {
        let left = usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_sub(self.len());
        about.max(16).min(left.max(1))
    }

    fn set_expiry(&mut self, slot: u32, expiry_ms: u64) {
        let Some(entry) = self.slots[slot as usize].as_mut() else { return };
        self.expiring -= usize::from(entry.life.expires());
        entry.life.set_expiry_ms(expiry_ms);
        self.expiring += usize::from(entry.life.expires());
    }

    #[inline]
    fn weight_of(&self, slot: u32) -> u32 {
        self.weights.get(slot as usize).copied().unwrap_or(1)
    }

    #[inline]
    fn set_weight(&mut self, slot: u32, weight: u32) {
        if weight != 1 || !self.weights.is_empty() {
            self.weights.resize(self.slots.len(), 1);
            self.weights[slot as usize] = weight;
        }
    }

    /// Gives an entry its new weight. One that has become heavier than the whole shard goes, alone.
    fn reweigh(&mut self, slot: u32, weight: u32, out: &mut Fallout<K, V, B>) {
        let old = self.weight_of(slot);
        self.set_weight(slot, weight);
        self.weight = self.weight - u64::from(old) + u64::from(weight);
        if u64::from(weight) > self.limit {
            out.push(self.take(slot, Cause::Evicted));
        } else {
            self.make_room(0, out);
        }
    }

    /// Whether an entry's life is over, and the time for which it is kept beyond that.
    #[inline]
    fn has_expired(&self, slot: u32, expiry_ms: u64, now_ms: u64) -> bool {
        expiry_ms != NEVER
            && now_ms >= expiry_ms
            && now_ms >= expiry_ms.saturating_add(self.beside[slot as usize].kept_ms())
    }

    fn is_late(&self, slot: u32, clock: &Clock) -> bool {
        let expiry_ms = self.slots[slot as usize].as_ref().map_or(NEVER, |entry| entry.life.expiry_ms());
        expiry_ms != NEVER && self.has_expired(slot, expiry_ms, clock.now_ms())
    }
}
