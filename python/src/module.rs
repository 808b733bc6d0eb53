//! The module `tierce._tierce`: its types, made once in a process.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3_ffi as ffi;

use crate::owned::{Owned, PyObject, Raised, Result};
use crate::types::{method, of_one, plain};
use crate::{clock, lru, ready, shared, token, values, wrapper};

/// In a cell, since CPython writes into it.
struct Definition(UnsafeCell<ffi::PyModuleDef>);

// SAFETY: CPython alone writes it, under its lock.
unsafe impl Sync for Definition {}

/// Only named where CPython is given its address.
#[allow(dead_code, reason = "read by CPython alone")]
struct Functions<const N: usize>([ffi::PyMethodDef; N]);

// SAFETY: nobody writes it.
unsafe impl<const N: usize> Sync for Functions<N> {}

static FUNCTIONS: Functions<7> = Functions([
    plain(c"_now_ms", clock::now, c"The time by which values age, in milliseconds."),
    plain(c"_forget_loops", shared::forget_loops, c"In the child of a fork: no loop of the parent's runs."),
    method(
        c"_blocking",
        ffi::PyMethodDefPointer { PyCFunctionFast: shared::blocking },
        ffi::METH_FASTCALL,
        c"_blocking(call, args, kwargs): what the call comes to, waited for by this thread.",
    ),
    plain(c"_end", shared::end, c"The interpreter is about to end."),
    of_one(c"_codec", values::of_plan, c"((plan, name, root)): the codec of a plan of the face's."),
    of_one(c"_called_codec", values::of_functions, c"((pack, unpack, name)): a codec that calls these."),
    // SAFETY: a table of functions ends with zeros.
    unsafe { std::mem::zeroed() },
]);

/// What `_tierce.testing` has, for the package's own tests.
static OF_TESTS: Functions<5> = Functions([
    of_one(c"hold_time", clock::hold, c"Holds the time by which values age, in milliseconds; 0 lets it run."),
    of_one(c"step_wall_clock", clock::step, c"Takes the wall clock to be so many milliseconds off, as a set clock is."),
    of_one(
        c"from_thread",
        shared::from_thread,
        c"((value, extra),): gives the value when a thread without Python has let extra go.",
    ),
    plain(c"live", shared::live, c"How many tasks and loops there are."),
    // SAFETY: as above.
    unsafe { std::mem::zeroed() },
]);

#[allow(dead_code, reason = "read by CPython alone")]
struct Slots([ffi::PyModuleDef_Slot; SLOTS]);

// SAFETY: nobody writes it.
unsafe impl Sync for Slots {}

#[cfg(Py_3_12)]
const SLOTS: usize = 3;
#[cfg(not(Py_3_12))]
const SLOTS: usize = 2;

static MODULE_SLOTS: Slots = Slots([
    ffi::PyModuleDef_Slot { slot: ffi::Py_mod_exec, value: fill as *mut c_void },
    #[cfg(Py_3_12)]
    ffi::PyModuleDef_Slot {
        slot: ffi::Py_mod_multiple_interpreters,
        value: ffi::Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED,
    },
    ffi::PyModuleDef_Slot { slot: 0, value: ptr::null_mut() },
]);

static DEFINITION: Definition = Definition(UnsafeCell::new(ffi::PyModuleDef {
    m_base: ffi::PyModuleDef_HEAD_INIT,
    m_name: c"_tierce".as_ptr(),
    m_doc: c"The part of tierce that is compiled; import tierce instead.".as_ptr(),
    m_size: 0,
    m_methods: (&raw const FUNCTIONS).cast_mut().cast(),
    m_slots: (&raw const MODULE_SLOTS).cast_mut().cast(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
}));

/// Called by CPython when it imports the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyInit__tierce() -> *mut PyObject {
    ffi::PyModuleDef_Init(DEFINITION.0.get())
}

/// The id of the main interpreter. No other may have the module, since its types are of one interpreter: not even the first
/// to import it, which would keep the main one out.
const MAIN: i64 = 0;

unsafe extern "C" fn fill(module: *mut PyObject) -> c_int {
    match fill_with_types(module) {
        Ok(()) => 0,
        Err(Raised) => -1,
    }
}

unsafe fn fill_with_types(module: *mut PyObject) -> Result<()> {
    let here = ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get());
    if here != MAIN {
        let sentence = c"tierce does not support subinterpreters: import it in the main interpreter of the process";
        ffi::PyErr_SetString(ffi::PyExc_ImportError, sentence.as_ptr());
        return Err(Raised);
    }
    add(module, c"_lru_cache_wrapper", lru::make_type()?)?;
    add(module, c"Memo", wrapper::make_type()?)?;
    add(module, c"Key", token::make_type()?)?;
    add(module, c"Ready", ready::make_type()?)?;
    add(module, c"Codec", values::make_type()?)?;
    add(module, c"testing", testing()?)?;
    shared::make_types()?.into_iter().try_for_each(|(name, kind)| add(module, name, kind))
}

/// A module of its own, so that nobody takes what is there for a part of the package.
unsafe fn testing() -> Result<Owned> {
    let made = Owned::steal(ffi::PyModule_New(c"tierce._tierce.testing".as_ptr()))?;
    let doc = c"For the package's own tests: it changes without notice.";
    let functions = (&raw const OF_TESTS).cast_mut().cast();
    if ffi::PyModule_SetDocString(made.as_ptr(), doc.as_ptr()) < 0
        || ffi::PyModule_AddFunctions(made.as_ptr(), functions) < 0
    {
        return Err(Raised);
    }
    Ok(made)
}

unsafe fn add(module: *mut PyObject, name: &std::ffi::CStr, object: Owned) -> Result<()> {
    if ffi::PyModule_AddObjectRef(module, name.as_ptr(), object.as_ptr()) < 0 { Err(Raised) } else { Ok(()) }
}
