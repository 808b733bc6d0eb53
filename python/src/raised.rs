//! The exception that is set, taken away while something else is done, and set again.

use std::io;

use pyo3_ffi as ffi;

use crate::owned::{Owned, Raised, text_of};

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

/// The exception that is set, which is not set any more; of a call that has failed and set none, the type that says so.
pub(crate) unsafe fn raised_or_none() -> Owned {
    raised().unwrap_or_else(|| Owned::share(ffi::PyExc_SystemError))
}

/// The exception that is set, which is not set any more, as a fault of a connection: what it says.
pub(crate) unsafe fn as_io() -> io::Error {
    let unsupported = ffi::PyErr_ExceptionMatches(ffi::PyExc_NotImplementedError) != 0;
    let kind = if unsupported { io::ErrorKind::Unsupported } else { io::ErrorKind::Other };
    io::Error::new(kind, as_text())
}

/// The exception that is set, which is not set any more, as a sentence. One that is no `Exception` is told besides: who
/// pressed Ctrl-C hears it again.
pub(crate) unsafe fn as_text() -> String {
    let Some(error) = raised() else { return "no reason was given".to_string() };
    let is = |kind| ffi::PyErr_GivenExceptionMatches(error.as_ptr(), kind) != 0;
    if is(ffi::PyExc_KeyboardInterrupt) {
        ffi::PyErr_SetInterrupt();
    } else if !is(ffi::PyExc_Exception) {
        restore(Some(error.clone()));
        ffi::PyErr_WriteUnraisable(error.as_ptr());
    }
    let said = Owned::steal(ffi::PyObject_Str(error.as_ptr()));
    let said = said.and_then(|said| text_of(said.as_ptr()).map(str::to_string));
    said.unwrap_or_else(|Raised| {
        ffi::PyErr_Clear();
        "an exception that has no text".to_string()
    })
}
