//! `StopIteration`, by which an awaitable gives its value where CPython does not ask through `am_send`.
//!
//! From 3.12 on `await` asks anything but a coroutine for its next item, and the value comes in an exception. To make one costs more
//! than all else of a hit. So the exception is used again: the interpreter takes the value out of it at once and lets it
//! go, and its awaitable, which goes just after that, empties it and keeps it for the next (`python -m bench async_hit`).

use std::ptr;

use pyo3_ffi as ffi;

use crate::owned::Owned;
#[cfg(not(Py_3_12))]
use crate::owned::PyObject;

/// Raises a new one.
pub(crate) unsafe fn raise(value: Owned) {
    // A value that is a tuple or an exception would be taken apart if it were set as it is.
    let arguments = [value.as_ptr()];
    let raised = ffi::PyObject_Vectorcall(ffi::PyExc_StopIteration, arguments.as_ptr(), 1, ptr::null_mut());
    if let Ok(raised) = Owned::steal(raised) {
        ffi::PyErr_SetObject(ffi::PyExc_StopIteration, raised.as_ptr());
    }
}

#[cfg(not(Py_3_12))]
pub(crate) unsafe fn raise_again(_: &mut *mut PyObject, value: Owned) {
    raise(value);
}

#[cfg(not(Py_3_12))]
pub(crate) unsafe fn give_back(_: *mut PyObject) {}

#[cfg(Py_3_12)]
pub(crate) use again::{give_back, raise_again};

#[cfg(Py_3_12)]
mod again {
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

    use pyo3_ffi as ffi;

    use crate::owned::{Owned, PyObject};

    static SPARE: AtomicPtr<PyObject> = AtomicPtr::new(ptr::null_mut());
    static VALUE: AtomicPtr<PyObject> = AtomicPtr::new(ptr::null_mut());

    /// Raises one that was raised before, and leaves it in `kept`, to be given back.
    pub(crate) unsafe fn raise_again(kept: &mut *mut PyObject, value: Owned) {
        let spare = SPARE.swap(ptr::null_mut(), Relaxed);
        let stop =
            if spare.is_null() { ffi::PyObject_CallObject(ffi::PyExc_StopIteration, ptr::null_mut()) } else { spare };
        if stop.is_null() || set(stop, value.as_ptr()) < 0 {
            ffi::Py_XDECREF(stop);
            return;
        }
        *kept = stop;
        ffi::PyErr_SetRaisedException(Owned::share(stop).into_ptr());
    }

    /// Keeps one for the next time, if nobody else has taken hold of it.
    pub(crate) unsafe fn give_back(stop: *mut PyObject) {
        if stop.is_null() {
            return;
        }
        let mut is_ours = ffi::Py_REFCNT(stop) == 1 && SPARE.load(Relaxed).is_null();
        if is_ours {
            let traceback = ffi::PyException_GetTraceback(stop);
            is_ours = traceback.is_null() && set(stop, ffi::Py_None()) == 0;
            ffi::Py_XDECREF(traceback);
        }
        // Setting the value has dropped the older one, which may have run anything.
        if is_ours && SPARE.load(Relaxed).is_null() {
            SPARE.store(stop, Relaxed);
        } else {
            ffi::Py_DECREF(stop);
        }
    }

    unsafe fn set(stop: *mut PyObject, value: *mut PyObject) -> i32 {
        let mut name = VALUE.load(Relaxed);
        if name.is_null() {
            name = ffi::PyUnicode_InternFromString(c"value".as_ptr());
            VALUE.store(name, Relaxed);
        }
        ffi::PyObject_SetAttr(stop, name, value)
    }
}
