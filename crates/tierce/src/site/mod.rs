//! A function with a cache of its own: what the code that a macro writes calls.
//!
//! The macro writes one static [`Site`] for each function, and calls [`here`] with the function's borrowed arguments as the
//! key, then [`past`] or [`past_blocking`]. A hit is the static's cache asked by that borrowed key: no allocation, no clone of the
//! hub. Everything else is written here once rather than into every function, and what a load needs is boxed before the
//! engine sees it, so that a cached function adds little to compile.

mod call;
mod key;
mod owned;
mod shape;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use call::{Ask, Calling, Loader, Miss, Tagger, aside, here, past, past_blocking};
pub use key::{Args, Escaped};
pub use owned::{keep, own};
pub use shape::{ByClone, ByFrom, ByLoadError, ByNobody, Content, Failing, Maybe, Never, NotAResult, Probe, Sure};

use crate::cache::{self, Cache};
use crate::current;
use crate::hub::Hub;
use crate::key::{Key, Value};
use crate::shared::Owner;

/// The place of one function: how its cache is built, and the one of the process's hub.
pub struct Site<K: Key, V: Value> {
    cache: OnceLock<Cache<K, V>>,
    name: &'static str,
    hub: Option<fn() -> Hub>,
    build: fn(&Hub, &str) -> cache::Builder<K, V>,
}

impl<K: Key, V: Value> Site<K, V> {
    /// `hub` is for functions that name one; the others use the current one.
    pub const fn new(
        name: &'static str,
        hub: Option<fn() -> Hub>,
        build: fn(&Hub, &str) -> cache::Builder<K, V>,
    ) -> Self {
        Site { cache: OnceLock::new(), name, hub, build }
    }

    /// The function's cache in the hub that is current here.
    pub fn cache(&'static self) -> Cache<K, V> {
        if let Some(cache) = self.settled() {
            return cache.clone();
        }
        match self.hub {
            Some(hub) => self.cache.get_or_init(|| self.build(&hub())).clone(),
            None => match current::scoped() {
                Some(hub) => self.within(&hub),
                None => self.cache.get_or_init(|| self.build(&current::hub())).clone(),
            },
        }
    }

    /// The same, where no scope can say another hub and it was built before.
    #[inline(always)]
    fn settled(&'static self) -> Option<&'static Cache<K, V>> {
        if current::has_scopes() && self.hub.is_none() {
            return None;
        }
        self.cache.get()
    }

    fn within(&'static self, hub: &Hub) -> Cache<K, V> {
        if let Some(cache) = hub.sites().get::<Cache<K, V>>(self.address()) {
            return cache;
        }
        let cache = self.build(hub);
        hub.sites().keep(self.address(), cache.clone());
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
pub fn deadline<K: Key, V: Value>(builder: cache::Builder<K, V>, tells: bool) -> cache::Builder<K, V> {
    if tells { builder } else { builder.load_deadline(Duration::MAX) }
}

/// What a load brings of tags that only its value shows.
pub type Tags = Vec<Arc<str>>;

/// A cache's name of a path: dots for colons, and the end of what is too long, behind a hash of it all.
fn cache_name(path: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
    let name: String = path.replace("::", ".").chars().map(plain).collect();
    let Some(cut) = (name.len() + 17).checked_sub(cache::LONGEST_NAME).filter(|_| name.len() > cache::LONGEST_NAME)
    else {
        return name;
    };
    // FNV-1a: the same in every build of one program, which a hasher of std's does not promise.
    let hash = path
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}.{}", &name[cut..])
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(super::cache_name(path), expected);
    }

    #[test]
    fn a_path_becomes_a_name_that_fits() {
        check("shop::prices::of", "shop.prices.of");
        check("shop::größe", "shop.gr--e");
        let long = format!("{}::tail", "module".repeat(20));
        let name = super::cache_name(&long);
        assert_eq!(name.len(), 64);
        assert!(name.ends_with("module.tail"), "{name}");
        assert_ne!(name, super::cache_name(&format!("x{long}")));
    }
}
