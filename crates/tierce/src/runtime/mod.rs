//! What runs loads and tells time to waiters: the core names no runtime.
//!
//! A lookup uses the runtime its caller runs on: the one entered with [`enter`], else tokio's. A load is spawned there
//! and dies with it; whoever waited then starts it again on a runtime of his own. A thread that waits is a runtime too
//! (`blocking.rs`).

pub(crate) mod blocking;
mod entered;
mod face;
#[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "of tokio's there are none"))]
mod id;
mod lasting;
#[cfg(feature = "tokio")]
mod own;
#[cfg(not(feature = "tokio"))]
#[path = "no_own.rs"]
mod own;
mod pool;
#[cfg(all(feature = "tokio", any(feature = "redis", feature = "memcached")))]
mod stream;
#[cfg(all(feature = "tokio", not(any(feature = "redis", feature = "memcached"))))]
#[path = "no_stream.rs"]
mod stream;
mod tls;
#[cfg(all(feature = "tls", any(feature = "redis", feature = "memcached")))]
mod tls_stream;
#[cfg(all(feature = "tokio", not(feature = "tls"), any(feature = "redis", feature = "memcached")))]
#[path = "no_tls.rs"]
mod tls_stream;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(not(feature = "tokio"))]
#[path = "none.rs"]
mod tokio;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

pub use entered::{Guard, enter};
pub use face::{BoxFuture, Runtime};
pub use id::Id;
pub(crate) use lasting::lasting;
#[cfg(any(feature = "redis", feature = "memcached"))]
pub(crate) use lasting::lasting_id;
pub use tls::Tls;
pub use wire::{Dialing, Endpoint, Wire};

use crate::error::panic_message;

/// This process is the child of a fork: of the crate's threads none is here.
pub(crate) fn forked() {
    own::forked();
    pool::forked();
}

/// A sleep on a runtime, or why it has none: without a timer a load must end in an error that says so.
pub(crate) fn sleep(runtime: &dyn Runtime, time: Duration) -> Result<BoxFuture, Arc<str>> {
    catch_unwind(AssertUnwindSafe(|| runtime.sleep(time))).map_err(|payload| panic_message(&*payload))
}

/// The current runtime of this thread, if there is one.
pub(crate) fn here() -> Option<Arc<dyn Runtime>> {
    entered::last().or_else(tokio::current)
}

/// The runtime for a question to the store behind which nothing is loaded: it may be asked from anywhere.
///
/// # Panics
/// When there is none at all.
pub(crate) fn for_store() -> Arc<dyn Runtime> {
    here().or_else(lasting).unwrap_or_else(current)
}

/// The current runtime of this thread.
///
/// # Panics
/// When there is none: a lookup that may load must be polled by a runtime.
pub(crate) fn current() -> Arc<dyn Runtime> {
    here().expect(
        "no runtime here: call lookups that may load from a tokio task (feature `tokio`), from tierce::block_on, or \
         enter a runtime first with tierce::runtime::enter",
    )
}
