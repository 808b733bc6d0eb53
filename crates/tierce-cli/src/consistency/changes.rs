//! How a task of a process under check changes rows: by key, by tag, all at once, or through the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tierce::{Error, Loaded, WriteError};

use super::loader::Failure;
use super::operations::Operations;
use super::record::{Kind, Outcome, Record, Scope};
use super::rows::{KEYS, TAGS, named, named_by_result, result_tag_of, tag_of};
use super::world::{Row, World};

/// The longest time between taking hold of a key, its commit and the end of the hold.
const LONGEST_STEP_US: u64 = 20_000;
/// Of so many changes one is the first of several of the same things, soon after each other: what is read between two of
/// them is on its way while the next comes.
const BURST_EVERY: u64 = 6;
/// The longest time between two of these.
const BURST_US: u64 = 30_000;

/// What is called.
#[derive(Clone, Copy)]
enum Call {
    InvalidateTag,
    PurgeHub,
    Purge,
    SetThrough,
    /// Commits under a hold, and sets.
    HoldAndSet,
    Hold,
    MarkStale,
    InvalidateMany,
    Invalidate,
}

impl Call {
    fn of(chance: &mut fastrand::Rng) -> (Self, Scope) {
        match chance.u8(0..16) {
            0..3 => (Call::InvalidateTag, Scope::Tag),
            3..6 => (Call::InvalidateTag, Scope::ResultTag),
            6 => (if chance.u8(0..4) == 0 { Call::PurgeHub } else { Call::Purge }, Scope::All),
            7 => (Call::MarkStale, Scope::Key),
            8 => (Call::InvalidateMany, Scope::Key),
            12..14 => (Call::SetThrough, Scope::Key),
            14.. => (if chance.u8(0..4) == 0 { Call::HoldAndSet } else { Call::Hold }, Scope::Key),
            _ => (Call::Invalidate, Scope::Key),
        }
    }

    /// Whether it commits itself.
    fn commits(self) -> bool {
        matches!(self, Call::SetThrough | Call::HoldAndSet | Call::Hold)
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

impl Operations {
    pub(super) async fn change(&mut self, key: u32) {
        let (call, scope) = Call::of(&mut self.chance);
        let subject = match scope {
            Scope::Tag | Scope::ResultTag => self.chance.u32(0..TAGS),
            Scope::All => 0,
            Scope::Key | Scope::Refresh => key,
        };
        let times = if self.chance.u64(0..BURST_EVERY) == 0 { self.chance.u64(2..6) } else { 1 };
        for time in 0..times {
            if time > 0 {
                tokio::time::sleep(Duration::from_micros(self.chance.u64(0..BURST_US))).await;
            }
            self.change_once(call, scope, subject).await;
        }
    }

    async fn change_once(&mut self, call: Call, scope: Scope, subject: u32) {
        let world = Arc::clone(&self.world);
        if !call.commits() {
            for key in (0..KEYS).filter(|key| ends(scope, subject, *key)) {
                world.link.ask(Kind::Commit, key).await;
            }
        }
        let begun = Record { subject, scope, id: world.link.number(), ..Record::of(Kind::Begun) };
        let begin = world.link.begins(begun);
        let changed = Record { kind: Kind::Changed, begin, ..begun };
        self.note(changed);
        let committed = AtomicU64::new(begin);
        let leaves = self.chance.u8(0..20) == 0;
        let patience = Duration::from_millis(self.chance.u64(0..3));
        let steps = [0, 1].map(|_| Duration::from_micros(self.chance.u64(0..LONGEST_STEP_US)));
        let changing = async {
            let told = tell(&world, call, (scope, subject), steps, &committed).await;
            if told.is_ok() { Outcome::Ok } else { Outcome::Failed }
        };
        let outcome = if leaves {
            tokio::time::timeout(patience, changing).await.unwrap_or(Outcome::Left)
        } else {
            changing.await
        };
        // What is told begins when its row was committed: what is older than that must be gone.
        world.link.ended(Record { outcome, version: committed.load(Relaxed), ..changed });
    }
}

async fn tell(
    world: &World,
    call: Call,
    (scope, subject): (Scope, u32),
    steps: [Duration; 2],
    committed: &AtomicU64,
) -> Result<(), Error> {
    match call {
        Call::InvalidateTag if scope == Scope::Tag => world.hub.invalidate_tag(&named(subject)).await,
        Call::InvalidateTag => world.hub.invalidate_tag(&named_by_result(subject)).await,
        Call::PurgeHub => world.hub.purge().await,
        Call::Purge => world.cache.purge().await,
        Call::SetThrough => write_through(world, subject, steps, committed).await,
        Call::HoldAndSet | Call::Hold => hold(world, subject, (call, steps), committed).await,
        Call::MarkStale => world.cache.mark_stale(&subject).await,
        Call::InvalidateMany => world.cache.invalidate_many(&[subject]).await,
        Call::Invalidate => world.cache.invalidate(&subject).await,
    }
}

/// Commits a row; its version.
async fn commit(world: &World, key: u32, steps: [Duration; 2], committed: &AtomicU64) -> u64 {
    tokio::time::sleep(steps[0]).await;
    let version = world.link.ask(Kind::Commit, key).await;
    committed.store(crate::clock::common_ns(), Relaxed);
    tokio::time::sleep(steps[1]).await;
    version
}

/// Commits inside of `set_through`.
async fn write_through(world: &World, key: u32, steps: [Duration; 2], committed: &AtomicU64) -> Result<(), Error> {
    let write = || async {
        let version = commit(world, key, steps, committed).await;
        Ok::<_, Failure>(Loaded::new(Row::new(key, version)).tag(named_by_result(result_tag_of(key))))
    };
    match world.cache.entry(&key).tags([named(tag_of(key))]).set_through_with(write).await {
        Err(WriteError::Cache(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Commits under a hold.
async fn hold(
    world: &World,
    key: u32,
    (call, steps): (Call, [Duration; 2]),
    committed: &AtomicU64,
) -> Result<(), Error> {
    let hold = world.cache.hold(&key).await?;
    let version = commit(world, key, steps, committed).await;
    match call {
        Call::HoldAndSet => hold.set(Row::new(key, version)).await.map(drop),
        _ => hold.invalidate().await,
    }
}
