//! What a loader sees, and what it may answer.

use std::sync::Arc;
use std::time::Duration;

use super::flight::AnyError;
use crate::expiry::Times;
use crate::tag::{self, Cell};

/// What a loader answered, beside the value: that is in its flight.
#[derive(Clone)]
pub(crate) struct Bare {
    pub(crate) is_absence: bool,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) cells: Box<[Arc<Cell>]>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) weight: Option<u32>,
    pub(crate) keep: Keep,
    /// Of what a store has kept for a while.
    pub(crate) aged: Option<Aged>,
}

/// What a batch's loader said of each flight, if anything, a flight after the other.
pub(super) type Brought = Vec<Option<Result<Bare, AnyError>>>;

/// What a loader is told about the load.
///
/// Given to the closure of [`Entry::load_with`](crate::Entry::load_with).
#[non_exhaustive]
pub struct Load<V> {
    /// The value that this load is to replace, where there is one (past its freshness, or about to be refreshed): to
    /// ask the source "has it changed since?" and answer [`Stale::unchanged`].
    pub stale: Option<Stale<V>>,
}

/// The value that a load is to replace.
pub struct Stale<V> {
    pub(crate) value: V,
    pub(crate) tags: Box<[Arc<Cell>]>,
}

impl<V> Stale<V> {
    pub(crate) fn new(value: V, tags: Box<[Arc<Cell>]>) -> Self {
        Stale { value, tags }
    }

    /// The value itself.
    pub fn value(&self) -> &V {
        &self.value
    }

    /// The answer "it has not changed": the value is fresh again, under the tags it had.
    pub fn unchanged(self) -> Loaded<V> {
        Loaded { value: Some(self.value), bare: Bare { cells: self.tags, ..Bare::new(false) } }
    }
}

/// What a loader answers: a value or its absence, and how to keep it.
///
/// ```
/// # use std::time::Duration;
/// # use tierce::Loaded;
/// let page = Loaded::new("<html>".to_string()).ttl(Duration::from_secs(60)).tag("page:7");
/// let nobody = Loaded::<String>::absent();
/// ```
#[derive(Clone)]
#[must_use = "the loader has to return it"]
pub struct Loaded<V> {
    pub(crate) value: Option<V>,
    pub(crate) bare: Bare,
}

/// The times of an entry that a store has, or is to have.
#[derive(Clone, Copy)]
pub(crate) struct Aged {
    pub(crate) times: Times,
    /// What its load took.
    pub(crate) cost_us: u32,
    /// When it was known to be in the store, or its load began.
    pub(crate) asked_ms: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Yes,
    /// Its loader says so.
    No,
    /// It may have been overtaken, by what the store says.
    Refused,
}

impl Bare {
    pub(crate) fn new(is_absence: bool) -> Self {
        let (tags, cells) = (Vec::new(), Box::default());
        Bare { is_absence, tags, cells, ttl: None, weight: None, keep: Keep::Yes, aged: None }
    }

    /// The same, with a call's ttl where it has none of its own. That is for values: an absence is believed for the
    /// cache's time.
    pub(crate) fn or_for(mut self, ttl: Option<Duration>) -> Self {
        self.ttl = self.ttl.or(ttl.filter(|_| !self.is_absence));
        self
    }

    fn tag(&mut self, tag: Arc<str>) {
        tag::check(&tag, "tag").unwrap_or_else(|error| panic!("{error}"));
        self.tags.push(tag);
    }
}

impl<V> Loaded<V> {
    fn of(value: Option<V>) -> Self {
        Loaded { bare: Bare::new(value.is_none()), value }
    }

    /// The same under these tags.
    ///
    /// # Panics
    /// On an empty tag, or one of more than 200 bytes.
    pub(crate) fn tags(mut self, tags: Vec<Arc<str>>) -> Self {
        tags.into_iter().for_each(|tag| self.bare.tag(tag));
        self
    }

    /// A value.
    pub fn new(value: V) -> Self {
        Self::of(Some(value))
    }

    /// The key has no value; kept as a negative entry.
    pub fn absent() -> Self {
        Self::of(None)
    }

    /// Freshness of its own instead of the cache's.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.bare.ttl = Some(ttl);
        self
    }

    /// A tag that only the value shows. It is accepted only if it was not invalidated since the load began; otherwise
    /// the value is returned and not kept.
    ///
    /// # Panics
    /// On an empty tag, or one of more than 200 bytes.
    pub fn tag(mut self, tag: impl Into<Arc<str>>) -> Self {
        self.bare.tag(tag.into());
        self
    }

    /// A weight of its own instead of the cache's weigher's; it means nothing where entries are not weighed
    /// ([`max_weight`](crate::CacheBuilder::max_weight)).
    pub fn weight(mut self, weight: u32) -> Self {
        self.bare.weight = Some(weight);
        self
    }

    /// Gives the value to those who wait and keeps nothing.
    pub fn do_not_keep(mut self) -> Self {
        self.bare.keep = Keep::No;
        self
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(value: Option<V>) -> Self {
        Self::of(value)
    }
}
