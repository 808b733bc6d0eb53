//! A function whose values are in a cache of the engine's: what is known of it, and the keys and tags of its calls.

use std::ptr;
use std::sync::Arc;

use pyo3_ffi as ffi;
use tierce::Cache;

use super::held::Held;
use super::key::{Part, PyKey, part};
use super::lookup::{Wanted, lookup};
use super::plan::text_of;
use crate::function::Head;
use crate::key::Call;
use crate::owned::{Owned, PyObject, Raised, Result, none, tuple_of, type_error};
use crate::signature::{Given, Signature};

#[repr(C)]
pub(crate) struct Cached {
    pub(crate) head: Head,
    /// None once the collector of cycles has cleared it.
    pub(crate) function: Option<Owned>,
    pub(crate) signature: Option<Signature>,
    /// One argument by position is a key: nothing else has to be looked at.
    pub(crate) is_single: bool,
    /// The places of the parameters that make up the key; None: all arguments do.
    pub(crate) picks: Option<Box<[usize]>>,
    pub(crate) cache: Option<Cache<PyKey, Held>>,
    pub(crate) fixed_tags: Vec<Arc<str>>,
    /// Functions of the face's that give tags: from the arguments, and from the result as well.
    pub(crate) tags: Option<Owned>,
    pub(crate) tags_of_result: Option<Owned>,
}

/// An awaitable of a lookup that may have to load.
pub(crate) unsafe fn asked(it: *mut Cached, key: PyKey, given: Given, renew: bool) -> Result<Owned> {
    let args = tuple_of(given.positional)?;
    let kwargs = if given.named.is_empty() { None } else { Some(named(given)?) };
    lookup(Wanted {
        cache: cache(it)?.clone(),
        key,
        renew,
        function: (*it).function.clone().ok_or_else(|| collected())?,
        args,
        kwargs,
        fixed_tags: (*it).fixed_tags.clone(),
        tags: (*it).tags.clone(),
        tags_of_result: (*it).tags_of_result.clone(),
    })
}

pub(crate) unsafe fn cache<'a>(it: *mut Cached) -> Result<&'a Cache<PyKey, Held>> {
    (*it).cache.as_ref().ok_or_else(|| collected())
}

/// The tags of a value that is put in: from the arguments, and from itself.
pub(crate) unsafe fn tags_of(it: *mut Cached, given: Given, value: *mut PyObject) -> Result<Vec<Arc<str>>> {
    let mut all = (*it).fixed_tags.clone();
    if (*it).tags.is_none() && (*it).tags_of_result.is_none() {
        return Ok(all);
    }
    let (args, kwargs) = (tuple_of(given.positional)?, named(given)?);
    let arguments = [args.as_ptr(), kwargs.as_ptr(), value];
    if let Some(function) = (*it).tags.clone() {
        all.extend(super::plan::tags(function.as_ptr(), &arguments[..2])?);
    }
    if let Some(function) = (*it).tags_of_result.clone() {
        all.extend(super::plan::tags(function.as_ptr(), &arguments)?);
    }
    Ok(all)
}

/// The key of a call; None of one that does not fit the function's parameters.
pub(crate) unsafe fn key(it: *mut Cached, given: Given) -> Result<Option<PyKey>> {
    let Some(signature) = &(*it).signature else { return Err(collected()) };
    let mut places = vec![ptr::null_mut(); signature.places(given)];
    let Some(call) = signature.bind(given, &mut places) else { return Ok(None) };
    let Some(picks) = &(*it).picks else { return all_parts(signature, call).map(Some) };
    let parts = picks.iter().map(|place| named_part(signature, *place, call.values[*place]));
    Ok(Some(PyKey::of(parts.collect::<Result<_>>()?)))
}

unsafe fn all_parts(signature: &Signature, call: Call) -> Result<PyKey> {
    let named = call.named as usize;
    let (values, names) = call.values.split_at(call.values.len() - named);
    let (values, of_names) = values.split_at(values.len() - named);
    let parts = values.iter().enumerate().map(|(place, value)| named_part(signature, place, *value));
    let mut parts: Vec<Part> = parts.collect::<Result<_>>()?;
    if named > 0 {
        let pairs = names.iter().zip(of_names).map(|(name, value)| Ok((text_of(*name)?.into(), part(*value)?)));
        parts.push(Part::Named(pairs.collect::<Result<_>>()?));
    }
    Ok(PyKey::of(parts))
}

/// A part of a key, or an error that names the argument.
unsafe fn named_part(signature: &Signature, place: usize, value: *mut PyObject) -> Result<Part> {
    let read = part(value);
    if read.is_err()
        && let Some(name) = signature.name_of(place)
        && let Some(error) = crate::raised::raised()
    {
        // Of these two, since others may take more than a sentence.
        let kinds = [ffi::PyExc_TypeError, ffi::PyExc_ValueError];
        let kind = kinds.into_iter().find(|kind| ffi::PyErr_GivenExceptionMatches(error.as_ptr(), *kind) != 0);
        match kind {
            Some(kind) => _ = ffi::PyErr_Format(kind, c"argument %R: %S".as_ptr(), name, error.as_ptr()),
            None => crate::raised::restore(Some(error)),
        }
    }
    read
}

pub(crate) unsafe fn collected() -> Raised {
    type_error(c"the cached function was collected")
}

/// The arguments by name, as a dict or None.
unsafe fn named(given: Given) -> Result<Owned> {
    if given.named.is_empty() { Ok(none()) } else { given.by_name() }
}
