//! Short texts that were keys of dicts before: most dicts have the keys of those before them.
//!
//! **Cost.** A text from here has its hash already, and is not allocated: a dict of nine keys is unpacked in two thirds of
//! the time (`python -m bench values_unpack_dict`). **Limits.** [`SLOTS`] texts of at most [`LONGEST`] bytes are kept, for
//! ever; each goes when another comes to its slot.

use std::cell::UnsafeCell;

use pyo3_ffi as ffi;

use crate::owned::{Owned, PyObject, Result};

/// As many as an application has names of fields, and few enough to stay in a processor's first cache.
const SLOTS: usize = 512;

/// What a slot of 40 bytes has room for beside its object.
const LONGEST: usize = 31;

#[derive(Clone, Copy)]
struct Slot {
    /// Null, or a reference that is ours.
    object: *mut PyObject,
    length: u8,
    bytes: [u8; LONGEST],
}

struct Slots(UnsafeCell<[Slot; SLOTS]>);

// SAFETY: it is touched by threads alone that hold the interpreter's lock.
unsafe impl Sync for Slots {}

static KEYS: Slots =
    Slots(UnsafeCell::new([Slot { object: std::ptr::null_mut(), length: 0, bytes: [0; LONGEST] }; SLOTS]));

/// The `str` of these bytes.
#[inline]
pub(super) unsafe fn key(bytes: &[u8]) -> Result<Owned> {
    if bytes.len() > LONGEST {
        return made(bytes);
    }
    let slot = KEYS.0.get().cast::<Slot>().add(place(bytes));
    if !(*slot).object.is_null() && (&(*slot).bytes)[..usize::from((*slot).length)] == *bytes {
        return Ok(Owned::share((*slot).object));
    }
    let key = made(bytes)?;
    let mut copy = [0; LONGEST];
    copy[..bytes.len()].copy_from_slice(bytes);
    let older =
        std::mem::replace(&mut *slot, Slot { object: key.clone().into_ptr(), length: bytes.len() as u8, bytes: copy });
    // A `str` goes without running anything.
    ffi::Py_XDECREF(older.object);
    Ok(key)
}

unsafe fn made(bytes: &[u8]) -> Result<Owned> {
    Owned::steal(ffi::PyUnicode_FromStringAndSize(bytes.as_ptr().cast(), bytes.len().cast_signed()))
}

/// FNV-1a, whose quality at these lengths is enough, and which needs no tables. Who chooses keys of one slot makes himself slow.
fn place(bytes: &[u8]) -> usize {
    let hash = bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
    (hash >> 20) as usize % SLOTS
}
