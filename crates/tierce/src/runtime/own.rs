//! The crate's own thread: a runtime for what must go on when nobody's runtime carries it.
//!
//! A thread that waits ([`block_on`](super::blocking::block_on)) is a runtime for as long as it waits, and cannot keep a connection. Connections for such threads, and for
//! those without any runtime, live here, and so does what keeps their memory coherent. It is made when it is first
//! needed, and runs until the process ends; no caller's code runs on it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::Builder as Thread;

use ::tokio::runtime::{Builder, Handle};

use super::face::Runtime;
use super::id::Id;
use super::tokio::of;

/// So many forks behind each other have a thread each; a server that forks its workers has one or two.
const GENERATIONS: usize = 16;

/// The child of how many forks this process is, as far as it was told.
static GENERATION: AtomicUsize = AtomicUsize::new(0);

/// `None` where the system would not make it. A child has a place of its own: its parent's thread does not run there, and may
/// have been about to be made.
fn handle() -> Option<&'static Handle> {
    static OWN: [OnceLock<Option<Handle>>; GENERATIONS] = [const { OnceLock::new() }; GENERATIONS];
    OWN.get(GENERATION.load(Relaxed))?.get_or_init(make).as_ref()
}

/// This process is the child of a fork, and its parent's thread is not here.
pub(super) fn forked() {
    GENERATION.fetch_add(1, Relaxed);
}

fn make() -> Option<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let handle = runtime.handle().clone();
    let drive = move || runtime.block_on(std::future::pending::<()>());
    Thread::new().name("tierce-store".to_string()).spawn(drive).ok()?;
    Some(handle)
}

/// The thread, as a runtime.
pub(super) fn runtime() -> Option<Arc<dyn Runtime>> {
    handle().cloned().map(of)
}

/// Its number.
pub(super) fn id() -> Option<Id> {
    handle().map(|handle| Id::of_tokio(&handle.id()))
}
