//! Whether this thread may touch objects, said by a thread-local; and entries from CPython.
//!
//! The engine drops values and errors wherever it is done with them. Mostly that is in a call from CPython, with the
//! interpreter's lock held. Elsewhere the references are left in a list, which the next entry empties.
//!
//! **Interrupts.** A signal's handler may raise wherever Python runs, in the middle of a wake or a drop as well, where nothing can be
//! raised. What it raised is kept then, and the outermost entry of the thread ends with it.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pyo3_ffi as ffi;

use crate::owned::{Owned, PyObject, Raised, Result};
use crate::raised::{raised, restore};

thread_local! {
    /// How many entries this thread is in.
    static ENTRIES: Cell<u32> = const { Cell::new(0) };
    /// A reference to what its outermost entry has to raise, or null. One that is never raised is leaked: a thread that ends may
    /// not hold the interpreter's lock.
    static INTERRUPT: Cell<*mut PyObject> = const { Cell::new(ptr::null_mut()) };
    /// Whether this thread has let the interpreter's lock go, and takes it back.
    static IS_DETACHED: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread ends the interpreter, which runs Python on it to the last.
    static ENDS_HERE: Cell<bool> = const { Cell::new(false) };
}

/// How many threads have one, so that an entry looks at its own only then.
static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);

/// Whether the interpreter is about to end.
static ENDS: AtomicBool = AtomicBool::new(false);

struct Left(NonNull<PyObject>);

// SAFETY: it is used by threads alone that hold the interpreter's lock.
unsafe impl Send for Left {}

static LEFT: Mutex<Vec<Left>> = Mutex::new(Vec::new());
/// So that an entry takes no lock where nothing was left.
static SOME_LEFT: AtomicBool = AtomicBool::new(false);

/// Runs what CPython has called.
#[inline]
pub(crate) unsafe fn entry<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    let _here = Here::new();
    if SOME_LEFT.load(Ordering::Relaxed) {
        give_back();
    }
    let value = run();
    if INTERRUPTS.load(Ordering::Relaxed) > 0 && ENTRIES.get() == 1 && value.is_ok() {
        raise_interrupt()?;
    }
    value
}

/// Tells of the exception that is set where nothing can be raised: to `sys.unraisablehook`, or, of an interrupt, at the end of
/// the entry. `whose` is the object that was asked.
#[cold]
pub(crate) unsafe fn cannot_raise(whose: *mut PyObject) {
    if !is_interrupt() {
        return ffi::PyErr_WriteUnraisable(whose);
    }
    if let Some(error) = raised() {
        match Owned::steal(INTERRUPT.replace(error.into_ptr())) {
            Ok(older) => drop(older),
            Err(Raised) => _ = INTERRUPTS.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// Lets the exception that is set go, unless it is an interrupt. `whose` is the object that was asked.
#[cold]
pub(crate) unsafe fn cleared(whose: *mut PyObject) {
    if is_interrupt() {
        cannot_raise(whose);
    } else {
        drop(raised());
    }
}

/// Whether the exception that is set is none that programs handle: `KeyboardInterrupt`, `SystemExit` and the like.
pub(crate) unsafe fn is_interrupt() -> bool {
    !ffi::PyErr_Occurred().is_null() && ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) == 0
}

/// Whether the outermost entry of this thread has an interrupt to raise.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTS.load(Ordering::Relaxed) > 0 && !INTERRUPT.get().is_null()
}

#[cold]
unsafe fn raise_interrupt() -> Result<()> {
    let Ok(error) = Owned::steal(INTERRUPT.replace(ptr::null_mut())) else { return Ok(()) };
    INTERRUPTS.fetch_sub(1, Ordering::Relaxed);
    restore(Some(error));
    Err(Raised)
}

/// The same for what cannot raise.
pub(crate) fn quietly(run: impl FnOnce()) {
    let _here = Here::new();
    run();
}

/// Runs something with the interpreter's lock held, which is taken if this thread has it not; `None` if there is no
/// interpreter to hold it.
pub(crate) fn attach<T>(run: impl FnOnce() -> T) -> Option<T> {
    if is_attached() {
        return Some(run());
    }
    // SAFETY: it may be asked by any thread at any time.
    let is_over = ENDS.load(Ordering::Acquire) || unsafe { ffi::Py_IsInitialized() } == 0;
    // What the ending thread waits for it may run: it has the lock back when it has waited, come what may.
    if is_over && !(ENDS_HERE.get() && IS_DETACHED.get()) {
        return None;
    }
    // SAFETY: there is an interpreter; what is ensured is released on this thread.
    let state = ensured();
    let ran = {
        let _here = Here::new();
        run()
    };
    // SAFETY: as above.
    unsafe { ffi::PyGILState_Release(state) };
    Some(ran)
}

/// Takes the interpreter's lock.
///
/// On its own, and so is what follows, since neither may be part of a function whose frame is there while Python runs: for these
/// two calls, which may be ended by `pthread_exit`, a function gets a table of landing pads, and such an end elsewhere in
/// it, which is in no table, aborts the process (`tests/test_exit.py`).
#[inline(never)]
fn ensured() -> ffi::PyGILState_STATE {
    // SAFETY: whoever calls has seen that there is an interpreter.
    unsafe { ffi::PyGILState_Ensure() }
}

/// Takes the interpreter's lock back.
#[inline(never)]
unsafe fn restored(state: *mut ffi::PyThreadState) {
    ffi::PyEval_RestoreThread(state);
}

/// Runs code of Python's that is not part of the entry in which it is called.
pub(crate) fn outside<T>(run: impl FnOnce() -> T) -> T {
    let before = ENTRIES.replace(0);
    let ran = run();
    ENTRIES.set(before);
    ran
}

/// Runs something without the interpreter's lock, which this thread has, so that others may run meanwhile. What it runs attaches
/// itself where it touches an object.
pub(crate) unsafe fn detached<T>(run: impl FnOnce() -> T) -> T {
    let before = (ENTRIES.replace(0), IS_DETACHED.replace(true));
    let state = ffi::PyEval_SaveThread();
    let ran = run();
    restored(state);
    ENTRIES.set(before.0);
    IS_DETACHED.set(before.1);
    ran
}

#[inline]
pub(crate) fn is_attached() -> bool {
    ENTRIES.get() > 0
}

pub(crate) fn interpreter_ends() {
    ENDS.store(true, Ordering::Release);
    ENDS_HERE.set(true);
}

/// Gives a reference back, now or at the next entry.
#[inline]
pub(crate) fn release(object: NonNull<PyObject>) {
    if is_attached() {
        // SAFETY: inside an entry the interpreter's lock is held; the reference is the caller's to give.
        unsafe { ffi::Py_DECREF(object.as_ptr()) };
    } else {
        leave(Left(object));
    }
}

#[cold]
fn leave(object: Left) {
    LEFT.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(object);
    SOME_LEFT.store(true, Ordering::Relaxed);
}

#[cold]
unsafe fn give_back() {
    SOME_LEFT.store(false, Ordering::Relaxed);
    let all = std::mem::take(&mut *LEFT.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    for Left(object) in all {
        ffi::Py_DECREF(object.as_ptr());
    }
}

/// This thread is in an entry until it is dropped.
struct Here;

impl Here {
    #[inline]
    fn new() -> Here {
        ENTRIES.set(ENTRIES.get() + 1);
        Here
    }
}

impl Drop for Here {
    #[inline]
    fn drop(&mut self) {
        ENTRIES.set(ENTRIES.get() - 1);
    }
}
