//! RESP3: commands to bytes, bytes to answers.
//!
//! An answer is taken in two steps. The first looks for its end, and goes on where it stopped when more bytes have come,
//! so that a large answer in many pieces is looked at once. The second reads it whole. Both refuse what Redis does not
//! send, and neither believes a length before its bytes are there.

use std::io::Write;
use std::sync::Arc;

use super::reply::Reply;
use crate::store::connection::{Garbled, Protocol, Received, Taken};

/// Lists in lists, at most.
const DEEPEST: u32 = 16;
/// Parts of one answer, at most: what a hundred thousand keys' answer may have, many times over.
const MOST_PARTS: u64 = 16 << 20;
/// A line that is longer than this is none of Redis's.
const LONGEST_LINE: usize = 64 << 10;

/// Takes answers out of a stream.
#[derive(Default)]
pub(crate) struct Resp {
    /// How far the end was looked for, and how many parts are missing there.
    looked: usize,
    missing: u64,
    longest: usize,
}

impl Resp {
    /// Answers of at most so many bytes.
    pub(crate) fn new(longest: usize) -> Self {
        Resp { looked: 0, missing: 0, longest }
    }

    /// The length of the first answer, if it is whole.
    fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Garbled> {
        if self.looked == 0 {
            self.missing = 1;
        }
        let mut at = self.looked;
        while self.missing > 0 {
            // Parts are counted as they begin, so what lies before `at` is whole.
            self.looked = at;
            let Some(head) = head(&bytes[at..])? else { return Ok(None) };
            let body = match head.kind {
                b'$' | b'!' | b'=' if head.number >= 0 => {
                    let length = usize::try_from(head.number).map_err(|_| Garbled("a length"))?;
                    if length > self.longest {
                        return Err(Garbled("an answer is larger than the limit"));
                    }
                    length + 2
                }
                _ => 0,
            };
            if bytes.len() - at < head.length + body {
                return Ok(None);
            }
            at += head.length + body;
            self.missing = self.missing - 1 + parts(&head)?;
            if self.missing > MOST_PARTS {
                return Err(Garbled("an answer has more parts than the limit"));
            }
        }
        self.looked = 0;
        Ok(Some(at))
    }
}

impl Protocol for Resp {
    type Frame = Reply;

    fn take(&mut self, bytes: &[u8]) -> Taken<Reply> {
        if self.looked == 0
            && let Some(taken) = short(bytes)
        {
            return Ok(Some(taken));
        }
        let Some(end) = self.end(bytes)? else { return Ok(None) };
        let mut reader = Reader { bytes: &bytes[..end], at: 0 };
        let is_push = reader.skip_attributes()? == Some(b'>');
        let reply = reader.reply(0)?;
        Ok(Some((if is_push { Received::Push(reply) } else { Received::Answer(reply) }, end)))
    }

    fn begin(&mut self) {
        self.looked = 0;
    }
}

/// A string of up to 9,999 bytes that is whole, which is what most answers are: read in one step. Whatever else it may be
/// is left to the two.
fn short(bytes: &[u8]) -> Option<(Received<Reply>, usize)> {
    let (mut length, mut at) = (0, 1);
    if bytes.first() != Some(&b'$') {
        return None;
    }
    while let digit @ b'0'..=b'9' = *bytes.get(at)? {
        length = length * 10 + usize::from(digit - b'0');
        at += 1;
        if at > 5 {
            return None;
        }
    }
    let rest = bytes[at..].strip_prefix(b"\r\n")?;
    let body = rest.get(..length + 2)?.strip_suffix(b"\r\n")?;
    // Without a digit it is no length.
    (at > 1).then(|| (Received::Answer(Reply::Bytes(body.to_vec())), at + length + 4))
}

/// The first line of a part.
struct Head {
    kind: u8,
    /// What the line says, where it is a number.
    number: i64,
    /// Of the line, with its end.
    length: usize,
}

/// How many parts a part begins.
fn parts(head: &Head) -> Result<u64, Garbled> {
    let count = || u64::try_from(head.number.max(0)).map_err(|_| Garbled("a count"));
    match head.kind {
        b'*' | b'~' | b'>' => count(),
        b'%' => Ok(count()?.saturating_mul(2)),
        // The answer that it speaks of comes behind it.
        b'|' => Ok(count()?.saturating_mul(2).saturating_add(1)),
        _ => Ok(0),
    }
}

