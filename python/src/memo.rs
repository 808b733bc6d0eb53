//! `memo`: a function whose results have an age, whose loads are shared, and whose keys may be told to end.
//!
//! What is quick is C: a call that memory answers (`wrapper.rs`). What may wait, the loads and those who wait for them, is
//! the face's (`tierce/flight.py`), which comes back through the verbs (`verbs.rs`, `load.rs`) for every step that has to
//! be one.

use std::ptr;

use pyo3_ffi as ffi;

use crate::clock::now_ms;
use crate::function::Head;
use crate::instance::Instances;
use crate::key::{Call, View};
use crate::owned::{Owned, Raised, Result, type_error};
use crate::ready::ready;
use crate::signature::{Given, Signature};
use crate::table::Table;

#[repr(C)]
pub(crate) struct Memo {
    pub(crate) head: Head,
    /// None once the collector of cycles has cleared it, as the two below.
    pub(crate) function: Option<Owned>,
    /// Of an async function, what answers where memory does not: `slow(memo, key, args, kwargs, renew)`. Of a plain one, a tuple of
    /// what its load asks of the face (`load.rs`).
    pub(crate) slow: Option<Owned>,
    /// Makes of a value what is given out, where that is not the value itself.
    pub(crate) copy: Option<Owned>,
    pub(crate) signature: Option<Signature>,
    /// A hit gives an awaitable.
    pub(crate) is_async: bool,
    /// One `int` or `str` by position may be looked up without looking at the signature.
    pub(crate) is_single: bool,
    /// Where each instance has entries of its own: theirs, by the instances' addresses.
    pub(crate) instances: Option<Instances>,
    pub(crate) limits: Limits,
    pub(crate) weight: u64,
    pub(crate) counts: Counts,
    /// How far the walk for expired entries has come.
    pub(crate) swept: usize,
    pub(crate) entries: Table<Age>,
    pub(crate) flights: Table<()>,
}

/// What is known of an entry beside its value.
#[derive(Clone, Copy)]
pub(crate) struct Age {
    pub(crate) fresh_until_ms: u64,
    /// Not even stale from this on.
    pub(crate) gone_ms: u64,
    pub(crate) weight: u64,
}

/// The time that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) entries: u64,
    pub(crate) weight: u64,
    pub(crate) ttl_ms: u64,
    pub(crate) stale_ms: u64,
    /// The largest share that chance takes off a ttl, in 65536ths.
    pub(crate) jitter: u64,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    /// Of the hits: served past their ttl.
    pub(crate) stale: u64,
    /// Of the misses: waited for a load that ran already.
    pub(crate) joined: u64,
    pub(crate) evicted: u64,
}

/// The value of an entry that is fresh, counted as a hit.
#[inline]
pub(crate) unsafe fn fresh(it: *mut Memo, slot: u32) -> Option<Owned> {
    let it = &mut *it;
    let until_ms = it.entries.entry(slot).more.fresh_until_ms;
    if until_ms != NEVER && now_ms() >= until_ms {
        return None;
    }
    it.counts.hits += 1;
    it.entries.touch(slot);
    Some(it.entries.entry(slot).value.clone())
}

/// What a caller gets for a value that was here.
#[inline]
pub(crate) unsafe fn give(it: *mut Memo, value: Owned) -> Result<Owned> {
    let value = copied(it, value)?;
    if (*it).is_async { ready(value) } else { Ok(value) }
}

/// A value as it is given out.
#[inline]
pub(crate) unsafe fn copied(it: *mut Memo, value: Owned) -> Result<Owned> {
    let Some(copy) = (*it).copy.clone() else {
        return Ok(value);
    };
    let arguments = [value.as_ptr()];
    Owned::steal(ffi::PyObject_Vectorcall(copy.as_ptr(), arguments.as_ptr(), 1, ptr::null_mut()))
}

pub(crate) unsafe fn collected() -> Raised {
    type_error(c"the cached function was collected")
}

/// Most calls have fewer parts; the others' go on the heap.
const PLACES: usize = 16;

/// Runs `then` with the key of a call, or with None for a call that does not fit the function's parameters.
pub(crate) unsafe fn with_view<T>(
    it: *mut Memo,
    given: Given,
    then: impl FnOnce(Option<View>) -> Result<T>,
) -> Result<T> {
    let rule = (*it).entries.rule;
    let Some(signature) = &(*it).signature else {
        let (count, all) = (given.positional.len() + given.named.len(), given.positional.as_ptr());
        // Values by name stand behind those by position; without the latter there is nothing to stand behind.
        let values = match count {
            0 => &[][..],
            _ if given.positional.is_empty() => given.named,
            _ => std::slice::from_raw_parts(all, count),
        };
        let names = if given.named.is_empty() { ptr::null_mut() } else { given.names };
        let view = rule.call(Call { values, names, named: given.named.len() as u32 })?;
        return then(Some(view));
    };
    let mut few = [ptr::null_mut(); PLACES];
    let mut many = Vec::new();
    let count = signature.places(given);
    let places = if count <= PLACES {
        &mut few[..]
    } else {
        many.resize(count, ptr::null_mut());
        &mut many[..]
    };
    match signature.bind(given, places) {
        Some(call) => then(Some(rule.call(call)?)),
        None => then(None),
    }
}
