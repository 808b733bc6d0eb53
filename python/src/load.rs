//! The load of a plain function, from its flight's boarding to its end, in one step of C.
//!
//! A signal's handler runs between two steps of Python code. If it raised between a flight's boarding and its end, those who
//! wait would wait for ever. And a load has no frame of Python's beside the function's own, so that a function which calls
//! itself does so as often as with `functools` before that is an error.

use std::ffi::CStr;
use std::ptr;

use pyo3_ffi as ffi;

use crate::memo::{Memo, collected, copied};
use crate::owned::{Owned, PyObject, Raised, Result, answer, ask, attribute, boolean, call, integer, type_error};
use crate::raised::{raised, restore};
use crate::verbs::{Args, Count, HIT, JOIN, LEAD, decide, exactly, stand_and_keep, take_out, weight_of};

/// What is called, and under which key its result is kept.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) key: *mut PyObject,
    /// A tuple.
    pub(crate) positional: *mut PyObject,
    /// A dict.
    pub(crate) named: *mut PyObject,
    /// Whether what memory has does not do.
    pub(crate) renew: bool,
}

pub(crate) unsafe extern "C" fn load_now(
    it: *mut PyObject,
    args: Args,
    count: Count,
    _: *mut PyObject,
) -> *mut PyObject {
    let result = exactly(args, count).and_then(|[key, positional, named, renew]| {
        look_at_call(positional, named)?;
        load(it.cast(), Asked { key, positional, named, renew: ptr::eq(renew, ffi::Py_True()) })
    });
    answer(result)
}

/// What memory does not answer: an async function's coroutine is the face's, a plain function is loaded here.
pub(crate) unsafe fn load(it: *mut Memo, asked: Asked) -> Result<Owned> {
    let slow = (*it).slow.clone().ok_or_else(|| collected())?;
    if (*it).is_async {
        let Asked { key, positional, named, renew } = asked;
        let renew = boolean(renew);
        return call(slow.as_ptr(), [it.cast(), key, positional, named, renew.as_ptr()]);
    }
    if ffi::Py_EnterRecursiveCall(c" while calling a cached function".as_ptr()) != 0 {
        return Err(Raised);
    }
    let found = load_plain(it, &Face::of(slow.as_ptr()), asked);
    ffi::Py_LeaveRecursiveCall();
    found
}

/// What the face does of a plain function's load (`flight.py`).
struct Face {
    /// Makes a flight; tells the load that asks for it, or None, and the list to write it in, or None.
    board: *mut PyObject,
    /// Waits for another's flight; False if that brought nothing.
    wait: *mut PyObject,
    /// Say, and set, which flight's load runs here.
    get: *mut PyObject,
    set: *mut PyObject,
}

impl Face {
    unsafe fn of(slow: *mut PyObject) -> Face {
        let at = |place| ffi::PyTuple_GetItem(slow, place);
        Face { board: at(0), wait: at(1), get: at(2), set: at(3) }
    }
}

unsafe fn load_plain(it: *mut Memo, face: &Face, asked: Asked) -> Result<Owned> {
    let boarded = call(face.board, [])?;
    let at = |place| ffi::PyTuple_GetItem(boarded.as_ptr(), place);
    let (flight, parent, waits) = (at(0), at(1), at(2));
    loop {
        let (said, found) = led_by_name(it, face, flight, waits, asked)?;
        if said != JOIN {
            return Ok(found);
        }
        let brought = call(face.wait, [it.cast(), found.as_ptr(), parent])?;
        if ptr::eq(brought.as_ptr(), ffi::Py_True()) {
            return copied(it, attribute(found.as_ptr(), c"value")?);
        }
    }
}

