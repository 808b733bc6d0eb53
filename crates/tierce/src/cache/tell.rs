//! Changes, told to the store as well as to this process.
//!
//! A change is made here first and after the store has taken it once more: who asked the store in between may have
//! been answered with what was before, and his flight must not fill. Whoever looks a key up after the call has returned finds
//! neither in this process nor in the store what was before. If the store does not take it, the caller is told, and it is kept
//! and told again until it holds.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use super::core::Accepts;
use super::inner::{Inner, Typed};
use super::seen::{Seen, Wants};
use super::shelf::Shelf;
use crate::error::{Error, Kind};
use crate::key::{Key, ToKey, Value};
use crate::mutant::{self, Mutant};
use crate::stats::Counters;
use crate::store::{self, Fault};

impl<K: Key, V: Value> Typed<K, V> {
    /// The name of a key in the store, where it has one.
    pub(super) fn stored_name<Q: ToKey<K> + ?Sized>(&self, key: &Q) -> Option<(&Shelf, store::Key)> {
        let shelf = self.shelf.as_ref()?;
        // What has no name in the store has no entry there.
        Some((shelf, shelf.name(&key.to_key()).ok()?.key))
    }

    pub(super) async fn invalidate_everywhere<Q: ToKey<K> + ?Sized>(&self, key: &Q) -> Result<(), Error> {
        self.invalidate(key);
        let Some((shelf, name)) = self.stored_name(key) else { return Ok(()) };
        let told = shelf.link.invalidate(std::slice::from_ref(&name)).await;
        if !mutant::on(Mutant::EndedBeforeToldOnly) {
            self.invalidate(key);
        }
        told.map_err(|fault| untold("invalidate", &fault))
    }

    pub(super) async fn invalidate_many_everywhere<Q: ToKey<K>>(&self, keys: &[Q]) -> Result<(), Error> {
        keys.iter().for_each(|key| self.invalidate(key));
        let Some(shelf) = &self.shelf else { return Ok(()) };
        let names: Vec<_> = keys.iter().filter_map(|key| Some(self.stored_name(key)?.1)).collect();
        let told = shelf.link.invalidate(&names).await;
        keys.iter().for_each(|key| self.invalidate(key));
        told.map_err(|fault| untold("invalidate_many", &fault))
    }

    pub(super) async fn mark_stale_everywhere<Q: ToKey<K> + ?Sized>(&self, key: &Q) -> Result<(), Error> {
        self.mark_stale(key);
        let Some((shelf, name)) = self.stored_name(key) else { return Ok(()) };
        let kept = Duration::from_millis(self.ages.stale_ms());
        let told = shelf.link.change(&name, |store, within| store.mark_stale(&name, kept, within)).await;
        self.mark_stale(key);
        told.map_err(|fault| untold("mark_stale", &fault))
    }

    pub(super) async fn set_everywhere<Q: ToKey<K> + ?Sized>(
        self: &Arc<Self>,
        key: &Q,
        value: Option<V>,
        ttl: Option<Duration>,
        tags: &[Arc<str>],
    ) -> Result<(), Error> {
        let named = self.shelf.as_ref().map(|shelf| (shelf, shelf.name(&key.to_key())));
        let Some((shelf, Ok(name))) = named else {
            self.set(key.to_key(), value, ttl, None, tags);
            return Ok(());
        };
        // Nobody reads the old value here from now on.
        self.end_key(key);
        let now_ms = self.hub.clock.now_ms();
        let times = self.ages.times(now_ms, ttl, value.is_none(), &self.hub.random);
        let aged = super::load::Aged { times, cost_us: 0, asked_ms: now_ms };
        let mut budget = shelf.link.budget();
        let store_tags = shelf.tags(tags.iter().map(|tag| &**tag));
        let versions = shelf.link.versions(&store_tags, &mut budget).await;
        let sealed = versions.and_then(|versions| {
            let sealed = shelf.seal(&name, value.as_ref().map(|value| value as &dyn Any), &aged, tags, &versions);
            if sealed.is_none() {
                Counters::bump(&self.counters.unshared);
            }
            sealed
        });
        let told = match sealed {
            Some((bytes, time)) => {
                shelf.link.change(&name.key, |store, within| store.set(&name.key, &bytes, time, within)).await
            }
            // It cannot be stored, so at least what is there must go.
            None => shelf.link.invalidate(std::slice::from_ref(&name.key)).await,
        };
        // Not kept here: another writer may have come between the store and this line. The next lookup finds it there.
        self.end_key(key);
        told.map_err(|fault| {
            let detail = "the value is kept nowhere, what was before is ended in this process, and the store is told to end \
                          it until it has";
            Error::new(Kind::Store, "set", format!("{detail}: {fault}"))
        })
    }

    /// Gives a fresh entry its time anew; whether there was one.
    pub(super) async fn touch_everywhere<Q: ToKey<K> + ?Sized>(
        &self,
        key: &Q,
        ttl: Option<Duration>,
    ) -> Result<bool, Error> {
        let named = self.shelf.as_ref().map(|shelf| (shelf, shelf.name(&key.to_key())));
        let Some((shelf, Ok(name))) = named else { return Ok(self.touch(key, ttl)) };
        let refused = |fault: Fault| Error::new(Kind::Store, "touch", fault.to_string());
        let within = shelf.link.patience.change;
        let asked_ms = self.hub.clock.now_ms();
        let stored = shelf.link.tell(|store, _| store.get(&name.key, within)).await.map_err(refused)?;
        let mut seen =
            Seen { name, stored: None, budget: shelf.link.budget(), wants: Wants::Fresh, accepts: Accepts::Absence };
        let Some(stored) = stored else { return Ok(false) };
        let Some(opened) = shelf.standing(&mut seen, &stored, asked_ms).await else { return Ok(false) };
        if self.hub.clock.now_ms() >= opened.aged.times.fresh_until_ms {
            return Ok(false);
        }
        let (head, time) = shelf.anew(opened.kept_ms);
        let touched = shelf.link.tell(|store, _| store.touch(&seen.name.key, &head, time, within)).await;
        let touched = touched.map_err(refused)?;
        if touched && self.coherence.as_ref().is_some_and(|coherence| coherence.is_coherent()) {
            // Otherwise memory's own end is the bound on what others change.
            self.touch(key, None);
        }
        Ok(touched)
    }
}

impl Inner {
    /// Ends every entry of the cache, for all.
    pub(super) async fn purge_everywhere(&self) -> Result<(), Error> {
        self.purge();
        let Some(shelf) = &self.shelf else { return Ok(()) };
        let told = shelf.link.renew(&shelf.purges[1]).await;
        self.purge();
        told.map_err(|fault| untold("purge", &fault))
    }
}

/// What a caller is told whose change the store has not taken.
pub(crate) fn untold(operation: &'static str, fault: &Fault) -> Error {
    let detail = format!("done in this process, but not yet elsewhere, and told again until it is: {fault}");
    Error::new(Kind::Store, operation, detail)
}
