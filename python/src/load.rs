//! The load of a plain function, from its flight's boarding to its end, in one step of C.
//!
//! A signal's handler runs between two steps of Python code. If it raised between a flight's boarding and its end, those who
//! wait would wait for ever.

use std::ffi::CStr;
use std::ptr;

use pyo3_ffi as ffi;

use crate::memo::{Memo, copied};
use crate::owned::{Owned, PyObject, Raised, Result, answer, ask, attribute, integer, tuple, type_error};
use crate::raised::{raised, restore};
use crate::verbs::{Args, Count, HIT, JOIN, LEAD, decide, exactly, stand_and_keep, take_out, weight_of};

pub(crate) unsafe extern "C" fn lead(it: *mut PyObject, args: Args, count: Count, _: *mut PyObject) -> *mut PyObject {
    answer(led(it.cast(), args, count))
}

/// A plain function's way past memory: joins, or leads to the end, or serves what is stale and has it refreshed behind.
unsafe fn led(it: *mut Memo, args: Args, count: Count) -> Result<Owned> {
    let [key, flight, positional, named, renew] = exactly(args, count)?;
    look_at_call(positional, named)?;
    let (said, found) = decide(it, key, flight, ptr::eq(renew, ffi::Py_True()))?;
    let found = match said {
        LEAD => run_and_land(it, key, flight, positional, named)?,
        JOIN => found,
        HIT => copied(it, found)?,
        _ => {
            if let Err(Raised) = ask(c"_behind", &[it.cast(), key, flight, positional, named]) {
                let error = raised();
                end(it, key, flight, error.as_ref());
                // The face has reported it. No thread could be had: the caller's value is in hand all the same.
                if !error.as_ref().is_some_and(|error| is_failure(error)) {
                    restore(error);
                    return Err(Raised);
                }
            }
            copied(it, found)?
        }
    };
    tuple([integer(said)?, found])
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

/// Whether an error is the work's own, and not a thread told to end.
unsafe fn is_failure(error: &Owned) -> bool {
    ffi::PyErr_GivenExceptionMatches(error.as_ptr(), ffi::PyExc_Exception) != 0
}

/// Ends a flight that brings nothing; those who wait hear why.
unsafe fn end(it: *mut Memo, key: *mut PyObject, flight: *mut PyObject, error: Option<&Owned>) {
    if take_out(it, key, flight).is_err() {
        // The key was collected, and its table with it.
        ffi::PyErr_Clear();
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
