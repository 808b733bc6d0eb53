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
    let said = said?;
    // SAFETY: `attach` holds the interpreter's lock.
    let made = attach(|| unsafe {
        let before = raised::raised();
        let made = shown(said).map_err(|Raised| raised::raised().map(Held::new));
        raised::restore(before);
        made
    });
    match made {
        Some(Ok(object)) => Ok(Held::new(object)),
        Some(Err(Some(error))) => Err(Why::Raised(error)),
        Some(Err(None)) | None => Err(Why::Load(tierce::LoadError::Abandoned)),
    }
}
