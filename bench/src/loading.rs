//! Caches that load what is missing: one async face, dispatched statically.

mod cached;
mod foyer;
mod moka;
mod quick_cache;

pub(crate) use cached::Cached;
pub(crate) use foyer::Foyer;
pub(crate) use moka::Moka;
pub(crate) use quick_cache::QuickCache;

use std::fmt;
use std::pin::Pin;

/// What a loader answers when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source said no")
    }
}

impl std::error::Error for Failure {}

/// A load under way.
pub(crate) type Load = Pin<Box<dyn Future<Output = Result<u64, Failure>> + Send>>;

/// A cache with a loader, `u64` to `u64`.
pub(crate) trait Loading: Send + Sync + 'static {
    /// Whether waiters of a failed load run it again, one after the other.
    const FAILS_IN_SERIES: bool = false;

    /// Room for so many entries.
    fn new(capacity: usize) -> Self;

    /// What a caller gets when there is no value.
    type Error: Send;

    /// The value, loaded if it is not there. Where the contender's own future fits it is returned
    /// as it is: a wrapper around it would cost as much as some hits do.
    fn get_or_load<'a, F>(
        &'a self,
        key: &'a u64,
        load: impl FnOnce() -> F + Send + 'a,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send + 'a
    where
        F: Future<Output = Result<u64, Failure>> + Send + 'static;

    /// Puts a key there as its own value, with so many tags where the cache knows tags.
    fn fill(&self, key: u64, tags: usize) -> impl Future<Output = ()> + Send {
        debug_assert_eq!(tags, 0, "only ours has tags");
        async move {
            // What did not get in shows as a miss in the pass that is timed.
            let _ = self.get_or_load(&key, move || async move { Ok(key) }).await;
        }
    }
}
