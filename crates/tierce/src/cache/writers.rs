//! The keys that writers hold: which, by how many, and whether anything else happened to them meanwhile.
//!
//! Kept in the slice of the flight table that the key's hash belongs to, and changed under its lock. Their holders
//! share the keys, so that none is dropped here.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashTable;

use super::cargo::Sought;

/// A key that writers hold, whatever its type.
pub(crate) type Held = Arc<dyn Any + Send + Sync>;

pub(crate) struct Writers {
    keys: HashTable<Written>,
    /// The hashes of those that were held last, and tickets from when that ended.
    ended: VecDeque<(u64, u64)>,
    /// The ticket of the last that is remembered no more.
    forgotten: u64,
}

/// So many ended holds are remembered of a slice: more than end while a load runs.
const REMEMBERED: usize = 64;

struct Written {
    key: Held,
    hash: u64,
    holds: u32,
    disturbed: bool,
}

impl Writers {
    pub(crate) fn new() -> Self {
        Writers { keys: HashTable::new(), ended: VecDeque::new(), forgotten: 0 }
    }

    /// A writer begins. Two at once disturb each other: whose change came last only the source knows. Gives the key to
    /// [`leave`](Writers::leave) with, which is the first writer's.
    pub(crate) fn enter(&mut self, hash: u64, key: &dyn Sought, owned: &Held) -> Held {
        if let Some(written) = self.find_mut(hash, key) {
            written.holds += 1;
            written.disturbed = true;
            return Arc::clone(&written.key);
        }
        let written = Written { key: Arc::clone(owned), hash, holds: 1, disturbed: false };
        self.keys.insert_unique(hash, written, |written| written.hash);
        Arc::clone(owned)
    }

    /// The keys that writers hold.
    pub(crate) fn keys(&self) -> Vec<Held> {
        self.keys.iter().map(|written| Arc::clone(&written.key)).collect()
    }

    /// Whether a writer holds this key.
    pub(crate) fn has(&self, hash: u64, key: &dyn Sought) -> bool {
        self.keys.find(hash, |written| written.hash == hash && key.is(&*written.key)).is_some()
    }

    /// A hold of a key with this hash has ended; loads that begin from now on have later tickets.
    pub(crate) fn remember(&mut self, hash: u64, ticket: u64) {
        if self.ended.len() == REMEMBERED {
            self.forgotten = self.ended.pop_front().map_or(self.forgotten, |(_, ticket)| ticket);
        }
        self.ended.push_back((hash, ticket));
    }

    /// Whether a load with this ticket may have seen what a writer did.
    pub(crate) fn may_be_seen(&self, hash: u64, key: &dyn Sought, ticket: u64) -> bool {
        let since = |(of, ended): &(u64, u64)| *of == hash && *ended > ticket;
        ticket < self.forgotten || self.ended.iter().any(since) || self.has(hash, key)
    }

    /// Something else happens to a key; whether a writer holds it.
    pub(crate) fn disturb(&mut self, hash: u64, key: &dyn Sought) -> bool {
        let Some(written) = self.find_mut(hash, key) else { return false };
        written.disturbed = true;
        true
    }

    /// A writer ends; whether nobody else wrote, changed or loaded the key while he held it. Asks no key's `Eq`, which may
    /// panic, and drops no key: the caller has it.
    pub(crate) fn leave(&mut self, hash: u64, key: &Held) -> bool {
        let same = |written: &Written| Arc::ptr_eq(&written.key, key);
        let Ok(mut found) = self.keys.find_entry(hash, same) else { return false };
        let undisturbed = !found.get().disturbed;
        found.get_mut().holds -= 1;
        if found.get().holds == 0 {
            drop(found.remove());
        }
        undisturbed
    }

    fn find_mut(&mut self, hash: u64, key: &dyn Sought) -> Option<&mut Written> {
        self.keys.find_mut(hash, |written| written.hash == hash && key.is(&*written.key))
    }
}
