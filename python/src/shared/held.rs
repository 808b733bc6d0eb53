//! A reference to an object that the engine may hold: it is cloned and moved by any thread, and given back by one that may.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use super::attached::release;
use super::lock::locked;
use crate::owned::{Owned, PyObject};

/// A value of a cache, or whatever else of Python's is held where the interpreter may be unknown.
///
/// A clone counts in the `Arc`, and touches no object: it is made under a lock of the engine's.
#[derive(Clone)]
pub(crate) struct Held(Arc<Object>);

struct Object {
    object: NonNull<PyObject>,
    /// As it is written for other processes, until that is done.
    packed: Mutex<Option<Vec<u8>>>,
}

// SAFETY: the object is touched by threads alone that hold the interpreter's lock (`attached.rs`).
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Held {
    pub(crate) fn new(object: Owned) -> Held {
        Self::with(object, None)
    }

    /// A value and what is to be written of it.
    pub(crate) fn packed(object: Owned, bytes: Vec<u8>) -> Held {
        Self::with(object, Some(bytes))
    }

    fn with(object: Owned, packed: Option<Vec<u8>>) -> Held {
        let object = NonNull::new(object.into_ptr()).expect("a reference is to an object");
        Held(Arc::new(Object { object, packed: Mutex::new(packed) }))
    }

    /// What is to be written of it, if it was packed and nobody has asked yet.
    pub(crate) fn take_packed(&self) -> Option<Vec<u8>> {
        locked(&self.0.packed).take()
    }

    /// It was written, or is not to be: what was packed would lie beside it for as long as it is kept.
    pub(crate) fn forget_packed(&self) {
        drop(self.take_packed());
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut PyObject {
        self.0.object.as_ptr()
    }

    /// A reference of the caller's own, who holds the interpreter's lock.
    #[inline]
    pub(crate) unsafe fn share(&self) -> Owned {
        Owned::share(self.as_ptr())
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        release(self.object);
    }
}
