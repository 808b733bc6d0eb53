//! Lines of JSON between two processes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::order::Order;

/// Where a process finds the word that it says to its parent.
pub(super) const WORD: &str = "TIERCE_DEMO_WORD";
/// How long somebody who connects may take to say who he is.
const INTRODUCTION: Duration = Duration::from_secs(10);

/// An order and its number.
#[derive(Serialize, Deserialize)]
pub(super) struct Ordered {
    pub(super) id: u64,
    pub(super) order: Order,
}

/// What came of an order.
#[derive(Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) id: u64,
    pub(super) outcome: Outcome,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Outcome {
    Done(Value),
    Failed(String),
}

/// Who waits for which answer; `None` once none will come any more.
type Waiting = Mutex<Option<HashMap<u64, oneshot::Sender<Outcome>>>>;

/// The end of one who orders.
pub(super) struct Line {
    out: mpsc::UnboundedSender<String>,
    waiting: Arc<Waiting>,
    next: AtomicU64,
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Outcome>>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// A line on which somebody has said what he should.
    pub(super) async fn answered<T: DeserializeOwned>(stream: TcpStream) -> Option<(Arc<Self>, T)> {
        let (mut lines, write) = halves(stream)?;
        let said = tokio::time::timeout(INTRODUCTION, lines.next_line()).await.ok()?.ok()??;
        let said = serde_json::from_str(&said).ok()?;
        let waiting: Arc<Waiting> = Arc::new(Mutex::new(Some(HashMap::new())));
        let out = sender(write);
        tokio::spawn(hear(lines, Arc::clone(&waiting)));
        Some((Arc::new(Self { out, waiting, next: AtomicU64::new(1) }), said))
    }

    /// Orders, and waits for the answer.
    pub(super) async fn ask(&self, order: &Order) -> Result<Value, String> {
        let (answer, answered) = oneshot::channel();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // Without a list the answer is dropped here, and so nobody waits for it.
        let _ = lock(&self.waiting).as_mut().map(|waiting| waiting.insert(id, answer));
        let _forgotten = Forgotten { waiting: &self.waiting, id };
        // Where it cannot be sent the list is gone as well, or is about to be.
        let _ = self.out.send(text(&Ordered { id, order: order.clone() }));
        match answered.await {
            Ok(Outcome::Done(value)) => Ok(value),
            Ok(Outcome::Failed(problem)) => Err(problem),
            Err(_) => Err("it has ended".to_owned()),
        }
    }
}

/// Takes an order that nobody waits for any more out of the list.
struct Forgotten<'a> {
    waiting: &'a Waiting,
    id: u64,
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        let _ = lock(self.waiting).as_mut().map(|waiting| waiting.remove(&self.id));
    }
}

async fn hear(mut lines: Lines<BufReader<OwnedReadHalf>>, waiting: Arc<Waiting>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(Answered { id, outcome }) = serde_json::from_str(&line) else { break };
        // Who asked may have left.
        let answer = lock(&waiting).as_mut().and_then(|waiting| waiting.remove(&id));
        let _ = answer.map(|answer| answer.send(outcome));
    }
    // Whoever waits, or will ask, is told that nothing will come.
    *lock(&waiting) = None;
}

/// Both directions of a connection.
pub(super) fn halves(stream: TcpStream) -> Option<(Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf)> {
    stream.set_nodelay(true).ok()?;
    let (read, write) = stream.into_split();
    Some((BufReader::new(read).lines(), write))
}

/// Sends lines in the order in which they are given, from a task of its own.
pub(super) fn sender(mut write: OwnedWriteHalf) -> mpsc::UnboundedSender<String> {
    let (out, mut lines) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            if write.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    out
}

/// A line of JSON.
pub(super) fn text(said: &impl Serialize) -> String {
    serde_json::to_string(said).expect("what is said has no keys that JSON lacks") + "\n"
}
