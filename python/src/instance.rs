//! Where each instance has entries of its own (`per_instance=True`): which memo holds those of which instance.
//!
//! **Problem.** An instance that is gone must take its entries along, and the next one at its address must not find them. A weak
//! reference's callback is not enough: one that raises, at the limit of recursion or by a signal, is swallowed and not called
//! again. And what a result refers to is kept alive by it, the instance itself included.
//!
//! **Idea.** Found by address, and believed only if the weak reference still leads to the instance that asks. What holds the entries
//! is kept alive by the instance, in its `__dict__`, so that the collector sees a cycle for what it is; here it is then
//! referred to weakly. An instance without a `__dict__` has it kept alive from here.

use std::collections::HashMap;
use std::ptr;

use pyo3_ffi as ffi;

use crate::owned::{Owned, PyObject};

pub(crate) type Instances = HashMap<usize, Instance>;

pub(crate) struct Instance {
    /// A weak reference to it.
    pub(crate) of: Owned,
    /// The memo that holds its entries, or a weak reference to that.
    pub(crate) own: Owned,
    pub(crate) is_weak: bool,
}

impl Instance {
    /// Its memo, if this is that instance and the memo is still there.
    #[inline]
    pub(crate) unsafe fn own_of(&self, instance: *mut PyObject) -> Option<Owned> {
        if ptr::eq(referent(&self.of), instance) { self.own() } else { None }
    }

    #[inline]
    pub(crate) unsafe fn own(&self) -> Option<Owned> {
        let own = if self.is_weak { referent(&self.own) } else { self.own.as_ptr() };
        (!ptr::eq(own, ffi::Py_None())).then(|| Owned::share(own))
    }

    /// The objects that it refers to.
    pub(crate) fn objects(&self) -> [*mut PyObject; 2] {
        [self.of.as_ptr(), self.own.as_ptr()]
    }
}

/// What a weak reference leads to, or None.
#[allow(deprecated, reason = "its successor is there from 3.13 on; what it borrows is used at once, under the lock")]
#[inline]
unsafe fn referent(of: &Owned) -> *mut PyObject {
    ffi::PyWeakref_GetObject(of.as_ptr())
}
