//! What can be said to a cached function beside calling it. Without a store nothing of it waits.

use std::ptr;
use std::sync::Arc;

use pyo3_ffi as ffi;
use tierce::__python::key_text;

use super::arrival::Arrival;
use super::attached::entry;
use super::batch;
use super::cached::{Cached, asked, build, cache, held, put, tags_of};
use super::codec::Codec;
use super::entries;
use super::held::Held;
use super::holding;
use super::hub::{arrival, hub};
use super::key::PyKey;
use super::matching;
use super::said::{Args, Count, changing, fitting_key, manner};
use crate::owned::{PyObject, Result, answer, integer, none, text, text_of, tuple, type_error, value_error};
use crate::signature::Given;
use crate::types::{self, of_call, plain};

pub(crate) fn methods() -> Vec<ffi::PyMethodDef> {
    let mut all = vec![holding::method(), matching::method()];
    all.extend(entries::methods());
    all.extend(batch::methods());
    all.extend(own_methods());
    all
}

/// The last, since a table of methods ends with zeros.
fn own_methods() -> Vec<ffi::PyMethodDef> {
    vec![
        of_call(c"key", key_of, c"key($self, /, *args, **kwargs)\n--\n\nThe text of the key of such a call."),
        of_call(
            c"invalidate",
            invalidate,
            c"invalidate($self, /, *args, **kwargs)\n--\n\nEnd the value of such a call; a load of it that runs is not kept. To be awaited.",
        ),
        of_call(
            c"refresh",
            refresh,
            c"refresh($self, /, *args, **kwargs)\n--\n\nLoad the value of such a call anew, keep and give it. To be awaited.",
        ),
        of_call(
            c"peek",
            peek,
            c"peek($self, /, *args, **kwargs)\n--\n\nThe value of such a call if it is in memory and fresh, else None. Loads and counts nothing.",
        ),
        of_call(
            c"set",
            set,
            c"set($self, value, /, *args, **kwargs)\n--\n\nKeep value as that of such a call; a load of it that runs is not kept. To be awaited.",
        ),
        plain(c"clear", clear, c"clear($self, /)\n--\n\nEnd all values and loads. To be awaited."),
        types::method(
            c"_bind_to",
            ffi::PyMethodDefPointer { PyCFunctionFast: bind_to },
            ffi::METH_FASTCALL,
            c"_bind_to(hub, name, codec): from now on its values are in this hub's cache of that name.",
        ),
        types::method(
            c"_share",
            ffi::PyMethodDefPointer { PyCFunctionFast: share },
            ffi::METH_FASTCALL,
            c"_share(function, codec): from now on its values are in the cache of that function.",
        ),
        plain(c"_counts", counts, c"hits, misses, stale hits, coalesced, loads, errors of loads, refused, running loads, entries."),
        // SAFETY: a table of methods ends with zeros.
        unsafe { std::mem::zeroed() },
    ]
}

unsafe extern "C" fn key_of(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let key = fitting_key(it, Given::new(args, count.cast_unsigned(), names))?;
        match key_text(&key) {
            Ok(rest) => text(&format!("{}:{rest}", cache(it.cast())?.name())),
            Err(why) => Err(value_error(&why)),
        }
    }))
}

unsafe extern "C" fn invalidate(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let key = fitting_key(it, Given::new(args, count.cast_unsigned(), names))?;
        let cache = cache(it.cast())?.clone();
        changing(manner(it), async move { cache.invalidate(&key).await })
    }))
}

unsafe extern "C" fn refresh(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let given = Given::new(args, count.cast_unsigned(), names);
        let key = fitting_key(it, given)?;
        asked(it.cast(), key, given, true)
    }))
}

unsafe extern "C" fn peek(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let key = fitting_key(it, Given::new(args, count.cast_unsigned(), names))?;
        let found = cache(it.cast())?.clone().peek(&key);
        Ok(found.map_or_else(|| none(), |value| value.share()))
    }))
}

unsafe extern "C" fn set(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        if count == 0 {
            return Err(type_error(c"set() takes the value first, then the arguments of the call"));
        }
        let given = Given::new(args.add(1), count.cast_unsigned() - 1, names);
        let key = fitting_key(it, given)?;
        let value = held(it.cast(), *args)?;
        let tags = tags_of(it.cast(), given, value.as_ptr())?;
        let cache = cache(it.cast())?.clone();
        changing(manner(it), async move { put(&cache, &key, tags, value).await })
    }))
}

unsafe extern "C" fn clear(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let cache = cache(it.cast())?.clone();
        changing(manner(it), async move { cache.purge().await })
    }))
}

unsafe extern "C" fn bind_to(it: *mut PyObject, args: *mut *mut PyObject, count: Count) -> *mut PyObject {
    answer(entry(|| {
        if count != 3 {
            return Err(type_error(c"_bind_to(hub, name, codec)"));
        }
        let (to, arrival) = (hub(*args)?, arrival(*args)?);
        let (name, codec) = (text_of(*args.add(1))?, codec(*args.add(2))?);
        let made = build(&to, name, (*it.cast::<Cached>()).settings, codec.clone())?;
        goes_on(it.cast(), made, codec, arrival);
        Ok(none())
    }))
}

unsafe extern "C" fn share(it: *mut PyObject, args: *mut *mut PyObject, count: Count) -> *mut PyObject {
    answer(entry(|| {
        if count != 2 || !ptr::eq(ffi::Py_TYPE(*args), ffi::Py_TYPE(it)) {
            return Err(type_error(c"_share(function, codec)"));
        }
        let (other, codec) = ((*args).cast::<Cached>(), codec(*args.add(1))?);
        let (cache, arrival) = (cache(other)?.clone(), (*other).arrival.clone());
        goes_on(it.cast(), cache, codec, arrival);
        Ok(none())
    }))
}

unsafe fn codec(given: *mut PyObject) -> Result<Option<Codec>> {
    if ptr::eq(given, ffi::Py_None()) { Ok(None) } else { Codec::of(given).map(Some) }
}

/// From now on a function has its values in another cache.
unsafe fn goes_on(
    it: *mut Cached,
    cache: tierce::Cache<PyKey, Held>,
    codec: Option<Codec>,
    arrival: Option<Arc<Arrival>>,
) {
    let before = ((*it).cache.replace(cache), std::mem::replace(&mut (*it).codec, codec));
    drop((before, std::mem::replace(&mut (*it).arrival, arrival)));
}

unsafe extern "C" fn counts(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let stats = cache(it.cast())?.stats();
        tuple([
            integer(stats.hits)?,
            integer(stats.misses)?,
            integer(stats.stale_hits)?,
            integer(stats.coalesced)?,
            integer(stats.loads)?,
            integer(stats.load_errors)?,
            integer(stats.refused)?,
            integer(stats.loading)?,
            integer(stats.len)?,
        ])
    }))
}
