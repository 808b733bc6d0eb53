//! What time it is, for the ages of values: tierce's own clock, unless a test holds it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pyo3_ffi as ffi;
use tierce::__python::step_wall_clock;
use tierce::Clock;

use crate::owned::{PyObject, Raised, answer, integer, none};

/// The time that a test has set, in milliseconds; 0 for the system's.
static HELD_MS: AtomicU64 = AtomicU64::new(0);

#[inline]
pub(crate) fn now_ms() -> u64 {
    match HELD_MS.load(Relaxed) {
        0 => Clock::system().now_ms(),
        held => held,
    }
}

/// `_now_ms()`.
pub(crate) unsafe extern "C" fn now(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(integer(now_ms()))
}

/// `hold_time(ms)`, for tests: stands still at that time; 0 lets it run.
pub(crate) unsafe extern "C" fn hold(_: *mut PyObject, ms: *mut PyObject) -> *mut PyObject {
    let held = ffi::PyLong_AsUnsignedLongLong(ms);
    if held == u64::MAX && !ffi::PyErr_Occurred().is_null() {
        return answer(Err(Raised));
    }
    HELD_MS.store(held, Relaxed);
    none().into_ptr()
}

/// `step_wall_clock(ms)`, for tests: this process takes the wall clock to be so far off.
pub(crate) unsafe extern "C" fn step(_: *mut PyObject, ms: *mut PyObject) -> *mut PyObject {
    let off_ms = ffi::PyLong_AsLongLong(ms);
    if off_ms == -1 && !ffi::PyErr_Occurred().is_null() {
        return answer(Err(Raised));
    }
    step_wall_clock(off_ms);
    none().into_ptr()
}

/// The system's time, which no test holds: for what a loop itself is asked for.
pub(crate) fn system_ms() -> u64 {
    Clock::system().now_ms()
}
