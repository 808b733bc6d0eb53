//! One cache's state, and what changes it without loading.
//!
//! Order of locks, outermost first: a slice of the flight table, a shard of memory. The tag table and a flight's state
//! are taken with neither held, or last.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::flight::{Flight, Table};
use super::gone::{Gone, Reason};
use super::marks::NOWHERE;
use super::permits::Permits;
use super::shelf::Shelf;
use super::stamped::{Changes, Rest, Stamped, Ties};
use crate::clock::{NEVER, to_ms};
use crate::expiry::{Age, Ages, Times};
use crate::key::{Key, KeyRef, ToKey, Value};
use crate::memory::{self, Amend, Cause, Found, Sharded, Verdict};
use crate::mutant::{self, Mutant};
use crate::shared::{Family, Shared};
use crate::stats::{Counters, Stats};
use crate::store::Coherence;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::tag::Cell;

/// What left a cache's memory, to be told and dropped without a lock.
pub(crate) type Fallout<K, V> = memory::Fallout<K, Stamped<V>, Rest>;

/// An entry for a cache's memory.
pub(crate) type Fresh<K, V> = memory::Fresh<K, Stamped<V>, Rest>;

/// Whether an error may be answered with a stale value.
pub(crate) type ErrorFilter = Box<dyn Fn(&(dyn Any + Send + Sync)) -> bool + Send + Sync>;

/// In this order, so that a hit reads the first lines only.
#[repr(C)]
pub(crate) struct Inner<K, V> {
    pub(crate) hub: Arc<Shared>,
    /// Whether a hit on a fresh value has nothing to decide and nothing to put off.
    pub(crate) plain: bool,
    /// How long memory may be served without asking the store, where there is one.
    pub(crate) coherence: Option<Arc<Coherence>>,
    pub(crate) memory: Sharded<K, Stamped<V>, Rest>,
    pub(crate) name: Box<str>,
    pub(crate) flights: Table<K, V>,
    /// The epoch of this cache's last purge.
    pub(crate) purged_at: AtomicU64,
    pub(crate) ages: Ages,
    /// Whether entries are weighed; otherwise each is one.
    pub(crate) weighed: bool,
    pub(crate) limits: Limits,
    pub(crate) tolerates: Option<ErrorFilter>,
    pub(crate) permits: Option<Arc<Permits>>,
    pub(crate) counters: Counters,
    pub(crate) gone: Arc<Gone>,
    /// Where loads begin behind callers.
    pub(crate) backoff: Option<Backoff>,
    /// Its place in the hub's store, if that has one and the cache is to be shared.
    pub(crate) shelf: Option<Box<Shelf<K, V>>>,
}

/// How long whom to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// With a stale value at hand, wait this long for its load.
    pub(crate) soft: Option<Duration>,
    /// A caller gives up after this.
    pub(crate) hard: Option<Duration>,
    /// A load is abandoned after this.
    pub(crate) deadline: Duration,
}

/// Whether a known absence answers the call.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Accepts {
    #[default]
    ValueOnly,
    Absence,
}

/// Why a stale value is to stand in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    Slow,
    Failed,
}

/// A live entry, as a lookup sees it.
pub(crate) struct Sight<V> {
    pub(crate) value: Option<V>,
    pub(crate) age: Age,
}

