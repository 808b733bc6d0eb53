//! What can be said of one entry beside its value: whether it is here, how it is, and that it is old.

use pyo3_ffi as ffi;

use super::asked::asked;
use super::attached::entry;
use super::cached::{self, cache};
use super::held::Held;
use super::said::{Args, Count, changing, fitting_key, manner};
use super::told::Why;
use crate::owned::{Owned, PyObject, answer, boolean, text, type_error};
use crate::signature::Given;
use crate::types::of_call;

pub(super) fn methods() -> Vec<ffi::PyMethodDef> {
    vec![
        of_call(
            c"_get",
            get,
            c"_get(missing, *args, **kwargs): the value of such a call, here or in the store, else missing; loads nothing.",
        ),
        of_call(
            c"_load_with",
            load_with,
            c"_load_with(function, tags, *args, **kwargs): as a call, with another loader, called with the arguments.",
        ),
        of_call(
            c"_set_with",
            set_with,
            c"_set_with(value, tags, *args, **kwargs): as set, with these tags beside the cache's own.",
        ),
        of_call(
            c"mark_stale",
            mark_stale,
            c"mark_stale($self, /, *args, **kwargs)\n--\n\nMake the value of such a call stale: it is served once more at most while it is loaded anew, if stale is set, else it is gone. To be awaited.",
        ),
        of_call(
            c"touch",
            touch,
            c"touch($self, /, *args, **kwargs)\n--\n\nMake the value of such a call last as long as if it were loaded now; whether there is one. To be awaited.",
        ),
        of_call(
            c"explain",
            explain,
            c"explain($self, /, *args, **kwargs)\n--\n\nAll that is known of such a call's entry, here and in the store, as text. To be awaited.",
        ),
    ]
}

unsafe extern "C" fn get(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        if count == 0 {
            return Err(type_error(c"_get(missing, *args, **kwargs)"));
        }
        let missing = Held::new(Owned::share(*args));
        let key = fitting_key(it, Given::new(args.add(1), count.cast_unsigned() - 1, names))?;
        let cache = cache(it.cast())?.clone();
        let question = async move { Ok(cache.get(&key).await) };
        // SAFETY: `asked` has the interpreter's lock where it shows something.
        asked(manner(it).is_async, question, move |found| unsafe {
            Ok(found.map_or_else(|| missing.share(), |value| value.share()))
        })
    }))
}

unsafe extern "C" fn load_with(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        if count < 2 {
            return Err(type_error(c"_load_with(function, tags, *args, **kwargs)"));
        }
        let given = Given::new(args.add(2), count.cast_unsigned() - 2, names);
        let key = fitting_key(it, given)?;
        let tags = super::tags::read(*args.add(1))?;
        cached::asked_with(it.cast(), key, given, Owned::share(*args), tags)
    }))
}

unsafe extern "C" fn set_with(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        if count < 2 {
            return Err(type_error(c"_set_with(value, tags, *args, **kwargs)"));
        }
        let given = Given::new(args.add(2), count.cast_unsigned() - 2, names);
        let key = fitting_key(it, given)?;
        let value = cached::held(it.cast(), *args)?;
        let mut all = super::tags::read(*args.add(1))?;
        all.extend(cached::tags_of(it.cast(), given, value.as_ptr())?);
        let cache = cache(it.cast())?.clone();
        changing(manner(it), async move { cached::put(&cache, &key, all, value).await })
    }))
}

unsafe extern "C" fn mark_stale(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let key = fitting_key(it, Given::new(args, count.cast_unsigned(), names))?;
        let cache = cache(it.cast())?.clone();
        changing(manner(it), async move { cache.mark_stale(&key).await })
    }))
}

unsafe extern "C" fn touch(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let key = fitting_key(it, Given::new(args, count.cast_unsigned(), names))?;
        let cache = cache(it.cast())?.clone();
        let question = async move { cache.touch(&key).await.map_err(Why::Said) };
        // SAFETY: `asked` has the interpreter's lock where it shows something.
        asked(manner(it).is_async, question, |is_there| unsafe { Ok(boolean(is_there)) })
    }))
}

unsafe extern "C" fn explain(it: *mut PyObject, args: Args, count: Count, names: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        let key = fitting_key(it, Given::new(args, count.cast_unsigned(), names))?;
        let cache = cache(it.cast())?.clone();
        let question = async move { Ok(cache.explain(&key).await.to_string()) };
        // SAFETY: `asked` has the interpreter's lock where it shows something.
        asked(manner(it).is_async, question, |said| unsafe { text(&said) })
    }))
}
