//! The first answer of a hub's store in this process: the first lookups wait for it, a second at most, as Rust's
//! `Hub::connect` does.
//!
//! Without that a process that has just begun, and is busy with that, would find that its store is late and load what others have.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use tierce::__python::{arrive, sleep};
use tierce::Hub;

use super::lock::locked;

/// As long as who asks waits at most (`Hub::connect`), and a little for him to say so.
const LONGEST: Duration = Duration::from_millis(1500);

pub(crate) struct Arrival {
    hub: Hub,
    is_over: AtomicBool,
    /// Who waits; none where nobody asks.
    waiting: Mutex<Option<Vec<Waker>>>,
}

impl Arrival {
    pub(crate) fn of(hub: Hub) -> Arc<Arrival> {
        Arc::new(Arrival { hub, is_over: AtomicBool::new(false), waiting: Mutex::new(None) })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Waits until the store has answered, or was waited for in vain: one asks for all.
    pub(crate) async fn wait(&self) {
        while !self.is_over() {
            if self.begins() {
                let asks = Asks(self);
                arrive(&self.hub).await;
                self.is_over.store(true, Ordering::Release);
                drop(asks);
            } else {
                self.somebody_else().await;
            }
        }
    }

    /// Whether nobody asks yet: whoever is told so does.
    fn begins(&self) -> bool {
        let mut waiting = locked(&self.waiting);
        let begins = waiting.is_none();
        waiting.get_or_insert_default();
        begins
    }

    /// Waits until whoever asks has been answered, or has left; or is late himself, on a loop that stands still, or in the parent
    /// of this process.
    async fn somebody_else(&self) {
        let (mut has_waited, mut time) = (false, sleep(LONGEST));
        std::future::poll_fn(|cx| {
            if time.as_mut().poll(cx).is_ready() {
                self.is_over.store(true, Ordering::Release);
                return Poll::Ready(());
            }
            let mut waiting = locked(&self.waiting);
            match &mut *waiting {
                Some(all) if !has_waited => {
                    has_waited = true;
                    all.push(cx.waker().clone());
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
        .await;
    }
}

/// Who asks. If he leaves, one of those who wait asks.
struct Asks<'a>(&'a Arrival);

impl Drop for Asks<'_> {
    fn drop(&mut self) {
        let waiting = locked(&self.0.waiting).take();
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}
