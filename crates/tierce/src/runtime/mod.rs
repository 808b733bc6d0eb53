//! What runs loads and tells time to waiters: the core names no runtime.
//!
//! A lookup uses the runtime its caller runs on: the one entered with [`enter`], else tokio's. A load is spawned there
//! and dies with it; whoever waited then starts it again on a runtime of his own.

mod face;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(not(feature = "tokio"))]
#[path = "none.rs"]
mod tokio;

use std::cell::RefCell;
use std::sync::Arc;

pub use face::{BoxFuture, Runtime};

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
