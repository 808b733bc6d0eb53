//! One reference to an object that we own, and short words for what is asked of CPython often.

use std::ffi::CStr;
use std::ptr::{self, NonNull};

use pyo3_ffi as ffi;
pub(crate) use pyo3_ffi::PyObject;

use crate::interned::interned;

/// Python has an exception set; the call into us fails with it.
pub(crate) struct Raised;

pub(crate) type Result<T> = std::result::Result<T, Raised>;

/// A reference that is given back when it is dropped. To drop one may run any Python code.
pub(crate) struct Owned(NonNull<PyObject>);

impl Owned {
    /// Takes over a reference that a call into CPython has given; null means that it raised.
    pub(crate) unsafe fn steal(object: *mut PyObject) -> Result<Owned> {
        NonNull::new(object).map(Owned).ok_or(Raised)
    }

    /// A reference of our own to an object that somebody else keeps alive.
    #[inline]
    pub(crate) unsafe fn share(object: *mut PyObject) -> Owned {
        ffi::Py_INCREF(object);
        Owned(NonNull::new_unchecked(object))
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut PyObject {
        self.0.as_ptr()
    }

    /// Gives the reference to whoever called.
    #[inline]
    pub(crate) fn into_ptr(self) -> *mut PyObject {
        let object = self.0.as_ptr();
        std::mem::forget(self);
        object
    }
}

impl Clone for Owned {
    fn clone(&self) -> Self {
        // SAFETY: the object is alive, since we own a reference to it.
        unsafe { Owned::share(self.as_ptr()) }
    }
}

impl Drop for Owned {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and is given back once.
        unsafe { ffi::Py_DECREF(self.as_ptr()) }
    }
}

/// What a function that CPython calls gives back.
pub(crate) fn answer(result: Result<Owned>) -> *mut PyObject {
    result.map_or(ptr::null_mut(), Owned::into_ptr)
}

#[inline]
pub(crate) unsafe fn none() -> Owned {
    Owned::share(ffi::Py_None())
}

pub(crate) unsafe fn boolean(value: bool) -> Owned {
    Owned::share(if value { ffi::Py_True() } else { ffi::Py_False() })
}

/// Sets a `TypeError` with a sentence.
pub(crate) unsafe fn type_error(sentence: &CStr) -> Raised {
    ffi::PyErr_SetString(ffi::PyExc_TypeError, sentence.as_ptr());
    Raised
}

/// The same with a `ValueError`.
pub(crate) unsafe fn value_error(sentence: &str) -> Raised {
    raise(ffi::PyExc_ValueError, sentence)
}

/// Sets an exception of this kind with a sentence.
pub(crate) unsafe fn raise(kind: *mut PyObject, sentence: &str) -> Raised {
    if let Ok(sentence) = text(sentence) {
        ffi::PyErr_SetObject(kind, sentence.as_ptr());
    }
    Raised
}

unsafe fn name_of(name: &'static CStr) -> Result<*mut PyObject> {
    let name = interned(name);
    if name.is_null() { Err(Raised) } else { Ok(name) }
}

pub(crate) unsafe fn attribute(object: *mut PyObject, name: &'static CStr) -> Result<Owned> {
    Owned::steal(ffi::PyObject_GetAttr(object, name_of(name)?))
}

/// Calls it with these arguments.
pub(crate) unsafe fn call<const N: usize>(function: *mut PyObject, arguments: [*mut PyObject; N]) -> Result<Owned> {
    Owned::steal(ffi::PyObject_Vectorcall(function, arguments.as_ptr(), N, ptr::null_mut()))
}

/// Calls a method of the first argument with the rest.
pub(crate) unsafe fn ask(name: &'static CStr, arguments: &[*mut PyObject]) -> Result<Owned> {
    let (name, count) = (name_of(name)?, arguments.len());
    Owned::steal(ffi::PyObject_VectorcallMethod(name, arguments.as_ptr(), count, ptr::null_mut()))
}

pub(crate) unsafe fn integer(value: u64) -> Result<Owned> {
    Owned::steal(ffi::PyLong_FromUnsignedLongLong(value))
}

pub(crate) unsafe fn bytes_object(bytes: &[u8]) -> Result<Owned> {
    Owned::steal(ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len().cast_signed()))
}

/// What is in a `bytes`, for as long as that lives.
pub(crate) unsafe fn bytes_of<'a>(object: *mut PyObject) -> Result<&'a [u8]> {
    let (mut bytes, mut size) = (ptr::null_mut(), 0);
    if ffi::PyBytes_AsStringAndSize(object, &raw mut bytes, &raw mut size) < 0 {
        return Err(Raised);
    }
    Ok(std::slice::from_raw_parts(bytes.cast::<u8>(), size.cast_unsigned()))
}

/// A tuple of references that we own.
pub(crate) unsafe fn tuple<const N: usize>(items: [Owned; N]) -> Result<Owned> {
    let made = Owned::steal(ffi::PyTuple_New(N as ffi::Py_ssize_t))?;
    for (at, item) in items.into_iter().enumerate() {
        ffi::PyTuple_SetItem(made.as_ptr(), at as ffi::Py_ssize_t, item.into_ptr());
    }
    Ok(made)
}

/// A tuple of references that somebody else owns.
pub(crate) unsafe fn tuple_of(items: &[*mut PyObject]) -> Result<Owned> {
    let made = Owned::steal(ffi::PyTuple_New(items.len() as ffi::Py_ssize_t))?;
    for (at, item) in items.iter().enumerate() {
        ffi::PyTuple_SetItem(made.as_ptr(), at as ffi::Py_ssize_t, Owned::share(*item).into_ptr());
    }
    Ok(made)
}

/// The text of a `str`, for as long as that lives.
#[inline]
pub(crate) unsafe fn text_of<'a>(object: *mut PyObject) -> Result<&'a str> {
    let mut size = 0;
    let bytes = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut size);
    if bytes.is_null() {
        return Err(Raised);
    }
    let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), size.cast_unsigned());
    Ok(std::str::from_utf8_unchecked(bytes))
}

/// A `str` of this text.
pub(crate) unsafe fn text(text: &str) -> Result<Owned> {
    Owned::steal(ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len().cast_signed()))
}

/// Whether an object is of exactly this type.
#[inline]
pub(crate) unsafe fn is_exactly(object: *mut PyObject, wanted: *mut ffi::PyTypeObject) -> bool {
    ptr::eq(ffi::Py_TYPE(object), wanted)
}

/// Whether `==` among objects of this type, and `hash`, run no Python code: an exact `int`, `str`, `float`, `bytes`,
/// `bool` or `None`.
#[inline]
pub(crate) unsafe fn is_plain(object: *mut PyObject) -> bool {
    let found = ffi::Py_TYPE(object);
    ptr::eq(found, &raw mut ffi::PyUnicode_Type)
        || ptr::eq(found, &raw mut ffi::PyLong_Type)
        || ptr::eq(found, &raw mut ffi::PyFloat_Type)
        || ptr::eq(found, &raw mut ffi::PyBytes_Type)
        || ptr::eq(found, &raw mut ffi::PyBool_Type)
        || ptr::eq(object, ffi::Py_None())
}
