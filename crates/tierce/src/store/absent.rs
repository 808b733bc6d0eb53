//! A store whose feature is off.

use std::sync::Arc;

use super::address::{Address, Kind};
use super::face::Store;
use crate::error::{self, Error};

pub(super) fn open(address: &Address) -> Result<Arc<dyn Store>, Error> {
    let feature = match address.kind() {
        Kind::Redis => "redis",
        Kind::Memcached => "memcached",
    };
    let why =
        format!("{address} needs the feature `{feature}`: tierce = {{ features = [\"{feature}\", …] }} in Cargo.toml");
    Err(Error::new(error::Kind::Invalid, "connect", why))
}
