//! Caching for services, in and among processes: invalidation that holds, one load per key.
//!
//! A [`Hub`] is what the caches of one application share. A [`Cache`] is one named family of entries: all callers of
//! a key share one load, and what was invalidated is never served again. A [`Memory`] is the bounded map below it,
//! sync and usable alone (`default-features = false`).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = tierce::Hub::embedded();
//! let products = hub.local_cache::<u64, String>("product").build();
//! let load = || async { Ok::<_, std::io::Error>("a lamp".to_string()) };
//! assert_eq!(products.entry(&7).tags(["products"]).get_or_load(load).await?, "a lamp");
//! hub.invalidate_tag("products").await?;
//! assert_eq!(products.get(&7).await, None);
//! # Ok(()) }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

/// The pages of `docs/`, so that their examples are compiled and run.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/expiry.md")]
    mod expiry {}
    #[doc = include_str!("../../../docs/stampede.md")]
    mod stampede {}
    #[doc = include_str!("../../../docs/invalidation.md")]
    mod invalidation {}
    #[doc = include_str!("../../../docs/operate.md")]
    mod operate {}
    #[doc = include_str!("../../../docs/stores.md")]
    mod stores {}
    #[doc = include_str!("../../../docs/batches.md")]
    mod batches {}
    #[doc = include_str!("../../../docs/macros.md")]
    mod macros {}
    #[doc = include_str!("../../../docs/guide.md")]
    mod guide {}
    #[doc = include_str!("../../../docs/testing.md")]
    mod testing {}
    #[doc = include_str!("../../../docs/moving/from-moka.md")]
    mod from_moka {}
    #[doc = include_str!("../../../docs/moving/from-cached.md")]
    mod from_cached {}
    #[doc = include_str!("../../../README.md")]
    mod readme {}
}

#[cfg(feature = "cache")]
mod hub;

#[cfg(feature = "cache")]
mod current;

#[cfg(feature = "cache")]
mod site;

#[cfg(feature = "cache")]
mod cache;

#[cfg_attr(not(feature = "cache"), allow(dead_code, unused_imports, reason = "its crate-private face is the cache's"))]
mod memory;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "metrics")]
mod metrics;

#[cfg(feature = "cache")]
pub mod runtime;

#[cfg(feature = "cache")]
pub mod store;

#[cfg(feature = "redis")]
mod command;
#[cfg(feature = "cache")]
mod connect;
#[cfg(feature = "cache")]
mod servers;

#[cfg(feature = "cache")]
mod shared;

#[cfg(feature = "cache")]
mod tag;

#[cfg(feature = "cache")]
mod expiry;

mod clock;
#[cfg(feature = "cache")]
mod error;
#[cfg_attr(not(feature = "cache"), allow(dead_code, unreachable_pub, reason = "`Key` and `Value` are the cache's"))]
mod key;
#[cfg(not(tierce_mutants))]
mod mutant;
#[cfg(tierce_mutants)]
pub mod mutant;
#[cfg(feature = "cache")]
mod random;
mod reentry;
#[cfg_attr(not(feature = "cache"), allow(dead_code, unreachable_pub, reason = "a memory alone counts by itself"))]
mod stats;
mod sync;
#[cfg(feature = "cache")]
mod trace;

#[cfg(feature = "cache")]
pub use cache::{
    Batched, Builder as CacheBuilder, Cache, Entries, Entry, Explanation, Freshness, Hold, InStore, KeyPattern, Load,
    Loaded, Lookup, Partial,
};
#[cfg(feature = "cache")]
pub use cache::{Reason, Stale};
pub use clock::{Clock, ManualClock};
#[cfg(feature = "cache")]
pub use current::{hub, init};
#[cfg(feature = "cache")]
pub use error::{Error, Kind, LoadError, Result, WriteError};
#[cfg(feature = "cache")]
pub use expiry::Early;
#[cfg(feature = "cache")]
pub use hub::{Builder as HubBuilder, Hub};
pub use key::KeyRef;
#[cfg(feature = "cache")]
pub use key::{Key, ToKey, Value};
pub use memory::{Builder as MemoryBuilder, Cause, Iter as MemoryIter, Memory, Policy, Stats as MemoryStats};
#[cfg(feature = "cache")]
pub use runtime::blocking::block_on;
#[cfg(feature = "cache")]
pub use site::Memo;
pub use stats::Removals;
#[cfg(feature = "cache")]
pub use stats::{Histogram, Stats};
#[cfg(feature = "cache")]
pub use store::{Any, Like};
#[cfg(feature = "macros")]
pub use tierce_macros::{cached, memo};

/// What the code that the macros write calls. Not for anybody else: it changes without notice.
#[cfg(feature = "cache")]
#[doc(hidden)]
pub mod __macros {
    pub use serde::Serialize;
    pub use serde::de::DeserializeOwned;

    pub use crate::site::{
        Args, Ask, Begun, Body, Builds, ByClone, ByFrom, ByLoadError, ByNobody, Calling, Content, Escaped, Failing,
        Loader, Maybe, Method, Miss, Never, NotAResult, Probe, Site, Sure, Tagger, Tags, aside, deadline, here,
        here_in, keep, own, past, past_blocking, past_lent, site, tags,
    };
}

/// What the glue to Python calls. Not for anybody else: it changes without notice.
#[cfg(feature = "cache")]
#[doc(hidden)]
pub mod __python {
    pub use crate::cache::outside::{
        Inside, arrive, forked, hit, inside, key_text, learn, owned, packed, sleep, value_with,
    };
    pub use crate::clock::step_wall_clock;
    pub use crate::connect::open;
    pub use crate::site::{Tags, tags};
}

/// What the fuzz targets reach. Not for anybody else: it changes without notice.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod __fuzz {
    pub use crate::store::fuzzed::{Envelope, decode, mend, open, seal};
    #[cfg(all(feature = "redis", feature = "memcached"))]
    pub use crate::store::fuzzed_answers::{Dialect, answers};
}
