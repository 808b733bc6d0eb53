//! What the glue to another language asks of a cache: a hit without a future, the load that runs here, a key's text.
//!
//! There a loader is a task of its language's own, which an event loop runs: what it looks up stands on no stack of polls
//! (`cycle.rs`). So the glue keeps the load that a loader belongs to, and polls under it what the loader asks for.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::cycle::{Node, innermost};
use super::{Builder, Cache, Entry, Load, Loaded};
use crate::error::LoadError;
use crate::hub::Hub;
use crate::key::{Key, KeyRef, ToKey, Value};
use crate::runtime::{self, BoxFuture};
use crate::shared::Owner;
use crate::store::{self, Codec};

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

/// The value, loaded if it is not here; a known absence is none, and is loaded too.
///
/// # Errors
/// As [`Cache::get_or_load`](crate::Cache::get_or_load).
pub async fn value_with<K, V, Q, L, F, E>(entry: Entry<'_, K, V, Q>, load: L) -> Result<V, LoadError<E>>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + ?Sized,
    L: FnOnce(Load<V>) -> F,
    F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    E: Send + Sync + 'static,
{
    entry.serve(load).await?.value.ok_or(LoadError::Abandoned)
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

/// Waits until the hub's store has answered once, a second at most. Whether it did, its health says.
pub async fn arrive(hub: &Hub) {
    if let Some(link) = hub.link() {
        // A lookup goes on without it, as it does later.
        let _ = Arc::clone(link).arrive().await;
    }
}

/// Learns what tags are at in the store that a load about to begin will turn out to have, where this process does not know: what
/// it brings could not be stored otherwise, since a tag that only a result names may have been invalidated during its load.
pub async fn learn<K: Key, V: Value>(cache: &Cache<K, V>, tags: &[Arc<str>]) {
    let Some(shelf) = &cache.inner.shelf else { return };
    let now = cache.inner.hub.clock.precise();
    let mut unknown: Vec<_> = tags.iter().map(|tag| shelf.tag(tag)).collect();
    unknown.retain(|tag| shelf.link.version_before(tag, now).is_none());
    if !unknown.is_empty() {
        // Without an answer the load goes on, and is not stored.
        let _ = shelf.link.learn(&unknown, &mut shelf.link.budget()).await;
    }
}

/// This process is the child of a fork: what ran beside the thread that forked does not run here.
pub fn forked() {
    runtime::forked();
}

/// A sleep on the runtime that this is polled on.
pub fn sleep(time: Duration) -> BoxFuture {
    runtime::current().sleep(time)
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

/// A cache whose values may be shared through the hub's store, packed by these functions; each says why where it cannot. They
/// are called where the engine polls, and under none of its locks.
pub fn packed<K: Key + Serialize, V: Value>(
    builder: Builder<K, V>,
    codec: Codec,
    pack: impl Fn(&V, &mut Vec<u8>) -> Result<(), String> + Send + Sync + 'static,
    unpack: impl Fn(&[u8]) -> Result<V, String> + Send + Sync + 'static,
) -> Builder<K, V> {
    builder.packed(codec, Box::new(pack), Box::new(unpack))
}
