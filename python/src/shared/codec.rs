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
use crate::owned::{Owned, PyObject, Result, attribute, bytes_object, bytes_of};
use crate::raised;
use crate::values;

/// How the values of one function are packed.
#[derive(Clone)]
pub(crate) enum Codec {
    /// By the forms of its return annotation, as MessagePack.
    Forms(Held),
    /// The same, of an annotation that names what is defined later: asked for when a value is first packed or unpacked.
    Later(Arc<Later>),
    /// By two functions of Python's, as bytes of a kind that only they know.
    Own { pack: Held, unpack: Held },
}

pub(crate) struct Later {
    make: Held,
    made: OnceLock<Held>,
}

impl Codec {
    /// Of a codec of the face's, of a function that makes one, or of an object with `pack(value) -> bytes` and
    /// `unpack(bytes) -> value`.
    pub(crate) unsafe fn of(object: *mut PyObject) -> Result<Codec> {
        if values::Codec::is(object) {
            return Ok(Codec::Forms(Held::new(Owned::share(object))));
        }
        if ffi::PyObject_HasAttrString(object, c"pack".as_ptr()) == 0 {
            let later = Later { make: Held::new(Owned::share(object)), made: OnceLock::new() };
            return Ok(Codec::Later(Arc::new(later)));
        }
        let held = |name| attribute(object, name).map(Held::new);
        Ok(Codec::Own { pack: held(c"pack")?, unpack: held(c"unpack")? })
    }

    fn form(&self) -> Form {
        match self {
            Codec::Forms(_) | Codec::Later(_) => Form::MessagePack,
            Codec::Own { .. } => Form::Raw,
        }
    }

    /// A value as a load or a `set` brings it.
    pub(crate) unsafe fn packed(&self, value: Owned) -> Result<Held> {
        let bytes = self.pack(value.as_ptr())?;
        Ok(Held::packed(value, bytes))
    }

    unsafe fn pack(&self, value: *mut PyObject) -> Result<Vec<u8>> {
        match self {
            Codec::Forms(forms) => {
                let mut bytes = Vec::new();
                values::Codec::of(forms.as_ptr())?.pack(value, &mut bytes)?;
                Ok(bytes)
            }
            Codec::Later(later) => later.forms()?.pack(value),
            Codec::Own { pack, .. } => {
                let bytes = call(pack, value)?;
                Ok(bytes_of(bytes.as_ptr())?.to_vec())
            }
        }
    }

    unsafe fn unpack(&self, bytes: &[u8]) -> Result<Owned> {
        match self {
            Codec::Forms(forms) => values::Codec::of(forms.as_ptr())?.unpack(bytes),
            Codec::Later(later) => later.forms()?.unpack(bytes),
            Codec::Own { unpack, .. } => {
                let bytes = bytes_object(bytes)?;
                call(unpack, bytes.as_ptr())
            }
        }
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
    unsafe fn forms(&self) -> Result<Codec> {
        if let Some(made) = self.made.get() {
            return Ok(Codec::Forms(made.clone()));
        }
        let made = Owned::steal(ffi::PyObject_CallObject(self.make.as_ptr(), ptr::null_mut()))?;
        values::Codec::of(made.as_ptr())?;
        Ok(Codec::Forms(self.made.get_or_init(|| Held::new(made)).clone()))
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
