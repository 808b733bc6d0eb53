use std::task::{Poll, Waker};

use proptest::prelude::*;

use super::{Fed, Line};
use crate::store::connection::protocol::{Garbled, Protocol, Received, Taken};
use crate::store::connection::{Answers, Limits};
use crate::store::fault::Fault;

/// Answers are two bytes each, a request's number; it is answered as often as its second byte says.
struct Pairs;

impl Protocol for Pairs {
    type Frame = u8;

    fn take(&mut self, bytes: &[u8]) -> Taken<u8> {
        match bytes {
            [b'!', b'!', ..] => Err(Garbled("no pair")),
            [number, _, ..] => Ok(Some((Received::Answer(*number), 2))),
            _ => Ok(None),
        }
    }

    fn begin(&mut self) {}
}

fn line() -> Line<Pairs> {
    let limits = Limits { requests: 4, request_bytes: 8, ..Limits::default() };
    let mut line = Line::new(Pairs, limits);
    line.begin(Vec::new(), 0);
    line
}

fn ask(line: &mut Line<Pairs>, number: u8, answers: u32) -> Result<u32, Fault> {
    line.ask((answers, None), 50, Waker::noop().clone(), |out| out.extend([number, u8::try_from(answers).unwrap()]))
}

fn written(line: &mut Line<Pairs>) -> Vec<u8> {
    let mut out = Vec::new();
    line.output(&mut out);
    out
}

fn feed(line: &mut Line<Pairs>, bytes: &[u8]) -> Result<usize, Garbled> {
    let mut fed = Fed::default();
    line.feed(bytes, &mut fed)?;
    Ok(fed.wakers.len())
}

#[test]
fn answers_go_to_requests_in_their_order() {
    let mut line = line();
    let (one, two) = (ask(&mut line, 1, 1).unwrap(), ask(&mut line, 2, 2).unwrap());
    assert_eq!(written(&mut line), [1, 1, 2, 2]);
    assert_eq!(line.poll(one), Poll::Pending);
    assert_eq!(feed(&mut line, &[1, 1, 2]), Ok(1));
    assert_eq!(feed(&mut line, &[2, 2]), Ok(0));
    assert_eq!(line.poll(two), Poll::Pending);
    assert_eq!(feed(&mut line, &[2]), Ok(1));
    assert_eq!(line.poll(two), Poll::Ready(Ok(Answers::All(vec![2, 2]))));
    assert_eq!(line.poll(one), Poll::Ready(Ok(Answers::One(1))));
}

#[test]
fn who_leaves_shifts_nobodys_answer_and_what_he_had_not_written_is_not_written() {
    let mut line = line();
    let (one, two) = (ask(&mut line, 1, 1).unwrap(), ask(&mut line, 2, 1).unwrap());
    assert_eq!(written(&mut line), [1, 1, 2, 1]);
    drop(line.leave(one));
    let (three, four) = (ask(&mut line, 3, 1).unwrap(), ask(&mut line, 4, 1).unwrap());
    drop(line.leave(three));
    assert_eq!(written(&mut line), [4, 1]);
    assert_eq!(feed(&mut line, &[1, 0, 2, 0, 4, 0]), Ok(2));
    assert_eq!(line.poll(two), Poll::Ready(Ok(Answers::One(2))));
    assert_eq!(line.poll(four), Poll::Ready(Ok(Answers::One(4))));
}

#[test]
fn who_waits_too_long_is_told_and_his_answer_is_nobodys() {
    let mut line = line();
    let one = ask(&mut line, 1, 1).unwrap();
    assert_eq!(written(&mut line), [1, 1]);
    let mut wakers = Vec::new();
    line.expire(49, &mut wakers);
    assert_eq!((wakers.len(), line.earliest_ms()), (0, 50));
    line.expire(50, &mut wakers);
    assert_eq!((wakers.len(), line.earliest_ms()), (1, u64::MAX));
    assert_eq!(line.poll(one), Poll::Ready(Err(Fault::Timeout)));
    let two = ask(&mut line, 2, 1).unwrap();
    assert_eq!(written(&mut line), [2, 1]);
    assert_eq!(feed(&mut line, &[1, 0, 2, 0]), Ok(1));
    assert_eq!(line.poll(two), Poll::Ready(Ok(Answers::One(2))));
}

#[test]
fn of_a_broken_connection_what_was_written_has_failed_and_the_rest_goes_to_the_next() {
    let mut line = line();
    let one = ask(&mut line, 1, 1).unwrap();
    assert_eq!(written(&mut line), [1, 1]);
    let two = ask(&mut line, 2, 1).unwrap();
    let mut wakers = Vec::new();
    line.lost(&Fault::Lost, &mut wakers);
    assert_eq!(line.poll(one), Poll::Ready(Err(Fault::Lost)));
    assert!(written(&mut line).is_empty());
    line.begin(b"hi".to_vec(), 1);
    assert_eq!(written(&mut line), b"hi");
    assert!(written(&mut line).is_empty());
    assert_eq!(feed(&mut line, &[9, 9]), Ok(0));
    assert_eq!(written(&mut line), [2, 1]);
    line.refuse(&Fault::Lost, &mut wakers);
    assert_eq!(line.poll(two), Poll::Ready(Err(Fault::Lost)));
}

