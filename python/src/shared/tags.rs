//! The tags of a value, which the face makes of templates: read out of its list, and as the engine keeps them.

use std::ptr;

use pyo3_ffi as ffi;
use tierce::__python::{Tags, tags as fitting};

use crate::owned::{Owned, PyObject, Raised, Result, text_of};

/// What the face's function says that the tags are.
pub(crate) unsafe fn tags(function: *mut PyObject, arguments: &[*mut PyObject]) -> Result<Tags> {
    let count = arguments.len();
    let said = Owned::steal(ffi::PyObject_Vectorcall(function, arguments.as_ptr(), count, ptr::null_mut()))?;
    read(said.as_ptr())
}

/// A list of texts. As in Rust an empty one is left out, and one that is too long is kept as its beginning and a hash.
pub(crate) unsafe fn read(list: *mut PyObject) -> Result<Tags> {
    let count = ffi::PyList_Size(list);
    if count < 0 {
        return Err(Raised);
    }
    let texts = (0..count).map(|at| text_of(ffi::PyList_GetItem(list, at)).map(String::from));
    Ok(fitting(texts.collect::<Result<_>>()?))
}

/// One tag, as it is kept; none if it is empty.
pub(crate) unsafe fn one(text: *mut PyObject) -> Result<Tags> {
    Ok(fitting(vec![text_of(text)?.to_owned()]))
}
