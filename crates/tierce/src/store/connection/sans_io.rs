//! A whole connection without a runtime, a socket or a thread, as an event loop of another kind drives it: bytes are taken out of
//! the line and fed into it, by hand.

use std::fmt::Debug;
use std::task::{Poll, Waker};

use super::Limits;
use super::line::{Fed, Line};
use super::protocol::Protocol;
use super::slots::Answers;
use crate::store::fault::Fault;
use crate::store::memcached::fuzzed::meta;
use crate::store::redis::fuzzed::resp;

const LONGEST: usize = 1 << 20;

/// A line and what its owner has been told.
struct Owner<P: Protocol> {
    line: Line<P>,
    greeted: Vec<String>,
    pushes: Vec<String>,
}

impl<P: Protocol> Owner<P>
where
    P::Frame: Debug,
{
    fn new(protocol: P) -> Self {
        Owner { line: Line::new(protocol, Limits::default()), greeted: Vec::new(), pushes: Vec::new() }
    }

    fn ask(&mut self, bytes: &[u8], answers: u32) -> u32 {
        let asked = self.line.ask((answers, None), u64::MAX, Waker::noop().clone(), |out| out.extend_from_slice(bytes));
        asked.expect("there is room in the line")
    }

    fn take_output(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while self.line.has_output() {
            let mut bytes = Vec::new();
            self.line.output(&mut bytes);
            all.extend(bytes);
        }
        all
    }

    /// Feeds bytes in pieces of this length.
    fn feed(&mut self, bytes: &[u8], piece: usize) {
        let text = |frame: P::Frame| format!("{frame:?}");
        for bytes in bytes.chunks(piece) {
            let mut fed = Fed::default();
            self.line.feed(bytes, &mut fed).expect("what is fed is what was asked for");
            self.greeted.extend(fed.greeted.into_iter().map(text));
            self.pushes.extend(fed.pushes.into_iter().map(text));
        }
    }

    #[track_caller]
    fn answered(&mut self, slot: u32) -> Vec<String> {
        let Poll::Ready(Ok(answers)) = self.line.poll(slot) else { panic!("not answered") };
        let all = match answers {
            Answers::One(frame) => vec![frame],
            Answers::All(frames) => frames,
        };
        all.into_iter().map(|frame| format!("{frame:?}")).collect()
    }
}

#[test]
fn redis_is_driven_by_bytes_alone_however_they_are_cut() {
    const GREETED: &[u8] = b"%1\r\n+server\r\n+redis\r\n";
    const SAID: &[u8] = b"$5\r\na\r\nbc\r\n>2\r\n+invalidate\r\n*1\r\n$3\r\nm{a\r\n_\r\n*2\r\n:1\r\n$-1\r\n-ERR no\r\n";
    for piece in 1..=SAID.len() {
        let mut owner = Owner::new(resp(LONGEST));
        let early = owner.ask(b"GET a", 1);
        assert_eq!(owner.take_output(), b"", "there is no connection yet");
        owner.line.begin(b"HELLO 3".to_vec(), 1);
        assert_eq!(owner.take_output(), b"HELLO 3", "and nothing before it is answered");
        owner.feed(GREETED, piece);
        assert_eq!((owner.greeted.len(), owner.line.is_up()), (1, true));
        let several = owner.ask(b"GET b|MGET|GET c", 3);
        assert_eq!(owner.take_output(), b"GET aGET b|MGET|GET c");
        owner.feed(SAID, piece);
        assert_eq!(owner.answered(early), [format!("{:?}", crate::store::redis::Reply::Bytes(b"a\r\nbc".to_vec()))]);
        assert_eq!(owner.answered(several).len(), 3);
        assert!(owner.pushes.len() == 1 && owner.pushes[0].contains("Text(\"invalidate\")"), "{:?}", owner.pushes);
    }
}

#[test]
fn memcached_is_driven_by_bytes_alone_however_they_are_cut() {
    const SAID: &[u8] =
        b"VA 4 c7 t30\r\n\r\nEN\r\nEN\r\nHD c9 W\r\nSTAT pid 7\r\nEND\r\nSERVER_ERROR out of memory\r\n";
    let mut whole = None;
    for piece in 1..=SAID.len() {
        let mut owner = Owner::new(meta(LONGEST));
        owner.line.begin(b"mn\r\n".to_vec(), 1);
        assert_eq!(owner.take_output(), b"mn\r\n");
        owner.feed(b"MN\r\n", piece);
        let slots = [owner.ask(b"mg a", 1), owner.ask(b"mg b|ms c", 2), owner.ask(b"stats", 1), owner.ask(b"ms d", 1)];
        assert_eq!(owner.take_output(), b"mg amg b|ms cstatsms d");
        owner.feed(SAID, piece);
        let answers = slots.map(|slot| owner.answered(slot));
        assert_eq!(answers.each_ref().map(Vec::len), [1, 2, 1, 1]);
        assert_eq!(whole.get_or_insert_with(|| answers.clone()), &answers, "in pieces of {piece}");
    }
}

#[test]
fn a_connection_that_is_cut_in_the_middle_of_an_answer_begins_anew() {
    const SAID: &[u8] = b"$5\r\nhello\r\n";
    for cut in 1..SAID.len() {
        let mut owner = Owner::new(resp(LONGEST));
        owner.line.begin(Vec::new(), 0);
        let lost = owner.ask(b"GET a", 1);
        assert_eq!(owner.take_output(), b"GET a");
        owner.feed(&SAID[..cut], 1);
        let waiting = owner.ask(b"GET b", 1);
        owner.line.lost(&Fault::Lost, &mut Vec::new());
        assert!(matches!(owner.line.poll(lost), Poll::Ready(Err(Fault::Lost))));
        assert_eq!(owner.take_output(), b"");
        owner.line.begin(Vec::new(), 0);
        assert_eq!(owner.take_output(), b"GET b");
        owner.feed(SAID, 3);
        assert_eq!(owner.answered(waiting).len(), 1);
    }
}
