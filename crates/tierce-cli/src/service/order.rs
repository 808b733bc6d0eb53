//! What the other processes behind the page are ordered, and what they answer.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::database::Health;

/// What another process serves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Post {
    /// The file of the database, which the processes share.
    pub(crate) database: PathBuf,
    /// The store's URL, and what stands before all names in it.
    pub(crate) store: String,
    pub(crate) namespace: String,
}

/// What it does next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Somebody looks. Answer: the account since the last.
    Account,
    /// So many lookups a second in all processes together.
    Traffic { per_second: u32 },
    /// Trouble for its connections to the database, or the end of it.
    Database { health: Health, length_ms: u64 },
    /// Many callers of one key, at that time of the common clock. Answer: the crowd.
    Crowd { callers: u32, at_ns: u64 },
    /// Answer: what a reader of this place gets.
    Place { id: u32 },
    /// Waits until the store is in full use again, but no longer than so. Answer: whether it is.
    Recover { within_ms: u64 },
}
