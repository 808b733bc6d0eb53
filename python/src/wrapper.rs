//! The type `Memo`: the way of a call that memory answers, by vectorcall, and what CPython asks of a type.

use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3_ffi as ffi;

use crate::function::{self, Plan};
use crate::instance::{Instance, Instances};
use crate::key::Rule;
use crate::load::Asked;
use crate::memo::{Counts, Limits, Memo, NEVER, collected, fresh, give, with_view};
use crate::own::of_instance;
use crate::owned::{Owned, PyObject, Raised, Result, answer, ask, tuple_of, type_error};
use crate::probe::find;
use crate::signature::{Given, Signature};
use crate::table::{Look, Table};
use crate::token::token;
use crate::types::{self, of_call, of_one, plain};
use crate::{instances, load, seed, verbs};

pub(crate) unsafe fn make_type() -> Result<Owned> {
    function::make_type(Plan {
        name: c"tierce._tierce.Memo",
        doc: c"A function whose results are kept; made by memo.",
        size: size_of::<Memo>(),
        flags: 0,
        new,
        bind: bound,
        traverse,
        clear,
        dealloc,
        methods: methods(),
        class: None,
    })
}

unsafe extern "C" fn new(kind: *mut ffi::PyTypeObject, args: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(make(kind, args))
}

/// `Memo(function, slow, copy, signature, missing, is_async, per_instance, skipped, typed, entries, weight, ttl_ms, stale_ms,
/// jitter)`: for the face alone, which has looked at each.
unsafe fn make(kind: *mut ffi::PyTypeObject, args: *mut PyObject) -> Result<Owned> {
    if ffi::PyTuple_Size(args) != 14 {
        return Err(type_error(c"use memo"));
    }
    let at = |place| ffi::PyTuple_GetItem(args, place);
    let given = |place| Some(at(place)).filter(|object| !ptr::eq(*object, ffi::Py_None()));
    let flag = |place| ffi::PyObject_IsTrue(at(place)) == 1;
    let number = |place| match given(place) {
        None => NEVER,
        Some(object) => ffi::PyLong_AsUnsignedLongLong(object),
    };
    let skipped = number(7) as usize;
    let signature = match given(3) {
        Some(told) => Some(Signature::read(told, at(4), skipped)?),
        None => None,
    };
    let limits =
        Limits { entries: number(9), weight: number(10), ttl_ms: number(11), stale_ms: number(12), jitter: number(13) };
    let (is_async, per_instance, typed) = (flag(5), flag(6), flag(8));
    if !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    let (function, slow) = (Owned::share(at(0)), Owned::share(at(1)));
    if !is_async && (ffi::PyTuple_Check(slow.as_ptr()) == 0 || ffi::PyTuple_Size(slow.as_ptr()) != 4) {
        return Err(type_error(c"use memo"));
    }
    let copy = given(2).map(|copy| Owned::share(copy));
    let is_single = !per_instance && signature.as_ref().is_none_or(Signature::is_single);
    let rule = Rule { seed: seed::draw(), typed };
    let made = types::allocate(kind)?;
    let it = made.as_ptr().cast::<Memo>();
    // Nothing runs before all fields are written: the collector of cycles may look at any time after that.
    (&raw mut (*it).head.vectorcall).write(Some(call));
    (&raw mut (*it).function).write(Some(function));
    (&raw mut (*it).slow).write(Some(slow));
    (&raw mut (*it).copy).write(copy);
    (&raw mut (*it).signature).write(signature);
    (&raw mut (*it).is_async).write(is_async);
    (&raw mut (*it).is_single).write(is_single);
    (&raw mut (*it).instances).write(per_instance.then(Instances::new));
    (&raw mut (*it).limits).write(limits);
    (&raw mut (*it).counts).write(Counts::default());
    (&raw mut (*it).entries).write(Table::new(rule));
    (&raw mut (*it).flights).write(Table::new(rule));
    Ok(made)
}

/// A call: the short way for one `int` or `str` whose value is here and fresh, the long one for all else.
unsafe extern "C" fn call(
    callable: *mut PyObject,
    args: *const *mut PyObject,
    flags: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    let it = callable.cast::<Memo>();
    if names.is_null()
        && ffi::PyVectorcall_NARGS(flags) == 1
        && (*it).is_single
        && let Some(view) = (*it).entries.rule.single(*args)
        && let Look::Found(slot) = (*it).entries.look(&view)
        && let Some(value) = fresh(it, slot)
    {
        return answer(give(it, value));
    }
    answer(long(it, args, flags, names))
}

unsafe fn long(it: *mut Memo, args: *const *mut PyObject, flags: usize, names: *mut PyObject) -> Result<Owned> {
    let given = Given::new(args, flags, names);
    if (*it).instances.is_some() {
        let own = of_instance(it, given)?;
        return Owned::steal(call(own.as_ptr(), args, flags, names));
    }
    let (key, positional, named) = match look(it, given)? {
        Looked::Value(value) => return give(it, value),
        Looked::Missed(key, positional, named) => (key, positional, named),
        Looked::Misfit => {
            // The function says best what is wrong with its arguments.
            let function = (*it).function.clone().ok_or_else(|| collected())?;
            return Owned::steal(ffi::PyObject_Vectorcall(function.as_ptr(), args, flags, names));
        }
    };
    let (key, positional, named) = (key.as_ptr(), positional.as_ptr(), named.as_ptr());
    load::load(it, Asked { key, positional, named, renew: false })
}

