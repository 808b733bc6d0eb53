//! What the types of cached functions share: they are called by vectorcall, have a `__dict__` and weak references, and are
//! bound to instances as plain functions are.

use std::ffi::{CStr, c_int, c_void};
use std::mem::offset_of;
use std::ptr;

use pyo3_ffi as ffi;

use crate::chain::free_in_turn;
use crate::owned::{Owned, PyObject, Raised, Result};
use crate::types::{self, END_OF_MEMBERS, keep, offset, slot};

/// How each of them begins.
#[repr(C)]
pub(crate) struct Head {
    base: ffi::PyObject,
    pub(crate) vectorcall: Option<ffi::vectorcallfunc>,
    dict: *mut PyObject,
    weak_references: *mut PyObject,
}

/// What one of them is made of beside that.
pub(crate) struct Plan {
    pub(crate) name: &'static CStr,
    pub(crate) doc: &'static CStr,
    pub(crate) size: usize,
    pub(crate) flags: u64,
    pub(crate) new: ffi::newfunc,
    pub(crate) bind: ffi::descrgetfunc,
    pub(crate) traverse: ffi::traverseproc,
    pub(crate) clear: ffi::inquiry,
    pub(crate) dealloc: ffi::destructor,
    pub(crate) methods: Vec<ffi::PyMethodDef>,
    /// What `__class__` says, for a type that stands for another.
    pub(crate) class: Option<ffi::getter>,
}

pub(crate) unsafe fn make_type(plan: Plan) -> Result<Owned> {
    let members = vec![
        offset(c"__vectorcalloffset__", offset_of!(Head, vectorcall)),
        offset(c"__dictoffset__", offset_of!(Head, dict)),
        offset(c"__weaklistoffset__", offset_of!(Head, weak_references)),
        END_OF_MEMBERS,
    ];
    let attribute = |name: &'static CStr, get, set| ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get),
        set,
        doc: ptr::null(),
        closure: ptr::null_mut(),
    };
    let mut attributes = vec![attribute(c"__dict__", ffi::PyObject_GenericGetDict, Some(ffi::PyObject_GenericSetDict))];
    attributes.extend(plan.class.map(|class| attribute(c"__class__", class, None)));
    // SAFETY: a table of attributes ends with zeros.
    attributes.push(std::mem::zeroed());
    let slots = vec![
        slot(ffi::Py_tp_doc, plan.doc.as_ptr() as *mut c_void),
        slot(ffi::Py_tp_new, plan.new as *mut c_void),
        slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void),
        slot(ffi::Py_tp_descr_get, plan.bind as *mut c_void),
        slot(ffi::Py_tp_traverse, plan.traverse as *mut c_void),
        slot(ffi::Py_tp_clear, plan.clear as *mut c_void),
        slot(ffi::Py_tp_dealloc, plan.dealloc as *mut c_void),
        slot(ffi::Py_tp_members, keep(members)),
        slot(ffi::Py_tp_methods, keep(plan.methods)),
        slot(ffi::Py_tp_getset, keep(attributes)),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT
        | ffi::Py_TPFLAGS_HAVE_GC
        | types::HAVE_VECTORCALL
        | ffi::Py_TPFLAGS_METHOD_DESCRIPTOR
        | plan.flags;
    types::make(plan.name, plan.size, flags, slots)
}

/// Calls what is behind the cache. One that calls itself without end is an error, and no overflow of the stack.
pub(crate) unsafe fn run(
    function: Owned,
    args: *const *mut PyObject,
    flags: usize,
    names: *mut PyObject,
) -> Result<Owned> {
    if ffi::Py_EnterRecursiveCall(c" while calling a cached function".as_ptr()) != 0 {
        return Err(Raised);
    }
    let value = ffi::PyObject_Vectorcall(function.as_ptr(), args, flags, names);
    ffi::Py_LeaveRecursiveCall();
    Owned::steal(value)
}

/// Shows the collector of cycles the type, the `__dict__` and `more`, until one says to stop.
pub(crate) unsafe fn show(
    it: *mut PyObject,
    more: impl Iterator<Item = *mut PyObject>,
    show: &mut impl FnMut(*mut PyObject) -> c_int,
) -> c_int {
    let own = [ffi::Py_TYPE(it).cast(), (*it.cast::<Head>()).dict];
    own.into_iter().chain(more).filter(|object| !object.is_null()).map(show).find(|said| *said != 0).unwrap_or(0)
}

/// Gives the `__dict__` up, which may run anything.
pub(crate) unsafe fn clear(it: *mut PyObject) {
    let dict = std::mem::replace(&mut (*it.cast::<Head>()).dict, ptr::null_mut());
    ffi::Py_XDECREF(dict);
}

/// Lets one of them go: `free` gives up what it has of its own, and its memory.
pub(crate) unsafe fn dealloc(it: *mut PyObject, free: unsafe fn(*mut PyObject)) {
    ffi::PyObject_GC_UnTrack(it.cast());
    free_in_turn(it, free);
}

/// What `free` begins with.
pub(crate) unsafe fn forget_weak_references(it: *mut PyObject) {
    if !(*it.cast::<Head>()).weak_references.is_null() {
        ffi::PyObject_ClearWeakRefs(it);
    }
}
