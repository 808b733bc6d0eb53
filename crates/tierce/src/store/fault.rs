//! Why a server gave no answer.

use std::fmt;
use std::sync::Arc;

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
    /// Of a store's several servers the one that was meant has not answered, or was not asked since it has not lately; whether it
    /// did what it was asked is not known. Others are asked.
    Away(Arc<str>),
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
            Fault::Away(which) => write!(f, "one of the store's servers is away: {which}"),
            Fault::Full => f.write_str("too many requests wait for the store"),
            Fault::TooLarge => f.write_str("the request is larger than may be sent to the store"),
            Fault::Refused(text) => write!(f, "the store refused: {text}"),
            Fault::Garbled(what) => write!(f, "the store's answer makes no sense: {what}"),
        }
    }
}

impl std::error::Error for Fault {}
