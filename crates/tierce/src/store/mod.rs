//! What is shared among processes: bytes in a server, and how they are asked for.

mod face;
mod fault;
#[cfg(any(feature = "redis", feature = "memcached", feature = "testing"))]
mod nonce;
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "only Redis has globs"))]
mod pattern;

mod codec;
mod damage;
mod envelope;
mod key;
mod packing;

mod breaker;
mod budget;
mod coherence;
mod health;
mod keeper;
mod keeping;
mod link;
mod pending;
mod telling;
mod versions;

#[cfg(feature = "testing")]
pub(crate) mod fuzzed;
#[cfg(all(feature = "testing", feature = "redis", feature = "memcached"))]
pub(crate) mod fuzzed_answers;

mod statistics;
mod together;

#[cfg(feature = "testing")]
mod check;

#[cfg(not(all(feature = "redis", feature = "memcached")))]
mod absent;
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "only Redis has users and databases"))]
mod address;
#[cfg(any(feature = "redis", feature = "memcached"))]
#[cfg_attr(
    not(all(feature = "redis", feature = "memcached")),
    allow(dead_code, unused_imports, reason = "each server uses it in a way of its own")
)]
mod connection;
#[cfg(feature = "memcached")]
pub mod memcached;
mod open;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "as of an address"))]
mod url;

#[cfg(feature = "testing")]
pub use check::check_store;
pub use face::{Answer, Key, Lease, Listener, Server, Store, Stored, Tag, Tell, Token, Version};
pub use fault::Fault;
pub(crate) use open::open as open_store;
pub(crate) use pattern::Pattern;

pub use codec::Codec;
pub(crate) use codec::{Unfit, decode, encode};
pub(crate) use envelope::{Head, head_bytes, open, seal};
pub use key::{Any, Like};
pub(crate) use key::{
    Name, Names, NotAKey, TagName, check_namespace, purge_tag, purge_tag_of, tag, write as write_key,
};
pub use packing::Compression;
pub(crate) use together::{both, together};

pub(crate) use budget::Budget;
pub(crate) use coherence::Coherence;
pub use coherence::OnDisconnect;
pub use health::Health;
pub(crate) use link::{Link, Patience};

pub use address::{Address, Kind};
