//! One cache's state beside its memory, and what is decided by it, whatever the types of its keys and values.
//!
//! Order of locks, outermost first: a slice of the flight table, a shard of memory. The tag table and a flight's state
//! are taken with neither held, or last.

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::flight::{Flight, Table};
use super::gone::{Gone, Reason};
use super::marks::NOWHERE;
use super::permits::Permits;
use super::shelf::{Shelf, WriteKey};
use super::stamped::{Changes, Rest, Stamp};
use crate::clock::{NEVER, to_ms};
use crate::expiry::{Age, Ages, Times};
use crate::memory::Cause;
use crate::mutant::{self, Mutant};
use crate::shared::Shared;
use crate::stats::Counters;
use crate::store::{Coherence, Name};
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::tag::Cell;

/// Whether an error may be answered with a stale value.
pub(crate) type ErrorFilter = Box<dyn Fn(&(dyn Any + Send + Sync)) -> bool + Send + Sync>;

/// What a hit reads of a cache beside its memory, and the rest.
#[repr(C)]
pub(crate) struct Core {
    pub(crate) hub: Arc<Shared>,
    /// Whether a hit on a fresh value has nothing to decide and nothing to put off.
    pub(crate) plain: bool,
    /// How long memory may be served without asking the store, where there is one.
    pub(crate) coherence: Option<Arc<Coherence>>,
    pub(crate) cold: Box<Cold>,
}

/// What no hit reads.
pub(crate) struct Cold {
    pub(crate) name: Box<str>,
    pub(crate) flights: Table,
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
    pub(crate) shelf: Option<Box<Shelf>>,
    /// The text of a key, where keys have one.
    pub(crate) write_key: Option<WriteKey>,
}

impl Deref for Core {
    type Target = Cold;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deref(&self) -> &Cold {
        &self.cold
    }
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

/// Which sights a counted look takes for hits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serves {
    /// All that may be served at all.
    All,
    /// Values, and absences where those are accepted.
    Accepted(Accepts),
    /// What is fresh.
    Fresh,
}

/// A live entry, as a lookup sees it. Where the value's type is not known `V` is nothing: whether there is one.
pub(crate) struct Sight<V> {
    pub(crate) value: Option<V>,
    pub(crate) age: Age,
}

/// An entry in memory, as it is judged: all but its value.
pub(crate) struct Glimpse<'a> {
    pub(crate) stamp: Stamp<'a>,
    pub(crate) rest: &'a Rest,
    pub(crate) is_absence: bool,
    pub(crate) expiry_ms: u64,
    /// Zero where the entry never expires.
    pub(crate) now_ms: u64,
}

/// What a counted look makes of an entry.
pub(crate) enum Judged {
    /// Not even looked at, since memory may not be served now.
    Unseen,
    Hit(Age),
    Miss(Age),
    Gone(Cause),
}

/// One counted look at memory.
pub(crate) struct Looking {
    epoch: u64,
    until_ms: u64,
    serves: Serves,
    /// Why the entry is gone, once it is.
    gone: Option<Reason>,
    is_hit: bool,
    slides: bool,
}

impl Looking {
    /// Notes what is to be noted; whether the look puts off the end of the entry.
    pub(crate) fn end(self, cache: &Core, hash: &dyn Fn() -> u64, seen: Option<(Age, bool)>) -> bool {
        if let Some(reason) = self.gone {
            cache.gone.note(hash(), reason);
        }
        if let (true, Some((age, is_absence))) = (self.is_hit, seen) {
            if matches!(age, Age::Revalidate | Age::Throttled) {
                Counters::bump(&cache.counters.stale_served);
            }
            if is_absence {
                Counters::bump(&cache.counters.negative_hits);
            }
        }
        self.slides
    }
}

impl Core {
    /// Begins a counted look.
    pub(crate) fn looking(&self, serves: Serves) -> Looking {
        let epoch = self.hub.tags.epoch();
        let until_ms = self.serve_until_ms();
        Looking { epoch, until_ms, serves, gone: None, is_hit: false, slides: false }
    }

