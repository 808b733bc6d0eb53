//! A hold of Python's: somebody is about to change in the source what an entry shows.

use std::ffi::c_void;

use pyo3_ffi as ffi;
use tierce::Loaded;

use super::asked::asked;
use super::attached::{entry, quietly};
use super::cached::{Cached, Showing, cache, tags_of_call};
use super::codec::{Codec, held};
use super::held::Held;
use super::here::here;
use super::key::PyKey;
use super::said::{Args, Count, Manner, changing, fitting_key, manner};
use super::told::Why;
use crate::owned::{Owned, PyObject, Result, answer, boolean, type_error};
use crate::signature::Given;
use crate::types::{self, Kind, keep, of_call, of_one, plain, slot};

#[repr(C)]
struct Hold {
    base: ffi::PyObject,
    /// None when it has ended.
    hold: Option<tierce::Hold<PyKey, Held>>,
    codec: Option<Codec>,
    /// What shows the tags of the value to be.
    showing: Option<Showing>,
    is_async: bool,
}

static TYPE: Kind = Kind::new();

pub(crate) unsafe fn make_type() -> Result<Owned> {
    let methods = vec![
        of_one(
            c"set",
            set,
            c"set($self, value, /)\n--\n\nThe change was committed, and this is the value now: it is kept if nothing else happened to the entry meanwhile. Gives whether it is; with a store the entry goes instead.",
        ),
        plain(c"invalidate", invalidate, c"invalidate($self, /)\n--\n\nThe change was committed: the entry goes."),
        plain(c"_is_over", is_over, c"Whether it has ended."),
        plain(c"unchanged", unchanged, c"unchanged($self, /)\n--\n\nNothing was changed after all: the entry stays."),
        // SAFETY: a table of methods ends with zeros.
        std::mem::zeroed(),
    ];
    let doc = c"What an entry shows is about to be changed in the source; made by hold. While it lasts no load of it is kept.";
    let slots = vec![
        slot(ffi::Py_tp_doc, doc.as_ptr() as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_methods, keep(methods)),
    ];
    TYPE.make(c"tierce._tierce.Hold", size_of::<Hold>(), slots)
}

pub(super) fn method() -> ffi::PyMethodDef {
    of_call(c"_hold", hold, c"_hold(*args, **kwargs): a hold of such a call's entry. To be awaited.")
}

unsafe extern "C" fn hold(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let given = Given::new(args, count.cast_unsigned(), names);
        let key = fitting_key(it, given)?;
        let cached = it.cast::<Cached>();
        let (cache, codec) = (cache(cached)?.clone(), (*cached).codec.clone());
        let (tags, showing) = tags_of_call(cached, given)?;
        let is_async = manner(it).is_async;
        let question = async move { cache.entry(&key).tags(tags).hold().await.map_err(Why::Said) };
        // SAFETY: `asked` has the interpreter's lock where it shows something.
        asked(is_async, question, move |hold| unsafe { made(hold, codec, showing, is_async) })
    }))
}

unsafe fn made(
    hold: tierce::Hold<PyKey, Held>,
    codec: Option<Codec>,
    showing: Option<Showing>,
    is_async: bool,
) -> Result<Owned> {
    let made = types::allocate(TYPE.get())?;
    let it = made.as_ptr().cast::<Hold>();
    (&raw mut (*it).hold).write(Some(hold));
    (&raw mut (*it).codec).write(codec);
    (&raw mut (*it).showing).write(showing);
    (&raw mut (*it).is_async).write(is_async);
    Ok(made)
}

/// The hold, which ends with what is done now.
unsafe fn taken(it: *mut PyObject) -> Result<tierce::Hold<PyKey, Held>> {
    (*it.cast::<Hold>())
        .hold
        .take()
        .ok_or_else(|| type_error(c"this hold has ended: take another one for another change"))
}

unsafe fn how(it: *mut PyObject) -> Manner {
    let it = it.cast::<Hold>();
    Manner { is_async: (*it).is_async, has_store: (*it).codec.is_some() }
}

unsafe extern "C" fn set(it: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        // What cannot be packed, or has no such tags, leaves the hold as it is, to be ended otherwise.
        let own = it.cast::<Hold>();
        let loaded = Loaded::new(held((*own).codec.as_ref(), it, Owned::share(value))?);
        let showing = (*own).showing.as_ref();
        let tags = showing.map_or_else(|| Ok(Vec::new()), |showing| showing.tags_of(value))?;
        let loaded = tags.into_iter().fold(loaded, Loaded::tag);
        let hold = taken(it)?;
        let question = async move { hold.set_with(loaded).await.map_err(Why::Said) };
        // SAFETY: `asked` has the interpreter's lock where it shows something.
        asked(how(it).is_async, question, |is_kept| unsafe { Ok(boolean(is_kept)) })
    }))
}

unsafe extern "C" fn invalidate(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let hold = taken(it)?;
        changing(how(it), async move { hold.invalidate().await })
    }))
}

unsafe extern "C" fn unchanged(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let hold = taken(it)?;
        changing(how(it), async move {
            hold.unchanged();
            Ok(())
        })
    }))
}

unsafe extern "C" fn is_over(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(entry(|| Ok(boolean((*it.cast::<Hold>()).hold.is_none()))))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> std::ffi::c_int {
    visit(ffi::Py_TYPE(it).cast(), data)
}

/// A hold that nobody ended: nobody knows what became of the change, so the entry goes.
unsafe extern "C" fn dealloc(it: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(it.cast());
    quietly(|| {
        let own = it.cast::<Hold>();
        let (hold, rest) = ((*own).hold.take(), ((*own).codec.take(), (*own).showing.take()));
        if hold.is_some() {
            here(|| drop(hold));
        }
        drop(rest);
    });
    types::free(it);
}
