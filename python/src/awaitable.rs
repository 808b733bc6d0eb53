//! What the types of awaitables share: they are used as coroutines are, and end like them.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use pyo3_ffi as ffi;

use crate::owned::{Owned, PyObject, Raised, Result};
use crate::types::{self, AM_SEND, Kind, keep, of_one, plain, slot};

/// `PySendResult`.
pub(crate) const RETURNED: c_int = 0;
pub(crate) const FAILED: c_int = -1;
pub(crate) const NEXT: c_int = 1;

/// Those that have their value already (`ready.rs`).
pub(crate) static READY: Kind = Kind::new();
/// Those that may have to wait for it (`shared/lookup.rs`).
pub(crate) static LOOKUP: Kind = Kind::new();

pub(crate) unsafe fn is_ready(object: *mut PyObject) -> bool {
    ptr::eq(ffi::Py_TYPE(object), READY.get())
}

pub(crate) unsafe fn is_lookup(object: *mut PyObject) -> bool {
    ptr::eq(ffi::Py_TYPE(object), LOOKUP.get())
}

/// What one of them does.
pub(crate) struct Plan {
    pub(crate) doc: &'static CStr,
    pub(crate) send: unsafe extern "C" fn(*mut PyObject, *mut PyObject) -> *mut PyObject,
    pub(crate) send_fast: unsafe extern "C" fn(*mut PyObject, *mut PyObject, *mut *mut PyObject) -> c_int,
    pub(crate) next: ffi::iternextfunc,
    pub(crate) throw: unsafe extern "C" fn(*mut PyObject, *mut *mut PyObject, ffi::Py_ssize_t) -> *mut PyObject,
    pub(crate) close: unsafe extern "C" fn(*mut PyObject, *mut PyObject) -> *mut PyObject,
    pub(crate) traverse: ffi::traverseproc,
    pub(crate) clear: ffi::inquiry,
    pub(crate) dealloc: ffi::destructor,
}

/// The slots of such a type.
pub(crate) fn slots(plan: &Plan) -> Vec<ffi::PyType_Slot> {
    let methods = vec![
        of_one(c"send", plan.send, c"send($self, value, /)\n--\n\nGo on, as a coroutine does."),
        types::method(
            c"throw",
            ffi::PyMethodDefPointer { PyCFunctionFast: plan.throw },
            ffi::METH_FASTCALL,
            c"throw($self, type, value=None, traceback=None, /)\n--\n\nRaise the exception where it waits, as a coroutine that does not catch it.",
        ),
        plain(c"close", plan.close, c"close($self, /)\n--\n\nGive it up."),
        // SAFETY: a table of methods ends with zeros.
        unsafe { std::mem::zeroed() },
    ];
    vec![
        slot(ffi::Py_tp_doc, plan.doc.as_ptr() as *mut c_void),
        slot(ffi::Py_tp_dealloc, plan.dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, plan.traverse as *mut c_void),
        slot(ffi::Py_tp_clear, plan.clear as *mut c_void),
        slot(ffi::Py_am_await, myself as *mut c_void),
        slot(ffi::Py_tp_iter, myself as *mut c_void),
        slot(ffi::Py_tp_iternext, plan.next as *mut c_void),
        slot(AM_SEND, plan.send_fast as *mut c_void),
        slot(ffi::Py_tp_methods, keep(methods)),
    ]
}

unsafe extern "C" fn myself(it: *mut PyObject) -> *mut PyObject {
    Owned::share(it).into_ptr()
}

/// It was awaited before.
#[cold]
pub(crate) unsafe fn reused() -> Raised {
    ffi::PyErr_SetString(ffi::PyExc_RuntimeError, c"cannot reuse already awaited coroutine".as_ptr());
    Raised
}

/// What `am_send` answers with, of a value or an error.
#[inline]
pub(crate) unsafe fn sent(step: Result<(c_int, Owned)>, result: *mut *mut PyObject) -> c_int {
    match step {
        Ok((code, object)) => {
            *result = object.into_ptr();
            code
        }
        Err(Raised) => {
            *result = ptr::null_mut();
            FAILED
        }
    }
}

/// Raises what `throw` was given: an exception, or its type, value and traceback.
pub(crate) unsafe fn raise_given(args: *mut *mut PyObject, count: ffi::Py_ssize_t) {
    if count == 0 {
        ffi::PyErr_SetString(ffi::PyExc_TypeError, c"throw() takes an exception".as_ptr());
        return;
    }
    let (kind, value) = (*args, if count > 1 { *args.add(1) } else { ffi::Py_None() });
    if ffi::PyExceptionInstance_Check(kind) != 0 {
        ffi::PyErr_SetObject(ffi::Py_TYPE(kind).cast(), kind);
    } else if ptr::eq(value, ffi::Py_None()) {
        ffi::PyErr_SetNone(kind);
    } else {
        ffi::PyErr_SetObject(kind, value);
    }
}