/// `led`, while the face knows whose load runs here, and what the one that asks waits for.
unsafe fn led_by_name(
    it: *mut Memo,
    face: &Face,
    flight: *mut PyObject,
    waits: *mut PyObject,
    asked: Asked,
) -> Result<(u64, Owned)> {
    let before = call(face.get, [])?;
    call(face.set, [flight])?;
    let is_written = !ptr::eq(waits, ffi::Py_None());
    let result = if is_written && ffi::PyList_Append(waits, flight) < 0 { Err(Raised) } else { led(it, flight, asked) };
    let error = if result.is_err() { raised() } else { None };
    if is_written {
        strike(waits, flight);
    }
    if call(face.set, [before.as_ptr()]).is_err() {
        // There is no memory for what tells how it was.
        ffi::PyErr_WriteUnraisable(it.cast());
    }
    restore(error);
    result
}

/// Takes the last mention of a flight out of a list.
unsafe fn strike(waits: *mut PyObject, flight: *mut PyObject) {
    let count = ffi::PyList_Size(waits);
    let found = (0..count).rev().find(|at| ptr::eq(ffi::PyList_GetItem(waits, *at), flight));
    if let Some(at) = found {
        ffi::PyList_SetSlice(waits, at, at + 1, ptr::null_mut());
    }
}

/// A plain function's way past memory: joins, or leads to the end, or serves what is stale and has it refreshed behind.
unsafe fn led(it: *mut Memo, flight: *mut PyObject, asked: Asked) -> Result<(u64, Owned)> {
    let Asked { key, positional, named, renew } = asked;
    let (said, found) = decide(it, key, flight, renew)?;
    let found = match said {
        LEAD => run_and_land(it, key, flight, positional, named)?,
        JOIN => found,
        HIT => copied(it, found)?,
        _ => {
            if let Err(Raised) = ask(c"_behind", &[it.cast(), key, flight, positional, named]) {
                // A signal's handler: where no thread can be had, the face says so itself.
                let error = raised();
                give_up(it, key, flight, error.as_ref());
                restore(error);
                return Err(Raised);
            }
            copied(it, found)?
        }
    };
    Ok((said, found))
}

pub(crate) unsafe extern "C" fn run(it: *mut PyObject, args: Args, count: Count, _: *mut PyObject) -> *mut PyObject {
    let result = exactly(args, count).and_then(|[key, flight, positional, named]| {
        look_at_call(positional, named)?;
        run_and_land(it.cast(), key, flight, positional, named)
    });
    answer(result)
}

/// CPython itself does not look at what a function is called with.
unsafe fn look_at_call(positional: *mut PyObject, named: *mut PyObject) -> Result<()> {
    if ffi::PyTuple_Check(positional) == 0 || ffi::PyDict_Check(named) == 0 {
        return Err(type_error(c"a tuple of arguments and a dict of those by name are needed"));
    }
    Ok(())
}

/// A plain function's load, from the call to the end of its flight.
unsafe fn run_and_land(
    it: *mut Memo,
    key: *mut PyObject,
    flight: *mut PyObject,
    positional: *mut PyObject,
    named: *mut PyObject,
) -> Result<Owned> {
    match call_and_keep(it, key, flight, positional, named) {
        Ok(value) => {
            publish(flight, c"value", value.as_ptr());
            copied(it, value)
        }
        Err(Raised) => {
            let error = raised();
            end(it, key, flight, error.as_ref());
            restore(error);
            Err(Raised)
        }
    }
}

pub(crate) unsafe extern "C" fn claim(_: *mut PyObject, flight: *mut PyObject) -> *mut PyObject {
    answer(claimed(flight).map(|is_ours| boolean(is_ours)))
}

/// Makes a flight that is nobody's ours: who does so runs it, and nobody else. The face's flights have these names in slots,
/// so that nothing else runs between the look and the change.
unsafe fn claimed(flight: *mut PyObject) -> Result<bool> {
    let thread = attribute(flight, c"thread")?;
    if !ptr::eq(thread.as_ptr(), ffi::Py_None()) {
        return Ok(false);
    }
    let here = integer(ffi::PyThread_get_thread_ident())?;
    if ffi::PyObject_SetAttrString(flight, c"thread".as_ptr(), here.as_ptr()) < 0 { Err(Raised) } else { Ok(true) }
}

