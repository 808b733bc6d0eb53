//! Values as bytes, for a store: what the codec of a function says, which is the face's (`face/tierce/values.py`).
//!
//! A value is packed when its load ends, in the loader's own turn, so that what cannot be packed is that load's error. It is
//! unpacked where the engine reads an entry; what cannot be unpacked is no entry of this cache, and is loaded.

use pyo3_ffi as ffi;
use serde::Serialize;
use tierce::store::Codec as Form;
use tierce::{__python as engine, CacheBuilder};

use super::attached::attach;
use super::held::Held;
use super::names::names;
use crate::awaitable::{is_lookup, is_ready};
use crate::owned::{Owned, PyObject, Raised, Result, attribute, is_exactly};
use crate::raised;
use crate::values;

/// A value of this cached function, hold or loader as the engine holds it. What has yet to be awaited is none: whoever got it as a
/// hit could not await it again.
pub(crate) unsafe fn held(codec: Option<&Codec>, of: *mut PyObject, value: Owned) -> Result<Held> {
    let it = value.as_ptr();
    if is_ready(it) || is_lookup(it) || is_exactly(it, names()?.coroutine.as_ptr().cast()) {
        let name = attribute(of, c"__qualname__").or_else(|Raised| {
            drop(raised::raised());
            Owned::steal(ffi::PyObject_Repr(of))
        })?;
        let form = c"%S: %R is to be awaited, and what it brings is the value";
        ffi::PyErr_Format(ffi::PyExc_TypeError, form.as_ptr(), name.as_ptr(), it);
        return Err(Raised);
    }
    match codec {
        Some(codec) => codec.packed(value),
        None => Ok(Held::new(value)),
    }
}

/// How the values of one function are packed: by a codec of the face's, and what an envelope says of that.
#[derive(Clone)]
pub(crate) struct Codec {
    codec: Held,
    form: Form,
}

/// What an envelope says of MessagePack; any other number of a codec is raw bytes.
const MESSAGE_PACK: u8 = 1;

impl Codec {
    pub(crate) unsafe fn of(object: *mut PyObject) -> Result<Codec> {
        let is_message_pack = values::Codec::of(object)?.number()? == MESSAGE_PACK;
        let form = if is_message_pack { Form::MessagePack } else { Form::Raw };
        Ok(Codec { codec: Held::new(Owned::share(object)), form })
    }

    /// A value as a load or a `set` brings it.
    pub(crate) unsafe fn packed(&self, value: Owned) -> Result<Held> {
        let bytes = self.pack(value.as_ptr())?;
        Ok(Held::packed(value, bytes))
    }

    unsafe fn pack(&self, value: *mut PyObject) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        values::Codec::of(self.codec.as_ptr())?.pack(value, &mut bytes)?;
        Ok(bytes)
    }

    unsafe fn unpack(&self, bytes: &[u8]) -> Result<Owned> {
        values::Codec::of(self.codec.as_ptr())?.unpack(bytes)
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
