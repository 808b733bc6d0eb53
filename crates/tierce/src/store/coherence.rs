//! How long what is in this process's memory may be served without asking the store.
//!
//! A store that tells of changes keeps memory *coherent*: while its answers come, nothing that others changed is served for
//! longer than the bound. Whether they come is seen by the reader's own clock: each answer to a beat lets memory be served until the
//! bound after the *sending* of that beat, since all that was changed before has been told by then. A process that was
//! stopped for a while finds that time over when it wakes up.
//!
//! When answers stay away the process is *apart*. What it had may be served for a time of grace from the last answer on; then it is
//! forgotten. What it fills meanwhile ends by itself when it is as old as that, so that it may be served without an
//! answer. A store that never tells leaves its processes apart for ever, and the age of memory is the bound.

use std::time::Duration;

use crate::clock::{NEVER, to_ms};
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a process that is cut off from its store does with what it has in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDisconnect {
    /// It is not served: every lookup loads, and what it loads is not kept. The bound holds.
    Bypass,
    /// It is served for so long, and so is what is loaded meanwhile: the bound is this time.
    ServeFor(Duration),
}

impl OnDisconnect {
    pub(crate) fn grace(self) -> Duration {
        match self {
            OnDisconnect::Bypass => Duration::ZERO,
            OnDisconnect::ServeFor(time) => time,
        }
    }
}

/// What coherence says now, for all who read memory.
pub(crate) struct Coherence {
    /// Until when memory may be served; [`NEVER`] where each entry ends by itself.
    serve_until_ms: AtomicU64,
    /// Whether what is filled now is kept for as long as it is fresh.
    is_coherent: AtomicBool,
}

/// What one keeper knows of the store's answers.
pub(crate) struct Pulse {
    bound_ms: u64,
    grace_ms: u64,
    /// What the last answer said.
    number: Option<u64>,
    /// When the last answered beat was sent.
    sent_ms: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is known yet. What memory has may be from a keeper before.
    New,
    Coherent,
    /// Answers stay away, and what memory has is served for a while.
    Grace,
    Apart,
}

/// The coarse clock may be so far behind: times end so much earlier.
const TICK_MS: u64 = 10;

impl Default for Coherence {
    fn default() -> Self {
        Coherence { serve_until_ms: AtomicU64::new(NEVER), is_coherent: AtomicBool::new(false) }
    }
}

impl Coherence {
    /// Until when memory may be served, by the clock of ages; [`NEVER`] where each entry ends by itself.
    #[inline]
    pub(crate) fn serve_until_ms(&self) -> u64 {
        if mutant::on(Mutant::ServedWithoutBeats) {
            return NEVER;
        }
        self.serve_until_ms.load(Ordering::Acquire)
    }

    /// Whether what is filled now is told of, and may be kept for as long as it is fresh.
    pub(crate) fn is_coherent(&self) -> bool {
        self.is_coherent.load(Ordering::Acquire)
    }

    /// Whether all that memory has ends by itself, since nobody was told of anything yet, or forgot it: nothing is to be
    /// forgotten then, and loads that run may be waited for.
    fn ends_by_itself(&self) -> bool {
        !self.is_coherent() && self.serve_until_ms() == NEVER
    }

    fn serve_until(&self, until_ms: u64) {
        self.serve_until_ms.store(until_ms, Ordering::Release);
    }

    fn fills_last(&self, last: bool) {
        self.is_coherent.store(last, Ordering::Release);
    }
}

impl Pulse {
    pub(crate) fn new(bound: Duration, grace: Duration) -> Self {
        Pulse { bound_ms: to_ms(bound), grace_ms: to_ms(grace), number: None, sent_ms: 0, phase: Phase::New }
    }

    /// A beat that was sent at that time was answered with this number. `forget` ends all that is in memory, and every load.
    pub(crate) fn heard(&mut self, coherence: &Coherence, number: u64, sent_ms: u64, forget: impl FnOnce()) {
        if self.number != Some(number) {
            // Something may not have been told. Only what begins from here on is known to be told of.
            if !mutant::on(Mutant::NotForgottenOnReturn) {
                forget();
            }
            self.number = Some(number);
        }
        self.phase = Phase::Coherent;
        self.sent_ms = sent_ms;
        coherence.fills_last(true);
        coherence.serve_until(after(sent_ms, self.bound_ms.saturating_sub(TICK_MS)));
    }

    /// A beat that was sent at that time has not been answered.
    pub(crate) fn missed(&mut self, coherence: &Coherence, sent_ms: u64, now_ms: u64, forget: impl FnOnce()) {
        if mutant::on(Mutant::BoundFromATicker) && self.phase == Phase::Coherent {
            return coherence.serve_until(after(now_ms, self.bound_ms));
        }
        match self.phase {
            // It is this process that stood still: the next beat shows what of the store.
            Phase::Coherent
                if now_ms.saturating_sub(sent_ms) > self.bound_ms.saturating_mul(2).saturating_add(TICK_MS) => {}
            Phase::Coherent if self.grace_ms > 0 && now_ms < after(self.sent_ms, self.grace_ms) => {
                coherence.fills_last(false);
                coherence.serve_until(after(self.sent_ms, self.grace_ms));
                self.phase = Phase::Grace;
            }
            Phase::Grace if now_ms < after(self.sent_ms, self.grace_ms) => {}
            Phase::New if coherence.ends_by_itself() => self.phase = Phase::Apart,
            Phase::New | Phase::Coherent | Phase::Grace => self.apart(coherence, forget),
            Phase::Apart => {}
        }
    }

