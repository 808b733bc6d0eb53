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

/// One load's place in the queue.
struct Place(Mutex<Standing>);

enum Standing {
    Waiting(Option<Waker>),
    Granted,
    /// Has its permit, or left.
    Done,
}

/// The right to run one load, until dropped.
pub(crate) struct Permit(Arc<Permits>);

/// A wait for a permit; give it up by dropping it.
pub(crate) struct Queued {
    permits: Arc<Permits>,
    place: Arc<Place>,
}

/// The queue is full.
pub(crate) struct Full;

impl Permits {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let most = most.max(1);
        let state = State { free: most, queue: VecDeque::new() };
        Arc::new(Permits { state: Mutex::new(state), most_queued: most.saturating_mul(QUEUED_A_PERMIT) })
    }

    /// Stands in line.
    pub(crate) fn queue(self: &Arc<Self>) -> Result<Queued, Full> {
        let mut state = lock(&self.state);
        let standing = if state.free > 0 {
            state.free -= 1;
            Standing::Granted
        } else if state.queue.len() < self.most_queued {
            Standing::Waiting(None)
        } else {
            return Err(Full);
        };
        let place = Arc::new(Place(Mutex::new(standing)));
        if matches!(*lock(&place.0), Standing::Waiting(_)) {
            state.queue.push_back(Arc::clone(&place));
        }
        Ok(Queued { permits: Arc::clone(self), place })
    }

    /// Hands a permit to the first who still wants it.
    fn give_back(&self) {
        let mut state = lock(&self.state);
        while let Some(place) = state.queue.pop_front() {
            let mut standing = lock(&place.0);
            if let Standing::Waiting(waker) = &mut *standing {
                let waker = waker.take();
                *standing = Standing::Granted;
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

impl Queued {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Permit> {
        // Foreign code: cloned before the lock is taken, and the old one dropped after.
        let mut waker = Some(cx.waker().clone());
        let mut standing = lock(&self.place.0);
        if let Standing::Waiting(old) = &mut *standing {
            std::mem::swap(old, &mut waker);
            drop(standing);
            return Poll::Pending;
        }
        *standing = Standing::Done;
        drop(standing);
        Poll::Ready(Permit(Arc::clone(&self.permits)))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let left = std::mem::replace(&mut *lock(&self.place.0), Standing::Done);
        match left {
            Standing::Granted => self.permits.give_back(),
            Standing::Waiting(_) => {
                let mut state = lock(&self.permits.state);
                state.queue.retain(|place| !Arc::ptr_eq(place, &self.place));
            }
            Standing::Done => {}
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(queued: &mut Queued) -> Option<Permit> {
        match queued.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    #[test]
    fn permits_go_round_in_order_and_those_who_leave_are_passed_over() {
        let permits = Permits::new(1);
        let [mut a, b, mut c] = std::array::from_fn(|_| permits.queue().ok().expect("there is room"));
        let held = poll(&mut a).expect("the first is free");
        assert!(poll(&mut c).is_none());
        drop(b);
        drop(held);
        let held = poll(&mut c).expect("b left, so it is c's turn");
        drop((a, c, held));
        assert!(poll(&mut permits.queue().ok().expect("there is room")).is_some());
    }

    #[test]
    fn a_permit_granted_to_one_who_left_is_not_lost() {
        let permits = Permits::new(1);
        let mut a = permits.queue().ok().expect("there is room");
        let held = poll(&mut a);
        let b = permits.queue().ok().expect("there is room");
        drop(held);
        drop(b);
        assert!(poll(&mut permits.queue().ok().expect("there is room")).is_some());
    }

    #[test]
    fn a_full_queue_turns_away() {
        let permits = Permits::new(1);
        let queue: Vec<_> = (0..=QUEUED_A_PERMIT).map(|_| permits.queue().ok().expect("there is room")).collect();
        assert!(permits.queue().is_err());
        drop(queue);
        assert!(permits.queue().is_ok());
    }
}
