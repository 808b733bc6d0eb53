//! What the core asks of a runtime.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use super::id::Id;
use super::wire::{Dialing, Endpoint};

/// A task or a sleep.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Something that polls futures and wakes them later.
///
/// Implemented for tokio; implement it for an event loop of your own and [`enter`](super::enter) it around every poll. A task may be
/// dropped at any time without having been finished (a runtime that stops does so); it must not be polled after the
/// runtime said that it is not alive.
pub trait Runtime: Send + Sync + 'static {
    /// Runs a task to its end, independently of the caller.
    fn spawn(&self, task: BoxFuture);

    /// Ends after this time at the earliest. A panic here is the load's: its callers are told what it says.
    fn sleep(&self, time: Duration) -> BoxFuture;

    /// Whether its tasks still make progress. Asked under a lock: it must only read something, and wait for nobody.
    fn alive(&self) -> bool;

    /// How often those who wait for a load on this runtime must ask whether it is alive; `None` when a runtime that
    /// stops drops its tasks at once, since a dropped load tells its waiters itself.
    fn watch(&self) -> Option<Duration> {
        Some(WATCH)
    }

    /// Its number, if what is spawned here goes on whoever waits for it, and it opens streams: then the connections that are
    /// asked for here live here, one to each server. Those of a runtime without a number live on a thread of the crate's own.
    fn id(&self) -> Option<Id> {
        None
    }

    /// Whether it could open a stream to such a place: asked once, before anything is opened, to tell a mistake of the
    /// program's from a server that is away.
    ///
    /// # Errors
    /// What is wrong, as a sentence that names no place.
    fn check(&self, to: &Endpoint) -> io::Result<()> {
        let _ = to;
        Ok(())
    }

    /// Opens a stream to a server. A runtime without streams, as one whose caches need no store, refuses.
    fn dial(&self, to: &Endpoint) -> Dialing {
        let why = format!("this runtime opens no connections, and so none to {to:?}");
        Box::pin(std::future::ready(Err(io::Error::new(io::ErrorKind::Unsupported, why))))
    }
}

/// A tenth of a second: nobody who waits for a dead event loop waits noticeably longer than for a slow query.
const WATCH: Duration = Duration::from_millis(100);