pub(crate) unsafe extern "C" fn give_up_now(
    it: *mut PyObject,
    args: Args,
    count: Count,
    _: *mut PyObject,
) -> *mut PyObject {
    let result = exactly(args, count).map(|[key, flight, error]| {
        let error = (!ptr::eq(error, ffi::Py_None())).then(|| Owned::share(error));
        boolean(give_up(it.cast(), key, flight, error.as_ref()))
    });
    answer(result)
}

/// Ends a flight that brings nothing, if it is ours or nobody's, and has not ended. Whether it was so.
unsafe fn give_up(it: *mut Memo, key: *mut PyObject, flight: *mut PyObject, error: Option<&Owned>) -> bool {
    match may_give_up(flight) {
        Ok(true) => end(it, key, flight, error),
        Ok(false) => return false,
        Err(Raised) => ffi::PyErr_WriteUnraisable(flight),
    }
    true
}

unsafe fn may_give_up(flight: *mut PyObject) -> Result<bool> {
    let thread = attribute(flight, c"thread")?;
    let here = integer(ffi::PyThread_get_thread_ident())?;
    let is_ours = claimed(flight)? || ffi::PyObject_RichCompareBool(thread.as_ptr(), here.as_ptr(), ffi::Py_EQ) == 1;
    let closed = ask(c"locked", &[attribute(flight, c"gate")?.as_ptr()])?;
    Ok(is_ours && ptr::eq(closed.as_ptr(), ffi::Py_True()))
}

/// Ends a flight that brings nothing; those who wait hear why.
unsafe fn end(it: *mut Memo, key: *mut PyObject, flight: *mut PyObject, error: Option<&Owned>) {
    if take_out(it, key, flight).is_err() {
        // The key was collected, and its table with it.
        ffi::PyErr_Clear();
    }
    if let Some(error) = error
        && let Ok(traceback) = Owned::steal(ffi::PyException_GetTraceback(error.as_ptr()))
        && ffi::PyObject_SetAttrString(flight, c"traceback".as_ptr(), traceback.as_ptr()) < 0
    {
        ffi::PyErr_WriteUnraisable(flight);
    }
    publish(flight, c"error", error.map_or(ffi::Py_None(), Owned::as_ptr));
}

/// Tells those who wait, and opens the gate. The face's flights have these names, so that nothing here fails.
unsafe fn publish(flight: *mut PyObject, what: &CStr, value: *mut PyObject) {
    let told = ffi::PyObject_SetAttrString(flight, what.as_ptr(), value);
    let opened = attribute(flight, c"gate").and_then(|gate| ask(c"release", &[gate.as_ptr()]));
    if told < 0 || opened.is_err() {
        ffi::PyErr_WriteUnraisable(flight);
    }
}

unsafe fn call_and_keep(
    it: *mut Memo,
    key: *mut PyObject,
    flight: *mut PyObject,
    positional: *mut PyObject,
    named: *mut PyObject,
) -> Result<Owned> {
    let function = (*it).function.clone().ok_or_else(|| type_error(c"the cached function was collected"))?;
    let value = Owned::steal(ffi::PyObject_Call(function.as_ptr(), positional, named))?;
    let keep = attribute(it.cast(), c"_keep")?;
    let (value, weight) = if ptr::eq(keep.as_ptr(), ffi::Py_None()) {
        (value, 1)
    } else {
        let arguments = [value.as_ptr()];
        let kept = Owned::steal(ffi::PyObject_Vectorcall(keep.as_ptr(), arguments.as_ptr(), 1, ptr::null_mut()))?;
        if ffi::PyTuple_Check(kept.as_ptr()) == 0 || ffi::PyTuple_Size(kept.as_ptr()) != 2 {
            return Err(type_error(c"a value and its weight are needed"));
        }
        let value = Owned::share(ffi::PyTuple_GetItem(kept.as_ptr(), 0));
        (value, weight_of(ffi::PyTuple_GetItem(kept.as_ptr(), 1))?)
    };
    stand_and_keep(it, key, flight, &value, weight)?;
    Ok(value)
}
