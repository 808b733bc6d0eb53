//! Memcached, from 1.6 on, by its meta commands.

mod fleet;
#[cfg(feature = "testing")]
pub(super) mod fuzzed;
mod item;
mod lease;
mod meta;
pub(super) mod opened;
mod rendezvous;
mod server;
mod store;

pub use store::Memcached;
