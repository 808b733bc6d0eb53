//! What the store holds of one key, for who asks why it is wrong or missing.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use super::shelf::Shelf;
use crate::clock::NEVER;

/// What the store holds of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InStore {
    /// It was not asked, or did not answer within the budget of a lookup.
    Unknown,
    /// Nothing.
    Nothing,
    /// Bytes that are no entry of this cache: damaged, of another program or of another version.
    Unreadable,
    /// An entry.
    Entry(Stocked),
    /// An entry that no lookup is served by, since one of its tags has been invalidated, or its cache or hub purged.
    Ended(Stocked),
}

/// An entry of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stocked {
    /// Whether it is a known absence.
    pub negative: bool,
    /// How large it is there, with all that belongs to it.
    pub size_bytes: usize,
    /// Until it stops being fresh; zero when it has; `None` where it never expires.
    pub fresh_for: Option<Duration>,
    /// Until it goes; `None` where it never expires.
    pub kept_for: Option<Duration>,
    /// Its tags.
    pub tags: Vec<String>,
    /// What its load took.
    pub cost: Duration,
}

impl Shelf {
    /// Asks the store itself for an entry and its tags; nothing is counted but what the store fails in.
    pub(super) async fn inquire(&self, key: &(dyn Any + Sync)) -> InStore {
        let Ok(name) = self.name(key) else { return InStore::Nothing };
        let (mut budget, asked_ms) = (self.link.budget(), self.asked_ms());
        let stored = match self.link.ask(&mut budget, |store, within| store.get(&name.key, within)).await {
            None => return InStore::Unknown,
            Some(None) => return InStore::Nothing,
            Some(Some(stored)) => stored,
        };
        let Some(opened) = self.read(&name, &stored, asked_ms) else { return InStore::Unreadable };
        let (now_ms, times) = (self.asked_ms(), opened.aged.times);
        let span = |until_ms: u64| (until_ms < NEVER).then(|| Duration::from_millis(until_ms.saturating_sub(now_ms)));
        let stocked = Stocked {
            negative: opened.value.is_none(),
            size_bytes: stored.bytes.len(),
            fresh_for: span(times.fresh_until_ms),
            kept_for: span(times.expiry_ms),
            tags: opened.tags.iter().map(ToString::to_string).collect(),
            cost: Duration::from_micros(u64::from(opened.aged.cost_us)),
        };
        let tags = self.tags(opened.tags.iter().map(|tag| &**tag));
        match self.link.versions(&tags, &mut budget).await {
            None => InStore::Unknown,
            Some(versions) if versions == opened.versions => InStore::Entry(stocked),
            Some(_) => InStore::Ended(stocked),
        }
    }
}

impl fmt::Display for InStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InStore::Unknown => f.write_str("does not say"),
            InStore::Nothing => f.write_str("nothing"),
            InStore::Unreadable => f.write_str("bytes that are no entry of this cache"),
            InStore::Entry(entry) => write!(f, "{entry}"),
            InStore::Ended(entry) => write!(f, "{entry}; ended, by a tag or a purge"),
        }
    }
}

impl fmt::Display for Stocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.negative { "a known absence" } else { "a value" })?;
        write!(f, " of {} bytes", self.size_bytes)?;
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
