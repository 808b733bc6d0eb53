//! What memory holds of an entry beside its key, in two parts: what a hit reads, and what the rest needs.
//!
//! At 100,000 entries a hit's time is mostly the wait for its slot's cache line, so the slot holds the value and a stamp
//! of eight bytes, and everything else stands beside it in an array of its own: for a `u64` with two tags 48 bytes more
//! than the bare value (`bench memory --only footprint_cache_entry_1m`).
//!
//! The stamp is the epoch at which the entry was last known to be good, at first the one its load began at. Readers beside
//! each other may renew its lower half, within an era of 2^32 epochs; the era is changed by those only who are alone. An
//! entry of an earlier era is compared at each lookup until it is filled anew.
//!
//! The expiry in the slot is the moment from which something has to be decided: when the entry stops being fresh, or
//! when it goes, whichever comes first. [`Rest`] says how far the other is.

use std::sync::Arc;

use super::marks::{Marks, NOWHERE};
use crate::clock::NEVER;
use crate::expiry::Times;
use crate::memory::Beside;
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, Ordering::Relaxed};
use crate::tag::{Cell, Tags};

/// Set in an era after a failed load: such an entry is never plainly fresh. Eras stay below: a million invalidations a
/// second take four years to get there.
const OVERDUE: u16 = 1 << 15;

/// A ttl too long to be remembered.
const FORGOTTEN: u32 = u32::MAX;

/// A value or a known absence, with the stamp: in each variant, so that the mark between the two stands in the stamp's
/// last two bytes.
pub(crate) enum Stamped<V> {
    Value { era: u16, low: AtomicU32, value: V },
    Absent { era: u16, low: AtomicU32 },
}

#[derive(Default)]
pub(crate) struct Rest {
    /// From the end of freshness to the end of the entry, in milliseconds; below zero where idleness ends it first.
    kept_ms: i64,
    /// The ttl in milliseconds, or `FORGOTTEN` above 49 days; of an overdue entry how long before its next load its freshness had
    /// ended.
    ttl_ms: u32,
    /// What the load took, in microseconds; 71 minutes at most.
    cost_us: u32,
    tags: TagList,
}

/// An entry's place among the marks, and its tags: two without a further allocation. The place stands in each variant, where
/// it takes no room of its own.
enum TagList {
    Few(u32, [Option<Arc<Cell>>; 2]),
    Many(u32, Box<[Arc<Cell>]>),
}

/// What ends an entry from outside: its tags, and the place of its name in a store.
#[derive(Clone, Copy)]
pub(crate) struct Ties<'a> {
    pub(crate) tags: &'a [Arc<Cell>],
    pub(crate) place: u32,
}

/// What an entry is compared with: its hub's tags, its cache's last purge, and what others changed.
#[derive(Clone, Copy)]
pub(crate) struct Changes<'a> {
    pub(super) tags: &'a Tags,
    pub(super) purged_at: &'a AtomicU64,
    pub(super) marks: Option<&'a Marks>,
}

impl<V> Stamped<V> {
    /// An entry's two parts, and the expiry for its slot.
    pub(crate) fn new(value: Option<V>, ties: Ties<'_>, began: u64, times: Times, cost_us: u32) -> (Self, Rest, u64) {
        let (era, low) = (era_of(began), AtomicU32::new(low_of(began)));
        let mut stamped = match value {
            Some(value) => Stamped::Value { era, low, value },
            None => Stamped::Absent { era, low },
        };
        let mut rest = Rest { kept_ms: 0, ttl_ms: 0, cost_us, tags: TagList::new(ties) };
        let expiry_ms = stamped.set_times(&mut rest, times);
        (stamped, rest, expiry_ms)
    }

    /// `None` is a known absence.
    #[inline]
    pub(crate) fn value(&self) -> Option<&V> {
        match self {
            Stamped::Value { value, .. } => Some(value),
            Stamped::Absent { .. } => None,
        }
    }

    pub(crate) fn is_absence(&self) -> bool {
        self.value().is_none()
    }

    /// The value of an entry whose slot has not expired, if nothing at all speaks against serving it: the usual case, in
    /// one comparison of eight bytes.
    #[inline]
    pub(crate) fn plainly_fresh(&self, epoch: u64) -> Option<&V> {
        match self {
            Stamped::Value { era, low, value } if *era == era_of(epoch) && low.load(Relaxed) == low_of(epoch) => {
                Some(value)
            }
            _ => None,
        }
    }

