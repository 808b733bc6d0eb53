//! The servers of a hub's store: what they say of themselves.

use crate::error::{Error, Kind};
use crate::hub::Hub;
use crate::store::{Fault, Server};

impl Hub {
    /// What each server of the store says of itself: hits, memory, evictions, clients. Of the whole server, whoever uses it; a
    /// server of several that does not answer says why ([`Server::fault`]).
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), tierce::Error> {
    /// let hub = tierce::Hub::connect("redis://127.0.0.1").await?;
    /// for server in hub.servers().await? {
    ///     println!("{}: {:?} of its reads found something", server.address, server.hit_rate());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Kind::Invalid`]: the hub has no store. [`Kind::Store`]: none of its servers answered.
    pub async fn servers(&self) -> Result<Vec<Server>, Error> {
        let link = self.link().ok_or_else(|| no_store("servers"))?;
        let refused = |fault: Fault| Error::new(Kind::Store, "servers", fault.to_string());
        link.tell(|store, within| store.servers(within)).await.map_err(refused)
    }
}

/// What is said of a hub that shares nothing.
pub(crate) fn no_store(operation: &'static str) -> Error {
    Error::new(Kind::Invalid, operation, "the hub has no store; Hub::connect makes one that has")
}
