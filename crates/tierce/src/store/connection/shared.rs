//! What the callers of a connection and its driver share.

use std::task::Waker;

use super::limits::Limits;
use super::line::Line;
use super::protocol::Protocol;
use crate::clock::Clock;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicBool;

/// A connection's state, and what never changes.
pub(super) struct Shared<P: Protocol> {
    pub(super) state: Mutex<State<P>>,
    /// Whether the line is closed: asked by every request before it takes the lock.
    pub(super) closed: AtomicBool,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
}

pub(super) struct State<P: Protocol> {
    pub(super) line: Line<P>,
    /// The driver's, while it sleeps.
    pub(super) asleep: Option<Waker>,
    /// Nobody holds the connection any more.
    pub(super) unheld: bool,
}
