//! `cached`: functions whose values are in tierce's engine, on asyncio's own loop.
//!
//! **Idea.** The engine is futures that name no runtime. Here they are polled by the thread of an event loop, within its own turns, and
//! nothing runs beside it: a `Loop` is what the engine calls a runtime, a loader is a task of asyncio's, and what a call
//! returns (`lookup.rs`) is ready at once or waits on a future that asyncio's tasks know (`future.rs`).
//!
//! **Turns.** Everything that polls happens inside an *entry*: a call from CPython that may poll or wake. A wake inside the
//! entry of its own loop only queues, and the outermost entry polls what is queued before it returns; a wake from anywhere
//! else asks that loop for a turn by `call_soon_threadsafe`. So no poll of a task is inside another's, but for the first one of a
//! lookup, which is inside that of the loader which asks. Where the loop itself has called, those who were answered go on in that same
//! call, after the entry (`Loop::called`); in any other entry, which is inside somebody's code, they wait for a turn.
//!
//! **Locks.** The engine holds none while foreign code runs, and CPython is that: whatever is called of it may give the
//! interpreter's lock to a thread that waits for the engine's. Hence keys that touch no object (`key.rs`), values that are
//! cloned without one (`held.rs`), and a loop that says whether it is alive by a flag alone.

// The interpreter, as the engine's types may meet it.
pub(crate) mod attached;
mod held;
mod hook;
mod inside;
mod names;
// One event loop.
mod alarms;
mod done;
mod event_loop;
mod failed;
mod future;
mod here;
mod load;
mod loader;
mod lock;
mod plan;
mod queue;
mod tags;
mod woken;
// A value's bytes, and a connection's.
mod codec;
mod dialing;
mod encrypted;
mod stream;
// One lookup.
mod answer;
mod arrival;
mod asking;
mod blocking;
mod foreign;
// What Python sees.
mod asked;
mod batch;
mod cached;
mod calling;
mod entries;
mod holding;
mod hub;
mod hub_verbs;
mod key;
mod lookup;
mod matching;
mod said;
mod told;
mod verbs;

use crate::owned::{Owned, PyObject, Result, answer as given};

pub(crate) unsafe fn make_types() -> Result<[(&'static std::ffi::CStr, Owned); 3]> {
    hook::make_type()?;
    future::make_type()?;
    holding::make_type()?;
    Ok([
        (c"Cached", calling::make_type()?),
        (c"Lookup", lookup::make_type()?),
        (c"Hub", hub::make_type(hub_verbs::methods())?),
    ])
}

/// `_forget_loops()`: in the child of a fork, where no loop of the parent's runs.
pub(crate) unsafe extern "C" fn forget_loops(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    given(attached::entry(|| {
        event_loop::forget();
        tierce::__python::forked();
        Ok(crate::owned::none())
    }))
}

/// `_end()`: the interpreter is about to end; who wakes a loop from elsewhere finds it gone.
pub(crate) unsafe extern "C" fn end(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    attached::interpreter_ends();
    given(Ok(crate::owned::none()))
}

pub(crate) use lookup::from_thread;
pub(crate) use said::blocking;

/// `live()`, for tests: how many tasks and loops there are.
pub(crate) unsafe extern "C" fn live(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    given(attached::entry(|| {
        let (jobs, loops) = (queue::live(), event_loop::count());
        crate::owned::tuple([crate::owned::integer(jobs as u64)?, crate::owned::integer(loops as u64)?])
    }))
}
