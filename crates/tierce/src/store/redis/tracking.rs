//! Changes that the server tells of unasked (`CLIENT TRACKING`).
//!
//! The connection that carries the data has pushes too, so that an answer on it proves that what was pushed before has come.
//! What is tracked are markers and tags alone: data changes with each fill, which is nobody's business.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::reply::Reply;
use super::resp::{self, Resp};
use super::sound;
use crate::store::connection::{Answers, Deadline, Link};
use crate::store::face::Listener;
use crate::store::fault::Fault;
use crate::sync::{Mutex, lock};

/// Who is told of what, once somebody wants to be.
pub(super) struct Tracking {
    heard: Arc<OnceLock<Heard>>,
    armed: Mutex<Armed>,
}

/// Where the server tells.
#[derive(Clone, Copy, Default)]
struct Armed {
    /// By which connection it does.
    connection: Option<u64>,
    /// How often it was asked to: what was changed between two of them may not have been told, on one connection either.
    times: u64,
}

struct Heard {
    /// `m{namespace:` and `t{namespace:`.
    prefixes: [String; 2],
    listener: Arc<dyn Listener>,
}

impl Tracking {
    pub(super) fn new() -> Self {
        Tracking { heard: Arc::default(), armed: Mutex::default() }
    }

    /// Passes on what is pushed, from the task of a connection.
    pub(super) fn pushed(&self) -> Box<dyn FnMut(Reply) + Send> {
        let heard = Arc::clone(&self.heard);
        Box::new(move |push| {
            if let Some(heard) = heard.get() {
                heard.tell(&push);
            }
        })
    }

    /// One listener is told; whether it is this one.
    pub(super) fn listen(&self, namespace: &str, listener: Arc<dyn Listener>) -> bool {
        let prefixes = ["m", "t"].map(|kind| format!("{kind}{{{namespace}:"));
        self.heard.set(Heard { prefixes, listener }).is_ok()
    }

    /// See [`Store::beat`](crate::store::Store::beat): how often the server was asked to tell, by this connection last.
    pub(super) async fn beat(&self, link: &Link<Resp>, within: Duration) -> Result<u64, Fault> {
        let Some(heard) = self.heard.get() else {
            return Err(Fault::Refused("nobody listens".into()));
        };
        let deadline = Deadline::after(within);
        if link.number().is_none() {
            sound(link.ask_one(deadline, |out| resp::command(out, &[b"PING"])).await?)?;
        }
        let Some(number) = link.number() else { return Err(Fault::Lost) };
        let armed = *lock(&self.armed);
        if armed.connection == Some(number) {
            match link.ask((1, Some(number)), deadline, |out| resp::command(out, &[b"PING"])).await? {
                Answers::One(reply) => sound(reply)?,
                Answers::All(_) => return Err(Fault::Garbled("several answers to one request")),
            };
            return Ok(armed.times);
        }
        match link.ask((2, Some(number)), deadline, |out| heard.arm(out)).await? {
            Answers::All(replies) => replies.into_iter().try_for_each(|reply| sound(reply).map(drop))?,
            Answers::One(_) => return Err(Fault::Garbled("one answer to two commands")),
        }
        let mut armed = lock(&self.armed);
        *armed = Armed { connection: Some(number), times: armed.times + 1 };
        Ok(armed.times)
    }
}

impl Heard {
    /// Asks the server to tell on this connection. It may do so already, by a request whose answer came too late or by an
    /// earlier keeper's, and would refuse to be asked twice: so it first stops.
    fn arm(&self, out: &mut Vec<u8>) {
        let [markers, tags] = self.prefixes.each_ref().map(|prefix| prefix.as_bytes());
        resp::command(out, &[b"CLIENT", b"TRACKING", b"OFF"]);
        resp::command(out, &[b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", markers, b"PREFIX", tags]);
    }

    /// `invalidate` and the names of what was changed, or nothing in their place: everything was.
    fn tell(&self, push: &Reply) {
        let Reply::List(parts) = push else { return };
        match parts.as_slice() {
            [kind, Reply::List(names)] if is_invalidation(kind) => names.iter().for_each(|name| self.tell_of(name)),
            [kind, Reply::Nil] if is_invalidation(kind) => self.listener.all_changed(),
            _ => {}
        }
    }

    fn tell_of(&self, name: &Reply) {
        let Reply::Bytes(name) = name else { return };
        // Names of ours are ASCII; what is none begins like one and is nobody's.
        let Ok(name) = std::str::from_utf8(name) else { return };
        match name.split_at_checked(1) {
            Some(("m", key)) => self.listener.key_changed(key),
            Some(("t", tag)) => self.listener.tag_changed(tag),
            _ => {}
        }
    }
}

fn is_invalidation(kind: &Reply) -> bool {
    match kind {
        Reply::Bytes(kind) => kind == b"invalidate",
        Reply::Text(kind) => kind == "invalidate",
        _ => false,
    }
}
