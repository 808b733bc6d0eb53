//! The one place of this crate that reads the time.

use std::time::{Duration, Instant};

/// Now, by the monotonic clock.
#[allow(clippy::disallowed_methods, reason = "this is the clock file of this crate")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How long ago `then` was.
pub(crate) fn since(then: Instant) -> Duration {
    now().saturating_duration_since(then)
}
