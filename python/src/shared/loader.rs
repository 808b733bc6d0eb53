//! A load: a task of asyncio's that runs the function, as a future of the engine's.
//!
//! It is a real task, since `asyncio.timeout` and `current_task` ask for one; it runs in a copy of its caller's context; and from
//! 3.12 on it runs up to its first wait when it is made, so that a load that does not wait costs no turn of the loop. A loop
//! that has a task factory, or a `create_task` of its own, is asked for it instead.

use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use pyo3_ffi as ffi;
use tierce::__python::{Inside, inside};

use super::attached::{cannot_raise, is_attached};
use super::done::Done;
use super::event_loop::Loop;
use super::failed::Failed;
use super::held::Held;
use super::names::names;
use super::plan::Plan;
use crate::owned::{Owned, Raised, Result, ask, attribute};
use crate::raised::{raised, restore};

type Brought = std::result::Result<Held, Failed>;

pub(crate) struct Loading {
    plan: Arc<Plan>,
    /// The load that this is: what the loader asks for is asked inside it.
    inside: Option<Inside>,
    task: Option<Held>,
    done: Arc<Done>,
}

impl Loading {
    /// Called by the engine when the load begins.
    pub(crate) fn new(plan: Arc<Plan>) -> Loading {
        if let Some(home) = plan.home.upgrade() {
            home.loads().fetch_add(1, Ordering::AcqRel);
        }
        Loading { plan, inside: inside(), task: None, done: Arc::default() }
    }

    /// Begins the task; whether it is done already.
    unsafe fn begin(&mut self, home: &Arc<Loop>) -> Result<bool> {
        self.plan.belongs_to(self.inside.clone())?;
        let task = self.task(home, &self.plan.call()?)?;
        self.task = Some(Held::new(task.clone()));
        if is_true(&ask(c"done", &[task.as_ptr()])?) {
            return Ok(true);
        }
        self.done.watch(home, &task)?;
        Ok(false)
    }

    /// A task of asyncio's, made as its loop has it where that has a way of its own.
    unsafe fn task(&self, home: &Arc<Loop>, coroutine: &Owned) -> Result<Owned> {
        let (object, context) = (home.object.as_ptr(), self.plan.context.as_ptr());
        let factory = ask(c"get_task_factory", &[object])?;
        if home.makes_tasks() || !ptr::eq(factory.as_ptr(), ffi::Py_None()) {
            // Not every factory takes a context: the task copies the one that it is made in.
            let create = attribute(object, c"create_task")?;
            return ask(c"run", &[context, create.as_ptr(), coroutine.as_ptr()]);
        }
        let arguments = [coroutine.as_ptr(), object, context, ffi::Py_True()];
        let (task, named) = (names()?.task.as_ptr(), &names()?.of_task);
        Owned::steal(ffi::PyObject_Vectorcall(task, arguments.as_ptr(), 1, named.as_ptr()))
    }

    /// What the task brought.
    unsafe fn outcome(&mut self, of: &Held) -> Brought {
        let brought = self.read(of);
        brought.unwrap_or_else(|Raised| Err(failed(of)))
    }

    unsafe fn read(&mut self, of: &Held) -> Result<Brought> {
        // Taken out, since it needs no cancelling any more.
        let Some(task) = self.task.take() else { return Ok(Err(Failed::cancelled(Some(of.clone())))) };
        if is_true(&ask(c"cancelled", &[task.as_ptr()])?) {
            return Ok(Err(Failed::cancelled(Some(of.clone()))));
        }
        let error = ask(c"exception", &[task.as_ptr()])?;
        if !ptr::eq(error.as_ptr(), ffi::Py_None()) {
            return Ok(Err(Failed::raised(Held::new(error), of.clone())));
        }
        let value = ask(c"result", &[task.as_ptr()])?;
        Ok(Ok(Held::new(value)))
    }
}

impl Future for Loading {
    type Output = Brought;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Brought> {
        let Some(home) = self.plan.home.upgrade() else { return Poll::Pending };
        let of = home.object.clone();
        // SAFETY: a loop polls its tasks inside an entry.
        unsafe {
            if self.task.is_none() {
                match self.begin(&home) {
                    Ok(true) => return Poll::Ready(self.outcome(&of)),
                    Ok(false) => {}
                    Err(Raised) => return Poll::Ready(Err(failed(&of))),
                }
            }
            if self.done.poll(cx) {
                return Poll::Ready(self.outcome(&of));
            }
        }
        Poll::Pending
    }
}

impl Drop for Loading {
    /// Given up before its end: at the load's deadline, or with its loop.
    fn drop(&mut self) {
        self.done.leave();
        let home = self.plan.home.upgrade();
        if let Some(home) = &home {
            home.loads().fetch_sub(1, Ordering::AcqRel);
        }
        let lives = home.is_some_and(|home| !home.has_ended());
        if let Some(task) = &self.task
            && lives
            && is_attached()
        {
            // SAFETY: inside an entry the interpreter's lock is held.
            unsafe {
                let before = raised();
                if ask(c"cancel", &[task.as_ptr()]).is_err() {
                    cannot_raise(task.as_ptr());
                }
                restore(before);
            }
        }
    }
}

unsafe fn is_true(object: &Owned) -> bool {
    ptr::eq(object.as_ptr(), ffi::Py_True())
}

/// The exception that is set, as the load's.
unsafe fn failed(of: &Held) -> Failed {
    raised().map_or_else(|| Failed::cancelled(Some(of.clone())), |error| Failed::raised(Held::new(error), of.clone()))
}
