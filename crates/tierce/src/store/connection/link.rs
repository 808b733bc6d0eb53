//! The connections of one process to one server: one for each runtime that asks.
//!
//! Who asks is answered on a connection that his own runtime drives, so that nobody waits for a runtime that stands still.
//! A connection closes with its runtime. What is bound to one connection, by its number, is asked on the caller's own or
//! not at all.

use std::sync::Arc;
use std::time::Duration;

use super::call::Connection;
use super::line::down;
use super::protocol::Protocol;
use super::slots::Answers;
use crate::clock::{Clock, to_ms};
use crate::runtime::{self, Id, Runtime};
use crate::store::fault::Fault;
use crate::sync::{Mutex, lock};

/// Opens a connection on a runtime.
type Open<P> = Box<dyn Fn(&Arc<dyn Runtime>) -> Connection<P> + Send + Sync>;

/// The connections to one server. Each is opened by whoever first asks on its runtime, and again when it has closed.
pub(crate) struct Link<P: Protocol> {
    open: Open<P>,
    /// Few, so that they are looked through. None has a runtime without a number twice.
    connections: Mutex<Vec<(Option<Id>, Connection<P>)>>,
}

/// When the time for something is over, by the system's coarse clock: every request has one, and the connection knows
/// no finer time.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    ms: u64,
}

impl<P: Protocol> Link<P> {
    pub(crate) fn new(open: impl Fn(&Arc<dyn Runtime>) -> Connection<P> + Send + Sync + 'static) -> Self {
        Link { open: Box::new(open), connections: Mutex::default() }
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
            let connection = self.connection()?;
            let asked = connection.call_on(on, answers, deadline.ms, |out: &mut Vec<u8>| encode(out)).await;
            // It was not asked: a runtime that stopped took the connection with it, and here is another runtime, or one that
            // was given the same number. More than once would be this one.
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

    /// The number of this runtime's connection as it is now; none where there is none.
    pub(crate) fn number(&self) -> Option<u64> {
        self.connection().ok()?.number()
    }

    fn connection(&self) -> Result<Connection<P>, Fault> {
        let id = runtime::lasting_id();
        if let Some(connection) = open_one(&lock(&self.connections), id) {
            return Ok(connection);
        }
        let runtime = runtime::lasting().ok_or_else(|| down(NOWHERE))?;
        // Not under the lock: to open one is to spawn a task.
        let new = (self.open)(&runtime);
        let mut connections = lock(&self.connections);
        if let Some(connection) = open_one(&connections, id) {
            drop(connections);
            drop(new);
            return Ok(connection);
        }
        let closed: Vec<_> = connections.extract_if(.., |(_, connection)| connection.is_closed()).collect();
        connections.push((id, new.clone()));
        drop(connections);
        drop(closed);
        Ok(new)
    }
}

/// What is said where no connection can live.
const NOWHERE: &str = "no runtime here that could open a connection: ask on one, or turn on the feature `tokio`";

/// The connection of the runtime with this number that is open.
fn open_one<P: Protocol>(connections: &[(Option<Id>, Connection<P>)], id: Option<Id>) -> Option<Connection<P>> {
    let own = connections.iter().find(|(of, connection)| *of == id && !connection.is_closed());
    own.map(|(_, connection)| connection.clone())
}

impl Deadline {
    /// So long from now.
    pub(crate) fn after(time: Duration) -> Self {
        Deadline { ms: Clock::system().now_ms().saturating_add(to_ms(time)) }
    }

    /// How long it is until then.
    pub(crate) fn left(self) -> Duration {
        Duration::from_millis(self.ms.saturating_sub(Clock::system().now_ms()))
    }
}
