//! What a Redis server answers.

use std::sync::Arc;

/// An answer (RESP3, <https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md>).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// Nothing: a key that is not there.
    Nil,
    /// `OK`, by far the most frequent text.
    Okay,
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// Yes or no.
    Bool(bool),
    /// A short text: a status, a large number's digits.
    Text(String),
    /// A string of bytes.
    Bytes(Vec<u8>),
    /// Several answers; a set as well.
    List(Vec<Reply>),
    /// Pairs.
    Map(Vec<(Reply, Reply)>),
    /// The server would not, or could not.
    Error(Arc<str>),
}
