//! The processes under check, as their parent sees them: started, heard, ordered, stopped, killed and replaced.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use super::belief::{Belief, Bounds};
use super::changes::ends;
use super::history::{Event, History};
use super::mutants;
use super::python::Python;
use super::record::{BYTES, Class, Kind, Order, Record, Scope};
use super::rows::{KEYS, Rows};
use crate::error::Error;
use crate::process::Process;

/// How far a wall clock is set off at most: past the hour that rows are fresh for.
const FURTHEST_S: i64 = 7200;

/// What all connections of the parent share.
pub(super) struct Desk {
    rows: Rows,
    history: Mutex<History>,
    heard: Mutex<Heard>,
    changed: Notify,
}

#[derive(Default)]
struct Heard {
    orders: BTreeMap<u32, mpsc::UnboundedSender<Order>>,
    at_rest: usize,
}

/// How each process is started.
pub(super) struct Setting {
    pub(super) store: String,
    pub(super) namespace: String,
    pub(super) bounds: Bounds,
    /// Whether the store tells of changes.
    pub(super) tells: bool,
    pub(super) seed: u64,
    pub(super) tasks: u32,
    pub(super) reads: u64,
    pub(super) mutant: Option<String>,
    pub(super) python: Option<Python>,
}

/// The processes.
pub(super) struct Team {
    pub(super) desk: Arc<Desk>,
    setting: Setting,
    port: u16,
    processes: BTreeMap<u32, Member>,
    started: u32,
}

/// A process, in the place of one that was killed or of nobody.
struct Member {
    place: u32,
    process: Process,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    /// What the history is judged by at its end.
    pub(super) fn replace_history(&self, history: History) -> History {
        std::mem::replace(&mut *self.history(), history)
    }

    pub(super) fn version(&self, key: u32) -> u64 {
        self.rows.version(key)
    }

    async fn hear(self: Arc<Self>, stream: TcpStream) {
        let (mut read, write) = stream.into_split();
        let (orders, ordered) = mpsc::unbounded_channel();
        tokio::spawn(order(write, ordered));
        let mut process = None;
        let mut bytes = vec![0; 1 << 16];
        let mut kept = 0;
        while let Ok(length) = read.read(&mut bytes[kept..]).await
            && length > 0
        {
            kept += length;
            let whole = kept - kept % BYTES;
            self.take(&bytes[..whole], &mut process, &orders);
            bytes.copy_within(whole..kept, 0);
            kept -= whole;
        }
        if let Some(process) = process {
            lock(&self.heard).orders.remove(&process);
            self.history().ends(process);
            self.changed.notify_waiters();
        }
    }

    fn take(&self, bytes: &[u8], process: &mut Option<u32>, orders: &mpsc::UnboundedSender<Order>) {
        let records = bytes.chunks_exact(BYTES).filter_map(|bytes| Record::read(bytes.first_chunk()?));
        for record in records {
            match (record.kind, *process) {
                (Kind::Hello, _) => {
                    let number = u32::try_from(record.id).unwrap_or(u32::MAX);
                    *process = Some(number);
                    self.history().begins(number);
                    lock(&self.heard).orders.insert(number, orders.clone());
                    self.changed.notify_waiters();
                }
                // Who asked may be gone by now.
                (Kind::Row, _) => drop(orders.send(Order::Answer(record.id, self.rows.version(record.subject)))),
                (Kind::Commit, _) => drop(orders.send(Order::Answer(record.id, self.rows.commit(record.subject)))),
                (Kind::Rest, _) => {
                    lock(&self.heard).at_rest += 1;
                    self.changed.notify_waiters();
                }
                (_, Some(process)) => {
                    let event = Event { process, record, rows: self.rows_of(&record) };
                    self.history().take(event);
                }
                (_, None) => {}
            }
        }
    }

    fn rows_of(&self, record: &Record) -> Vec<(u32, u64)> {
        let ended = |key: &u32| ends(record.scope, record.subject, *key);
        match record.kind {
            Kind::Begun => (0..KEYS).filter(ended).map(|key| (key, 0)).collect(),
            Kind::Changed if record.scope == Scope::Refresh => vec![(record.subject, 0)],
            Kind::Changed => {
                let asked = record.version.max(record.begin);
                (0..KEYS).filter(ended).map(|key| (key, self.rows.version_at(key, asked))).collect()
            }
            // A refresh is as new as its call.
            Kind::Read | Kind::Get => [self.rows.version(record.subject)]
                .into_iter()
                .chain((record.class == Class::Anew).then(|| self.rows.version_at(record.subject, record.begin)))
                .map(|version| (record.subject, version))
                .collect(),
            _ => Vec::new(),
        }
    }
}

async fn order(mut stream: OwnedWriteHalf, mut ordered: mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = ordered.recv().await {
        if stream.write_all(&order.bytes()).await.is_err() {
            return;
        }
    }
}

