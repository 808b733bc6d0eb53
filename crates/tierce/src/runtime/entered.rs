//! Which runtime a thread's lookups use: the one that was entered last.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

use super::face::Runtime;
use super::id::Id;
use crate::sync::thread_local;

thread_local! {
    /// `None` stands where foreign code runs that must not use what was entered before.
    static ENTERED: RefCell<Vec<Option<Arc<dyn Runtime>>>> = const { RefCell::new(Vec::new()) };
}

/// Makes a runtime the current one of this thread until the guard is dropped.
///
/// An event loop that is not tokio calls this around each poll of its tasks.
pub fn enter(runtime: Arc<dyn Runtime>) -> Guard {
    push(Some(runtime))
}

/// Makes it so that no runtime is entered here, until the guard is dropped.
pub(super) fn leave() -> Guard {
    push(None)
}

/// The runtime that was entered last, if any.
pub(super) fn last() -> Option<Arc<dyn Runtime>> {
    ENTERED.with(|entered| entered.borrow().last().cloned().flatten())
}

/// The number of the runtime that was entered last; whether one was, and whether that has one.
#[allow(clippy::option_option, reason = "none entered, none that has a number, a number")]
pub(super) fn last_id() -> Option<Option<Id>> {
    ENTERED.with(|entered| entered.borrow().last().and_then(Option::as_ref).map(|runtime| runtime.id()))
}

fn push(runtime: Option<Arc<dyn Runtime>>) -> Guard {
    ENTERED.with(|entered| entered.borrow_mut().push(runtime));
    Guard(PhantomData)
}

/// Ends what [`enter`] began.
#[must_use = "the runtime is left when this is dropped"]
pub struct Guard(PhantomData<*const ()>); // Not Send: it leaves what its own thread entered.

impl Drop for Guard {
    fn drop(&mut self) {
        let left = ENTERED.with(|entered| entered.borrow_mut().pop());
        // Dropped here, when the list is free again: a runtime's own drop may enter another.
        drop(left);
    }
}
