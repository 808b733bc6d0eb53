//! A future whose answer has come, until those who wait for it are told.

use std::ptr::NonNull;

use super::attached::release;
use crate::owned::{Owned, PyObject};

pub(crate) struct Woken(NonNull<PyObject>);

// SAFETY: it is used by threads alone that hold the interpreter's lock, and given back by one that may.
unsafe impl Send for Woken {}

impl Woken {
    pub(crate) fn new(future: Owned) -> Woken {
        Woken(NonNull::new(future.into_ptr()).expect("a reference is to an object"))
    }

    pub(crate) fn as_ptr(&self) -> *mut PyObject {
        self.0.as_ptr()
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        release(self.0);
    }
}