enum Looked {
    Value(Owned),
    /// The key, the tuple of arguments and the dict of those by name.
    Missed(Owned, Owned, Owned),
    Misfit,
}

/// Looks for a call in memory. A function of its own, so that none of its places are on the stack while the load runs.
#[inline(never)]
unsafe fn look(it: *mut Memo, given: Given) -> Result<Looked> {
    with_view(it, given, |view| {
        let Some(view) = view else { return Ok(Looked::Misfit) };
        if let Some(slot) = find(&raw mut (*it).entries, &view)?
            && let Some(value) = fresh(it, slot)
        {
            return Ok(Looked::Value(value));
        }
        Ok(Looked::Missed(token(view)?, tuple_of(given.positional)?, given.by_name()?))
    })
}

unsafe extern "C" fn bound(it: *mut PyObject, instance: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    if instance.is_null() || ptr::eq(instance, ffi::Py_None()) {
        return Owned::share(it).into_ptr();
    }
    answer(ask(c"_bind", &[it, instance]))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    let mut show = |object: *mut PyObject| visit(object, data);
    let memo = &*it.cast::<Memo>();
    let own = [&memo.function, &memo.slow, &memo.copy].into_iter().flatten().map(Owned::as_ptr);
    let defaults = memo.signature.iter().flat_map(Signature::objects);
    let instances = memo.instances.iter().flat_map(Instances::values).flat_map(Instance::objects);
    match function::show(it, own.chain(defaults).chain(instances), &mut show) {
        0 => {}
        said => return said,
    }
    match memo.entries.visit(&mut show) {
        0 => memo.flights.visit(&mut show),
        said => said,
    }
}

unsafe extern "C" fn clear(it: *mut PyObject) -> c_int {
    let object = it;
    let it = it.cast::<Memo>();
    let functions = ((*it).function.take(), (*it).slow.take(), (*it).copy.take());
    let instances = (*it).instances.as_mut().map(std::mem::take);
    // What looks a signature up is refused without a function, so that it may go as well.
    let gone = ((*it).entries.take(), (*it).flights.take(), (*it).signature.take());
    function::clear(object);
    drop((functions, instances, gone));
    0
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    function::dealloc(it, free);
}

unsafe fn free(it: *mut PyObject) {
    function::forget_weak_references(it);
    let memo = it.cast::<Memo>();
    clear(it);
    ptr::drop_in_place(&raw mut (*memo).instances);
    ptr::drop_in_place(&raw mut (*memo).entries);
    ptr::drop_in_place(&raw mut (*memo).flights);
    types::free(it);
}

fn methods() -> Vec<ffi::PyMethodDef> {
    vec![
        of_call(
            c"key",
            verbs::key,
            c"key($self, /, *args, **kwargs)\n--\n\nThe key under which the result of such a call is kept.",
        ),
        of_call(c"_board", verbs::board, c"(key, flight, renew): leads a load, joins one, or gives what is here."),
        of_call(
            c"_load",
            load::load_now,
            c"(key, args, kwargs, renew): what memory does not answer, or with renew whatever it has.",
        ),
        of_call(
            c"_run",
            load::run,
            c"(key, flight, args, kwargs): calls the function, keeps what it returns, ends the flight.",
        ),
        of_one(c"_claim", load::claim, c"(flight): whether it was nobody's, and is this thread's now."),
        of_call(
            c"_give_up",
            load::give_up_now,
            c"(key, flight, error or None): ends a flight that is nobody's or this thread's; whether it did.",
        ),
        of_call(c"_land", verbs::land, c"(key, flight, value, weight): keeps a value if the flight stands."),
        of_call(c"_leave", verbs::leave, c"(key, flight): ends a flight that brings nothing."),
        of_call(c"_put", verbs::put, c"(key, value, weight): keeps a value, and detaches the key's flight."),
        of_one(c"_drop", verbs::drop_key, c"(key): takes the entry and the flight out; whether there was an entry."),
        of_one(c"_peek", verbs::peek, c"(key): (value,) if it is here and fresh, else None; counts nothing."),
        plain(c"_clear", verbs::clear, c"Takes everything out and sets the counts to nothing."),
        plain(c"_ground", verbs::ground, c"Detaches all flights: the threads and loops that led them are gone."),
        plain(c"_counts", verbs::counts, c"(hits, misses, stale, joined, evicted, entries, weight, flights)"),
        of_one(c"_flies", verbs::flies, c"(key): whether a load of it stands."),
        of_call(
            c"_keep_instance",
            instances::keep_instance,
            c"(instance, weak reference to it, memo, memo or weak reference to it): what holds its entries.",
        ),
        of_call(c"_drop_instance", instances::drop_instance, c"(address, weak reference): the instance is gone."),
        plain(c"_instances", instances::instances, c"What holds the entries of the instances."),
        of_call(c"_own", instances::own, c"(instance, ...): what holds the entries of this instance."),
        // SAFETY: a table of methods ends with zeros.
        unsafe { std::mem::zeroed() },
    ]
}
