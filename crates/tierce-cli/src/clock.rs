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

/// Nanoseconds since a start that all processes of this machine share.
#[cfg(unix)]
pub(crate) fn common_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// Nanoseconds since a start that all processes of this machine share; where it is set meanwhile, they jump.
#[cfg(not(unix))]
#[allow(clippy::disallowed_methods, reason = "this is the clock file of this crate")]
pub(crate) fn common_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
