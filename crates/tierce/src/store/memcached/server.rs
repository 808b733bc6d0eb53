//! One of a store's servers.

use std::io;
use std::sync::Arc;

use super::fleet::{Fleet, Member};
use super::meta::{self, Frame, Meta, Request};
use crate::clock::Clock;
use crate::runtime::{self, Endpoint, Runtime};
use crate::store::connection::{Answers, Connection, Deadline, Greeting, Limits, Link};
use crate::store::fault::Fault;

/// A server and the connections to it.
pub(crate) struct Server {
    fleet: Arc<Fleet>,
    at: usize,
}

/// The servers at these places. Nothing is opened before the first question.
pub(crate) fn servers(endpoints: &[Endpoint]) -> Vec<Arc<Server>> {
    let fleet = Fleet::new(endpoints.iter().map(member).collect());
    (0..endpoints.len()).map(|at| Arc::new(Server { fleet: Arc::clone(&fleet), at })).collect()
}

fn member(endpoint: &Endpoint) -> Member {
    let place = endpoint.place();
    let (endpoint, named) = (endpoint.clone(), place.clone());
    let hint = if matches!(endpoint, Endpoint::Tls(..)) { "" } else { "; a server with TLS is written memcacheds://" };
    let closed = format!("{place}: it closed the connection before it answered{hint}");
    let link = Link::new(move |here| {
        let limits = Limits::default();
        let (endpoint, place) = (endpoint.clone(), named.clone());
        let dial = Box::new(move |runtime: &Arc<dyn Runtime>| -> runtime::Dialing {
            let (dialing, place) = (runtime.dial(&endpoint), place.clone());
            Box::pin(
                async move { dialing.await.map_err(|error| io::Error::new(error.kind(), format!("{place}: {error}"))) },
            )
        });
        let here = (here, Clock::system());
        Connection::open(Meta::new(limits.answer_bytes), greeting(&closed), dial, here, limits)
    });
    Member::new(place, link)
}

impl Server {
    fn link(&self) -> &Link<Meta> {
        &self.fleet.member(self.at).link
    }

    /// A fault of one server as it is of the store.
    pub(crate) fn of_one(&self, fault: Fault) -> Fault {
        self.fleet.of_one(fault)
    }

    /// Where it is.
    pub(crate) fn place(&self) -> &str {
        &self.fleet.member(self.at).place
    }

    /// Asks, on the connection of this number alone where it is said; all answers in their order.
    pub(crate) async fn ask(&self, request: Request, on: Option<u64>, deadline: Deadline) -> Result<Vec<Frame>, Fault> {
        let answers = u32::try_from(request.answers).map_err(|_| Fault::TooLarge)?;
        let encode = |out: &mut Vec<u8>| out.extend_from_slice(&request.bytes);
        self.fleet.leave(self.at)?;
        let time = deadline.left();
        let asked = self.link().ask((answers, on), deadline, encode).await;
        // A connection that is gone shows nothing of the server.
        if on.is_none() || !matches!(asked, Err(Fault::Down(_))) {
            self.fleet.note(self.at, time, asked.as_ref().err());
        }
        match asked? {
            Answers::One(frame) => Ok(vec![frame]),
            Answers::All(frames) => Ok(frames),
        }
    }

    /// As [`ask`](Self::ask), for one answer; what the server calls an error is a fault.
    pub(crate) async fn ask_one(&self, request: Request, on: Option<u64>, deadline: Deadline) -> Result<Frame, Fault> {
        sound(self.ask(request, on, deadline).await?.pop().ok_or(Fault::Garbled("no answer"))?)
    }

    /// What there is of an item; what the server calls an error is a fault.
    pub(crate) async fn get(&self, name: &str, deadline: Deadline) -> Result<Frame, Fault> {
        self.fleet.leave(self.at)?;
        let time = deadline.left();
        let asked = self.link().ask_one(deadline, |out| meta::get(out, name)).await;
        self.fleet.note(self.at, time, asked.as_ref().err());
        sound(asked?)
    }

    /// As [`ask`](Self::ask), for two answers.
    pub(crate) async fn ask_two(
        &self,
        request: Request,
        on: Option<u64>,
        deadline: Deadline,
    ) -> Result<[Frame; 2], Fault> {
        let frames = self.ask(request, on, deadline).await?;
        let [one, two] = <[Frame; 2]>::try_from(frames).map_err(|_| Fault::Garbled("not two answers"))?;
        Ok([sound(one)?, sound(two)?])
    }

    /// The number of the connection that there is, once there is one.
    pub(crate) async fn connected(&self, deadline: Deadline) -> Result<u64, Fault> {
        loop {
            if let Some(number) = self.link().number() {
                return Ok(number);
            }
            // It is answered as soon as there is a connection, or failed when there is none to be had.
            self.ask_one(Request::default().line("mn"), None, deadline).await?;
        }
    }

    /// Whether this is the connection that there is.
    pub(crate) fn is_connected_by(&self, number: u64) -> bool {
        self.link().number() == Some(number)
    }
}

/// An answer that is not the server's refusal.
pub(crate) fn sound(frame: Frame) -> Result<Frame, Fault> {
    match frame {
        Frame::Error(text) => Err(Fault::Refused(text)),
        other => Ok(other),
    }
}

/// A command that does nothing; a server that does not know it is too old.
fn greeting(closed: &str) -> Greeting<Meta> {
    let check = |_, frame: &Frame| match frame {
        Frame::Done(_) => Ok(()),
        Frame::Error(text) => Err(Arc::from(format!("{text} (Memcached must be 1.6 or newer)"))),
        _ => Err(Arc::from("an answer that is none of Memcached's")),
    };
    Greeting { bytes: b"mn\r\n".to_vec(), answers: 1, check, closed: closed.to_string(), pushed: Box::new(|_| ()) }
}
