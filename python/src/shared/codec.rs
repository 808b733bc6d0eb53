//! Values as bytes, for a store: what the codec of a function says, which is the face's (`face/tierce/values.py`).
//!
//! A value is packed when its load ends, in the loader's own turn, so that what cannot be packed is that load's error. It is
//! unpacked where the engine reads an entry; what cannot be unpacked is no entry of this cache, and is loaded.

use std::ptr;

use pyo3_ffi as ffi;
use serde::Serialize;
use tierce::store::Codec as Form;
use tierce::{__python as engine, CacheBuilder};

use super::attached::attach;
use super::held::Held;
use crate::owned::{Owned, PyObject, Result, attribute, bytes_object, bytes_of};
use crate::raised;

/// Two functions of Python's: of a value to bytes, and back.
#[derive(Clone)]
pub(crate) struct Codec {
    pack: Held,
    unpack: Held,
    form: Form,
}

impl Codec {
    /// Of an object with `pack(value) -> bytes`, `unpack(bytes) -> value`, and `is_raw`, whether the bytes are no MessagePack.
    pub(crate) unsafe fn of(object: *mut PyObject) -> Result<Codec> {
        let (pack, unpack) = (attribute(object, c"pack")?, attribute(object, c"unpack")?);
        let is_raw = attribute(object, c"is_raw")?;
        let form = if ptr::eq(is_raw.as_ptr(), ffi::Py_True()) { Form::Raw } else { Form::MessagePack };
        Ok(Codec { pack: Held::new(pack), unpack: Held::new(unpack), form })
    }

    /// A value as a load or a `set` brings it.
    pub(crate) unsafe fn packed(&self, value: Owned) -> Result<Held> {
        let bytes = self.pack(value.as_ptr())?;
        Ok(Held::packed(value, bytes))
    }

    unsafe fn pack(&self, value: *mut PyObject) -> Result<Vec<u8>> {
        let bytes = call(&self.pack, value)?;
        Ok(bytes_of(bytes.as_ptr())?.to_vec())
    }

    unsafe fn unpack(&self, bytes: &[u8]) -> Result<Owned> {
        let bytes = bytes_object(bytes)?;
        call(&self.unpack, bytes.as_ptr())
    }

    /// A cache whose values are packed so.
    pub(crate) fn shared<K>(self, builder: CacheBuilder<K, Held>) -> CacheBuilder<K, Held>
    where
        K: std::hash::Hash + Eq + Clone + Send + Sync + Serialize + 'static,
    {
        let (form, other) = (self.form, self.clone());
        let pack = move |value: &Held, out: &mut Vec<u8>| {
            let packed = value.take_packed();
            // It was written before, and is so once more.
            // SAFETY: `attach` holds the interpreter's lock.
            let packed = packed.map_or_else(|| attached(|| unsafe { self.pack(value.as_ptr()) }), Ok)?;
            out.extend_from_slice(&packed);
            Ok(())
        };
        // SAFETY: as above.
        let unpack = move |bytes: &[u8]| attached(|| unsafe { other.unpack(bytes) }.map(Held::new));
        engine::packed(builder, form, pack, unpack)
    }
}

unsafe fn call(function: &Held, argument: *mut PyObject) -> Result<Owned> {
    let arguments = [argument];
    Owned::steal(ffi::PyObject_Vectorcall(function.as_ptr(), arguments.as_ptr(), 1, ptr::null_mut()))
}

/// Runs something with the interpreter's lock held; an exception is its reason, as a sentence.
fn attached<T>(run: impl FnOnce() -> Result<T>) -> std::result::Result<T, String> {
    let ran = attach(|| {
        // SAFETY: the interpreter's lock is held, and an exception that was set before is kept.
        unsafe {
            let before = raised::raised();
            let ran = run().map_err(|_| raised::as_text());
            raised::restore(before);
            ran
        }
    });
    ran.unwrap_or_else(|| Err("the interpreter has ended".to_string()))
}
