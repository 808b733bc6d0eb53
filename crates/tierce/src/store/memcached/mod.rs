//! Memcached, from 1.6 on, by its meta commands.

mod item;
mod lease;
mod meta;
mod rendezvous;
mod server;
mod store;

use std::sync::Arc;

pub use store::Memcached;

use super::address::Address;
use super::face::Store;
use crate::error::Error;

/// The store at this address.
pub(super) fn open(address: &Address) -> Result<Arc<dyn Store>, Error> {
    Memcached::open(address).map(|store| -> Arc<dyn Store> { Arc::new(store) })
}
