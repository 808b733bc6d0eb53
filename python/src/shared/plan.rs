//! What a lookup loads with, should it have to.

use std::ffi::CStr;
use std::ptr;
use std::sync::{Arc, Weak};

use pyo3_ffi as ffi;
use tierce::Loaded;

use super::codec::Codec;
use super::event_loop::Loop;
use super::held::Held;
use super::names::names;
pub(crate) use crate::owned::text_of;
use crate::owned::{Owned, PyObject, Raised, Result, ask};

#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) function: Held,
    /// A tuple, and a dict or nothing.
    pub(crate) args: Held,
    pub(crate) kwargs: Option<Held>,
    /// Where the loader runs: a copy of its caller's.
    pub(crate) context: Held,
    /// Gives the tags that the result shows.
    pub(crate) tags_of_result: Option<Held>,
    /// Packs the value, where a store is there.
    pub(crate) codec: Option<Codec>,
    /// Where a coroutine function's task runs; gone from the beginning for a plain function.
    pub(crate) home: Weak<Loop>,
    pub(crate) is_async: bool,
}

impl Plan {
    /// Calls the function in its context.
    pub(crate) unsafe fn call(&self) -> Result<Owned> {
        let count = ffi::PyTuple_Size(self.args.as_ptr());
        let whole = Owned::steal(ffi::PyTuple_New(count + 1))?;
        ffi::PyTuple_SetItem(whole.as_ptr(), 0, self.function.share().into_ptr());
        for at in 0..count {
            let argument = Owned::share(ffi::PyTuple_GetItem(self.args.as_ptr(), at));
            ffi::PyTuple_SetItem(whole.as_ptr(), at + 1, argument.into_ptr());
        }
        let run = crate::owned::attribute(self.context.as_ptr(), c"run")?;
        let kwargs = self.kwargs.as_ref().map_or(ptr::null_mut(), Held::as_ptr);
        Owned::steal(ffi::PyObject_Call(run.as_ptr(), whole.as_ptr(), kwargs))
    }

    /// Sets a variable of its context.
    pub(crate) unsafe fn set(&self, variable: &Held, value: &Owned) -> Result<()> {
        let set = crate::owned::attribute(variable.as_ptr(), c"set")?;
        ask(c"run", &[self.context.as_ptr(), set.as_ptr(), value.as_ptr()]).map(|_| ())
    }

    unsafe fn tags_of(&self, value: *mut PyObject) -> Result<Vec<Arc<str>>> {
        match &self.tags_of_result {
            Some(function) => {
                let kwargs = self.kwargs.as_ref().map_or(ffi::Py_None(), Held::as_ptr);
                tags(function.as_ptr(), &[self.args.as_ptr(), kwargs, value])
            }
            None => Ok(Vec::new()),
        }
    }
}

impl Plan {
    /// What a load brought: the value, and the tags that it shows.
    pub(crate) unsafe fn loaded(&self, value: Owned) -> Result<Loaded<Held>> {
        let tags = self.tags_of(value.as_ptr())?;
        Ok(tags.into_iter().fold(Loaded::new(self.held(value)?), Loaded::tag))
    }

    /// The value as the engine holds it.
    unsafe fn held(&self, value: Owned) -> Result<Held> {
        match &self.codec {
            Some(codec) => codec.packed(value),
            None => Ok(Held::new(value)),
        }
    }
}

/// A copy of the current context.
pub(crate) unsafe fn current_context() -> Result<Held> {
    let copy = names()?.copy_context.as_ptr();
    Owned::steal(ffi::PyObject_CallObject(copy, ptr::null_mut())).map(Held::new)
}

/// What the face's function says the tags are: a list of texts that the engine takes.
pub(crate) unsafe fn tags(function: *mut PyObject, arguments: &[*mut PyObject]) -> Result<Vec<Arc<str>>> {
    let count = arguments.len();
    let said = Owned::steal(ffi::PyObject_Vectorcall(function, arguments.as_ptr(), count, ptr::null_mut()))?;
    read_tags(said.as_ptr())
}

/// A list of texts, each of 1 to 200 bytes, which the face has seen to.
pub(crate) unsafe fn read_tags(list: *mut PyObject) -> Result<Vec<Arc<str>>> {
    let mut all = Vec::new();
    for at in 0..ffi::PyList_Size(list) {
        let tag = text_of(ffi::PyList_GetItem(list, at))?;
        if tag.is_empty() || tag.len() > 200 {
            return Err(value_error(c"a tag has 1 to 200 bytes"));
        }
        all.push(Arc::from(tag));
    }
    if ffi::PyErr_Occurred().is_null() { Ok(all) } else { Err(Raised) }
}

pub(crate) unsafe fn value_error(sentence: &CStr) -> Raised {
    ffi::PyErr_SetString(ffi::PyExc_ValueError, sentence.as_ptr());
    Raised
}
