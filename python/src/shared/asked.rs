//! What is asked of the engine and answered with an object: awaited on a loop, or waited for by the thread.

use super::answer::Found;
use super::attached::attach;
use super::blocking::waited;
use super::held::Held;
use super::lookup::doing;
use super::told::{self, Why};
use crate::owned::{Owned, Raised, Result};
use crate::raised;

/// An awaitable of what the engine says, as the object that `shown` makes of it; or that object, where nobody awaits.
pub(crate) unsafe fn asked<T: Send + 'static>(
    is_async: bool,
    question: impl Future<Output = std::result::Result<T, Why>> + Send + 'static,
    shown: impl FnOnce(T) -> Result<Owned> + Send + 'static,
) -> Result<Owned> {
    if is_async {
        return doing(async move { show(question.await, shown) });
    }
    let said = waited(question)?.map_err(|why| told::raise(why))?;
    shown(said)
}

/// Polled inside an entry.
fn show<T>(said: std::result::Result<T, Why>, shown: impl FnOnce(T) -> Result<Owned>) -> Found {
    let made = attach(|| {
        // SAFETY: the interpreter's lock is held, and an exception that was set before is kept.
        unsafe {
            let before = raised::raised();
            let made = said
                .map_err(|why| told::exception(why))
                .and_then(|said| shown(said).map(Held::new).map_err(|Raised| Held::new(raised::raised_or_none())));
            raised::restore(before);
            made
        }
    });
    made.expect("a loop polls its tasks inside an entry")
}
