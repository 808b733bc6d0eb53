//! A connection that outlives the runtime it was opened on.

use std::time::Duration;

use super::call::Connection;
use super::protocol::Protocol;
use super::slots::Answers;
use crate::clock::{Clock, to_ms};
use crate::store::fault::Fault;
use crate::sync::{Mutex, lock};

/// Opens a connection on the current runtime.
type Open<P> = Box<dyn Fn() -> Connection<P> + Send + Sync>;

/// A connection that is opened by whoever asks first, and by whoever finds that its runtime has stopped, on his own.
pub(crate) struct Link<P: Protocol> {
    open: Open<P>,
    connection: Mutex<Option<Connection<P>>>,
}

/// When the time for something is over, by the system's coarse clock: every request has one, and the connection knows
/// no finer time.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    ms: u64,
}

impl<P: Protocol> Link<P> {
    pub(crate) fn new(open: impl Fn() -> Connection<P> + Send + Sync + 'static) -> Self {
        Link { open: Box::new(open), connection: Mutex::new(None) }
    }

    /// Asks for so many answers, on the connection of this number alone where it is said.
    pub(crate) async fn ask(
        &self,
        (answers, on): (u32, Option<u64>),
        deadline: Deadline,
        encode: impl Fn(&mut Vec<u8>),
    ) -> Result<Answers<P::Frame>, Fault> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            if Clock::system().now_ms() >= deadline.ms {
                return Err(Fault::Timeout);
            }
            let connection = self.connection();
            let asked = connection.call_on(on, answers, deadline.ms, |out: &mut Vec<u8>| encode(out)).await;
            // It was not asked: a runtime that stopped, or can open none, took the connection with it, and here is another
            // runtime. More than once would be this one.
            if matches!(asked, Err(Fault::Down(_))) && connection.is_closed() && attempts < 2 {
                continue;
            }
            return asked;
        }
    }

    /// As [`ask`](Self::ask), for one answer.
    pub(crate) async fn ask_one(&self, deadline: Deadline, encode: impl Fn(&mut Vec<u8>)) -> Result<P::Frame, Fault> {
        match self.ask((1, None), deadline, encode).await? {
            Answers::One(frame) => Ok(frame),
            Answers::All(_) => Err(Fault::Garbled("several answers to one request")),
        }
    }

    /// As [`ask`](Self::ask), all answers in their order.
    pub(crate) async fn ask_all(
        &self,
        answers: usize,
        deadline: Deadline,
        encode: impl Fn(&mut Vec<u8>),
    ) -> Result<Vec<P::Frame>, Fault> {
        let count = u32::try_from(answers).map_err(|_| Fault::TooLarge)?;
        match self.ask((count, None), deadline, encode).await? {
            Answers::One(frame) => Ok(vec![frame]),
            Answers::All(frames) => Ok(frames),
        }
    }

    /// The number of the connection that there is now; none where there is none.
    pub(crate) fn number(&self) -> Option<u64> {
        self.connection().number()
    }

    fn connection(&self) -> Connection<P> {
        let open = |held: &Option<Connection<P>>| held.as_ref().filter(|held| !held.is_closed()).cloned();
        if let Some(connection) = open(&lock(&self.connection)) {
            return connection;
        }
        // Not under the lock: to open one is to spawn a task.
        let new = (self.open)();
        let mut held = lock(&self.connection);
        if let Some(connection) = open(&held) {
            drop(held);
            drop(new);
            return connection;
        }
        let old = held.replace(new.clone());
        drop(held);
        drop(old);
        new
    }
}

impl Deadline {
    /// So long from now.
    pub(crate) fn after(time: Duration) -> Self {
        Deadline { ms: Clock::system().now_ms().saturating_add(to_ms(time)) }
    }
}
