//! The current hub: the one that functions with a cache of their own use.
//!
//! One for the process, unless a scope says another for what runs inside it. A scope is on the thread that polls it, as
//! long as it does: so it holds for what its future calls and awaits, on whatever thread, and for the loads that cached
//! functions begin there, but not for tasks that it spawns.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::OnceLock;

use crate::error::{Error, Kind};
use crate::hub::Hub;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::thread_local;

/// Says which hub is the current one of this process: once, before the first cached function is called.
///
/// A program that says nothing has an embedded one.
///
/// ```
/// # fn main() -> Result<(), tierce::Error> {
/// let hub = tierce::Hub::embedded();
/// tierce::init(hub.clone())?;
/// assert!(tierce::init(hub).is_err());
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Kind::Conflict`]: it was said before, or a cached function was called and uses an embedded one already.
pub fn init(hub: Hub) -> Result<(), Error> {
    let late = "the current hub is in use or was said before: call init once, before the first cached function";
    PROCESS.set(hub).map_err(|_| Error::new(Kind::Conflict, "init", late))
}

/// The current hub: the innermost scope's here, else the process's.
pub fn hub() -> Hub {
    scoped().unwrap_or_else(|| PROCESS.get_or_init(Hub::embedded).clone())
}

static PROCESS: OnceLock<Hub> = OnceLock::new();

/// How many scopes there are. Who is inside one has seen it counted: it was before it was polled.
static SCOPES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// `None` stands for the process's own: a load that began outside of any scope.
    static INSIDE: RefCell<Vec<Option<Hub>>> = const { RefCell::new(Vec::new()) };
}

/// Whether any scope exists, on whatever thread.
#[inline]
pub(crate) fn has_scopes() -> bool {
    SCOPES.load(Relaxed) > 0
}

/// The hub of the innermost scope here.
pub(crate) fn scoped() -> Option<Hub> {
    if !has_scopes() {
        return None;
    }
    INSIDE.with(|inside| inside.borrow().last().cloned().flatten())
}

/// Polls a future inside the scope that is here now, or outside of any: also where another's scope polls it.
pub(crate) fn carry<F: Future>(future: F) -> impl Future<Output = F::Output> {
    scope(scoped(), future)
}

async fn scope<F: Future>(hub: Option<Hub>, future: F) -> F::Output {
    let _counted = hub.as_ref().map(|_| Scope::open());
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let _inside = (hub.is_some() || has_scopes()).then(|| Inside::enter(hub.clone()));
        future.as_mut().poll(cx)
    })
    .await
}

impl Hub {
    /// Makes this hub the current one for what a future calls and awaits, on whatever thread it is polled.
    ///
    /// For tests: each has a hub of its own, whatever runs beside it. It holds for the loads that cached functions begin
    /// inside; a task that is spawned inside needs a scope of its own.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let hub = tierce::Hub::embedded();
    /// hub.scope(async { assert!(tierce::hub().stats().is_empty()) }).await;
    /// # }
    /// ```
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        scope(Some(self.clone()), future).await
    }

    /// Makes this hub the current one for what a closure calls on this thread. See [`scope`](Hub::scope).
    pub fn scope_sync<R>(&self, inside: impl FnOnce() -> R) -> R {
        let _counted = Scope::open();
        let _inside = Inside::enter(Some(self.clone()));
        inside()
    }
}

/// Counts a scope.
struct Scope;

impl Scope {
    fn open() -> Self {
        SCOPES.fetch_add(1, Relaxed);
        Scope
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        SCOPES.fetch_sub(1, Relaxed);
    }
}

/// This thread is inside a scope.
struct Inside;

impl Inside {
    fn enter(hub: Option<Hub>) -> Self {
        INSIDE.with(|inside| inside.borrow_mut().push(hub));
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let left = INSIDE.with(|inside| inside.borrow_mut().pop());
        // Dropped here, when the list is free again: with a hub go values, whose drops are foreign code.
        drop(left);
    }
}
