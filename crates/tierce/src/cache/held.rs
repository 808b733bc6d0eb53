//! What memory holds of an entry beside its key, in two parts: what a hit reads, and what the rest needs.
//!
//! At 100,000 entries a hit's time is mostly the wait for its slot's cache lines, so the slot holds the value, two
//! numbers and a pointer, and everything else lives behind the pointer: for a `u64` with two tags 64 bytes more than
//! the bare value (`bench memory --only footprint_cache_entry_1m`).

use std::sync::Arc;

use crate::expiry::Times;
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::tag::{Cell, Tags};

/// Set in `checked` after a failed load: such an entry is never plainly fresh. Epochs stay far below.
const OVERDUE: u64 = 1 << 63;

pub(crate) struct Held<V> {
    /// `None` is a known absence.
    pub(crate) value: Option<V>,
    /// The epoch at which the entry was last known to be good, at first the one its load began at; and `OVERDUE`.
    checked: u64,
    fresh_until_ms: u64,
    rest: Box<Rest>,
}

struct Rest {
    /// The ttl in milliseconds, 49 days at most; of an overdue entry how long before `fresh_until_ms` its freshness
    /// had ended.
    ttl_ms: u32,
    /// What the load took, in microseconds; 71 minutes at most.
    cost_us: u32,
    tags: TagList,
}

/// An entry's tags: two without a further allocation.
enum TagList {
    Few([Option<Arc<Cell>>; 2]),
    Many(Box<[Arc<Cell>]>),
}

impl<V> Held<V> {
    pub(crate) fn new(value: Option<V>, tags: &[Arc<Cell>], began: u64, times: Times, cost_us: u32) -> Self {
        let rest = Box::new(Rest { ttl_ms: 0, cost_us, tags: TagList::new(tags) });
        let mut held = Held { value, checked: began, fresh_until_ms: 0, rest };
        held.set_times(times);
        held
    }

    /// The value, if nothing at all speaks against serving it: the usual case, in three comparisons.
    #[inline]
    pub(crate) fn plainly_fresh(&self, epoch: u64, now_ms: u64) -> Option<&V> {
        let plain = self.checked == epoch && now_ms < self.fresh_until_ms;
        self.value.as_ref().filter(|_| plain)
    }

    /// Whether no tag was invalidated and nothing purged since the entry was good. `purged_at` is its cache's.
    pub(crate) fn stands(&mut self, epoch: u64, tags: &Tags, purged_at: &AtomicU64) -> bool {
        // Later than this reader's epoch, when an entry came in between: good as well, and not to be stamped back.
        if self.good_at() >= epoch {
            return true;
        }
        if !mutant::on(Mutant::RestampedUncompared) && self.fallen(tags, purged_at) {
            return false;
        }
        self.checked = epoch | self.checked & OVERDUE;
        true
    }

    /// The comparison itself.
    pub(crate) fn fallen(&self, tags: &Tags, purged_at: &AtomicU64) -> bool {
        let good_at = self.good_at();
        self.purged(tags, purged_at) || self.tags().any(|cell| cell.changed_since(good_at))
    }

    /// The part of the comparison that is about purges.
    pub(crate) fn purged(&self, tags: &Tags, purged_at: &AtomicU64) -> bool {
        tags.purged_since(self.good_at()) || purged_at.load(Ordering::Acquire) > self.good_at()
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = &Arc<Cell>> {
        let (few, many): (&[_], &[_]) = match &self.rest.tags {
            TagList::Few(few) => (few, &[]),
            TagList::Many(many) => (&[], many),
        };
        few.iter().flatten().chain(many)
    }

    pub(crate) fn cost_us(&self) -> u32 {
        self.rest.cost_us
    }

    pub(crate) fn times(&self, expiry_ms: u64) -> Times {
        let (fresh_until_ms, kept_ms) = (self.fresh_until_ms, u64::from(self.rest.ttl_ms));
        if self.checked & OVERDUE != 0 {
            let ended_ms = fresh_until_ms.saturating_sub(kept_ms);
            return Times { fresh_until_ms, expiry_ms, ttl_ms: 0, ended_ms, overdue: true };
        }
        Times { fresh_until_ms, expiry_ms, ttl_ms: kept_ms, ended_ms: fresh_until_ms, overdue: false }
    }

    pub(crate) fn set_times(&mut self, times: Times) {
        self.fresh_until_ms = times.fresh_until_ms;
        let kept_ms = if times.overdue { times.fresh_until_ms.saturating_sub(times.ended_ms) } else { times.ttl_ms };
        self.rest.ttl_ms = u32::try_from(kept_ms).unwrap_or(u32::MAX);
        self.checked = if times.overdue { self.checked | OVERDUE } else { self.good_at() };
    }

    fn good_at(&self) -> u64 {
        self.checked & !OVERDUE
    }
}

impl TagList {
    fn new(tags: &[Arc<Cell>]) -> Self {
        match tags {
            [] => TagList::Few([None, None]),
            [one] => TagList::Few([Some(Arc::clone(one)), None]),
            [one, two] => TagList::Few([Some(Arc::clone(one)), Some(Arc::clone(two))]),
            many => TagList::Many(many.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_costs_what_its_page_says() {
        let more_than_the_value = size_of::<Held<u64>>() - size_of::<u64>() + size_of::<Rest>();
        assert_eq!(more_than_the_value, 64);
    }
}
