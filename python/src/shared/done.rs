//! Whether a task of asyncio's is done, as a future of the engine's asks for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use super::event_loop::Loop;
use super::hook::hook;
use super::lock::locked;
use crate::owned::{Owned, Result, ask};

#[derive(Default)]
pub(crate) struct Done {
    rang: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Done {
    /// Is told by this task, whose loop that is.
    pub(crate) unsafe fn watch(self: &Arc<Done>, home: &Arc<Loop>, task: &Owned) -> Result<()> {
        let (home, done) = (Arc::downgrade(home), Arc::clone(self));
        let rings = hook(move || {
            done.rang.store(true, Ordering::Release);
            let waker = locked(&done.waker).take();
            match (home.upgrade(), waker) {
                // SAFETY: a loop calls with the interpreter's lock held.
                (Some(home), Some(waker)) => unsafe { home.called(|| waker.wake()) },
                _ => Ok(()),
            }
        })?;
        ask(c"add_done_callback", &[task.as_ptr(), rings.as_ptr()]).map(drop)
    }

    /// Whether it is; if not, who polls is woken when it is.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> bool {
        let older = locked(&self.waker).replace(cx.waker().clone());
        drop(older);
        self.rang.load(Ordering::Acquire)
    }

    /// Nobody asks any more.
    pub(crate) fn leave(&self) {
        let waker = locked(&self.waker).take();
        drop(waker);
    }
}