impl<K: Key, V: Value> Inner<K, V> {
    /// What memory has for a key: a counted lookup, a hit if the closure says that the sight serves it.
    pub(crate) fn sight<Q>(&self, key: &Q, serves: impl Fn(&Sight<V>) -> bool) -> Option<Sight<V>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let epoch = self.hub.tags.epoch();
        let until_ms = self.serve_until_ms();
        let (mut reason, mut served, mut slides) = (None, false, false);
        let sight = self.memory.read(key, |found| {
            let now_ms = found.now_ms;
            if now_ms >= until_ms {
                return Verdict::Miss(None);
            }
            let (verdict, times) = self.judge(&found, epoch, &mut reason, &serves);
            served = matches!(verdict, Verdict::Hit(_));
            slides = served && times.is_some_and(|times| self.is_to_slide(now_ms, times));
            verdict
        });
        if slides {
            self.slide(key);
        }
        if let Some(reason) = reason {
            self.gone.note(self.memory.hash(key), reason);
        }
        let sight = sight.flatten()?;
        if served && matches!(sight.age, Age::Revalidate | Age::Throttled) {
            Counters::bump(&self.counters.stale_served);
        }
        if served && sight.value.is_none() {
            Counters::bump(&self.counters.negative_hits);
        }
        Some(sight)
    }

    /// A fresh value, counted.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let is_fresh = |sight: &Sight<V>| matches!(sight.age, Age::Fresh | Age::Early);
        let sight = self.sight(key, is_fresh)?;
        is_fresh(&sight).then_some(sight.value).flatten()
    }

    /// A plainly fresh value, counted; `None` counts nothing, and is for [`sight`](Inner::sight) to go into. Inlined, since
    /// a call that saves and restores all registers is an eighth of a hit (`bench engine`).
    #[inline(always)]
    pub(crate) fn hit<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        if !self.plain {
            return None;
        }
        let until_ms = self.serve_until_ms();
        let epoch = self.hub.tags.epoch();
        self.memory.hit(key, until_ms, |stamped| stamped.plainly_fresh(epoch).cloned())
    }

    /// Until when memory may be served. Read before the epoch: what has been told of by then is in it.
    #[inline(always)]
    fn serve_until_ms(&self) -> u64 {
        self.coherence.as_ref().map_or(NEVER, |coherence| coherence.serve_until_ms())
    }

    /// What entries are compared with.
    pub(crate) fn changes(&self) -> Changes<'_> {
        let marks = self.shelf.as_ref().map(|shelf| &shelf.marks);
        Changes { tags: &self.hub.tags, purged_at: &self.purged_at, marks }
    }

    /// A key's place among what others change.
    pub(crate) fn mark_place<Q: ToKey<K> + ?Sized>(&self, key: &Q) -> u32 {
        self.shelf.as_ref().map_or(NOWHERE, |shelf| shelf.place(&key.to_key()))
    }

    fn judge(
        &self,
        found: &Found<'_, Stamped<V>, Rest>,
        epoch: u64,
        reason: &mut Option<Reason>,
        serves: impl Fn(&Sight<V>) -> bool,
    ) -> (Verdict<Option<Sight<V>>>, Option<Times>) {
        let (stamped, rest) = (found.value, found.beside());
        if !stamped.stands(rest, epoch, self.changes()) {
            let purged = stamped.purged(self.changes());
            *reason = Some(if purged { Reason::Purged } else { Reason::TagInvalidated });
            let cause = if purged { Cause::Purged } else { Cause::Invalidated };
            return (Verdict::Gone(cause), None);
        }
        *reason = None;
        let times = stamped.times(rest, found.expiry_ms);
        let age = self.ages.judge(found.now_ms, times, rest.cost_us(), &self.hub.random);
        let sight = Sight { value: stamped.value().cloned(), age };
        let is_hit = age != Age::OnError && serves(&sight);
        (if is_hit { Verdict::Hit(Some(sight)) } else { Verdict::Miss(Some(sight)) }, Some(times))
    }

    /// Whether a read puts off the end of an entry: when less than half of its idle time is left. Reads in between write
    /// nothing.
    fn is_to_slide(&self, now_ms: u64, times: Times) -> bool {
        self.ages.idle_ms > 0 && times.expiry_ms.saturating_sub(now_ms) < self.ages.idle_ms / 2
    }

    fn slide<Q>(&self, key: &Q)
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        self.memory.amend(key, |_, entry| {
            let times = entry.times();
            let end_ms = times.ended_ms.saturating_add(self.ages.stale_ms());
            let put_off_ms = end_ms.min(now_ms.saturating_add(self.ages.idle_ms)).min(NEVER - 1);
            if times.expiry_ms < NEVER && put_off_ms > times.expiry_ms {
                entry.set_times(Times { expiry_ms: put_off_ms, ..times });
            }
        });
    }

    /// An uncounted look at a standing entry.
    pub(crate) fn look<Q, R>(&self, key: &Q, look: impl FnOnce(&Stamped<V>, &Rest, Times) -> R) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let until_ms = self.serve_until_ms();
        let seen = self.memory.look(key, |found| {
            let (stamped, rest) = (found.value, found.beside());
            let stands = found.now_ms < until_ms && !stamped.fallen(rest, self.changes());
            stands.then(|| look(stamped, rest, stamped.times(rest, found.expiry_ms)))
        });
        seen.flatten()
    }

    /// What memory has for a key, uncounted: a lookup that was counted looks again.
    pub(crate) fn glance<Q>(&self, key: &Q) -> Option<Sight<V>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        self.look(key, |stamped, rest, times| {
            let age = self.ages.judge(now_ms, times, rest.cost_us(), &self.hub.random);
            Sight { value: stamped.value().cloned(), age }
        })
    }

    /// Whether memory has something to serve without question. Clones nothing: it is asked under a lock.
    pub(crate) fn has_fresh<Q>(&self, key: &Q, accepts: Accepts) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        let fresh = self.look(key, |stamped, _, times| {
            let fits = !stamped.is_absence() || accepts == Accepts::Absence;
            fits && now_ms < times.fresh_until_ms
        });
        fresh == Some(true)
    }

    /// The value that may stand in for a load that is slow or failed.
    pub(crate) fn stale<Q>(&self, key: &Q, because: Because) -> Option<Option<V>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        let covers = |times| because == Because::Slow || self.ages.covers_errors(now_ms, times);
        self.look(key, |stamped, _, times| covers(times).then(|| stamped.value().cloned())).flatten()
    }

    /// Whether no load is to be started behind a caller, since one has just failed.
    pub(crate) fn holds_back<Q>(&self, key: &Q) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let backoff = self.backoff.as_ref();
        backoff.is_some_and(|backoff| backoff.holds(self.memory.hash(key), self.hub.clock.now_ms()))
    }

    /// Changes a key, whose hash the closure gets: nobody's load from before may fill it afterwards, and nobody joins one.
    pub(crate) fn change<Q>(&self, key: &Q, mutant: Mutant, change: impl FnOnce(u64, &mut Fallout<K, V>))
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut out = Fallout::new();
        let hash = self.memory.hash(key);
        let mut slice = self.flights.lock(hash);
        let detached = if mutant::on(mutant) { None } else { slice.detach(key) };
        slice.writers().disturb(hash, key);
        change(hash, &mut out);
        drop(slice);
        drop(detached);
        self.memory.settle(out);
    }

    pub(crate) fn invalidate<Q>(&self, key: &Q)
    where
        Q: KeyRef<K> + ?Sized,
    {
        if mutant::on(Mutant::InvalidateMarksStale) {
            return self.mark_stale(key);
        }
        self.end_key(key);
    }

    /// Ends a key; whether there was an entry of it.
    pub(crate) fn end_key<Q>(&self, key: &Q) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut was_here = false;
        self.change(key, Mutant::FlightNotDetached, |_, out| {
            self.memory.take(key, out);
            was_here = out.len() > 0;
        });
        self.gone.note(self.memory.hash(key), Reason::Invalidated);
        was_here
    }

    pub(crate) fn mark_stale<Q>(&self, key: &Q)
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        let mark = |_: &K, entry: &mut Amend<'_, Stamped<V>, Rest>| {
            let times = entry.times();
            // An absence is never served stale: it goes.
            let kept_ms = if entry.value.is_absence() { 0 } else { self.ages.stale_ms() };
            let expiry_ms = times.expiry_ms.min(now_ms.saturating_add(kept_ms)).min(NEVER - 1);
            let fresh_until_ms = times.ended_ms.min(now_ms);
            // How long it was to be fresh no longer says when it was filled.
            let ttl_ms = 0;
            entry.set_times(Times { fresh_until_ms, expiry_ms, ttl_ms, ended_ms: fresh_until_ms, overdue: false });
        };
        self.change(key, Mutant::MarkStaleNotDetaching, |_, _| {
            self.memory.amend(key, mark);
        });
    }

    /// Freshness anew for a fresh entry; whether there was one.
    pub(crate) fn touch<Q>(&self, key: &Q, ttl: Option<Duration>) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        let touched = self.memory.amend(key, |_, entry| {
            let old = entry.times();
            let is_fresh = now_ms < old.fresh_until_ms && !old.overdue;
            let stands = is_fresh && !entry.value.fallen(entry.beside, self.changes());
            if stands && (old.expiry_ms < NEVER || ttl.is_some()) {
                let negative = entry.value.is_absence();
                // An entry keeps the ttl it was given, where that is remembered.
                let times = match ttl {
                    None if old.ttl_ms > 0 => self.ages.lasting(now_ms, old.ttl_ms, negative),
                    ttl => self.ages.times(now_ms, ttl, negative, &self.hub.random),
                };
                entry.set_times(times);
            }
            stands
        });
        touched == Some(true)
    }

    /// Puts a value in that its caller knows to be current.
    pub(crate) fn set(&self, key: K, value: Option<V>, ttl: Option<Duration>, weight: Option<u32>, tags: &[Arc<str>]) {
        let began = self.hub.tags.epoch();
        let cells = self.hub.tags.cells(tags);
        let ties = Ties { tags: &cells, place: NOWHERE };
        let fresh = self.fresh(key.clone(), value, (ttl, weight), ties, began, 0);
        self.change(&key, Mutant::SetNotDetaching, |hash, out| self.memory.put(hash, fresh, out));
    }

    pub(crate) fn fresh(
        &self,
        key: K,
        value: Option<V>,
        (ttl, weight): (Option<Duration>, Option<u32>),
        ties: Ties<'_>,
        began: u64,
        cost_us: u32,
    ) -> Fresh<K, V> {
        let now_ms = self.hub.clock.now_ms();
        let times = self.ages.times(now_ms, ttl, value.is_none(), &self.hub.random);
        let times = self.believed(times, now_ms.saturating_sub(u64::from(cost_us) / 1000));
        self.fresh_at(key, value, weight, ties, began, (times, cost_us))
    }

    /// Times that end when memory must ask the store again, of what was known to be so at that time.
    pub(crate) fn believed(&self, times: Times, asked_ms: u64) -> Times {
        let believed_for_ever = mutant::on(Mutant::MemoryBelievedForEver);
        let shelf = self.shelf.as_ref().filter(|_| !believed_for_ever);
        let Some(belief) = shelf.and_then(|shelf| shelf.link.belief()) else { return times };
        let until_ms = asked_ms.saturating_add(to_ms(belief));
        if times.expiry_ms <= until_ms {
            return times;
        }
        let fresh_until_ms = times.fresh_until_ms.min(until_ms);
        // How long it was to be fresh says nothing about when it is to be refreshed early: the store is asked before.
        Times { fresh_until_ms, expiry_ms: until_ms, ttl_ms: 0, ended_ms: times.ended_ms.min(fresh_until_ms), ..times }
    }

    /// An entry of these times, with what its load took.
    pub(crate) fn fresh_at(
        &self,
        key: K,
        value: Option<V>,
        weight: Option<u32>,
        ties: Ties<'_>,
        began: u64,
        (times, cost_us): (Times, u32),
    ) -> Fresh<K, V> {
        let (stamped, rest, expiry_ms) = Stamped::new(value, ties, began, times, cost_us);
        let weight = weight.filter(|_| self.weighed).unwrap_or_else(|| self.memory.weigh(&key, &stamped)).max(1);
        Fresh { key, value: stamped, beside: rest, weight, expiry_ms }
    }

    /// Ends every entry and every load of this cache.
    pub(crate) fn purge(&self) {
        self.hub.tags.purge_one(&self.purged_at);
        self.memory.clear();
    }

    /// Whether a flight brings what was invalidated since it began, as far as these tags tell, and what others told.
    pub(crate) fn overtaken(&self, flight: &Flight<K, V>, tags: &[Arc<Cell>]) -> bool {
        let began = flight.began;
        let purged = self.purged_since(began) && !mutant::on(Mutant::JoinedAcrossPurge);
        purged || tags.iter().any(|cell| cell.changed_since(began)) || self.changed_elsewhere(flight)
    }

    /// Whether others have changed a flight's key since it began, or one of the same place.
    pub(crate) fn changed_elsewhere(&self, flight: &Flight<K, V>) -> bool {
        let shelf = self.shelf.as_ref().filter(|_| !mutant::on(Mutant::ChangedElsewhereKept));
        shelf.is_some_and(|shelf| shelf.marks.changed_since(flight.place, flight.began))
    }

    pub(crate) fn purged_since(&self, began: u64) -> bool {
        self.hub.tags.purged_since(began) || self.purged_at.load(Relaxed) > began
    }
}

