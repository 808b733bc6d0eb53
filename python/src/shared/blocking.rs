//! For code that runs on no loop: the thread waits itself, without the interpreter's lock, and loads on its own stack.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pyo3_ffi as ffi;
use tierce::__python::sleep;
use tierce::runtime::BoxFuture;

use super::attached::{attach, detached, entry};
use super::failed::Failed;
use super::held::Held;
use super::lookup::{give_up, is_lookup};
use super::plan::Plan;
use crate::owned::{Owned, PyObject, Raised, Result, answer, type_error};
use crate::raised;
use crate::ready::{is_ready, taken};

/// How often a thread that waits looks whether a signal's handler has to run: soon enough for who presses Ctrl-C.
const SIGNALS: Duration = Duration::from_millis(100);

/// What a future comes to, on this thread; or what a signal's handler raised meanwhile.
pub(crate) unsafe fn waited<F: Future>(work: F) -> Result<F::Output> {
    let mut work = std::pin::pin!(work);
    let mut alarm: Option<BoxFuture> = None;
    let waiting = std::future::poll_fn(move |cx| {
        if let Poll::Ready(value) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        while alarm.get_or_insert_with(|| sleep(SIGNALS)).as_mut().poll(cx).is_ready() {
            alarm = None;
            // SAFETY: `attach` holds the interpreter's lock.
            if let Some(raised) = attach(|| unsafe { handled() }).flatten() {
                return Poll::Ready(Err(raised));
            }
        }
        Poll::Pending
    });
    // What is loaded meanwhile asks for itself.
    let before = WAITS.replace(false);
    let ended = detached(|| tierce::block_on(waiting));
    WAITS.set(before);
    ended.map_err(|error| {
        raised::restore(Some(error.share()));
        Raised
    })
}

/// Runs the handlers of signals that have come; what one of them raised.
unsafe fn handled() -> Option<Held> {
    if ffi::PyErr_CheckSignals() == 0 {
        return None;
    }
    raised::raised().map(Held::new)
}

thread_local! {
    /// Whether what is asked for on this thread is to be waited for, and must not begin on a loop.
    static WAITS: Cell<bool> = const { Cell::new(false) };
}

/// Whether whoever asks here waits for the answer without a loop.
pub(crate) fn waits() -> bool {
    WAITS.get()
}

/// `_blocking(call, args, kwargs)`: what a call comes to that gives an awaitable of ours, waited for by this thread.
pub(crate) unsafe extern "C" fn blocking(
    _: *mut PyObject,
    args: *mut *mut PyObject,
    count: ffi::Py_ssize_t,
) -> *mut PyObject {
    answer(entry(|| {
        if count != 3 {
            return Err(type_error(c"_blocking(call, args, kwargs)"));
        }
        let before = WAITS.replace(true);
        let said = Owned::steal(ffi::PyObject_Call(*args, *args.add(1), *args.add(2)));
        WAITS.set(before);
        ended(said?)
    }))
}

unsafe fn ended(said: Owned) -> Result<Owned> {
    if is_ready(said.as_ptr()) {
        return taken(said.as_ptr());
    }
    if is_lookup(said.as_ptr()) {
        give_up(said.as_ptr());
        return Err(type_error(c"the load of a coroutine function needs an event loop: await it on one"));
    }
    Ok(said)
}

/// A load by a plain function, which runs when it is polled.
pub(crate) struct Running(Arc<Plan>);

impl Running {
    pub(crate) fn new(plan: Arc<Plan>) -> Running {
        Running(plan)
    }

    unsafe fn run(&self) -> Result<Held> {
        self.0.call().map(Held::new)
    }
}

impl Future for Running {
    type Output = std::result::Result<Held, Failed>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `attach` holds the interpreter's lock.
        let ran = attach(|| unsafe {
            let before = raised::raised();
            let ran = self.run().map_err(|Raised| raised::raised().map(|error| Failed::told(Held::new(error))));
            raised::restore(before);
            ran
        });
        Poll::Ready(match ran {
            Some(Ok(value)) => Ok(value),
            Some(Err(Some(failed))) => Err(failed),
            // The interpreter has ended, and with it whoever waits.
            Some(Err(None)) | None => return Poll::Pending,
        })
    }
}
