//! What can be measured: the subjects, with the names of their cases and contenders.

pub(crate) mod batch;
pub(crate) mod compile;
pub(crate) mod engine;
pub(crate) mod lookup;
pub(crate) mod macros;
pub(crate) mod memory;
pub(crate) mod outage;
pub(crate) mod processes;
pub(crate) mod stampede;
pub(crate) mod stores;
pub(crate) mod tags;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// `Memory` and its peers.
    Memory,
    /// `Cache` on top of `Memory`.
    Engine,
    /// Many keys in one call.
    Batch,
    /// Functions with a cache of their own.
    Macros,
    /// What such a function adds to a build.
    Compile,
    /// One key, many callers.
    Stampede,
    /// Clients of servers.
    Stores,
    /// Whole lookups with a server behind memory.
    Lookup,
    /// Tags, and what is said to other processes.
    Tags,
    /// Servers that stand still or are started again.
    Outage,
}

/// In the order in which they run; `hit_ratio` is one per trace and capacity.
const MEMORY_CASES: &[&str] = &[
    "hit_u64_zipf",
    "hit_u64_zipf_ttl",
    "hit_string",
    "read_through_zipf",
    "mixed_75_25",
    "insert_evict",
    "hot_key_2t",
    "zipf_2t",
    "footprint_u64_1m",
    "footprint_cache_entry_1m",
    "hit_ratio",
];

const MEMORY_CONTENDERS: &[&str] = &[
    "ours",
    "ours_lru",
    "quick_cache",
    "quick_cache_ttl",
    "moka",
    "moka_default",
    "foyer",
    "foyer_lfu",
    "foyer_default",
    "cached",
    "cached_default",
    "schnellru",
    "schnellru_default",
    "bound_rwlock_map",
    "lru",
    "belady",
];

const ENGINE_CASES: &[&str] = &["hit_tags0", "hit_tags2", "hit_tags0_ttl", "hit_tags2_ttl"];

/// The peers load, but know no tags.
const ENGINE_CONTENDERS: &[&str] = &["ours", "memory_get", "quick_cache", "moka", "foyer"];

const BATCH_CASES: &[&str] = &["hits_90_of_100", "hits_100"];

/// Ours alone: what a batch costs beside what it replaces.
const BATCH_CONTENDERS: &[&str] = &["ours", "singles", "hits", "load"];

/// A plain function, and an async one.
const MACROS_CASES: &[&str] = &["memo_hit", "cached_hit"];

const MACROS_CONTENDERS: &[&str] = &["ours", "by_hand", "cached"];

/// A value type each, or one for all.
const COMPILE_CASES: &[&str] = &["shared_values", "own_values"];

const COMPILE_CONTENDERS: &[&str] = &["ours", "plain"];

/// Those with `_4p` are of several processes.
const STAMPEDE_CASES: &[&str] = &[
    "ok",
    "failing",
    "panicking",
    "slow",
    "cancelled_first",
    "redis_4p",
    "memcached_4p",
    "redis_4p_down",
    "memcached_4p_down",
    "redis_4p_killed",
    "memcached_4p_killed",
];

const STAMPEDE_CONTENDERS: &[&str] = &["ours", "moka", "quick_cache", "foyer", "cached"];

/// `_4w` on a runtime of four workers, the others of one.
const STORES_CASES: &[&str] = &[
    "redis_get_t1",
    "redis_get_t64",
    "redis_get_t256",
    "redis_mget_100",
    "redis_get_t1_4w",
    "redis_get_t64_4w",
    "redis_get_t256_4w",
    "redis_mget_100_4w",
    "memcached_get_t64",
    "memcached_get_100",
    "memcached_get_t64_4w",
    "memcached_get_100_4w",
];

const STORES_CONTENDERS: &[&str] = &[
    "ours",
    "redis_rs_nodelay",
    "redis_rs_coalesced",
    "redis_rs_default",
    "fred",
    "rustis",
    "raw_pipelined",
    "async_memcached",
    "memcache",
    "raw_mg",
];

const LOOKUP_CASES: &[&str] = &["store_hit_t1", "store_hit_t64", "store_hit_t64_4w", "memory_hit"];

const LOOKUP_CONTENDERS: &[&str] =
    &["ours", "ours_tags2", "ours_embedded", "cachet", "hitbox", "multi_tier_cache", "cached"];

/// `invalidate_many` is of as many entries as `--entries` says.
const TAGS_CASES: &[&str] = &["invalidate_10", "invalidate_many", "pushes"];

const TAGS_CONTENDERS: &[&str] = &["ours", "ours_memcached", "redis_rs_sets"];

/// The server that it is about.
const OUTAGE_CASES: &[&str] = &["redis", "memcached"];

/// No peer goes on without its server and comes back to it.
const OUTAGE_CONTENDERS: &[&str] = &["ours"];

impl Subject {
    /// All of them.
    pub(crate) const ALL: [Subject; 10] = [
        Subject::Memory,
        Subject::Engine,
        Subject::Batch,
        Subject::Macros,
        Subject::Compile,
        Subject::Stampede,
        Subject::Stores,
        Subject::Lookup,
        Subject::Tags,
        Subject::Outage,
    ];

    /// Its word on the command line and in the output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Engine => "engine",
            Self::Batch => "batch",
            Self::Macros => "macros",
            Self::Compile => "compile",
            Self::Stampede => "stampede",
            Self::Stores => "stores",
            Self::Lookup => "lookup",
            Self::Tags => "tags",
            Self::Outage => "outage",
        }
    }

    /// The cases, in the order in which they run.
    pub(crate) fn cases(self) -> &'static [&'static str] {
        match self {
            Self::Memory => MEMORY_CASES,
            Self::Engine => ENGINE_CASES,
            Self::Batch => BATCH_CASES,
            Self::Macros => MACROS_CASES,
            Self::Compile => COMPILE_CASES,
            Self::Stampede => STAMPEDE_CASES,
            Self::Stores => STORES_CASES,
            Self::Lookup => LOOKUP_CASES,
            Self::Tags => TAGS_CASES,
            Self::Outage => OUTAGE_CASES,
        }
    }

    /// Every name that may follow `--contenders`.
    pub(crate) fn contenders(self) -> &'static [&'static str] {
        match self {
            Self::Memory => MEMORY_CONTENDERS,
            Self::Engine => ENGINE_CONTENDERS,
            Self::Batch => BATCH_CONTENDERS,
            Self::Macros => MACROS_CONTENDERS,
            Self::Compile => COMPILE_CONTENDERS,
            Self::Stampede => STAMPEDE_CONTENDERS,
            Self::Stores => STORES_CONTENDERS,
            Self::Lookup => LOOKUP_CONTENDERS,
            Self::Tags => TAGS_CONTENDERS,
            Self::Outage => OUTAGE_CONTENDERS,
        }
    }
}
