//! The task that keeps a process's memory coherent with its store: it beats, and is told.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::budget::Budget;
use super::coherence::Pulse;
use super::face::Tag;
use super::fault::Fault;
use super::key::purge_tag;
use super::link::Link;
use crate::clock::to_ms;
use crate::mutant::{self, Mutant};
use crate::runtime::{self, Runtime};

/// A pause between two beats: three are sent within the bound that is usual.
const PAUSE: Duration = Duration::from_millis(50);
/// A beat is waited for no longer, whatever the bound: who waits without end is never found late.
const LONGEST: Duration = Duration::from_secs(10);
/// A pause where the store may not tell, until it is asked whether it may by now.
const DEAF_PAUSE: Duration = Duration::from_secs(5);
/// How often tags are asked for that this process knows, less up to a quarter by chance: a server that makes room by throwing
/// away what was not asked for lately would otherwise take them first, since they are read from memory.
const TOUCH: Duration = Duration::from_secs(30);
/// A tag that no lookup needed for so long is left to the server.
const LIVES: Duration = Duration::from_secs(3600);
/// So many tags are asked for at once, and then there is a beat: of 100,000, as many as are held, all within `TOUCH`.
const TOUCHED_AT_ONCE: usize = 256;

impl Link {
    /// Sees to it that somebody beats, where the store tells of changes.
    pub(super) fn keep(self: &Arc<Self>) {
        if !self.tells {
            return;
        }
        let Some(runtime) = runtime::lasting() else { return };
        let Some(number) = self.keeping.take(self.clock.now_ms()) else { return };
        let keeper = Keeper { link: Arc::downgrade(self), number };
        let pulse = Pulse::new(self.patience.coherence, self.patience.on_disconnect.grace());
        runtime.spawn(Box::pin(beat(keeper, pulse, Arc::clone(&runtime))));
    }

    /// Waits until the store has answered once whether it tells.
    ///
    /// # Errors
    /// It did not answer.
    pub(crate) async fn arrive(self: &Arc<Self>) -> Result<(), Fault> {
        if !self.tells {
            let (tag, mut budget) = (purge_tag(self.namespace()), self.budget());
            let any = self.versions(std::slice::from_ref(&tag), &mut budget).await;
            return any.map(drop).ok_or_else(|| self.last_fault());
        }
        match self.store.beat(self.patience.change).await {
            Ok(_) | Err(Fault::Refused(_)) => {}
            Err(fault) => return Err(fault),
        }
        self.keep();
        Ok(())
    }

    /// Gives the pause after it; none to a keeper who was replaced, and has nothing to say any more.
    async fn one_beat(self: &Arc<Self>, keeper: u64, pulse: &mut Pulse) -> Option<Duration> {
        let (sent_ms, sent) = (self.clock.now_ms(), self.clock.precise());
        let within = self.patience.coherence.min(LONGEST);
        if !self.keeping.back_by(keeper, sent_ms.saturating_add(to_ms(within))) {
            return None;
        }
        let answer = self.store.beat(within).await;
        if !self.keeping.back_by(keeper, self.clock.now_ms()) {
            return None;
        }
        let forget = || self.forget_all();
        let pause = match answer {
            Ok(number) => {
                let late = mutant::on(Mutant::BoundFromTheAnswer);
                let sent_ms = if late { self.clock.now_ms() } else { sent_ms };
                self.answered(sent);
                pulse.heard(&self.coherence, number, sent_ms, forget);
                PAUSE
            }
            Err(fault @ Fault::Refused(_)) => {
                self.note(fault, true);
                pulse.deaf(&self.coherence, forget);
                DEAF_PAUSE
            }
            Err(fault) => {
                self.note(fault, true);
                pulse.missed(&self.coherence, sent_ms, self.clock.now_ms(), forget);
                PAUSE
            }
        };
        self.keeping.back_by(keeper, self.clock.now_ms() + to_ms(pause)).then_some(pause)
    }

    /// Asks for tags, so that the server keeps them, within a pause; whether it answered.
    async fn touch(self: &Arc<Self>, tags: &[Tag]) -> bool {
        let mut budget = Budget::of(self.patience.lookup.min(PAUSE));
        self.versions(tags, &mut budget).await.is_some()
    }

    /// When tags are asked for next.
    fn next_touch(&self) -> Duration {
        self.clock.precise() + TOUCH.mul_f64(1.0 - self.random.unit() / 4.0)
    }
}

async fn beat(keeper: Keeper, mut pulse: Pulse, runtime: Arc<dyn Runtime>) {
    let mut touch = keeper.link.upgrade().map(|link| link.next_touch()).unwrap_or_default();
    let mut tags = Vec::new();
    // It keeps no hub alive: the pause is where it is found gone.
    while let Some(link) = keeper.link.upgrade() {
        let Some(pause) = link.one_beat(keeper.number, &mut pulse).await else { return };
        let now = link.clock.precise();
        if tags.is_empty() && now >= touch {
            tags = link.versions.live(now.saturating_sub(LIVES));
            touch = link.next_touch();
        }
        let pause = runtime.sleep(pause);
        // In the pause, and no more of them than fit into it: a beat that is late is memory that is not served.
        let touched = tags.split_off(tags.len().saturating_sub(TOUCHED_AT_ONCE));
        if !touched.is_empty() && !link.touch(&touched).await {
            tags.clear();
        }
        drop(link);
        pause.await;
    }
}

/// Says that nobody beats any more, whatever becomes of the task: memory is served no longer than the last answer allows, and
/// whoever asks the store next beats on his own runtime.
struct Keeper {
    link: Weak<Link>,
    number: u64,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(link) = self.link.upgrade() {
            link.keeping.leave(self.number);
        }
    }
}
