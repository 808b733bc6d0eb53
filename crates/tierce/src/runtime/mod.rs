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
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

pub use face::{BoxFuture, Runtime};

use crate::error::panic_message;
use crate::sync::thread_local;

thread_local! {
    static ENTERED: RefCell<Vec<Arc<dyn Runtime>>> = const { RefCell::new(Vec::new()) };
}

/// Makes a runtime the current one of this thread until the guard is dropped.
///
/// An event loop that is not tokio calls this around each poll of its tasks.
pub fn enter(runtime: Arc<dyn Runtime>) -> Guard {
    ENTERED.with(|entered| entered.borrow_mut().push(runtime));
    Guard(PhantomData)
}

/// Ends what [`enter`] began.
#[must_use = "the runtime is left when this is dropped"]
pub struct Guard(PhantomData<*const ()>); // Not Send: it leaves what its own thread entered.

impl Drop for Guard {
    fn drop(&mut self) {
        let left = ENTERED.with(|entered| entered.borrow_mut().pop());
        // Dropped here, when the list is free again: a runtime's own drop may enter another.
        drop(left);
    }
}

/// A sleep on a runtime, or why it has none: without a timer a load must end in an error that says so.
pub(crate) fn sleep(runtime: &dyn Runtime, time: Duration) -> Result<BoxFuture, Arc<str>> {
    catch_unwind(AssertUnwindSafe(|| runtime.sleep(time))).map_err(|payload| panic_message(&*payload))
}

/// The current runtime of this thread.
///
/// # Panics
/// When there is none: a lookup that may load must be polled by a runtime.
pub(crate) fn current() -> Arc<dyn Runtime> {
    let entered = ENTERED.with(|entered| entered.borrow().last().cloned());
    entered.or_else(tokio::current).expect(
        "no runtime here: call lookups that may load from a tokio task (feature `tokio`), or enter a runtime first \
         with tierce::runtime::enter",
    )
}
