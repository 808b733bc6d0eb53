//! What the fuzz targets of `fuzz/` reach of what servers answer.

use std::fmt::Debug;

use super::connection::{Protocol, Received};
use super::memcached::fuzzed::meta;
use super::redis::fuzzed::resp;

/// Which server's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RESP3.
    Redis,
    /// Meta commands.
    Memcached,
}

/// The answers in these bytes, each as its debug text, and why the rest are none; read in pieces of these lengths, over and over.
pub fn answers(dialect: Dialect, bytes: &[u8], pieces: &[u8]) -> (Vec<String>, Option<&'static str>) {
    match dialect {
        Dialect::Redis => read(resp(LONGEST), bytes, pieces),
        Dialect::Memcached => read(meta(LONGEST), bytes, pieces),
    }
}

/// The longest answer that is read, in bytes.
const LONGEST: usize = 1 << 16;

fn read<P: Protocol>(mut protocol: P, bytes: &[u8], pieces: &[u8]) -> (Vec<String>, Option<&'static str>)
where
    P::Frame: Debug,
{
    protocol.begin();
    let (mut answers, mut input, mut rest) = (Vec::new(), Vec::new(), bytes);
    let mut pieces = pieces.iter().cycle().map(|piece| usize::from(*piece).max(1));
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(pieces.next().unwrap_or(rest.len()).min(rest.len()));
        input.extend_from_slice(piece);
        rest = behind;
        loop {
            match protocol.take(&input) {
                Ok(Some((Received::Answer(answer), length))) => {
                    answers.push(format!("answer {answer:?}"));
                    input.drain(..length);
                }
                Ok(Some((Received::Push(push), length))) => {
                    answers.push(format!("push {push:?}"));
                    input.drain(..length);
                }
                Ok(None) => break,
                Err(garbled) => return (answers, Some(garbled.0)),
            }
            if input.is_empty() {
                break;
            }
        }
    }
    (answers, None)
}
