//! What a call returns that memory did not answer: an awaitable, which does nothing before it is awaited.
//!
//! Its first `send` asks the engine. What was found or loaded in that same turn is given at once; otherwise it yields a future
//! (`future.rs`), which tasks know to wait for. When it goes, its waiter leaves the flight, and the load goes on.

use std::ffi::{c_int, c_void};
use std::pin::Pin;
use std::ptr;
use std::sync::{Arc, Weak};

use pyo3_ffi as ffi;
use tierce::runtime::BoxFuture;

use super::answer::{Answer, Found, Given};
use super::arrival::Arrival;
use super::asking::Asking;
use super::attached::{cannot_raise, entry, quietly};
use super::codec::Codec;
use super::event_loop::Loop;
use super::foreign;
use super::future::{future, loop_of, yielded};
use super::held::Held;
use super::here::{current, here, running};
use super::inside::{around, current_context, inside};
use super::key::PyKey;
use super::plan;
use super::queue::Job;
use super::tags::tags;
use crate::awaitable::{LOOKUP, NEXT, Plan, RETURNED, raise_given, reused, sent, slots};
use crate::owned::{Owned, PyObject, Raised, Result, answer, none, raise, type_error};
use crate::raised::{raised, restore};
use crate::ready::ready;
use crate::stop;
use crate::types;

/// What it asks for.
pub(crate) struct Wanted {
    pub(crate) cache: tierce::Cache<PyKey, Held>,
    pub(crate) key: PyKey,
    pub(crate) renew: bool,
    pub(crate) function: Owned,
    pub(crate) args: Owned,
    pub(crate) kwargs: Option<Owned>,
    pub(crate) fixed_tags: Vec<Arc<str>>,
    pub(crate) tags: Option<Owned>,
    pub(crate) tags_of_result: Option<Owned>,
    pub(crate) codec: Option<Codec>,
    /// What it waits for first.
    pub(crate) arrival: Option<Arc<Arrival>>,
    pub(crate) is_async: bool,
}

impl Wanted {
    /// The lookup, whose loader runs in a copy of the current context.
    pub(crate) unsafe fn asking(self, home: Weak<Loop>) -> Result<Asking> {
        let mut all_tags = self.fixed_tags;
        if let Some(function) = &self.tags {
            let kwargs = self.kwargs.as_ref().map_or(ffi::Py_None(), Owned::as_ptr);
            all_tags.extend(tags(function.as_ptr(), &[self.args.as_ptr(), kwargs])?);
        }
        let plan = plan::Plan {
            function: Held::new(self.function),
            args: Held::new(self.args),
            kwargs: self.kwargs.map(Held::new),
            context: current_context()?,
            tags_of_result: self.tags_of_result.map(Held::new),
            codec: self.codec,
            home,
            is_async: self.is_async,
        };
        let (cache, key, renew, arrival) = (self.cache, self.key, self.renew, self.arrival);
        Ok(Asking { cache, key, tags: all_tags, plan: Arc::new(plan), renew, arrival })
    }
}

type Work = Pin<Box<dyn Future<Output = Found> + Send>>;

/// What it waits with.
struct Waiting {
    job: Arc<Job>,
    answer: Arc<Answer>,
    future: Owned,
    /// Whoever awaits has it.
    is_yielded: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // The answer borrows the future.
        drop(self.answer.leave());
    }
}

enum Stage {
    New(Box<Wanted>),
    /// It is to be done.
    Later(Work),
    /// Waits for a thread of no interpreter's, which holds something.
    Thread(Held, Held),
    /// It is being asked for.
    Asked,
    Waits(Waiting),
    Over,
}

#[repr(C)]
struct Lookup {
    base: ffi::PyObject,
    stage: Option<Stage>,
}

enum Step {
    Yield(Owned),
    Return(Owned),
}

pub(crate) unsafe fn make_type() -> Result<Owned> {
    let slots = slots(&Plan {
        doc: c"An awaitable: a lookup that may have to load.",
        send,
        send_fast,
        next,
        throw,
        close,
        traverse,
        clear,
        dealloc,
    });
    LOOKUP.make(c"tierce._tierce.Lookup", size_of::<Lookup>(), slots)
}

pub(crate) unsafe fn lookup(wanted: Wanted) -> Result<Owned> {
    made(Stage::New(Box::new(wanted)))
}

