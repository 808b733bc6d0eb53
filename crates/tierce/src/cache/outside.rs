//! What the glue to another language asks of a cache: a hit without a future, the load that runs here, a key's text.
//!
//! There a loader is a task of its language's own, which an event loop runs: what it looks up stands on no stack of polls
//! (`cycle.rs`). So the glue keeps the load that a loader belongs to, and polls under it what the loader asks for.

use std::sync::Arc;

use serde::Serialize;

use super::cycle::{Node, innermost};
use super::{Builder, Cache};
use crate::key::{Key, KeyRef, Value};
use crate::shared::Owner;
use crate::store;

/// The value if it is in this process and fresh, counted as a hit; `None` counts nothing, and is for a lookup that loads.
#[inline]
pub fn hit<K: Key, V: Value, Q: KeyRef<K> + ?Sized>(cache: &Cache<K, V>, key: &Q) -> Option<V> {
    cache.inner.hit(key).or_else(|| cache.inner.hit_compared(key))
}

/// Of a builder of one function alone: a cache of the same name that another has is an error of the kind
/// [`Conflict`](crate::Kind::Conflict), also where nothing but a load of it is left.
pub fn owned<K: Key, V: Value>(builder: Builder<K, V>, number: usize) -> Builder<K, V> {
    builder.owner(Owner::Function(number))
}

/// A load.
#[derive(Clone)]
pub struct Inside(Arc<Node>);

/// The load that is being polled on this thread, or whose loader is being called.
pub fn inside() -> Option<Inside> {
    innermost().map(Inside)
}

impl Inside {
    /// Polls what this load waits for.
    pub fn polled<R>(&self, poll: impl FnOnce() -> R) -> R {
        self.0.polled(poll)
    }
}

/// What a key is called in a store: its text, as `docs/wire.md` has it.
///
/// # Errors
/// Why it has none, as a sentence.
pub fn key_text(key: &impl Serialize) -> Result<String, String> {
    let mut text = String::new();
    store::write_key(key, &mut text).map_err(|why| why.to_string())?;
    Ok(text)
}
