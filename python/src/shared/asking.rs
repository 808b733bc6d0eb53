//! One lookup, as a task of its caller's loop: the engine's future, again where another's load was cancelled, and its end.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use tierce::__python::Inside;
use tierce::runtime::BoxFuture;
use tierce::{Cache, Load, LoadError, Loaded};

use super::answer::Answer;
use super::arrival::Arrival;
use super::blocking::Running;
use super::failed::Failed;
use super::held::Held;
use super::key::PyKey;
use super::loader::Loading;
use super::plan::Plan;
use super::told::Why;

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
    /// What it waits for first.
    pub(crate) arrival: Option<Arc<Arrival>>,
}

/// A load: a task of asyncio's, or a plain function.
enum Loader {
    Task(Loading),
    Plain(Running),
}

impl Loader {
    fn of(plan: Arc<Plan>) -> Loader {
        if plan.is_async { Loader::Task(Loading::new(plan)) } else { Loader::Plain(Running::new(plan)) }
    }
}

impl Future for Loader {
    type Output = Result<Loaded<Held>, Failed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Loader::Task(loading) => Pin::new(loading).poll(cx),
            Loader::Plain(running) => Pin::new(running).poll(cx),
        }
    }
}

impl Asking {
    /// The task, which gives the answer to whoever waits for it.
    pub(crate) fn work(self, answer: Arc<Answer>) -> BoxFuture {
        Box::pin(async move {
            let around = self.around.clone();
            let mut find = pin!(self.find());
            let found = std::future::poll_fn(|cx| match &around {
                Some(around) => around.polled(|| find.as_mut().poll(cx)),
                None => find.as_mut().poll(cx),
            });
            let found = found.await;
            // SAFETY: a loop polls its tasks inside an entry, with the interpreter's lock held.
            unsafe { answer.give(found.map_err(Why::Load)) };
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
                    Loader::of(plan)
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
