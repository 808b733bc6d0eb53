//! What a hit of an async function gives: an awaitable that has its value already. No coroutine, task or future is made.
//!
//! It is registered as a `collections.abc.Coroutine`, so that `asyncio.gather`, `create_task` and `wait_for` take it. It
//! never suspends, and so needs no event loop. Like a coroutine it gives its value once.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use pyo3_ffi as ffi;

use crate::awaitable::{Plan, READY, RETURNED, raise_given, reused, sent, slots};
use crate::chain::free_in_turn;
use crate::owned::{Owned, PyObject, Result, answer, none};
use crate::stop;
use crate::types;

#[repr(C)]
struct Ready {
    base: ffi::PyObject,
    /// Null once it was given.
    value: *mut PyObject,
    /// The exception by which it was given, or null (`stop.rs`).
    stop: *mut PyObject,
}

/// The memory of one that has gone, for the next: who awaits a hit needs one at a time. A sixth less for a hit
/// (`python -m bench async_hit`).
static SPARE: AtomicPtr<PyObject> = AtomicPtr::new(ptr::null_mut());

pub(crate) unsafe fn make_type() -> Result<Owned> {
    let slots = slots(&Plan {
        doc: c"An awaitable that has its value already: a hit of an async function.",
        send,
        send_fast,
        next,
        throw,
        close,
        traverse,
        clear,
        dealloc,
    });
    READY.make(c"tierce._tierce.Ready", size_of::<Ready>(), slots)
}

/// An awaitable of this value.
#[inline]
pub(crate) unsafe fn ready(value: Owned) -> Result<Owned> {
    let spare = SPARE.load(Relaxed);
    if spare.is_null() {
        let made = types::allocate(READY.get())?;
        (*made.as_ptr().cast::<Ready>()).value = value.into_ptr();
        return Ok(made);
    }
    // The interpreter's lock is held: nobody else takes it between these two.
    SPARE.store(ptr::null_mut(), Relaxed);
    ffi::PyObject_Init(spare, READY.get());
    (*spare.cast::<Ready>()).value = value.into_ptr();
    ffi::PyObject_GC_Track(spare.cast());
    Owned::steal(spare)
}

/// The value of one that nobody has awaited.
pub(crate) unsafe fn taken(it: *mut PyObject) -> Result<Owned> {
    take(it)
}

#[inline]
unsafe fn take(it: *mut PyObject) -> Result<Owned> {
    let value = std::mem::replace(&mut (*it.cast::<Ready>()).value, ptr::null_mut());
    if value.is_null() { Err(reused()) } else { Owned::steal(value) }
}

unsafe extern "C" fn send_fast(it: *mut PyObject, _: *mut PyObject, result: *mut *mut PyObject) -> c_int {
    sent(take(it).map(|value| (RETURNED, value)), result)
}

/// Ends with `StopIteration(value)`, or with nothing set where the value is None, which means the same.
unsafe extern "C" fn next(it: *mut PyObject) -> *mut PyObject {
    if let Ok(value) = take(it)
        && !ptr::eq(value.as_ptr(), ffi::Py_None())
    {
        stop::raise_again(&mut (*it.cast::<Ready>()).stop, value);
    }
    ptr::null_mut()
}

unsafe extern "C" fn send(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    if let Ok(value) = take(it) {
        stop::raise(value);
    }
    ptr::null_mut()
}

unsafe extern "C" fn throw(it: *mut PyObject, args: *mut *mut PyObject, count: ffi::Py_ssize_t) -> *mut PyObject {
    clear(it);
    raise_given(args, count);
    ptr::null_mut()
}

unsafe extern "C" fn close(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    clear(it);
    answer(Ok(none()))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    let Ready { value, stop, .. } = *it.cast::<Ready>();
    for object in [ffi::Py_TYPE(it).cast(), value, stop] {
        let said = if object.is_null() { 0 } else { visit(object, data) };
        if said != 0 {
            return said;
        }
    }
    0
}

unsafe extern "C" fn clear(it: *mut PyObject) -> c_int {
    let value = std::mem::replace(&mut (*it.cast::<Ready>()).value, ptr::null_mut());
    ffi::Py_XDECREF(value);
    stop::give_back(std::mem::replace(&mut (*it.cast::<Ready>()).stop, ptr::null_mut()));
    0
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(it.cast());
    let value = (*it.cast::<Ready>()).value;
    if !value.is_null() && ptr::eq(ffi::Py_TYPE(value), READY.get()) {
        free_in_turn(it, free);
    } else {
        free(it);
    }
}

unsafe fn free(it: *mut PyObject) {
    clear(it);
    if SPARE.load(Relaxed).is_null() && ptr::eq(ffi::Py_TYPE(it), READY.get()) {
        ffi::Py_DECREF(ffi::Py_TYPE(it).cast());
        SPARE.store(it, Relaxed);
    } else {
        types::free(it);
    }
}
