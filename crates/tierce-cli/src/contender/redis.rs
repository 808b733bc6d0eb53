//! The guide's Redis: the commands it uses, of a server, or of a dictionary in this process that stands for one.
//!
//! A command of the dictionary costs no network and no copy of the value, which favours the guide's column. As in Redis, a
//! key is a string or a set, keys carry an expiry, an expired key is absent, and a pipeline runs as one transaction.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use crate::clock;
use crate::error::Error;

/// The commands that the guide uses.
pub(crate) trait Redis: Send + Sync + 'static {
    /// A string as it is read.
    type Text: Deref<Target = str> + Send;

    /// `GET key`
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Self::Text>, Error>> + Send;

    /// `SETEX key ttl value`, then for each tag `SADD tag key` and `EXPIRE tag tag_ttl`, in one transaction.
    fn setex_with_tags(
        &self,
        key: &str,
        ttl: Duration,
        value: String,
        tags: &[String],
        tag_ttl: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// `SMEMBERS tag`
    fn smembers(&self, tag: &str) -> impl Future<Output = Result<Vec<String>, Error>> + Send;

    /// `DEL key …`
    fn del(&self, gone: &[&str]) -> impl Future<Output = Result<(), Error>> + Send;

    /// How many strings there are, and how many members of sets name a key that does not exist; where that can be told
    /// at once.
    fn kept(&self) -> Option<(u64, u64)>;
}

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
pub(crate) struct Dictionary {
    keys: RwLock<HashMap<String, Slot>>,
}

impl Redis for Dictionary {
    type Text = Arc<str>;

    async fn get(&self, key: &str) -> Result<Option<Arc<str>>, Error> {
        let keys = self.keys.read().expect("no holder of this lock can panic");
        Ok(match keys.get(key) {
            Some(slot @ Slot { value: Value::String(text), .. }) if slot.is_live(clock::now()) => {
                Some(Arc::clone(text))
            }
            _ => None,
        })
    }

    async fn setex_with_tags(
        &self,
        key: &str,
        ttl: Duration,
        value: String,
        tags: &[String],
        tag_ttl: Duration,
    ) -> Result<(), Error> {
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
        Ok(())
    }

    async fn smembers(&self, tag: &str) -> Result<Vec<String>, Error> {
        let keys = self.keys.read().expect("no holder of this lock can panic");
        Ok(match keys.get(tag) {
            Some(slot @ Slot { value: Value::Set(members), .. }) if slot.is_live(clock::now()) => {
                members.iter().cloned().collect()
            }
            _ => Vec::new(),
        })
    }

    async fn del(&self, gone: &[&str]) -> Result<(), Error> {
        let mut keys = self.keys.write().expect("no holder of this lock can panic");
        for key in gone {
            keys.remove(*key);
        }
        Ok(())
    }

    fn kept(&self) -> Option<(u64, u64)> {
        Some((self.strings(), self.dead_members()))
    }
}

impl Dictionary {
    fn strings(&self) -> u64 {
        let keys = self.keys.read().expect("no holder of this lock can panic");
        keys.values().filter(|slot| matches!(slot.value, Value::String(_))).count() as u64
    }

    fn dead_members(&self) -> u64 {
        let keys = self.keys.read().expect("no holder of this lock can panic");
        let dead = |slot: &Slot| match &slot.value {
            Value::Set(members) => members.iter().filter(|member| !keys.contains_key(*member)).count() as u64,
            Value::String(_) => 0,
        };
        keys.values().map(dead).sum()
    }
}
