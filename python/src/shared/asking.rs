//! One lookup, as a task of its caller's loop: the engine's future, again where another's load was cancelled, and its end.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tierce::__python::Inside;
use tierce::runtime::BoxFuture;
use tierce::{Cache, Load, LoadError};

use super::answer::Answer;
use super::failed::Failed;
use super::held::Held;
use super::key::PyKey;
use super::loader::Loading;
use super::plan::Plan;
use super::told;

/// How many cancelled loads of others one lookup looks past. Chosen, not measured: an accident cancels one, of a task group or at a
/// timeout, and what leads next may be cancelled with it; who cancels each load must not keep its callers for ever.
const MOST_CANCELLED: u32 = 16;

pub(crate) struct Asking {
    pub(crate) cache: Cache<PyKey, Held>,
    pub(crate) key: PyKey,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) plan: Arc<Plan>,
    /// Loads, whatever is here.
    pub(crate) renew: bool,
    /// The load whose loader asks.
    pub(crate) around: Option<Inside>,
}

impl Asking {
    /// The task, which gives the answer to whoever waits for it.
    pub(crate) fn work(self, answer: Arc<Answer>) -> BoxFuture {
        Box::pin(async move {
            let (around, cache) = (self.around.clone(), self.cache.clone());
            let mut find = pin!(self.find());
            let found = std::future::poll_fn(|cx| match &around {
                Some(around) => around.polled(|| find.as_mut().poll(cx)),
                None => find.as_mut().poll(cx),
            });
            let found = found.await;
            // SAFETY: a loop polls its tasks inside an entry, with the interpreter's lock held.
            unsafe {
                match found {
                    Ok(value) => answer.give(Ok(value)),
                    Err(error) => answer.give(Err(told::exception(cache.name(), error))),
                }
            };
        })
    }

    async fn find(self) -> Result<Held, LoadError<Failed>> {
        let mut cancelled = 0;
        loop {
            let leads = Arc::new(AtomicBool::new(false));
            let load = {
                let (plan, leads) = (Arc::clone(&self.plan), Arc::clone(&leads));
                move |_: Load<Held>| {
                    leads.store(true, Relaxed);
                    Loading::new(plan)
                }
            };
            let entry = self.cache.entry(&self.key).tags(self.tags.iter().cloned());
            let found = if self.renew { entry.refresh_with(load).await } else { entry.load_with(load).await };
            match found {
                // Another's task was cancelled or interrupted, and not this caller: he looks again, and may lead.
                Err(LoadError::Load(failed)) if failed.is_leaders_alone() && !leads.load(Relaxed) => {
                    cancelled += 1;
                    if cancelled > MOST_CANCELLED {
                        return Err(LoadError::Load(Arc::new(failed.of_another())));
                    }
                }
                Err(error) => return Err(error),
                // None is a value as any other: there are no absences.
                Ok(found) => return found.into_value().ok_or(LoadError::Abandoned),
            }
        }
    }
}
