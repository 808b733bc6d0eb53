//! The plan as the face tells it: tuples, read with care, since anybody may make a `_tierce.Codec`.

use pyo3_ffi as ffi;

use crate::owned::{Owned, PyObject, Raised, Result, is_exactly, text_of, type_error};

/// An index into the forms of a codec.
pub(crate) type Index = usize;

/// A tuple of the plan.
#[derive(Clone, Copy)]
pub(crate) struct Told(*mut PyObject);

impl Told {
    pub(crate) unsafe fn new(object: *mut PyObject) -> Result<Told> {
        if is_exactly(object, &raw mut ffi::PyTuple_Type) { Ok(Told(object)) } else { Err(wrong()) }
    }

    pub(crate) unsafe fn len(self) -> usize {
        ffi::PyTuple_Size(self.0).cast_unsigned()
    }

    pub(crate) unsafe fn object(self, at: usize) -> Result<*mut PyObject> {
        if at < self.len() { Ok(ffi::PyTuple_GetItem(self.0, at.cast_signed())) } else { Err(wrong()) }
    }

    pub(crate) unsafe fn own(self, at: usize) -> Result<Owned> {
        Ok(Owned::share(self.object(at)?))
    }

    pub(crate) unsafe fn tuple(self, at: usize) -> Result<Told> {
        Told::new(self.object(at)?)
    }

    pub(crate) unsafe fn text<'a>(self, at: usize) -> Result<&'a str> {
        let object = self.object(at)?;
        if is_exactly(object, &raw mut ffi::PyUnicode_Type) { text_of(object) } else { Err(wrong()) }
    }

    /// A text that attributes and dicts are asked for often.
    pub(crate) unsafe fn name(self, at: usize) -> Result<Owned> {
        self.text(at)?;
        let mut name = self.own(at)?.into_ptr();
        ffi::PyUnicode_InternInPlace(&raw mut name);
        Owned::steal(name)
    }

    /// The index of a form, of which there are so many.
    pub(crate) unsafe fn index(self, at: usize, forms: usize) -> Result<Index> {
        self.index_if_any(at, forms)?.ok_or_else(|| wrong())
    }

    /// The same, or None for -1.
    pub(crate) unsafe fn index_if_any(self, at: usize, forms: usize) -> Result<Option<Index>> {
        match self.number(at)? {
            -1 => Ok(None),
            number => usize::try_from(number).ok().filter(|index| *index < forms).map(Some).ok_or_else(|| wrong()),
        }
    }

    pub(crate) unsafe fn number(self, at: usize) -> Result<i64> {
        let number = ffi::PyLong_AsLongLong(self.object(at)?);
        if number == -1 && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(number) }
    }

    pub(crate) unsafe fn flag(self, at: usize) -> Result<bool> {
        Ok(std::ptr::eq(self.object(at)?, ffi::Py_True()))
    }

    pub(crate) unsafe fn class(self, at: usize) -> Result<Owned> {
        let object = self.object(at)?;
        if ffi::PyType_Check(object) != 0 { Ok(Owned::share(object)) } else { Err(wrong()) }
    }

    pub(crate) unsafe fn dict(self, at: usize) -> Result<Owned> {
        let object = self.object(at)?;
        if is_exactly(object, &raw mut ffi::PyDict_Type) { Ok(Owned::share(object)) } else { Err(wrong()) }
    }

    /// Reads each item of a tuple that is at a place.
    pub(crate) unsafe fn each<T>(self, at: usize, mut read: impl FnMut(Told, usize) -> Result<T>) -> Result<Box<[T]>> {
        let all = self.tuple(at)?;
        (0..all.len()).map(|index| read(all, index)).collect()
    }
}

pub(crate) unsafe fn wrong() -> Raised {
    type_error(c"a codec is made of a plan by tierce.values.codec_of")
}