/// `from_thread((value, extra))`, for tests: gives the value when a thread has woken its loop, which lets `extra` go.
pub(crate) unsafe extern "C" fn from_thread(_: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    answer(entry(|| {
        if ffi::PyTuple_Check(args) == 0 || ffi::PyTuple_Size(args) != 2 {
            return Err(type_error(c"from_thread() takes a tuple of two"));
        }
        let made = types::allocate(LOOKUP.get())?;
        let held = |at| Held::new(Owned::share(ffi::PyTuple_GetItem(args, at)));
        (&raw mut (*made.as_ptr().cast::<Lookup>()).stage).write(Some(Stage::Thread(held(0), held(1))));
        Ok(made)
    }))
}

unsafe fn swap(it: *mut PyObject, stage: Stage) -> Stage {
    (*it.cast::<Lookup>()).stage.replace(stage).unwrap_or(Stage::Over)
}

unsafe fn step(it: *mut PyObject) -> Result<Step> {
    if let Some(Stage::New(_) | Stage::Later(_) | Stage::Thread(..)) = (*it.cast::<Lookup>()).stage {
        let begun = match swap(it, Stage::Asked) {
            Stage::New(wanted) => begin(*wanted),
            Stage::Later(work) => {
                let around = around()?;
                current().and_then(|home| turn(&home, |answer| task(inside(around, work), answer)))
            }
            Stage::Thread(value, extra) => turn(&current()?, |answer| foreign::work(value, extra, answer)),
            _ => Err(reused()),
        };
        return match begun {
            Ok(Begun::Found(value)) => {
                swap(it, Stage::Over);
                Ok(Step::Return(value))
            }
            Ok(Begun::Waits(waiting)) => {
                swap(it, Stage::Waits(waiting));
                go_on(it)
            }
            Err(Raised) => {
                swap(it, Stage::Over);
                Err(Raised)
            }
        };
    }
    go_on(it)
}

unsafe fn go_on(it: *mut PyObject) -> Result<Step> {
    let Some(Stage::Waits(waiting)) = &mut (*it.cast::<Lookup>()).stage else { return Err(reused()) };
    if let Some(given) = waiting.answer.take() {
        over(it);
        return given.value().map(Step::Return);
    }
    if std::mem::replace(&mut waiting.is_yielded, true) {
        return Err(raise(ffi::PyExc_RuntimeError, "what a lookup yields is for a task to wait for, and it has not"));
    }
    yielded(&waiting.future).map(Step::Yield)
}

enum Begun {
    Found(Owned),
    Waits(Waiting),
}

unsafe fn begin(wanted: Wanted) -> Result<Begun> {
    let home = current()?;
    let (around, asking) = (around()?, wanted.asking(Arc::downgrade(&home))?);
    turn(&home, |answer| asking.work(around, answer))
}

/// An awaitable of something that begins at once where a loop runs, and else when it is awaited.
pub(crate) unsafe fn doing(work: impl Future<Output = Found> + Send + 'static) -> Result<Owned> {
    let begun = match running()? {
        Some(home) => {
            let around = around()?;
            turn(&home, |answer| task(inside(around, work), answer))?
        }
        None => return made(Stage::Later(Box::pin(work))),
    };
    match begun {
        Begun::Found(value) => ready(value),
        Begun::Waits(waiting) => made(Stage::Waits(waiting)),
    }
}

/// It is not awaited, which who asked for it has been told.
pub(crate) unsafe fn give_up(it: *mut PyObject) {
    drop(swap(it, Stage::Over));
}

fn task(work: impl Future<Output = Found> + Send + 'static, answer: Arc<Answer>) -> BoxFuture {
    // SAFETY: a loop polls its tasks inside an entry, with the interpreter's lock held.
    Box::pin(async move { unsafe { answer.give(work.await) } })
}

unsafe fn made(stage: Stage) -> Result<Owned> {
    let made = types::allocate(LOOKUP.get())?;
    (&raw mut (*made.as_ptr().cast::<Lookup>()).stage).write(Some(stage));
    Ok(made)
}

/// Polls a task for the first time, and all that is ready then; makes a future for what it will come to later.
unsafe fn turn(home: &Arc<Loop>, work: impl FnOnce(Arc<Answer>) -> BoxFuture) -> Result<Begun> {
    let answer = Arc::new(Answer::default());
    let job = Job::new(work(Arc::clone(&answer)), home.queue(), None);
    home.within(|| job.poll())?;
    if let Some(given) = answer.take() {
        return given.value().map(Begun::Found);
    }
    // To make it may run foreign code, as the collector of cycles is, which may have polled: whoever awaits looks for an answer first.
    let future = future(home.object.share(), home.queue())?;
    answer.wait(&future);
    Ok(Begun::Waits(Waiting { job, answer, future, is_yielded: false }))
}

