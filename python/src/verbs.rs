//! The steps of a `memo` that have to be one each: nothing else runs between what they look at and what they change.
//!
//! **A load** is a *flight*: an object of the face's in a table of its own, under its key. It is boarded, and then it lands with a
//! value or leaves without. An invalidation takes the entry and the flight out together: the load goes on for those who wait
//! for it already, finds when it lands that it does not stand, and is not kept. Whoever comes later begins another.
//!
//! The two tables are looked at one after the other, and a comparison in the second may run Python code that changes the
//! first: then both are looked at again (`both`).

use std::ptr;

use pyo3_ffi as ffi;

use crate::clock::now_ms;
use crate::key::View;
use crate::memo::{Age, Memo, NEVER, copied, with_view};
use crate::own::of_instance;
use crate::owned::{Owned, PyObject, Raised, Result, answer, ask, boolean, integer, none, tuple, tuple_of, type_error};
use crate::probe::find;
use crate::seed;
use crate::signature::Given;
use crate::token::{token, view};

/// What `_board` says.
pub(crate) const LEAD: u64 = 0;
pub(crate) const JOIN: u64 = 1;
pub(crate) const HIT: u64 = 2;
/// The caller has the value, and leads a load behind it.
const REFRESH: u64 = 3;

pub(crate) type Args = *const *mut PyObject;
pub(crate) type Count = ffi::Py_ssize_t;

/// The arguments of a verb of the face's, whose number is known.
pub(crate) unsafe fn exactly<const N: usize>(args: Args, count: Count) -> Result<[*mut PyObject; N]> {
    if count.cast_unsigned() != N {
        return Err(type_error(c"a verb of the face's with other arguments"));
    }
    Ok(*args.cast::<[*mut PyObject; N]>())
}

/// The slots of a key's entry and flight, with no Python code run since both were looked at.
unsafe fn both(it: *mut Memo, view: &View) -> Result<(Option<u32>, Option<u32>)> {
    loop {
        let flight = find(&raw mut (*it).flights, view)?;
        let generation = (*it).flights.generation;
        let entry = find(&raw mut (*it).entries, view)?;
        if (*it).flights.generation == generation {
            return Ok((entry, flight));
        }
    }
}

pub(crate) unsafe extern "C" fn key(
    it: *mut PyObject,
    args: Args,
    count: Count,
    names: *mut PyObject,
) -> *mut PyObject {
    let given = Given::new(args, count.cast_unsigned(), names);
    answer(key_of(it.cast(), given))
}

unsafe fn key_of(it: *mut Memo, given: Given) -> Result<Owned> {
    if (*it).instances.is_some() {
        let own = of_instance(it, given)?;
        return key_of(own.as_ptr().cast(), given);
    }
    with_view(it, given, |view| match view {
        Some(view) => token(view),
        None => {
            let (positional, named) = (tuple_of(given.positional)?, given.by_name()?);
            ask(c"_misfit", &[it.cast(), positional.as_ptr(), named.as_ptr()])
        }
    })
}

pub(crate) unsafe extern "C" fn board(it: *mut PyObject, args: Args, count: Count, _: *mut PyObject) -> *mut PyObject {
    answer(boarded(it.cast(), args, count))
}

unsafe fn boarded(it: *mut Memo, args: Args, count: Count) -> Result<Owned> {
    let [key, flight, renew] = exactly(args, count)?;
    let renew = ptr::eq(renew, ffi::Py_True());
    let (said, found) = decide(it, key, flight, renew)?;
    let found = if said == HIT || said == REFRESH { copied(it, found)? } else { found };
    tuple([integer(said)?, found])
}

/// Decides whether the flight takes off for this key; what is in the way of that otherwise.
pub(crate) unsafe fn decide(
    it: *mut Memo,
    key: *mut PyObject,
    flight: *mut PyObject,
    renew: bool,
) -> Result<(u64, Owned)> {
    let view = view(key)?;
    let (entry, running) = both(it, &view)?;
    let now_ms = now_ms();
    let memo = &mut *it;
    let gone = match (entry, running) {
        _ if renew => running.map(|slot| memo.flights.remove(slot)),
        (Some(slot), running) if now_ms < memo.entries.entry(slot).more.gone_ms => {
            let stale = now_ms >= memo.entries.entry(slot).more.fresh_until_ms;
            memo.counts.hits += 1;
            memo.counts.stale += u64::from(stale);
            memo.entries.touch(slot);
            let value = memo.entries.entry(slot).value.clone();
            if !stale || running.is_some() {
                return Ok((HIT, value));
            }
            memo.flights.add(view.hash, view.to_key(), Owned::share(flight), ());
            return Ok((REFRESH, value));
        }
        (_, Some(slot)) => {
            memo.counts.misses += 1;
            memo.counts.joined += 1;
            return Ok((JOIN, memo.flights.entry(slot).value.clone()));
        }
        _ => None,
    };
    memo.counts.misses += u64::from(!renew);
    memo.flights.add(view.hash, view.to_key(), Owned::share(flight), ());
    drop(gone);
    Ok((LEAD, none()))
}

