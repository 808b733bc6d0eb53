//! A cache's memory, as those see it who do not know the types of its keys and values; and the only place where what a
//! load brought is put in.

use std::any::Any;
use std::sync::Arc;

use super::cargo::AnyValue;
use super::core::Core;
use super::flight::{Flight, Ground, Slice};
use super::stamped::{Rest, Stamp, Stamped, Ties};
use crate::expiry::Times;
use crate::key::{Key, KeyRef, Value};
use crate::memory::{self, Sharded};
use crate::mutant::{self, Mutant};
use crate::stats::Stats;

/// A cache's memory.
pub(crate) type Shards<K, V> = Sharded<K, Stamped<V>, Rest>;

/// What left a cache's memory, to be told and dropped without a lock.
pub(crate) type Fallout<K, V> = memory::Fallout<K, Stamped<V>, Rest>;

/// An entry for a cache's memory.
pub(crate) type Fresh<K, V> = memory::Fresh<K, Stamped<V>, Rest>;

/// The same as a fallout, whatever its types.
#[derive(Default)]
pub(crate) struct Spill {
    first: Option<Box<dyn Any + Send>>,
    rest: Vec<Box<dyn Any + Send>>,
}

/// An entry to be, beside its key and its value.
pub(crate) struct New<'a> {
    pub(crate) weight: Option<u32>,
    pub(crate) ties: Ties<'a>,
    /// The epoch that it is stamped with.
    pub(crate) began: u64,
    pub(crate) times: Times,
    pub(crate) cost_us: u32,
}

/// What came of a flight's fill.
pub(crate) struct Filled {
    pub(crate) stood: bool,
    pub(crate) held: bool,
}

