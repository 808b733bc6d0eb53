//! When keys were last changed by others, as their store told.
//!
//! A store tells of a change by the key's name, and memory knows keys and no names. So each name has a *place*, by its hash, and
//! each place the epoch at which a key of it was last changed; an entry notes its place, and is compared as with a tag. Keys
//! that share a place end together: with as many places as there is room for entries, each change elsewhere costs about one
//! entry beside its own, which is found in the store again.

use twox_hash::XxHash3_64;

use crate::sync::atomic::{AtomicU64, Ordering};

/// A key without a name in a store, of which nothing is told.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Fewer places would end too much together; more are 32 MB.
const FEWEST: usize = 1 << 10;
const MOST: usize = 1 << 22;

/// The places of one cache: 8 bytes for each entry that there is room for.
pub(super) struct Marks(Box<[AtomicU64]>);

impl Marks {
    /// For so many entries.
    pub(super) fn new(entries: usize) -> Self {
        let places = entries.clamp(FEWEST, MOST).next_power_of_two();
        Marks((0..places).map(|_| AtomicU64::new(0)).collect())
    }

    /// The place of a name.
    pub(super) fn place(&self, name: &str) -> u32 {
        XxHash3_64::oneshot(name.as_bytes()) as u32 & (self.0.len() - 1) as u32
    }

    /// The epoch of the last change there.
    pub(super) fn changed_at(&self, place: u32) -> Option<&AtomicU64> {
        self.0.get(place as usize)
    }

    /// Whether a key of this place was changed after this epoch.
    pub(super) fn changed_since(&self, place: u32, epoch: u64) -> bool {
        self.changed_at(place).is_some_and(|changed_at| changed_at.load(Ordering::Acquire) > epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_at_its_own_place_alone_and_nowhere_is_none() {
        let marks = Marks::new(1);
        let place = marks.place("{shop:lamp:1:7}");
        marks.changed_at(place).unwrap().store(5, Ordering::Release);
        assert!(marks.changed_since(place, 4) && !marks.changed_since(place, 5));
        let other = (0..u32::MAX).find(|other| *other != place).unwrap();
        assert!(!marks.changed_since(other, 4) && !marks.changed_since(NOWHERE, 0));
    }
}
