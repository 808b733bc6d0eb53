//! The line of requests on one connection, without any input or output.
//!
//! Requests go in as bytes and a number of answers that they will get; bytes come out to be written, bytes that were read go
//! in, and answers are given out in the order of the requests. A caller may leave at any time: his place in the line
//! stays, and what comes for it is dropped, so that nobody gets another's answer. What was written when a connection
//! broke has failed, since nobody knows whether it was done; what was not written waits for the next connection, as
//! long as its caller does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Poll, Waker};

use super::limits::Limits;
use super::protocol::{Garbled, Protocol, Received};
use super::slots::{Answers, Slots};
use crate::store::fault::Fault;

/// A request that waits to be written.
struct Queued {
    slot: u32,
    length: usize,
    /// Whether it is for this connection alone, and not for the next.
    is_bound: bool,
}

/// Which part of a connection's life it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// There is no connection.
    Down,
    /// The greeting is on its way, and this many of its answers are missing.
    Greeting(usize),
    /// Requests may be written.
    Up,
}

/// What became of the bytes that were read.
pub(crate) struct Fed<F> {
    /// Whom to wake, once no lock is held.
    pub(crate) wakers: Vec<Waker>,
    /// What the server said unasked, in its order.
    pub(crate) pushes: Vec<F>,
    /// Answers of the greeting.
    pub(crate) greeted: Vec<F>,
}

/// The line.
pub(crate) struct Line<P: Protocol> {
    protocol: P,
    limits: Limits,
    phase: Phase,
    slots: Slots<P::Frame>,
    queued: VecDeque<Queued>,
    /// The bytes of what is queued, in its order.
    output: Vec<u8>,
    greeting: Vec<u8>,
    /// The slots of what was written and is not answered.
    written: VecDeque<u32>,
    /// What was read and is no whole answer yet, from `start`.
    input: Vec<u8>,
    start: usize,
    /// The earliest time at which somebody's patience may be over, in milliseconds.
    earliest: u64,
    closed: Option<Fault>,
    /// Which connection of the process's this is.
    number: u64,
}

impl<P: Protocol> Line<P> {
    pub(crate) fn new(protocol: P, limits: Limits) -> Self {
        Line {
            protocol,
            limits,
            phase: Phase::Down,
            slots: Slots::new(),
            queued: VecDeque::new(),
            output: Vec::new(),
            greeting: Vec::new(),
            written: VecDeque::new(),
            input: Vec::new(),
            start: 0,
            earliest: u64::MAX,
            closed: None,
            number: 0,
        }
    }

