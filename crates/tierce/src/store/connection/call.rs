//! What callers hold: a connection, and a request that is under way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::driver::{Dial, Driver, Greeting};
use super::limits::Limits;
use super::line::Line;
use super::protocol::Protocol;
use super::shared::{Shared, State};
use super::slots::Answers;
use crate::clock::{Clock, to_ms};
use crate::runtime::Runtime;
use crate::store::fault::Fault;
use crate::sync::atomic::{AtomicBool, Ordering::Acquire};
use crate::sync::{Mutex, lock};

/// A connection to one server. Its clones are the same one; it closes when the last is dropped.
pub(crate) struct Connection<P: Protocol> {
    held: Arc<Held<P>>,
}

impl<P: Protocol> Clone for Connection<P> {
    fn clone(&self) -> Self {
        Connection { held: Arc::clone(&self.held) }
    }
}

/// Closes what it holds when nobody does.
struct Held<P: Protocol>(Arc<Shared<P>>);

impl<P: Protocol> Drop for Held<P> {
    fn drop(&mut self) {
        let asleep = {
            let mut state = lock(&self.0.state);
            state.unheld = true;
            state.asleep.take()
        };
        if let Some(waker) = asleep {
            waker.wake();
        }
    }
}

impl<P: Protocol> Connection<P> {
    /// A connection that is opened on this runtime, and again whenever it breaks.
    pub(crate) fn open(
        protocol: P,
        greeting: Greeting<P>,
        dial: Dial,
        (runtime, clock): (&Arc<dyn Runtime>, Clock),
        limits: Limits,
    ) -> Self {
        let state = State { line: Line::new(protocol, limits), asleep: None, unheld: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), closed: AtomicBool::new(false), clock, limits });
        let driver = Driver::new(Arc::clone(&shared), greeting, dial, Arc::clone(runtime));
        runtime.spawn(Box::pin(driver));
        Connection { held: Arc::new(Held(shared)) }
    }

    /// Whether its runtime has stopped: it is never opened again.
    pub(crate) fn is_closed(&self) -> bool {
        self.held.0.closed.load(Acquire)
    }

    /// Asks for so many answers, and waits for them no longer than this. The bytes are written when it is first polled.
    pub(crate) fn call<E>(&self, answers: u32, patience: Duration, encode: E) -> Call<'_, P, E>
    where
        E: FnOnce(&mut Vec<u8>) + Unpin,
    {
        let until_ms = self.held.0.clock.now_ms().saturating_add(to_ms(patience));
        self.call_on(None, answers, until_ms, encode)
    }

    /// The same until then, on the connection of this number alone: where it is gone nobody is asked, and that is
    /// [`Fault::Down`].
    pub(crate) fn call_on<E>(&self, on: Option<u64>, answers: u32, until_ms: u64, encode: E) -> Call<'_, P, E>
    where
        E: FnOnce(&mut Vec<u8>) + Unpin,
    {
        Call { shared: &self.held.0, answers, on, until_ms, step: Step::New(encode) }
    }

    /// The number of the connection that there is now; none where there is none.
    pub(crate) fn number(&self) -> Option<u64> {
        lock(&self.held.0.state).line.number()
    }
}

enum Step<E> {
    New(E),
    Asked(u32),
    Over,
}

/// A request under way. Dropping it gives nobody else its answer.
pub(crate) struct Call<'a, P: Protocol, E> {
    shared: &'a Arc<Shared<P>>,
    answers: u32,
    on: Option<u64>,
    until_ms: u64,
    step: Step<E>,
}

impl<P: Protocol, E: FnOnce(&mut Vec<u8>) + Unpin> Future for Call<'_, P, E> {
    type Output = Result<Answers<P::Frame>, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let encode = match std::mem::replace(&mut this.step, Step::Over) {
            Step::Asked(slot) => {
                let (polled, has_moved) = {
                    let mut state = lock(&this.shared.state);
                    (state.line.poll(slot), state.line.has_moved(slot, cx.waker()))
                };
                if polled.is_pending() {
                    this.step = Step::Asked(slot);
                }
                if has_moved {
                    // An answer that came in between has woken the old one; it is looked for again.
                    let waker = cx.waker().clone();
                    let old = lock(&this.shared.state).line.move_to(slot, waker);
                    drop(old);
                    cx.waker().wake_by_ref();
                }
                return polled;
            }
            Step::Over => panic!("a request was polled after its end"),
            Step::New(encode) => encode,
        };
        let waker = cx.waker().clone();
        let (asked, asleep) = {
            let mut state = lock(&this.shared.state);
            let asked = state.line.ask((this.answers, this.on), this.until_ms, waker, encode);
            (asked, state.asleep.take())
        };
        if let Some(waker) = asleep {
            waker.wake();
        }
        match asked {
            Ok(slot) => this.step = Step::Asked(slot),
            Err(fault) => return Poll::Ready(Err(fault)),
        }
        Poll::Pending
    }
}

impl<P: Protocol, E> Drop for Call<'_, P, E> {
    fn drop(&mut self) {
        if let Step::Asked(slot) = self.step {
            let left = lock(&self.shared.state).line.leave(slot);
            drop(left);
        }
    }
}
