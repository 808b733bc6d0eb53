//! All that is known of one key.

use std::fmt;
use std::time::Duration;

use super::cargo::{Seek, Sought};
use super::core::Core;
use super::gone::Reason;
use super::inner::Typed;
use super::inventory::InStore;
use super::stamped::Rest;
use crate::clock::NEVER;
use crate::expiry::{Age, Times};
use crate::key::{Key, KeyRef, ToKey, Value};
use crate::store;

/// All that is known of one key, to print or to look into.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// What this process holds, if anything.
    pub memory: Option<Remembered>,
    /// Whether a load of it runs.
    pub loading: bool,
    /// Whether a writer holds it ([`Hold`](crate::Hold)): what is loaded meanwhile is not kept.
    pub held: bool,
    /// Why it was last found missing, as far as that is remembered.
    pub last_gone: Reason,
    /// What the store holds, and how the store is; `None` for caches of this process alone.
    pub store: Option<(InStore, store::Health)>,
}

/// An entry in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remembered {
    /// Whether it is a known absence.
    pub negative: bool,
    /// Since it was filled or touched; `None` where that is not remembered: for entries that never expire, or were to be
    /// fresh for more than 49 days, or that were marked stale, or whose load has failed since.
    pub age: Option<Duration>,
    /// Until it stops being fresh; zero when it has; `None` for entries that never expire.
    pub fresh_for: Option<Duration>,
    /// Until it goes; `None` for entries that never expire.
    pub kept_for: Option<Duration>,
    /// Whether a lookup now would be served by it without waiting.
    pub served: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// What its load took.
    pub cost: Duration,
}

impl<K: Key, V: Value> Typed<K, V> {
    pub(super) fn explain<Q>(&self, key: &Q) -> Explanation
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut memory = None;
        self.look(key, &mut |rest, times, is_absence| {
            memory = Some(self.remembered(rest, times, is_absence));
            false
        });
        self.explained(memory, self.memory.hash(key), &Seek::new(key))
    }

    /// All that is known of a key, the store's side with it.
    pub(super) async fn explain_fully<Q>(&self, key: &Q) -> Explanation
    where
        Q: ToKey<K> + ?Sized,
    {
        let Some(shelf) = &self.shelf else { return self.explain(key) };
        let in_store = shelf.inquire(&key.to_key()).await;
        // What this process knows, as it is after the store has answered.
        Explanation { store: Some((in_store, shelf.link.health())), ..self.explain(key) }
    }
}

impl Core {
    fn explained(&self, memory: Option<Remembered>, hash: u64, key: &dyn Sought) -> Explanation {
        let mut slice = self.flights.lock(hash);
        let (loading, held) = (slice.find(key).is_some(), slice.writers().has(hash, key));
        drop(slice);
        Explanation { memory, loading, held, last_gone: self.gone.reason(hash), store: None }
    }

    fn remembered(&self, rest: &Rest, times: Times, is_absence: bool) -> Remembered {
        let now_ms = self.hub.clock.now_ms();
        let expires = times.expiry_ms < NEVER;
        let span = |from: u64, to: u64| expires.then(|| Duration::from_millis(to.saturating_sub(from)));
        let born_ms = times.fresh_until_ms.saturating_sub(times.ttl_ms);
        Remembered {
            negative: is_absence,
            age: if times.ttl_ms > 0 { span(born_ms, now_ms) } else { None },
            fresh_for: if times.overdue { Some(Duration::ZERO) } else { span(now_ms, times.fresh_until_ms) },
            kept_for: span(now_ms, times.expiry_ms),
            served: self.ages.judge(now_ms, times, rest.cost_us(), &self.hub.random) != Age::OnError,
            tags: rest.tags().map(|cell| cell.name().to_string()).collect(),
            cost: Duration::from_micros(u64::from(rest.cost_us())),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.memory {
            None => f.write_str("memory: nothing")?,
            Some(entry) => write!(f, "memory: {entry}")?,
        }
        write!(f, "\nload: {}", if self.loading { "running" } else { "none" })?;
        if self.held {
            f.write_str("\nwriter: holds it")?;
        }
        write!(f, "\nlast miss: {}", self.last_gone.as_str())?;
        match &self.store {
            Some((entry, health)) => write!(f, "\nstore: {entry}\nits health: {health}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.negative { "a known absence" } else { "a value" })?;
        if let Some(age) = self.age {
            write!(f, ", {age:?} old")?;
        }
        match (self.fresh_for, self.kept_for) {
            (Some(fresh), Some(kept)) => write!(f, ", fresh for {fresh:?}, kept for {kept:?}")?,
            _ => f.write_str(", never expires")?,
        }
        write!(f, ", loaded in {:?}", self.cost)?;
        if !self.tags.is_empty() {
            write!(f, ", tags {}", self.tags.join(" "))?;
        }
        Ok(())
    }
}
