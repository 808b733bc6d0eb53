//! Many entries in one call: one load for what is missing, and one question to the store.

use std::collections::HashMap;
use std::ptr;
use std::sync::Arc;

use pyo3_ffi as ffi;
use tierce::__python::learn;
use tierce::{Cache, Loaded, Lookup};

use super::arrival::Arrival;
use super::asked::asked;
use super::attached::entry;
use super::cached::{Cached, cache, held, key, put};
use super::event_loop::Loop;
use super::failed::Failed;
use super::held::Held;
use super::here::running;
use super::inside::current_context;
use super::key::PyKey;
use super::load::{Call, finished};
use super::plan::Plan;
use super::said::{Args, Count, changing, manner};
use super::tags::tags;
use super::told::Why;
use crate::owned::{Owned, PyObject, Raised, Result, answer, attribute, tuple, type_error};
use crate::signature::Given;
use crate::types::of_call;

pub(super) fn methods() -> Vec<ffi::PyMethodDef> {
    vec![
        of_call(
            c"_get_many",
            get_many,
            c"_get_many(ids, load): a dict of what there is of these; what is missing load brings, or nobody.",
        ),
        of_call(c"_set_many", set_many, c"_set_many(pairs)"),
        of_call(c"_invalidate_many", invalidate_many, c"_invalidate_many(ids)"),
    ]
}

/// The ids as they were given, each with its key.
unsafe fn keys(it: *mut Cached, ids: *mut PyObject) -> Result<(Vec<PyKey>, Vec<Held>)> {
    let count = ffi::PyList_Size(ids);
    let (mut keys, mut objects) = (Vec::new(), Vec::new());
    for at in 0..count {
        // Owned: an `==` or a `__hash__` may change the list.
        let id = ffi::PyList_GetItem(ids, at);
        if id.is_null() {
            return Err(Raised);
        }
        let id = Owned::share(id);
        keys.push(key_of(it, id.as_ptr())?);
        objects.push(Held::new(id));
    }
    Ok((keys, objects))
}

unsafe fn key_of(it: *mut Cached, id: *mut PyObject) -> Result<PyKey> {
    let arguments = [id];
    let given = Given::new(arguments.as_ptr(), 1, ptr::null_mut());
    key(it, given)?.ok_or_else(|| type_error(c"the function takes more than one argument: it has no ids"))
}

unsafe extern "C" fn get_many(it: *mut PyObject, args: Args, count: Count, _: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        if count != 2 || ffi::PyList_Check(*args) == 0 {
            return Err(type_error(c"_get_many(list, load)"));
        }
        let cached = it.cast::<Cached>();
        let (keys, objects) = keys(cached, *args)?;
        let is_async = manner(it).is_async;
        let cache = cache(cached)?.clone();
        let arrival = (*cached).arrival.clone().filter(|arrival| !arrival.is_over());
        let load = *args.add(1);
        if ptr::eq(load, ffi::Py_None()) {
            let question = async move {
                arrived(arrival).await;
                Ok(cache.get_many(&keys).await)
            };
            // SAFETY: `asked` has the interpreter's lock where it shows something.
            return asked(is_async, question, move |found| unsafe { dict(&objects, found) });
        }
        let batch = Batch::new(cached, Owned::share(load), &keys, &objects)?;
        let own_tags = if manner(it).has_store { batch.tags_of_missing(&cache, &keys)? } else { Vec::new() };
        let fixed = (*cached).fixed_tags.clone();
        let question = async move {
            arrived(arrival).await;
            learn(&cache, &own_tags).await;
            let load = move |missing| batch.load(missing);
            let answers = cache.entries(&keys).tags(fixed).load_with(load).await;
            let found = answers.into_iter().map(|answer| answer.map(Lookup::into_value));
            found.collect::<std::result::Result<Vec<_>, _>>().map_err(|error| Why::load(&cache, error))
        };
        // SAFETY: `asked` has the interpreter's lock where it shows something.
        asked(is_async, question, move |found| unsafe { dict(&objects, found) })
    }))
}

