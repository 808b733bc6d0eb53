//! How often each statement ran.

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The four statements.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Place,
    Country,
    Search,
    Update,
}

/// One connection's counts. Only its thread writes them, so they cost no contention.
#[derive(Default)]
pub(super) struct Counts {
    runs: [AtomicU64; 4],
    nanos: [AtomicU64; 4],
    absent: AtomicU64,
}

impl Counts {
    /// Takes over SQLite's count of the runs of a statement, which only grows.
    pub(super) fn set_runs(&self, kind: Kind, runs: u64) {
        self.runs[kind as usize].store(runs, Ordering::Relaxed);
    }

    /// Adds what a run of a statement took, waiting apart.
    pub(super) fn add_time(&self, kind: Kind, took: Duration) {
        self.nanos[kind as usize].fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(super) fn time(&self, kind: Kind) -> Duration {
        Duration::from_nanos(self.nanos[kind as usize].load(Ordering::Relaxed))
    }

    /// Counts a lookup by id that found no row.
    pub(super) fn add_absent(&self) {
        self.absent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn runs(&self, kind: Kind) -> u64 {
        self.runs[kind as usize].load(Ordering::Relaxed)
    }

    pub(super) fn absent(&self) -> u64 {
        self.absent.load(Ordering::Relaxed)
    }
}

/// What the queries of one kind have cost the database so far: work, not waiting.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) runs: u64,
    pub(crate) time: Duration,
}

impl Cost {
    /// Of one query; zero before the first.
    pub(crate) fn mean(self) -> Duration {
        if self.runs > 0 { self.time.div_f64(self.runs as f64) } else { Duration::ZERO }
    }
}

/// How many queries a database has run, by kind.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Queries {
    /// Lookups of one place by id, those for absent ids among them.
    pub(crate) place: u64,
    pub(crate) country: u64,
    pub(crate) search: u64,
    pub(crate) update: u64,
    /// Lookups by id that found nothing.
    pub(crate) absent: u64,
}

impl Queries {
    /// All but the updates.
    pub(crate) fn reads(&self) -> u64 {
        self.place + self.country + self.search
    }
}

impl Add for Queries {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            place: self.place + other.place,
            country: self.country + other.country,
            search: self.search + other.search,
            update: self.update + other.update,
            absent: self.absent + other.absent,
        }
    }
}

impl Sub for Queries {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            place: self.place - earlier.place,
            country: self.country - earlier.country,
            search: self.search - earlier.search,
            update: self.update - earlier.update,
            absent: self.absent - earlier.absent,
        }
    }
}