#[test]
fn who_was_asked_is_never_told_that_he_was_not() {
    let mut line = line();
    let one = ask(&mut line, 1, 1).unwrap();
    assert_eq!(written(&mut line), [1, 1]);
    let two = ask(&mut line, 2, 1).unwrap();
    line.close(Fault::Down("its runtime has stopped".into()), &mut Vec::new());
    assert_eq!(line.poll(one), Poll::Ready(Err(Fault::Lost)));
    assert!(matches!(line.poll(two), Poll::Ready(Err(Fault::Down(_)))));
}

#[test]
fn what_is_for_one_connection_is_never_asked_on_another() {
    let mut line = line();
    let first = line.number();
    let bound =
        |line: &mut Line<Pairs>, number| line.ask((1, first), 50, Waker::noop().clone(), |out| out.extend([number, 1]));
    let (one, two, three) = (bound(&mut line, 1).unwrap(), ask(&mut line, 2, 1).unwrap(), bound(&mut line, 3));
    line.lost(&Fault::Lost, &mut Vec::new());
    assert!(matches!(line.poll(one), Poll::Ready(Err(Fault::Down(_)))));
    assert!(matches!(line.poll(three.unwrap()), Poll::Ready(Err(Fault::Down(_)))));
    assert!(matches!(bound(&mut line, 4), Err(Fault::Down(_))));
    line.begin(Vec::new(), 0);
    assert!(matches!(bound(&mut line, 5), Err(Fault::Down(_))));
    assert_eq!(written(&mut line), [2, 1]);
    assert_eq!(feed(&mut line, &[2, 0]), Ok(1));
    assert_eq!(line.poll(two), Poll::Ready(Ok(Answers::One(2))));
}

#[test]
fn what_is_too_much_is_refused_and_an_answer_that_nobody_asked_for_ends_the_connection() {
    let mut line = line();
    assert_eq!(line.ask((1, None), 50, Waker::noop().clone(), |out| out.extend([0; 9])), Err(Fault::TooLarge));
    for number in 0..4 {
        ask(&mut line, number, 1).unwrap();
    }
    assert_eq!(ask(&mut line, 5, 1), Err(Fault::Full));
    assert_eq!(written(&mut line).len(), 8);
    assert!(feed(&mut line, &[0, 0, 1, 0, 2, 0, 3, 0, 4, 0]).is_err());
    assert!(feed(&mut line, b"!!").is_err());
}

#[derive(Clone, Debug)]
enum Doing {
    Ask(u32),
    Leave(usize),
    Write,
    /// Answers so many bytes of what was written.
    Answer(usize),
    Expire,
    Lose,
}

fn doings() -> impl Strategy<Value = Vec<Doing>> {
    let doing = prop_oneof![
        4 => (1_u32..4).prop_map(Doing::Ask),
        1 => (0_usize..8).prop_map(Doing::Leave),
        3 => Just(Doing::Write),
        4 => (1_usize..9).prop_map(Doing::Answer),
        1 => Just(Doing::Expire),
        1 => Just(Doing::Lose),
    ];
    proptest::collection::vec(doing, 1..120)
}

proptest! {
    #[test]
    fn whatever_happens_nobody_gets_anothers_answer(doings in doings()) {
        let mut line = Line::new(Pairs, Limits::default());
        line.begin(Vec::new(), 0);
        // The answers that the server owes, and who waits for what.
        let (mut owed, mut waiting, mut number) = (Vec::new(), Vec::new(), 0_u8);
        for (now, doing) in doings.into_iter().enumerate() {
            let mut wakers = Vec::new();
            match doing {
                Doing::Ask(answers) => {
                    number = number.wrapping_add(1) | 0x80;
                    let until = now as u64 + 20;
                    let encode = |out: &mut Vec<u8>| out.extend([number, u8::try_from(answers).unwrap()]);
                    let slot = line.ask((answers, None), until, Waker::noop().clone(), encode).unwrap();
                    waiting.push((slot, number, answers));
                }
                Doing::Leave(which) if !waiting.is_empty() => {
                    drop(line.leave(waiting.swap_remove(which % waiting.len()).0));
                }
                Doing::Leave(_) => {}
                Doing::Write => {
                    for request in written(&mut line).chunks(2) {
                        owed.extend([request[0], 0].repeat(request[1].into()));
                    }
                }
                Doing::Answer(bytes) => {
                    let bytes: Vec<_> = owed.drain(..bytes.min(owed.len())).collect();
                    feed(&mut line, &bytes).unwrap();
                }
                Doing::Expire => line.expire(now as u64, &mut wakers),
                Doing::Lose => {
                    owed.clear();
                    line.lost(&Fault::Lost, &mut wakers);
                    line.begin(Vec::new(), 0);
                }
            }
            waiting.retain(|(slot, number, answers)| match line.poll(*slot) {
                Poll::Pending => true,
                Poll::Ready(Ok(Answers::One(answer))) => {
                    assert_eq!((answer, 1), (*number, *answers));
                    false
                }
                Poll::Ready(Ok(Answers::All(all))) => {
                    assert_eq!(all, vec![*number; *answers as usize]);
                    false
                }
                Poll::Ready(Err(_)) => false,
            });
        }
    }
}
