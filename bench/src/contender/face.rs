//! The face of an in-process memory.

use std::hash::Hash;
use std::time::Duration;

/// The hasher every contender is given that takes one; ours has it built in.
pub(crate) type Hasher = foldhash::quality::RandomState;

/// What any contender asks of a key.
pub(crate) trait Key: Hash + Eq + Clone + std::fmt::Debug + Send + Sync + 'static {}
impl<K: Hash + Eq + Clone + std::fmt::Debug + Send + Sync + 'static> Key for K {}

/// What any contender asks of a value.
pub(crate) trait Value: Clone + Send + Sync + 'static {}
impl<V: Clone + Send + Sync + 'static> Value for V {}

/// Whether a contender can let entries expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// It has no notion of it.
    Never,
    /// When asked.
    Optional,
    /// It is there for nothing else.
    Always,
}

/// How large, and whether entries expire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Entries at most.
    pub(crate) capacity: usize,
    /// How long an entry lives.
    pub(crate) ttl: Option<Duration>,
}

/// An in-process memory.
pub(crate) trait Contender<K, V>: Sized + Send + Sync + 'static {
    /// Whether entries can expire.
    const EXPIRY: Expiry;
    /// Whether it is bounded at all.
    const BOUNDED: bool = true;

    fn new(shape: Shape) -> Self;
    fn get(&self, key: &K) -> Option<V>;
    fn insert(&self, key: K, value: V);
    /// Entries held.
    fn len(&self) -> usize;
    /// Finishes work that was put off, where a contender does so.
    fn settle(&self) {}
}

/// Shards for what is sharded here and not by the contender itself: four per core, as
/// quick_cache's own default.
pub(crate) fn shard_count() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores * 4).next_power_of_two()
}
