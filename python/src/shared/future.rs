//! What a task waits for until its lookup is answered: a future as asyncio's tasks know one, by `_asyncio_future_blocking`.
//!
//! asyncio's own tells who waits by `call_soon`: a handle for each, and another turn of the loop. This one is told by the loop's own
//! call in which the answer came (`Loop::called`), when that has polled all that was ready: who is told asks again, and a
//! connection writes what all of them ask at once. What the answer is stands in `Answer`; a task takes no result out of this.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::{Arc, Weak};

use pyo3_ffi as ffi;

use super::attached::{cannot_raise, entry, outside, quietly};
use super::inside::current_context;
use super::names::names;
use super::queue::{Queue, refused};
use super::woken::Woken;
use crate::owned::{Owned, PyObject, Raised, Result, answer, ask, attribute, boolean, none, raise, type_error};
use crate::raised::{raised, raised_or_none, restore};
use crate::types::{self, Kind, keep, of_call, plain, slot};

#[repr(C)]
struct Future {
    base: ffi::PyObject,
    of: Option<Of>,
}

struct Of {
    /// Weakly: it holds the loop where the collector of cycles does not see it.
    queue: Weak<Queue>,
    /// asyncio's loop.
    object: Owned,
    /// Whether it was yielded to a task that has not taken it yet.
    is_blocking: bool,
    stage: Stage,
    waiters: Vec<Waiter>,
}

enum Stage {
    Pending,
    Answered,
    /// With what `cancel` was given to say.
    Cancelled(Owned),
}

/// A function that is to be called, and the context to call it in.
struct Waiter {
    function: Owned,
    context: Owned,
}

static TYPE: Kind = Kind::new();

pub(crate) unsafe fn make_type() -> Result<Owned> {
    let methods = vec![
        plain(c"get_loop", get_loop, c"get_loop($self, /)\n--\n\nThe event loop of whoever waits."),
        of_call(
            c"add_done_callback",
            add_done_callback,
            c"add_done_callback($self, function, /, *, context=None)\n--\n\nCall the function with this when it is done.",
        ),
        of_call(c"cancel", cancel, c"cancel($self, /, msg=None)\n--\n\nWait no longer; whether it was waited for."),
        plain(c"cancelled", cancelled, c"cancelled($self, /)\n--\n\nWhether it is waited for no longer."),
        plain(c"done", done, c"done($self, /)\n--\n\nWhether the answer has come, or nobody waits."),
        plain(c"result", result, c"result($self, /)\n--\n\nNone, or the CancelledError."),
        // SAFETY: a table of methods ends with zeros.
        unsafe { std::mem::zeroed() },
    ];
    let blocking = ffi::PyGetSetDef {
        name: c"_asyncio_future_blocking".as_ptr(),
        get: Some(is_blocking),
        set: Some(set_blocking),
        doc: ptr::null(),
        closure: ptr::null_mut(),
    };
    // SAFETY: a table of attributes ends with zeros.
    let attributes = vec![blocking, unsafe { std::mem::zeroed() }];
    let slots = vec![
        slot(ffi::Py_tp_doc, c"What a task waits for until its lookup is answered.".as_ptr() as *mut c_void),
        slot(ffi::Py_tp_methods, keep(methods)),
        slot(ffi::Py_tp_getset, keep(attributes)),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
    ];
    TYPE.make(c"tierce._tierce.Future", size_of::<Future>(), slots)
}

/// One for whoever waits on this loop.
pub(crate) unsafe fn future(object: Owned, queue: &Arc<Queue>) -> Result<Owned> {
    let made = types::allocate(TYPE.get())?;
    let (queue, waiters) = (Arc::downgrade(queue), Vec::new());
    let of = Of { queue, object, is_blocking: false, stage: Stage::Pending, waiters };
    (&raw mut (*made.as_ptr().cast::<Future>()).of).write(Some(of));
    Ok(made)
}

unsafe fn of<'a>(it: *mut PyObject) -> Result<&'a mut Of> {
    match &mut (*it.cast::<Future>()).of {
        Some(of) => Ok(of),
        None => Err(type_error(c"the collector of cycles has cleared this")),
    }
}

/// asyncio's loop of whoever waits.
pub(crate) unsafe fn loop_of(it: &Owned) -> Result<Owned> {
    Ok(of(it.as_ptr())?.object.clone())
}

/// It goes to a task as what that is to wait for.
pub(crate) unsafe fn yielded(it: &Owned) -> Result<Owned> {
    of(it.as_ptr())?.is_blocking = true;
    Ok(it.clone())
}

/// The answer has come. Inside an entry of its loop.
pub(crate) unsafe fn answered(it: Owned) {
    let Some(of) = &mut (*it.as_ptr().cast::<Future>()).of else { return };
    if !matches!(of.stage, Stage::Pending) {
        return;
    }
    of.stage = Stage::Answered;
    let queue = of.queue.upgrade();
    let woken = Woken::new(it);
    match queue {
        Some(queue) => {
            if let Some(woken) = queue.push_woken(woken) {
                told_later(woken, Some(&queue));
            }
        }
        None => told_later(woken, None),
    }
}

/// Tells those who wait, outside of all entries: a task goes on here, whose code may do anything.
pub(crate) unsafe fn tell(woken: &Woken) -> Result<()> {
    let it = woken.as_ptr();
    let waiters = std::mem::take(&mut of(it)?.waiters);
    let mut error = None;
    for Waiter { function, context } in waiters {
        if outside(|| ask(c"run", &[context.as_ptr(), function.as_ptr(), it])).is_err() {
            let before = error.replace(raised_or_none());
            if before.is_some() {
                restore(before);
                cannot_raise(it);
            }
        }
    }
    if error.is_some() {
        restore(error);
        return Err(Raised);
    }
    Ok(())
}

