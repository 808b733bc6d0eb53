//! Caching for web services: values in the process, invalidation that holds, one load per key.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "cache")]
mod hub;

#[cfg(feature = "cache")]
mod cache;

mod memory;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "cache")]
pub mod runtime;

#[cfg(feature = "cache")]
mod shared;

#[cfg(feature = "cache")]
mod tag;

#[cfg(feature = "cache")]
mod expiry;

mod clock;
#[cfg(feature = "cache")]
mod error;
mod key;
#[cfg(all(feature = "cache", not(tierce_mutants)))]
mod mutant;
#[cfg(tierce_mutants)]
pub mod mutant;
#[cfg(feature = "cache")]
mod random;
mod reentry;
mod stats;
mod sync;

#[cfg(feature = "cache")]
pub use cache::{Builder as CacheBuilder, Cache, Entry, Explanation, Freshness, Load, Loaded, Lookup, Reason, Stale};
pub use clock::{Clock, ManualClock};
#[cfg(feature = "cache")]
pub use error::{Error, Kind, LoadError, Result};
#[cfg(feature = "cache")]
pub use expiry::Early;
#[cfg(feature = "cache")]
pub use hub::{Builder as HubBuilder, Hub};
pub use key::KeyRef;
#[cfg(feature = "cache")]
pub use key::{Key, ToKey, Value};
pub use memory::{Builder as MemoryBuilder, Cause, Iter as MemoryIter, Memory, Policy, Stats as MemoryStats};
pub use stats::Removals;
#[cfg(feature = "cache")]
pub use stats::{Histogram, Stats};
