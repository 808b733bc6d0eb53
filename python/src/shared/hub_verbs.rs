//! What can be asked of a hub as a whole, and of its store.

use std::time::Duration;

use pyo3_ffi as ffi;
use tierce::Hub;
use tierce::store::redis::Reply;

use super::asked::asked;
use super::attached::entry;
use super::blocking::waits;
use super::hub::hub;
use super::said::{Args, Count, Manner, changing};
use super::tags;
use super::told::Why;
use crate::owned::{
    Owned, PyObject, Raised, Result, answer, boolean, bytes_object, bytes_of, integer, none, text, tuple, type_error,
};
use crate::types;

/// Whether the answer is awaited, in `blocking`; then what belongs to the verb.
type Verb = unsafe fn(&Hub, bool, &[*mut PyObject]) -> Result<Owned>;

macro_rules! verb {
    ($name:literal, $function:ident, $doc:literal) => {{
        unsafe extern "C" fn called(it: *mut PyObject, args: *mut *mut PyObject, count: Count) -> *mut PyObject {
            run(it, args, count, $function)
        }
        let pointer = ffi::PyMethodDefPointer { PyCFunctionFast: called };
        types::method($name, pointer, ffi::METH_FASTCALL, $doc)
    }};
}

/// Each takes first whether it is to be awaited.
pub(super) fn methods() -> Vec<ffi::PyMethodDef> {
    vec![
        verb!(c"_invalidate_tag", invalidate_tag, c"_invalidate_tag(is_async, tag)"),
        verb!(c"_purge", purge, c"_purge(is_async)"),
        verb!(c"_drain", drain, c"_drain(is_async, most_ms): how many loads still run."),
        verb!(c"_servers", servers, c"_servers(is_async): pairs of an address and a dict."),
        verb!(c"_command", command, c"_command(is_async, *parts): the server's answer; each part is bytes."),
        verb!(
            c"_health",
            health,
            c"_health(is_async): what is known of the store, as text; None without one. At once."
        ),
        verb!(
            c"_troubles",
            troubles,
            c"_troubles(is_async): faults of the store, damaged entries, changes it has yet to be told of. At once."
        ),
    ]
}

unsafe fn run(it: *mut PyObject, args: Args, count: Count, verb: Verb) -> *mut PyObject {
    answer(entry(|| {
        let hub = hub(it)?;
        let all = if count == 0 { &[] } else { std::slice::from_raw_parts(args, count.cast_unsigned()) };
        let (first, rest) = all.split_first().ok_or_else(|| type_error(c"it takes first whether it is awaited"))?;
        verb(&hub, std::ptr::eq(*first, ffi::Py_True()) && !waits(), rest)
    }))
}

unsafe fn only(given: &[*mut PyObject]) -> Result<&*mut PyObject> {
    given.first().ok_or_else(|| type_error(c"an argument is missing"))
}

fn manner(hub: &Hub, is_async: bool) -> Manner {
    Manner { is_async, has_store: hub.store_health().is_some() }
}

unsafe fn invalidate_tag(hub: &Hub, is_async: bool, given: &[*mut PyObject]) -> Result<Owned> {
    // As in Rust: an empty one is nobody's, a long one is kept as its beginning and a hash.
    let tag = tags::one(*only(given)?)?.first().map(ToString::to_string).unwrap_or_default();
    let hub = hub.clone();
    changing(manner(&hub, is_async), async move { hub.invalidate_tag(&tag).await })
}

unsafe fn purge(hub: &Hub, is_async: bool, _: &[*mut PyObject]) -> Result<Owned> {
    let hub = hub.clone();
    changing(manner(&hub, is_async), async move { hub.purge().await })
}

unsafe fn drain(hub: &Hub, is_async: bool, given: &[*mut PyObject]) -> Result<Owned> {
    let most_ms = ffi::PyLong_AsUnsignedLongLong(*only(given)?);
    if !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    let hub = hub.clone();
    let question = async move { Ok(hub.drain(Duration::from_millis(most_ms)).await) };
    // SAFETY: `asked` has the interpreter's lock where it shows something.
    asked(is_async, question, |left| unsafe { integer(left as u64) })
}

unsafe fn servers(hub: &Hub, is_async: bool, _: &[*mut PyObject]) -> Result<Owned> {
    let hub = hub.clone();
    let question = async move { hub.servers().await.map_err(Why::Said) };
    // SAFETY: as above.
    asked(is_async, question, |servers| unsafe {
        let all = servers.iter().map(|server| {
            let facts = server.facts.iter().map(|(name, value)| Ok((text(name)?, text(value)?)));
            tuple([text(&server.address)?, dict(facts)?])
        });
        list(all)
    })
}

unsafe fn command(hub: &Hub, is_async: bool, given: &[*mut PyObject]) -> Result<Owned> {
    let parts = given.iter().map(|part| bytes_of(*part).map(<[u8]>::to_vec));
    let parts: Vec<_> = parts.collect::<Result<_>>()?;
    let hub = hub.clone();
    let question = async move { hub.command(&parts).await.map_err(Why::Said) };
    // SAFETY: as above.
    asked(is_async, question, |reply| unsafe { shown(&reply) })
}

unsafe fn health(hub: &Hub, _: bool, _: &[*mut PyObject]) -> Result<Owned> {
    hub.store_health().map_or_else(|| Ok(none()), |health| text(&health.to_string()))
}

unsafe fn troubles(hub: &Hub, _: bool, _: &[*mut PyObject]) -> Result<Owned> {
    let Some(health) = hub.store_health() else { return Ok(none()) };
    tuple([integer(health.faults)?, integer(health.damaged)?, integer(health.untold as u64)?])
}

/// An answer of Redis's as an object.
unsafe fn shown(reply: &Reply) -> Result<Owned> {
    match reply {
        Reply::Nil => Ok(none()),
        Reply::Okay => text("OK"),
        Reply::Int(number) => Owned::steal(ffi::PyLong_FromLongLong(*number)),
        Reply::Double(number) => Owned::steal(ffi::PyFloat_FromDouble(*number)),
        Reply::Bool(value) => Ok(boolean(*value)),
        Reply::Text(said) => text(said),
        Reply::Bytes(bytes) => bytes_object(bytes),
        Reply::List(parts) => list(parts.iter().map(|part| shown(part))),
        Reply::Map(pairs) => dict(pairs.iter().map(|(name, value)| Ok((shown(name)?, shown(value)?)))),
        Reply::Error(said) => text(said),
        // What a later version of the engine may know.
        _ => text(&format!("{reply:?}")),
    }
}

unsafe fn list(items: impl Iterator<Item = Result<Owned>>) -> Result<Owned> {
    let made = Owned::steal(ffi::PyList_New(0))?;
    for item in items {
        if ffi::PyList_Append(made.as_ptr(), item?.as_ptr()) < 0 {
            return Err(Raised);
        }
    }
    Ok(made)
}

unsafe fn dict(pairs: impl Iterator<Item = Result<(Owned, Owned)>>) -> Result<Owned> {
    let made = Owned::steal(ffi::PyDict_New())?;
    for pair in pairs {
        let (name, value) = pair?;
        if ffi::PyDict_SetItem(made.as_ptr(), name.as_ptr(), value.as_ptr()) < 0 {
            return Err(Raised);
        }
    }
    Ok(made)
}
