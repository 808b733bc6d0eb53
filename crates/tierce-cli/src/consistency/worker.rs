//! A process under check: its hub, and tasks that do what applications do, by a seed.

use std::sync::Arc;
use std::time::Duration;

use tierce::Hub;
use tierce::store::memcached::Memcached;
use tierce::store::redis::Redis;
use tierce::store::{Address, Kind as StoreKind};
use tokio::sync::watch;

use super::link::Link;
use super::operations::Operations;
use super::record::{Kind, Order, Outcome, Record};
use super::rows::KEYS;
use super::world::{Row, World};
use crate::args::Worker;
use crate::error::Error;

/// How often a process looks how it is, and how long it does not get to run before that is told.
const WATCHES: Duration = Duration::from_millis(25);
const STALLED: Duration = Duration::from_millis(150);
/// How long they may take to end what they have begun: longer than any lease.
const ENDS: Duration = Duration::from_secs(15);

/// Runs until the parent ends it.
pub(crate) async fn run(worker: Worker) -> Result<(), Error> {
    super::mutants::plant();
    let (link, mut orders) = Link::open(worker.parent, worker.number)
        .await
        .map_err(|source| Error::System { doing: "reach the process that checks this one", source })?;
    let hub = hub(&worker)?;
    // Rows outlive any fault: nothing becomes right by expiring.
    let cache = hub.cache::<u32, Row>("row").ttl(Duration::from_secs(3600)).build();
    let world = Arc::new(World { hub, cache, link, belief: worker.belief });
    let (stop, stopped) = watch::channel(false);
    let mut tasks: Vec<_> = (0..u64::from(worker.tasks))
        .map(|task| {
            let mut operations =
                Operations::new(Arc::clone(&world), worker.seed.wrapping_add(task << 32), worker.reads);
            let stopped = stopped.clone();
            (operations.doing(), tokio::spawn(async move { operations.run(stopped).await }))
        })
        .collect();
    // Also while those end.
    tokio::spawn(watch_health(Arc::clone(&world)));
    while orders.changed().await.is_ok() {
        let order = *orders.borrow_and_update();
        match order {
            Some(Order::Stop) => {
                stop.send_replace(true);
                for (doing, task) in tasks.drain(..) {
                    if tokio::time::timeout(ENDS, task).await.is_err() {
                        let doing = doing.lock().map_or_else(|_| Record::of(Kind::Read), |doing| *doing);
                        world.link.ended(Record { kind: Kind::Stuck, ..doing });
                    }
                }
                wait_until_told(&world).await;
                world.link.ended(Record::of(Kind::Rest));
            }
            Some(Order::ReadAll) => {
                let mut operations = Operations::new(Arc::clone(&world), worker.seed, worker.reads);
                for key in 0..KEYS {
                    operations.read_at_rest(key).await;
                }
                world.link.ended(Record::of(Kind::Rest));
            }
            Some(Order::StepClock(off_s)) => tierce::testing::step_wall_clock(off_s * 1000),
            Some(Order::Answer(..)) | None => {}
        }
    }
    Ok(())
}

/// The hub under check.
fn hub(worker: &Worker) -> Result<Hub, Error> {
    let cache_error = |error: tierce::Error| Error::Cache(error.to_string());
    let address = Address::parse(&worker.store).map_err(cache_error)?;
    let hub = worker.belief.apply(Hub::builder().namespace(&worker.namespace), &worker.bounds);
    let hub = match address.kind() {
        StoreKind::Memcached => hub.store(Memcached::open(&address).map_err(cache_error)?),
        _ => hub.store(Redis::open(&address).map_err(cache_error)?),
    };
    hub.try_build().map_err(cache_error)
}

/// Tells when failed invalidations have reached the store, how the store was, and whether this process got to run.
async fn watch_health(world: Arc<World>) {
    let (mut faults, mut damaged) = (0, 0);
    loop {
        let trouble = Record { begin: crate::clock::common_ns(), ..Record::of(Kind::Trouble) };
        tokio::time::sleep(WATCHES).await;
        let Some(health) = world.hub.store_health() else { return };
        if u128::from(crate::clock::common_ns() - trouble.begin) > STALLED.as_nanos() {
            world.link.ended(trouble);
        } else if health.tells && !health.is_coherent {
            world.link.ended(Record { outcome: Outcome::Failed, ..trouble });
        }
        if health.untold == 0 {
            world.link.ended(Record::of(Kind::Told));
        }
        let more = (health.faults - faults, health.damaged - damaged);
        (faults, damaged) = (health.faults, health.damaged);
        if more != (0, 0) {
            world.link.ended(Record { kind: Kind::Health, version: more.0, id: more.1, ..trouble });
        }
    }
}

/// Waits until the store has been told all that it could not be told, at most as long as a recovery may take.
async fn wait_until_told(world: &World) {
    let told = async {
        while world.hub.store_health().is_some_and(|health| health.untold > 0) {
            // A lookup that asks the store sees to it that it is told.
            world.cache.get(&KEYS).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(ENDS, told).await {
        Ok(()) => world.link.ended(Record::of(Kind::Told)),
        Err(_) => world.link.ended(Record { kind: Kind::Stuck, ..Record::of(Kind::Changed) }),
    }
}
