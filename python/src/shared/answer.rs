//! What a lookup came to, on its way from the engine's future to whoever awaits it.

use std::ptr;
use std::sync::Mutex;

use pyo3_ffi as ffi;

use super::attached::cannot_raise;
use super::held::Held;
use super::lock::locked;
use crate::owned::{Owned, PyObject, Result, ask};
use crate::raised::{raised, restore};

/// A value, or the exception that is raised instead.
pub(crate) type Found = std::result::Result<Held, Held>;

/// Either the answer comes first, and is left here, or the future of who waits for it does.
#[derive(Default)]
pub(crate) struct Answer(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Open,
    Found(Box<Found>),
    /// Borrowed from the lookup, which takes it out before it goes.
    Waits(Future),
    Over,
}

struct Future(*mut PyObject);

// SAFETY: it is used by threads alone that hold the interpreter's lock.
unsafe impl Send for Future {}

impl Answer {
    /// The engine's future has ended. Polled inside an entry, with the interpreter's lock held.
    pub(crate) unsafe fn give(&self, found: Found) {
        let future = {
            let mut state = locked(&self.0);
            match *state {
                State::Open => {
                    *state = State::Found(Box::new(found));
                    return;
                }
                State::Waits(Future(future)) => {
                    *state = State::Over;
                    Owned::share(future)
                }
                State::Found(_) | State::Over => return,
            }
        };
        settle(&future, found);
    }

    /// The answer, if there is one already.
    pub(crate) fn take(&self) -> Option<Found> {
        let mut state = locked(&self.0);
        match std::mem::replace(&mut *state, State::Over) {
            State::Found(found) => Some(*found),
            other => {
                *state = other;
                None
            }
        }
    }

    /// The answer goes to this future of asyncio's; at once, where it came while that was made.
    pub(crate) unsafe fn wait(&self, future: &Owned) {
        let before = {
            let mut state = locked(&self.0);
            std::mem::replace(&mut *state, State::Waits(Future(future.as_ptr())))
        };
        if let State::Found(found) = before {
            self.leave();
            settle(future, *found);
        }
    }

    /// Nobody waits any more.
    pub(crate) fn leave(&self) {
        let state = std::mem::replace(&mut *locked(&self.0), State::Over);
        drop(state);
    }
}

/// Whoever awaits the future goes on, whatever becomes of the answer on its way.
unsafe fn settle(future: &Owned, found: Found) {
    let before = raised();
    if try_to_settle(future, found).is_err() {
        let error = raised();
        let told =
            error.as_ref().is_some_and(|error| ask(c"set_exception", &[future.as_ptr(), error.as_ptr()]).is_ok());
        if !told {
            cannot_raise(future.as_ptr());
            if ask(c"cancel", &[future.as_ptr()]).is_err() {
                cannot_raise(future.as_ptr());
            }
        }
    }
    restore(before);
}

unsafe fn try_to_settle(future: &Owned, found: Found) -> Result<()> {
    // Its task may have been cancelled, and the future with it.
    if ptr::eq(ask(c"done", &[future.as_ptr()])?.as_ptr(), ffi::Py_True()) {
        return Ok(());
    }
    match found {
        Ok(value) => ask(c"set_result", &[future.as_ptr(), value.as_ptr()])?,
        Err(error) => ask(c"set_exception", &[future.as_ptr(), error.as_ptr()])?,
    };
    Ok(())
}
