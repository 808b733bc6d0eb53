//! One cache's state, and what changes it without loading.
//!
//! Order of locks, outermost first: a slice of the flight table, a shard of memory. The tag table and a flight's state
//! are taken with neither held, or last.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::flight::{Slice, Table};
use super::gone::{Gone, Reason};
use super::held::Held;
use super::permits::Permits;
use crate::clock::NEVER;
use crate::expiry::{Age, Ages, Times};
use crate::key::{Key, KeyRef, Value};
use crate::memory::{Cause, Fallout, Found, Fresh, Memory, Verdict};
use crate::mutant::{self, Mutant};
use crate::shared::{Family, Shared};
use crate::stats::{Counters, Stats};
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::tag::Cell;

/// Whether an error may be answered with a stale value.
pub(crate) type ErrorFilter = Box<dyn Fn(&(dyn Any + Send + Sync)) -> bool + Send + Sync>;

pub(crate) struct Inner<K, V> {
    pub(crate) name: Box<str>,
    pub(crate) hub: Arc<Shared>,
    pub(crate) memory: Memory<K, Held<V>>,
    pub(crate) flights: Table<K, V>,
    /// The epoch of this cache's last purge.
    pub(crate) purged_at: AtomicU64,
    pub(crate) ages: Ages,
    /// Whether a hit on a fresh value has nothing to decide and nothing to put off.
    pub(crate) plain: bool,
    /// Whether entries are weighed; otherwise each is one.
    pub(crate) weighed: bool,
    pub(crate) limits: Limits,
    pub(crate) tolerates: Option<ErrorFilter>,
    pub(crate) permits: Option<Arc<Permits>>,
    pub(crate) counters: Counters,
    pub(crate) gone: Arc<Gone>,
    /// Where loads begin behind callers.
    pub(crate) backoff: Option<Backoff>,
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
    pub(crate) fn sight<Q>(&self, key: &Q, serves: impl FnOnce(&Sight<V>) -> bool) -> Option<Sight<V>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let epoch = self.hub.tags.epoch();
        let mut reason = None;
        let sight = self.memory.read(key, |found| self.judge(found, epoch, &mut reason, serves));
        if let Some(reason) = reason {
            self.gone.note(self.memory.hash(key), reason);
        }
        sight
    }

    /// A plainly fresh value, counted; `None` counts nothing, and is for [`sight`](Inner::sight) to go into.
    #[inline]
    pub(crate) fn hit<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        if !self.plain {
            return None;
        }
        let epoch = self.hub.tags.epoch();
        self.memory.hit(key, |held, now_ms| held.plainly_fresh(epoch, now_ms).cloned())
    }

    fn judge(
        &self,
        mut found: Found<'_, Held<V>>,
        epoch: u64,
        reason: &mut Option<Reason>,
        serves: impl FnOnce(&Sight<V>) -> bool,
    ) -> Verdict<Sight<V>> {
        if !found.value.stands(epoch, &self.hub.tags, &self.purged_at) {
            let purged = found.value.purged(&self.hub.tags, &self.purged_at);
            *reason = Some(if purged { Reason::Purged } else { Reason::TagInvalidated });
            return Verdict::Gone(if purged { Cause::Purged } else { Cause::Invalidated });
        }
        let times = found.value.times(found.expiry_ms());
        let age = self.ages.judge(found.now_ms, times, found.value.cost_us(), &self.hub.random);
        let sight = Sight { value: found.value.value.clone(), age };
        if age == Age::OnError || !serves(&sight) {
            return Verdict::Miss(sight);
        }
        found.tally.stale_hits += u64::from(matches!(age, Age::Revalidate | Age::Throttled));
        found.tally.negative_hits += u64::from(sight.value.is_none());
        if self.ages.idle_ms > 0 {
            self.slide(&mut found, times);
        }
        Verdict::Hit(sight)
    }

    /// Puts off the end of an entry that is being read, when less than half of its idle time is left: reads in
    /// between write nothing.
    fn slide(&self, found: &mut Found<'_, Held<V>>, times: Times) {
        let end_ms = times.ended_ms.saturating_add(self.ages.stale_ms());
        if times.expiry_ms.saturating_sub(found.now_ms) < self.ages.idle_ms / 2 {
            found.move_expiry(end_ms.min(found.now_ms.saturating_add(self.ages.idle_ms)));
        }
    }

    /// An uncounted look at a standing entry.
    pub(crate) fn look<Q, R>(&self, key: &Q, look: impl FnOnce(&Held<V>, Times) -> R) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let seen = self.memory.look(key, |held, expiry_ms| {
            (!held.fallen(&self.hub.tags, &self.purged_at)).then(|| look(held, held.times(expiry_ms)))
        });
        seen.flatten()
    }

    /// What memory has for a key, uncounted: a lookup that was counted looks again.
    pub(crate) fn glance<Q>(&self, key: &Q) -> Option<Sight<V>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        self.look(key, |held, times| {
            let age = self.ages.judge(now_ms, times, held.cost_us(), &self.hub.random);
            Sight { value: held.value.clone(), age }
        })
    }

    /// Whether memory has something to serve without question. Clones nothing: it is asked under a lock.
    pub(crate) fn has_fresh<Q>(&self, key: &Q, accepts: Accepts) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        let fresh = self.look(key, |held, times| {
            let fits = held.value.is_some() || accepts == Accepts::Absence;
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
        self.look(key, |held, times| covers(times).then(|| held.value.clone())).flatten()
    }

    /// Whether no load is to be started behind a caller, since one has just failed.
    pub(crate) fn holds_back<Q>(&self, key: &Q) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let backoff = self.backoff.as_ref();
        backoff.is_some_and(|backoff| backoff.holds(self.memory.hash(key), self.hub.clock.now_ms()))
    }

    /// Changes a key: nobody's load from before may fill it afterwards, and nobody joins one.
    pub(crate) fn change<Q>(&self, key: &Q, mutant: Mutant, change: impl FnOnce(&mut Fallout<K, Held<V>>))
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut out = Fallout::new();
        let mut slice = self.flights.lock(self.memory.hash(key));
        let detached = if mutant::on(mutant) { None } else { slice.detach(key) };
        change(&mut out);
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
        self.change(key, Mutant::FlightNotDetached, |out| self.memory.take(key, out));
        self.gone.note(self.memory.hash(key), Reason::Invalidated);
    }

    pub(crate) fn mark_stale<Q>(&self, key: &Q)
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        let mark = |_: &K, held: &mut Held<V>, _: &mut u32, expiry_ms: &mut u64| {
            let times = held.times(*expiry_ms);
            // An absence is never served stale: it goes.
            let kept_ms = if held.value.is_none() { 0 } else { self.ages.stale_ms() };
            *expiry_ms = times.expiry_ms.min(now_ms.saturating_add(kept_ms)).min(NEVER - 1);
            let fresh_until_ms = times.ended_ms.min(now_ms);
            held.set_times(Times { fresh_until_ms, ended_ms: fresh_until_ms, overdue: false, ..times });
        };
        self.change(key, Mutant::MarkStaleNotDetaching, |_| {
            self.memory.amend(key, mark);
        });
    }

    /// Freshness anew for a fresh entry; whether there was one.
    pub(crate) fn touch<Q>(&self, key: &Q, ttl: Option<Duration>) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        let touched = self.memory.amend(key, |_, held, _, expiry_ms| {
            let old = held.times(*expiry_ms);
            let is_fresh = now_ms < old.fresh_until_ms && !old.overdue;
            let stands = is_fresh && !held.fallen(&self.hub.tags, &self.purged_at);
            if stands && (*expiry_ms < NEVER || ttl.is_some()) {
                let times = self.ages.times(now_ms, ttl, held.value.is_none(), &self.hub.random);
                held.set_times(times);
                *expiry_ms = times.expiry_ms;
            }
            stands
        });
        touched == Some(true)
    }

    /// Puts a value in that its caller knows to be current.
    pub(crate) fn set(&self, key: K, value: Option<V>, ttl: Option<Duration>, weight: Option<u32>, tags: &[Arc<str>]) {
        let began = self.hub.tags.epoch();
        let cells = self.hub.tags.cells(tags);
        let fresh = self.fresh(key.clone(), value, (ttl, weight), cells, began, 0);
        self.change(&key, Mutant::SetNotDetaching, |out| self.memory.put(fresh, out));
    }

    pub(crate) fn fresh(
        &self,
        key: K,
        value: Option<V>,
        (ttl, weight): (Option<Duration>, Option<u32>),
        tags: Box<[Arc<Cell>]>,
        began: u64,
        cost_us: u32,
    ) -> Fresh<K, Held<V>> {
        let times = self.ages.times(self.hub.clock.now_ms(), ttl, value.is_none(), &self.hub.random);
        let held = Held::new(value, &tags, began, times, cost_us);
        let weight = weight.filter(|_| self.weighed).unwrap_or_else(|| self.memory.weigh(&key, &held)).max(1);
        Fresh { key, value: held, weight, expiry_ms: times.expiry_ms }
    }

    /// Ends every entry and every load of this cache.
    pub(crate) fn purge(&self) {
        self.hub.tags.purge_one(&self.purged_at);
        self.memory.clear();
    }

    /// Whether a flight that began at this epoch brings what was invalidated since, as far as these tags tell.
    pub(crate) fn overtaken(&self, began: u64, tags: &[Arc<Cell>]) -> bool {
        let purged = self.purged_since(began) && !mutant::on(Mutant::JoinedAcrossPurge);
        purged || tags.iter().any(|cell| cell.changed_since(began))
    }

    pub(crate) fn purged_since(&self, began: u64) -> bool {
        self.hub.tags.purged_since(began) || self.purged_at.load(Relaxed) > began
    }

    pub(crate) fn slice<Q>(&self, key: &Q) -> Slice<'_, K, V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        self.flights.lock(self.memory.hash(key))
    }
}

impl<K: Key, V: Value> Family for Inner<K, V> {
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    fn stats(&self) -> Stats {
        let tally = self.memory.tally();
        let mut stats = self.counters.read();
        stats.hits = tally.hits;
        stats.misses = tally.misses;
        stats.stale_hits += tally.stale_hits;
        stats.negative_hits = tally.negative_hits;
        stats.removals = tally.removals;
        stats.time_saved = stats.load_time.mean().unwrap_or_default().mul_f64(tally.hits as f64);
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
}
