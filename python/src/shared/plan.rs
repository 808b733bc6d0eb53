//! What a lookup loads with, should it have to.

use std::ptr;
use std::sync::Weak;

use pyo3_ffi as ffi;
use tierce::__python::Tags;
use tierce::Loaded;

use super::codec::Codec;
use super::event_loop::Loop;
use super::held::Held;
use super::names::names;
use super::tags::tags;
use crate::owned::{Owned, PyObject, Result, ask};

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

    unsafe fn tags_of(&self, value: *mut PyObject) -> Result<Tags> {
        match &self.tags_of_result {
            Some(function) => {
                let kwargs = self.kwargs.as_ref().map_or(ffi::Py_None(), Held::as_ptr);
                tags(function.as_ptr(), &[self.args.as_ptr(), kwargs, value])
            }
            None => Ok(Tags::default()),
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
