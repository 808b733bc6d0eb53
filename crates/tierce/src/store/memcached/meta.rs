//! Memcached's meta commands (<https://docs.memcached.org/protocols/meta/>): requests to bytes, bytes to answers.
//!
//! Each command has exactly one answer: the quiet mode, in which a server leaves some out, is never used.

use std::sync::Arc;

use crate::store::connection::{Garbled, Protocol, Received, Taken};

/// Lines of answers are short: names of at most 250 bytes, some numbers, an error's sentence.
const LONGEST_LINE: usize = 4096;
/// All that `stats` says, at most: about two hundred lines.
const LONGEST_STATS: usize = 1 << 20;

/// What a server answers to one command.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    /// An item's bytes.
    Value(Vec<u8>, Flags),
    /// It was done, or what was asked is so.
    Done(Flags),
    /// There is no such item.
    Missing,
    /// There is one already.
    NotStored,
    /// It is another by now.
    Exists,
    /// What the server says of itself.
    Stats(Vec<(String, String)>),
    /// The server would not, or could not.
    Error(Arc<str>),
}

/// What is said of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Its number, which is another after each change (`c`).
    pub(crate) cas: u64,
    /// Seconds until it goes (`t`); none where it never does.
    pub(crate) left: Option<u64>,
    /// The number that was stored beside it (`f`).
    pub(crate) kind: u32,
    /// Whether it was marked stale (`X`).
    pub(crate) is_stale: bool,
}

/// Commands to be sent together, and how many answers they have.
#[derive(Default)]
pub(crate) struct Request {
    pub(crate) bytes: Vec<u8>,
    pub(crate) answers: usize,
}

impl Request {
    /// A command without bytes.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
        self.answers += 1;
        self
    }

    /// Stores an item: its name, its bytes, and what else is said.
    pub(crate) fn store(mut self, name: &str, bytes: &[u8], rest: &str) -> Self {
        self.bytes.reserve(bytes.len() + 300);
        self = self.line(&format!("ms {name} {} {rest}", bytes.len()));
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }
}

