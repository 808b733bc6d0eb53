//! How a task of a process under check reads: from memory where it may be, or what the store has, or what a load brings.

use std::sync::Arc;
use std::time::Duration;

use tierce::{Entry, LoadError, Lookup};

use super::loader::{Failure, loader};
use super::operations::Operations;
use super::record::{Class, Kind, Outcome, Record, Scope};
use super::rows::{named, tag_of};
use super::world::{Row, World};

/// How the call ended, the version it brought, and the number of the failure where it failed.
type Answer = (Outcome, u64, u64);

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Get,
    Load,
    StrongGet,
    StrongLoad,
    /// It always loads, so that there are few.
    Refresh,
}

impl Call {
    fn of(chance: u8) -> Self {
        match chance {
            0..16 => Call::Get,
            16..18 => Call::Refresh,
            18..24 => Call::StrongGet,
            24..40 => Call::StrongLoad,
            _ => Call::Load,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Call::Get | Call::StrongGet => Kind::Get,
            Call::Load | Call::StrongLoad | Call::Refresh => Kind::Read,
        }
    }

    /// Of which class it is. To be asked when the call has begun: a process that says now that it is told of changes was told
    /// of all that was changed longer before its beginning than the bound.
    fn class(self, world: &World) -> Class {
        match self {
            Call::Get | Call::Load => world.belief.class(&world.hub),
            Call::StrongGet | Call::StrongLoad => Class::Strong,
            Call::Refresh => Class::Anew,
        }
    }
}

fn entry<'a>(world: &'a World, key: &'a u32) -> Entry<'a, u32, Row, u32> {
    world.cache.entry(key).tags([named(tag_of(*key))])
}

async fn call(world: &World, key: u32, call: Call) -> Answer {
    let load = || loader(&world.link, key);
    match call {
        Call::Get => found(world.cache.get(&key).await, key),
        Call::Load => loaded(entry(world, &key).load_with(load()).await, key),
        Call::StrongGet => found(entry(world, &key).strong().get().await, key),
        Call::StrongLoad => loaded(entry(world, &key).strong().load_with(load()).await, key),
        Call::Refresh => loaded(entry(world, &key).refresh_with(load()).await, key),
    }
}

impl Operations {
    /// Reads a key, and in one of twenty cases leaves soon.
    pub(super) async fn read(&mut self, key: u32) {
        let called = Call::of(self.chance.u8(..));
        let patience = match self.chance.u8(0..20) {
            0 => Duration::from_millis(self.chance.u64(0..40)),
            _ => Duration::MAX,
        };
        let world = Arc::clone(&self.world);
        let record = Record { subject: key, begin: crate::clock::common_ns(), ..Record::of(Kind::Read) };
        let record = Record { kind: called.kind(), class: called.class(&world), ..record };
        self.note(record);
        let refresh = Record { kind: Kind::Begun, scope: Scope::Refresh, id: world.link.number(), ..record };
        if called == Call::Refresh {
            world.link.begins(refresh);
        }
        let reading = call(&world, key, called);
        let (outcome, version, id) =
            if patience == Duration::MAX { reading.await } else { within(patience, reading).await };
        world.link.ended(Record { outcome, version, id, ..record });
        if called == Call::Refresh {
            world.link.ended(Record { kind: Kind::Changed, ..refresh });
        }
    }

    /// A plain read, once nothing is changed any more.
    pub(super) async fn read_at_rest(&mut self, key: u32) {
        let record = Record { class: Class::AtRest, subject: key, ..Record::of(Kind::Read) };
        let record = Record { begin: crate::clock::common_ns(), ..record };
        let (outcome, version, id) = call(&self.world, key, Call::Load).await;
        self.world.link.ended(Record { outcome, version, id, ..record });
    }
}

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
