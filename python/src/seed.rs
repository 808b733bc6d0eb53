//! A seed for each table, so that nobody can prepare keys that collide.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Another number each time; of the process's own random state.
pub(crate) fn draw() -> u64 {
    RandomState::new().build_hasher().finish()
}
