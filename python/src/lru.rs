//! `lru_cache`: `functools`' own semantics, by vectorcall.
//!
//! What CPython's C version does is done here in the same order: the key is hashed once, looked up, the function called without
//! anything held, and the key looked up again before it is added, since the call may have added it. The order of use is
//! strict, `maxsize` exact, and the attributes are the same.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use pyo3_ffi as ffi;

use crate::function::{self, Head, Plan};
use crate::key::{Call, Rule, View};
use crate::owned::{Owned, PyObject, Raised, Result, answer, attribute, integer, none, tuple, type_error};
use crate::probe::find;
use crate::seed;
use crate::table::{Look, Table};
use crate::types::{self, plain};

#[repr(C)]
struct Lru {
    head: Head,
    /// None once the collector of cycles has cleared it.
    function: Option<Owned>,
    /// What `cache_info()` makes of its four numbers.
    info: Option<Owned>,
    room: Room,
    hits: u64,
    misses: u64,
    table: Table<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// `maxsize=0`: calls are counted, and nothing is kept.
    Nothing,
    Entries(usize),
    /// `maxsize=None`: nothing is evicted, so that no order is kept either.
    Unbounded,
}

static TYPE: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(ptr::null_mut());

/// The type `_lru_cache_wrapper`.
pub(crate) unsafe fn make_type() -> Result<Owned> {
    let methods = vec![
        plain(
            c"cache_info",
            cache_info,
            c"cache_info($self, /)\n--\n\nHits, misses, maxsize and currsize, as numbers by name.",
        ),
        plain(c"cache_clear", cache_clear, c"cache_clear($self, /)\n--\n\nForget all values and counts."),
        plain(c"__reduce__", reduce, c"__reduce__($self, /)\n--\n\nPickled by its qualified name."),
        plain(c"__copy__", myself, c"__copy__($self, /)\n--\n\nThe same object."),
        types::of_one(c"__deepcopy__", myself, c"__deepcopy__($self, memo, /)\n--\n\nThe same object."),
        types::plain(c"__sizeof__", size_of_it, c"__sizeof__($self, /)\n--\n\nBytes, those of the entries included."),
        // SAFETY: a table of methods ends with zeros.
        std::mem::zeroed(),
    ];
    let made = function::make_type(Plan {
        name: c"tierce._tierce._lru_cache_wrapper",
        doc: c"A function whose results are kept; made by lru_cache and cache.",
        size: size_of::<Lru>(),
        flags: ffi::Py_TPFLAGS_BASETYPE,
        new,
        bind: bound,
        traverse,
        clear,
        dealloc,
        methods,
        class: Some(class),
    })?;
    // It lives as long as the process.
    TYPE.store(made.clone().into_ptr().cast(), Relaxed);
    Ok(made)
}

unsafe extern "C" fn new(kind: *mut ffi::PyTypeObject, args: *mut PyObject, named: *mut PyObject) -> *mut PyObject {
    answer(make(kind, args, named))
}

/// `_lru_cache_wrapper(user_function, maxsize, typed, cache_info_type)`, as in `functools`.
unsafe fn make(kind: *mut ffi::PyTypeObject, args: *mut PyObject, named: *mut PyObject) -> Result<Owned> {
    let given = ffi::PyTuple_Size(args) + if named.is_null() { 0 } else { ffi::PyDict_Size(named) };
    if given != 4 {
        return Err(type_error(c"_lru_cache_wrapper() takes user_function, maxsize, typed and cache_info_type"));
    }
    let argument = |at: ffi::Py_ssize_t, name: &std::ffi::CStr| {
        if at < ffi::PyTuple_Size(args) {
            return Ok(ffi::PyTuple_GetItem(args, at));
        }
        let found = ffi::PyDict_GetItemString(named, name.as_ptr());
        if found.is_null() { Err(type_error(c"_lru_cache_wrapper() lacks an argument")) } else { Ok(found) }
    };
    let function = argument(0, c"user_function")?;
    let (maxsize, typed, info) = (argument(1, c"maxsize")?, argument(2, c"typed")?, argument(3, c"cache_info_type")?);
    if ffi::PyCallable_Check(function) == 0 {
        return Err(type_error(c"the first argument must be callable"));
    }
    let room = Room::read(maxsize)?;
    let typed = ffi::PyObject_IsTrue(typed);
    if typed < 0 {
        return Err(Raised);
    }
    let (function, info) = (Owned::share(function), Owned::share(info));
    let made = types::allocate(kind)?;
    let it = made.as_ptr().cast::<Lru>();
    // Nothing runs before all fields are written: the collector of cycles may look at any time after that.
    (&raw mut (*it).head.vectorcall).write(Some(call));
    (&raw mut (*it).function).write(Some(function));
    (&raw mut (*it).info).write(Some(info));
    (&raw mut (*it).room).write(room);
    (&raw mut (*it).table).write(Table::new(Rule { seed: seed::draw(), typed: typed == 1 }));
    Ok(made)
}

impl Room {
    unsafe fn read(maxsize: *mut PyObject) -> Result<Room> {
        if ptr::eq(maxsize, ffi::Py_None()) {
            return Ok(Room::Unbounded);
        }
        if ffi::PyIndex_Check(maxsize) == 0 {
            return Err(type_error(c"maxsize should be integer or None"));
        }
        let size = ffi::PyNumber_AsSsize_t(maxsize, ffi::PyExc_OverflowError);
        if size == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        Ok(if size <= 0 { Room::Nothing } else { Room::Entries(size.cast_unsigned()) })
    }
}

