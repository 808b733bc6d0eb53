//! What a task of a process under check does: reads mostly, changes now and then, and leaves in the middle of either.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tierce::{Load, LoadError, Loaded, Lookup};
use tokio::sync::watch;

use super::link::Link;
use super::record::{Class, Kind, Outcome, Record, Scope};
use super::rows::{KEYS, TAGS, result_tag_of, tag_of};
use super::world::{Row, World};

/// The longest load: several of a Redis server's turns, so that changes come into the middle of it.
pub(super) const LONGEST_LOAD: Duration = Duration::from_millis(30);
/// Of so many steps one changes something: so that a key lives long enough to be read from memory, store and database.
const CHANGES_EVERY: u64 = 200;
/// Of so many loads one fails.
const LOADS_FAIL_EVERY: u64 = 25;

/// A failed load, by its number.
#[derive(Debug)]
struct Failure(u64);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failure {}", self.0)
    }
}

impl std::error::Error for Failure {}

/// One task's doings.
pub(super) struct Operations {
    world: Arc<World>,
    chance: fastrand::Rng,
    doing: Arc<Mutex<Record>>,
}

impl Default for Record {
    fn default() -> Self {
        Record::of(Kind::Read)
    }
}

impl Operations {
    pub(super) fn new(world: Arc<World>, seed: u64) -> Self {
        Operations { world, chance: fastrand::Rng::with_seed(seed), doing: Arc::default() }
    }

    /// What it is doing.
    pub(super) fn doing(&self) -> Arc<Mutex<Record>> {
        Arc::clone(&self.doing)
    }

    pub(super) async fn run(&mut self, stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            self.world.link.has_room().await;
            if self.chance.u64(0..CHANGES_EVERY) == 0 {
                self.change().await;
            } else {
                self.read().await;
            }
            match self.chance.u8(0..8) {
                0 => tokio::time::sleep(Duration::from_millis(self.chance.u64(1..4))).await,
                _ => tokio::task::yield_now().await,
            }
        }
    }

    fn note(&self, record: Record) {
        if let Ok(mut doing) = self.doing.lock() {
            *doing = record;
        }
    }

    /// A few keys are hot.
    fn key(&mut self) -> u32 {
        if self.chance.bool() { self.chance.u32(0..4) } else { self.chance.u32(0..KEYS) }
    }

    async fn read(&mut self) {
        let key = self.key();
        let record = Record { subject: key, begin: crate::clock::common_ns(), ..Record::of(Kind::Read) };
        self.note(record);
        let patience = match self.chance.u8(0..20) {
            0 => Duration::from_millis(self.chance.u64(0..40)),
            _ => Duration::MAX,
        };
        // A refresh always loads, so that there are few.
        let kind = self.chance.u8(..);
        let world = Arc::clone(&self.world);
        let reading = async {
            match kind {
                0..16 => found(world.cache.get(&key).await, key),
                16 => {
                    loaded(world.cache.entry(&key).tags([tag(key)]).refresh_with(loader(&world.link, key)).await, key)
                }
                _ => loaded(world.cache.entry(&key).tags([tag(key)]).load_with(loader(&world.link, key)).await, key),
            }
        };
        let class = if kind == 16 { Class::Anew } else { Class::Plain };
        let record = Record { class, ..record };
        let id = self.world.link.number();
        let refresh = Record { kind: Kind::Begun, scope: Scope::Refresh, id, ..record };
        if kind == 16 {
            self.world.link.begins(refresh);
        }
        let (outcome, version, failure) =
            if patience == Duration::MAX { reading.await } else { within(patience, reading).await };
        self.world.link.ended(Record { outcome, version, id: failure, ..record });
        if kind == 16 {
            self.world.link.ended(Record { kind: Kind::Changed, ..refresh });
        }
    }

    /// A plain read, once nothing is changed any more.
    pub(super) async fn read_at_rest(&mut self, key: u32) {
        let record = Record { subject: key, begin: crate::clock::common_ns(), ..Record::of(Kind::Read) };
        let read = self.world.cache.entry(&key).tags([tag(key)]).load_with(loader(&self.world.link, key)).await;
        let (outcome, version, id) = loaded(read, key);
        self.world.link.ended(Record { outcome, version, id, ..record });
    }

    async fn change(&mut self) {
        let key = self.key();
        let kind = self.chance.u8(0..16);
        let (scope, subject) = match kind {
            0..3 => (Scope::Tag, self.chance.u32(0..TAGS)),
            3..6 => (Scope::ResultTag, self.chance.u32(0..TAGS)),
            6 => (Scope::All, 0),
            _ => (Scope::Key, key),
        };
        let is_written_through = kind >= 12;
        if !is_written_through {
            for key in (0..KEYS).filter(|key| ends(scope, subject, *key)) {
                self.world.link.ask(Kind::Commit, key).await;
            }
        }
        let id = self.world.link.number();
        let begun = Record { subject, scope, id, ..Record::of(Kind::Begun) };
        let begin = self.world.link.begins(begun);
        let changed = Record { kind: Kind::Changed, begin, ..begun };
        self.note(changed);
        let leaves = self.chance.u8(0..20) == 0;
        let patience = if leaves { Duration::from_millis(self.chance.u64(0..3)) } else { Duration::MAX };
        let (world, chance) = (Arc::clone(&self.world), self.chance.u8(0..4));
        let committed = AtomicU64::new(begin);
        let changing = async {
            let told = match (scope, kind) {
                (Scope::Tag, _) => world.hub.invalidate_tag(&named(subject)).await,
                (Scope::ResultTag, _) => world.hub.invalidate_tag(&named_by_result(subject)).await,
                (Scope::All, _) if chance == 0 => world.hub.purge().await,
                (Scope::All, _) => world.cache.purge().await,
                (_, 12..14) => write_through(&world, key, &committed).await,
                (_, 14..) => hold(&world, key, chance, &committed).await,
                (_, 7) => world.cache.mark_stale(&key).await,
                (_, 8) => world.cache.invalidate_many(&[key]).await,
                _ => world.cache.invalidate(&key).await,
            };
            if told.is_ok() { Outcome::Ok } else { Outcome::Failed }
        };
        let outcome = if leaves {
            tokio::time::timeout(patience, changing).await.unwrap_or(Outcome::Left)
        } else {
            changing.await
        };
        // What is told begins when its row was committed: what is older than that must be gone.
        self.world.link.ended(Record { outcome, version: committed.load(Relaxed), ..changed });
    }
}

