//! The bare form: of values of which no annotation says what they are.
//!
//! What JSON has is plain MessagePack, which any language reads. Of the rest each type has an extension of its own; the numbers
//! stand in `docs/wire.md`, and are for ever.

use std::ptr;

use pyo3_ffi as ffi;

use super::classes::{self, Known, classes};
use super::pack::{Packer, byte_array_of};
use super::trouble::{Outcome, Trouble, refused, type_name};
use super::unpack::Unpacker;
use super::wire::{self, Head, Kind};
use crate::owned::{Owned, PyObject, is_exactly, none};

/// The types of extensions.
mod number {
    pub(super) const TUPLE: i8 = 1;
    pub(super) const SET: i8 = 2;
    pub(super) const FROZEN_SET: i8 = 3;
    pub(super) const BYTE_ARRAY: i8 = 4;
    pub(super) const DATE_TIME: i8 = 5;
    pub(super) const DATE: i8 = 6;
    pub(super) const TIME: i8 = 7;
    pub(super) const TIME_DELTA: i8 = 8;
    pub(super) const DECIMAL: i8 = 9;
    pub(super) const UUID: i8 = 10;
    pub(super) const INT: i8 = 11;
    pub(super) const COMPLEX: i8 = 12;
}

fn number_of(known: Known) -> i8 {
    match known {
        Known::DateTime => number::DATE_TIME,
        Known::Date => number::DATE,
        Known::Time => number::TIME,
        Known::TimeDelta => number::TIME_DELTA,
        Known::Decimal => number::DECIMAL,
        Known::Uuid => number::UUID,
    }
}

impl Packer<'_> {
    pub(crate) unsafe fn bare(&mut self, value: *mut PyObject) -> Outcome<()> {
        let is = |class| is_exactly(value, class);
        if is(&raw mut ffi::PyUnicode_Type) {
            return self.text(value);
        }
        if is(&raw mut ffi::PyLong_Type) {
            return if self.short_integer(value)? { Ok(()) } else { self.bare_integer(value) };
        }
        if ptr::eq(value, ffi::Py_None()) {
            wire::nil(self.out);
        } else if is(&raw mut ffi::PyDict_Type) {
            return self.deeper(|it| it.dict(value, None, None));
        } else if is(&raw mut ffi::PyList_Type) {
            return self.deeper(|it| it.list(value, None));
        } else if is(&raw mut ffi::PyFloat_Type) {
            wire::float(self.out, ffi::PyFloat_AsDouble(value));
        } else if is(&raw mut ffi::PyBool_Type) {
            wire::boolean(self.out, ptr::eq(value, ffi::Py_True()));
        } else if is(&raw mut ffi::PyBytes_Type) {
            return self.bytes(value);
        } else {
            return self.bare_extension(value);
        }
        Ok(())
    }

    unsafe fn bare_extension(&mut self, value: *mut PyObject) -> Outcome<()> {
        let is = |class| is_exactly(value, class);
        if is(&raw mut ffi::PyTuple_Type) {
            return self.deeper(|it| it.held(number::TUPLE, |it| it.tuple(value, |_| None)));
        }
        if is(&raw mut ffi::PySet_Type) {
            return self.deeper(|it| it.bare_set(value, number::SET));
        }
        if is(&raw mut ffi::PyFrozenSet_Type) {
            return self.deeper(|it| it.bare_set(value, number::FROZEN_SET));
        }
        if is(&raw mut ffi::PyByteArray_Type) {
            return Ok(wire::extension(self.out, number::BYTE_ARRAY, byte_array_of(value))?);
        }
        if is(&raw mut ffi::PyComplex_Type) {
            let (real, imaginary) = (ffi::PyComplex_RealAsDouble(value), ffi::PyComplex_ImagAsDouble(value));
            let bytes = [real.to_be_bytes(), imaginary.to_be_bytes()].concat();
            return Ok(wire::extension(self.out, number::COMPLEX, &bytes)?);
        }
        match classes()?.of(value) {
            Some(known) => self.bare_known(value, known),
            None => Err(refused(format!(
                "is of the type {}, which has no form without an annotation. Annotate what the function returns, so that \
                 it says what stands here",
                type_name(value)
            ))),
        }
    }

    unsafe fn bare_known(&mut self, value: *mut PyObject, known: Known) -> Outcome<()> {
        let number = number_of(known);
        match known {
            Known::TimeDelta => {
                let microseconds = classes()?.microseconds(value)?;
                match i64::try_from(microseconds) {
                    Ok(short) => wire::extension(self.out, number, &short.to_be_bytes())?,
                    Err(_) => wire::extension(self.out, number, &microseconds.to_be_bytes())?,
                }
            }
            Known::Uuid => wire::extension(self.out, number, &classes()?.uuid_bytes(value)?)?,
            _ => {
                let text = self.known_text(value, known)?;
                wire::extension(self.out, number, crate::owned::text_of(text.as_ptr())?.as_bytes())?;
            }
        }
        Ok(())
    }

    unsafe fn bare_integer(&mut self, value: *mut PyObject) -> Outcome<()> {
        let bits = crate::owned::ask(c"bit_length", &[value])?;
        // One bit is the sign.
        let length = ffi::PyLong_AsUnsignedLongLong(bits.as_ptr()) / 8 + 1;
        let bytes = classes()?.big_endian(value, length)?;
        Ok(wire::extension(self.out, number::INT, classes::bytes_of(&bytes).unwrap_or_default())?)
    }

    unsafe fn bare_set(&mut self, value: *mut PyObject, number: i8) -> Outcome<()> {
        self.held(number, |it| it.iterated(value, None, ffi::PySet_Size(value), false))
    }

    /// An extension that holds what is packed next.
    unsafe fn held(&mut self, number: i8, pack: impl FnOnce(&mut Self) -> Outcome<()>) -> Outcome<()> {
        let opened = wire::open(self.out);
        pack(self)?;
        Ok(wire::close(self.out, opened, number)?)
    }
}