/// Asks for an item's bytes and for the number beside them, without a buffer of its own.
pub(crate) fn get(out: &mut Vec<u8>, name: &str) {
    out.reserve(name.len() + 9);
    out.extend_from_slice(b"mg ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b" v f\r\n");
}

/// Takes answers out of a stream.
pub(crate) struct Meta {
    longest: usize,
    /// How far the end of a server's facts was looked for.
    looked: usize,
}

impl Meta {
    /// Answers of at most so many bytes.
    pub(crate) fn new(longest: usize) -> Self {
        Meta { longest, looked: 0 }
    }

    /// A server's facts: lines until one that says that they are over.
    fn stats(&mut self, bytes: &[u8]) -> Result<Option<(Frame, usize)>, Garbled> {
        const END: &[u8] = b"\r\nEND\r\n";
        let found = bytes[self.looked..].windows(END.len()).position(|window| window == END);
        let Some(end) = found.map(|at| self.looked + at) else {
            self.looked = (bytes.len() + 1).saturating_sub(END.len());
            return if bytes.len() > LONGEST_STATS { Err(Garbled("facts without end")) } else { Ok(None) };
        };
        self.looked = 0;
        let mut facts = Vec::new();
        for line in String::from_utf8_lossy(&bytes[..end]).split("\r\n") {
            let fact = line.strip_prefix("STAT ").ok_or(Garbled("a fact that is none"))?;
            let (name, value) = fact.split_once(' ').unwrap_or((fact, ""));
            facts.push((name.to_string(), value.to_string()));
        }
        Ok(Some((Frame::Stats(facts), end + END.len())))
    }
}

impl Protocol for Meta {
    type Frame = Frame;

    fn take(&mut self, bytes: &[u8]) -> Taken<Frame> {
        let Some(end) = line_end(bytes)? else { return Ok(None) };
        let (line, length) = (&bytes[..end], end + 2);
        if line.starts_with(b"STAT ") {
            return Ok(self.stats(bytes)?.map(|(frame, length)| (Received::Answer(frame), length)));
        }
        let (word, rest) = line.split_at(line.iter().position(|byte| *byte == b' ').unwrap_or(line.len()));
        let frame = match word {
            b"VA" => {
                let mut words = words(rest);
                let size = words.next().and_then(number).and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or(Garbled("a value without its length"))?;
                if size > self.longest {
                    return Err(Garbled("an answer is larger than the limit"));
                }
                let Some(body) = bytes.get(length..length + size + 2) else { return Ok(None) };
                let Some(body) = body.strip_suffix(b"\r\n") else { return Err(Garbled("a value of another length")) };
                let frame = Frame::Value(body.to_vec(), flags(words)?);
                return Ok(Some((Received::Answer(frame), length + size + 2)));
            }
            b"HD" => Frame::Done(flags(words(rest))?),
            // `MN` is the answer to a command that does nothing, `END` to a question for facts that there are none of.
            b"MN" | b"END" if rest.is_empty() => Frame::Done(Flags::default()),
            b"EN" | b"NF" => Frame::Missing,
            b"NS" => Frame::NotStored,
            b"EX" => Frame::Exists,
            b"ERROR" | b"CLIENT_ERROR" | b"SERVER_ERROR" => Frame::Error(String::from_utf8_lossy(line).into()),
            _ => return Err(Garbled("an answer of no known kind")),
        };
        Ok(Some((Received::Answer(frame), length)))
    }

    fn begin(&mut self) {
        self.looked = 0;
    }
}

/// Where the first line's end begins.
fn line_end(bytes: &[u8]) -> Result<Option<usize>, Garbled> {
    let within = &bytes[..bytes.len().min(LONGEST_LINE)];
    match within.windows(2).position(|window| window == b"\r\n") {
        Some(at) => Ok(Some(at)),
        None if within.len() == LONGEST_LINE => Err(Garbled("a line without end")),
        None => Ok(None),
    }
}

fn words(rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    rest.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

fn flags<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<Flags, Garbled> {
    let mut flags = Flags::default();
    for word in words {
        let Some((letter, value)) = word.split_first() else { continue };
        match letter {
            b'c' => flags.cas = number(value).ok_or(Garbled("a number"))?,
            // -1: it never goes.
            b't' if value == b"-1" => flags.left = None,
            b't' => flags.left = Some(number(value).ok_or(Garbled("a time"))?),
            b'f' => {
                let kind = number(value).and_then(|kind| u32::try_from(kind).ok());
                flags.kind = kind.ok_or(Garbled("a number"))?;
            }
            b'X' => flags.is_stale = true,
            // Others are not asked for, or say what is known.
            _ => {}
        }
    }
    Ok(flags)
}

fn number(text: &[u8]) -> Option<u64> {
    let add = |number: u64, byte: &u8| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, add) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Flags, Frame, Meta, Request};
    use crate::store::connection::{Protocol, Received};

    const LONGEST: usize = 1 << 20;

    fn taken(pieces: &[&[u8]]) -> Result<Vec<Frame>, &'static str> {
        let (mut meta, mut bytes, mut all) = (Meta::new(LONGEST), Vec::new(), Vec::new());
        for piece in pieces {
            bytes.extend_from_slice(piece);
            while let Some((received, length)) = meta.take(&bytes).map_err(|garbled| garbled.0)? {
                bytes.drain(..length);
                let Received::Answer(frame) = received else { panic!("a push") };
                all.push(frame);
            }
        }
        assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
        Ok(all)
    }

    #[track_caller]
    fn check(bytes: &str, expected: Frame) {
        assert_eq!(taken(&[bytes.as_bytes()]).unwrap(), [expected]);
    }

    #[track_caller]
    fn refused(bytes: &str) {
        assert!(taken(&[bytes.as_bytes()]).is_err());
    }

    #[test]
    fn each_kind_of_answer_is_read() {
        let flags = Flags { cas: 7, left: Some(30), kind: 2, is_stale: true };
        check("VA 4 c7 t30 f2 s4 W X\r\n\r\nEN\r\n", Frame::Value(b"\r\nEN".to_vec(), flags));
        check("VA 0 t-1 Z\r\n\r\n", Frame::Value(Vec::new(), Flags::default()));
        check("HD c18446744073709551615\r\n", Frame::Done(Flags { cas: u64::MAX, ..Flags::default() }));
        check("HD\r\n", Frame::Done(Flags::default()));
        check("MN\r\n", Frame::Done(Flags::default()));
        check("EN\r\n", Frame::Missing);
        check("NF\r\n", Frame::Missing);
        check("NS\r\n", Frame::NotStored);
        check("EX\r\n", Frame::Exists);
        check("SERVER_ERROR out of memory\r\n", Frame::Error("SERVER_ERROR out of memory".into()));
        let facts = [("pid", "1"), ("version", "1.6.18 x"), ("empty", "")].map(|(a, b)| (a.to_string(), b.to_string()));
        check("STAT pid 1\r\nSTAT version 1.6.18 x\r\nSTAT empty \r\nEND\r\n", Frame::Stats(facts.to_vec()));
    }

    #[test]
    fn what_no_server_sends_is_refused() {
        refused("hello\r\n");
        refused("VA\r\n");
        refused("VA x\r\n");
        refused("VA 99999999\r\n");
        refused("VA 2 c1\r\nabc\r\n");
        refused("HD cx\r\n");
        refused("HD f4294967296\r\n");
        refused("STAT a 1\r\nHD\r\nEND\r\n");
        refused(&"x".repeat(5000));
    }

    #[test]
    fn a_request_is_its_lines_and_counts_its_answers() {
        let request = Request::default().store("a", b"\r\nb", "T30 c");
        let request = request.line("md a");
        assert_eq!((request.bytes.as_slice(), request.answers), (b"ms a 3 T30 c\r\n\r\nb\r\nmd a\r\n".as_slice(), 2));
    }

    proptest! {
        #[test]
        fn any_cutting_of_a_stream_gives_the_same_answers(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6),
            cuts in proptest::collection::vec(1_usize..9, 1..50),
        ) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for body in bodies {
                stream.extend_from_slice(format!("VA {} c{}\r\n", body.len(), body.len()).as_bytes());
                stream.extend_from_slice(&body);
                stream.extend_from_slice(b"\r\nSTAT a b\r\nSTAT c d\r\nEND\r\nEX\r\n");
                expected.push(Frame::Value(body.clone(), Flags { cas: body.len() as u64, ..Flags::default() }));
                let facts = [("a", "b"), ("c", "d")].map(|(a, b)| (a.to_string(), b.to_string()));
                expected.extend([Frame::Stats(facts.to_vec()), Frame::Exists]);
            }
            let mut pieces = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, behind) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            prop_assert_eq!(taken(&pieces).unwrap(), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut meta = Meta::new(LONGEST);
            let mut at = 0;
            while let Ok(Some((_, length))) = meta.take(&bytes[at..]) {
                prop_assert!(length > 0);
                at += length;
            }
        }
    }
}
