//! The field in which an instance keeps what one of its methods returned.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::OnceLock;

use super::named::cache_name;
use crate::cache::{Builder, Cache};
use crate::current;
use crate::hub::Hub;
use crate::key::{Key, KeyRef, Value};
use crate::stats::Stats;

/// What a method of one instance returned: a field for `#[tierce::memo(field = self.…)]`.
///
/// One field is for one method. `K` is the method's key: its one argument, or a tuple of them, owned; `V` is what is kept,
/// the type inside of `Result` and `Option`. The values go when the instance does. Its cache is made at the method's first
/// call, in the hub that is current there, whose tags and purges it follows from then on; the hub's statistics do not list
/// it. A clone is a field of another instance: empty.
///
/// ```
/// use tierce::Memo;
///
/// #[derive(Default)]
/// struct Shop {
///     discount: f64,
///     prices: Memo<u64, f64>,
/// }
///
/// impl Shop {
///     #[tierce::memo(field = self.prices, capacity = 100)]
///     fn price(&self, id: u64) -> f64 {
///         id as f64 * (1.0 - self.discount)
///     }
/// }
///
/// let shop = Shop { discount: 0.5, ..Shop::default() };
/// assert_eq!(shop.price(8), 4.0);
/// assert_eq!(shop.prices.peek(&8), Some(4.0));
/// shop.prices.invalidate(&8);
/// assert_eq!(shop.prices.peek(&8), None);
/// ```
pub struct Memo<K: Key, V: Value> {
    made: OnceLock<Made<K, V>>,
}

struct Made<K: Key, V: Value> {
    cache: Cache<K, V>,
    method: &'static Method,
}

/// One method that has a cache in each instance, told apart from others by its address.
pub struct Method {
    name: &'static str,
    hub: Option<fn() -> Hub>,
}

impl Method {
    /// `name` is its path; `hub` is for methods that name one.
    pub const fn new(name: &'static str, hub: Option<fn() -> Hub>) -> Self {
        Method { name, hub }
    }
}

impl<K: Key, V: Value> Memo<K, V> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Memo { made: OnceLock::new() }
    }

    /// The value if it is here and fresh; not counted.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        self.cache()?.peek(key)
    }

    /// Ends what is kept for a key: no call that begins later gets what was computed before.
    pub fn invalidate<Q>(&self, key: &Q)
    where
        Q: KeyRef<K> + ?Sized,
    {
        if let Some(cache) = self.cache() {
            cache.invalidate_here(key);
        }
    }

    /// Ends its freshness: it may still be served where stale values may, while it is computed anew.
    pub fn mark_stale<Q>(&self, key: &Q)
    where
        Q: KeyRef<K> + ?Sized,
    {
        if let Some(cache) = self.cache() {
            cache.mark_stale_here(key);
        }
    }

    /// Ends all that is kept.
    pub fn clear(&self) {
        if let Some(cache) = self.cache() {
            cache.purge_here();
        }
    }

    /// What was counted since the method's first call.
    pub fn stats(&self) -> Stats {
        self.cache().map(Cache::stats).unwrap_or_default()
    }

    /// The cache itself, for everything else; `None` before the method's first call.
    pub fn cache(&self) -> Option<&Cache<K, V>> {
        self.made.get().map(|made| &made.cache)
    }

    /// The cache, if this method made it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn of(&self, method: &'static Method) -> Option<&Cache<K, V>> {
        let made = self.made.get()?;
        std::ptr::eq(made.method, method).then_some(&made.cache)
    }

    /// The cache, made if there is none.
    ///
    /// # Panics
    /// If it is another method's.
    pub(super) fn made_by(
        &self,
        method: &'static Method,
        settings: fn(Builder<K, V>) -> Builder<K, V>,
    ) -> &Cache<K, V> {
        let made = self.made.get_or_init(|| {
            let hub = method.hub.map_or_else(current::hub, |hub| hub());
            let cache = settings(hub.local_cache(&cache_name(method.name))).build_unlisted();
            Made { cache, method }
        });
        let (one, other) = (made.method, method);
        assert!(
            std::ptr::eq(one, other),
            "this field keeps the values of `{}`: give `{}` a field of its own",
            one.name,
            other.name
        );
        &made.cache
    }
}

impl<K: Key, V: Value> Default for Memo<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Another instance's: empty.
impl<K: Key, V: Value> Clone for Memo<K, V> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

// As `Cache`.
impl<K: Key, V: Value> UnwindSafe for Memo<K, V> {}
impl<K: Key, V: Value> RefUnwindSafe for Memo<K, V> {}

impl<K: Key, V: Value> fmt::Debug for Memo<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