/// Its waiter leaves. What the engine still does of it goes on with the loop that runs here.
unsafe fn over(it: *mut PyObject) {
    if let Stage::Waits(waiting) = swap(it, Stage::Over) {
        let left = waiting.answer.leave();
        if !waiting.job.is_over() {
            here(|| waiting.job.kill());
        }
        if let Some(error) = left.as_ref().filter(|_| !waiting.is_yielded).and_then(Given::error) {
            report(&waiting.future, error);
        }
        drop((left, waiting));
    }
}

/// Tells the loop of an error that nobody was given. Keeps the exception that is set.
unsafe fn report(future: &Owned, error: &Held) {
    let before = raised();
    match loop_of(future) {
        Ok(object) => {
            Loop::report(
                object.as_ptr(),
                "tierce: what a cache was asked failed, and nobody awaited it",
                error.as_ptr(),
            );
        }
        // The collector of cycles was there first.
        Err(Raised) => {
            drop(raised());
            restore(Some(error.share()));
            cannot_raise(error.as_ptr());
        }
    }
    restore(before);
}

unsafe extern "C" fn send_fast(it: *mut PyObject, _: *mut PyObject, result: *mut *mut PyObject) -> c_int {
    let step = entry(|| step(it)).map(|step| match step {
        Step::Yield(object) => (NEXT, object),
        Step::Return(value) => (RETURNED, value),
    });
    sent(step, result)
}

unsafe extern "C" fn next(it: *mut PyObject) -> *mut PyObject {
    send(it, ffi::Py_None())
}

unsafe extern "C" fn send(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    match entry(|| step(it)) {
        Ok(Step::Yield(object)) => object.into_ptr(),
        Ok(Step::Return(value)) => {
            stop::raise(value);
            ptr::null_mut()
        }
        Err(Raised) => ptr::null_mut(),
    }
}

unsafe extern "C" fn throw(it: *mut PyObject, args: *mut *mut PyObject, count: ffi::Py_ssize_t) -> *mut PyObject {
    answer(entry(|| {
        end(it);
        raise_given(args, count);
        Err(Raised)
    }))
}

unsafe extern "C" fn close(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    clear(it);
    answer(Ok(none()))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    let said = visit(ffi::Py_TYPE(it).cast(), data);
    if said != 0 {
        return said;
    }
    let objects: [Option<&Owned>; 5] = match &(*it.cast::<Lookup>()).stage {
        Some(Stage::New(wanted)) => [
            Some(&wanted.function),
            Some(&wanted.args),
            wanted.kwargs.as_ref(),
            wanted.tags.as_ref(),
            wanted.tags_of_result.as_ref(),
        ],
        Some(Stage::Waits(waiting)) => [Some(&waiting.future), None, None, None, None],
        _ => [None; 5],
    };
    let mut shown = objects.into_iter().flatten().map(|object| visit(object.as_ptr(), data));
    shown.find(|said| *said != 0).unwrap_or(0)
}

unsafe fn end(it: *mut PyObject) {
    over(it);
    let before = swap(it, Stage::Over);
    drop(before);
}

unsafe extern "C" fn clear(it: *mut PyObject) -> c_int {
    quietly(|| end(it));
    0
}

/// Says of what was never begun that it was not, as CPython does of a coroutine.
unsafe fn warn(it: *mut PyObject) {
    let before = raised();
    let said = match &(*it.cast::<Lookup>()).stage {
        Some(Stage::New(wanted)) => {
            let sentence = c"a call of %R was never awaited".as_ptr();
            ffi::PyErr_WarnFormat(ffi::PyExc_RuntimeWarning, 1, sentence, wanted.function.as_ptr())
        }
        _ => {
            let sentence = c"a change of what is cached was never awaited, and is not made".as_ptr();
            ffi::PyErr_WarnEx(ffi::PyExc_RuntimeWarning, sentence, 1)
        }
    };
    if said < 0 {
        cannot_raise(it);
    }
    restore(before);
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(it.cast());
    if let Some(Stage::New(_) | Stage::Later(_)) = (*it.cast::<Lookup>()).stage {
        quietly(|| warn(it));
    }
    clear(it);
    types::free(it);
}
