//! At most so many loads at once: the others queue, in order of arrival, and past a limit are turned away.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, lock};

/// Loads that may queue for each one that may run. Beyond that a queue only turns latency into time-outs.
const QUEUED_A_PERMIT: usize = 64;

pub(crate) struct Permits {
    state: Mutex<State>,
    most_queued: usize,
}

struct State {
    free: usize,
    queue: VecDeque<Arc<Place>>,
}

/// One load's way to a permit, and the permit. Whoever ends the load takes it out, once, be it the load's own task or
/// one who gives it up because its runtime stands still.
pub(crate) struct Place {
    permits: Arc<Permits>,
    standing: Mutex<Standing>,
}

enum Standing {
    Waiting(Option<Waker>),
    Holds,
    /// May run without a permit: one who holds one waits for it.
    Exempt,
    Over,
}

/// The queue is full.
pub(crate) struct Full;

impl Permits {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let most = most.max(1);
        let state = State { free: most, queue: VecDeque::new() };
        Arc::new(Permits { state: Mutex::new(state), most_queued: most.saturating_mul(QUEUED_A_PERMIT) })
    }

    /// Whether who stands in line now has to wait.
    pub(crate) fn are_taken(&self) -> bool {
        lock(&self.state).free == 0
    }

    /// Stands in line.
    pub(crate) fn queue(self: &Arc<Self>) -> Result<Arc<Place>, Full> {
        let place = |standing| Arc::new(Place { permits: Arc::clone(self), standing: Mutex::new(standing) });
        let mut state = lock(&self.state);
        if state.free > 0 {
            state.free -= 1;
            return Ok(place(Standing::Holds));
        }
        if state.queue.len() >= self.most_queued {
            return Err(Full);
        }
        let last = place(Standing::Waiting(None));
        state.queue.push_back(Arc::clone(&last));
        Ok(last)
    }

    /// Hands a permit to the first who still wants it.
    fn give_back(&self) {
        let mut state = lock(&self.state);
        while let Some(place) = state.queue.pop_front() {
            let mut standing = lock(&place.standing);
            if let Standing::Waiting(waker) = &mut *standing {
                let waker = waker.take();
                *standing = Standing::Holds;
                drop(standing);
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
                return;
            }
        }
        state.free += 1;
    }
}

/// What a load in line waits for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It may run.
    Come,
    /// It has been given up.
    Over,
}

impl Place {
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Turn> {
        // Foreign code: cloned before the lock is taken, and the old one dropped after.
        let mut waker = Some(cx.waker().clone());
        let mut standing = lock(&self.standing);
        match &mut *standing {
            Standing::Waiting(old) => {
                std::mem::swap(old, &mut waker);
                drop(standing);
                Poll::Pending
            }
            Standing::Over => Poll::Ready(Turn::Over),
            Standing::Holds | Standing::Exempt => Poll::Ready(Turn::Come),
        }
    }

    /// Whether the load stands in line.
    pub(crate) fn waits(&self) -> bool {
        matches!(*lock(&self.standing), Standing::Waiting(_))
    }

    /// Lets a load that stands in line run without a permit.
    pub(crate) fn exempt(&self) {
        let mut standing = lock(&self.standing);
        let Standing::Waiting(waker) = &mut *standing else { return };
        let waker = waker.take();
        *standing = Standing::Exempt;
        drop(standing);
        self.leave_queue();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends it, wherever it stands: a permit goes to the next. The first time counts.
    pub(crate) fn leave(&self) {
        let left = std::mem::replace(&mut *lock(&self.standing), Standing::Over);
        match left {
            Standing::Holds => self.permits.give_back(),
            Standing::Waiting(_) => self.leave_queue(),
            Standing::Exempt | Standing::Over => {}
        }
    }

    fn leave_queue(&self) {
        let mut state = lock(&self.permits.state);
        state.queue.retain(|place| !std::ptr::eq(&raw const **place, self));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_run(place: &Place) -> bool {
        place.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn queue(permits: &Arc<Permits>) -> Arc<Place> {
        permits.queue().ok().expect("there is room")
    }

    #[test]
    fn permits_go_round_in_order_and_those_who_leave_are_passed_over() {
        let permits = Permits::new(1);
        let [a, b, c] = std::array::from_fn(|_| queue(&permits));
        assert!(may_run(&a) && !may_run(&c));
        b.leave();
        a.leave();
        assert!(may_run(&c), "b left, so it is c's turn");
        c.leave();
        assert!(may_run(&queue(&permits)));
    }

    #[test]
    fn a_permit_granted_to_one_who_left_is_not_lost() {
        let permits = Permits::new(1);
        let (a, b) = (queue(&permits), queue(&permits));
        a.leave();
        b.leave();
        assert!(may_run(&queue(&permits)));
    }

    #[test]
    fn a_permit_is_given_back_once_however_often_its_load_ends() {
        let permits = Permits::new(1);
        let [a, b, c] = std::array::from_fn(|_| queue(&permits));
        a.leave();
        a.leave();
        assert!(may_run(&b) && !may_run(&c));
    }

    #[test]
    fn who_is_exempt_runs_at_once_and_gives_nothing_back() {
        let permits = Permits::new(1);
        let [a, b, c] = std::array::from_fn(|_| queue(&permits));
        b.exempt();
        assert!(may_run(&b) && !may_run(&c));
        b.leave();
        assert!(!may_run(&c));
        a.leave();
        assert!(may_run(&c));
    }

    #[test]
    fn a_full_queue_turns_away() {
        let permits = Permits::new(1);
        let all: Vec<_> = (0..=QUEUED_A_PERMIT).map(|_| queue(&permits)).collect();
        assert!(permits.queue().is_err());
        all.iter().for_each(|place| place.leave());
        assert!(permits.queue().is_ok());
    }
}
