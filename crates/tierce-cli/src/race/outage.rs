//! What the death of the server costs tierce's callers.
//!
//! Once the race is over the server is stopped in its tracks, while each process asks for what it has in memory and for
//! what nobody has; then it goes on, and is killed and started again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tierce::Freshness;

use super::order::Order;
use super::report::Outage;
use super::seconds::{as_seconds, from_seconds};
use crate::clock;
use crate::contender::Tierce;
use crate::crew::{self, Crew};
use crate::error::Error;
use crate::histogram::Histogram;
use crate::load::ABSENT;
use crate::server::Server;

/// How long the server stands still: several times as long as it takes to be noticed.
const STANDS_STILL: Duration = Duration::from_secs(2);
/// For so long the same is measured while it runs.
const RUNS: Duration = Duration::from_millis(700);
/// Hits between two misses.
const HITS: u32 = 50;
/// A miss that took longer has waited for the store, and not for the database alone.
const WAITED: Duration = Duration::from_millis(10);
/// A place that the hits are of.
const PARIS: u32 = 2_988_507;
/// How long a recovery is waited for; the promise is a second.
const RECOVERS: Duration = Duration::from_secs(10);

/// What the lookups of one process cost for a while.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Toll {
    hits: Histogram,
    /// Misses that did not wait for the store.
    misses: Histogram,
    waited: u64,
    #[serde(rename = "longest_seconds", serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    longest: Duration,
    lookups: u64,
    failed: u64,
}

impl Toll {
    fn merge(mut self, other: &Self) -> Self {
        self.hits.merge(&other.hits);
        self.misses.merge(&other.misses);
        self.waited += other.waited;
        self.longest = self.longest.max(other.longest);
        self.lookups += other.lookups;
        self.failed += other.failed;
        self
    }
}

/// Strikes the server, and sees what it costs.
pub(crate) async fn strike(crew: &Crew, server: &mut Server) -> Result<Outage, Error> {
    let toll = |length: Duration, from: u32| {
        let order = crew::Order::Race(Order::Toll { length_ns: length.as_nanos() as u64, from });
        async move { Ok::<_, Error>(crew.all::<Toll>(&order).await?.iter().fold(Toll::default(), Toll::merge)) }
    };
    let before = toll(RUNS, 0).await?;
    server.signal("STOP");
    let meanwhile = toll(STANDS_STILL, 1 << 20).await;
    server.signal("CONT");
    let after_freeze = recovery(crew).await?;
    let meanwhile = meanwhile?;
    server.kill().await;
    // As long as it takes to be noticed.
    toll(RUNS, 2 << 20).await?;
    server.start().await?;
    let after_restart = recovery(crew).await?;
    Ok(Outage {
        lookups: meanwhile.lookups,
        failed: meanwhile.failed,
        hit_before: before.hits.quantile(0.99),
        hit: meanwhile.hits.quantile(0.99),
        waited: meanwhile.waited,
        longest: meanwhile.longest,
        miss_before: before.misses.quantile(0.99),
        miss: meanwhile.misses.quantile(0.99),
        after_freeze,
        after_restart,
    })
}

/// Until all processes use it again.
async fn recovery(crew: &Crew) -> Result<Duration, Error> {
    let began = clock::now();
    let order = crew::Order::Race(Order::Recover { within_ms: RECOVERS.as_millis() as u64 });
    if crew.all::<bool>(&order).await?.contains(&false) {
        return Err(Error::Process("a process does not use the store that is back".to_owned()));
    }
    Ok(clock::since(began))
}

/// What the lookups of this process cost: hits of a place, and misses of ids that nobody has asked for, one after the
/// other.
pub(super) async fn toll(tierce: &Tierce, length: Duration, process: u32, from: u32) -> Toll {
    let (mut toll, until) = (Toll::default(), clock::now() + length);
    // Numbers of its own for each process and each time.
    let mut absent = ABSENT + 1_000_000_000 + process * (4 << 20) + from;
    let _in_memory = tierce.look_up_place(PARIS).await;
    while clock::now() < until {
        for _ in 0..HITS {
            let began = clock::now();
            let found = tierce.look_up_place(PARIS).await;
            let took = clock::since(began);
            toll.lookups += 1;
            match found.map(|found| found.freshness()) {
                Ok(Some(Freshness::Fresh)) => toll.hits.record(took),
                Ok(_) => {}
                Err(_) => toll.failed += 1,
            }
        }
        let began = clock::now();
        let found = tierce.look_up_place(absent).await;
        let took = clock::since(began);
        absent += 1;
        toll.lookups += 1;
        toll.failed += u64::from(found.is_err());
        toll.longest = toll.longest.max(took);
        if took >= WAITED { toll.waited += 1 } else { toll.misses.record(took) }
    }
    toll
}