    /// The stamp, and what the rest of the entry says by it.
    pub(crate) fn stamp(&self) -> Stamp<'_> {
        let (era, low) = match self {
            Stamped::Value { era, low, .. } | Stamped::Absent { era, low } => (*era, low),
        };
        Stamp { era, low }
    }

    /// Notes an entry's times; gives the expiry for its slot.
    pub(crate) fn set_times(&mut self, rest: &mut Rest, times: Times) -> u64 {
        let overdue = if times.overdue { OVERDUE } else { 0 };
        match self {
            Stamped::Value { era, .. } | Stamped::Absent { era, .. } => *era = *era & !OVERDUE | overdue,
        }
        rest.note(times)
    }
}

/// An entry's stamp, whatever its value: all that is decided about an entry is decided by it and by [`Rest`].
#[derive(Clone, Copy)]
pub(crate) struct Stamp<'a> {
    era: u16,
    low: &'a AtomicU32,
}

impl Stamp<'_> {
    /// Whether no tag was invalidated, nothing purged and the key not changed elsewhere since the entry was good.
    pub(crate) fn stands(self, rest: &Rest, epoch: u64, changes: Changes<'_>) -> bool {
        // Later than this reader's epoch, when an entry came in between: good as well, and not to be stamped back.
        if self.good_at() >= epoch {
            return true;
        }
        if !mutant::on(Mutant::RestampedUncompared) && self.fallen(rest, changes) {
            return false;
        }
        if self.era & !OVERDUE == era_of(epoch) {
            // Of two readers at once the older epoch may remain: that costs a comparison more.
            self.low.store(low_of(epoch), Relaxed);
        }
        true
    }

    /// The comparison itself.
    pub(crate) fn fallen(self, rest: &Rest, changes: Changes<'_>) -> bool {
        let good_at = self.good_at();
        let is_marked = |marks: &Marks| marks.changed_since(rest.place(), good_at);
        self.purged(changes)
            || rest.tags().any(|cell| cell.changed_since(good_at))
            || changes.marks.is_some_and(is_marked)
    }

    /// The part of the comparison that is about purges.
    pub(crate) fn purged(self, changes: Changes<'_>) -> bool {
        changes.tags.purged_since(self.good_at()) || changes.purged_at.load(Ordering::Acquire) > self.good_at()
    }

    pub(crate) fn times(self, rest: &Rest, expiry_ms: u64) -> Times {
        let (fresh_until_ms, expiry_ms) = match rest.kept_ms {
            _ if expiry_ms == NEVER => (NEVER, NEVER),
            kept_ms @ 0.. => (expiry_ms, expiry_ms.saturating_add(kept_ms.unsigned_abs())),
            kept_ms => (expiry_ms.saturating_add(kept_ms.unsigned_abs()), expiry_ms),
        };
        let noted_ms = u64::from(rest.ttl_ms);
        if self.era & OVERDUE != 0 {
            let ended_ms = fresh_until_ms.saturating_sub(noted_ms);
            return Times { fresh_until_ms, expiry_ms, ttl_ms: 0, ended_ms, overdue: true };
        }
        let ttl_ms = if rest.ttl_ms == FORGOTTEN { 0 } else { noted_ms };
        Times { fresh_until_ms, expiry_ms, ttl_ms, ended_ms: fresh_until_ms, overdue: false }
    }

    fn good_at(self) -> u64 {
        u64::from(self.era & !OVERDUE) << 32 | u64::from(self.low.load(Relaxed))
    }
}

fn era_of(epoch: u64) -> u16 {
    debug_assert!(epoch >> 47 == 0, "epochs have 47 bits");
    (epoch >> 32) as u16
}

fn low_of(epoch: u64) -> u32 {
    epoch as u32
}

