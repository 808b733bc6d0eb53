//! A task that a thread without the interpreter ends: for tests of what happens there to wakes and to what is held.
//!
//! Nothing else of the package has such threads yet; connections for callers without a loop will.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tierce::runtime::BoxFuture;

use super::answer::Answer;
use super::held::Held;

/// Gives the value once a thread has woken this; the thread is the last to let a reference to the value go.
pub(crate) fn work(value: Held, extra: Held, answer: Arc<Answer>) -> BoxFuture {
    let mut thread = Some(extra);
    let woke = Arc::new(AtomicBool::new(false));
    Box::pin(async move {
        let end = std::future::poll_fn(|cx| {
            if let Some(extra) = thread.take() {
                let (waker, woke) = (cx.waker().clone(), Arc::clone(&woke));
                std::thread::spawn(move || {
                    woke.store(true, Ordering::Release);
                    waker.wake();
                    drop(extra);
                });
            }
            if woke.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        });
        end.await;
        // SAFETY: a loop polls its tasks inside an entry, with the interpreter's lock held.
        unsafe { answer.give(Ok(value)) };
    })
}