fn head(bytes: &[u8]) -> Result<Option<Head>, Garbled> {
    let Some(kind) = bytes.first().copied() else { return Ok(None) };
    let Some(end) = line_end(bytes)? else { return Ok(None) };
    // Of an empty line nothing is left.
    let line = bytes.get(1..end).unwrap_or_default();
    let number = match kind {
        b'$' | b'*' | b'%' | b'~' | b'>' | b'!' | b'=' | b'|' | b':' => {
            let number = number(line).ok_or(Garbled("a number"))?;
            // Only what may be nothing has a length of -1.
            let least = match kind {
                b':' => i64::MIN,
                b'$' | b'*' => -1,
                _ => 0,
            };
            if number < least {
                return Err(Garbled("a length below nothing"));
            }
            number
        }
        b'+' | b'-' | b'_' | b',' | b'#' | b'(' => 0,
        _ => return Err(Garbled("an answer of no known kind")),
    };
    Ok(Some(Head { kind, number, length: end + 2 }))
}

/// Where the line's end begins.
fn line_end(bytes: &[u8]) -> Result<Option<usize>, Garbled> {
    let within = &bytes[..bytes.len().min(LONGEST_LINE)];
    match within.iter().position(|byte| *byte == b'\r') {
        Some(at) if bytes.len() == at + 1 => Ok(None),
        Some(at) if bytes[at + 1] == b'\n' => Ok(Some(at)),
        Some(_) => Err(Garbled("a line ends in half an end")),
        None if within.len() == LONGEST_LINE => Err(Garbled("a line without end")),
        None => Ok(None),
    }
}

