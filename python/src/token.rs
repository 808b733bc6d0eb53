//! A key as Python sees it: what `memo.key(...)` gives, and what the face hands back to the tables.

use std::ffi::{c_int, c_void};

use pyo3_ffi as ffi;

use crate::chain::free_in_turn;
use crate::key::{Key, View};
use crate::owned::{Owned, PyObject, Raised, Result, answer, boolean, is_exactly, tuple_of, type_error};
use crate::types::{self, Kind, slot};

#[repr(C)]
struct Token {
    base: ffi::PyObject,
    hash: u64,
    /// None once the collector of cycles has cleared it.
    key: Option<Key>,
}

static TYPE: Kind = Kind::new();

pub(crate) unsafe fn make_type() -> Result<Owned> {
    let doc = c"The key of one call of a cached function; two calls with equal keys share an entry.";
    let slots = vec![
        slot(ffi::Py_tp_doc, doc.as_ptr() as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_hash, hash as *mut c_void),
        slot(ffi::Py_tp_richcompare, compare as *mut c_void),
        slot(ffi::Py_tp_repr, repr as *mut c_void),
    ];
    TYPE.make(c"tierce._tierce.Key", size_of::<Token>(), slots)
}

/// A key that Python may keep.
pub(crate) unsafe fn token(view: View) -> Result<Owned> {
    let made = types::allocate(TYPE.get())?;
    let it = made.as_ptr().cast::<Token>();
    (&raw mut (*it).key).write(Some(view.to_key()));
    (*it).hash = view.hash;
    Ok(made)
}

/// A key that Python hands back. Whoever calls keeps the object for as long as he uses the view.
pub(crate) unsafe fn view<'a>(object: *mut PyObject) -> Result<View<'a>> {
    if !is_exactly(object, TYPE.get()) {
        return Err(type_error(c"a key of this function is needed: what its key() gives"));
    }
    let it = &*object.cast::<Token>();
    match &it.key {
        Some(key) => Ok(key.view(it.hash)),
        None => Err(type_error(c"the key was collected")),
    }
}

unsafe extern "C" fn hash(it: *mut PyObject) -> ffi::Py_hash_t {
    match (*it.cast::<Token>()).hash as ffi::Py_hash_t {
        // -1 says that an error was raised.
        -1 => -2,
        hash => hash,
    }
}

unsafe extern "C" fn compare(it: *mut PyObject, other: *mut PyObject, how: c_int) -> *mut PyObject {
    answer(equal(it, other, how))
}

unsafe fn equal(it: *mut PyObject, other: *mut PyObject, how: c_int) -> Result<Owned> {
    if !is_exactly(other, TYPE.get()) || (how != ffi::Py_EQ && how != ffi::Py_NE) {
        return Ok(Owned::share(ffi::Py_NotImplemented()));
    }
    let view = view(other)?;
    let mine = &*it.cast::<Token>();
    let same = match &mine.key {
        Some(key) if mine.hash == view.hash => key.clone().same(&view)?,
        _ => false,
    };
    Ok(boolean(same == (how == ffi::Py_EQ)))
}

unsafe extern "C" fn repr(it: *mut PyObject) -> *mut PyObject {
    answer(text(it))
}

unsafe fn text(it: *mut PyObject) -> Result<Owned> {
    let parts = match &(*it.cast::<Token>()).key {
        None => return Err(Raised),
        Some(Key::Int(value)) => {
            let value = Owned::steal(ffi::PyLong_FromLongLong(*value))?;
            tuple_of(&[value.as_ptr()])?
        }
        Some(Key::Bare(object)) => tuple_of(&[object.as_ptr()])?,
        Some(Key::Parts(parts)) => tuple_of(parts.items())?,
    };
    Owned::steal(ffi::PyUnicode_FromFormat(c"Key%R".as_ptr(), parts.as_ptr()))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    let said = visit(ffi::Py_TYPE(it).cast(), data);
    if said != 0 {
        return said;
    }
    let objects = (*it.cast::<Token>()).key.as_ref().map_or(&[][..], Key::objects);
    objects.iter().map(|object| visit(*object, data)).find(|said| *said != 0).unwrap_or(0)
}

unsafe extern "C" fn clear(it: *mut PyObject) -> c_int {
    let gone = (*it.cast::<Token>()).key.take();
    drop(gone);
    0
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(it.cast());
    match (*it.cast::<Token>()).key {
        // Its parts may be keys again.
        Some(Key::Parts(_)) => free_in_turn(it, free),
        _ => free(it),
    }
}

unsafe fn free(it: *mut PyObject) {
    clear(it);
    types::free(it);
}
