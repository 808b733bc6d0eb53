//! The keys that writers hold: which, by how many, and whether anything else happened to them meanwhile.
//!
//! Kept in the slice of the flight table that the key's hash belongs to, and changed under its lock. Keys are dropped by the
//! callers, when the lock is free.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::key::KeyRef;

pub(crate) struct Writers<K> {
    keys: HashTable<Written<K>>,
}

struct Written<K> {
    key: Arc<K>,
    hash: u64,
    holds: u32,
    disturbed: bool,
}

/// What a writer finds when he leaves.
pub(crate) struct Left<K> {
    /// Nobody else wrote, changed or loaded the key while he held it.
    pub(crate) undisturbed: bool,
    /// To be dropped when the lock is free.
    _key: Option<Arc<K>>,
}

impl<K> Writers<K> {
    pub(crate) fn new() -> Self {
        Writers { keys: HashTable::new() }
    }

    /// A writer begins. Two at once disturb each other: whose change came last only the source knows. Gives back the key
    /// where it was held already.
    pub(crate) fn enter<Q>(&mut self, hash: u64, key: &Q, owned: Arc<K>) -> Option<Arc<K>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        if let Some(written) = self.find_mut(hash, key) {
            written.holds += 1;
            written.disturbed = true;
            return Some(owned);
        }
        let written = Written { key: owned, hash, holds: 1, disturbed: false };
        self.keys.insert_unique(hash, written, |written| written.hash);
        None
    }

    /// The keys that writers hold.
    pub(crate) fn keys(&self) -> Vec<Arc<K>> {
        self.keys.iter().map(|written| Arc::clone(&written.key)).collect()
    }

    /// Whether a writer holds this key.
    pub(crate) fn has<Q>(&self, hash: u64, key: &Q) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        self.keys.find(hash, |written| written.hash == hash && key.is(&written.key)).is_some()
    }

    /// Something else happens to a key; whether a writer holds it.
    pub(crate) fn disturb<Q>(&mut self, hash: u64, key: &Q) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let Some(written) = self.find_mut(hash, key) else { return false };
        written.disturbed = true;
        true
    }

    /// A writer ends.
    pub(crate) fn leave<Q>(&mut self, hash: u64, key: &Q) -> Left<K>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let same = |written: &Written<K>| written.hash == hash && key.is(&written.key);
        let Ok(mut found) = self.keys.find_entry(hash, same) else { return Left { undisturbed: false, _key: None } };
        let undisturbed = !found.get().disturbed;
        found.get_mut().holds -= 1;
        let last = found.get().holds == 0;
        Left { undisturbed, _key: last.then(|| found.remove().0.key) }
    }

    fn find_mut<Q>(&mut self, hash: u64, key: &Q) -> Option<&mut Written<K>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        self.keys.find_mut(hash, |written| written.hash == hash && key.is(&written.key))
    }
}
