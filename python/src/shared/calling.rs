//! The type `Cached`: the way of a call that memory answers, by vectorcall, and what CPython asks of a type.

use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3_ffi as ffi;
use tierce::__python::hit;

use super::attached::{entry, quietly};
use super::cached::{Cached, Settings, asked, build, cache, collected, key};
use super::codec::Codec;
use super::held::Held;
use super::hub::{arrival, hub};
use super::key::View;
use super::tags;
use super::verbs;
use crate::function::{self, Plan};
use crate::owned::{Owned, PyObject, Raised, Result, answer, ask, text_of, type_error};
use crate::ready::ready;
use crate::signature::{Given, Signature};
use crate::types;

pub(crate) unsafe fn make_type() -> Result<Owned> {
    function::make_type(Plan {
        name: c"tierce._tierce.Cached",
        doc: c"A function whose values are cached; made by cached.",
        size: size_of::<Cached>(),
        flags: 0,
        new,
        bind: bound,
        traverse,
        clear,
        dealloc,
        methods: verbs::methods(),
        class: None,
    })
}

unsafe extern "C" fn new(kind: *mut ffi::PyTypeObject, args: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(entry(|| make(kind, args)))
}

/// `Cached(hub, name, function, signature, missing, picks, fixed_tags, tags, tags_of_result, entries, ttl_ms, stale_ms,
/// codec, is_async, version)`: for the face alone, which has looked at each. `NameTaken`: the name is another's, or a load of
/// another's still runs under it.
unsafe fn make(kind: *mut ffi::PyTypeObject, args: *mut PyObject) -> Result<Owned> {
    if ffi::PyTuple_Size(args) != 15 {
        return Err(type_error(c"use cached"));
    }
    let at = |place| ffi::PyTuple_GetItem(args, place);
    let given = |place| Some(at(place)).filter(|object| !ptr::eq(*object, ffi::Py_None()));
    let number = |place| given(place).map(|object| ffi::PyLong_AsUnsignedLongLong(object));
    let signature = Signature::read(at(3), at(4), 0)?;
    let picks: Option<Box<[usize]>> = given(5).map(|picks| {
        (0..ffi::PyTuple_Size(picks)).map(|place| ffi::PyLong_AsSize_t(ffi::PyTuple_GetItem(picks, place))).collect()
    });
    if picks.iter().flatten().any(|place| signature.name_of(*place).is_none()) {
        return Err(type_error(c"use cached: a key is made of parameters"));
    }
    let fixed_tags = tags::read(at(6))?;
    let version = number(14).and_then(|version| u32::try_from(version).ok()).unwrap_or(1);
    let settings = Settings { entries: number(9), ttl_ms: number(10), stale_ms: number(11).unwrap_or(0), version };
    if !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    let is_async = ptr::eq(at(13), ffi::Py_True());
    let codec = given(12).map(|codec| Codec::of(codec)).transpose()?;
    let cache = build(&hub(at(0))?, text_of(at(1))?, settings, codec.clone())?;
    let is_single = signature.is_single() && picks.as_deref().is_none_or(|picks| picks == [0]);
    let share = |place| given(place).map(|object| Owned::share(object));
    let (function, tags, tags_of_result) = (share(2), share(7), share(8));
    let made = types::allocate(kind)?;
    let it = made.as_ptr().cast::<Cached>();
    // Nothing runs before all fields are written: the collector of cycles may look at any time after that.
    (*it).head.vectorcall = Some(call);
    (&raw mut (*it).function).write(function);
    (&raw mut (*it).signature).write(Some(signature));
    (&raw mut (*it).is_async).write(is_async);
    (&raw mut (*it).is_single).write(is_single);
    (&raw mut (*it).picks).write(picks);
    (&raw mut (*it).cache).write(Some(cache));
    (&raw mut (*it).settings).write(settings);
    (&raw mut (*it).codec).write(codec);
    (&raw mut (*it).arrival).write(arrival(at(0))?);
    (&raw mut (*it).fixed_tags).write(fixed_tags);
    (&raw mut (*it).tags).write(tags);
    (&raw mut (*it).tags_of_result).write(tags_of_result);
    Ok(made)
}

/// A call: the short way for one `int` or `str` whose value is here and fresh, the long one for all else.
unsafe extern "C" fn call(
    callable: *mut PyObject,
    args: *const *mut PyObject,
    flags: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    answer(entry(|| {
        let it = callable.cast::<Cached>();
        let mut looked = false;
        if names.is_null()
            && ffi::PyVectorcall_NARGS(flags) == 1
            && (*it).is_single
            && let Some(view) = View::single(*args)
            && let Some(cache) = &(*it).cache
        {
            if let Some(value) = hit(cache, &view) {
                return given_out(it, &value);
            }
            looked = true;
        }
        long(it, (args, flags, names), looked)
    }))
}

/// A hit: the value, or what gives it to who awaits it.
#[inline]
unsafe fn given_out(it: *mut Cached, value: &Held) -> Result<Owned> {
    if (*it).is_async { ready(value.share()) } else { Ok(value.share()) }
}

unsafe fn long(
    it: *mut Cached,
    (args, flags, names): (*const *mut PyObject, usize, *mut PyObject),
    looked: bool,
) -> Result<Owned> {
    let given = Given::new(args, flags, names);
    let Some(key) = key(it, given)? else {
        // The function says best what is wrong with its arguments.
        let function = (*it).function.clone().ok_or_else(|| collected())?;
        return Owned::steal(ffi::PyObject_Vectorcall(function.as_ptr(), args, flags, names));
    };
    if !looked && let Some(value) = hit(cache(it)?, &key.view()) {
        return given_out(it, &value);
    }
    asked(it, key, given, false)
}

unsafe extern "C" fn bound(it: *mut PyObject, instance: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    if instance.is_null() || ptr::eq(instance, ffi::Py_None()) {
        return Owned::share(it).into_ptr();
    }
    answer(ask(c"_bind", &[it, instance]))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    let cached = &*it.cast::<Cached>();
    let own = [&cached.function, &cached.tags, &cached.tags_of_result].into_iter().flatten().map(Owned::as_ptr);
    let defaults = cached.signature.iter().flat_map(Signature::objects);
    function::show(it, own.chain(defaults), &mut |object| visit(object, data))
}

unsafe extern "C" fn clear(it: *mut PyObject) -> c_int {
    quietly(|| {
        let cached = it.cast::<Cached>();
        let functions = ((*cached).function.take(), (*cached).tags.take(), (*cached).tags_of_result.take());
        let gone = ((*cached).signature.take(), (*cached).cache.take());
        function::clear(it);
        drop((functions, gone));
    });
    0
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    function::dealloc(it, free);
}

unsafe fn free(it: *mut PyObject) {
    function::forget_weak_references(it);
    clear(it);
    let cached = it.cast::<Cached>();
    ptr::drop_in_place(&raw mut (*cached).picks);
    ptr::drop_in_place(&raw mut (*cached).fixed_tags);
    ptr::drop_in_place(&raw mut (*cached).codec);
    ptr::drop_in_place(&raw mut (*cached).arrival);
    types::free(it);
}
