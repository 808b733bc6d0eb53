//! The store at an address, whatever its kind.

use std::sync::Arc;

#[cfg(not(feature = "memcached"))]
use super::absent as memcached;
#[cfg(not(feature = "redis"))]
use super::absent as redis;
use super::address::{Address, Kind};
use super::face::Store;
#[cfg(feature = "memcached")]
use super::memcached::opened as memcached;
#[cfg(feature = "redis")]
use super::redis::opened as redis;
use crate::error::Error;

/// Opens nothing yet: that is done by the first question.
///
/// # Errors
/// [`Kind::Invalid`](crate::Kind::Invalid): a feature that is off, or what the address asks for.
pub(crate) fn open(address: &Address) -> Result<Arc<dyn Store>, Error> {
    match address.kind() {
        Kind::Redis => redis::open(address),
        Kind::Memcached => memcached::open(address),
    }
}
