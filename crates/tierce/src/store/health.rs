//! How a store is, as a process that uses it has seen it.

use std::fmt;
use std::time::Duration;

use super::fault::Fault;
use super::link::Link;
use crate::clock::NEVER;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::lock;

/// How a store is, as this process has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether it is not asked at present, since it has not answered lately: the breaker is open.
    pub is_away: bool,
    /// Whether it is of a kind that tells of changes; with one that does not, the age of memory is the bound.
    pub tells: bool,
    /// Whether it has told of all changes, up to the bound, so that memory is served for as long as it is fresh.
    pub is_coherent: bool,
    /// Cut off: how long memory is still served with what it had; `None` where it is coherent, or that time is over, or
    /// the store never tells.
    pub grace: Option<Duration>,
    /// How long its last answer took; `None` before the first.
    pub round_trip: Option<Duration>,
    /// Requests that it did not answer, or refused, since the hub was made.
    pub faults: u64,
    /// Entries that were none of ours, damaged or of another version: read as misses.
    pub damaged: u64,
    /// Invalidations that it has not taken yet, and will be told again.
    pub untold: usize,
    /// What was last wrong with it.
    pub last_fault: Option<Fault>,
}

impl Link {
    /// What is known of the store's health.
    pub(crate) fn health(&self) -> Health {
        let (now_ms, until_ms) = (self.clock.now_ms(), self.coherence.serve_until_ms());
        let (is_told, is_served) = (self.coherence.is_coherent(), now_ms < until_ms);
        let in_grace = !is_told && is_served && until_ms < NEVER;
        let round_trip_ns = self.round_trip_ns.load(Relaxed);
        Health {
            is_away: self.breaker.is_shut(),
            tells: self.tells,
            is_coherent: is_told && is_served,
            grace: in_grace.then(|| Duration::from_millis(until_ms - now_ms)),
            round_trip: (round_trip_ns > 0).then(|| Duration::from_nanos(round_trip_ns)),
            faults: self.faults.load(Relaxed),
            damaged: self.damaged.load(Relaxed),
            untold: self.pending.len(),
            last_fault: lock(&self.last_fault).clone(),
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_away { "away" } else { "asked" })?;
        match (self.tells, self.is_coherent, self.grace) {
            (true, true, _) => f.write_str(", memory coherent")?,
            (true, false, Some(grace)) => write!(f, ", memory goes on for {grace:?}")?,
            (true, false, None) => f.write_str(", memory not coherent")?,
            (false, ..) => {}
        }
        if let Some(round_trip) = self.round_trip {
            write!(f, ", answers in {round_trip:?}")?;
        }
        if self.untold > 0 {
            write!(f, ", {} changes to be told", self.untold)?;
        }
        match &self.last_fault {
            Some(fault) => write!(f, ", last fault: {fault}"),
            None => Ok(()),
        }
    }
}