pub(crate) unsafe fn weight_of(object: *mut PyObject) -> Result<u64> {
    let weight = ffi::PyLong_AsUnsignedLongLong(object);
    if weight == u64::MAX && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(weight) }
}

pub(crate) unsafe extern "C" fn land(it: *mut PyObject, args: Args, count: Count, _: *mut PyObject) -> *mut PyObject {
    answer(landed(it.cast(), args, count))
}

unsafe fn landed(it: *mut Memo, args: Args, count: Count) -> Result<Owned> {
    let [key, flight, value, weight] = exactly(args, count)?;
    let weight = weight_of(weight)?;
    Ok(boolean(stand_and_keep(it, key, flight, &Owned::share(value), weight)?))
}

/// Ends a flight, and keeps its value if it stands.
pub(crate) unsafe fn stand_and_keep(
    it: *mut Memo,
    key: *mut PyObject,
    flight: *mut PyObject,
    value: &Owned,
    weight: u64,
) -> Result<bool> {
    let view = view(key)?;
    let entry = find(&raw mut (*it).entries, &view)?;
    let Some(slot) = (*it).flights.find_value(view.hash, flight) else {
        return Ok(false);
    };
    let landed = (*it).flights.remove(slot);
    keep(it, &view, entry, value, weight);
    drop(landed);
    Ok(true)
}

/// Puts a value in, in the place of the older one; what has no room leaves.
unsafe fn keep(it: *mut Memo, view: &View, entry: Option<u32>, value: &Owned, weight: u64) {
    let memo = &mut *it;
    let now_ms = now_ms();
    let fresh_until_ms = match memo.limits.ttl_ms {
        NEVER => NEVER,
        ttl_ms => now_ms.saturating_add(jittered(ttl_ms, memo.limits.jitter)),
    };
    let gone_ms = fresh_until_ms.saturating_add(memo.limits.stale_ms);
    let mut gone = Vec::new();
    if let Some(slot) = entry {
        let older = memo.entries.remove(slot);
        memo.weight -= older.more.weight;
        gone.push(older);
    }
    if fresh_until_ms > now_ms && weight <= memo.limits.weight && memo.limits.entries > 0 {
        memo.weight += weight;
        let age = Age { fresh_until_ms, gone_ms, weight };
        memo.entries.add(view.hash, view.to_key(), value.clone(), age);
    }
    sweep(memo, now_ms, &mut gone);
    while memo.entries.len() as u64 > memo.limits.entries || memo.weight > memo.limits.weight {
        let Some(slot) = memo.entries.oldest() else { break };
        let evicted = memo.entries.remove(slot);
        memo.weight -= evicted.more.weight;
        memo.counts.evicted += 1;
        gone.push(evicted);
    }
    // Dropped when both tables are whole again, since that may run anything.
    drop(gone);
}

/// How many places each insertion looks at for what is gone: two, so that the walk outruns what comes in.
const SWEPT: usize = 2;

/// Takes a few expired entries out, so that those that nobody reads do not pile up.
fn sweep(memo: &mut Memo, now_ms: u64, gone: &mut Vec<crate::table::Entry<Age>>) {
    if memo.limits.ttl_ms == NEVER {
        return;
    }
    for _ in 0..SWEPT {
        memo.swept = if memo.swept + 1 < memo.entries.places() { memo.swept + 1 } else { 0 };
        let is_gone = memo.entries.at(memo.swept).is_some_and(|entry| entry.more.gone_ms <= now_ms);
        if is_gone {
            let entry = memo.entries.remove(memo.swept as u32);
            memo.weight -= entry.more.weight;
            gone.push(entry);
        }
    }
}