/// Whether a change of this scope ends this key.
pub(super) fn ends(scope: Scope, subject: u32, key: u32) -> bool {
    match scope {
        Scope::Key | Scope::Refresh => subject == key,
        Scope::Tag => tag_of(key) == subject,
        Scope::ResultTag => result_tag_of(key) == subject,
        Scope::All => true,
    }
}

fn named(tag: u32) -> String {
    format!("tag-{tag}")
}

fn named_by_result(tag: u32) -> String {
    format!("result-{tag}")
}

fn tag(key: u32) -> String {
    named(tag_of(key))
}

/// Commits inside of `set_through`.
async fn write_through(world: &World, key: u32, committed: &AtomicU64) -> Result<(), tierce::Error> {
    let write = || async {
        let version = world.link.ask(Kind::Commit, key).await;
        committed.store(crate::clock::common_ns(), Relaxed);
        Ok::<_, Failure>(Loaded::new(Row::new(key, version)).tag(named_by_result(result_tag_of(key))))
    };
    match world.cache.entry(&key).tags([tag(key)]).set_through_with(write).await {
        Err(tierce::WriteError::Cache(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Commits under a hold.
async fn hold(world: &World, key: u32, chance: u8, committed: &AtomicU64) -> Result<(), tierce::Error> {
    let hold = world.cache.hold(&key).await?;
    let version = world.link.ask(Kind::Commit, key).await;
    committed.store(crate::clock::common_ns(), Relaxed);
    match chance {
        0 => hold.set(Row::new(key, version)).await.map(drop),
        _ => hold.invalidate().await,
    }
}

type Answer = (Outcome, u64, u64);

/// An answer, unless its caller leaves before.
async fn within(patience: Duration, reading: impl Future<Output = Answer>) -> Answer {
    tokio::time::timeout(patience, reading).await.unwrap_or((Outcome::Left, 0, 0))
}

fn found(row: Option<Row>, key: u32) -> Answer {
    match row {
        Some(row) if row.is_of(key) => (Outcome::Ok, row.version, 0),
        Some(row) => (Outcome::Foreign, row.version, 0),
        None => (Outcome::Missed, 0, 0),
    }
}

fn loaded(lookup: Result<Lookup<Row>, LoadError<Failure>>, key: u32) -> Answer {
    match lookup {
        Ok(lookup) => found(lookup.value().cloned(), key),
        Err(LoadError::Load(failure)) => (Outcome::Failed, 0, failure.0),
        Err(_) => (Outcome::Broken, 0, 0),
    }
}

/// A load under way.
type Loading = std::pin::Pin<Box<dyn Future<Output = Result<Loaded<Row>, Failure>> + Send>>;

/// Loads a row, slowly, and now and then fails.
fn loader(link: &Arc<Link>, key: u32) -> impl FnOnce(Load<Row>) -> Loading + use<> {
    let link = Arc::clone(link);
    move |_| {
        Box::pin(async move {
            let id = link.number();
            let record = Record { subject: key, id, begin: crate::clock::common_ns(), ..Record::of(Kind::Load) };
            let longest_us = u64::try_from(LONGEST_LOAD.as_micros()).unwrap_or(u64::MAX);
            // Most are quick; what is read is some time old when it is brought.
            let (before_us, after_us) =
                (fastrand::u64(0..1000), fastrand::u64(0..if fastrand::bool() { longest_us } else { 500 }));
            tokio::time::sleep(Duration::from_micros(before_us)).await;
            let version = link.ask(Kind::Row, key).await;
            tokio::time::sleep(Duration::from_micros(after_us)).await;
            if fastrand::u64(0..LOADS_FAIL_EVERY) == 0 {
                link.ended(Record { outcome: Outcome::Failed, ..record });
                return Err(Failure(id));
            }
            link.ended(Record { version, ..record });
            Ok(Loaded::new(Row::new(key, version)).tag(named_by_result(result_tag_of(key))))
        })
    }
}