pub(crate) trait Vault: Send + Sync + 'static {
    /// Puts in what a flight carries, if it still stands and no writer holds its key; the flight leaves the table. What is
    /// older goes where nothing may be put in.
    ///
    /// Look, fill and leaving are under the lock of the flight's slice: an invalidation of the key comes before all three or
    /// after all three.
    fn fill(&self, cache: &Core, flight: &Arc<Flight>, new: Option<New<'_>>, out: &mut Spill) -> Filled;

    /// Puts a stale value in for a flight that goes on, if it stands.
    fn stock(&self, cache: &Core, flight: &Arc<Flight>, value: Option<AnyValue>, new: New<'_>);

    /// After a failed load: a stale value is served for a while before the next.
    fn throttle(&self, cache: &Core, flight: &Flight);

    /// Tells of what left, then drops it. Never under a lock.
    fn settle(&self, out: Spill);

    fn clear(&self);

    /// What is counted here.
    fn count(&self, stats: &mut Stats);
}

impl<K: Key, V: Value> Vault for Shards<K, V> {
    fn fill(&self, cache: &Core, flight: &Arc<Flight>, new: Option<New<'_>>, out: &mut Spill) -> Filled {
        let carried = flight.carried::<K, V>();
        let mut fresh = new.map(|new| fresh(self, cache, carried.key.clone(), carried.value().cloned(), new));
        let mut fell = Fallout::new();
        let mut slice = cache.flights.lock(flight.hash);
        let filled = leave(&mut slice, flight);
        match fresh.take() {
            Some(fresh) if filled.stood && !filled.held => self.put(flight.hash, fresh, &mut fell),
            // A newer value was seen and not kept: the older one must not be seen after it.
            // Though it was detached: it may bring what a writer has committed and not told yet.
            unkept => {
                fresh = unkept;
                if filled.stood || filled.held {
                    self.take(&carried.key, &mut fell);
                }
            }
        }
        drop(slice);
        drop(fresh);
        out.add::<K, V>(fell);
        filled
    }

    fn stock(&self, cache: &Core, flight: &Arc<Flight>, value: Option<AnyValue>, new: New<'_>) {
        let value = value.and_then(|value| value.downcast().ok()).map(|value| *value);
        let mut unkept = Some(fresh(self, cache, flight.carried::<K, V>().key.clone(), value, new));
        let mut fell = Fallout::new();
        let slice = cache.flights.lock(flight.hash);
        let stands = slice.find(flight.cargo()).is_some_and(|standing| Arc::ptr_eq(standing, flight));
        if stands && let Some(fresh) = unkept.take() {
            self.put(flight.hash, fresh, &mut fell);
        }
        drop(slice);
        drop(unkept);
        Sharded::settle(self, fell);
    }

    fn throttle(&self, cache: &Core, flight: &Flight) {
        let now_ms = cache.hub.clock.now_ms();
        amend(self, &flight.carried::<K, V>().key, &mut |amended| {
            let times = amended.times;
            (now_ms >= times.fresh_until_ms).then(|| cache.ages.throttled(times, now_ms))
        });
    }

    fn settle(&self, out: Spill) {
        for fell in out.first.into_iter().chain(out.rest) {
            if let Ok(fell) = fell.downcast::<Fallout<K, V>>() {
                Sharded::settle(self, *fell);
            }
        }
    }

    fn clear(&self) {
        Sharded::clear(self);
    }

    fn count(&self, stats: &mut Stats) {
        (stats.hits, stats.misses) = self.lookups();
        stats.removals = self.removals();
        stats.len = self.len() as u64;
        stats.weight = self.weight();
        stats.capacity = self.capacity();
    }
}

/// A flight whose load has ended leaves the table.
fn leave(slice: &mut Slice<'_>, flight: &Arc<Flight>) -> Filled {
    let stood = slice.remove(flight) || unfenced(flight.ground);
    // What a writer is about to change may be read before the change, or without its being committed.
    let held = slice.writers().disturb(flight.hash, flight.cargo()) && !mutant::on(Mutant::HeldKeyFilled);
    Filled { stood, held }
}

/// Whether a planted fault fills without a standing flight.
fn unfenced(ground: Ground) -> bool {
    mutant::on(Mutant::NoFence) || ground == Ground::Back && mutant::on(Mutant::RefreshNotFenced)
}

impl Spill {
    /// What left a memory; nothing is allocated where nothing did.
    pub(super) fn add<K: Key, V: Value>(&mut self, fell: Fallout<K, V>) {
        if fell.len() > 0 {
            self.push(Box::new(fell));
        }
    }

    fn push(&mut self, fell: Box<dyn Any + Send>) {
        if self.first.is_none() {
            self.first = Some(fell);
        } else {
            self.rest.push(fell);
        }
    }
}

/// An entry for memory. Foreign code: the weigher.
pub(super) fn fresh<K: Key, V: Value>(
    memory: &Shards<K, V>,
    cache: &Core,
    key: K,
    value: Option<V>,
    new: New<'_>,
) -> Fresh<K, V> {
    let New { weight, ties, began, times, cost_us } = new;
    let (stamped, rest, expiry_ms) = Stamped::new(value, ties, began, times, cost_us);
    let weight = weight.filter(|_| cache.weighed).unwrap_or_else(|| memory.weigh(&key, &stamped)).max(1);
    Fresh { key, value: stamped, beside: rest, weight, expiry_ms }
}

/// An entry whose times may be changed.
pub(super) struct Amended<'a> {
    pub(super) times: Times,
    pub(super) is_absence: bool,
    pub(super) stamp: Stamp<'a>,
    pub(super) rest: &'a Rest,
}

/// Gives an entry the times that the closure says, under its shard's lock.
pub(super) fn amend<K: Key, V: Value, Q: KeyRef<K> + ?Sized>(
    memory: &Shards<K, V>,
    key: &Q,
    times: &mut dyn FnMut(Amended<'_>) -> Option<Times>,
) {
    memory.amend(key, |_, entry| {
        let stamp = entry.value.stamp();
        let (is_absence, old) = (entry.value.is_absence(), stamp.times(entry.beside, entry.expiry_ms));
        if let Some(new) = times(Amended { times: old, is_absence, stamp, rest: entry.beside }) {
            entry.expiry_ms = entry.value.set_times(entry.beside, new);
        }
    });
}