fn jittered(ttl_ms: u64, most: u64) -> u64 {
    if most == 0 {
        return ttl_ms;
    }
    let share = u128::from(most) * u128::from(seed::draw() & 0xFFFF);
    let off = (u128::from(ttl_ms) * share) >> 32;
    ttl_ms.saturating_sub(off as u64).max(1)
}

pub(crate) unsafe extern "C" fn leave(it: *mut PyObject, args: Args, count: Count, _: *mut PyObject) -> *mut PyObject {
    answer(left(it.cast(), args, count))
}

unsafe fn left(it: *mut Memo, args: Args, count: Count) -> Result<Owned> {
    let [key, flight] = exactly(args, count)?;
    Ok(boolean(take_out(it, key, flight)?))
}

/// Takes a flight out, if it stands. No key is compared, so that no `==` keeps it here.
pub(crate) unsafe fn take_out(it: *mut Memo, key: *mut PyObject, flight: *mut PyObject) -> Result<bool> {
    let view = view(key)?;
    let left = (*it).flights.find_value(view.hash, flight).map(|slot| (*it).flights.remove(slot));
    Ok(left.is_some())
}

pub(crate) unsafe extern "C" fn put(it: *mut PyObject, args: Args, count: Count, _: *mut PyObject) -> *mut PyObject {
    answer(put_in(it.cast(), args, count))
}

unsafe fn put_in(it: *mut Memo, args: Args, count: Count) -> Result<Owned> {
    let [key, value, weight] = exactly(args, count)?;
    let weight = weight_of(weight)?;
    let view = view(key)?;
    let (entry, running) = both(it, &view)?;
    let detached = running.map(|slot| (*it).flights.remove(slot));
    keep(it, &view, entry, &Owned::share(value), weight);
    drop(detached);
    Ok(none())
}

pub(crate) unsafe extern "C" fn drop_key(it: *mut PyObject, key: *mut PyObject) -> *mut PyObject {
    answer(dropped(it.cast(), key))
}

unsafe fn dropped(it: *mut Memo, key: *mut PyObject) -> Result<Owned> {
    let view = view(key)?;
    let (entry, running) = both(it, &view)?;
    let detached = running.map(|slot| (*it).flights.remove(slot));
    let entry = entry.map(|slot| (*it).entries.remove(slot));
    let was_here = entry.as_ref().is_some_and(|entry| {
        (*it).weight -= entry.more.weight;
        entry.more.gone_ms > now_ms()
    });
    drop((detached, entry));
    Ok(boolean(was_here))
}

pub(crate) unsafe extern "C" fn peek(it: *mut PyObject, key: *mut PyObject) -> *mut PyObject {
    answer(peeked(it.cast(), key))
}

unsafe fn peeked(it: *mut Memo, key: *mut PyObject) -> Result<Owned> {
    let view = view(key)?;
    let entry = find(&raw mut (*it).entries, &view)?;
    let fresh = entry.filter(|slot| (*it).entries.entry(*slot).more.fresh_until_ms > now_ms());
    match fresh {
        Some(slot) => {
            let value = (*it).entries.entry(slot).value.clone();
            tuple([copied(it, value)?])
        }
        None => Ok(none()),
    }
}

pub(crate) unsafe extern "C" fn flies(it: *mut PyObject, key: *mut PyObject) -> *mut PyObject {
    answer(flying(it.cast(), key))
}

unsafe fn flying(it: *mut Memo, key: *mut PyObject) -> Result<Owned> {
    let view = view(key)?;
    Ok(boolean(find(&raw mut (*it).flights, &view)?.is_some()))
}

pub(crate) unsafe extern "C" fn clear(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    let it = it.cast::<Memo>();
    (*it).counts = Default::default();
    (*it).weight = 0;
    let gone = ((*it).entries.take(), (*it).flights.take());
    drop(gone);
    none().into_ptr()
}

pub(crate) unsafe extern "C" fn ground(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    let gone = (*it.cast::<Memo>()).flights.take();
    drop(gone);
    none().into_ptr()
}

pub(crate) unsafe extern "C" fn counts(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(counted(it.cast()))
}

unsafe fn counted(it: *mut Memo) -> Result<Owned> {
    let counts = (*it).counts;
    tuple([
        integer(counts.hits)?,
        integer(counts.misses)?,
        integer(counts.stale)?,
        integer(counts.joined)?,
        integer(counts.evicted)?,
        integer((*it).entries.len() as u64)?,
        integer((*it).weight)?,
        integer((*it).flights.len() as u64)?,
    ])
}
