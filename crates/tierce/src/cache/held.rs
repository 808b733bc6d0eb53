//! What memory holds of an entry beside its key: 48 bytes more than a `u64`, and 8 a tag.

use std::sync::Arc;

use crate::expiry::Times;
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::tag::{Cell, Tags};

/// Bits of `ttl_and_overdue` that are the ttl in milliseconds: 24 days, and longer ones are told as that.
const TTL: u32 = (1 << 31) - 1;

/// In this order: a hit reads all but the tags.
#[repr(C)]
pub(crate) struct Held<V> {
    /// `None` is a known absence.
    pub(crate) value: Option<V>,
    /// The epoch at which the entry was last known to be good; at first the one its load began at.
    checked: u64,
    fresh_until_ms: u64,
    ttl_and_overdue: u32,
    /// What the load took, in microseconds; 71 minutes at most.
    pub(crate) cost_us: u32,
    pub(crate) tags: Box<[Arc<Cell>]>,
}

impl<V> Held<V> {
    pub(crate) fn new(value: Option<V>, tags: Box<[Arc<Cell>]>, began: u64, times: Times, cost_us: u32) -> Self {
        let mut held = Held { value, checked: began, tags, fresh_until_ms: 0, ttl_and_overdue: 0, cost_us };
        held.set_times(times);
        held
    }

    /// The value, if nothing at all speaks against serving it: the usual case, in four comparisons.
    #[inline]
    pub(crate) fn plainly_fresh(&self, epoch: u64, now_ms: u64) -> Option<&V> {
        let value = self.value.as_ref()?;
        let plain = self.checked == epoch && now_ms < self.fresh_until_ms && self.ttl_and_overdue <= TTL;
        plain.then_some(value)
    }

    /// Whether no tag was invalidated and nothing purged since the entry was good. `purged_at` is its cache's.
    #[inline]
    pub(crate) fn stands(&mut self, epoch: u64, tags: &Tags, purged_at: &AtomicU64) -> bool {
        if self.checked == epoch {
            return true;
        }
        if !mutant::on(Mutant::RestampedUncompared) && self.fallen(tags, purged_at) {
            return false;
        }
        self.checked = epoch;
        true
    }

    /// The comparison itself.
    pub(crate) fn fallen(&self, tags: &Tags, purged_at: &AtomicU64) -> bool {
        tags.purged_since(self.checked)
            || purged_at.load(Ordering::Acquire) > self.checked
            || self.tags.iter().any(|cell| cell.changed_since(self.checked))
    }

    #[inline]
    pub(crate) fn times(&self, expiry_ms: u64) -> Times {
        Times {
            fresh_until_ms: self.fresh_until_ms,
            expiry_ms,
            ttl_ms: u64::from(self.ttl_and_overdue & TTL),
            overdue: self.ttl_and_overdue & !TTL != 0,
        }
    }

    pub(crate) fn set_times(&mut self, times: Times) {
        self.fresh_until_ms = times.fresh_until_ms;
        let ttl = u32::try_from(times.ttl_ms).unwrap_or(TTL).min(TTL);
        self.ttl_and_overdue = if times.overdue { ttl | !TTL } else { ttl };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_costs_what_its_page_says() {
        assert_eq!(size_of::<Held<u64>>(), 8 + 48);
    }
}
