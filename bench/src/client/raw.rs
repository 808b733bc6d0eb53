//! What a client can at best do: a blocking loop in one thread that writes as many requests as there would be tasks, and
//! reads all their answers before it writes the next.
//!
//! It knows how long every answer is, and parses none.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Broken, MANY, VALUE_BYTES, key, keys};

/// The commands of which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// `GET` and `MGET`.
    Redis,
    /// `mg`; of many, quietly and with `mn` at the end.
    Memcached,
}

/// The loop.
pub(crate) struct Raw {
    wire: Wire,
    stream: TcpStream,
    keys: Vec<String>,
    output: Vec<u8>,
    input: Vec<u8>,
}

impl Raw {
    /// Connects to the server at this place.
    pub(crate) fn connect(wire: Wire, place: &str) -> Result<Self, Broken> {
        let stream = TcpStream::connect(place)?;
        stream.set_nodelay(true)?;
        Ok(Self { wire, stream, keys: keys(), output: Vec::new(), input: Vec::new() })
    }

    /// One value of each of these keys, all asked for at once; how many bytes they have.
    pub(crate) fn get_each(&mut self, wanted: impl Iterator<Item = usize>) -> Result<usize, Broken> {
        self.output.clear();
        let mut answers = 0;
        for wanted in wanted {
            let key = &self.keys[wanted];
            match self.wire {
                Wire::Redis => write!(self.output, "*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len())?,
                Wire::Memcached => write!(self.output, "mg {key} v\r\n")?,
            }
            answers += 1;
        }
        let head: &[u8] = if self.wire == Wire::Redis { b"$100\r\n" } else { b"VA 100\r\n" };
        self.exchange(head, head, answers, b"")?;
        Ok(answers * VALUE_BYTES)
    }

    /// [`MANY`] values in one command; how many bytes they have.
    pub(crate) fn get_many(&mut self, first: usize) -> Result<usize, Broken> {
        self.output.clear();
        let keys = &self.keys[first..first + MANY];
        match self.wire {
            Wire::Redis => {
                write!(self.output, "*{}\r\n$4\r\nMGET\r\n", MANY + 1)?;
                for key in keys {
                    write!(self.output, "${}\r\n{key}\r\n", key.len())?;
                }
                // The list's own head stands before the first.
                self.exchange(b"*100\r\n$100\r\n", b"$100\r\n", MANY, b"")?;
            }
            Wire::Memcached => {
                for key in keys {
                    write!(self.output, "mg {key} k v q\r\n")?;
                }
                self.output.extend_from_slice(b"mn\r\n");
                let head = format!("VA 100 k{}\r\n", key(first)).into_bytes();
                self.exchange(&head, &head, MANY, b"MN\r\n")?;
            }
        }
        Ok(MANY * VALUE_BYTES)
    }

    /// Writes what is gathered and reads answers of these lengths; looks at how the first begins and how the last ends.
    fn exchange(&mut self, first: &[u8], head: &[u8], answers: usize, end: &[u8]) -> Result<(), Broken> {
        self.stream.write_all(&self.output)?;
        let length = first.len() + (answers - 1) * head.len() + answers * (VALUE_BYTES + 2) + end.len();
        self.input.resize(length, 0);
        self.stream.read_exact(&mut self.input)?;
        let end: &[u8] = if end.is_empty() { b"v\r\n" } else { end };
        if self.input.starts_with(first) && self.input.ends_with(end) {
            return Ok(());
        }
        Err(Broken("an answer of another length".into()))
    }
}
