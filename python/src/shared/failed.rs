//! How a load failed, as the engine hands it to all who wait.

use std::sync::atomic::{AtomicBool, Ordering};

use super::attached::is_attached;
use super::event_loop::Loop;
use super::held::Held;

/// The exception of a loader. One that nobody was given is told to the loop's exception handler when it goes.
pub(crate) struct Failed {
    /// None: its task was cancelled.
    error: Option<Held>,
    seen: AtomicBool,
    /// asyncio's loop; none where a plain function loads, whose caller is told.
    of: Option<Held>,
}

impl Failed {
    pub(crate) fn raised(error: Held, of: Held) -> Failed {
        Failed { error: Some(error), seen: AtomicBool::new(false), of: Some(of) }
    }

    /// By a plain function.
    pub(crate) fn told(error: Held) -> Failed {
        Failed { error: Some(error), seen: AtomicBool::new(false), of: None }
    }

    pub(crate) fn cancelled(of: Held) -> Failed {
        Failed { error: None, seen: AtomicBool::new(true), of: Some(of) }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.error.is_none()
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
            unsafe { Loop::report(of.as_ptr(), c"tierce: a load failed, and nobody waited for it", error.as_ptr()) };
        }
    }
}
