//! What left a shard under its lock, to be told and dropped when the lock is free.

/// Why an entry left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// No room.
    Evicted,
    /// Its time was over.
    Expired,
    /// Another value took its place.
    Replaced,
    /// Somebody asked.
    Invalidated,
    /// Everything was asked to go.
    Purged,
}

#[must_use = "to be told and dropped without a lock"]
pub(crate) struct Removed<K, V, B> {
    pub(crate) key: K,
    pub(crate) value: V,
    /// Only to be dropped.
    pub(super) _beside: B,
    pub(crate) cause: Cause,
}

/// Most operations push out one entry or none, and then nothing is allocated.
pub(crate) struct Fallout<K, V, B> {
    first: Option<Removed<K, V, B>>,
    rest: Vec<Removed<K, V, B>>,
}

impl<K, V, B> Fallout<K, V, B> {
    #[inline]
    pub(crate) const fn new() -> Self {
        Fallout { first: None, rest: Vec::new() }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn push(&mut self, removed: Removed<K, V, B>) {
        if self.first.is_none() {
            self.first = Some(removed);
        } else {
            self.rest.push(removed);
        }
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Shows each in the order in which they left, then drops it.
    pub(crate) fn each(self, show: &mut dyn FnMut(&Removed<K, V, B>)) {
        if let Some(removed) = self.first {
            show(&removed);
        }
        for removed in self.rest {
            show(&removed);
        }
    }
}
