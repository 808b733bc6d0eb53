//! Tokio: loads are tasks of the runtime whose thread the caller is on.

use std::io;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::face::{BoxFuture, Runtime};
use super::id::Id;
use super::stream;
use super::wire::{Dialing, Endpoint};

/// What a load's error says where tokio has no timer; its own words speak of no cache.
const NO_TIMER: &str = "this tokio runtime has no timer, and no load can have a deadline here; enable the time driver: \
                        tokio::runtime::Builder::enable_time";

struct Tokio(Handle);

pub(super) fn current() -> Option<Arc<dyn Runtime>> {
    Handle::try_current().ok().map(of)
}

/// Its number alone, which costs less.
pub(super) fn id() -> Option<Id> {
    Handle::try_current().ok().map(|handle| Id::of_tokio(&handle.id()))
}

/// The runtime of this handle.
pub(super) fn of(handle: Handle) -> Arc<dyn Runtime> {
    Arc::new(Tokio(handle))
}

impl Runtime for Tokio {
    fn spawn(&self, task: BoxFuture) {
        drop(self.0.spawn(task));
    }

    fn sleep(&self, time: Duration) -> BoxFuture {
        let _here = self.0.enter();
        // It cannot be asked before whether it has one. The panic hook has spoken when it was found out.
        match catch_unwind(|| tokio::time::sleep(time)) {
            Ok(sleep) => Box::pin(sleep),
            Err(_) => resume_unwind(Box::new(NO_TIMER)),
        }
    }

    fn alive(&self) -> bool {
        true
    }

    fn id(&self) -> Option<Id> {
        Some(Id::of_tokio(&self.0.id()))
    }

    fn check(&self, to: &Endpoint) -> io::Result<()> {
        stream::check(to)
    }

    fn dial(&self, to: &Endpoint) -> Dialing {
        stream::open(to)
    }

    /// A tokio runtime that shuts down drops its tasks.
    fn watch(&self) -> Option<Duration> {
        None
    }
}
