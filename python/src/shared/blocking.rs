//! For code that runs on no loop: the thread waits itself, without the interpreter's lock, and loads on its own stack.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pyo3_ffi as ffi;
use tierce::__python::{self as engine, Inside, sleep};
use tierce::runtime::BoxFuture;

use super::attached::{attach, detached};
use super::failed::Failed;
use super::held::Held;
use super::inside::{around, inside};
use super::plan::Plan;
use crate::owned::{Raised, Result};
use crate::raised;

/// How often a thread that waits looks whether a signal's handler has to run: soon enough for who presses Ctrl-C.
const SIGNALS: Duration = Duration::from_millis(100);

/// What a future comes to, on this thread, asked inside the load that the current context belongs to; or what a signal's handler
/// raised meanwhile.
pub(crate) unsafe fn waited<F: Future>(work: F) -> Result<F::Output> {
    let mut work = std::pin::pin!(inside(around()?, work));
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

/// Runs something so that what it asks for is waited for.
pub(crate) fn waiting<R>(run: impl FnOnce() -> R) -> R {
    let before = WAITS.replace(true);
    let ran = run();
    WAITS.set(before);
    ran
}

/// A load by a plain function, which runs when it is polled.
pub(crate) struct Running {
    plan: Arc<Plan>,
    /// The load that this is.
    inside: Option<Inside>,
}

impl Running {
    /// Called by the engine when the load begins.
    pub(crate) fn new(plan: Arc<Plan>) -> Running {
        Running { plan, inside: engine::inside() }
    }

    unsafe fn run(&self) -> Result<Held> {
        self.plan.belongs_to(self.inside.clone())?;
        self.plan.call().map(Held::new)
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
