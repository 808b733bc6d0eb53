//! One connection to one server, which many callers use at once.
//!
//! A caller puts his request's bytes into the [`Line`](line::Line) and waits; the [`Driver`](driver::Driver), a task, writes what is queued
//! and gives out what is read. It writes at once when nothing is under way, and otherwise lets the tasks that are ready
//! put their requests beside it first: many requests are then one write. A request has one patience for everything:
//! the queue, a new connection, the answer.

mod call;
mod driver;
mod line;
mod protocol;
mod slots;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use call::Connection;
pub(crate) use driver::Greeting;
pub(crate) use protocol::{Garbled, Protocol, Received, Taken};
pub(crate) use slots::Answers;

/// Why a server gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The time for it was over; whether the server did what it was asked is not known.
    Timeout,
    /// The connection broke before the answer; whether the server did what it was asked is not known.
    Lost,
    /// There is no connection, and why; the server was not asked.
    Down(Arc<str>),
    /// As many requests wait as may; the server was not asked.
    Full,
    /// The request is larger than may be sent; the server was not asked.
    TooLarge,
    /// The server answered that it would not, or could not.
    Refused(Arc<str>),
    /// The server's answer is none that this request can have.
    Garbled(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Timeout => f.write_str("the store did not answer in time"),
            Fault::Lost => f.write_str("the connection to the store broke before the answer"),
            Fault::Down(why) => write!(f, "no connection to the store: {why}"),
            Fault::Full => f.write_str("too many requests wait for the store"),
            Fault::TooLarge => f.write_str("the request is larger than may be sent to the store"),
            Fault::Refused(text) => write!(f, "the store refused: {text}"),
            Fault::Garbled(what) => write!(f, "the store's answer makes no sense: {what}"),
        }
    }
}

impl std::error::Error for Fault {}

/// How much a connection takes upon itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests that wait for answers.
    pub(crate) requests: usize,
    /// Bytes of requests that wait to be written.
    pub(crate) queued_bytes: usize,
    /// Bytes of one request.
    pub(crate) request_bytes: usize,
    /// Bytes of one answer.
    pub(crate) answer_bytes: usize,
    /// How long opening and greeting may take.
    pub(crate) open: Duration,
    /// The first and the longest pause before a new attempt.
    pub(crate) pause: (Duration, Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests: 16_384,
            queued_bytes: 32 << 20,
            request_bytes: 16 << 20,
            answer_bytes: 64 << 20,
            open: Duration::from_secs(1),
            pause: (Duration::from_millis(10), Duration::from_millis(500)),
        }
    }
}