    /// The store tells nobody: it cannot, or may not.
    pub(crate) fn deaf(&mut self, coherence: &Coherence, forget: impl FnOnce()) {
        self.number = None;
        match self.phase {
            Phase::New if coherence.ends_by_itself() => self.phase = Phase::Apart,
            Phase::New | Phase::Coherent | Phase::Grace => self.apart(coherence, forget),
            Phase::Apart => {}
        }
    }

    /// In this order: what is filled from now on ends by itself, what was filled before is gone, and then the rest may be served.
    fn apart(&mut self, coherence: &Coherence, forget: impl FnOnce()) {
        coherence.fills_last(false);
        forget();
        coherence.serve_until(NEVER);
        self.phase = Phase::Apart;
    }
}

/// So long after that, and before [`NEVER`], which is said of what ends by itself.
fn after(ms: u64, by_ms: u64) -> u64 {
    ms.saturating_add(by_ms).min(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND_MS: u64 = 150;

    /// A process with so much grace, and how often it forgot all.
    struct Process {
        coherence: Coherence,
        pulse: Pulse,
        forgotten: u32,
    }

    impl Process {
        fn new(grace_ms: u64) -> Self {
            let pulse = Pulse::new(Duration::from_millis(BOUND_MS), Duration::from_millis(grace_ms));
            Process { coherence: Coherence::default(), pulse, forgotten: 0 }
        }

        fn heard(&mut self, number: u64, sent_ms: u64) {
            self.pulse.heard(&self.coherence, number, sent_ms, || self.forgotten += 1);
        }

        fn missed(&mut self, sent_ms: u64, now_ms: u64) {
            self.pulse.missed(&self.coherence, sent_ms, now_ms, || self.forgotten += 1);
        }

        #[track_caller]
        fn is(&self, serve_until_ms: u64, is_coherent: bool, forgotten: u32) {
            let now = (self.coherence.serve_until_ms(), self.coherence.is_coherent(), self.forgotten);
            assert_eq!(now, (serve_until_ms, is_coherent, forgotten));
        }
    }

    #[test]
    fn memory_is_served_for_the_bound_after_the_sending_of_the_last_beat_that_was_answered() {
        let mut process = Process::new(10_000);
        process.is(NEVER, false, 0);
        process.heard(1, 1000);
        process.is(1140, true, 1);
        process.heard(1, 1050);
        process.is(1190, true, 1);
        process.heard(2, 1100);
        process.is(1240, true, 2);
    }

    #[test]
    fn who_is_cut_off_serves_for_its_grace_and_then_only_what_it_filled_since() {
        let mut process = Process::new(10_000);
        process.heard(1, 1000);
        process.missed(1050, 1200);
        process.is(11_000, false, 1);
        process.missed(10_800, 10_950);
        process.is(11_000, false, 1);
        process.missed(10_950, 11_100);
        process.is(NEVER, false, 2);
        process.missed(12_000, 12_150);
        process.is(NEVER, false, 2);
        // Nothing was missed, since it is the same connection.
        process.heard(1, 13_000);
        process.is(13_140, true, 2);
    }

    /// Issue 4.
    #[test]
    fn times_without_end_end_before_never() {
        let coherence = Coherence::default();
        let mut pulse = Pulse::new(Duration::MAX, Duration::MAX);
        pulse.heard(&coherence, 1, 1000, || ());
        assert_eq!((coherence.serve_until_ms(), coherence.is_coherent()), (NEVER - 1, true));
        pulse.missed(&coherence, 1050, 1200, || ());
        assert_eq!((coherence.serve_until_ms(), coherence.is_coherent()), (NEVER - 1, false));
    }

    #[test]
    fn who_has_never_heard_anything_has_nothing_to_forget() {
        let mut process = Process::new(10_000);
        process.missed(1000, 1150);
        process.is(NEVER, false, 0);
        process.pulse.deaf(&process.coherence, || process.forgotten += 1);
        process.is(NEVER, false, 0);
        process.heard(1, 1200);
        process.is(1340, true, 1);
    }

    #[test]
    fn who_bypasses_serves_nothing_of_what_it_had() {
        let mut process = Process::new(0);
        process.heard(1, 1000);
        process.missed(1050, 1200);
        process.is(NEVER, false, 2);
    }

    #[test]
    fn who_stood_still_itself_has_no_grace() {
        let mut process = Process::new(10_000);
        process.heard(1, 1000);
        process.missed(1050, 9000);
        process.is(1140, true, 1);
        process.missed(9050, 9200);
        process.is(11_000, false, 1);
    }

    #[test]
    fn a_new_keeper_gives_nothing_grace_that_an_older_one_left() {
        let (mut old, mut new) = (Process::new(10_000), Process::new(10_000));
        old.heard(1, 950);
        new.coherence = old.coherence;
        new.missed(1000, 1150);
        new.is(NEVER, false, 1);
    }

    #[test]
    fn a_store_that_may_not_tell_leaves_each_entry_to_end_by_itself() {
        let mut process = Process::new(10_000);
        process.heard(1, 1000);
        process.pulse.deaf(&process.coherence, || process.forgotten += 1);
        process.is(NEVER, false, 2);
    }
}
