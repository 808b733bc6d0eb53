//! Checks of time alone: how long a caller waits, and how long an absence is believed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tierce::{Freshness, Lookup};

use super::world::{Found, NEGATIVE_MS, World, ms};

#[derive(Clone)]
pub(crate) struct Limits {
    /// How long a caller waits at most, where callers have an end to their patience.
    hard: Option<Duration>,
    /// When a loader last said of a key that it has no value.
    absent_ms: Arc<Mutex<BTreeMap<u32, u64>>>,
}

impl Limits {
    pub(crate) fn new(hard: Option<Duration>) -> Self {
        Limits { hard, absent_ms: Arc::default() }
    }

    fn absent_ms(&self) -> MutexGuard<'_, BTreeMap<u32, u64>> {
        self.absent_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// A loader says that a key has no value.
    pub(crate) fn say_absent(&self, key: u32) {
        self.limits.absent_ms().insert(key, self.now_ms());
    }

    /// A lookup ends with this, as it was at that time.
    pub(crate) fn check_times(&self, asked: u64, found: &Found, aged_ms: u64) {
        // Of what ran on a runtime that died, nothing is asked.
        let known = self.checker().asked.get(&asked).map(|asked| (asked.key, asked.at_ms));
        let Some((key, began_ms)) = known else { return };
        let waited_ms = self.now_ms() - began_ms;
        if self.limits.hard.is_some_and(|hard| waited_ms > ms(hard)) {
            self.checker().violate(format!("lookup {asked} of key {key} waited {waited_ms} ms"));
        }
        let said_ms = self.limits.absent_ms().get(&key).copied().unwrap_or(0);
        let age_ms = aged_ms.saturating_sub(said_ms);
        if matches!(found, Ok(Lookup::Negative(Freshness::Fresh))) && age_ms > NEGATIVE_MS {
            self.checker().violate(format!("I9: an absence of key {key} is {age_ms} ms old and believed"));
        }
    }
}
