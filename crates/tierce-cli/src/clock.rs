//! The one place of this crate that reads the time.

use std::sync::OnceLock;
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

/// A time of this process by the clock that all processes share.
pub(crate) fn as_common_ns(then: Instant) -> u64 {
    static START: OnceLock<(Instant, u64)> = OnceLock::new();
    let (start, start_ns) = START.get_or_init(both);
    match then.checked_duration_since(*start) {
        Some(since) => start_ns + since.as_nanos() as u64,
        None => start_ns.saturating_sub(start.duration_since(then).as_nanos() as u64),
    }
}

/// Both clocks at the same moment.
fn both() -> (Instant, u64) {
    /// Nearer than this no two processes' times are compared.
    const MOMENT: Duration = Duration::from_micros(2);
    /// A thread that is interrupted each time has other troubles.
    const TRIES: u32 = 1_000;
    let read = || {
        let (before, ns, after) = (now(), common_ns(), now());
        (after - before, (before, ns))
    };
    let mut best = read();
    for _ in 0..TRIES {
        if best.0 <= MOMENT {
            break;
        }
        best = [best, read()].into_iter().min_by_key(|(took, _)| *took).unwrap_or(best);
    }
    best.1
}

/// Waits until that time of the clock that all processes share.
pub(crate) async fn until_common_ns(at_ns: u64) {
    let left_ns = at_ns.saturating_sub(common_ns());
    if left_ns > 0 {
        tokio::time::sleep(Duration::from_nanos(left_ns)).await;
    }
}
