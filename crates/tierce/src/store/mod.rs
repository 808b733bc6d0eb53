//! What is shared among processes: bytes in a server, and how they are asked for.
//!
//! Caches do not use it yet: so far it is a connection that many callers share.

mod face;
mod fault;
#[cfg(any(feature = "redis", feature = "testing"))]
mod nonce;
#[cfg(any(feature = "redis", feature = "testing"))]
mod pattern;

#[cfg(feature = "testing")]
mod check;

#[cfg(feature = "redis")]
mod address;
#[cfg(feature = "redis")]
mod connection;
#[cfg(feature = "redis")]
pub mod redis;

#[cfg(feature = "testing")]
pub use check::check_store;
pub use face::{Answer, Key, Lease, Server, Store, Stored, Tag, Tell, Token, Version};
pub use fault::Fault;
#[cfg(any(feature = "redis", feature = "testing"))]
pub(crate) use pattern::Pattern;

#[cfg(feature = "redis")]
pub use address::{Address, Kind};
