//! A key of the engine's, made from the arguments of a call: its parts, and no object.
//!
//! The engine compares and hashes keys under its locks, where nothing of Python's may run, and writes them as text for
//! other processes (`docs/wire.md`). So what a key is made of is read out of the arguments when it is made. What has no row there
//! the face is asked about; it knows a few types more, or says what to do instead.
//!
//! **Hits.** A call with one `int` or `str` is looked up by a [`View`] that borrows the text and allocates nothing.

use std::hash::{Hash, Hasher};
use std::ptr;

use pyo3_ffi as ffi;
use serde::ser::{Error, SerializeTuple};
use serde::{Serialize, Serializer};
use tierce::{KeyRef, ToKey};

use super::names::names;
use crate::owned::{Owned, PyObject, Raised, Result, is_exactly, text_of, type_error, value_error};

/// A key as the engine keeps it. The one part of calls that all have one stands for itself; else it is a sequence, also of one
/// part where another call may have more: `(1,2)` alone would be the text of `f((1, 2))` and of `f(1, 2)`.
#[derive(Clone, Debug)]
pub(crate) enum PyKey {
    Int(i64),
    Text(Box<str>),
    One(Box<Part>),
    Parts(Box<[Part]>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Nothing,
    Bool(bool),
    Int(i64),
    /// Of more than 64 bits, in decimal digits.
    Long(Box<str>),
    /// Its bits; −0 is 0.
    Float(u64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    Tuple(Box<[Part]>),
    /// What `**kwargs` takes, in the order of the names.
    Named(Box<[(Box<str>, Part)]>),
}

/// A key as it is looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum View<'a> {
    Int(i64),
    Text(&'a str),
    One(&'a Part),
    Parts(&'a [Part]),
}

impl PyKey {
    pub(crate) fn view(&self) -> View<'_> {
        match self {
            PyKey::Int(number) => View::Int(*number),
            PyKey::Text(text) => View::Text(text),
            PyKey::One(part) => View::One(part),
            PyKey::Parts(parts) => View::Parts(parts),
        }
    }

    /// The key of a call that always has so many parts.
    pub(crate) fn of(mut parts: Vec<Part>) -> PyKey {
        match (parts.pop(), parts.is_empty()) {
            (Some(Part::Int(number)), true) => PyKey::Int(number),
            (Some(Part::Text(text)), true) => PyKey::Text(text),
            (Some(part), true) => PyKey::One(Box::new(part)),
            (last, _) => {
                parts.extend(last);
                PyKey::sequence(parts)
            }
        }
    }

    /// The key of a call that may have more parts or fewer.
    pub(crate) fn sequence(parts: Vec<Part>) -> PyKey {
        PyKey::Parts(parts.into())
    }
}

impl<'a> View<'a> {
    /// The key of one argument that is exactly an `int` of 64 bits or a `str`, for as long as that lives; None of any other.
    #[inline]
    pub(crate) unsafe fn single(argument: *mut PyObject) -> Option<View<'a>> {
        if is_exactly(argument, &raw mut ffi::PyLong_Type) {
            let mut beyond = 0;
            let number = ffi::PyLong_AsLongLongAndOverflow(argument, &raw mut beyond);
            return (beyond == 0).then_some(View::Int(number));
        }
        if !is_exactly(argument, &raw mut ffi::PyUnicode_Type) {
            return None;
        }
        let text = text_of(argument);
        if text.is_err() {
            // Half of a surrogate pair: the long way says so.
            ffi::PyErr_Clear();
        }
        text.ok().map(View::Text)
    }
}

impl PartialEq for PyKey {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl Eq for PyKey {}

impl Hash for PyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.view().hash(state);
    }
}

impl KeyRef<PyKey> for View<'_> {
    #[inline]
    fn is(&self, key: &PyKey) -> bool {
        *self == key.view()
    }
}

impl ToKey<PyKey> for View<'_> {
    fn to_key(&self) -> PyKey {
        match *self {
            View::Int(number) => PyKey::Int(number),
            View::Text(text) => PyKey::Text(text.into()),
            View::One(part) => PyKey::One(Box::new(part.clone())),
            View::Parts(parts) => PyKey::Parts(parts.into()),
        }
    }
}

