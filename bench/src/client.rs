//! The clients of servers that are compared, behind one face.

mod async_memcached;
mod coalesced;
mod fred;
mod memcache;
mod raw;
mod redis_rs;
mod rustis;

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

pub(crate) use async_memcached::AsyncMemcached;
pub(crate) use fred::Fred;
pub(crate) use memcache::Memcache;
pub(crate) use raw::{Raw, Wire};
pub(crate) use redis_rs::{Flush, RedisRs};
pub(crate) use rustis::Rustis;

use crate::server::Program;

/// Keys in the servers. Few, so that a server's own memory is near.
pub(crate) const KEYS: usize = 10_000;
/// Keys in one call of the cases with many.
pub(crate) const MANY: usize = 100;
/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 100;
/// Connections of a client that has one for each request under way.
pub(crate) const POOL: usize = 8;

/// Why a client cannot be had, or has no answer. It is shown, no more.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl<E: fmt::Display> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The name of a key; all are equally long.
pub(crate) fn key(number: usize) -> String {
    format!("{{bench:user:1:{number:06}}}")
}

/// The value of a key: its number, and bytes that mean nothing to anybody.
fn value(number: usize) -> Vec<u8> {
    let mut value = vec![b'v'; VALUE_BYTES];
    // Its third byte is where our stores keep a mark, which is none.
    value[2] = 0;
    value[NUMBER_AT..NUMBER_AT + 8].copy_from_slice(&(number as u64).to_be_bytes());
    value
}

/// Where a value says whose it is.
const NUMBER_AT: usize = 8;

/// What an answer counts for: its bytes, if it is the value of this key.
pub(crate) fn worth(answer: &[u8], key: usize) -> usize {
    let is_its_own = answer.get(NUMBER_AT..NUMBER_AT + 8) == Some(&(key as u64).to_be_bytes());
    if is_its_own { answer.len() } else { 0 }
}

/// The sum over answers to keys from this one on.
pub(crate) fn worth_of<'a>(answers: impl IntoIterator<Item = Option<&'a [u8]>>, first: usize) -> usize {
    let of_each = answers.into_iter().zip(first..).map(|(answer, key)| answer.map_or(0, |answer| worth(answer, key)));
    of_each.sum()
}

/// A client, which all tasks of a case share. It has the names of the keys, made before.
pub(crate) trait Client: Sized + Send + Sync + 'static {
    /// Connects to the server at this place.
    fn connect(place: String) -> impl Future<Output = Result<Self, Broken>> + Send;

    /// One value, asked for by the task of this number; its [`worth`].
    fn get(&self, task: usize, key: usize) -> impl Future<Output = Result<usize, Broken>> + Send;

    /// [`MANY`] values from this key on, in one call; the sum of their [`worth`].
    fn get_many(&self, first: usize) -> impl Future<Output = Result<usize, Broken>> + Send;
}

/// All names.
pub(crate) fn keys() -> Vec<String> {
    (0..KEYS).map(key).collect()
}

/// Puts all keys into a server.
///
/// # Errors
/// What the system says; also when the server stored less.
pub(crate) fn fill(program: Program, place: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(place)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    for (number, key) in keys().into_iter().enumerate() {
        let mut bytes = match program {
            Program::Redis => format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${VALUE_BYTES}\r\n", key.len()),
            Program::Memcached => format!("ms {key} {VALUE_BYTES}\r\n"),
        }
        .into_bytes();
        bytes.extend_from_slice(&value(number));
        bytes.extend_from_slice(b"\r\n");
        stream.write_all(&bytes)?;
        line.clear();
        answers.read_line(&mut line)?;
        if !matches!(line.trim_end(), "+OK" | "HD") {
            return Err(io::Error::other(format!("the server does not store: {line}")));
        }
    }
    Ok(())
}
