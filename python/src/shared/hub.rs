//! The type `Hub`: what the caches of functions share.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use pyo3_ffi as ffi;
use tierce::__python::open;
use tierce::store::OnDisconnect;
use tierce::{Hub, HubBuilder as Builder};

use super::arrival::Arrival;
use super::attached::{entry, quietly};
use super::told::{self, Why};
use crate::owned::{Owned, PyObject, Raised, Result, answer, text_of, type_error};
use crate::types::{self, Kind, keep, slot};

#[repr(C)]
struct Shown {
    base: ffi::PyObject,
    hub: Option<Hub>,
    arrival: Option<Arc<Arrival>>,
}

static TYPE: Kind = Kind::new();

/// The type, with these methods.
pub(crate) unsafe fn make_type(methods: Vec<ffi::PyMethodDef>) -> Result<Owned> {
    let mut methods = methods;
    // SAFETY: a table of methods ends with zeros.
    methods.push(std::mem::zeroed());
    let doc = c"What cached functions share: tags, and a place for their values, in this process.";
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

/// The first answer of its store, for which lookups wait; none without a store.
pub(crate) unsafe fn arrival(object: *mut PyObject) -> Result<Option<Arc<Arrival>>> {
    hub(object)?;
    Ok((*object.cast::<Shown>()).arrival.clone())
}

/// `Hub(url, namespace, budget_ms, coherence_ms, memory_ms, serve_for_ms)`: for the face alone. Each may be None; nothing is
/// opened yet.
unsafe extern "C" fn new(kind: *mut ffi::PyTypeObject, args: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        if ffi::PyTuple_Size(args) != 6 {
            return Err(type_error(c"use tierce.Hub"));
        }
        let given = |place| {
            let object = ffi::PyTuple_GetItem(args, place);
            if ptr::eq(object, ffi::Py_None()) { Ok(None) } else { text_of(object).map(Some) }
        };
        let (url, namespace) = (given(0)?, given(1)?);
        let mut builder = Hub::builder();
        if let Some(namespace) = namespace {
            builder = builder.namespace(namespace);
        }
        let time = |place| {
            let object = ffi::PyTuple_GetItem(args, place);
            let is_said = !ptr::eq(object, ffi::Py_None());
            is_said.then(|| Duration::from_millis(ffi::PyLong_AsUnsignedLongLong(object)))
        };
        let (budget, coherence, memory, serve_for) = (time(2), time(3), time(4), time(5));
        if !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        builder = budget.into_iter().fold(builder, Builder::store_budget);
        builder = coherence.into_iter().fold(builder, Builder::coherence);
        builder = memory.into_iter().fold(builder, Builder::memory_age);
        if let Some(time) = serve_for {
            let what = if time.is_zero() { OnDisconnect::Bypass } else { OnDisconnect::ServeFor(time) };
            builder = builder.on_disconnect(what);
        }
        let hub = match url {
            Some(url) => open(builder, url),
            None => builder.try_build(),
        };
        let made = types::allocate(kind)?;
        let hub = hub.map_err(|error| told::raise(Why::Said(error)))?;
        let arrival = url.map(|_| Arrival::of(hub.clone()));
        let shown = made.as_ptr().cast::<Shown>();
        (&raw mut (*shown).hub).write(Some(hub));
        (&raw mut (*shown).arrival).write(arrival);
        Ok(made)
    }))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    visit(ffi::Py_TYPE(it).cast(), data)
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(it.cast());
    quietly(|| {
        let shown = it.cast::<Shown>();
        drop(((*shown).hub.take(), (*shown).arrival.take()));
    });
    types::free(it);
}