fn number(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', digits) => (true, digits),
        (b'+', digits) => (false, digits),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value: i64 = 0;
    for digit in digits {
        let digit = i64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        // Downwards, since there is one more below nothing than above.
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// Reads one answer that is whole.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn head(&mut self) -> Result<(Head, &'a [u8]), Garbled> {
        let head = head(&self.bytes[self.at..])?.ok_or(Garbled("an answer that ends too soon"))?;
        let line = &self.bytes[self.at + 1..self.at + head.length - 2];
        self.at += head.length;
        Ok((head, line))
    }

    /// Leaves out what is said about an answer; gives the answer's kind.
    fn skip_attributes(&mut self) -> Result<Option<u8>, Garbled> {
        while self.bytes.get(self.at) == Some(&b'|') {
            let (head, _) = self.head()?;
            for _ in 0..head.number.saturating_mul(2) {
                self.reply(1)?;
            }
        }
        Ok(self.bytes.get(self.at).copied())
    }

    fn reply(&mut self, depth: u32) -> Result<Reply, Garbled> {
        if depth > DEEPEST {
            return Err(Garbled("lists in lists in lists"));
        }
        if self.skip_attributes()?.is_none() {
            return Err(Garbled("an answer that ends too soon"));
        }
        let (head, line) = self.head()?;
        Ok(match head.kind {
            b'+' if line == b"OK" => Reply::Okay,
            b'+' | b'(' => Reply::Text(text(line)),
            b'-' => Reply::Error(Arc::from(text(line))),
            b':' => Reply::Int(head.number),
            b'_' => Reply::Nil,
            b',' => Reply::Double(double(line)?),
            b'#' => match line {
                b"t" => Reply::Bool(true),
                b"f" => Reply::Bool(false),
                _ => return Err(Garbled("neither true nor false")),
            },
            b'$' | b'*' if head.number < 0 => Reply::Nil,
            b'$' => Reply::Bytes(self.body(&head)?.to_vec()),
            b'!' => Reply::Error(Arc::from(text(self.body(&head)?))),
            // Its first four bytes say what kind of text it is.
            b'=' => Reply::Bytes(self.body(&head)?.get(4..).ok_or(Garbled("a text without its kind"))?.to_vec()),
            b'*' | b'~' | b'>' => {
                let mut list = Vec::with_capacity(self.room(&head));
                for _ in 0..head.number {
                    list.push(self.reply(depth + 1)?);
                }
                Reply::List(list)
            }
            b'%' => {
                let mut map = Vec::with_capacity(self.room(&head));
                for _ in 0..head.number {
                    map.push((self.reply(depth + 1)?, self.reply(depth + 1)?));
                }
                Reply::Map(map)
            }
            _ => return Err(Garbled("an answer of no known kind")),
        })
    }

    fn body(&mut self, head: &Head) -> Result<&'a [u8], Garbled> {
        let length = usize::try_from(head.number).map_err(|_| Garbled("a length"))?;
        let whole = self.bytes.get(self.at..self.at + length + 2).ok_or(Garbled("an answer that ends too soon"))?;
        let (body, end) = whole.split_at(length);
        if end != b"\r\n" {
            return Err(Garbled("a string is longer than it says"));
        }
        self.at += length + 2;
        Ok(body)
    }

    /// As many parts as can lie in the bytes that are left: a count is believed no further.
    fn room(&self, head: &Head) -> usize {
        usize::try_from(head.number).unwrap_or(0).min((self.bytes.len() - self.at) / 3)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn double(line: &[u8]) -> Result<f64, Garbled> {
    let text = std::str::from_utf8(line).map_err(|_| Garbled("a number"))?;
    text.parse().map_err(|_| Garbled("a number"))
}

/// Writes a command: its parts, each with its length before it.
pub(crate) fn command(out: &mut Vec<u8>, parts: &[&[u8]]) {
    begin(out, parts.len());
    for each in parts {
        part(out, each);
    }
}

/// Writes the command that is by far the most frequent.
pub(crate) fn get(out: &mut Vec<u8>, key: &[u8]) {
    out.extend_from_slice(b"*2\r\n$3\r\nGET\r\n");
    part(out, key);
}

/// Begins a command of so many parts.
pub(crate) fn begin(out: &mut Vec<u8>, parts: usize) {
    first_line(out, b'*', parts);
}

/// The next part of a command.
pub(crate) fn part(out: &mut Vec<u8>, bytes: &[u8]) {
    first_line(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A kind, a number and the end of its line. Most numbers are short, and bytes of a known count are put in their place
/// without a call.
fn first_line(out: &mut Vec<u8>, kind: u8, number: usize) {
    let digit = |number: usize| b'0' + u8::try_from(number % 10).unwrap_or(0);
    match number {
        0..10 => out.extend_from_slice(&[kind, digit(number), b'\r', b'\n']),
        10..100 => out.extend_from_slice(&[kind, digit(number / 10), digit(number), b'\r', b'\n']),
        // Bytes take whatever is written to them.
        _ => drop(write!(out, "{}{number}\r\n", char::from(kind))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Resp, command};
    use crate::store::connection::{Protocol, Received};
    use crate::store::redis::Reply;

    const LONGEST: usize = 1 << 20;

    /// Everything that is taken out of the pieces.
    fn taken(pieces: &[&[u8]]) -> Result<Vec<Received<Reply>>, &'static str> {
        let (mut resp, mut bytes, mut all) = (Resp::new(LONGEST), Vec::new(), Vec::new());
        for piece in pieces {
            bytes.extend_from_slice(piece);
            while let Some((received, length)) = resp.take(&bytes).map_err(|garbled| garbled.0)? {
                bytes.drain(..length);
                all.push(received);
            }
        }
        assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
        Ok(all)
    }

    #[track_caller]
    fn check(bytes: &str, expected: Reply) {
        assert_eq!(taken(&[bytes.as_bytes()]).unwrap(), [Received::Answer(expected)]);
    }

    #[track_caller]
    fn refused(bytes: &str) {
        assert!(taken(&[bytes.as_bytes()]).is_err());
    }

    fn bytes(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn each_kind_of_answer_is_read() {
        check("+OK\r\n", Reply::Okay);
        check("+PONG\r\n", Reply::Text("PONG".into()));
        check("-ERR no\r\n", Reply::Error("ERR no".into()));
        check("!6\r\nERR no\r\n", Reply::Error("ERR no".into()));
        check(":-9223372036854775808\r\n", Reply::Int(i64::MIN));
        check("$0\r\n\r\n", bytes(""));
        check("$00004\r\nlong\r\n", bytes("long"));
        check(&format!("$12345\r\n{0}\r\n", "x".repeat(12_345)), bytes(&"x".repeat(12_345)));
        check("$4\r\na\r\nb\r\n", bytes("a\r\nb"));
        check("$-1\r\n", Reply::Nil);
        check("*-1\r\n", Reply::Nil);
        check("_\r\n", Reply::Nil);
        check("#t\r\n", Reply::Bool(true));
        check(",1.5\r\n", Reply::Double(1.5));
        check(",inf\r\n", Reply::Double(f64::INFINITY));
        check("(123456789012345678901234567890\r\n", Reply::Text("123456789012345678901234567890".into()));
        check("=8\r\ntxt:some\r\n", bytes("some"));
        check("*2\r\n$1\r\na\r\n*0\r\n", Reply::List(vec![bytes("a"), Reply::List(Vec::new())]));
        check("~1\r\n:1\r\n", Reply::List(vec![Reply::Int(1)]));
        check("%1\r\n+a\r\n_\r\n", Reply::Map(vec![(Reply::Text("a".into()), Reply::Nil)]));
        check("|1\r\n+ttl\r\n:3\r\n+OK\r\n", Reply::Okay);
    }

    #[test]
    fn a_push_is_nobodys_answer() {
        let all = taken(&[b">2\r\n+invalidate\r\n_\r\n+OK\r\n"]).unwrap();
        let push = Reply::List(vec![Reply::Text("invalidate".into()), Reply::Nil]);
        assert_eq!(all, [Received::Push(push), Received::Answer(Reply::Okay)]);
    }

    #[test]
    fn what_no_server_sends_is_refused() {
        refused("hello\r\n");
        refused("$-2\r\n");
        refused("$x\r\n");
        refused("$\r\n\r\n");
        refused("$1\n1\r\n");
        refused("$3\r\nabcd\r\n");
        refused("$99999999\r\n");
        refused("*99999999999\r\n");
        refused("%-1\r\n");
        refused("+O\rK\r\n");
        refused("#x\r\n");
        refused(&format!("+{}", "x".repeat(70_000)));
        refused(&format!("{}:1\r\n", "*1\r\n".repeat(40)));
        refused(":99999999999999999999\r\n");
    }

    #[test]
    fn a_command_is_its_parts_with_their_lengths() {
        let mut out = Vec::new();
        command(&mut out, &[b"SET", b"", b"a\r\nlong part"]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\na\r\nlong part\r\n");
        out.clear();
        command(&mut out, &[&[b'x'; 1234]]);
        assert!(out.starts_with(b"*1\r\n$1234\r\nx"));
    }

    fn replies() -> impl Strategy<Value = (Vec<u8>, Reply)> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(|number| (format!(":{number}\r\n").into_bytes(), Reply::Int(number))),
            Just((b"_\r\n".to_vec(), Reply::Nil)),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(|body| {
                let mut out = format!("${}\r\n", body.len()).into_bytes();
                out.extend_from_slice(&body);
                out.extend_from_slice(b"\r\n");
                (out, Reply::Bytes(body))
            }),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            proptest::collection::vec(inner, 0..5).prop_map(|parts| {
                let mut out = format!("*{}\r\n", parts.len()).into_bytes();
                parts.iter().for_each(|(bytes, _)| out.extend_from_slice(bytes));
                (out, Reply::List(parts.into_iter().map(|(_, reply)| reply).collect()))
            })
        })
    }

    proptest! {
        #[test]
        fn any_cutting_of_a_stream_gives_the_same_answers(
            all in proptest::collection::vec(replies(), 1..6),
            cuts in proptest::collection::vec(1_usize..9, 1..50),
        ) {
            let stream: Vec<u8> = all.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
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
            let expected: Vec<_> = all.into_iter().map(|(_, reply)| Received::Answer(reply)).collect();
            prop_assert_eq!(taken(&pieces).unwrap(), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut resp = Resp::new(LONGEST);
            let mut at = 0;
            while let Ok(Some((_, length))) = resp.take(&bytes[at..]) {
                prop_assert!(length > 0);
                at += length;
            }
        }
    }
}
