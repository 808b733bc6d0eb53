//! The task of a connection: opens it, writes, reads, opens it again.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::line::{Fed, down};
use super::protocol::Protocol;
use super::shared::{Shared, State};
use crate::clock::to_ms;
use crate::random::Random;
use crate::runtime::{BoxFuture, Dialing, Runtime, Wire};
use crate::store::fault::Fault;
use crate::sync::atomic::Ordering::Release;
use crate::sync::{MutexGuard, lock};

/// Opens a stream to the server.
pub(crate) type Dial = Box<dyn Fn(&Arc<dyn Runtime>) -> Dialing + Send>;

/// What is said first on each connection, and what of the answers is wrong.
pub(crate) struct Greeting<P: Protocol> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) answers: usize,
    /// Looks at the n-th answer.
    pub(crate) check: fn(usize, &P::Frame) -> Result<(), Arc<str>>,
    /// What is said where the server closes before it has answered, or answers as one with TLS does.
    pub(crate) closed: String,
    /// Is told what the server says unasked.
    pub(crate) pushed: Box<dyn FnMut(P::Frame) + Send>,
}

/// As much is read at once.
const READ_BYTES: usize = 64 << 10;
/// After so many rounds of reading and writing other tasks have their turn.
const ROUNDS: usize = 16;
/// How an alert of TLS begins, which is what a server with TLS may answer to one who has none (RFC 8446, section 5.1).
const TLS_ALERT: [u8; 2] = [21, 3];
/// A buffer that an unusual request made larger than this is given back.
const KEPT_BYTES: usize = 1 << 20;

enum Phase {
    /// Waits before it tries again.
    Pausing(BoxFuture),
    Dialing {
        dialing: Dialing,
        alarm: BoxFuture,
    },
    /// `alarm` until the greeting is over.
    Open {
        wire: Box<dyn Wire>,
        alarm: Option<BoxFuture>,
        greeted: usize,
    },
}

/// The task.
pub(crate) struct Driver<P: Protocol> {
    shared: Arc<Shared<P>>,
    greeting: Greeting<P>,
    dial: Dial,
    runtime: Arc<dyn Runtime>,
    phase: Phase,
    /// Rings when somebody's patience may be over, and at what time.
    alarm: Option<(u64, BoxFuture)>,
    output: Vec<u8>,
    written: usize,
    input: Box<[u8]>,
    fed: Fed<P::Frame>,
    /// Has let others go first since it last wrote.
    yielded: bool,
    /// How many were given answers since it last wrote.
    told: usize,
    pause: Duration,
    /// Since when nothing was read though something was asked, in milliseconds.
    silent_since_ms: u64,
    random: Random,
}

/// What a poll of an open connection came to.
enum Turn {
    Wait,
    Again,
    Broken(Fault),
}

