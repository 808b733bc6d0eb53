//! Clones of the entries, a few hundred under each lock.

use std::hash::Hash;

use super::face::Memory;
use super::shard::CHUNK;

/// The live entries of a [`Memory`], in no order.
///
/// An entry that stays throughout is seen exactly once. No lock is held between two items.
pub struct Iter<'a, K, V> {
    memory: &'a Memory<K, V>,
    shard: usize,
    next: usize,
    chunk: Vec<(K, V)>,
}

impl<K: Hash + Eq, V> Memory<K, V> {
    /// Clones of the live entries, in no order; what comes or goes meanwhile may or may not be seen.
    pub fn iter(&self) -> Iter<'_, K, V>
    where
        K: Clone,
        V: Clone,
    {
        Iter::new(self)
    }
}

impl<'a, K, V> Iter<'a, K, V> {
    fn new(memory: &'a Memory<K, V>) -> Self {
        Iter { memory, shard: 0, next: 0, chunk: Vec::new() }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Iterator for Iter<'_, K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        while self.chunk.is_empty() {
            let shard = self.memory.inner.shards.get(self.shard)?;
            let now_ms = self.memory.inner.clock.now_ms();
            let chunk = &mut self.chunk;
            let reader = self.memory.inner.reader(shard);
            let next = reader.visit((self.next, CHUNK), now_ms, |k, v| chunk.push((k.clone(), v.clone())));
            drop(reader);
            self.next = next.unwrap_or(0);
            self.shard += usize::from(next.is_none());
        }
        self.chunk.pop()
    }
}
