//! A cache of known types: what memory is asked, and what changes it without loading.

use std::sync::Arc;
use std::time::Duration;

use super::cargo::Seek;
use super::core::{Accepts, Because, Glimpse, Judged, Serves, Sight};
use super::gone::Reason;
use super::inner::Typed;
use super::load::Stale;
use super::marks::NOWHERE;
use super::stamped::{Rest, Stamped, Ties};
use super::vault::{self, Amended, Fallout, New};
use crate::expiry::{Age, Times};
use crate::key::{Key, KeyRef, Value};
use crate::memory::{Found, Verdict};
use crate::mutant::{self, Mutant};
use crate::tag::Cell;

impl<K: Key, V: Value> Typed<K, V> {
    /// What memory has for a key: a counted lookup.
    pub(crate) fn sight<Q>(&self, key: &Q, serves: Serves) -> Option<Sight<V>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut looking = self.looking(serves);
        let sight = self.memory.read(key, |found| {
            let value = found.value;
            match self.judge(&mut looking, &glimpse(&found)) {
                Judged::Unseen => Verdict::Miss(None),
                Judged::Hit(age) => Verdict::Hit(Some(Sight { value: value.value().cloned(), age })),
                Judged::Miss(age) => Verdict::Miss(Some(Sight { value: value.value().cloned(), age })),
                Judged::Gone(cause) => Verdict::Gone(cause),
            }
        });
        let sight = sight.flatten();
        let seen = sight.as_ref().map(|sight| (sight.age, sight.value.is_none()));
        if looking.end(self, &|| self.memory.hash(key), seen) {
            self.slide(key);
        }
        sight
    }

    /// A fresh value, counted.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let sight = self.sight(key, Serves::Fresh)?;
        matches!(sight.age, Age::Fresh | Age::Early).then_some(sight.value).flatten()
    }

    /// A plainly fresh value, counted; `None` counts nothing, and is for [`sight`](Typed::sight) to go into. Inlined, since
    /// a call that saves and restores all registers is an eighth of a hit (`bench engine`).
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn hit<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        if !self.core.plain {
            return None;
        }
        let until_ms = self.core.serve_until_ms();
        let epoch = self.core.hub.tags.epoch();
        self.memory.hit(key, until_ms, |stamped| stamped.plainly_fresh(epoch).cloned())
    }

    /// The same for an entry that has yet to be compared with what was invalidated since it was good, and is stamped anew.
    #[cold]
    pub(crate) fn hit_compared<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut looking = self.looking(Serves::Fresh);
        let value = self.memory.hit_judged(key, |found| match self.judge(&mut looking, &glimpse(&found)) {
            Judged::Hit(Age::Fresh) => found.value.value().cloned(),
            _ => None,
        })?;
        if looking.end(self, &|| self.memory.hash(key), Some((Age::Fresh, false))) {
            self.slide(key);
        }
        Some(value)
    }

    fn slide<Q>(&self, key: &Q)
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        vault::amend(&self.memory, key, &mut |entry| self.slid(entry.times, now_ms));
    }

    /// An uncounted look at a standing entry: its value, if the closure says that it is wanted.
    pub(crate) fn look<Q>(&self, key: &Q, wants: &mut dyn FnMut(&Rest, Times, bool) -> bool) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let until_ms = self.serve_until_ms();
        let seen = self.memory.look(key, |found| {
            let wanted = self.glimpsed(until_ms, &glimpse(&found), wants);
            if wanted { found.value.value().cloned() } else { None }
        });
        seen.flatten()
    }

    /// What memory has for a key, uncounted: a lookup that was counted looks again.
    pub(crate) fn glance<Q>(&self, key: &Q) -> Option<Sight<V>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut age = None;
        let value = self.look(key, &mut self.glancing(&mut age));
        age.map(|age| Sight { value, age })
    }

    /// Whether memory has something to serve without question. Clones nothing: it is asked under a lock.
    pub(crate) fn has_fresh<Q>(&self, key: &Q, accepts: Accepts) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut is_fresh = false;
        self.look(key, &mut self.freshness(accepts, &mut is_fresh));
        is_fresh
    }

    /// What may stand in for a load that is slow or failed.
    pub(crate) fn stale<Q>(&self, key: &Q, because: Because) -> Option<Sight<V>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut age = None;
        let value = self.look(key, &mut self.standing_in(because, &mut age));
        age.map(|age| Sight { value, age })
    }

    /// The value that a load is to replace, and its tags.
    pub(crate) fn replaced<Q>(&self, key: &Q) -> Option<Stale<V>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut tags: Box<[Arc<Cell>]> = Box::default();
        let value = self.look(key, &mut |rest, _, _| {
            tags = rest.tags().cloned().collect();
            true
        });
        value.map(|value| Stale::new(value, tags))
    }

    /// Changes a key, whose hash the closure gets: nobody's load from before may fill it afterwards, and nobody joins one.
    pub(crate) fn change<Q>(&self, key: &Q, mutant: Mutant, change: &mut dyn FnMut(u64, &mut Fallout<K, V>))
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut out = Fallout::new();
        let (hash, seek) = (self.memory.hash(key), Seek::new(key));
        let mut slice = self.flights.lock(hash);
        let detached = if mutant::on(mutant) { None } else { slice.detach(&seek) };
        slice.writers().disturb(hash, &seek);
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
        self.change(key, Mutant::FlightNotDetached, &mut |_, out| {
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
        self.change(key, Mutant::MarkStaleNotDetaching, &mut |_, _| {
            vault::amend(&self.memory, key, &mut |entry| {
                Some(self.marked_stale(entry.times, entry.is_absence, now_ms))
            });
        });
    }

    /// Freshness anew for a fresh entry; whether there was one.
    pub(crate) fn touch<Q>(&self, key: &Q, ttl: Option<Duration>) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now_ms = self.hub.clock.now_ms();
        let mut stands = false;
        vault::amend(&self.memory, key, &mut |entry| {
            let Amended { times, is_absence, stamp, rest } = entry;
            stands = now_ms < times.fresh_until_ms && !times.overdue && !stamp.fallen(rest, self.changes());
            if stands { self.touched(times, is_absence, now_ms, ttl) } else { None }
        });
        stands
    }

    /// Puts a value in that its caller knows to be current.
    pub(crate) fn set(&self, key: K, value: Option<V>, ttl: Option<Duration>, weight: Option<u32>, tags: &[Arc<str>]) {
        let began = self.hub.tags.epoch();
        let cells = self.hub.tags.cells(tags);
        let times = self.times(ttl, value.is_none(), 0);
        let ties = Ties { tags: &cells, place: NOWHERE };
        let new = New { weight, ties, began, times, cost_us: 0 };
        let mut fresh = Some(vault::fresh(&self.memory, self, key.clone(), value, new));
        self.change(&key, Mutant::SetNotDetaching, &mut |hash, out| {
            if let Some(fresh) = fresh.take() {
                self.memory.put(hash, fresh, out);
            }
        });
    }
}

/// An entry, as it is judged.
fn glimpse<'a, V>(found: &'a Found<'_, Stamped<V>, Rest>) -> Glimpse<'a> {
    Glimpse {
        stamp: found.value.stamp(),
        rest: found.beside(),
        is_absence: found.value.is_absence(),
        expiry_ms: found.expiry_ms,
        now_ms: found.now_ms,
    }
}
