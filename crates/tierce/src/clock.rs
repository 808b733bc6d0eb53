//! Time, read here and nowhere else.
//!
//! Ages and expiries use the kernel's coarse monotonic clock: 4–7 ns a read against about 30 for the precise one
//! (`bench memory --only hit_u64_zipf_ttl`), at the resolution of a kernel tick (1–10 ms). Loads are timed with the
//! precise one. Neither steps with NTP or a changed wall clock. What processes share says when it was made by the wall
//! clock, since they have no other in common.
#![allow(clippy::disallowed_methods, reason = "this is the one file that reads time")]

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

/// Where a cache gets its time from: the system, or a test.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The system's monotonic clock.
    pub fn system() -> Self {
        Clock(Source::System)
    }

    /// Milliseconds since an arbitrary start, never going back; a kernel tick of resolution.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::System => coarse_ms(),
            Source::Manual(us) => us.load(Relaxed) / 1000,
        }
    }

    /// Time since an arbitrary start, as exactly as the system tells it.
    pub fn precise(&self) -> Duration {
        match &self.0 {
            Source::System => Instant::now().duration_since(start()),
            Source::Manual(us) => Duration::from_micros(us.load(Relaxed)),
        }
    }

    /// Milliseconds since 1970 by the wall clock, which may step. A manual clock's year 2020 begins at its nothing.
    #[allow(dead_code, reason = "a memory alone shares nothing")]
    pub(crate) fn unix_ms(&self) -> u64 {
        let since = match &self.0 {
            Source::System => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            Source::Manual(us) => YEAR_2020 + Duration::from_micros(us.load(Relaxed)),
        };
        let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        match &self.0 {
            Source::System => ms.saturating_add_signed(OFF_MS.load(Relaxed)),
            Source::Manual(_) => ms,
        }
    }
}

/// How far this process takes the wall clock to be off, so that a test need not set that of the whole machine.
static OFF_MS: AtomicI64 = AtomicI64::new(0);

/// From now on the wall clock is so many milliseconds off for the whole process, as if somebody had set it: what is shared
/// through a store says when it was made by it. The monotonic clock, by which ages and bounds are counted, goes on.
#[allow(dead_code, unreachable_pub, reason = "for tests: the feature `testing` and Python's glue show it")]
pub fn step_wall_clock(off_ms: i64) {
    OFF_MS.store(off_ms, Relaxed);
}

#[allow(dead_code, reason = "a memory alone shares nothing")]
const YEAR_2020: Duration = Duration::from_secs(1_577_836_800);

/// A clock that moves only when told, for tests.
///
/// ```
/// # use std::time::Duration;
/// let clock = tierce::ManualClock::new();
/// let memory = tierce::Memory::builder().capacity(10).clock(clock.clock()).build();
/// memory.insert_for("a", 1, Duration::from_secs(1));
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(memory.get(&"a"), None);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock standing at one second, so that "before the start" is a time too.
    pub fn new() -> Self {
        ManualClock(Arc::new(AtomicU64::new(1_000_000)))
    }

    /// The clock to give to a builder.
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(Arc::clone(&self.0)))
    }

    /// Moves time forward.
    pub fn advance(&self, by: Duration) {
        let us = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        // Saturating, since a clock never goes back: the closure always gives a time, so the update cannot fail.
        let _ = self.0.fetch_update(Relaxed, Relaxed, |now| Some(now.saturating_add(us)));
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

#[cfg(target_os = "linux")]
#[inline]
fn coarse_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    now.tv_sec.cast_unsigned() * 1000 + now.tv_nsec.cast_unsigned() / 1_000_000
}

#[cfg(not(target_os = "linux"))]
fn coarse_ms() -> u64 {
    // One second ahead, as `ManualClock`: no time is zero.
    u64::try_from(Instant::now().duration_since(start()).as_millis()).unwrap_or(u64::MAX) + 1000
}

/// The expiry of what has none, in milliseconds: the largest that fits the 48 bits an entry has for it; 8,900 years.
pub(crate) const NEVER: u64 = u64::MAX >> 16;

/// Whole milliseconds, at least one for anything above nothing.
pub(crate) fn to_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
