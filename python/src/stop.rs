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
    use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

    use pyo3_ffi as ffi;

    use crate::owned::{Owned, PyObject, attribute};

    static SPARE: AtomicPtr<PyObject> = AtomicPtr::new(ptr::null_mut());

    /// Where an exact `StopIteration` has its value, in bytes from its beginning.
    static VALUE_AT: AtomicUsize = AtomicUsize::new(UNKNOWN);
    const UNKNOWN: usize = usize::MAX;
    const NOWHERE: usize = usize::MAX - 1;

    /// Raises one that was raised before, and leaves it in `kept`, to be given back.
    pub(crate) unsafe fn raise_again(kept: &mut *mut PyObject, value: Owned) {
        let Some(at) = value_at() else {
            return super::raise(value);
        };
        let spare = SPARE.swap(ptr::null_mut(), Relaxed);
        let stop =
            if spare.is_null() { ffi::PyObject_CallObject(ffi::PyExc_StopIteration, ptr::null_mut()) } else { spare };
        if stop.is_null() {
            return;
        }
        let none = replace(stop, at, value.into_ptr());
        *kept = stop;
        ffi::PyErr_SetRaisedException(Owned::share(stop).into_ptr());
        ffi::Py_XDECREF(none);
    }

    /// Keeps one for the next time, if nobody else has taken hold of it.
    pub(crate) unsafe fn give_back(stop: *mut PyObject) {
        if stop.is_null() {
            return;
        }
        let mut is_ours = ffi::Py_REFCNT(stop) == 1 && SPARE.load(Relaxed).is_null();
        if is_ours {
            let traceback = ffi::PyException_GetTraceback(stop);
            is_ours = traceback.is_null();
            ffi::Py_XDECREF(traceback);
        }
        let Some(at) = value_at().filter(|_| is_ours) else {
            return ffi::Py_DECREF(stop);
        };
        let value = replace(stop, at, Owned::share(ffi::Py_None()).into_ptr());
        SPARE.store(stop, Relaxed);
        // It may run anything, one that is given back included.
        ffi::Py_XDECREF(value);
    }

    unsafe fn replace(stop: *mut PyObject, at: usize, value: *mut PyObject) -> *mut PyObject {
        std::mem::replace(&mut *stop.byte_add(at).cast::<*mut PyObject>(), value)
    }

    #[inline]
    unsafe fn value_at() -> Option<usize> {
        match VALUE_AT.load(Relaxed) {
            UNKNOWN => look_for_value(),
            NOWHERE => None,
            at => Some(at),
        }
    }

    /// The value is the last field of the object: `PyStopIterationObject`, which is not in the limited API. That it is there is
    /// seen by one that has a value nobody else has; setting the attribute instead costs about a fifth of a hit (`python -m bench async_hit`).
    #[cold]
    unsafe fn look_for_value() -> Option<usize> {
        let found = look();
        ffi::PyErr_Clear();
        VALUE_AT.store(found.unwrap_or(NOWHERE), Relaxed);
        found
    }

    unsafe fn look() -> Option<usize> {
        let mark = Owned::steal(ffi::PyList_New(0)).ok()?;
        let arguments = [mark.as_ptr()];
        let made = ffi::PyObject_Vectorcall(ffi::PyExc_StopIteration, arguments.as_ptr(), 1, ptr::null_mut());
        let stop = Owned::steal(made).ok()?;
        let bytes = attribute(ffi::PyExc_StopIteration, c"__basicsize__").ok()?;
        let at = ffi::PyLong_AsSize_t(bytes.as_ptr()).checked_sub(size_of::<*mut PyObject>())?;
        let is_there = at < 1024 && ptr::eq(*stop.as_ptr().byte_add(at).cast::<*mut PyObject>(), mark.as_ptr());
        is_there.then_some(at)
    }
}