impl Team {
    pub(super) async fn new(history: History, setting: Setting) -> Result<Self, Error> {
        let system = |source| Error::System { doing: "listen on 127.0.0.1", source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(system)?;
        let port = listener.local_addr().map_err(system)?.port();
        let desk = Arc::new(Desk {
            rows: Rows::new(),
            history: Mutex::new(history),
            heard: Mutex::default(),
            changed: Notify::new(),
        });
        let hears = Arc::clone(&desk);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(Arc::clone(&hears).hear(stream));
            }
        });
        Ok(Team { desk, setting, port, processes: BTreeMap::new(), started: 0 })
    }

    /// Starts a process in this place, and waits until it is heard.
    pub(super) async fn start(&mut self, place: u32) -> Result<(), Error> {
        let number = self.started;
        self.started += 1;
        let setting = &self.setting;
        let mut command = self.program(place, number)?;
        let seed = setting.seed.wrapping_add(u64::from(number) << 40);
        command.args(["--store", &setting.store, "--namespace", &setting.namespace]);
        command.args(["--parent", &self.port.to_string(), "--number", &number.to_string()]);
        command.args(["--seed", &seed.to_string(), "--tasks", &setting.tasks.to_string()]);
        command.args(["--reads", &setting.reads.to_string()]);
        command.args(["--belief", &Belief::of(place, setting.tells).name()]).args(setting.bounds.arguments());
        if let Some(mutant) = &setting.mutant {
            command.env(mutants::VARIABLE, mutant);
        }
        let process = Process::start(&command, false)?;
        self.processes.insert(number, Member { place, process });
        let is_heard = |heard: &Heard| heard.orders.contains_key(&number);
        if !self.wait(Duration::from_secs(20), is_heard).await {
            return Err(Error::Cache(format!("process {number} did not begin")));
        }
        Ok(())
    }

    /// What the process of this number in this place runs.
    fn program(&self, place: u32, number: u32) -> Result<Command, Error> {
        if let Some(python) = self.setting.python.as_ref().filter(|python| python.is_at(place)) {
            self.desk.history().is_python(number);
            return Ok(python.command());
        }
        let own = std::env::current_exe();
        let mut command = Command::new(own.map_err(|source| Error::System { doing: "start another process", source })?);
        command.arg("consistency-worker");
        Ok(command)
    }

    async fn wait(&self, at_most: Duration, until: impl Fn(&Heard) -> bool) -> bool {
        let waiting = async {
            loop {
                let changed = self.desk.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if until(&lock(&self.desk.heard)) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(at_most, waiting).await.is_ok()
    }

    /// One of those that run, by chance.
    fn any(&mut self, chance: &mut fastrand::Rng) -> Option<u32> {
        let numbers: Vec<_> = self.processes.keys().copied().collect();
        chance.choice(numbers)
    }

    /// Stops one for a while.
    pub(super) async fn stop_one(&mut self, length: Duration, chance: &mut fastrand::Rng) {
        let Some(number) = self.any(chance) else { return };
        for (signal, then) in [("STOP", length), ("CONT", Duration::ZERO)] {
            if let Some(member) = self.processes.get_mut(&number) {
                member.process.signal(signal);
            }
            tokio::time::sleep(then).await;
        }
    }

    /// Kills one, and starts another.
    pub(super) async fn kill_one(&mut self, chance: &mut fastrand::Rng) -> Result<(), Error> {
        let Some(number) = self.any(chance) else { return Ok(()) };
        let Some(killed) = self.processes.remove(&number) else { return Ok(()) };
        let place = killed.place;
        drop(killed);
        self.start(place).await
    }

    /// Sets the wall clock of one.
    pub(super) fn step_clock_of_one(&mut self, chance: &mut fastrand::Rng) {
        let Some(number) = self.any(chance) else { return };
        let off_s = chance.i64(-FURTHEST_S..=FURTHEST_S);
        if let Some(orders) = lock(&self.desk.heard).orders.get(&number) {
            // One that has just ended has no clock.
            let _ = orders.send(Order::StepClock(off_s));
        }
    }

    /// Orders all of them something, and waits until they have done it; how many have not.
    pub(super) async fn order(&mut self, order: Order, at_most: Duration) -> usize {
        let all: Vec<_> = {
            let mut heard = lock(&self.desk.heard);
            heard.at_rest = 0;
            heard.orders.values().cloned().collect()
        };
        for orders in &all {
            // One that has just ended is not waited for either.
            let _ = orders.send(order);
        }
        self.wait(at_most, |heard| heard.at_rest >= all.len()).await;
        let at_rest = lock(&self.desk.heard).at_rest;
        self.processes.len().saturating_sub(at_rest)
    }
}
