//! The truth behind a cache: a number that only grows, and what readers may no longer be given.

use std::convert::Infallible;

use shuttle::future::yield_now;
use shuttle::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A source of one value.
#[derive(Default)]
pub(crate) struct Source {
    now: AtomicU64,
    /// The newest value that was announced, by an invalidation or the like that has returned.
    announced: AtomicU64,
    running: AtomicU64,
    loads: AtomicU64,
}

impl Source {
    /// A write; gives the value.
    pub(crate) fn write(&self) -> u64 {
        self.now.fetch_add(1, SeqCst) + 1
    }

    /// Says that the cache has been told of this value, and has answered.
    pub(crate) fn announce(&self, value: u64) {
        self.announced.fetch_max(value, SeqCst);
    }

    /// What a lookup that begins now must not fall below.
    pub(crate) fn floor(&self) -> u64 {
        self.announced.load(SeqCst)
    }

    /// The loader: slow enough that others come between its reading and its end.
    pub(crate) async fn load(&self, at_once: u64) -> Result<u64, Infallible> {
        self.loads.fetch_add(1, SeqCst);
        let running = self.running.fetch_add(1, SeqCst) + 1;
        assert!(running <= at_once, "{running} loads at once, {at_once} at most");
        let value = self.now.load(SeqCst);
        yield_now().await;
        self.running.fetch_sub(1, SeqCst);
        Ok(value)
    }

    /// How many loads there were.
    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }
}
