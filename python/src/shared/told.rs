//! What a caller is told where there is no value: an exception.

use std::ffi::CString;
use std::ptr;

use pyo3_ffi as ffi;
use tierce::{Error, Kind, LoadError};

use super::failed::Failed;
use super::held::Held;
use super::names::names;
use crate::owned::{Owned, PyObject, Raised, Result};

/// Why there is no value.
pub(crate) enum Why {
    Load(LoadError<Failed>),
    /// A verb was refused, or could not be told to the store.
    Said(Error),
    /// The answer could not be shown.
    Raised(Held),
}

/// The exception for it.
pub(crate) unsafe fn exception(why: Why) -> Result<Owned> {
    match why {
        Why::Load(error) => of_load(error),
        Why::Said(error) => of_verb(&error),
        Why::Raised(error) => Ok(error.share()),
    }
}

/// Raises it.
pub(crate) unsafe fn raise(why: Why) -> Raised {
    if let Ok(error) = exception(why) {
        ffi::PyErr_SetObject(ffi::Py_TYPE(error.as_ptr()).cast(), error.as_ptr());
    }
    Raised
}

unsafe fn of_verb(error: &Error) -> Result<Owned> {
    let kind = if error.kind() == Kind::Store { names()?.store.as_ptr() } else { ffi::PyExc_ValueError };
    make(kind, &error.to_string())
}

unsafe fn of_load(error: LoadError<Failed>) -> Result<Owned> {
    let names = names()?;
    match error {
        LoadError::Load(failed) => match failed.error() {
            Some(error) => raisable(error.share()),
            None => make(names.cancelled.as_ptr(), "the load was cancelled"),
        },
        LoadError::Timeout => make(ffi::PyExc_TimeoutError, "the load took too long"),
        LoadError::Cycle => make(names.cycle.as_ptr(), "a load waits for itself"),
        LoadError::Abandoned => make(names.cancelled.as_ptr(), "the event loop that ran the load has ended"),
        LoadError::Panicked(message) => make(ffi::PyExc_SystemError, &format!("tierce itself is at fault: {message}")),
        _ => make(ffi::PyExc_RuntimeError, "too many loads run and wait"),
    }
}

/// In an awaitable `StopIteration` means that it has a value: as from a generator, it comes as a `RuntimeError`.
unsafe fn raisable(error: Owned) -> Result<Owned> {
    if ffi::PyErr_GivenExceptionMatches(error.as_ptr(), ffi::PyExc_StopIteration) == 0 {
        return Ok(error);
    }
    let instead = make(ffi::PyExc_RuntimeError, "a load raised StopIteration")?;
    ffi::PyException_SetCause(instead.as_ptr(), error.into_ptr());
    Ok(instead)
}

unsafe fn make(kind: *mut PyObject, sentence: &str) -> Result<Owned> {
    let sentence = CString::new(sentence).unwrap_or_default();
    let sentence = super::names::text(&sentence)?;
    let arguments = [sentence.as_ptr()];
    Owned::steal(ffi::PyObject_Vectorcall(kind, arguments.as_ptr(), 1, ptr::null_mut()))
}
