//! How a load failed, as the engine hands it to all who wait.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3_ffi as ffi;

use super::attached::is_attached;
use super::event_loop::Loop;
use super::held::Held;

/// The exception of a loader. One that nobody was given is told to the loop's exception handler when it goes.
pub(crate) struct Failed {
    /// None: its task was cancelled.
    error: Option<Held>,
    /// Whether it is an interrupt of the program (`KeyboardInterrupt`, `SystemExit`), which is the leader's alone.
    interrupts: bool,
    seen: AtomicBool,
    /// asyncio's loop; none where a plain function loads, whose caller is told.
    of: Option<Held>,
}

impl Failed {
    /// With the interpreter's lock held.
    pub(crate) unsafe fn raised(error: Held, of: Held) -> Failed {
        Self::by(error, Some(of))
    }

    /// By a plain function. With the interpreter's lock held.
    pub(crate) unsafe fn told(error: Held) -> Failed {
        Self::by(error, None)
    }

    /// Of this loop's, if it is one's. With the interpreter's lock held.
    pub(crate) unsafe fn by(error: Held, of: Option<Held>) -> Failed {
        let interrupts = ffi::PyErr_GivenExceptionMatches(error.as_ptr(), ffi::PyExc_Exception) == 0;
        Failed { error: Some(error), interrupts, seen: AtomicBool::new(interrupts), of }
    }

    pub(crate) fn cancelled(of: Option<Held>) -> Failed {
        Failed { error: None, interrupts: false, seen: AtomicBool::new(true), of }
    }

    /// Whether those who did not lead look again.
    pub(crate) fn is_leaders_alone(&self) -> bool {
        self.error.is_none() || self.interrupts
    }

    /// What one is told who followed this in vain: no interrupt.
    pub(crate) fn of_another(&self) -> Failed {
        Failed::cancelled(self.of.clone())
    }

    /// The exception, for somebody who is given it.
    pub(crate) fn error(&self) -> Option<&Held> {
        self.seen.store(true, Ordering::Relaxed);
        self.error.as_ref()
    }
}

impl Drop for Failed {
    fn drop(&mut self) {
        if let Some(error) = &self.error
            && let Some(of) = &self.of
            && !*self.seen.get_mut()
            && is_attached()
        {
            // SAFETY: inside an entry the interpreter's lock is held.
            unsafe { Loop::report(of.as_ptr(), "tierce: a load failed, and nobody waited for it", error.as_ptr()) };
        }
    }
}
