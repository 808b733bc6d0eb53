//! What holds the entries of one instance, to a call that begins with it.

use pyo3_ffi as ffi;

use crate::memo::Memo;
use crate::owned::{Owned, PyObject, Raised, Result, ask, attribute};
use crate::signature::Given;

/// What holds the entries of the instance that is the first argument. The face makes it when there is none.
pub(crate) unsafe fn of_instance(it: *mut Memo, given: Given) -> Result<Owned> {
    let Some(instance) = given.positional.first() else {
        let name = attribute(it.cast(), c"__qualname__")?;
        let sentence = c"%S: the instance is missing: a method with per_instance=True is called on one";
        ffi::PyErr_Format(ffi::PyExc_TypeError, sentence.as_ptr(), name.as_ptr());
        return Err(Raised);
    };
    match known(it, *instance) {
        Some(own) => Ok(own),
        None => ask(c"_adopt", &[it.cast(), *instance]),
    }
}

pub(crate) unsafe fn known(it: *mut Memo, instance: *mut PyObject) -> Option<Owned> {
    (*it).instances.as_ref()?.get(&(instance as usize))?.own_of(instance)
}
