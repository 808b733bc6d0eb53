//! What is shared among processes: bytes in a server, and how they are asked for.
//!
//! Caches do not use it yet: so far it is a connection that many callers share.

mod face;
mod fault;

#[allow(dead_code, reason = "caches do not use it yet")]
pub(crate) mod codec;
#[allow(dead_code, reason = "caches do not use it yet")]
pub(crate) mod damage;
#[allow(dead_code, reason = "caches do not use it yet")]
pub(crate) mod envelope;
#[allow(dead_code, unused_imports, reason = "caches do not use it yet")]
pub(crate) mod key;
#[allow(dead_code, reason = "caches do not use it yet")]
pub(crate) mod packing;

#[cfg(feature = "testing")]
pub(crate) mod fuzzed;

#[cfg(feature = "redis")]
mod address;
#[cfg(feature = "redis")]
mod connection;
#[cfg(feature = "redis")]
pub mod redis;

pub use codec::Codec;
pub use face::{Answer, Key, Lease, Server, Store, Stored, Tag, Tell, Token, Version};
pub use fault::Fault;

#[cfg(feature = "redis")]
pub use address::{Address, Kind};
