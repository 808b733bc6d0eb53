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

    /// Where an exact `StopIteration` has its arguments and its value, in words from its beginning.
    static ARGS_AT: AtomicUsize = AtomicUsize::new(0);
    static VALUE_AT: AtomicUsize = AtomicUsize::new(UNKNOWN);
    const UNKNOWN: usize = usize::MAX;
    const NOWHERE: usize = usize::MAX - 1;

    /// Raises one that was raised before, and leaves it in `kept`, to be given back.
    pub(crate) unsafe fn raise_again(kept: &mut *mut PyObject, value: Owned) {
        let Some(at) = value_at() else {
            return super::raise(value);
        };
        let spare = SPARE.swap(ptr::null_mut(), Relaxed);
        let stop = if spare.is_null() { of_none() } else { spare };
        if stop.is_null() {
            return;
        }
        let args = *word(stop, ARGS_AT.load(Relaxed));
        if ffi::PyTuple_SetItem(args, 0, value.clone().into_ptr()) < 0 {
            return ffi::Py_DECREF(stop);
        }
        let none = word(stop, at).replace(value.into_ptr());
        *kept = stop;
        ffi::PyErr_SetRaisedException(Owned::share(stop).into_ptr());
        ffi::Py_XDECREF(none);
    }

    /// Keeps one for the next time, if nobody else has taken hold of it or has written anything on it.
    pub(crate) unsafe fn give_back(stop: *mut PyObject) {
        if stop.is_null() {
            return;
        }
        let is_free = ffi::Py_REFCNT(stop) == 1 && SPARE.load(Relaxed).is_null();
        let Some(at) = value_at().filter(|at| is_free && is_blank(stop, *at)) else {
            return ffi::Py_DECREF(stop);
        };
        // The value is still held, so that nothing runs yet.
        ffi::PyTuple_SetItem(*word(stop, ARGS_AT.load(Relaxed)), 0, Owned::share(ffi::Py_None()).into_ptr());
        let value = word(stop, at).replace(Owned::share(ffi::Py_None()).into_ptr());
        SPARE.store(stop, Relaxed);
        // It may run anything, one that is given back included.
        ffi::Py_XDECREF(value);
    }

    unsafe fn of_none() -> *mut PyObject {
        let arguments = [ffi::Py_None()];
        ffi::PyObject_Vectorcall(ffi::PyExc_StopIteration, arguments.as_ptr(), 1, ptr::null_mut())
    }

    unsafe fn word(stop: *mut PyObject, at: usize) -> *mut *mut PyObject {
        stop.cast::<*mut PyObject>().add(at)
    }

    /// Whether it has nothing but its arguments, which nobody else holds, and its value, the last word: no attribute, note,
    /// traceback, cause or context.
    unsafe fn is_blank(stop: *mut PyObject, value_at: usize) -> bool {
        let args_at = ARGS_AT.load(Relaxed);
        let others = (HEAD..value_at).filter(|at| *at != args_at);
        ffi::Py_REFCNT(*word(stop, args_at)) == 1 && others.map(|at| *word(stop, at)).all(|word| word.is_null())
    }

    /// What each object begins with.
    const HEAD: usize = size_of::<PyObject>() / size_of::<*mut PyObject>();

    #[inline]
    unsafe fn value_at() -> Option<usize> {
        match VALUE_AT.load(Relaxed) {
            UNKNOWN => look_for_value(),
            NOWHERE => None,
            at => Some(at),
        }
    }

    /// The value is the last field of the object: `PyStopIterationObject`, which is not in the limited API. That it and the
    /// arguments are there is seen by one that has a value nobody else has; setting the attribute instead costs about a fifth
    /// of a hit (`python -m bench async_hit`).
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
        let args = attribute(stop.as_ptr(), c"args").ok()?;
        let bytes = attribute(ffi::PyExc_StopIteration, c"__basicsize__").ok()?;
        let at = (ffi::PyLong_AsSize_t(bytes.as_ptr()) / size_of::<*mut PyObject>()).checked_sub(1)?;
        let is_there = at < 128 && ptr::eq(*word(stop.as_ptr(), at), mark.as_ptr());
        let args_at = (HEAD..at).find(|at| is_there && ptr::eq(*word(stop.as_ptr(), *at), args.as_ptr()))?;
        ARGS_AT.store(args_at, Relaxed);
        drop(args);
        is_blank(stop.as_ptr(), at).then_some(at)
    }
}
