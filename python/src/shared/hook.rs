//! A callable of Python's that runs a closure of ours: what a loop is given to call.

use std::ffi::{c_int, c_void};

use pyo3_ffi as ffi;

use super::attached::{entry, quietly};
use crate::owned::{Owned, PyObject, Result, answer, none};
use crate::types::{self, Kind, slot};

type Run = Box<dyn Fn() -> Result<()> + Send + Sync>;

/// What it refers to is Rust's alone, so that the collector of cycles has nothing to see.
#[repr(C)]
struct Hook {
    base: ffi::PyObject,
    run: Option<Run>,
}

static TYPE: Kind = Kind::new();

pub(crate) unsafe fn make_type() -> Result<Owned> {
    let slots = vec![
        slot(ffi::Py_tp_call, call as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
    ];
    TYPE.make(c"tierce._tierce.Hook", size_of::<Hook>(), slots)
}

/// A callable that takes any arguments and returns None.
pub(crate) unsafe fn hook(run: impl Fn() -> Result<()> + Send + Sync + 'static) -> Result<Owned> {
    let made = types::allocate(TYPE.get())?;
    (&raw mut (*made.as_ptr().cast::<Hook>()).run).write(Some(Box::new(run)));
    Ok(made)
}

unsafe extern "C" fn call(it: *mut PyObject, _: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        if let Some(run) = &(*it.cast::<Hook>()).run {
            run()?;
        }
        Ok(none())
    }))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    visit(ffi::Py_TYPE(it).cast(), data)
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(it.cast());
    quietly(|| drop((*it.cast::<Hook>()).run.take()));
    types::free(it);
}