    /// Judges an entry, under its shard's lock; perhaps twice.
    pub(crate) fn judge(&self, looking: &mut Looking, glimpse: &Glimpse<'_>) -> Judged {
        (looking.is_hit, looking.slides, looking.gone) = (false, false, None);
        let Glimpse { stamp, rest, is_absence, expiry_ms, now_ms } = *glimpse;
        if now_ms >= looking.until_ms {
            return Judged::Unseen;
        }
        if !stamp.stands(rest, looking.epoch, self.changes()) {
            let purged = stamp.purged(self.changes());
            looking.gone = Some(if purged { Reason::Purged } else { Reason::TagInvalidated });
            return Judged::Gone(if purged { Cause::Purged } else { Cause::Invalidated });
        }
        let times = stamp.times(rest, expiry_ms);
        let age = self.ages.judge(now_ms, times, rest.cost_us(), &self.hub.random);
        let is_served = match looking.serves {
            Serves::All => true,
            Serves::Accepted(accepts) => !is_absence || accepts == Accepts::Absence,
            Serves::Fresh => matches!(age, Age::Fresh | Age::Early),
        };
        if age == Age::OnError || !is_served {
            return Judged::Miss(age);
        }
        looking.is_hit = true;
        looking.slides = self.is_to_slide(now_ms, times);
        Judged::Hit(age)
    }

    /// An uncounted look at an entry: whether its value is wanted.
    pub(crate) fn glimpsed(
        &self,
        until_ms: u64,
        glimpse: &Glimpse<'_>,
        wants: &mut dyn FnMut(&Rest, Times, bool) -> bool,
    ) -> bool {
        let Glimpse { stamp, rest, is_absence, expiry_ms, now_ms } = *glimpse;
        let stands = now_ms < until_ms && !stamp.fallen(rest, self.changes());
        stands && wants(rest, stamp.times(rest, expiry_ms), is_absence)
    }

    /// … by a lookup that was counted: its age.
    pub(crate) fn glancing(&self, age: &mut Option<Age>) -> impl FnMut(&Rest, Times, bool) -> bool {
        let now_ms = self.hub.clock.now_ms();
        move |rest, times, _| {
            *age = Some(self.ages.judge(now_ms, times, rest.cost_us(), &self.hub.random));
            true
        }
    }

    /// … by one who wants to know whether it is fresh, and no value.
    pub(crate) fn freshness(&self, accepts: Accepts, is_fresh: &mut bool) -> impl FnMut(&Rest, Times, bool) -> bool {
        let now_ms = self.hub.clock.now_ms();
        move |_, times, is_absence| {
            *is_fresh = (!is_absence || accepts == Accepts::Absence) && now_ms < times.fresh_until_ms;
            false
        }
    }

    /// … by one whose load is slow or failed.
    pub(crate) fn standing_in(
        &self,
        because: Because,
        age: &mut Option<Age>,
    ) -> impl FnMut(&Rest, Times, bool) -> bool {
        let now_ms = self.hub.clock.now_ms();
        move |_, times, _| {
            let stands_in = because == Because::Slow || self.ages.covers_errors(now_ms, times);
            *age = stands_in.then_some(Age::Revalidate);
            stands_in
        }
    }

