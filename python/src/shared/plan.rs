//! What a lookup loads with, should it have to.

use std::ptr;
use std::sync::Weak;

use pyo3_ffi as ffi;
use tierce::__python::{Inside, Tags};
use tierce::Loaded;

use super::codec::{Codec, held};
use super::event_loop::Loop;
use super::held::Held;
use super::inside::capsule;
use super::names::names;
use super::tags::tags;
use crate::owned::{Owned, PyObject, Result, ask, attribute};

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
        let run = attribute(self.context.as_ptr(), c"run")?;
        let kwargs = self.kwargs.as_ref().map_or(ptr::null_mut(), Held::as_ptr);
        Owned::steal(ffi::PyObject_Call(run.as_ptr(), whole.as_ptr(), kwargs))
    }

    /// Its context belongs to this load from now on.
    pub(crate) unsafe fn belongs_to(&self, load: Option<Inside>) -> Result<()> {
        let Some(load) = load else { return Ok(()) };
        let (set, load) = (attribute(names()?.inside.as_ptr(), c"set")?, capsule(load)?);
        ask(c"run", &[self.context.as_ptr(), set.as_ptr(), load.as_ptr()]).map(drop)
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
        let loaded = Loaded::new(self.held(value.clone())?);
        Ok(self.tags_of(value.as_ptr())?.into_iter().fold(loaded, Loaded::tag))
    }

    /// A value that it brought, as the engine holds it.
    pub(crate) unsafe fn held(&self, value: Owned) -> Result<Held> {
        held(self.codec.as_ref(), self.function.as_ptr(), value)
    }
}
