//! Stands for the guide's Redis: the commands it uses, on a dictionary in this process.
//!
//! A command costs no network here and no copy of the value, which favours the guide's column. As in Redis, a key is a
//! string or a set, keys carry an expiry, an expired key is absent, and a pipeline runs as one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use crate::clock;

enum Value {
    String(Arc<str>),
    Set(HashSet<String>),
}

struct Slot {
    value: Value,
    expires: Option<Instant>,
}

impl Slot {
    fn is_live(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// The dictionary.
#[derive(Default)]
pub(super) struct Redis {
    keys: RwLock<HashMap<String, Slot>>,
}

impl Redis {
    /// `GET key`
    pub(super) fn get(&self, key: &str) -> Option<Arc<str>> {
        let keys = self.keys.read().expect("no holder of this lock can panic");
        match keys.get(key) {
            Some(slot @ Slot { value: Value::String(text), .. }) if slot.is_live(clock::now()) => {
                Some(Arc::clone(text))
            }
            _ => None,
        }
    }

    /// `SETEX key ttl value`, then for each tag `SADD tag key` and `EXPIRE tag tag_ttl`, in one transaction.
    pub(super) fn setex_with_tags(&self, key: &str, ttl: Duration, value: String, tags: &[String], tag_ttl: Duration) {
        let now = clock::now();
        let mut keys = self.keys.write().expect("no holder of this lock can panic");
        let slot = Slot { value: Value::String(value.into()), expires: Some(now + ttl) };
        keys.insert(key.to_owned(), slot);
        for tag in tags {
            if keys.get(tag).is_some_and(|slot| !slot.is_live(now)) {
                keys.remove(tag);
            }
            let set = keys.entry(tag.clone()).or_insert(Slot { value: Value::Set(HashSet::new()), expires: None });
            if let Value::Set(members) = &mut set.value {
                members.insert(key.to_owned());
            }
            // EXPIRE sets the expiry whatever it was: a member of short life shortens the set's.
            set.expires = Some(now + tag_ttl);
        }
    }

    /// `SMEMBERS tag`
    pub(super) fn smembers(&self, tag: &str) -> Vec<String> {
        let keys = self.keys.read().expect("no holder of this lock can panic");
        match keys.get(tag) {
            Some(slot @ Slot { value: Value::Set(members), .. }) if slot.is_live(clock::now()) => {
                members.iter().cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// `DEL key …`
    pub(super) fn del<'a>(&self, gone: impl IntoIterator<Item = &'a str>) {
        let mut keys = self.keys.write().expect("no holder of this lock can panic");
        for key in gone {
            keys.remove(key);
        }
    }

    /// How many strings there are.
    pub(super) fn strings(&self) -> u64 {
        let keys = self.keys.read().expect("no holder of this lock can panic");
        keys.values().filter(|slot| matches!(slot.value, Value::String(_))).count() as u64
    }

    /// How many members of sets name a key that does not exist.
    pub(super) fn dead_members(&self) -> u64 {
        let keys = self.keys.read().expect("no holder of this lock can panic");
        let dead = |slot: &Slot| match &slot.value {
            Value::Set(members) => members.iter().filter(|member| !keys.contains_key(*member)).count() as u64,
            Value::String(_) => 0,
        };
        keys.values().map(dead).sum()
    }
}
