//! The type `Hub`: what the caches of functions share.

use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3_ffi as ffi;
use tierce::Hub;

use super::attached::{entry, quietly};
use super::tags;
use super::verbs::at_once;
use crate::owned::{Owned, PyObject, Result, answer, none, type_error, value_error};
use crate::ready::ready;
use crate::types::{self, Kind, keep, of_one, slot};

#[repr(C)]
struct Shown {
    base: ffi::PyObject,
    hub: Option<Hub>,
}

static TYPE: Kind = Kind::new();

pub(crate) unsafe fn make_type() -> Result<Owned> {
    let methods = vec![
        of_one(
            c"invalidate_tag",
            invalidate_tag,
            c"invalidate_tag($self, tag, /)\n--\n\nEnd all that has this tag, and all loads that will turn out to have it. To be awaited.",
        ),
        // SAFETY: a table of methods ends with zeros.
        std::mem::zeroed(),
    ];
    let doc = c"Hub()\n--\n\nWhat cached functions share: tags, and a place for their values, in this process.";
    let slots = vec![
        slot(ffi::Py_tp_doc, doc.as_ptr() as *mut c_void),
        slot(ffi::Py_tp_new, new as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_methods, keep(methods)),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC;
    let made = types::make(c"tierce._tierce.Hub", size_of::<Shown>(), flags, slots)?;
    TYPE.hold(&made);
    Ok(made)
}

/// The hub of an object that is one.
pub(crate) unsafe fn hub(object: *mut PyObject) -> Result<Hub> {
    if !TYPE.is_of(object) {
        return Err(type_error(c"a hub is needed"));
    }
    (*object.cast::<Shown>()).hub.clone().ok_or_else(|| type_error(c"the hub was collected"))
}

unsafe extern "C" fn new(kind: *mut ffi::PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        if ffi::PyTuple_Size(args) > 0 || !kwargs.is_null() && ffi::PyDict_Size(kwargs) > 0 {
            return Err(type_error(c"Hub() takes no arguments"));
        }
        let made = types::allocate(kind)?;
        (&raw mut (*made.as_ptr().cast::<Shown>()).hub).write(Some(Hub::embedded()));
        Ok(made)
    }))
}

unsafe extern "C" fn invalidate_tag(it: *mut PyObject, tag: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let (hub, kept) = (hub(it)?, tags::one(tag)?);
        let tag = kept.first().map_or("", |tag| tag);
        match at_once(hub.invalidate_tag(tag))? {
            Ok(()) => ready(none()),
            Err(error) => Err(value_error(&error.to_string())),
        }
    }))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    visit(ffi::Py_TYPE(it).cast(), data)
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(it.cast());
    quietly(|| drop(ptr::replace(&raw mut (*it.cast::<Shown>()).hub, None)));
    types::free(it);
}
