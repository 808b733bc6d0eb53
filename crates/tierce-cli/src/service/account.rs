//! What one process of the service tells of itself. The accounts of several processes add up.

use serde::{Deserialize, Serialize};
use tierce::Stats;
use tierce::store::Health;

use super::front::Front;
use super::meter::{Tally, micros};
use crate::database::{Cost, Database, Queries};

/// The caches in the order of the page.
pub(super) const CACHES: [&str; 3] = ["places", "countries", "searches"];

/// An account.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Account {
    /// Lookups since the account before.
    pub(super) tally: Tally,
    pub(super) caches: [Counts; 3],
    pub(super) queries: Queries,
    /// Of the queries for each cache.
    pub(super) costs: [Cost; 3],
    /// Queries that no connection runs yet.
    pub(super) queued: u64,
    /// Invalidations of tags.
    pub(super) tags: u64,
    /// Lookups without an answer.
    pub(super) failed: u64,
    /// Callers for whom there was no room.
    pub(super) turned_away: u64,
    /// How the store is as this process sees it.
    pub(super) store: Option<Store>,
}

/// What a cache counts, in words and units that JSON can carry.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) entries: u64,
    pub(super) capacity: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) store_hits: u64,
    pub(super) stale_hits: u64,
    pub(super) negative_hits: u64,
    pub(super) coalesced: u64,
    pub(super) loads: u64,
    pub(super) busy: u64,
    pub(super) load_errors: u64,
    pub(super) refused: u64,
    pub(super) evicted: u64,
    pub(super) expired: u64,
    pub(super) invalidated: u64,
    pub(super) time_saved_ms: f64,
    /// Loads that have ended, and what they took.
    pub(super) loaded: u64,
    pub(super) load_ms: f64,
}

/// How a store is, as a process sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Store {
    pub(super) is_away: bool,
    pub(super) tells: bool,
    pub(super) is_coherent: bool,
    /// How long memory yet goes on without it, where it has told of changes.
    pub(super) grace_ms: Option<u64>,
    pub(super) round_trip_us: Option<f64>,
    pub(super) faults: u64,
    pub(super) damaged: u64,
    pub(super) untold: u64,
    pub(super) last_fault: Option<String>,
}

impl Account {
    /// Of this process, since it was last asked.
    pub(super) fn of(front: &Front, database: &Database, turned_away: u64) -> Self {
        Self { tally: front.meter.take(), ..Self::so_far(front, database, turned_away) }
    }

    /// The same without the tally, which goes on.
    pub(super) fn so_far(front: &Front, database: &Database, turned_away: u64) -> Self {
        let stats = front.tierce.stats();
        let of = |name: &str| stats.iter().find(|(cache, _)| cache == name).map(|(_, stats)| Counts::from(stats));
        Self {
            tally: Tally::default(),
            caches: CACHES.map(|name| of(name).unwrap_or_default()),
            queries: database.queries(),
            costs: database.costs(),
            queued: database.queued(),
            tags: front.tags_invalidated(),
            failed: front.meter.failed(),
            turned_away,
            store: front.tierce.store_health().as_ref().map(Store::from),
        }
    }

    /// With that of another process; how the store is stays each one's own.
    pub(super) fn add(&mut self, other: &Self) {
        self.tally.merge(&other.tally);
        for (mine, theirs) in self.caches.iter_mut().zip(&other.caches) {
            mine.add(theirs);
        }
        self.queries = self.queries + other.queries;
        for (mine, theirs) in self.costs.iter_mut().zip(&other.costs) {
            mine.runs += theirs.runs;
            mine.time += theirs.time;
        }
        self.queued += other.queued;
        self.tags += other.tags;
        self.failed += other.failed;
        self.turned_away += other.turned_away;
    }

    /// A count of all caches together.
    pub(super) fn sum(&self, of: fn(&Counts) -> u64) -> u64 {
        self.caches.iter().map(of).sum()
    }
}

impl From<&Stats> for Counts {
    fn from(stats: &Stats) -> Self {
        Self {
            entries: stats.len,
            capacity: stats.capacity.unwrap_or(0),
            hits: stats.hits,
            misses: stats.misses,
            store_hits: stats.store_hits,
            stale_hits: stats.stale_hits,
            negative_hits: stats.negative_hits,
            coalesced: stats.coalesced,
            loads: stats.loads,
            busy: stats.busy,
            load_errors: stats.load_errors,
            refused: stats.refused,
            evicted: stats.removals.evicted,
            expired: stats.removals.expired,
            invalidated: stats.removals.invalidated,
            time_saved_ms: stats.time_saved.as_secs_f64() * 1e3,
            loaded: stats.load_time.count(),
            load_ms: stats.load_time.sum().as_secs_f64() * 1e3,
        }
    }
}

impl Counts {
    pub(super) fn hit_rate(&self) -> Option<f64> {
        let lookups = self.hits + self.misses;
        (lookups > 0).then(|| self.hits as f64 / lookups as f64)
    }

    pub(super) fn mean_load_ms(&self) -> Option<f64> {
        (self.loaded > 0).then(|| self.load_ms / self.loaded as f64)
    }

    fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.capacity += other.capacity;
        self.hits += other.hits;
        self.misses += other.misses;
        self.store_hits += other.store_hits;
        self.stale_hits += other.stale_hits;
        self.negative_hits += other.negative_hits;
        self.coalesced += other.coalesced;
        self.loads += other.loads;
        self.busy += other.busy;
        self.load_errors += other.load_errors;
        self.refused += other.refused;
        self.evicted += other.evicted;
        self.expired += other.expired;
        self.invalidated += other.invalidated;
        self.time_saved_ms += other.time_saved_ms;
        self.loaded += other.loaded;
        self.load_ms += other.load_ms;
    }
}

impl From<&Health> for Store {
    fn from(health: &Health) -> Self {
        Self {
            is_away: health.is_away,
            tells: health.tells,
            is_coherent: health.is_coherent,
            grace_ms: health.grace.map(|grace| grace.as_millis() as u64),
            round_trip_us: health.round_trip.map(micros),
            faults: health.faults,
            damaged: health.damaged,
            untold: health.untold as u64,
            last_fault: health.last_fault.as_ref().map(ToString::to_string),
        }
    }
}
