//! One lookup, as a task of its caller's loop: the engine's future, again where another's load was cancelled, and its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tierce::__python::{Inside, value_with};
use tierce::runtime::BoxFuture;
use tierce::{Cache, Load, LoadError};

use super::answer::Answer;
use super::arrival::Arrival;
use super::failed::Failed;
use super::held::Held;
use super::inside::inside;
use super::key::PyKey;
use super::load::load;
use super::plan::Plan;
use super::told::{self, Why};

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
    /// What it waits for first.
    pub(crate) arrival: Option<Arc<Arrival>>,
}

impl Asking {
    /// The task, which gives the answer to whoever waits for it; `around`: the load whose loader asks.
    pub(crate) fn work(self, around: Option<Inside>, answer: Arc<Answer>) -> BoxFuture {
        Box::pin(async move {
            let cache = self.cache.clone();
            let found = inside(around, self.find()).await;
            // SAFETY: a loop polls its tasks inside an entry, with the interpreter's lock held.
            unsafe { answer.give(found.map_err(|error| told::exception(Why::load(&cache, error)))) };
        })
    }

    pub(crate) async fn find(self) -> Result<Held, LoadError<Failed>> {
        if let Some(arrival) = &self.arrival {
            arrival.wait().await;
        }
        let mut cancelled = 0;
        loop {
            let leads = Arc::new(AtomicBool::new(false));
            let load = {
                let (plan, leads) = (Arc::clone(&self.plan), Arc::clone(&leads));
                move |_: Load<Held>| {
                    leads.store(true, Relaxed);
                    load(plan)
                }
            };
            let entry = self.cache.entry(&self.key).tags(self.tags.iter().cloned());
            let found = if self.renew {
                // A function brings values: None is one as any other.
                entry.refresh_with(load).await.and_then(|found| found.into_value().ok_or(LoadError::Abandoned))
            } else {
                value_with(entry, load).await
            };
            match found {
                // Another's task was cancelled or interrupted, and not this caller: he looks again, and may lead.
                Err(LoadError::Load(failed)) if failed.is_leaders_alone() && !leads.load(Relaxed) => {
                    cancelled += 1;
                    if cancelled > MOST_CANCELLED {
                        return Err(LoadError::Load(Arc::new(failed.of_another())));
                    }
                }
                Err(error) => return Err(error),
                Ok(found) => {
                    // A flight writes before it gives its answer.
                    found.forget_packed();
                    return Ok(found);
                }
            }
        }
    }
}