async fn arrived(arrival: Option<Arc<Arrival>>) {
    if let Some(arrival) = arrival {
        arrival.wait().await;
    }
}

/// What was found, by its id, in the order of the ids.
unsafe fn dict(ids: &[Held], found: Vec<Option<Held>>) -> Result<Owned> {
    let made = Owned::steal(ffi::PyDict_New())?;
    for (id, value) in ids.iter().zip(found) {
        let Some(value) = value else { continue };
        value.forget_packed();
        if ffi::PyDict_SetItem(made.as_ptr(), id.as_ptr(), value.as_ptr()) < 0 {
            return Err(Raised);
        }
    }
    Ok(made)
}

/// What one call of many ids loads with.
struct Batch {
    plan: Plan,
    /// Gives the tags that an id shows.
    tags: Option<Held>,
    ids: HashMap<PyKey, Held>,
}

impl Batch {
    unsafe fn new(it: *mut Cached, function: Owned, keys: &[PyKey], objects: &[Held]) -> Result<Batch> {
        let is_async = manner(it.cast()).is_async;
        let home = if is_async { running()?.as_ref().map(Arc::downgrade) } else { None };
        let held = |object: &Option<Owned>| object.as_ref().map(|object| Held::new(object.clone()));
        let plan = Plan {
            function: Held::new(function),
            args: Held::new(Owned::steal(ffi::PyTuple_New(0))?),
            kwargs: None,
            context: current_context()?,
            tags_of_result: held(&(*it).tags_of_result),
            codec: (*it).codec.clone(),
            home: home.unwrap_or_default(),
            is_async,
        };
        let ids = keys.iter().cloned().zip(objects.iter().cloned()).collect();
        Ok(Batch { plan, tags: held(&(*it).tags), ids })
    }

    /// The tags that the ids show which are not in memory.
    unsafe fn tags_of_missing(&self, cache: &Cache<PyKey, Held>, keys: &[PyKey]) -> Result<Vec<Arc<str>>> {
        let mut all = Vec::new();
        let Some(function) = &self.tags else { return Ok(all) };
        for key in keys.iter().filter(|key| cache.peek(*key).is_none()) {
            if let Some(id) = self.ids.get(key) {
                let args = tuple([id.share()])?;
                all.extend(tags(function.as_ptr(), &[args.as_ptr(), ffi::Py_None()])?);
            }
        }
        Ok(all)
    }

    /// Calls the loader with a list of the ids that are missing.
    fn load(&self, missing: Vec<PyKey>) -> impl Future<Output = std::result::Result<Pairs, Failed>> + use<> {
        let ids: Vec<_> = missing.iter().filter_map(|key| self.ids.get(key).cloned()).collect();
        // SAFETY: `finished` holds the interpreter's lock.
        let called = finished(&self.plan, || unsafe { self.plan_of(&ids) });
        let called = called.map(|plan| (Call::of(Arc::clone(&plan)), plan));
        let tags = self.tags.clone();
        async move {
            let (call, plan) = called?;
            let brought = call.await?;
            // SAFETY: as above.
            finished(&plan, || unsafe { pairs(&plan, tags.as_ref(), missing, &ids, &brought) })
        }
    }

    /// Where the call was made outside a loop, the loader runs in that which awaits it.
    unsafe fn home(&self) -> Result<std::sync::Weak<Loop>> {
        if self.plan.is_async && self.plan.home.upgrade().is_none() {
            return Ok(running()?.as_ref().map(Arc::downgrade).unwrap_or_default());
        }
        Ok(self.plan.home.clone())
    }

