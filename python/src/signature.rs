//! A function's parameters: so that `f(1)`, `f(x=1)` and a default of 1 are one key.
//!
//! A call that gives each parameter by its position is a key as it stands. Any other is put in the order of the parameters, with
//! their defaults, then what `*args` takes, then what `**kwargs` takes in the order of the names.

use std::ptr;

use pyo3_ffi as ffi;

use crate::key::Call;
use crate::owned::{Owned, PyObject, Raised, Result, type_error};

pub(crate) struct Signature {
    parameters: Vec<Parameter>,
    /// So many of them, the first, may be given by position …
    positional: usize,
    /// … and so many of those by position alone.
    positional_only: usize,
    takes_more: bool,
    takes_more_named: bool,
    /// Leading arguments that are no part of the key: `self`, where each instance has its own entries.
    pub(crate) skipped: usize,
}

struct Parameter {
    name: Owned,
    default: Option<Owned>,
}

/// The arguments of a call as CPython hands them over.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) positional: &'a [*mut PyObject],
    /// The values of `names`.
    pub(crate) named: &'a [*mut PyObject],
    /// A tuple, or null.
    pub(crate) names: *mut PyObject,
}

impl<'a> Given<'a> {
    pub(crate) unsafe fn new(args: *const *mut PyObject, flags: usize, names: *mut PyObject) -> Given<'a> {
        let positional = ffi::PyVectorcall_NARGS(flags) as usize;
        let named = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) as usize };
        let slice = |from: usize, count: usize| match count {
            0 => &[][..],
            _ => std::slice::from_raw_parts(args.add(from), count),
        };
        Given { positional: slice(0, positional), named: slice(positional, named), names }
    }

    /// The arguments by name, as a dict.
    pub(crate) unsafe fn by_name(&self) -> Result<Owned> {
        let made = Owned::steal(ffi::PyDict_New())?;
        for (at, value) in self.named.iter().enumerate() {
            if ffi::PyDict_SetItem(made.as_ptr(), self.name(at), *value) < 0 {
                return Err(Raised);
            }
        }
        Ok(made)
    }

    unsafe fn name(&self, at: usize) -> *mut PyObject {
        ffi::PyTuple_GetItem(self.names, at as ffi::Py_ssize_t)
    }
}

impl Signature {
    /// Reads `(names, positional, positional_only, defaults, takes_more, takes_more_named)`; a default that is `missing` is
    /// none.
    pub(crate) unsafe fn read(told: *mut PyObject, missing: *mut PyObject, skipped: usize) -> Result<Signature> {
        if ffi::PyTuple_Check(told) == 0 || ffi::PyTuple_Size(told) != 6 {
            return Err(type_error(c"a signature has six parts"));
        }
        let part = |at| ffi::PyTuple_GetItem(told, at);
        let (names, defaults) = (part(0), part(3));
        let mut parameters = Vec::new();
        for at in 0..ffi::PyTuple_Size(names) {
            let default = ffi::PyTuple_GetItem(defaults, at);
            if default.is_null() {
                return Err(Raised);
            }
            let default = (!ptr::eq(default, missing)).then(|| Owned::share(default));
            parameters.push(Parameter { name: Owned::share(ffi::PyTuple_GetItem(names, at)), default });
        }
        let count = |at| ffi::PyLong_AsSize_t(part(at));
        let flag = |at| ffi::PyObject_IsTrue(part(at)) == 1;
        Ok(Signature {
            parameters,
            positional: count(1),
            positional_only: count(2),
            takes_more: flag(4),
            takes_more_named: flag(5),
            skipped,
        })
    }

    /// Whether one argument by position is all that a key needs.
    pub(crate) fn is_single(&self) -> bool {
        self.is_exact(1) && self.skipped == 0
    }

    #[inline]
    fn is_exact(&self, count: usize) -> bool {
        count == self.positional && count == self.parameters.len() && !self.takes_more && !self.takes_more_named
    }

    /// Whether calls may have more parts than parameters.
    pub(crate) fn takes_any(&self) -> bool {
        self.takes_more || self.takes_more_named
    }

    /// How many places `bind` needs.
    pub(crate) fn places(&self, given: Given) -> usize {
        self.parameters.len() + given.positional.len() + 2 * given.named.len()
    }

    /// The key's parts of a call, or None for a call that the function will refuse.
    pub(crate) unsafe fn bind<'a>(&self, given: Given<'a>, places: &'a mut [*mut PyObject]) -> Option<Call<'a>> {
        let positional = given.positional.get(self.skipped..)?;
        if given.named.is_empty() && self.is_exact(positional.len()) {
            return Some(Call { values: positional, names: ptr::null_mut(), named: 0 });
        }
        let first = positional.len().min(self.positional);
        if positional.len() > first && !self.takes_more {
            return None;
        }
        let count = self.parameters.len();
        places[..count].fill(ptr::null_mut());
        places[..first].copy_from_slice(&positional[..first]);
        let extra = &positional[first..];
        let mut end = count + extra.len();
        places[count..end].copy_from_slice(extra);
        let mut more = Vec::new();
        for (at, value) in given.named.iter().enumerate() {
            let name = given.name(at);
            match self.place_of(name) {
                Some(place) if places[place].is_null() => places[place] = *value,
                None if self.takes_more_named => more.push((name, *value)),
                _ => return None,
            }
        }
        for (place, parameter) in places.iter_mut().zip(&self.parameters) {
            if place.is_null() {
                *place = parameter.default.as_ref()?.as_ptr();
            }
        }
        more.sort_by(|one, other| ffi::PyUnicode_Compare(one.0, other.0).cmp(&0));
        for value in more.iter().map(|(_, value)| *value).chain(more.iter().map(|(name, _)| *name)) {
            places[end] = value;
            end += 1;
        }
        Some(Call { values: &places[..end], names: ptr::null_mut(), named: more.len() as u32 })
    }

    unsafe fn place_of(&self, name: *mut PyObject) -> Option<usize> {
        let named = &self.parameters[self.positional_only.min(self.parameters.len())..];
        let same = named.iter().position(|parameter| ptr::eq(parameter.name.as_ptr(), name));
        let found = same.or_else(|| {
            // Names from a caller's source are interned, and the same object; others are compared.
            named.iter().position(|parameter| ffi::PyUnicode_Compare(parameter.name.as_ptr(), name) == 0)
        })?;
        Some(self.positional_only + found)
    }

    /// What the parameter at a place of `bind` is called.
    pub(crate) fn name_of(&self, place: usize) -> Option<*mut PyObject> {
        self.parameters.get(place).map(|parameter| parameter.name.as_ptr())
    }

    /// The objects that it refers to.
    pub(crate) fn objects(&self) -> impl Iterator<Item = *mut PyObject> {
        self.parameters.iter().filter_map(|parameter| parameter.default.as_ref()).map(Owned::as_ptr)
    }
}