/// A call: the short way for one `int` or `str` that is here, the long one for all else.
unsafe extern "C" fn call(
    callable: *mut PyObject,
    args: *const *mut PyObject,
    flags: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    let it = callable.cast::<Lru>();
    if names.is_null()
        && ffi::PyVectorcall_NARGS(flags) == 1
        && let Some(view) = (*it).table.rule.single(*args)
        && let Look::Found(slot) = (*it).table.look(&view)
    {
        return hit(it, slot).into_ptr();
    }
    answer(long(it, args, flags, names))
}

#[inline]
unsafe fn hit(it: *mut Lru, slot: u32) -> Owned {
    let it = &mut *it;
    it.hits += 1;
    if it.room != Room::Unbounded {
        it.table.touch(slot);
    }
    it.table.entry(slot).value.clone()
}

unsafe fn long(it: *mut Lru, args: *const *mut PyObject, flags: usize, names: *mut PyObject) -> Result<Owned> {
    if (*it).room == Room::Nothing {
        (*it).misses += 1;
        return run(it, args, flags, names);
    }
    let named = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) };
    let count = ffi::PyVectorcall_NARGS(flags) + named;
    let values = if count == 0 { &[] } else { std::slice::from_raw_parts(args, count as usize) };
    // A name that is no argument is none: `f(**{})` is `f()`.
    let names_of = if named == 0 { ptr::null_mut() } else { names };
    let view = (*it).table.rule.call(Call { values, names: names_of, named: named as u32 })?;
    if let Some(slot) = find(&raw mut (*it).table, &view)? {
        return Ok(hit(it, slot));
    }
    (*it).misses += 1;
    let value = run(it, args, flags, names)?;
    store(it, &view, &value)?;
    Ok(value)
}

/// Calls the function, with nothing of the cache held.
unsafe fn run(it: *mut Lru, args: *const *mut PyObject, flags: usize, names: *mut PyObject) -> Result<Owned> {
    let Some(function) = (*it).function.clone() else {
        return Err(type_error(c"the cached function was collected"));
    };
    function::run(function, args, flags, names)
}

unsafe fn store(it: *mut Lru, view: &View, value: &Owned) -> Result<()> {
    // The call may have added the key, here or in another thread.
    let found = find(&raw mut (*it).table, view)?;
    let table = &mut (*it).table;
    let gone = match (found, (*it).room) {
        // As `functools`: a bounded cache keeps what the inner call has put in, an unbounded one takes the newer.
        (Some(slot), Room::Unbounded) => (Some(table.replace(slot, value.clone())), None),
        (Some(_), _) => (None, None),
        (None, room) => {
            let full = matches!(room, Room::Entries(most) if table.len() >= most);
            let evicted = if full { table.oldest().map(|slot| table.remove(slot)) } else { None };
            table.add(view.hash, view.to_key(), value.clone(), ());
            (None, evicted)
        }
    };
    // Dropped when the table is whole again, since that may run anything.
    drop(gone);
    Ok(())
}

unsafe extern "C" fn bound(it: *mut PyObject, instance: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    if instance.is_null() || ptr::eq(instance, ffi::Py_None()) {
        return Owned::share(it).into_ptr();
    }
    answer(types::bind(it, instance))
}

unsafe extern "C" fn cache_info(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(info_of(it.cast()))
}

unsafe fn info_of(it: *mut Lru) -> Result<Owned> {
    let it = &*it;
    let Some(made_by) = it.info.clone() else {
        return Err(type_error(c"the cached function was collected"));
    };
    let maxsize = match it.room {
        Room::Nothing => integer(0)?,
        Room::Entries(most) => integer(most as u64)?,
        Room::Unbounded => none(),
    };
    let numbers = tuple([integer(it.hits)?, integer(it.misses)?, maxsize, integer(it.table.len() as u64)?])?;
    Owned::steal(ffi::PyObject_CallObject(made_by.as_ptr(), numbers.as_ptr()))
}

unsafe extern "C" fn cache_clear(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    let it = it.cast::<Lru>();
    (*it).hits = 0;
    (*it).misses = 0;
    let gone = (*it).table.take();
    drop(gone);
    none().into_ptr()
}

/// Whoever asks `isinstance(f, functools._lru_cache_wrapper)` asks for what this is in the place of.
unsafe extern "C" fn class(it: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    if !ptr::eq(ffi::Py_TYPE(it), TYPE.load(Relaxed)) {
        return Owned::share(ffi::Py_TYPE(it).cast()).into_ptr();
    }
    let functools = Owned::steal(ffi::PyImport_ImportModule(c"functools".as_ptr()));
    answer(functools.and_then(|functools| attribute(functools.as_ptr(), c"_lru_cache_wrapper")))
}

unsafe extern "C" fn reduce(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(attribute(it, c"__qualname__"))
}

unsafe extern "C" fn myself(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    Owned::share(it).into_ptr()
}

unsafe extern "C" fn size_of_it(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    let bytes = size_of::<Lru>() + (*it.cast::<Lru>()).table.bytes();
    answer(integer(bytes as u64))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    let mut show = |object: *mut PyObject| visit(object, data);
    let lru = &*it.cast::<Lru>();
    let own = [&lru.function, &lru.info].into_iter().flatten().map(Owned::as_ptr);
    match function::show(it, own, &mut show) {
        0 => lru.table.visit(&mut show),
        said => said,
    }
}

unsafe extern "C" fn clear(it: *mut PyObject) -> c_int {
    let lru = it.cast::<Lru>();
    let gone = ((*lru).function.take(), (*lru).info.take(), (*lru).table.take());
    function::clear(it);
    drop(gone);
    0
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    function::dealloc(it, free);
}

unsafe fn free(it: *mut PyObject) {
    function::forget_weak_references(it);
    clear(it);
    ptr::drop_in_place(&raw mut (*it.cast::<Lru>()).table);
    types::free(it);
}
