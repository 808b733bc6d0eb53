//! A process under check and its parent: what it tells, what it asks of the database, what it is ordered.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, oneshot, watch};

use super::record::{Kind, ORDER_BYTES, Order, Record};
use crate::clock;

/// How often what was done is told.
const TELLS: Duration = Duration::from_millis(10);
/// With so much untold, nothing more is done: the parent is slower than its children.
const MOST_BYTES: usize = 4 << 20;

/// The worker's end.
pub(super) struct Link {
    out: Mutex<Vec<u8>>,
    wake: Notify,
    asked: Mutex<HashMap<u64, oneshot::Sender<u64>>>,
    next: AtomicU64,
}

impl Link {
    /// Connects, and gives what the parent orders.
    pub(super) async fn open(port: u16, number: u32) -> std::io::Result<(Arc<Self>, watch::Receiver<Option<Order>>)> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let link = Arc::new(Link {
            out: Mutex::default(),
            wake: Notify::new(),
            asked: Mutex::default(),
            next: AtomicU64::new(1),
        });
        link.push(Record { id: u64::from(number), ..Record::of(Kind::Hello) });
        let (orders, ordered) = watch::channel(None);
        tokio::spawn(Arc::clone(&link).write(write));
        tokio::spawn(Arc::clone(&link).read(read, orders));
        Ok((link, ordered))
    }

    fn out(&self) -> MutexGuard<'_, Vec<u8>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other record of this process has.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }

    /// Tells that something has ended, now.
    pub(super) fn ended(&self, record: Record) {
        let mut out = self.out();
        // Under the lock, so that a watermark that follows is later.
        Record { end: clock::common_ns(), ..record }.write(&mut out);
    }

    /// Tells that something begins, now; when that is.
    pub(super) fn begins(&self, record: Record) -> u64 {
        let mut out = self.out();
        let begin = clock::common_ns();
        Record { begin, end: begin, ..record }.write(&mut out);
        begin
    }

    fn push(&self, record: Record) {
        record.write(&mut self.out());
        self.wake.notify_one();
    }

    /// Waits while the parent is behind.
    pub(super) async fn has_room(&self) {
        while self.out().len() > MOST_BYTES {
            tokio::time::sleep(TELLS).await;
        }
    }

    /// Asks the database.
    pub(super) async fn ask(&self, kind: Kind, key: u32) -> u64 {
        let (answer, answered) = oneshot::channel();
        let id = self.number();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(id, answer);
        self.push(Record { id, subject: key, ..Record::of(kind) });
        // Without a parent this process ends.
        answered.await.unwrap_or(0)
    }

    async fn write(self: Arc<Self>, mut stream: OwnedWriteHalf) {
        loop {
            let _time_or_woken = tokio::time::timeout(TELLS, self.wake.notified()).await;
            let bytes = {
                let mut out = self.out();
                Record { end: clock::common_ns(), ..Record::of(Kind::Watermark) }.write(&mut out);
                std::mem::take(&mut *out)
            };
            if stream.write_all(&bytes).await.is_err() {
                std::process::exit(1);
            }
        }
    }

    async fn read(self: Arc<Self>, mut stream: OwnedReadHalf, orders: watch::Sender<Option<Order>>) {
        let mut bytes = [0; ORDER_BYTES];
        while stream.read_exact(&mut bytes).await.is_ok() {
            match Order::read(&bytes) {
                Order::Answer(id, version) => {
                    let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                    // Who asked may have left.
                    let _ = asked.map(|asked| asked.send(version));
                }
                order => drop(orders.send(Some(order))),
            }
        }
        // The parent is gone, or wants no more.
        std::process::exit(0);
    }
}
