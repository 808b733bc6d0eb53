//! How something is said to a cache: by the arguments of a call, and awaited on a loop or waited for by the thread.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use pyo3_ffi as ffi;
use tierce::Error;

use super::attached::entry;
use super::blocking::{waited, waiting, waits};
use super::cached::{Cached, key, named};
use super::held::Held;
use super::key::PyKey;
use super::lookup::{doing, give_up};
use super::told::{self, Why};
use crate::awaitable::{is_lookup, is_ready};
use crate::owned::{Owned, PyObject, Result, answer, ask, none, tuple_of, type_error};
use crate::ready::{ready, taken};
use crate::signature::Given;

pub(crate) type Args = *const *mut PyObject;
pub(crate) type Count = ffi::Py_ssize_t;

/// What a future comes to that does not wait.
pub(crate) unsafe fn at_once<F: Future>(future: F) -> Result<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err(type_error(c"this waits, and nothing is there that it could wait for")),
    }
}

/// How something is said to a cache.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) is_async: bool,
    pub(crate) has_store: bool,
}

/// A change: an awaitable, or its end where nobody awaits. It begins at once; without a store it also ends then, whether a
/// loop runs or not.
pub(crate) unsafe fn changing(
    manner: Manner,
    change: impl Future<Output = std::result::Result<(), Error>> + Send + 'static,
) -> Result<Owned> {
    let changed = match manner {
        Manner { is_async: true, has_store: true } => {
            let nothing = Held::new(none());
            return doing(
                async move { change.await.map(|()| nothing).map_err(|error| told::exception(Why::Said(error))) },
            );
        }
        Manner { is_async: false, has_store: true } => waited(change)?,
        Manner { has_store: false, .. } => at_once(change)?,
    };
    changed.map_err(|error| told::raise(Why::Said(error)))?;
    if manner.is_async { ready(none()) } else { Ok(none()) }
}

pub(crate) unsafe fn manner(it: *mut PyObject) -> Manner {
    let it = it.cast::<Cached>();
    Manner { is_async: (*it).is_async && !waits(), has_store: (*it).codec.is_some() }
}

/// The key of a call; where there is none, the face says why.
pub(crate) unsafe fn fitting_key(it: *mut PyObject, given: Given) -> Result<PyKey> {
    if let Some(key) = key(it.cast::<Cached>(), given)? {
        return Ok(key);
    }
    let (args, kwargs) = (tuple_of(given.positional)?, named(given)?);
    ask(c"_misfit", &[it, args.as_ptr(), kwargs.as_ptr()])?;
    Err(type_error(c"these arguments do not fit the function's parameters"))
}

/// `_blocking(call, args, kwargs)`: what a call comes to that gives an awaitable of ours, waited for by this thread.
pub(crate) unsafe extern "C" fn blocking(
    _: *mut PyObject,
    args: *mut *mut PyObject,
    count: ffi::Py_ssize_t,
) -> *mut PyObject {
    answer(entry(|| {
        if count != 3 {
            return Err(type_error(c"_blocking(call, args, kwargs)"));
        }
        let said = waiting(|| Owned::steal(ffi::PyObject_Call(*args, *args.add(1), *args.add(2))));
        ended(said?)
    }))
}

unsafe fn ended(said: Owned) -> Result<Owned> {
    if is_ready(said.as_ptr()) {
        return taken(said.as_ptr());
    }
    if is_lookup(said.as_ptr()) {
        give_up(said.as_ptr());
        return Err(type_error(c"the load of a coroutine function needs an event loop: await it on one"));
    }
    Ok(said)
}
