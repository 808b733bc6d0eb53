//! The store as one of any kind.

use std::sync::Arc;

use super::store::Memcached;
use crate::error::Error;
use crate::store::address::Address;
use crate::store::face::Store;

/// The store at this address.
pub(in crate::store) fn open(address: &Address) -> Result<Arc<dyn Store>, Error> {
    Memcached::open(address).map(|store| -> Arc<dyn Store> { Arc::new(store) })
}