    /// A request of so many answers, which are waited for until then; for one connection alone, if it says which. Gives its
    /// slot.
    pub(crate) fn ask(
        &mut self,
        (answers, on): (u32, Option<u64>),
        until_ms: u64,
        waker: Waker,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u32, Fault> {
        if let Some(fault) = &self.closed {
            return Err(fault.clone());
        }
        if on.is_some() && on != self.number() {
            return Err(down(GONE));
        }
        if self.slots.len() >= self.limits.requests || self.output.len() >= self.limits.queued_bytes {
            return Err(Fault::Full);
        }
        let before = self.output.len();
        encode(&mut self.output);
        let length = self.output.len() - before;
        if length > self.limits.request_bytes {
            self.output.truncate(before);
            return Err(Fault::TooLarge);
        }
        let slot = self.slots.take(answers, until_ms, waker);
        self.queued.push_back(Queued { slot, length, is_bound: on.is_some() });
        self.earliest = self.earliest.min(until_ms);
        Ok(slot)
    }

    /// The answers to a request, if they are here; its slot is free then.
    pub(crate) fn poll(&mut self, slot: u32) -> Poll<Result<Answers<P::Frame>, Fault>> {
        self.slots.poll(slot)
    }

    /// Whether a caller waits who is to be woken by another waker than this.
    pub(crate) fn has_moved(&self, slot: u32, waker: &Waker) -> bool {
        self.slots.has_moved(slot, waker)
    }

    /// Whom to wake from now on; gives the old one, to be dropped without a lock.
    pub(crate) fn move_to(&mut self, slot: u32, waker: Waker) -> Waker {
        self.slots.move_to(slot, waker)
    }

    /// The caller waits no more. What had come for him is given out, to be dropped without a lock.
    pub(crate) fn leave(&mut self, slot: u32) -> Option<impl Sized + use<P>> {
        self.slots.leave(slot)
    }

    /// A connection is there: these bytes go first, and get so many answers.
    pub(crate) fn begin(&mut self, greeting: Vec<u8>, answers: usize) {
        self.protocol.begin();
        self.input.clear();
        self.start = 0;
        self.greeting = greeting;
        self.number = CONNECTIONS.fetch_add(1, Relaxed);
        self.phase = if answers == 0 { Phase::Up } else { Phase::Greeting(answers) };
    }

    /// Whether requests may be written.
    pub(crate) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// The number of the connection, if requests may be written.
    pub(crate) fn number(&self) -> Option<u64> {
        self.is_up().then_some(self.number)
    }

    /// Whether something is to be written.
    pub(crate) fn has_output(&self) -> bool {
        !self.greeting.is_empty() || self.is_up() && !self.queued.is_empty()
    }

    /// Whether something was written that is not answered.
    pub(crate) fn is_busy(&self) -> bool {
        !self.written.is_empty()
    }

    /// Whether nobody waits any more for the next answer that is to come.
    pub(crate) fn is_given_up(&self) -> bool {
        self.written.front().is_some_and(|slot| !self.slots.is_awaited(*slot))
    }

    /// Whether something waits to be written.
    pub(crate) fn has_queue(&self) -> bool {
        !self.queued.is_empty()
    }

    /// The bytes to be written now, into an empty buffer: what nobody waits for any more is left out.
    pub(crate) fn output(&mut self, into: &mut Vec<u8>) {
        if !self.greeting.is_empty() {
            std::mem::swap(into, &mut self.greeting);
            return;
        }
        if !self.is_up() {
            return;
        }
        let all_wait = self.slots.left_in_queue() == 0;
        if all_wait {
            std::mem::swap(into, &mut self.output);
            self.written.extend(self.queued.drain(..).map(|queued| queued.slot));
            return;
        }
        let mut at = 0;
        for Queued { slot, length, .. } in self.queued.drain(..) {
            if self.slots.is_awaited(slot) {
                into.extend_from_slice(&self.output[at..at + length]);
                self.written.push_back(slot);
            } else {
                self.slots.unline(slot);
            }
            at += length;
        }
        self.slots.none_left_in_queue();
        self.output.clear();
    }

    /// Takes bytes that were read.
    ///
    /// # Errors
    /// When they are no answers; the connection is to be closed then.
    pub(crate) fn feed(&mut self, bytes: &[u8], fed: &mut Fed<P::Frame>) -> Result<(), Garbled> {
        // Most reads end where an answer ends: those are looked at where they lie.
        if self.start == self.input.len() {
            self.input.clear();
            self.start = 0;
            let taken = self.take_all(bytes, fed)?;
            self.input.extend_from_slice(&bytes[taken..]);
        } else {
            self.input.extend_from_slice(bytes);
            let input = std::mem::take(&mut self.input);
            let taken = self.take_all(&input[self.start..], fed);
            self.input = input;
            self.start += taken?;
            if self.start > self.input.len() / 2 {
                self.input.drain(..self.start);
                self.start = 0;
            }
        }
        if self.input.len() - self.start > self.limits.answer_bytes {
            return Err(Garbled("an answer is larger than the limit"));
        }
        Ok(())
    }

    fn take_all(&mut self, bytes: &[u8], fed: &mut Fed<P::Frame>) -> Result<usize, Garbled> {
        let mut at = 0;
        while at < bytes.len() {
            let Some((received, length)) = self.protocol.take(&bytes[at..])? else { break };
            at += length;
            match received {
                Received::Push(frame) => fed.pushes.push(frame),
                Received::Answer(frame) => self.answer(frame, fed)?,
            }
        }
        Ok(at)
    }

    fn answer(&mut self, frame: P::Frame, fed: &mut Fed<P::Frame>) -> Result<(), Garbled> {
        if let Phase::Greeting(missing) = self.phase {
            fed.greeted.push(frame);
            self.phase = if missing == 1 { Phase::Up } else { Phase::Greeting(missing - 1) };
            return Ok(());
        }
        let slot = *self.written.front().ok_or(Garbled("an answer that nobody asked for"))?;
        if self.slots.answer(slot, frame, &mut fed.wakers) {
            self.written.pop_front();
        }
        Ok(())
    }

    /// The connection is gone: what was written has failed.
    pub(crate) fn lost(&mut self, fault: &Fault, wakers: &mut Vec<Waker>) {
        self.phase = Phase::Down;
        self.greeting.clear();
        self.input.clear();
        self.start = 0;
        // It says of nobody that he did not ask.
        let fault = if matches!(fault, Fault::Down(_)) { &Fault::Lost } else { fault };
        for slot in self.written.drain(..) {
            self.slots.fail(slot, fault, wakers);
            self.slots.unline(slot);
        }
        if self.queued.iter().any(|queued| queued.is_bound) {
            self.fail_bound(wakers);
        }
    }

    /// What was for the connection that is gone is not for the next.
    fn fail_bound(&mut self, wakers: &mut Vec<Waker>) {
        let (queued, output) = (std::mem::take(&mut self.queued), std::mem::take(&mut self.output));
        let mut at = 0;
        for queued in queued {
            let end = at + queued.length;
            if queued.is_bound {
                self.slots.fail(queued.slot, &down(GONE), wakers);
                self.slots.unline(queued.slot);
            } else {
                self.output.extend_from_slice(&output[at..end]);
                self.queued.push_back(queued);
            }
            at = end;
        }
    }

    /// No connection is to be had for now: what waits for one has failed too.
    pub(crate) fn refuse(&mut self, fault: &Fault, wakers: &mut Vec<Waker>) {
        self.lost(fault, wakers);
        for Queued { slot, .. } in self.queued.drain(..) {
            self.slots.fail(slot, fault, wakers);
            self.slots.unline(slot);
        }
        self.slots.none_left_in_queue();
        self.output.clear();
    }

    /// Nothing is asked any more.
    pub(crate) fn close(&mut self, fault: Fault, wakers: &mut Vec<Waker>) {
        self.refuse(&fault, wakers);
        self.closed.get_or_insert(fault);
    }

    /// When the next patience may end; `u64::MAX` where nobody waits.
    pub(crate) fn earliest_ms(&self) -> u64 {
        self.earliest
    }

    /// Tells those whose time is over.
    pub(crate) fn expire(&mut self, now_ms: u64, wakers: &mut Vec<Waker>) {
        if now_ms < self.earliest {
            return;
        }
        self.earliest = self.slots.expire(now_ms, wakers);
    }
}

impl<F> Default for Fed<F> {
    fn default() -> Self {
        Fed { wakers: Vec::new(), pushes: Vec::new(), greeted: Vec::new() }
    }
}

/// Why what was for one connection is not asked on another.
const GONE: &str = "the connection that it was for is gone";

/// How many connections there were in the process: each has a number of its own.
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// What is said of a server that cannot be reached.
pub(crate) fn down(why: impl std::fmt::Display) -> Fault {
    Fault::Down(Arc::from(why.to_string()))
}

#[cfg(test)]
mod tests;
