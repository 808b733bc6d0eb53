//! The loop that runs on this thread, as a runtime of the engine's.

use std::cell::RefCell;
use std::ptr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use pyo3_ffi as ffi;
use tierce::runtime::{BoxFuture, Dialing as Dials, Endpoint, Id, Runtime};

use super::attached::cannot_raise;
use super::dialing::Dialing;
use super::event_loop::{Loop, known, look_around};
use super::names::names;
use crate::owned::{Owned, Raised, Result};
use crate::raised::{raised, restore};

thread_local! {
    /// The loop that this thread asked for last.
    static LAST: RefCell<Weak<Loop>> = const { RefCell::new(Weak::new()) };
}

/// The loop that runs on this thread.
pub(crate) unsafe fn current() -> Result<Arc<Loop>> {
    if let Some(found) = running()? {
        return Ok(found);
    }
    ffi::PyErr_SetString(ffi::PyExc_RuntimeError, c"no running event loop".as_ptr());
    Err(Raised)
}

/// The same; none where none runs.
pub(crate) unsafe fn running() -> Result<Option<Arc<Loop>>> {
    let Some(running) = running_object()? else { return Ok(None) };
    let last = LAST.with(|last| last.borrow().upgrade());
    if let Some(last) = last.filter(|last| last.is(running.as_ptr())) {
        return Ok(Some(last));
    }
    let found = match known(running.as_ptr()) {
        Some(known) => known,
        None => {
            look_around()?;
            Loop::begin(running, |one| Arc::new(Here(one)))?
        }
    };
    LAST.with(|last| *last.borrow_mut() = Arc::downgrade(&found));
    Ok(Some(found))
}

/// asyncio's.
unsafe fn running_object() -> Result<Option<Owned>> {
    let running = Owned::steal(ffi::PyObject_CallObject(names()?.running.as_ptr(), ptr::null_mut()))?;
    Ok(Some(running).filter(|running| !ptr::eq(running.as_ptr(), ffi::Py_None())))
}

/// Runs something as an entry of the loop that runs on this thread, if one does. Keeps the exception that is set.
pub(crate) unsafe fn here(run: impl FnOnce()) {
    let before = raised();
    let object = running_object().unwrap_or_else(|Raised| {
        drop(raised());
        None
    });
    let home = object.and_then(|object| known(object.as_ptr()));
    if let Some(home) = home {
        if home.within(run).is_err() {
            cannot_raise(home.object.as_ptr());
        }
    } else {
        run();
    }
    restore(before);
}

/// A loop as the engine holds it.
struct Here(Weak<Loop>);

impl Runtime for Here {
    fn spawn(&self, task: BoxFuture) {
        match self.0.upgrade() {
            Some(one) => one.spawn(task),
            None => drop(task),
        }
    }

    fn sleep(&self, time: Duration) -> BoxFuture {
        match self.0.upgrade() {
            Some(one) => Box::pin(one.alarms().sleep(time)),
            None => Box::pin(std::future::pending()),
        }
    }

    fn id(&self) -> Option<Id> {
        self.0.upgrade().map(|one| one.id())
    }

    fn dial(&self, to: &Endpoint) -> Dials {
        Box::pin(Dialing::new(Weak::clone(&self.0), to.clone()))
    }

    fn alive(&self) -> bool {
        self.0.upgrade().is_some_and(|one| !one.has_ended())
    }
}
