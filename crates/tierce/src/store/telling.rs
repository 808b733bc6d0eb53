//! Tells the store what it could not be told, until it has been.
//!
//! One task does so, on the runtime of somebody who asked. As the keeper (`keeper.rs`) he says until when he will be back: one
//! who is not is on a runtime that stands still, and whoever asks the store on another takes over. To tell twice does no harm.

use std::sync::Arc;
use std::time::Duration;

use super::key::purge_tag;
use super::link::Link;
use super::pending::Untold;
use super::together::together;
use crate::clock::to_ms;
use crate::runtime::{self, Runtime};

/// So many keys and so many tags are told at a time.
const TOLD_AT_ONCE: usize = 100;
/// How often it is tried.
const RETRY: Duration = Duration::from_millis(200);

impl Link {
    /// Sees to it that somebody tells the store what it could not be told.
    pub(super) fn retry(self: &Arc<Self>) {
        // Where there is no runtime, whoever asks the store next on one does it.
        let Some(runtime) = runtime::lasting() else { return };
        let Some(number) = self.telling.take(self.clock.now_ms()) else { return };
        let teller = Teller { link: Arc::clone(self), number };
        runtime.spawn(Box::pin(tell(teller, Arc::clone(&runtime))));
    }

    /// Tells some of it, each key and tag for itself: of several servers one may be away, and keeps nothing from the others.
    /// Gives how many were told. The requests share a write.
    async fn tell_some(&self) -> usize {
        let telling = self.pending.tell(TOLD_AT_ONCE);
        let Untold { keys, tags, too_many } = &telling.untold;
        let (all, within) = (purge_tag(self.namespace()), self.patience.change);
        let purges = too_many.then_some(&all).into_iter().chain(tags).map(|tag| self.store.renew(tag, within));
        let ends = keys.iter().map(|key| self.store.invalidate(std::slice::from_ref(key), within));
        let mut are_told = together(purges.chain(ends)).await.into_iter().map(|told| told.is_ok());
        let mut is_told = || are_told.next().unwrap_or_default();
        let too_many = *too_many && is_told();
        if too_many {
            self.versions.forget_all();
        }
        let tags: Vec<_> = tags.iter().filter(|_| is_told()).cloned().collect();
        tags.iter().for_each(|tag| self.versions.forget(tag));
        let keys: Vec<_> = keys.iter().filter(|_| is_told()).cloned().collect();
        let told = Untold { keys, tags, too_many };
        let count = told.keys.len() + told.tags.len() + usize::from(too_many);
        self.pending.told(&told, telling.up_to);
        if count > 0 {
            self.breaker.answered();
        }
        count
    }
}

async fn tell(mut teller: Teller, runtime: Arc<dyn Runtime>) {
    let link = Arc::clone(&teller.link);
    loop {
        while !link.pending.is_empty() {
            if !teller.is_back_after(link.patience.change) {
                return;
            }
            let told = link.tell_some().await;
            if !teller.is_back_after(RETRY) {
                return;
            }
            // What was asked for once is asked for again after a pause, and so is a store that takes nothing.
            if !link.pending.is_empty() && (told == 0 || link.pending.is_round_over()) {
                runtime.sleep(RETRY).await;
            }
        }
        link.telling.leave(teller.number);
        // Whoever came between the last look and now has found somebody who tells.
        if link.pending.is_empty() {
            return;
        }
        let Some(number) = link.telling.take(link.clock.now_ms()) else { return };
        teller.number = number;
    }
}

/// Says that nobody tells any more, whatever becomes of the task.
struct Teller {
    link: Arc<Link>,
    number: u64,
}

impl Teller {
    /// He will be back after that time at most; whether it is still he who tells.
    fn is_back_after(&self, time: Duration) -> bool {
        self.link.telling.back_by(self.number, self.link.clock.now_ms().saturating_add(to_ms(time)))
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.link.telling.leave(self.number);
    }
}
