//! A load: the function is called, as a task of asyncio's or on its caller's own stack, and what it gave is made a value of the cache.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tierce::Loaded;

use super::attached::attach;
use super::blocking::Running;
use super::failed::Failed;
use super::held::Held;
use super::loader::Loading;
use super::plan::Plan;
use crate::owned::{Raised, Result};
use crate::raised;

/// The call of a plan's function.
pub(crate) enum Call {
    Task(Loading),
    Plain(Running),
}

impl Call {
    pub(crate) fn of(plan: Arc<Plan>) -> Call {
        if plan.is_async { Call::Task(Loading::new(plan)) } else { Call::Plain(Running::new(plan)) }
    }
}

impl Future for Call {
    type Output = std::result::Result<Held, Failed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Call::Task(loading) => Pin::new(loading).poll(cx),
            Call::Plain(running) => Pin::new(running).poll(cx),
        }
    }
}

/// One value.
pub(crate) fn load(plan: Arc<Plan>) -> impl Future<Output = std::result::Result<Loaded<Held>, Failed>> {
    // Made now: it notes whose load it is.
    let call = Call::of(Arc::clone(&plan));
    async move {
        let value = call.await?;
        // SAFETY: `finished` holds the interpreter's lock.
        finished(&plan, || unsafe { plan.loaded(value.share()) })
    }
}

/// What is made of what the function gave, in the load's own turn: what goes wrong with it is the load's error.
pub(crate) fn finished<T>(plan: &Plan, make: impl FnOnce() -> Result<T>) -> std::result::Result<T, Failed> {
    let of = plan.home.upgrade().map(|home| home.object.clone());
    let made = attach(|| {
        // SAFETY: the interpreter's lock is held, and an exception that was set before is kept.
        unsafe {
            let before = raised::raised();
            let made = make().map_err(|Raised| raised::raised().map(|error| Failed::by(Held::new(error), of.clone())));
            raised::restore(before);
            made
        }
    });
    match made {
        Some(Ok(made)) => Ok(made),
        Some(Err(Some(failed))) => Err(failed),
        Some(Err(None)) | None => Err(Failed::cancelled(of)),
    }
}