impl Rest {
    /// Notes the times; gives the expiry for the entry's slot. That it is overdue is for its stamp to say.
    fn note(&mut self, times: Times) -> u64 {
        let Times { fresh_until_ms, expiry_ms, .. } = times;
        self.kept_ms = expiry_ms.cast_signed().saturating_sub(fresh_until_ms.cast_signed());
        let noted_ms = if times.overdue { fresh_until_ms.saturating_sub(times.ended_ms) } else { times.ttl_ms };
        self.ttl_ms = u32::try_from(noted_ms).unwrap_or(FORGOTTEN);
        fresh_until_ms.min(expiry_ms)
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = &Arc<Cell>> {
        let (few, many): (&[_], &[_]) = match &self.tags {
            TagList::Few(_, few) => (few, &[]),
            TagList::Many(_, many) => (&[], many),
        };
        few.iter().flatten().chain(many)
    }

    fn place(&self) -> u32 {
        match self.tags {
            TagList::Few(place, _) | TagList::Many(place, _) => place,
        }
    }

    pub(crate) fn cost_us(&self) -> u32 {
        self.cost_us
    }
}

impl Beside for Rest {
    #[inline]
    fn kept_ms(&self) -> u64 {
        self.kept_ms.max(0).unsigned_abs()
    }
}

impl Default for TagList {
    fn default() -> Self {
        TagList::Few(NOWHERE, [None, None])
    }
}

impl TagList {
    fn new(Ties { tags, place }: Ties<'_>) -> Self {
        match tags {
            [] => TagList::Few(place, [None, None]),
            [one] => TagList::Few(place, [Some(Arc::clone(one)), None]),
            [one, two] => TagList::Few(place, [Some(Arc::clone(one)), Some(Arc::clone(two))]),
            many => TagList::Many(place, many.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_costs_what_its_page_says() {
        let more_than_the_value = size_of::<Stamped<u64>>() - size_of::<u64>() + size_of::<Rest>();
        assert_eq!(more_than_the_value, 48);
    }

    #[test]
    fn times_come_back_as_they_were_noted() {
        let (mut stamped, mut rest, _) = Stamped::new(Some(1), NONE, 7, times(1, 1), 0);
        for (fresh, expiry) in [(5, 9), (9, 5), (5, 5), (NEVER, NEVER), (NEVER, 7), (NEVER - 1, NEVER - 1)] {
            let slot = stamped.set_times(&mut rest, times(fresh, expiry));
            assert_eq!(slot, fresh.min(expiry));
            assert_eq!(stamped.stamp().times(&rest, slot), times(fresh, expiry));
        }
        let overdue = Times { ttl_ms: 0, ended_ms: 40, overdue: true, ..times(50, 90) };
        let slot = stamped.set_times(&mut rest, overdue);
        assert_eq!(stamped.stamp().times(&rest, slot), overdue);
        assert_eq!(stamped.plainly_fresh(7), None);
    }

    #[test]
    fn an_entry_of_an_earlier_era_is_compared_each_time_and_never_taken_for_a_later_ones() {
        let (tags, purged_at) = (Tags::new(), AtomicU64::new(0));
        let changes = Changes { tags: &tags, purged_at: &purged_at, marks: None };
        let (stamped, rest, _) = Stamped::new(Some(1), NONE, 7, times(1, 1), 0);
        assert_eq!(stamped.plainly_fresh(7), Some(&1));
        for epoch in [(1 << 32) + 7, (1 << 32) + 8] {
            assert_eq!(stamped.plainly_fresh(epoch), None);
            assert!(stamped.stamp().stands(&rest, epoch, changes));
            assert_eq!((stamped.stamp().good_at(), stamped.plainly_fresh(epoch)), (7, None));
        }
        purged_at.store((1 << 32) + 9, Ordering::Release);
        assert!(!stamped.stamp().stands(&rest, (1 << 32) + 9, changes));
    }

    const NONE: Ties<'_> = Ties { tags: &[], place: NOWHERE };

    #[test]
    fn an_entry_falls_when_its_place_is_marked() {
        let (tags, purged_at, marks) = (Tags::new(), AtomicU64::new(0), Marks::new(1));
        let changes = Changes { tags: &tags, purged_at: &purged_at, marks: Some(&marks) };
        let (stamped, rest, _) = Stamped::new(Some(1), Ties { tags: &[], place: 3 }, 1, times(1, 1), 0);
        tags.purge_one(marks.changed_at(4).unwrap());
        assert!(stamped.stamp().stands(&rest, tags.epoch(), changes));
        tags.purge_one(marks.changed_at(3).unwrap());
        assert!(!stamped.stamp().stands(&rest, tags.epoch(), changes));
    }

    fn times(fresh_until_ms: u64, expiry_ms: u64) -> Times {
        Times { fresh_until_ms, expiry_ms, ttl_ms: 3, ended_ms: fresh_until_ms, overdue: false }
    }
}
