//! A connection on a simulated network, in virtual time: a seed decides how bytes are cut and delayed, which connections are cut in
//! the middle of an answer, go silent, drip or are never opened, and in which order tasks have their turn. Only the pauses before
//! it is opened again are the process's own chance.
//!
//! Each answer says what was asked, so that an answer to somebody else would be seen.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::runtime::{BoxFuture, Runtime, Wire};
use crate::store::connection::slots::Answers;
use crate::store::connection::{Connection, Greeting, Limits, Protocol};
use crate::store::fault::Fault;
use crate::store::redis::Reply;
use crate::store::redis::fuzzed::resp;
use crate::testing::Sim;

const SEEDS: u64 = 300;
const CALLERS: u64 = 12;
const CALLS: u64 = 12;
/// The network is whole after this.
const WHOLE: Duration = Duration::from_secs(2);
/// Two ticks of the connection's clock, and the longest that a task waits for its turn.
const SLACK: Duration = Duration::from_millis(2);

const MS: Duration = Duration::from_millis(1);

/// What becomes of one connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Sound,
    /// It ends when so many more bytes have come back.
    Cut(usize),
    /// After so many bytes nothing comes back, and nobody says so.
    Silent(usize),
    /// A byte at a time.
    Drips,
}

/// How often each fate came, over all seeds.
#[derive(Default)]
struct Seen {
    cut: AtomicU64,
    silent: AtomicU64,
    dripped: AtomicU64,
    refused: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    left: AtomicU64,
}

#[derive(Clone)]
struct Network {
    sim: Sim,
    seen: Arc<Seen>,
}

impl Network {
    fn is_whole(&self) -> bool {
        self.sim.now() >= WHOLE
    }

