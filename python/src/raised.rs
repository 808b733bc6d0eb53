//! The exception that is set, taken away while something else is done, and set again.

use pyo3_ffi as ffi;

use crate::owned::Owned;

/// The exception that is set, which is not set any more.
#[cfg(Py_3_12)]
pub(crate) unsafe fn raised() -> Option<Owned> {
    Owned::steal(ffi::PyErr_GetRaisedException()).ok()
}

#[cfg(Py_3_12)]
pub(crate) unsafe fn restore(error: Option<Owned>) {
    if let Some(error) = error {
        ffi::PyErr_SetRaisedException(error.into_ptr());
    }
}

/// The same where an exception is still three objects.
#[cfg(not(Py_3_12))]
pub(crate) unsafe fn raised() -> Option<Owned> {
    use std::ptr::null_mut;

    let (mut kind, mut value, mut traceback) = (null_mut(), null_mut(), null_mut());
    ffi::PyErr_Fetch(&raw mut kind, &raw mut value, &raw mut traceback);
    ffi::PyErr_NormalizeException(&raw mut kind, &raw mut value, &raw mut traceback);
    if !traceback.is_null() && !value.is_null() {
        ffi::PyException_SetTraceback(value, traceback);
    }
    ffi::Py_XDECREF(kind);
    ffi::Py_XDECREF(traceback);
    Owned::steal(value).ok()
}

#[cfg(not(Py_3_12))]
pub(crate) unsafe fn restore(error: Option<Owned>) {
    if let Some(error) = error {
        let kind = Owned::share(ffi::Py_TYPE(error.as_ptr()).cast());
        let traceback = ffi::PyException_GetTraceback(error.as_ptr());
        ffi::PyErr_Restore(kind.into_ptr(), error.into_ptr(), traceback);
    }
}
