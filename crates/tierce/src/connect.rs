//! Hubs that share a store, by its URL.

use std::sync::Arc;

use crate::error::{Error, Kind};
use crate::hub::{Builder, Hub};
use crate::runtime::{self, Tls};
use crate::store::{self, Address};

impl Hub {
    /// A hub whose caches share their values through the store at this URL.
    ///
    /// | URL | |
    /// |---|---|
    /// | `redis://[user:password@]host[:6379][/database]` | Redis or Valkey; `valkey://` is the same |
    /// | `rediss://…` | the same, encrypted (feature `tls`): [`Tls`](crate::runtime::Tls) |
    /// | `redis+unix:///path/to/socket` | the same by a Unix socket |
    /// | `memcached://host[:11211],host2,…` | one Memcached server or more |
    /// | `memcacheds://…` | the same, encrypted (feature `tls`) |
    ///
    /// A store that does not answer is no error: the hub works without it, tries again behind its callers, and says so in
    /// [`store_health`](Hub::store_health). [`Builder::require_store`](crate::HubBuilder::require_store) makes it one.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), tierce::Error> {
    /// let hub = tierce::Hub::connect("redis://127.0.0.1:6379").await?;
    /// let lamps = hub.cache::<u64, String>("lamp").build();
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Kind::Invalid`]: the URL, a feature of it that is not on, or a file that it names.
    pub async fn connect(url: &str) -> Result<Hub, Error> {
        Hub::builder().connect(url).await
    }
}

impl Builder {
    /// The hub, with the store at this URL; waits for a second at most until the store has answered. See [`Hub::connect`].
    ///
    /// # Errors
    /// [`Kind::Invalid`]: the URL, a feature that is not on, or what was said of the hub. [`Kind::Store`]: the store did
    /// not answer, if it is required.
    pub async fn connect(self, url: &str) -> Result<Hub, Error> {
        let address = self.address(url)?;
        let nowhere = || Error::new(Kind::Invalid, "connect", "no runtime here, nor the feature `tokio`".to_string());
        let runtime = runtime::lasting().ok_or_else(nowhere)?;
        for endpoint in address.endpoints() {
            let wrong = |error| Error::new(Kind::Invalid, "connect", format!("{address}: {error}"));
            runtime.check(endpoint).map_err(wrong)?;
        }
        let required = self.store_required;
        let hub = self.open_at(&address)?;
        let Some(link) = hub.link() else { return Ok(hub) };
        match Arc::clone(link).arrive().await {
            Err(fault) if required => {
                Err(Error::new(Kind::Store, "connect", format!("{address} did not answer: {fault}")))
            }
            _ => Ok(hub),
        }
    }

    fn address(&self, url: &str) -> Result<Address, Error> {
        let address = Address::parse(url)?;
        self.tls.as_ref().map_or(Ok(address.clone()), |tls| address.with_tls(tls))
    }

    fn open_at(mut self, address: &Address) -> Result<Hub, Error> {
        self.store = Some(store::open_store(address)?);
        self.try_build()
    }

    /// By what the certificate of a store with TLS is verified, and what this program shows of itself; it goes before what the
    /// URL says of that.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Makes it an error of [`connect`](Builder::connect) when the store does not answer at once.
    pub fn require_store(mut self) -> Self {
        self.store_required = true;
        self
    }
}

/// The hub, with the store at this URL, as [`connect`](Builder::connect) gives it; nothing is asked yet, and nobody waits.
///
/// # Errors
/// [`Kind::Invalid`]: the URL, a feature that is not on, or what was said of the hub.
pub fn open(builder: Builder, url: &str) -> Result<Hub, Error> {
    let address = builder.address(url)?;
    builder.open_at(&address)
}
