//! What a caller is told where there is no value: an exception, whose sentence names the function's cache.

use std::ptr;

use pyo3_ffi as ffi;
use tierce::{Cache, Error, Kind, LoadError};

use super::failed::Failed;
use super::held::Held;
use super::key::PyKey;
use super::names::names;
use crate::owned::{Owned, PyObject, Raised, Result, text};
use crate::raised::raised;

/// Why there is no value.
pub(crate) enum Why {
    /// A lookup of the cache of this name.
    Load(String, LoadError<Failed>),
    /// A verb was refused, or could not be told to the store.
    Said(Error),
}

impl Why {
    pub(crate) fn load(cache: &Cache<PyKey, Held>, error: LoadError<Failed>) -> Why {
        Why::Load(cache.name().to_string(), error)
    }
}

/// The exception for it.
pub(crate) unsafe fn exception(why: Why) -> Held {
    let made = match why {
        Why::Load(name, error) => made(&name, error),
        Why::Said(error) => of_verb(&error),
    };
    // What a call that failed has not raised, CPython has raised as a SystemError.
    let made = made.ok().or_else(|| raised());
    Held::new(made.unwrap_or_else(|| Owned::share(ffi::PyExc_SystemError)))
}

/// Raises it.
pub(crate) unsafe fn raise(why: Why) -> Raised {
    let error = exception(why);
    ffi::PyErr_SetObject(ffi::Py_TYPE(error.as_ptr()).cast(), error.as_ptr());
    Raised
}

unsafe fn of_verb(error: &Error) -> Result<Owned> {
    let kind = if error.kind() == Kind::Store { names()?.store.as_ptr() } else { ffi::PyExc_ValueError };
    make(kind, &error.to_string())
}

unsafe fn made(name: &str, error: LoadError<Failed>) -> Result<Owned> {
    let names = names()?;
    match error {
        LoadError::Load(failed) => match failed.error() {
            Some(error) => raisable(name, error.share()),
            None => make(names.cancelled.as_ptr(), &format!("the load of {name} was cancelled")),
        },
        LoadError::Timeout => make(ffi::PyExc_TimeoutError, &format!("the load of {name} took too long")),
        LoadError::Cycle => make(names.cycle.as_ptr(), &circle(name)),
        LoadError::Abandoned => {
            make(names.cancelled.as_ptr(), &format!("the event loop that ran the load of {name} has ended"))
        }
        LoadError::Panicked(message) => {
            make(ffi::PyExc_SystemError, &format!("tierce itself is at fault, in {name}: {message}"))
        }
        _ => make(ffi::PyExc_RuntimeError, &format!("too many loads of {name} run and wait")),
    }
}

/// A task inherits the load that it was begun in, and whether that waits for it is known to nobody.
fn circle(name: &str) -> String {
    format!(
        "{name} waits for itself, or may: its load, or a task that its load began, asks, at once or through others, for what it \
         loads. A task that the load does not wait for is begun without its context: \
         asyncio.create_task(..., context=contextvars.Context())"
    )
}

/// In an awaitable `StopIteration` means that it has a value: as from a generator, it comes as a `RuntimeError`.
unsafe fn raisable(name: &str, error: Owned) -> Result<Owned> {
    if ffi::PyErr_GivenExceptionMatches(error.as_ptr(), ffi::PyExc_StopIteration) == 0 {
        return Ok(error);
    }
    let instead = make(ffi::PyExc_RuntimeError, &format!("the load of {name} raised StopIteration"))?;
    ffi::PyException_SetCause(instead.as_ptr(), error.into_ptr());
    Ok(instead)
}

unsafe fn make(kind: *mut PyObject, sentence: &str) -> Result<Owned> {
    let sentence = text(sentence)?;
    let arguments = [sentence.as_ptr()];
    Owned::steal(ffi::PyObject_Vectorcall(kind, arguments.as_ptr(), 1, ptr::null_mut()))
}