impl<P: Protocol> Driver<P> {
    pub(super) fn new(shared: Arc<Shared<P>>, greeting: Greeting<P>, dial: Dial, runtime: Arc<dyn Runtime>) -> Self {
        let phase = Phase::Pausing(Box::pin(std::future::ready(())));
        let pause = shared.limits.pause.0;
        Driver {
            shared,
            greeting,
            dial,
            runtime,
            phase,
            alarm: None,
            output: Vec::new(),
            written: 0,
            input: vec![0; READ_BYTES].into_boxed_slice(),
            fed: Fed::default(),
            yielded: false,
            told: 0,
            pause,
            silent_since_ms: 0,
            random: Random::from_process(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<P>> {
        lock(&self.shared.state)
    }

    /// Tells those whose time is over, and sees that it is woken for the next.
    fn expire(&mut self, cx: &mut Context<'_>) {
        loop {
            let now_ms = self.shared.clock.now_ms();
            let earliest = {
                let mut state = lock(&self.shared.state);
                state.line.expire(now_ms, &mut self.fed.wakers);
                state.line.earliest_ms()
            };
            self.wake_all();
            if earliest == u64::MAX {
                self.alarm = None;
                return;
            }
            if self.alarm.as_ref().is_none_or(|(at, _)| *at > earliest) {
                // A tick of the coarse clock more, or it would ring just before.
                let time = Duration::from_millis(earliest.saturating_sub(now_ms).max(1));
                self.alarm = Some((earliest, self.runtime.sleep(time)));
            }
            match self.alarm.as_mut().map(|(_, alarm)| alarm.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => self.alarm = None,
                _ => return,
            }
        }
    }

    /// Whether the oldest question is one that nobody waits for any more, and nothing has come for as long as a new connection
    /// may take. A path that dies without a word would otherwise be written to for many minutes, until the system gives it
    /// up; a server that stands still is found again by the next connection as it would be by this.
    fn is_silent(&self) -> bool {
        let now_ms = self.shared.clock.now_ms();
        let silent_ms = now_ms.saturating_sub(self.silent_since_ms);
        matches!(self.phase, Phase::Open { .. })
            && silent_ms >= to_ms(self.shared.limits.open)
            && self.state().line.is_given_up()
    }

    fn close(&mut self, fault: Fault) {
        {
            let mut state = lock(&self.shared.state);
            state.line.close(fault, &mut self.fed.wakers);
            // Under the lock, and before anybody is woken: who is told that it is closed must find it so.
            self.shared.closed.store(true, Release);
        }
        self.wake_all();
    }

    fn wake_all(&mut self) {
        self.fed.wakers.drain(..).for_each(Waker::wake);
    }

    fn dial(&mut self) {
        let dialing = (self.dial)(&self.runtime);
        self.phase = Phase::Dialing { dialing, alarm: self.runtime.sleep(self.shared.limits.open) };
    }

    fn opened(&mut self, wire: Box<dyn Wire>) {
        self.output.clear();
        self.written = 0;
        self.state().line.begin(self.greeting.bytes.clone(), self.greeting.answers);
        let alarm = (self.greeting.answers > 0).then(|| self.runtime.sleep(self.shared.limits.open));
        self.phase = Phase::Open { wire, alarm, greeted: 0 };
    }

    /// The connection broke, or there was none: pauses, longer each time.
    fn broken(&mut self, fault: Fault) {
        {
            let mut state = lock(&self.shared.state);
            let fault = match fault {
                Fault::Lost if !state.line.is_up() => &down(&self.greeting.closed),
                ref other => other,
            };
            // A greeting that was refused would be refused again: nobody waits for that.
            if state.line.is_up() && !matches!(fault, Fault::Refused(_)) {
                self.pause = self.shared.limits.pause.0;
                state.line.lost(fault, &mut self.fed.wakers);
            } else {
                state.line.refuse(fault, &mut self.fed.wakers);
            }
        }
        self.wake_all();
        let share = self.random.unit() * 0.5 + 0.5;
        self.phase = Phase::Pausing(self.runtime.sleep(self.pause.mul_f64(share)));
        self.pause = (self.pause * 2).min(self.shared.limits.pause.1);
    }

    /// Writes and reads as much as there is.
    fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        match self.write(cx) {
            Poll::Ready(Err(error)) => return Turn::Broken(broke(&error)),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        match self.read(cx) {
            Poll::Pending => Turn::Wait,
            Poll::Ready(Ok(())) => Turn::Again,
            Poll::Ready(Err(fault)) => Turn::Broken(fault),
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.written == self.output.len() {
                self.output.clear();
                self.output.shrink_to(KEPT_BYTES);
                self.written = 0;
                let mut state = lock(&self.shared.state);
                if !state.line.has_output() {
                    return Poll::Ready(Ok(()));
                }
                if (state.line.is_busy() || self.told > 1) && !self.yielded {
                    // Answers have just been given out: those who got them may ask again before this is written.
                    self.yielded = true;
                    drop(state);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.yielded = false;
                self.told = 0;
                if !state.line.is_busy() {
                    self.silent_since_ms = self.shared.clock.now_ms();
                }
                state.line.output(&mut self.output);
                if self.output.is_empty() {
                    // All who had asked have left.
                    continue;
                }
            }
            let Phase::Open { wire, .. } = &mut self.phase else { return Poll::Pending };
            match wire.poll_write(cx, &self.output[self.written..]) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => self.written += written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let Phase::Open { wire, alarm, greeted } = &mut self.phase else { return Poll::Pending };
        let length = match wire.poll_read(cx, &mut self.input) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(Fault::Lost)),
            Poll::Ready(Ok(length)) => length,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(broke(&error))),
        };
        self.silent_since_ms = self.shared.clock.now_ms();
        let fed = {
            let mut state = lock(&self.shared.state);
            if !state.line.is_up() && self.input[..length].starts_with(&TLS_ALERT) {
                return Poll::Ready(Err(Fault::Lost));
            }
            let fed = state.line.feed(&self.input[..length], &mut self.fed);
            if state.line.is_up() {
                *alarm = None;
            }
            fed
        };
        self.told += self.fed.wakers.len();
        let mut refused = None;
        for answer in self.fed.greeted.drain(..) {
            refused = refused.or((self.greeting.check)(*greeted, &answer).err());
            *greeted += 1;
        }
        // Before anybody is woken: who has an answer may rely on having been told what came before it.
        for push in self.fed.pushes.drain(..) {
            (self.greeting.pushed)(push);
        }
        self.wake_all();
        match (refused, fed) {
            (Some(text), _) => Poll::Ready(Err(Fault::Refused(text))),
            (None, Err(garbled)) => Poll::Ready(Err(Fault::Garbled(garbled.0))),
            (None, Ok(())) => Poll::Ready(Ok(())),
        }
    }

    /// Whether nobody will ask any more and all is written; if not, is woken by the next request.
    fn sleeps_or_ends(&self, cx: &Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let mut state = self.state();
        let is_written = self.written == self.output.len() && !state.line.has_queue();
        if state.unheld && (is_written || !matches!(self.phase, Phase::Open { .. })) {
            return true;
        }
        let old = state.asleep.replace(waker);
        drop(state);
        drop(old);
        false
    }

    /// Whether there was something to write while it went to sleep.
    fn missed(&self) -> bool {
        let state = self.state();
        self.written == self.output.len() && !self.yielded && state.line.has_output()
    }
}

/// Nothing in it is pinned in place.
impl<P: Protocol> Unpin for Driver<P> {}

impl<P: Protocol> Future for Driver<P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..ROUNDS {
            let turn = match &mut this.phase {
                Phase::Pausing(pause) => match pause.as_mut().poll(cx) {
                    Poll::Ready(()) => {
                        this.dial();
                        Turn::Again
                    }
                    Poll::Pending => Turn::Wait,
                },
                Phase::Dialing { dialing, alarm } => match dialing.as_mut().poll(cx) {
                    Poll::Ready(Ok(wire)) => {
                        this.opened(wire);
                        Turn::Again
                    }
                    Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Unsupported => {
                        // Nor will this runtime ever open one; another may.
                        this.close(down(error));
                        return Poll::Ready(());
                    }
                    Poll::Ready(Err(error)) => Turn::Broken(down(error)),
                    Poll::Pending if alarm.as_mut().poll(cx).is_ready() => {
                        Turn::Broken(down("opening it took too long"))
                    }
                    Poll::Pending => Turn::Wait,
                },
                Phase::Open { alarm, .. } => {
                    if alarm.as_mut().is_some_and(|alarm| alarm.as_mut().poll(cx).is_ready()) {
                        Turn::Broken(down("its greeting was not answered in time"))
                    } else {
                        this.turn(cx)
                    }
                }
            };
            match turn {
                Turn::Again => {}
                Turn::Broken(fault) => this.broken(fault),
                Turn::Wait => {
                    // Not before it has read: an answer that is here is nobody's time that is over.
                    this.expire(cx);
                    if this.is_silent() {
                        this.broken(Fault::Lost);
                        continue;
                    }
                    if this.sleeps_or_ends(cx) {
                        return Poll::Ready(());
                    }
                    if !this.missed() {
                        return Poll::Pending;
                    }
                }
            }
        }
        this.expire(cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<P: Protocol> Drop for Driver<P> {
    /// The runtime has stopped, or nobody needs it: nobody waits for what does not come.
    fn drop(&mut self) {
        self.close(down("its runtime has stopped"));
    }
}

fn broke(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => Fault::Lost,
        _ => down(error),
    }
}