/// Asks the loop to tell those who wait: from its own thread, inside an entry of its queue's, or from whatever thread; once more in
/// its next turn, where it could not. Keeps the exception that is set.
pub(crate) unsafe fn told_later(woken: Woken, queue: Option<&Queue>) {
    let (before, it) = (raised(), woken.as_ptr());
    if schedule(it, queue.is_some_and(Queue::is_here)).is_err() {
        // A loop that is closed calls nobody.
        if !refused() {
            cannot_raise(it);
            if let Some(queue) = queue {
                queue.put_back([woken]);
            }
        }
    }
    restore(before);
}

unsafe fn schedule(it: *mut PyObject, is_here: bool) -> Result<()> {
    let call = attribute(of(it)?.object.as_ptr(), if is_here { c"call_soon" } else { c"call_soon_threadsafe" })?;
    let named = names()?.of_call_soon.as_ptr();
    let mut waiters = std::mem::take(&mut of(it)?.waiters).into_iter();
    while let Some(waiter) = waiters.next() {
        let arguments = [waiter.function.as_ptr(), it, waiter.context.as_ptr()];
        let said = Owned::steal(ffi::PyObject_Vectorcall(call.as_ptr(), arguments.as_ptr(), 2, named));
        if said.is_err() {
            of(it)?.waiters.extend([waiter].into_iter().chain(waiters));
            return Err(Raised);
        }
    }
    Ok(())
}

/// The one argument of a call that may come by its name.
unsafe fn one_named(
    args: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    named: *mut PyObject,
    first: usize,
) -> Result<Owned> {
    let named = if named.is_null() { 0 } else { ffi::PyTuple_Size(named).cast_unsigned() };
    match (count.cast_unsigned().checked_sub(first), named) {
        (Some(0), 0) => Ok(none()),
        (Some(0), 1) | (Some(1), 0) => Ok(Owned::share(*args.add(first))),
        _ => Err(type_error(c"this is for asyncio's tasks, which give it other arguments")),
    }
}

unsafe extern "C" fn add_done_callback(
    it: *mut PyObject,
    args: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    named: *mut PyObject,
) -> *mut PyObject {
    answer(entry(|| {
        let context = one_named(args, count, named, 1)?;
        let is_none = ptr::eq(context.as_ptr(), ffi::Py_None());
        let context = if is_none { current_context()?.share() } else { context };
        let waiter = Waiter { function: Owned::share(*args), context };
        let of = of(it)?;
        of.waiters.push(waiter);
        if !matches!(of.stage, Stage::Pending) {
            schedule(it, true)?;
        }
        Ok(none())
    }))
}

unsafe extern "C" fn cancel(
    it: *mut PyObject,
    args: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    named: *mut PyObject,
) -> *mut PyObject {
    answer(entry(|| {
        let message = one_named(args, count, named, 0)?;
        let of = of(it)?;
        if !matches!(of.stage, Stage::Pending) {
            return Ok(boolean(false));
        }
        of.stage = Stage::Cancelled(message);
        schedule(it, true)?;
        Ok(boolean(true))
    }))
}

unsafe extern "C" fn get_loop(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(of(it).map(|of| of.object.clone()))
}

unsafe extern "C" fn cancelled(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(of(it).map(|of| boolean(matches!(of.stage, Stage::Cancelled(_)))))
}

unsafe extern "C" fn done(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(of(it).map(|of| boolean(!matches!(of.stage, Stage::Pending))))
}

unsafe extern "C" fn result(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(of(it).and_then(|of| match &of.stage {
        Stage::Pending => Err(raise(ffi::PyExc_RuntimeError, "the answer has not come yet")),
        Stage::Answered => Ok(none()),
        Stage::Cancelled(message) => {
            let (kind, arguments) = (names()?.cancelled_error.as_ptr(), [message.as_ptr()]);
            let count = usize::from(!ptr::eq(message.as_ptr(), ffi::Py_None()));
            let error = Owned::steal(ffi::PyObject_Vectorcall(kind, arguments.as_ptr(), count, ptr::null_mut()))?;
            ffi::PyErr_SetObject(kind, error.as_ptr());
            Err(Raised)
        }
    }))
}

unsafe extern "C" fn is_blocking(it: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    answer(of(it).map(|of| boolean(of.is_blocking)))
}

unsafe extern "C" fn set_blocking(it: *mut PyObject, value: *mut PyObject, _: *mut c_void) -> c_int {
    match of(it) {
        Ok(of) => {
            of.is_blocking = ptr::eq(value, ffi::Py_True());
            0
        }
        Err(Raised) => -1,
    }
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    let said = visit(ffi::Py_TYPE(it).cast(), data);
    let of = (*it.cast::<Future>()).of.as_ref().filter(|_| said == 0);
    let Some(of) = of else { return said };
    let message = if let Stage::Cancelled(message) = &of.stage { Some(message) } else { None };
    let held = of.waiters.iter().flat_map(|waiter| [&waiter.function, &waiter.context]);
    let mut shown = held.chain([&of.object]).chain(message).map(|object| visit(object.as_ptr(), data));
    shown.find(|said| *said != 0).unwrap_or(0)
}

unsafe extern "C" fn clear(it: *mut PyObject) -> c_int {
    quietly(|| drop((*it.cast::<Future>()).of.take()));
    0
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(it.cast());
    clear(it);
    types::free(it);
}
