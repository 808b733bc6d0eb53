//! Values as bytes, for a store: what the codec of a function says, which is the face's (`face/tierce/values.py`).
//!
//! A value is packed when its load ends, in the loader's own turn, so that what cannot be packed is that load's error. It is
//! unpacked where the engine reads an entry; what cannot be unpacked is no entry of this cache, and is loaded.

use std::ptr;
use std::sync::{Arc, OnceLock};

use pyo3_ffi as ffi;
use serde::Serialize;
use tierce::store::Codec as Form;
use tierce::{__python as engine, CacheBuilder};

use super::attached::attach;
use super::held::Held;
use crate::owned::{Owned, PyObject, Result};
use crate::raised;
use crate::values;

/// How the values of one function are packed.
#[derive(Clone)]
pub(crate) enum Codec {
    /// By a codec of the face's.
    Now(Held, Form),
    /// By one whose annotation names what is defined later: made when a value is first packed or unpacked.
    Later(Arc<Later>),
}

pub(crate) struct Later {
    make: Held,
    made: OnceLock<Held>,
}

/// What an envelope says of MessagePack; any other number of a codec is raw bytes.
const MESSAGE_PACK: u8 = 1;

impl Codec {
    /// Of a codec of the face's, or of a function that makes one by an annotation.
    pub(crate) unsafe fn of(object: *mut PyObject) -> Result<Codec> {
        let held = Held::new(Owned::share(object));
        if !values::Codec::is(object) {
            return Ok(Codec::Later(Arc::new(Later { make: held, made: OnceLock::new() })));
        }
        let is_message_pack = values::Codec::of(object)?.number()? == MESSAGE_PACK;
        Ok(Codec::Now(held, if is_message_pack { Form::MessagePack } else { Form::Raw }))
    }

    fn form(&self) -> Form {
        match self {
            Codec::Now(_, form) => *form,
            Codec::Later(_) => Form::MessagePack,
        }
    }

    unsafe fn now(&self) -> Result<&values::Codec> {
        match self {
            Codec::Now(codec, _) => values::Codec::of(codec.as_ptr()),
            Codec::Later(later) => later.now(),
        }
    }

    /// A value as a load or a `set` brings it.
    pub(crate) unsafe fn packed(&self, value: Owned) -> Result<Held> {
        let bytes = self.pack(value.as_ptr())?;
        Ok(Held::packed(value, bytes))
    }

    unsafe fn pack(&self, value: *mut PyObject) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.now()?.pack(value, &mut bytes)?;
        Ok(bytes)
    }

    unsafe fn unpack(&self, bytes: &[u8]) -> Result<Owned> {
        self.now()?.unpack(bytes)
    }

    /// A cache whose values are packed so.
    pub(crate) fn shared<K>(self, builder: CacheBuilder<K, Held>) -> CacheBuilder<K, Held>
    where
        K: std::hash::Hash + Eq + Clone + Send + Sync + Serialize + 'static,
    {
        let (form, other) = (self.form(), self.clone());
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

impl Later {
    unsafe fn now(&self) -> Result<&values::Codec> {
        let codec = match self.made.get() {
            Some(made) => made,
            None => {
                let made = Owned::steal(ffi::PyObject_CallObject(self.make.as_ptr(), ptr::null_mut()))?;
                self.made.get_or_init(|| Held::new(made))
            }
        };
        values::Codec::of(codec.as_ptr())
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
