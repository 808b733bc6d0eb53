//! What a lookup came to, on its way from the engine's future to whoever awaits it.

use std::sync::Mutex;

use pyo3_ffi as ffi;

use super::future::answered;
use super::held::Held;
use super::lock::locked;
use crate::owned::{Owned, PyObject, Raised, Result};

/// A value, or the exception that is raised instead.
pub(crate) type Found = std::result::Result<Held, Held>;

/// What came, and the traceback of an exception as it came: others who are given the same one raise it too.
pub(crate) struct Given {
    found: Found,
    traceback: Option<Held>,
}

/// Either the answer comes first, and is left here, or the future of who waits for it does.
#[derive(Default)]
pub(crate) struct Answer(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Open,
    /// Borrowed from the lookup, which takes it out before it goes.
    Waits(Future),
    Found(Box<Given>),
    Over,
}

struct Future(*mut PyObject);

// SAFETY: it is used by threads alone that hold the interpreter's lock.
unsafe impl Send for Future {}

impl Answer {
    /// The engine's future has ended. Polled inside an entry, with the interpreter's lock held.
    pub(crate) unsafe fn give(&self, found: Found) {
        let given = State::Found(Box::new(Given::of(found)));
        let (future, late) = {
            let mut state = locked(&self.0);
            match &*state {
                State::Open => {
                    *state = given;
                    (None, None)
                }
                State::Waits(Future(future)) => {
                    let future = Owned::share(*future);
                    *state = given;
                    (Some(future), None)
                }
                State::Found(_) | State::Over => (None, Some(given)),
            }
        };
        drop(late);
        if let Some(future) = future {
            answered(future);
        }
    }

    /// The answer, if there is one already.
    pub(crate) fn take(&self) -> Option<Given> {
        let mut state = locked(&self.0);
        match std::mem::replace(&mut *state, State::Over) {
            State::Found(given) => Some(*given),
            other => {
                *state = other;
                None
            }
        }
    }

    /// This future is told when the answer comes, unless it is here.
    pub(crate) fn wait(&self, future: &Owned) {
        let mut state = locked(&self.0);
        if matches!(*state, State::Open) {
            *state = State::Waits(Future(future.as_ptr()));
        }
    }

    /// Nobody waits any more. What has come and nobody has taken.
    pub(crate) fn leave(&self) -> Option<Given> {
        match std::mem::replace(&mut *locked(&self.0), State::Over) {
            State::Found(given) => Some(*given),
            _ => None,
        }
    }
}

impl Given {
    unsafe fn of(found: Found) -> Given {
        let raisable = found.as_ref().err().filter(|error| ffi::PyExceptionInstance_Check(error.as_ptr()) != 0);
        let traceback = raisable.map(|error| {
            let traceback = Owned::steal(ffi::PyException_GetTraceback(error.as_ptr()));
            Held::new(traceback.unwrap_or_else(|Raised| Owned::share(ffi::Py_None())))
        });
        Given { found, traceback }
    }

    /// The value, or the exception raised.
    pub(crate) unsafe fn value(self) -> Result<Owned> {
        self.found.map(|value| value.share()).map_err(|error| {
            if let Some(traceback) = &self.traceback {
                ffi::PyException_SetTraceback(error.as_ptr(), traceback.as_ptr());
            }
            ffi::PyErr_SetObject(ffi::Py_TYPE(error.as_ptr()).cast(), error.as_ptr());
            Raised
        })
    }

    /// An exception that nobody was given.
    pub(crate) fn error(&self) -> Option<&Held> {
        self.found.as_ref().err()
    }
}