    unsafe fn plan_of(&self, ids: &[Held]) -> Result<Arc<Plan>> {
        let list = Owned::steal(ffi::PyList_New(0))?;
        for id in ids {
            if ffi::PyList_Append(list.as_ptr(), id.as_ptr()) < 0 {
                return Err(Raised);
            }
        }
        let copy = attribute(self.plan.context.as_ptr(), c"copy")?;
        let context = Owned::steal(ffi::PyObject_CallObject(copy.as_ptr(), ptr::null_mut()))?;
        let (args, context) = (Held::new(tuple([list])?), Held::new(context));
        Ok(Arc::new(Plan { args, context, home: self.home()?, ..self.plan.clone() }))
    }
}

type Pairs = Vec<(PyKey, std::result::Result<Loaded<Held>, Failed>)>;

/// What a loader brought of the ids: a dict, or pairs. Of one that is not in it there is none.
unsafe fn pairs(
    plan: &Plan,
    tags_of_call: Option<&Held>,
    missing: Vec<PyKey>,
    ids: &[Held],
    brought: &Held,
) -> Result<Pairs> {
    let all = if ffi::PyDict_Check(brought.as_ptr()) != 0 {
        brought.share()
    } else {
        let arguments = [brought.as_ptr()];
        let kind = (&raw mut ffi::PyDict_Type).cast();
        Owned::steal(ffi::PyObject_Vectorcall(kind, arguments.as_ptr(), 1, ptr::null_mut()))?
    };
    let mut pairs = Vec::with_capacity(ids.len());
    for (key, id) in missing.into_iter().zip(ids) {
        let value = ffi::PyDict_GetItemWithError(all.as_ptr(), id.as_ptr());
        if value.is_null() {
            if ffi::PyErr_Occurred().is_null() {
                continue;
            }
            return Err(Raised);
        }
        let value = plan.held(Owned::share(value))?;
        let args = tuple([id.share()])?;
        let mut shown = Vec::new();
        if let Some(function) = tags_of_call {
            shown.extend(tags(function.as_ptr(), &[args.as_ptr(), ffi::Py_None()])?);
        }
        if let Some(function) = &plan.tags_of_result {
            shown.extend(tags(function.as_ptr(), &[args.as_ptr(), ffi::Py_None(), value.as_ptr()])?);
        }
        pairs.push((key, Ok(shown.into_iter().fold(Loaded::new(value), Loaded::tag))));
    }
    Ok(pairs)
}

unsafe extern "C" fn set_many(it: *mut PyObject, args: Args, count: Count, _: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        if count != 1 || ffi::PyList_Check(*args) == 0 {
            return Err(type_error(c"_set_many(list)"));
        }
        let cached = it.cast::<Cached>();
        let mut all = Vec::new();
        for at in 0..ffi::PyList_Size(*args) {
            let pair = ffi::PyList_GetItem(*args, at);
            if pair.is_null() || ffi::PyTuple_Size(pair) != 2 {
                return Err(type_error(c"_set_many takes pairs of an id and its value"));
            }
            let pair = Owned::share(pair);
            let (id, value) = (ffi::PyTuple_GetItem(pair.as_ptr(), 0), ffi::PyTuple_GetItem(pair.as_ptr(), 1));
            let arguments = [id];
            let value = held(cached, value)?;
            let given = Given::new(arguments.as_ptr(), 1, ptr::null_mut());
            let tags = super::cached::tags_of(cached, given, value.as_ptr())?;
            all.push((key_of(cached, id)?, tags, value));
        }
        let cache = cache(cached)?.clone();
        changing(manner(it), async move {
            let mut told = Ok(());
            for (key, tags, value) in all {
                told = told.and(put(&cache, &key, tags, value).await);
            }
            told
        })
    }))
}

unsafe extern "C" fn invalidate_many(it: *mut PyObject, args: Args, count: Count, _: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        if count != 1 || ffi::PyList_Check(*args) == 0 {
            return Err(type_error(c"_invalidate_many(list)"));
        }
        let (keys, _) = keys(it.cast(), *args)?;
        let cache = cache(it.cast())?.clone();
        changing(manner(it), async move { cache.invalidate_many(&keys).await })
    }))
}
