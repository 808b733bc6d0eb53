//! A function whose values are in a cache of the engine's: what is known of it, and the keys and tags of its calls.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use pyo3_ffi as ffi;
use tierce::__python::{Tags, owned, packed};
use tierce::store::Codec as Form;
use tierce::{Cache, Hub, Kind};

use super::arrival::Arrival;
use super::blocking::{waited, waits};
use super::codec::{self, Codec};
use super::held::Held;
use super::key::{Part, PyKey, part};
use super::lookup::{Wanted, lookup};
use super::names::names;
use super::tags;
use super::told::{self, Why};
use crate::function::Head;
use crate::key::Call;
use crate::owned::{Owned, PyObject, Raised, Result, attribute, none, raise, text_of, tuple_of, type_error};
use crate::signature::{Given, Signature};

#[repr(C)]
pub(crate) struct Cached {
    pub(crate) head: Head,
    /// None once the collector of cycles has cleared it.
    pub(crate) function: Option<Owned>,
    pub(crate) signature: Option<Signature>,
    /// Whether it is a coroutine function; what is said to a plain one is done when the call returns.
    pub(crate) is_async: bool,
    /// One argument by position is a key: nothing else has to be looked at.
    pub(crate) is_single: bool,
    /// The places of the parameters that make up the key; None: all arguments do.
    pub(crate) picks: Option<Box<[usize]>>,
    pub(crate) cache: Option<Cache<PyKey, Held>>,
    pub(crate) settings: Settings,
    /// How its values are packed, where its hub has a store.
    pub(crate) codec: Option<Codec>,
    pub(crate) arrival: Option<Arc<Arrival>>,
    pub(crate) fixed_tags: Tags,
    /// Functions of the face's that give tags: from the arguments, and from the result as well.
    pub(crate) tags: Option<Owned>,
    pub(crate) tags_of_result: Option<Owned>,
}

/// What its cache is to be like, in whichever hub.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// None: as many as come.
    pub(crate) entries: Option<u64>,
    /// None: for ever.
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) stale_ms: u64,
    /// Of the shape of the values, in a store.
    pub(crate) version: u32,
}

/// Tells the functions of the process apart, however long their loads run.
static LAST: AtomicUsize = AtomicUsize::new(0);

const NO_STORE: &str = "the hub has no store";

/// A cache of this name.
pub(crate) unsafe fn build(
    hub: &Hub,
    name: &str,
    settings: Settings,
    codec: Option<Codec>,
) -> Result<Cache<PyKey, Held>> {
    let mut builder = owned(hub.local_cache(name), LAST.fetch_add(1, Ordering::Relaxed));
    builder = match settings.entries {
        Some(entries) => builder.capacity(usize::try_from(entries).unwrap_or(usize::MAX)),
        None => builder.unbounded(),
    };
    builder = builder.ttl(settings.ttl_ms.map_or(Duration::MAX, Duration::from_millis));
    builder = builder.stale_while_revalidate(Duration::from_millis(settings.stale_ms));
    builder = builder.version(settings.version);
    builder = match codec {
        Some(codec) => codec.shared(builder),
        // Nothing is packed, and keys have their text for patterns.
        None => packed(builder, Form::MessagePack, |_, _| Err(NO_STORE.into()), |_| Err(NO_STORE.into())),
    };
    builder.try_build().map_err(|error| match names() {
        Ok(names) if error.kind() == Kind::Conflict => raise(names.name_taken.as_ptr(), &error.to_string()),
        Ok(_) => raise(ffi::PyExc_ValueError, &error.to_string()),
        Err(raised) => raised,
    })
}

/// A lookup that may have to load: an awaitable, or of a plain function its end.
pub(crate) unsafe fn asked(it: *mut Cached, key: PyKey, given: Given, renew: bool) -> Result<Owned> {
    let function = (*it).function.clone().ok_or_else(|| collected())?;
    look(it, wanted(it, key, given, function)?, renew)
}

/// The same with another loader, for this once, and these tags beside the cache's own.
pub(crate) unsafe fn asked_with(
    it: *mut Cached,
    key: PyKey,
    given: Given,
    function: Owned,
    tags: Tags,
) -> Result<Owned> {
    let mut wanted = wanted(it, key, given, function)?;
    wanted.fixed_tags.extend(tags);
    // In code that waits it is a plain function.
    wanted.is_async &= !waits();
    look(it, wanted, false)
}

unsafe fn wanted(it: *mut Cached, key: PyKey, given: Given, function: Owned) -> Result<Wanted> {
    Ok(Wanted {
        cache: cache(it)?.clone(),
        key,
        renew: false,
        function,
        args: tuple_of(given.positional)?,
        kwargs: if given.named.is_empty() { None } else { Some(named(given)?) },
        fixed_tags: (*it).fixed_tags.clone(),
        tags: (*it).tags.clone(),
        tags_of_result: (*it).tags_of_result.clone(),
        codec: (*it).codec.clone(),
        arrival: (*it).arrival.clone().filter(|arrival| !arrival.is_over()),
        is_async: (*it).is_async,
    })
}

unsafe fn look(it: *mut Cached, wanted: Wanted, renew: bool) -> Result<Owned> {
    let wanted = Wanted { renew, ..wanted };
    if wanted.is_async {
        return lookup(wanted);
    }
    let cache = cache(it)?.clone();
    let found = waited(wanted.asking(Weak::new())?.find())?;
    found.map(|value| value.share()).map_err(|error| told::raise(Why::load(&cache, error)))
}

pub(crate) unsafe fn cache<'a>(it: *mut Cached) -> Result<&'a Cache<PyKey, Held>> {
    (*it).cache.as_ref().ok_or_else(|| collected())
}

