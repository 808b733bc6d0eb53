//! What runs loads and tells time to waiters: the core names no runtime.
//!
//! A lookup uses the runtime its caller runs on: the one entered with [`enter`], else tokio's. A load is spawned there
//! and dies with it; whoever waited then starts it again on a runtime of his own.

#[cfg(feature = "tokio")]
mod tokio;
#[cfg(not(feature = "tokio"))]
#[path = "none.rs"]
mod tokio;

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A task or a sleep.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Something that polls futures and wakes them later.
///
/// Implemented for tokio; implement it for an event loop of your own and [`enter`] it around every poll. A task may be
/// dropped at any time without having been finished (a runtime that stops does so); it must not be polled after the
/// runtime said that it is not alive.
pub trait Runtime: Send + Sync + 'static {
    /// Runs a task to its end, independently of the caller.
    fn spawn(&self, task: BoxFuture);

    /// Ends after this time at the earliest.
    fn sleep(&self, time: Duration) -> BoxFuture;

    /// Whether its tasks still make progress.
    fn alive(&self) -> bool;

    /// How often those who wait for a load on this runtime must ask whether it is alive; `None` when a runtime that
    /// stops drops its tasks at once, since a dropped load tells its waiters itself.
    fn watch(&self) -> Option<Duration> {
        Some(WATCH)
    }
}

/// A tenth of a second: nobody who waits for a dead event loop waits noticeably longer than for a slow query.
const WATCH: Duration = Duration::from_millis(100);

thread_local! {
    static ENTERED: RefCell<Vec<Arc<dyn Runtime>>> = const { RefCell::new(Vec::new()) };
}

/// Makes a runtime the current one of this thread until the guard is dropped.
///
/// An event loop that is not tokio calls this around each poll of its tasks.
pub fn enter(runtime: Arc<dyn Runtime>) -> Guard {
    ENTERED.with_borrow_mut(|entered| entered.push(runtime));
    Guard(())
}

/// Ends what [`enter`] began.
#[must_use = "the runtime is left when this is dropped"]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        let left = ENTERED.with_borrow_mut(Vec::pop);
        // Dropped here, when the list is free again: a runtime's own drop may enter another.
        drop(left);
    }
}

/// The current runtime of this thread.
///
/// # Panics
/// When there is none: a lookup that may load must be polled by a runtime.
pub(crate) fn current() -> Arc<dyn Runtime> {
    let entered = ENTERED.with_borrow(|entered| entered.last().cloned());
    entered.or_else(tokio::current).expect(
        "no runtime here: call lookups that may load from a tokio task (feature `tokio`), or enter a runtime first \
         with tierce::runtime::enter",
    )
}
