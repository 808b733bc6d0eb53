//! What is shared among processes: bytes in a server, and how they are asked for.
//!
//! Caches do not use it yet: so far it is a connection that many callers share.

mod face;
mod fault;

mod codec;
mod damage;
mod envelope;
mod key;
mod packing;

mod breaker;
mod budget;
mod link;
mod pending;
mod versions;

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

pub use codec::Codec;
pub(crate) use codec::{Unfit, decode, encode};
pub(crate) use envelope::{Head, open, seal};
pub(crate) use key::{Names, NotAKey, check_namespace, purge_tag, purge_tag_of, tag, write as write_key};
pub use packing::Packing;

pub(crate) use budget::Budget;
pub use link::Health;
pub(crate) use link::{Link, Patience};
#[cfg(any(feature = "redis", feature = "testing"))]
pub(crate) use pattern::Pattern;

#[cfg(feature = "redis")]
pub use address::{Address, Kind};
