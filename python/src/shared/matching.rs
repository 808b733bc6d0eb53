//! Ending all keys that look alike: a pattern of the parts of a key.

use pyo3_ffi as ffi;
use serde::ser::SerializeTuple;
use serde::{Serialize, Serializer};
use tierce::{Any, KeyPattern, Like};

use super::asked::asked;
use super::attached::entry;
use super::cached::{are_sequences, cache};
use super::key::{Part, part};
use super::said::{Args, Count, manner};
use super::told::{self, Why};
use crate::owned::{Owned, PyObject, Raised, answer, integer, text_of, type_error};
use crate::types;

/// What stands in one place of a key.
enum Piece {
    Any,
    Like(String),
    Is(Part),
}

struct Pieces {
    all: Vec<Piece>,
    /// Whether the keys are sequences also of one part.
    are_sequence: bool,
}

impl Serialize for Piece {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Piece::Any => Any.serialize(to),
            Piece::Like(text) => Like(text).serialize(to),
            Piece::Is(part) => part.serialize(to),
        }
    }
}

/// As keys are written (`key.rs`).
impl Serialize for Pieces {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        if let ([only], false) = (self.all.as_slice(), self.are_sequence) {
            return only.serialize(to);
        }
        let mut sequence = to.serialize_tuple(self.all.len())?;
        self.all.iter().try_for_each(|piece| sequence.serialize_element(piece))?;
        sequence.end()
    }
}

pub(super) fn method() -> ffi::PyMethodDef {
    let pointer = ffi::PyMethodDefPointer { PyCFunctionFast: invalidate_matching };
    types::method(
        c"_invalidate_matching",
        pointer,
        ffi::METH_FASTCALL,
        c"_invalidate_matching(is_tuple, *pieces): ends the keys of these pieces, which are the parts of a tuple that is the key, or of a call; each is None for any, a list of a text for one that is like it, or a tuple of what it is.",
    )
}

unsafe extern "C" fn invalidate_matching(it: *mut PyObject, args: *mut *mut PyObject, count: Count) -> *mut PyObject {
    answer(entry(|| {
        let args: Args = args;
        let mut all = Vec::new();
        for at in 1..count.cast_unsigned() {
            let given = *args.add(at);
            all.push(if std::ptr::eq(given, ffi::Py_None()) {
                Piece::Any
            } else if ffi::PyList_Check(given) != 0 {
                let text = ffi::PyList_GetItem(given, 0);
                if text.is_null() {
                    return Err(Raised);
                }
                Piece::Like(text_of(text)?.to_string())
            } else {
                let value = ffi::PyTuple_GetItem(given, 0);
                if value.is_null() {
                    return Err(Raised);
                }
                let value = Owned::share(value);
                Piece::Is(part(value.as_ptr())?)
            });
        }
        if all.is_empty() {
            return Err(type_error(c"a pattern has as many parts as the keys have"));
        }
        let are_sequence = std::ptr::eq(*args, ffi::Py_True()) || are_sequences(it.cast());
        let pattern = KeyPattern::of(&Pieces { all, are_sequence }).map_err(|error| told::raise(Why::Said(error)))?;
        let cache = cache(it.cast())?.clone();
        let question = async move { cache.invalidate_matching(&pattern).await.map_err(Why::Said) };
        // SAFETY: `asked` has the interpreter's lock where it shows something.
        asked(manner(it).is_async, question, |ended| unsafe { integer(ended) })
    }))
}
