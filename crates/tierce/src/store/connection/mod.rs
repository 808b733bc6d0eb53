//! One connection to one server, which many callers use at once.
//!
//! A caller puts his request's bytes into the [`Line`](line::Line) and waits; the [`Driver`](driver::Driver), a task, writes what is queued
//! and gives out what is read. It writes at once when nothing is under way, and otherwise lets the tasks that are ready
//! put their requests beside it first: many requests are then one write. A request has one patience for everything:
//! the queue, a new connection, the answer.

mod call;
mod driver;
mod limits;
mod line;
mod link;
mod protocol;
#[cfg(all(test, feature = "redis", feature = "memcached", feature = "testing"))]
mod sans_io;
mod shared;
#[cfg(all(test, feature = "redis", feature = "testing"))]
mod tests {
    mod simulated;
}
mod slots;

pub(crate) use call::Connection;
pub(crate) use driver::Greeting;
pub(crate) use limits::Limits;
pub(crate) use line::down;
pub(crate) use link::{Deadline, Link};
pub(crate) use protocol::{Garbled, Protocol, Received, Taken};
pub(crate) use slots::Answers;
