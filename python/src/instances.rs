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

use crate::memo::Memo;
use crate::owned::{Owned, PyObject, Raised, Result, answer, ask, boolean, type_error};
use crate::signature::Given;
use crate::verbs::{Args, Count, exactly};

pub(crate) type Instances = HashMap<usize, Instance>;

pub(crate) struct Instance {
    /// A weak reference to it.
    of: Owned,
    /// The memo that holds its entries, or a weak reference to that.
    own: Owned,
    is_weak: bool,
}

impl Instance {
    /// Its memo, if this is that instance and the memo is still there.
    #[inline]
    unsafe fn own_of(&self, instance: *mut PyObject) -> Option<Owned> {
        if ptr::eq(referent(&self.of), instance) { self.own() } else { None }
    }

    #[inline]
    unsafe fn own(&self) -> Option<Owned> {
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

/// What holds the entries of the instance that is the first argument. The face makes it when there is none.
pub(crate) unsafe fn of_instance(it: *mut Memo, given: Given) -> Result<Owned> {
    let Some(instance) = given.positional.first() else {
        return Err(type_error(c"the instance is missing: a method with per_instance=True is called on one"));
    };
    match known(it, *instance) {
        Some(own) => Ok(own),
        None => ask(c"_adopt", &[it.cast(), *instance]),
    }
}

unsafe fn known(it: *mut Memo, instance: *mut PyObject) -> Option<Owned> {
    (*it).instances.as_ref()?.get(&(instance as usize))?.own_of(instance)
}

pub(crate) unsafe extern "C" fn keep_instance(
    it: *mut PyObject,
    args: Args,
    count: Count,
    _: *mut PyObject,
) -> *mut PyObject {
    answer(kept_instance(it.cast(), args, count))
}

/// Gives what holds the entries of the instance: what another thread has put there first stays.
unsafe fn kept_instance(it: *mut Memo, args: Args, count: Count) -> Result<Owned> {
    let [instance, of, own, held] = exactly(args, count)?;
    let is_weak = !ptr::eq(own, held);
    if let Some(first) = known(it, instance) {
        return Ok(first);
    }
    let Some(all) = (*it).instances.as_mut() else {
        return Err(type_error(c"this function has one cache for all"));
    };
    let one = Instance { of: Owned::share(of), own: Owned::share(held), is_weak };
    let gone = all.insert(instance as usize, one);
    drop(gone);
    Ok(Owned::share(own))
}

pub(crate) unsafe extern "C" fn drop_instance(
    it: *mut PyObject,
    args: Args,
    count: Count,
    _: *mut PyObject,
) -> *mut PyObject {
    answer(dropped_instance(it.cast(), args, count))
}

/// Forgets the instance of this weak reference; one that is at its address by now stays.
unsafe fn dropped_instance(it: *mut Memo, args: Args, count: Count) -> Result<Owned> {
    let [address, of] = exactly(args, count)?;
    let address = ffi::PyLong_AsSize_t(address);
    if !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    let gone = (*it).instances.as_mut().and_then(|all| {
        all.get(&address).filter(|one| ptr::eq(one.of.as_ptr(), of))?;
        all.remove(&address)
    });
    Ok(boolean(gone.is_some()))
}

pub(crate) unsafe extern "C" fn instances(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(all_instances(it.cast()))
}

unsafe fn all_instances(it: *mut Memo) -> Result<Owned> {
    let all: Vec<_> = (*it).instances.iter().flat_map(HashMap::values).filter_map(|one| one.own()).collect();
    let list = Owned::steal(ffi::PyList_New(0))?;
    for own in all {
        if ffi::PyList_Append(list.as_ptr(), own.as_ptr()) < 0 {
            return Err(Raised);
        }
    }
    Ok(list)
}

pub(crate) unsafe extern "C" fn own(
    it: *mut PyObject,
    args: Args,
    count: Count,
    names: *mut PyObject,
) -> *mut PyObject {
    answer(of_instance(it.cast(), Given::new(args, count.cast_unsigned(), names)))
}