/// What gives the tags that the value of a call shows, with what it is given beside the value.
pub(crate) struct Showing {
    function: Held,
    args: Held,
    kwargs: Held,
}

impl Showing {
    pub(crate) unsafe fn tags_of(&self, value: *mut PyObject) -> Result<Tags> {
        tags::tags(self.function.as_ptr(), &[self.args.as_ptr(), self.kwargs.as_ptr(), value])
    }
}

/// The tags that a call's value has whatever it is, and what gives the others.
pub(crate) unsafe fn tags_of_call(it: *mut Cached, given: Given) -> Result<(Tags, Option<Showing>)> {
    let mut all = (*it).fixed_tags.clone();
    if (*it).tags.is_none() && (*it).tags_of_result.is_none() {
        return Ok((all, None));
    }
    let (args, kwargs) = (tuple_of(given.positional)?, named(given)?);
    if let Some(function) = (*it).tags.clone() {
        all.extend(tags::tags(function.as_ptr(), &[args.as_ptr(), kwargs.as_ptr()])?);
    }
    let showing = (*it).tags_of_result.clone().map(|function| Showing {
        function: Held::new(function),
        args: Held::new(args),
        kwargs: Held::new(kwargs),
    });
    Ok((all, showing))
}

/// The tags of a value that is put in: from the arguments, and from itself.
pub(crate) unsafe fn tags_of(it: *mut Cached, given: Given, value: *mut PyObject) -> Result<Tags> {
    let (mut all, showing) = tags_of_call(it, given)?;
    if let Some(showing) = showing {
        all.extend(showing.tags_of(value)?);
    }
    Ok(all)
}

/// A value that is put in, as the engine holds it.
pub(crate) unsafe fn held(it: *mut Cached, value: *mut PyObject) -> Result<Held> {
    codec::held((*it).codec.as_ref(), it.cast(), Owned::share(value))
}

/// Puts a value in that `held` has made.
pub(crate) async fn put(
    cache: &Cache<PyKey, Held>,
    key: &PyKey,
    tags: Tags,
    value: Held,
) -> std::result::Result<(), tierce::Error> {
    let kept = value.clone();
    let told = cache.entry(key).tags(tags).set(value).await;
    kept.forget_packed();
    told
}

/// The key of a call; None of one that does not fit the function's parameters.
pub(crate) unsafe fn key(it: *mut Cached, given: Given) -> Result<Option<PyKey>> {
    let Some(signature) = &(*it).signature else { return Err(collected()) };
    let mut places = vec![ptr::null_mut(); signature.places(given)];
    let Some(call) = signature.bind(given, &mut places) else { return Ok(None) };
    let Some(picks) = &(*it).picks else { return all_parts(it, signature, call).map(Some) };
    let parts = picks.iter().map(|place| named_part(it, signature, *place, call.values[*place]));
    Ok(Some(PyKey::of(parts.collect::<Result<_>>()?)))
}

unsafe fn all_parts(it: *mut Cached, signature: &Signature, call: Call) -> Result<PyKey> {
    let named = call.named as usize;
    let (values, names) = call.values.split_at(call.values.len() - named);
    let (values, of_names) = values.split_at(values.len() - named);
    let parts = values.iter().enumerate().map(|(place, value)| named_part(it, signature, place, *value));
    let mut parts: Vec<Part> = parts.collect::<Result<_>>()?;
    if named > 0 {
        let pairs = names.iter().zip(of_names);
        let pairs = pairs.map(|(name, value)| Ok((text_of(*name)?.into(), told(it, Some(*name), part(*value))?)));
        parts.push(Part::Named(pairs.collect::<Result<_>>()?));
    }
    Ok(if are_sequences(it) { PyKey::sequence(parts) } else { PyKey::of(parts) })
}

/// Whether the key of a call is a sequence also where it has one part.
pub(crate) unsafe fn are_sequences(it: *mut Cached) -> bool {
    (*it).picks.is_none() && (*it).signature.as_ref().is_some_and(Signature::takes_any)
}

unsafe fn named_part(it: *mut Cached, signature: &Signature, place: usize, value: *mut PyObject) -> Result<Part> {
    told(it, signature.name_of(place), part(value))
}

/// A part of a key, or an error that names the function and the argument.
unsafe fn told(it: *mut Cached, argument: Option<*mut PyObject>, read: Result<Part>) -> Result<Part> {
    if read.is_err()
        && let Some(error) = crate::raised::raised()
    {
        // Of these two, since others may take more than a sentence.
        let kinds = [ffi::PyExc_TypeError, ffi::PyExc_ValueError];
        let kind = kinds.into_iter().find(|kind| ffi::PyErr_GivenExceptionMatches(error.as_ptr(), *kind) != 0);
        let function = attribute(it.cast(), c"__qualname__");
        match (kind, function, argument) {
            (Some(kind), Ok(function), Some(argument)) => {
                let form = c"%S, argument %R: %S";
                ffi::PyErr_Format(kind, form.as_ptr(), function.as_ptr(), argument, error.as_ptr());
            }
            (Some(kind), Ok(function), None) => {
                ffi::PyErr_Format(kind, c"%S: %S".as_ptr(), function.as_ptr(), error.as_ptr());
            }
            _ => crate::raised::restore(Some(error)),
        }
    }
    read
}

pub(crate) unsafe fn collected() -> Raised {
    type_error(c"the cached function was collected")
}

/// The arguments by name, as a dict or None.
pub(crate) unsafe fn named(given: Given) -> Result<Owned> {
    if given.named.is_empty() { Ok(none()) } else { given.by_name() }
}
