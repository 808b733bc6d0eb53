//! Redis and Valkey, from 7.0 on.

#[cfg(feature = "testing")]
pub(super) mod fuzzed;
pub(super) mod opened;
mod reply;
mod resp;
mod scripts;
mod sha1;
mod store;
mod tracking;
mod unfit;

use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use reply::Reply;
pub use store::Redis;

use super::address::Address;
use super::connection::{Answers, Connection, Greeting, Limits};
use super::fault::Fault;
use crate::clock::Clock;
use crate::runtime::{self, Dialing, Runtime};
use resp::Resp;

/// A connection to one server, for commands. Its clones are the same one.
#[derive(Clone)]
pub struct Client {
    connection: Connection<Resp>,
    patience: Duration,
}

impl Client {
    /// A connection of the current runtime's, or of a thread of the crate's own where that does not last, opened behind the caller: until it is there, and whenever it is not,
    /// commands wait for it as long as they may.
    ///
    /// # Panics
    /// Outside any runtime, where the feature `tokio` is off.
    pub fn open(address: &Address, patience: Duration) -> Self {
        let limits = Limits::default();
        let runtime = runtime::lasting().unwrap_or_else(runtime::current);
        let to = address.clone();
        let dial = Box::new(move |runtime: &Arc<dyn Runtime>| dial(&to, runtime));
        let resp = Resp::new(limits.answer_bytes);
        let here = (&runtime, Clock::system());
        Client { connection: Connection::open(resp, greeting(address, Box::new(|_| ())), dial, here, limits), patience }
    }

    /// Any command: its name and its arguments.
    ///
    /// # Errors
    /// What kept the server from answering. What the server itself calls an error is a [`Reply::Error`].
    pub async fn command(&self, parts: &[&[u8]]) -> Result<Reply, Fault> {
        let call = self.connection.call(1, self.patience, |out: &mut Vec<u8>| resp::command(out, parts));
        match call.await? {
            Answers::One(reply) => Ok(reply),
            Answers::All(_) => Err(Fault::Garbled("several answers to one command")),
        }
    }

    /// The bytes of a key (`GET`).
    ///
    /// # Errors
    /// What kept the server from answering, or its refusal.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match self.command(&[b"GET", key]).await? {
            Reply::Bytes(bytes) => Ok(Some(bytes)),
            Reply::Nil => Ok(None),
            other => Err(refusal(&other)),
        }
    }

    /// The bytes of several keys, in their order (`MGET`).
    ///
    /// # Errors
    /// What kept the server from answering, or its refusal.
    pub async fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        let encode = |out: &mut Vec<u8>| {
            resp::begin(out, keys.len() + 1);
            resp::part(out, b"MGET");
            keys.iter().for_each(|key| resp::part(out, key));
        };
        let list = match self.connection.call(1, self.patience, encode).await? {
            Answers::One(Reply::List(list)) => list,
            Answers::One(other) => return Err(refusal(&other)),
            Answers::All(_) => return Err(Fault::Garbled("several answers to one command")),
        };
        if list.len() != keys.len() {
            return Err(Fault::Garbled("as many values as keys were expected"));
        }
        let value = |reply| match reply {
            Reply::Bytes(bytes) => Ok(Some(bytes)),
            Reply::Nil => Ok(None),
            other => Err(refusal(&other)),
        };
        list.into_iter().map(value).collect()
    }
}

/// Is told what the server says unasked.
type Pushed = Box<dyn FnMut(Reply) + Send>;

/// Opens a stream; an error names the place.
fn dial(address: &Address, runtime: &Arc<dyn Runtime>) -> Dialing {
    let place = address.to_string();
    let dialing = address.endpoints().first().map(|endpoint| runtime.dial(endpoint));
    Box::pin(async move {
        let dialing = dialing.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        dialing.await.map_err(|error| io::Error::new(error.kind(), format!("{place}: {error}")))
    })
}

/// An answer that is not the server's refusal.
fn sound(reply: Reply) -> Result<Reply, Fault> {
    match reply {
        Reply::Error(text) => Err(Fault::Refused(text)),
        other => Ok(other),
    }
}

fn refusal(reply: &Reply) -> Fault {
    match reply {
        Reply::Error(text) => Fault::Refused(Arc::clone(text)),
        _ => Fault::Garbled("an answer of another kind"),
    }
}

/// `HELLO 3` with user, password and name; then the database.
fn greeting(address: &Address, pushed: Pushed) -> Greeting<Resp> {
    let mut bytes = Vec::new();
    let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
    if let Some((user, password)) = address.login() {
        hello.extend([b"AUTH".as_slice(), user.as_bytes(), password.as_bytes()]);
    }
    hello.extend([b"SETNAME".as_slice(), address.client_name().as_bytes()]);
    resp::command(&mut bytes, &hello);
    let mut answers = 1;
    if address.database() > 0 {
        resp::command(&mut bytes, &[b"SELECT", address.database().to_string().as_bytes()]);
        answers += 1;
    }
    let check = |_, reply: &Reply| match reply {
        Reply::Error(text) => Err(Arc::clone(text)),
        _ => Ok(()),
    };
    let hint = if address.tls() { "" } else { "; a server with TLS is written rediss://" };
    let closed = format!("{address}: it closed the connection before it answered{hint}");
    Greeting { bytes, answers, check, closed, pushed }
}
