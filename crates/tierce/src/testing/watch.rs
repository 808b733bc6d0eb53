//! What a cache counted since a test began to watch it.

use std::fmt;

use crate::cache::Cache;
use crate::key::{Key, Value};
use crate::stats::Stats;

/// Watches a cache's counts from now on, to say how they must have changed.
///
/// Each method panics at the test's own line, with all the counts, when it does not hold.
///
/// ```
/// use tierce::Hub;
/// use tierce::testing::{Source, Watch};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let users = Source::from([(7, "Ada")]);
/// let cache = Hub::embedded().local_cache::<u64, &str>("user").build();
/// let watch = Watch::new(&cache);
/// for _ in 0..3 {
///     cache.get_or_load(&7, || users.load(&7)).await.unwrap();
/// }
/// watch.hits(2).misses(1).loads(1).load_errors(0);
/// # }
/// ```
pub struct Watch<K: Key, V: Value> {
    cache: Cache<K, V>,
    before: Stats,
}

/// The counts that changed.
struct Since {
    hits: u64,
    misses: u64,
    stale_hits: u64,
    negative_hits: u64,
    coalesced: u64,
    loads: u64,
    load_errors: u64,
    refused: u64,
    busy: u64,
    evicted: u64,
}

impl<K: Key, V: Value> Watch<K, V> {
    /// Counts from now on.
    pub fn new(cache: &Cache<K, V>) -> Self {
        Watch { cache: cache.clone(), before: cache.stats() }
    }

    /// Lookups answered without a load.
    #[track_caller]
    pub fn hits(&self, expected: u64) -> &Self {
        self.expect("hits", expected, |since| since.hits)
    }

    /// Lookups that had to load, to wait for a load, or to go without.
    #[track_caller]
    pub fn misses(&self, expected: u64) -> &Self {
        self.expect("misses", expected, |since| since.misses)
    }

    /// Stale values served.
    #[track_caller]
    pub fn stale_hits(&self, expected: u64) -> &Self {
        self.expect("stale hits", expected, |since| since.stale_hits)
    }

    /// Hits on known absences.
    #[track_caller]
    pub fn negative_hits(&self, expected: u64) -> &Self {
        self.expect("negative hits", expected, |since| since.negative_hits)
    }

    /// Lookups that waited for somebody else's load.
    #[track_caller]
    pub fn coalesced(&self, expected: u64) -> &Self {
        self.expect("coalesced lookups", expected, |since| since.coalesced)
    }

    /// Loads started.
    #[track_caller]
    pub fn loads(&self, expected: u64) -> &Self {
        self.expect("loads", expected, |since| since.loads)
    }

    /// Loads that ended in an error, a panic or at their deadline.
    #[track_caller]
    pub fn load_errors(&self, expected: u64) -> &Self {
        self.expect("load errors", expected, |since| since.load_errors)
    }

    /// Loads whose value was not kept, since something changed meanwhile.
    #[track_caller]
    pub fn refused(&self, expected: u64) -> &Self {
        self.expect("refused fills", expected, |since| since.refused)
    }

    /// Loads that were turned away.
    #[track_caller]
    pub fn busy(&self, expected: u64) -> &Self {
        self.expect("busy", expected, |since| since.busy)
    }

    /// Entries that left since there was no room.
    #[track_caller]
    pub fn evicted(&self, expected: u64) -> &Self {
        self.expect("evicted", expected, |since| since.evicted)
    }

    #[track_caller]
    fn expect(&self, what: &str, expected: u64, count: impl Fn(&Since) -> u64) -> &Self {
        let since = self.since();
        let found = count(&since);
        assert!(found == expected, "cache {:?}: expected {what} {expected}, found {found}\n{since}", self.cache.name());
        self
    }

    fn since(&self) -> Since {
        let (now, before) = (self.cache.stats(), &self.before);
        Since {
            hits: now.hits - before.hits,
            misses: now.misses - before.misses,
            stale_hits: now.stale_hits - before.stale_hits,
            negative_hits: now.negative_hits - before.negative_hits,
            coalesced: now.coalesced - before.coalesced,
            loads: now.loads - before.loads,
            load_errors: now.load_errors - before.load_errors,
            refused: now.refused - before.refused,
            busy: now.busy - before.busy,
            evicted: now.removals.evicted - before.removals.evicted,
        }
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Since { hits, misses, stale_hits, negative_hits, coalesced, loads, load_errors, refused, busy, evicted } =
            self;
        write!(f, "counted: hits {hits}, of them stale {stale_hits} and negative {negative_hits}; misses {misses}, ")?;
        write!(
            f,
            "of them coalesced {coalesced}; loads {loads}, errors {load_errors}, refused {refused}, busy {busy}; "
        )?;
        write!(f, "evicted {evicted}")
    }
}
