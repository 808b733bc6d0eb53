//! A function with a cache of its own: what the code that a macro writes calls.
//!
//! The macro writes one static [`Site`] for each function, and calls [`here`] with the function's borrowed arguments as the
//! key, then [`past`] or [`past_blocking`]. A hit is the static's cache asked by that borrowed key: no allocation, no clone of the
//! hub. Everything else is written here once rather than into every function, and what a load needs is boxed before the
//! engine sees it, so that a cached function adds little to compile.

mod call;
mod key;
mod lent;
mod memo;
mod named;
mod owned;
mod shape;

use std::sync::OnceLock;
use std::time::Duration;

pub use call::{Ask, Begun, Calling, Loader, Miss, Tagger, aside, here, here_in, past, past_blocking};
pub use key::{Args, Escaped};
pub use lent::{Body, past_lent};
pub use memo::{Memo, Method};
pub use named::{Tags, tags};
pub use owned::{keep, own};
pub use shape::{ByClone, ByFrom, ByLoadError, ByNobody, Content, Failing, Maybe, Never, NotAResult, Probe, Sure};

use crate::cache::{self, Cache};
use crate::current;
use crate::hub::Hub;
use crate::key::{Key, Value};
use crate::shared::Owner;
use named::cache_name;

/// The place of one function: how its cache is built, and the one of the process's hub.
pub struct Site<K, V> {
    cache: OnceLock<Cache<K, V>>,
    name: &'static str,
    hub: Option<fn() -> Hub>,
    build: fn(&Hub, &str) -> cache::Builder<K, V>,
}

/// A function whose keys and values can be kept.
pub trait Builds {
    /// Of the cache.
    type Key: Key;
    /// Of the cache.
    type Value: Value;

    /// The cache's settings, in a hub.
    fn build(hub: &Hub, name: &str) -> cache::Builder<Self::Key, Self::Value>;
}

/// `hub` is for functions that name one; the others use the current one.
pub const fn site<F: Builds>(name: &'static str, hub: Option<fn() -> Hub>) -> Site<F::Key, F::Value> {
    Site { cache: OnceLock::new(), name, hub, build: F::build }
}

impl<K: Key, V: Value> Site<K, V> {
    /// The function's cache in the hub that is current here.
    pub fn cache(&'static self) -> Cache<K, V> {
        if let Some(cache) = self.settled() {
            return cache.clone();
        }
        let hub = match self.hub {
            Some(hub) => hub(),
            None => match current::scoped() {
                Some(hub) => return self.within(&hub),
                None => current::hub(),
            },
        };
        self.cache.get_or_init(|| self.build(&hub)).clone()
    }

    /// The same, where no scope can say another hub and it was built before.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn settled(&'static self) -> Option<&'static Cache<K, V>> {
        if current::has_scopes() && self.hub.is_none() {
            return None;
        }
        self.cache.get()
    }

    fn within(&'static self, hub: &Hub) -> Cache<K, V> {
        if let Some(cache) = hub.sites().get(self.address()).and_then(Cache::of_any) {
            return cache;
        }
        let cache = self.build(hub);
        hub.sites().keep(self.address(), cache.clone().into_any());
        cache
    }

    fn build(&'static self, hub: &Hub) -> Cache<K, V> {
        (self.build)(hub, &cache_name(self.name)).owner(Owner::Function(self.address())).build()
    }

    fn address(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Lets loads take their time, where nobody can be told that they are too slow.
pub fn deadline<R, K: Key, V: Value, S: Failing<R>>(builder: cache::Builder<K, V>, _: S) -> cache::Builder<K, V> {
    if S::TELLS { builder } else { builder.load_deadline(Duration::MAX) }
}