impl Unpacker<'_> {
    pub(crate) unsafe fn bare(&mut self) -> Outcome<Owned> {
        match self.reader.head()? {
            Head::Text(bytes) => self.text(bytes),
            Head::Int(number) => Ok(Owned::steal(ffi::PyLong_FromLongLong(number))?),
            Head::Large(number) => Ok(crate::owned::integer(number)?),
            Head::Nil => Ok(none()),
            Head::Bool(value) => Ok(crate::owned::boolean(value)),
            Head::Float(number) => Ok(Owned::steal(ffi::PyFloat_FromDouble(number))?),
            Head::Bytes(bytes) => self.bytes(bytes),
            Head::Array(count) => self.deeper(|it| it.list(count, None)),
            Head::Map(count) => self.deeper(|it| it.dict(count, None, None)),
            Head::Extension(number, length) => self.bare_extension(number, length),
        }
    }

    unsafe fn bare_extension(&mut self, number: i8, length: usize) -> Outcome<Owned> {
        match number {
            number::TUPLE => self.held(length, |it, count| it.tuple(count, |_| None)),
            number::SET => self.held(length, |it, count| it.set(count, None, false)),
            number::FROZEN_SET => self.held(length, |it, count| it.set(count, None, true)),
            _ => {
                let bytes = self.reader.take(length)?;
                self.bare_scalar(number, bytes)
            }
        }
    }

    /// What an extension holds: an array that ends where it does.
    unsafe fn held(&mut self, length: usize, read: impl FnOnce(&mut Self, usize) -> Outcome<Owned>) -> Outcome<Owned> {
        let end = self.reader.position() + length;
        let Head::Array(count) = self.reader.head()? else {
            return Err(refused("is an extension that holds no array"));
        };
        let found = self.deeper(|it| read(it, count))?;
        if self.reader.position() == end { Ok(found) } else { Err(refused("is an extension of another length")) }
    }

    unsafe fn bare_scalar(&mut self, number: i8, bytes: &[u8]) -> Outcome<Owned> {
        let known = match number {
            number::BYTE_ARRAY => {
                let (start, size) = (bytes.as_ptr().cast(), bytes.len().cast_signed());
                return Ok(Owned::steal(ffi::PyByteArray_FromStringAndSize(start, size))?);
            }
            number::INT => return Ok(classes()?.integer(bytes, true)?),
            number::COMPLEX => {
                let (real, imaginary) = bytes.split_at_checked(8).ok_or_else(|| self.of_other_length())?;
                let float = |bytes: &[u8]| bytes.try_into().map(f64::from_be_bytes);
                let (Ok(real), Ok(imaginary)) = (float(real), float(imaginary)) else {
                    return Err(self.of_other_length());
                };
                return Ok(Owned::steal(ffi::PyComplex_FromDoubles(real, imaginary))?);
            }
            number::TIME_DELTA => {
                let short = bytes.try_into().map(|bytes| i128::from(i64::from_be_bytes(bytes)));
                let long = bytes.try_into().map(i128::from_be_bytes);
                let microseconds = short.or(long).map_err(|_| self.of_other_length())?;
                return classes()?.timedelta(microseconds);
            }
            number::UUID => {
                let bytes = bytes.try_into().map_err(|_| self.of_other_length())?;
                return Ok(classes()?.uuid(bytes)?);
            }
            number::DATE_TIME => Known::DateTime,
            number::DATE => Known::Date,
            number::TIME => Known::Time,
            number::DECIMAL => Known::Decimal,
            _ => return Err(refused(format!("is {} of the unknown type {number}", Kind::Extension.name()))),
        };
        let text = self.text(bytes)?;
        self.known_of_text(known, &text)
    }

    #[cold]
    fn of_other_length(&self) -> Trouble {
        refused("is an extension of another length")
    }
}