    fn dial(&self) -> crate::runtime::Dialing {
        let network = self.clone();
        Box::pin(async move {
            network.sim.sleep(MS * small(network.sim.below(5))).await;
            match if network.is_whole() { 9 } else { network.sim.below(10) } {
                0 => {
                    network.seen.refused.fetch_add(1, Relaxed);
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                1 => std::future::pending().await,
                _ => {}
            }
            let after = usize::try_from(network.sim.below(400)).unwrap_or(0);
            let fate = match if network.is_whole() { 9 } else { network.sim.below(6) } {
                0 | 1 => Fate::Cut(after),
                2 => Fate::Silent(after),
                3 => Fate::Drips,
                _ => Fate::Sound,
            };
            let count = match fate {
                Fate::Cut(_) => &network.seen.cut,
                Fate::Silent(_) => &network.seen.silent,
                Fate::Drips => &network.seen.dripped,
                Fate::Sound => &network.seen.answered,
            };
            if fate != Fate::Sound {
                count.fetch_add(1, Relaxed);
            }
            let wire = SimWire { network, fate, asked: Vec::new(), coming: VecDeque::new(), alarm: None };
            Ok(Box::new(wire) as Box<dyn Wire>)
        })
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// A stream, and the server at its other end: a request is a number and a line's end, and its answer says the same.
struct SimWire {
    network: Network,
    fate: Fate,
    asked: Vec<u8>,
    /// What comes back, and from when on.
    coming: VecDeque<(Duration, u8)>,
    alarm: Option<(Duration, BoxFuture)>,
}

impl SimWire {
    fn serve(&mut self) {
        while let Some(end) = self.asked.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.asked.drain(..=end).collect();
            let text = &line[..end];
            let answer = [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat();
            let sim = &self.network.sim;
            let delay = MS * if self.network.is_whole() { 1 } else { small(sim.below(30)) };
            let last = self.coming.back().map_or(Duration::ZERO, |(at, _)| *at);
            let mut at = last.max(sim.now() + delay);
            for byte in answer {
                if self.fate == Fate::Drips {
                    at += MS * small(sim.below(4));
                }
                self.coming.push_back((at, byte));
            }
        }
    }
}

impl Wire for SimWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let now = self.network.sim.now();
        let most = 1 + usize::try_from(self.network.sim.below(40)).unwrap_or(0);
        let mut read = 0;
        while read < most.min(buffer.len()) {
            match (&mut self.fate, self.coming.front()) {
                (Fate::Cut(0), _) if read == 0 => return Poll::Ready(Ok(0)),
                (Fate::Cut(0) | Fate::Silent(0), _) => break,
                (Fate::Cut(left) | Fate::Silent(left), Some((at, _))) if *at <= now => *left -= 1,
                (_, Some((at, _))) if *at <= now => {}
                _ => break,
            }
            let Some((_, byte)) = self.coming.pop_front() else { break };
            buffer[read] = byte;
            read += 1;
        }
        if read > 0 {
            return Poll::Ready(Ok(read));
        }
        // Whoever writes is polled by the same task; nothing else can bring anything before this.
        let Some((at, _)) = self.coming.front().copied().filter(|_| self.fate != Fate::Silent(0)) else {
            return Poll::Pending;
        };
        if self.alarm.as_ref().is_none_or(|(until, _)| *until != at) {
            self.alarm = Some((at, Box::pin(self.network.sim.sleep(at.saturating_sub(now)))));
        }
        if let Some((_, alarm)) = &mut self.alarm
            && alarm.as_mut().poll(cx).is_ready()
        {
            self.alarm = None;
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.network.sim.below(8) {
            0 => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            1 if self.fate == Fate::Cut(0) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            _ => {}
        }
        let taken = 1 + usize::try_from(self.network.sim.below(bytes.len() as u64)).unwrap_or(0);
        self.asked.extend_from_slice(&bytes[..taken]);
        self.serve();
        Poll::Ready(Ok(taken))
    }
}

/// One of those who ask: each answer is to his own question and in time, and all is well once the network is.
async fn ask(network: Network, connection: Connection<impl Protocol<Frame = Reply>>, caller: u64) {
    let sim = &network.sim;
    for call in 0..CALLS {
        sim.sleep(MS * small(sim.below(250))).await;
        let (text, patience) = (format!("{caller}:{call}"), MS * (1 + small(sim.below(200))));
        let (began, said) = (sim.now(), format!("{text}\n"));
        let mut asked = Box::pin(connection.call(1, patience, move |out| out.extend_from_slice(said.as_bytes())));
        let leaves = sim.below(6) == 0;
        let mut leaving = Box::pin(sim.sleep(patience / 2));
        let ended = poll_fn(|cx| match asked.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if leaves && Pin::new(&mut leaving).poll(cx).is_ready() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match ended.await {
            None => _ = network.seen.left.fetch_add(1, Relaxed),
            Some(Ok(Answers::One(Reply::Bytes(answer)))) => {
                assert_eq!(String::from_utf8_lossy(&answer), text, "an answer to somebody else");
                network.seen.answered.fetch_add(1, Relaxed);
            }
            Some(Err(Fault::Timeout | Fault::Lost | Fault::Down(_))) => _ = network.seen.failed.fetch_add(1, Relaxed),
            Some(other) => panic!("{text}: {other:?}"),
        }
        assert!(sim.now() <= began + patience + SLACK, "{text} waited {:?} of {patience:?}", sim.now() - began);
    }
    // What went silent before may take a second to be found out, and the longest pause may follow.
    sim.sleep((WHOLE + Duration::from_secs(4)).saturating_sub(sim.now())).await;
    let said = format!("{caller}:end\n");
    let ended = connection.call(1, Duration::from_secs(1), move |out| out.extend_from_slice(said.as_bytes())).await;
    assert!(matches!(ended, Ok(Answers::One(_))), "caller {caller}: {ended:?}, though the network is whole");
}

fn run(seed: u64, seen: &Arc<Seen>) {
    let sim = Sim::new(seed);
    let runtime = sim.runtime();
    let network = Network { sim: sim.clone(), seen: Arc::clone(seen) };
    let here: Arc<dyn Runtime> = runtime.clone();
    let greeting = Greeting {
        bytes: b"hello\n".to_vec(),
        answers: 1,
        check: |_, _| Ok(()),
        pushed: Box::new(|_| ()),
        closed: "it was closed".into(),
    };
    let dial = {
        let network = network.clone();
        Box::new(move |_: &Arc<dyn Runtime>| network.dial())
    };
    let connection = Connection::open(resp(1 << 20), greeting, dial, (&here, sim.clock()), Limits::default());
    let ended = Arc::new(AtomicU64::new(0));
    for caller in 0..CALLERS {
        let (network, connection, ended) = (network.clone(), connection.clone(), Arc::clone(&ended));
        sim.spawn(&runtime, async move {
            ask(network, connection, caller).await;
            ended.fetch_add(1, Relaxed);
        });
    }
    drop(connection);
    sim.run();
    assert_eq!(ended.load(Relaxed), CALLERS, "some still wait: seed {seed}");
    sim.bury();
}

#[test]
fn nobody_gets_another_ones_answer_or_waits_too_long_whatever_the_network_does() {
    let seen = Arc::new(Seen::default());
    let failed = AtomicBool::new(false);
    for seed in 0..SEEDS {
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed, &seen)));
        if ran.is_err() {
            eprintln!("seed {seed} failed");
            failed.store(true, Relaxed);
            break;
        }
    }
    assert!(!failed.load(Relaxed));
    let Seen { cut, silent, dripped, refused, answered, failed, left } = &*seen;
    for (what, count) in [
        ("cut", cut),
        ("silent", silent),
        ("dripped", dripped),
        ("refused", refused),
        ("answered", answered),
        ("failed", failed),
        ("left", left),
    ] {
        assert!(count.load(Relaxed) >= 5, "{what}: {}, of {SEEDS} seeds", count.load(Relaxed));
    }
}
