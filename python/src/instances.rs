//! The verbs of a memo with entries of each instance's own (`instance.rs`).

use std::collections::HashMap;
use std::ptr;

use pyo3_ffi as ffi;

use crate::instance::Instance;
use crate::memo::Memo;
use crate::own::{known, of_instance};
use crate::owned::{Owned, PyObject, Raised, Result, answer, boolean, type_error};
use crate::signature::Given;
use crate::verbs::{Args, Count, exactly};

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