/// A part, read out of an argument.
pub(crate) unsafe fn part(argument: *mut PyObject) -> Result<Part> {
    if let Some(part) = plain(argument)? {
        return Ok(part);
    }
    let arguments = [argument];
    let function = names()?.part.as_ptr();
    let other = Owned::steal(ffi::PyObject_Vectorcall(function, arguments.as_ptr(), 1, ptr::null_mut()))?;
    plain(other.as_ptr())?.ok_or_else(|| type_error(c"what stands for an argument has no place in a key"))
}

unsafe fn plain(argument: *mut PyObject) -> Result<Option<Part>> {
    let part = match View::single(argument) {
        Some(View::Int(number)) => Part::Int(number),
        Some(View::Text(text)) => Part::Text(text.into()),
        _ if ptr::eq(argument, ffi::Py_None()) => Part::Nothing,
        _ if is_exactly(argument, &raw mut ffi::PyBool_Type) => Part::Bool(ptr::eq(argument, ffi::Py_True())),
        _ if is_exactly(argument, &raw mut ffi::PyLong_Type) => Part::Long(digits(argument)?),
        _ if is_exactly(argument, &raw mut ffi::PyFloat_Type) => float(ffi::PyFloat_AsDouble(argument))?,
        _ if is_exactly(argument, &raw mut ffi::PyBytes_Type) => Part::Bytes(bytes(argument)),
        _ if is_exactly(argument, &raw mut ffi::PyTuple_Type) => Part::Tuple(items(argument)?),
        // It is a `str` that has no UTF-8: raises that.
        _ if is_exactly(argument, &raw mut ffi::PyUnicode_Type) => Part::Text(text_of(argument)?.into()),
        _ => return Ok(None),
    };
    Ok(Some(part))
}

unsafe fn digits(number: *mut PyObject) -> Result<Box<str>> {
    let text = Owned::steal(ffi::PyObject_Str(number))?;
    let digits = text_of(text.as_ptr())?;
    // What serde has integers for.
    if digits.parse::<i128>().is_err() && digits.parse::<u128>().is_err() {
        return Err(value_error("an int of more than 128 bits has no place in a key: give its text"));
    }
    Ok(digits.into())
}

unsafe fn float(number: f64) -> Result<Part> {
    if number.is_nan() {
        return Err(value_error("NaN has no place in a key: it is not equal to itself"));
    }
    Ok(Part::Float(if number == 0.0 { 0 } else { number.to_bits() }))
}

unsafe fn bytes(object: *mut PyObject) -> Box<[u8]> {
    let (start, size) = (ffi::PyBytes_AsString(object), ffi::PyBytes_Size(object).cast_unsigned());
    std::slice::from_raw_parts(start.cast::<u8>(), size).into()
}

unsafe fn items(tuple: *mut PyObject) -> Result<Box<[Part]>> {
    if ffi::Py_EnterRecursiveCall(c" while reading a key".as_ptr()) != 0 {
        return Err(Raised);
    }
    let items = (0..ffi::PyTuple_Size(tuple)).map(|at| part(ffi::PyTuple_GetItem(tuple, at))).collect();
    ffi::Py_LeaveRecursiveCall();
    items
}

impl Serialize for PyKey {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            PyKey::Int(number) => to.serialize_i64(*number),
            PyKey::Text(text) => to.serialize_str(text),
            PyKey::One(part) => part.serialize(to),
            PyKey::Parts(parts) => sequence(parts, to),
        }
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Part::Nothing => to.serialize_unit(),
            Part::Bool(value) => to.serialize_bool(*value),
            Part::Int(number) => to.serialize_i64(*number),
            Part::Long(digits) => match (digits.parse::<i128>(), digits.parse::<u128>()) {
                (Ok(number), _) => to.serialize_i128(number),
                (_, Ok(number)) => to.serialize_u128(number),
                _ => Err(S::Error::custom("an integer of more than 128 bits")),
            },
            Part::Float(bits) => to.serialize_f64(f64::from_bits(*bits)),
            Part::Text(text) => to.serialize_str(text),
            Part::Bytes(bytes) => to.serialize_bytes(bytes),
            Part::Tuple(parts) => sequence(parts, to),
            Part::Named(parts) => to.collect_map(parts.iter().map(|(name, part)| (name, part))),
        }
    }
}

fn sequence<S: Serializer>(parts: &[Part], to: S) -> std::result::Result<S::Ok, S::Error> {
    let mut sequence = to.serialize_tuple(parts.len())?;
    for part in parts {
        sequence.serialize_element(part)?;
    }
    sequence.end()
}
