//! What the tasks of a process under check share, and the rows that it caches.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tierce::{Cache, Hub};

use super::belief::Belief;
use super::link::Link;

/// A row as it is cached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) key: u32,
    pub(super) version: u64,
    /// Says that both were written together.
    check: u64,
}

impl Row {
    pub(super) fn new(key: u32, version: u64) -> Self {
        Row { key, version, check: check(key, version) }
    }

    /// Whether this is a row of that key.
    pub(super) fn is_of(&self, key: u32) -> bool {
        self.key == key && self.check == check(key, self.version)
    }
}

fn check(key: u32, version: u64) -> u64 {
    (version << 8 | u64::from(key)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// What all tasks of a process share.
pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) cache: Cache<u32, Row>,
    pub(super) link: Arc<Link>,
    pub(super) belief: Belief,
}
