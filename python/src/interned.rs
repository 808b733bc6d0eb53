//! The names by which CPython is asked, as its own objects: made once each.
//!
//! A name that is made anew for each question is hashed anew, and CPython's cache of what types have knows interned names alone:
//! without this a call of a method of asyncio's costs a walk through its class and all of its bases.

use std::cell::UnsafeCell;
use std::ffi::CStr;

use hashbrown::HashTable;
use pyo3_ffi as ffi;
use pyo3_ffi::PyObject;

/// By the address of the literal. Each is a reference that is never given back.
struct Names(UnsafeCell<HashTable<(usize, *mut PyObject)>>);

// SAFETY: it is touched by threads alone that hold the interpreter's lock.
unsafe impl Sync for Names {}

static NAMES: Names = Names(UnsafeCell::new(HashTable::new()));

/// Addresses lie close to each other: the upper bits are what tells them apart (D. E. Knuth, The Art of Computer Programming,
/// volume 3, section 6.4: by the golden ratio).
fn hash(address: usize) -> u64 {
    (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The name, borrowed for ever; null where none could be made, and an exception is set.
pub(crate) unsafe fn interned(name: &'static CStr) -> *mut PyObject {
    let address = name.as_ptr() as usize;
    if let Some((_, known)) = (*NAMES.0.get()).find(hash(address), |(other, _)| *other == address) {
        return *known;
    }
    // Making it may run foreign code, as the collector of cycles is: the table is looked at after it.
    let made = ffi::PyUnicode_InternFromString(name.as_ptr());
    if !made.is_null() {
        (*NAMES.0.get()).insert_unique(hash(address), (address, made), |(address, _)| hash(*address));
    }
    made
}
