//! The gazetteer in embedded SQLite, behind a small pool of connections, each on a thread of its own.
//!
//! It is meant to be what a database is to a web service: a few connections, a queue before them, real queries. It also
//! counts: how often a statement ran is SQLite's own count (see `session`), so that no cache in front of it can colour
//! the figures.

mod count;
mod error;
mod gate;
mod schema;
mod session;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

pub(crate) use count::{Cost, Queries};
pub(crate) use error::Error;
pub(crate) use gate::Health;

use crate::place::{Change, Place};
use count::{Counts, Kind};
use gate::Gate;
use session::Session;

/// Connections for reading, of all processes together. A web service keeps a handful of them; more than the machine has
/// processors only makes the queue longer.
const READERS: usize = 4;

type Job = Box<dyn FnOnce(&Session) + Send>;

/// The places as loaded, in a file of their own, from which each contender's database is copied.
pub(crate) struct Template {
    folder: tempfile::TempDir,
}

impl Template {
    /// Writes `places` into a new file in a temporary folder, which goes when this is dropped.
    pub(crate) fn new(places: &[Place]) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("tierce-demo-")
            .tempdir()
            .map_err(|source| Error::System { doing: "make a temporary folder", source })?;
        let template = Self { folder };
        schema::fill(&template.path("template"), places)?;
        Ok(template)
    }

    /// A database of its own, with the places as they were loaded and all counts at zero.
    pub(crate) fn copy(&self, name: &str) -> Result<Database, Error> {
        Database::open(&self.copy_file(name)?, 1)
    }

    /// The file of such a database, for the processes that are to share it.
    pub(crate) fn copy_file(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path(name);
        std::fs::copy(self.path("template"), &path)
            .map_err(|source| Error::System { doing: "copy the database", source })?;
        Ok(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name).with_extension("sqlite")
    }
}

/// A pool of connections to one copy of the places.
pub(crate) struct Database {
    readers: Option<mpsc::Sender<Job>>,
    writer: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    counts: Vec<Arc<Counts>>,
    gate: Arc<Gate>,
    /// Queries that no connection runs yet.
    queued: Arc<AtomicU64>,
}

impl Database {
    /// Connects to a file that so many processes share; its counts are those of these connections.
    pub(crate) fn open(path: &Path, processes: u32) -> Result<Self, Error> {
        let (readers, jobs) = mpsc::channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let (writer, updates) = mpsc::channel();
        let mut database = Self {
            readers: Some(readers),
            writer: Some(writer),
            threads: Vec::new(),
            counts: Vec::new(),
            gate: Arc::default(),
            queued: Arc::default(),
        };
        database.start(path, Arc::new(Mutex::new(updates)))?;
        for _ in 0..READERS.div_ceil(processes.max(1) as usize) {
            database.start(path, Arc::clone(&jobs))?;
        }
        Ok(database)
    }

    fn start(&mut self, path: &Path, jobs: Arc<Mutex<mpsc::Receiver<Job>>>) -> Result<(), Error> {
        let session = Session::open(path)?;
        self.counts.push(session.counts());
        let work = move || {
            // The lock is held only while this thread is the one that waits for the next job.
            while let Ok(job) = { jobs.lock().expect("no holder of this lock can panic").recv() } {
                job(&session);
            }
        };
        let thread = std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(work)
            .map_err(|source| Error::System { doing: "start a thread", source })?;
        self.threads.push(thread);
        Ok(())
    }

    /// One place by its id.
    pub(crate) async fn place(&self, id: u32) -> Result<Option<Place>, Error> {
        self.ask(self.readers.as_ref(), move |session| session.place(id)).await
    }

    /// The most populous places of a country; none if the country has none.
    pub(crate) async fn country(&self, code: String) -> Result<Vec<Place>, Error> {
        self.ask(self.readers.as_ref(), move |session| session.country(&code)).await
    }

    /// The places whose names are most like `text`, by trigrams over all names.
    pub(crate) async fn search(&self, text: String) -> Result<Vec<Place>, Error> {
        self.ask(self.readers.as_ref(), move |session| session.search(&text)).await
    }

    /// Changes one place and returns it as it is now; `None` if there is none of that id.
    pub(crate) async fn update(&self, id: u32, change: Change) -> Result<Option<Place>, Error> {
        self.ask(self.writer.as_ref(), move |session| session.update(id, &change)).await
    }

    /// Lets the database stand still or fail for so long, or run again at once.
    pub(crate) fn set_health(&self, health: Health, length: Duration) {
        self.gate.set(health, length);
    }

    /// What it is doing, and for how long yet; zero while it runs.
    pub(crate) fn health(&self) -> (Health, Duration) {
        self.gate.health()
    }

    /// Queries that wait for a connection, or for the end of a freeze.
    pub(crate) fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    async fn ask<T: Send + 'static>(
        &self,
        queue: Option<&mpsc::Sender<Job>>,
        question: impl FnOnce(&Session) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let (gate, queued) = (Arc::clone(&self.gate), Queued::new(&self.queued));
        let job: Job = Box::new(move |session| {
            // Nobody waits for the answer any more: a long queue is not worked off in vain, nor after a freeze.
            if answer.is_closed() {
                return;
            }
            let passed = gate.pass();
            drop(queued);
            if !answer.is_closed() {
                let _ = answer.send(passed.and_then(|()| question(session)));
            }
        });
        queue.ok_or(Error::Closed)?.send(job).map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// How many queries the database has run so far, as SQLite counts them.
    pub(crate) fn queries(&self) -> Queries {
        let sum = |kind| self.counts.iter().map(|counts| counts.runs(kind)).sum();
        Queries {
            place: sum(Kind::Place),
            country: sum(Kind::Country),
            search: sum(Kind::Search),
            update: sum(Kind::Update),
            absent: self.counts.iter().map(|counts| counts.absent()).sum(),
        }
    }

    /// What lookups of places, lists of countries and searches have cost so far.
    pub(crate) fn costs(&self) -> [Cost; 3] {
        [Kind::Place, Kind::Country, Kind::Search].map(|kind| Cost {
            runs: self.counts.iter().map(|counts| counts.runs(kind)).sum(),
            time: self.counts.iter().map(|counts| counts.time(kind)).sum(),
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.gate.set(Health::Running, Duration::ZERO);
        // Without senders the threads' loops end; joining them closes the files before the folder goes.
        self.readers = None;
        self.writer = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// One query on its way to a connection.
struct Queued(Arc<AtomicU64>);

impl Queued {
    fn new(queued: &Arc<AtomicU64>) -> Self {
        queued.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(queued))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
