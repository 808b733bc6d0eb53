//! A cache: its memory, which alone knows the types of its keys and values, and all else.
//!
//! Order of locks, outermost first: a slice of the flight table, a shard of memory. The tag table and a flight's state
//! are taken with neither held, or last.

use std::ops::Deref;

use super::core::Core;
use super::vault::{Shards, Vault};
use crate::shared::Family;
use crate::stats::Stats;

/// What loads, waits and fills is written for caches of nobody knows what types, and so compiled once for all.
#[repr(C)]
pub(crate) struct Inner<M: ?Sized = dyn Vault> {
    pub(crate) core: Core,
    pub(crate) memory: M,
}

/// A cache whose types are known.
pub(crate) type Typed<K, V> = Inner<Shards<K, V>>;

impl<M: ?Sized> Deref for Inner<M> {
    type Target = Core;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deref(&self) -> &Core {
        &self.core
    }
}

impl Inner {
    /// Ends every entry and every load of this cache.
    pub(crate) fn purge(&self) {
        self.hub.tags.purge_one(&self.purged_at);
        self.memory.clear();
    }

    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    fn stats(&self) -> Stats {
        let mut stats = self.counters.read();
        self.memory.count(&mut stats);
        stats.time_saved = stats.load_time.mean().unwrap_or_default().mul_f64(stats.hits as f64);
        stats
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

impl<M: Vault> Inner<M> {
    /// The same, without its types.
    pub(crate) fn untyped(&self) -> &Inner {
        self
    }
}

impl<M: Vault> Family for Inner<M> {
    fn stats(&self) -> Stats {
        self.untyped().stats()
    }

    fn give_up_overdue(&self) {
        self.untyped().give_up_overdue();
    }

    fn give_room_back(&self) {
        self.memory.clear();
    }

    fn key_changed(&self, name: &str) {
        self.untyped().key_changed(name);
    }

    fn cache_changed(&self, tag: &str) {
        self.untyped().cache_changed(tag);
    }

    fn all_changed(&self) {
        self.untyped().all_changed();
    }
}