    /// Until when memory may be served. Read before the epoch: what has been told of by then is in it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn serve_until_ms(&self) -> u64 {
        self.coherence.as_ref().map_or(NEVER, |coherence| coherence.serve_until_ms())
    }

    /// What entries are compared with.
    pub(crate) fn changes(&self) -> Changes<'_> {
        let marks = self.shelf.as_ref().map(|shelf| &shelf.marks);
        Changes { tags: &self.hub.tags, purged_at: &self.purged_at, marks }
    }

    /// Whether what a flight's load brought may go into the store: nobody has been about to change its key meanwhile.
    pub(crate) fn may_store(&self, flight: &Flight) -> bool {
        let mut slice = self.flights.lock(flight.hash);
        !slice.writers().may_be_seen(flight.hash, flight.cargo(), flight.node.ticket)
    }

    /// What a key is called in the store, and its place among what others change.
    pub(crate) fn named(&self, key: &dyn Any) -> (Option<Name>, u32) {
        let shelf = self.shelf.as_ref();
        match shelf.and_then(|shelf| Some((shelf, shelf.name(key).ok()?))) {
            Some((shelf, name)) => {
                let place = shelf.place(&name);
                (Some(name), place)
            }
            None => (None, NOWHERE),
        }
    }

    /// Whether a read puts off the end of an entry: when less than half of its idle time is left. Reads in between write
    /// nothing.
    fn is_to_slide(&self, now_ms: u64, times: Times) -> bool {
        self.ages.idle_ms > 0 && times.expiry_ms.saturating_sub(now_ms) < self.ages.idle_ms / 2
    }

    /// An entry's times, once a read has put off its end.
    pub(crate) fn slid(&self, times: Times, now_ms: u64) -> Option<Times> {
        let end_ms = times.ended_ms.saturating_add(self.ages.stale_ms());
        let put_off_ms = end_ms.min(now_ms.saturating_add(self.ages.idle_ms)).min(NEVER - 1);
        let is_later = times.expiry_ms < NEVER && put_off_ms > times.expiry_ms;
        is_later.then_some(Times { expiry_ms: put_off_ms, ..times })
    }

    /// An entry's times, once it is marked stale.
    pub(crate) fn marked_stale(&self, times: Times, is_absence: bool, now_ms: u64) -> Times {
        // An absence is never served stale: it goes.
        let kept_ms = if is_absence { 0 } else { self.ages.stale_ms() };
        let expiry_ms = times.expiry_ms.min(now_ms.saturating_add(kept_ms)).min(NEVER - 1);
        let fresh_until_ms = times.ended_ms.min(now_ms);
        // How long it was to be fresh no longer says when it was filled.
        Times { fresh_until_ms, expiry_ms, ttl_ms: 0, ended_ms: fresh_until_ms, overdue: false }
    }

    /// An entry's times, once it is touched; `None` where they stay.
    pub(crate) fn touched(&self, old: Times, is_absence: bool, now_ms: u64, ttl: Option<Duration>) -> Option<Times> {
        if old.expiry_ms == NEVER && ttl.is_none() {
            return None;
        }
        // An entry keeps the ttl it was given, where that is remembered.
        Some(match ttl {
            None if old.ttl_ms > 0 => self.ages.lasting(now_ms, old.ttl_ms, is_absence),
            ttl => self.ages.times(now_ms, ttl, is_absence, &self.hub.random),
        })
    }

    /// Whether no load is to be started behind a caller, since one has just failed.
    pub(crate) fn holds_back(&self, hash: u64) -> bool {
        let backoff = self.backoff.as_ref();
        backoff.is_some_and(|backoff| backoff.holds(hash, self.hub.clock.now_ms()))
    }

    /// The times of an entry that is filled now, after a load of so long.
    pub(crate) fn times(&self, ttl: Option<Duration>, is_absence: bool, cost_us: u32) -> Times {
        let now_ms = self.hub.clock.now_ms();
        let times = self.ages.times(now_ms, ttl, is_absence, &self.hub.random);
        self.believed(times, now_ms.saturating_sub(u64::from(cost_us) / 1000))
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

    /// Whether a flight brings what was invalidated since it began, as far as these tags tell, and what others told.
    pub(crate) fn overtaken(&self, flight: &Flight, tags: &[Arc<Cell>]) -> bool {
        let began = flight.began;
        let purged = self.purged_since(began) && !mutant::on(Mutant::JoinedAcrossPurge);
        purged || tags.iter().any(|cell| cell.changed_since(began)) || self.changed_elsewhere(flight)
    }

    /// Whether others have changed a flight's key since it began, or one of the same place.
    pub(crate) fn changed_elsewhere(&self, flight: &Flight) -> bool {
        let shelf = self.shelf.as_ref().filter(|_| !mutant::on(Mutant::ChangedElsewhereKept));
        shelf.is_some_and(|shelf| shelf.marks.changed_since(flight.place, flight.began))
    }

    pub(crate) fn purged_since(&self, began: u64) -> bool {
        self.hub.tags.purged_since(began) || self.purged_at.load(Relaxed) > began
    }
}