impl<K: Key, V: Value> Family for Inner<K, V> {
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    fn stats(&self) -> Stats {
        let (hits, misses) = self.memory.lookups();
        let mut stats = self.counters.read();
        stats.hits = hits;
        stats.misses = misses;
        stats.removals = self.memory.removals();
        stats.time_saved = stats.load_time.mean().unwrap_or_default().mul_f64(hits as f64);
        stats.len = self.memory.len() as u64;
        stats.weight = self.memory.weight();
        stats.capacity = self.memory.capacity();
        stats
    }

    fn give_up_overdue(&self) {
        Inner::give_up_overdue(self);
    }

    fn give_room_back(&self) {
        self.memory.clear();
    }

    fn key_changed(&self, name: &str) {
        let Some(shelf) = self.shelf.as_ref().filter(|shelf| shelf.has(name)) else { return };
        if let Some(changed_at) = shelf.marks.changed_at(shelf.marks.place(name)) {
            self.hub.tags.purge_one(changed_at);
        }
    }

    fn cache_changed(&self, tag: &str) {
        if self.shelf.as_ref().is_some_and(|shelf| shelf.purges[1].as_str() == tag) {
            self.hub.tags.purge_one(&self.purged_at);
        }
    }

    fn all_changed(&self) {
        if self.shelf.is_some() {
            self.hub.tags.purge_one(&self.purged_at);
        }
    }
}
