//! Types made from slots, and what the types of this module share.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use pyo3_ffi as ffi;

use crate::owned::{Owned, PyObject, Result, attribute};

/// `Py_am_send`, which is in the limited API and has had this number from CPython 3.10 on.
pub(crate) const AM_SEND: c_int = 81;

/// `Py_TPFLAGS_HAVE_VECTORCALL`, in the limited API from 3.12 on.
pub(crate) const HAVE_VECTORCALL: u64 = 1 << 11;

/// `Py_TPFLAGS_DISALLOW_INSTANTIATION`: only this module makes objects of the type.
const NO_INSTANCES: u64 = 1 << 7;

/// `Py_T_PYSSIZET` and `Py_READONLY` of `structmember.h`.
const SIZE: c_int = 19;
const READ_ONLY: c_int = 1;

/// A slot of a type: which, and the function or table that fills it.
pub(crate) const fn slot(which: c_int, filled: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot: which, pfunc: filled }
}

/// The offset of a field that CPython itself uses: `__dictoffset__` and the like.
pub(crate) const fn offset(name: &'static CStr, bytes: usize) -> ffi::PyMemberDef {
    ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code: SIZE,
        offset: bytes as ffi::Py_ssize_t,
        flags: READ_ONLY,
        doc: ptr::null(),
    }
}

pub(crate) const END_OF_MEMBERS: ffi::PyMemberDef =
    ffi::PyMemberDef { name: ptr::null(), type_code: 0, offset: 0, flags: 0, doc: ptr::null() };

/// A method that takes no arguments.
pub(crate) const fn plain(
    name: &'static CStr,
    function: unsafe extern "C" fn(*mut PyObject, *mut PyObject) -> *mut PyObject,
    doc: &'static CStr,
) -> ffi::PyMethodDef {
    method(name, ffi::PyMethodDefPointer { PyCFunction: function }, ffi::METH_NOARGS, doc)
}

/// A method that takes one argument.
pub(crate) const fn of_one(
    name: &'static CStr,
    function: unsafe extern "C" fn(*mut PyObject, *mut PyObject) -> *mut PyObject,
    doc: &'static CStr,
) -> ffi::PyMethodDef {
    method(name, ffi::PyMethodDefPointer { PyCFunction: function }, ffi::METH_O, doc)
}

type Fast = unsafe extern "C" fn(*mut PyObject, *const *mut PyObject, ffi::Py_ssize_t, *mut PyObject) -> *mut PyObject;

/// A method that takes arguments as they come, named ones included.
pub(crate) const fn of_call(name: &'static CStr, function: Fast, doc: &'static CStr) -> ffi::PyMethodDef {
    let pointer = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: function };
    method(name, pointer, ffi::METH_FASTCALL | ffi::METH_KEYWORDS, doc)
}

pub(crate) const fn method(
    name: &'static CStr,
    function: ffi::PyMethodDefPointer,
    flags: c_int,
    doc: &'static CStr,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef { ml_name: name.as_ptr(), ml_meth: function, ml_flags: flags, ml_doc: doc.as_ptr() }
}

/// Makes a type. Its tables are leaked: a type of this module lives as long as the process.
pub(crate) unsafe fn make(name: &'static CStr, size: usize, flags: u64, slots: Vec<ffi::PyType_Slot>) -> Result<Owned> {
    let mut slots = slots;
    slots.push(slot(0, ptr::null_mut()));
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: size as c_int,
        itemsize: 0,
        flags: flags as std::ffi::c_uint,
        slots: slots.leak().as_mut_ptr(),
    };
    Owned::steal(ffi::PyType_FromSpec(&raw mut spec))
}

/// A type that this module knows again; it lives as long as the process.
pub(crate) struct Kind(AtomicPtr<ffi::PyTypeObject>);

impl Kind {
    pub(crate) const fn new() -> Kind {
        Kind(AtomicPtr::new(ptr::null_mut()))
    }

    /// Makes the type, of objects that the collector of cycles looks at and that Python makes none of.
    pub(crate) unsafe fn make(&self, name: &'static CStr, size: usize, slots: Vec<ffi::PyType_Slot>) -> Result<Owned> {
        let made = make(name, size, ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC | NO_INSTANCES, slots)?;
        self.hold(&made);
        Ok(made)
    }

    /// Remembers a type that was made otherwise.
    pub(crate) fn hold(&self, made: &Owned) {
        // A reference that is never given back.
        self.0.store(made.clone().into_ptr().cast(), Relaxed);
    }

    /// Whether an object is of this type, or of one derived from it.
    pub(crate) unsafe fn is_of(&self, object: *mut PyObject) -> bool {
        ffi::PyObject_TypeCheck(object, self.get()) != 0
    }

    #[inline]
    pub(crate) fn get(&self) -> *mut ffi::PyTypeObject {
        self.0.load(Relaxed)
    }
}

/// The tables of a type, for as long as the process lives.
pub(crate) fn keep<T>(table: Vec<T>) -> *mut c_void {
    table.leak().as_mut_ptr().cast()
}

/// A new object of a heap type, all zeros behind its head.
pub(crate) unsafe fn allocate(kind: *mut ffi::PyTypeObject) -> Result<Owned> {
    Owned::steal(ffi::PyType_GenericAlloc(kind, 0))
}

/// Gives the memory of an object back, and its reference to its type.
pub(crate) unsafe fn free(object: *mut PyObject) {
    let kind = ffi::Py_TYPE(object);
    ffi::PyObject_GC_Del(object.cast());
    ffi::Py_DECREF(kind.cast());
}

/// `function` bound to `instance`, as a plain function would be.
pub(crate) unsafe fn bind(function: *mut PyObject, instance: *mut PyObject) -> Result<Owned> {
    let types = Owned::steal(ffi::PyImport_ImportModule(c"types".as_ptr()))?;
    let bound = attribute(types.as_ptr(), c"MethodType")?;
    let arguments = [function, instance];
    Owned::steal(ffi::PyObject_Vectorcall(bound.as_ptr(), arguments.as_ptr(), 2, ptr::null_mut()))
}
