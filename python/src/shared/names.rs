//! What is asked of asyncio and of the face, looked up once: both are imported already when the first call is made.

use std::ffi::CStr;
use std::sync::OnceLock;

use pyo3_ffi as ffi;

use super::held::Held;
use crate::owned::{Owned, Result, attribute, text, tuple};

pub(crate) struct Names {
    /// `asyncio._get_running_loop`
    pub(crate) running: Held,
    /// `asyncio.current_task`
    pub(crate) current_task: Held,
    pub(crate) cancelled_error: Held,
    pub(crate) task: Held,
    pub(crate) copy_context: Held,
    /// The context variable that tells which load a loader belongs to.
    pub(crate) inside: Held,
    /// Runs a function when its loop shuts down.
    pub(crate) at_shutdown: Held,
    /// Whether a loop's type makes tasks in a way of its own.
    pub(crate) makes_tasks: Held,
    /// Whether who waits on a loop may be told in the call in which he is answered.
    pub(crate) tells_at_once: Held,
    /// Gives `at_shutdown` up.
    pub(crate) release: Held,
    /// Makes of an argument one that has a place in a key.
    pub(crate) part: Held,
    /// Opens a socket.
    pub(crate) dial: Held,
    /// The type of what an `async def` gives.
    pub(crate) coroutine: Held,
    pub(crate) cycle: Held,
    pub(crate) cancelled: Held,
    pub(crate) store: Held,
    pub(crate) name_taken: Held,
    /// The names of what a task is given beside its coroutine.
    pub(crate) of_task: Held,
    /// The names of what a loop is given beside a function and its argument.
    pub(crate) of_call_soon: Held,
}

static NAMES: OnceLock<Names> = OnceLock::new();

pub(crate) unsafe fn names() -> Result<&'static Names> {
    if let Some(names) = NAMES.get() {
        return Ok(names);
    }
    let found = look_up()?;
    Ok(NAMES.get_or_init(|| found))
}

unsafe fn look_up() -> Result<Names> {
    let asyncio = module(c"asyncio")?;
    let (contextvars, face) = (module(c"contextvars")?, module(c"tierce.event_loop")?);
    let errors = module(c"tierce.errors")?;
    let held = |object: &Owned, name| Ok(Held::new(attribute(object.as_ptr(), name)?));
    #[cfg(Py_3_12)]
    let of_task = tuple([text("loop")?, text("context")?, text("eager_start")?])?;
    #[cfg(not(Py_3_12))]
    let of_task = tuple([text("loop")?, text("context")?])?;
    Ok(Names {
        running: held(&asyncio, c"_get_running_loop")?,
        current_task: held(&asyncio, c"current_task")?,
        cancelled_error: held(&asyncio, c"CancelledError")?,
        task: held(&asyncio, c"Task")?,
        copy_context: held(&contextvars, c"copy_context")?,
        inside: held(&face, c"inside")?,
        at_shutdown: held(&face, c"at_shutdown")?,
        makes_tasks: held(&face, c"makes_tasks")?,
        tells_at_once: held(&face, c"tells_at_once")?,
        release: held(&face, c"release")?,
        part: held(&module(c"tierce.shared")?, c"_part")?,
        coroutine: held(&module(c"types")?, c"CoroutineType")?,
        dial: held(&module(c"tierce.streams")?, c"dial")?,
        cycle: held(&errors, c"CycleError")?,
        cancelled: held(&errors, c"LoadCancelledError")?,
        store: held(&errors, c"StoreError")?,
        name_taken: held(&errors, c"NameTaken")?,
        of_task: Held::new(of_task),
        of_call_soon: Held::new(tuple([text("context")?])?),
    })
}

unsafe fn module(name: &CStr) -> Result<Owned> {
    Owned::steal(ffi::PyImport_ImportModule(name.as_ptr()))
}
