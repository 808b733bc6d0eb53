//! Contexts: a copy of the current one, and which load one belongs to: what is asked in it is asked inside that load, so that one
//! which waits for itself is told.

use std::ffi::{CStr, c_void};
use std::pin::pin;
use std::ptr;

use pyo3_ffi as ffi;
use tierce::__python::Inside;

use super::attached::quietly;
use super::held::Held;
use super::names::names;
use crate::owned::{Owned, PyObject, Raised, Result, ask};

const NAME: &CStr = c"tierce.load";

/// A copy of the current context.
pub(crate) unsafe fn current_context() -> Result<Held> {
    let copy = names()?.copy_context.as_ptr();
    Owned::steal(ffi::PyObject_CallObject(copy, ptr::null_mut())).map(Held::new)
}

/// A load as an object, for a context variable.
pub(crate) unsafe fn capsule(inside: Inside) -> Result<Owned> {
    let boxed = Box::into_raw(Box::new(inside));
    let made = ffi::PyCapsule_New(boxed.cast::<c_void>(), NAME.as_ptr(), Some(forget));
    if made.is_null() {
        drop(Box::from_raw(boxed));
    }
    Owned::steal(made)
}

unsafe extern "C" fn forget(capsule: *mut PyObject) {
    quietly(|| {
        let boxed = ffi::PyCapsule_GetPointer(capsule, NAME.as_ptr());
        drop(Box::from_raw(boxed.cast::<Inside>()));
    });
}

/// The load that the current context belongs to.
pub(crate) unsafe fn around() -> Result<Option<Inside>> {
    let found = ask(c"get", &[names()?.inside.as_ptr(), ffi::Py_None()])?;
    if ptr::eq(found.as_ptr(), ffi::Py_None()) {
        return Ok(None);
    }
    let boxed = ffi::PyCapsule_GetPointer(found.as_ptr(), NAME.as_ptr()).cast::<Inside>();
    if boxed.is_null() { Err(Raised) } else { Ok(Some((*boxed).clone())) }
}

/// Polls something as what a load waits for.
pub(crate) async fn inside<F: Future>(around: Option<Inside>, work: F) -> F::Output {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match &around {
        Some(around) => around.polled(|| work.as_mut().poll(cx)),
        None => work.as_mut().poll(cx),
    })
    .await
}
