//! The store's part in a lookup, before anything is loaded.
//!
//! Who leads a flight asks the store himself, in his own task: a hit costs no task, and his loader is called only when the
//! store has nothing. If he is cancelled meanwhile his flight is given up, and whoever waits looks again. What is found is
//! good if its time is not over and its tags are still at the versions that it was stored with; it goes into memory as
//! what a load brings does, if the flight still stands.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::answer::Freshness;
use super::cycle::Asks;
use super::fill::distinct;
use super::flight::{Flight, Ground, Outcome};
use super::inner::{Accepts, Fallout, Inner};
use super::load::Loaded;
use super::lookup::{Before, Boarded, Path, Role, Served};
use super::run::Pledge;
use super::seen::{First, Seen, Wants};
use super::shelf::{Opened, Shelf};
use super::stamped::Ties;
use super::wait::{Patience, Waited};
use crate::expiry::Age;
use crate::key::{Key, ToKey, Value};
use crate::mutant::{self, Mutant};
use crate::runtime;
use crate::stats::Counters;
use crate::store::Stored;

/// What the store had for a flight.
enum Consulted {
    /// A fresh entry, of this age. Its flight has ended with it.
    Found(Age),
    /// A stale entry, which is in memory now; the flight has ended, and who waited for it looks again.
    Stale,
    /// Nothing to serve; the load is told what was seen.
    Nothing(Seen),
}

impl<K: Key, V: Value> Shelf<K, V> {
    /// What an entry says, if its tags are at the versions that it has. It is known to be good as of the older of the two
    /// answers: believed from the entry's on, it would be served twice as long as its tags' versions are.
    pub(super) async fn standing(&self, seen: &mut Seen, stored: &Stored, asked_ms: u64) -> Option<Opened<V>> {
        let mut opened = self.open(&seen.name, stored, asked_ms)?;
        let tags = self.tags(opened.tags.iter().map(|tag| &**tag));
        let (versions, age) = match seen.wants {
            Wants::Strong if !mutant::on(Mutant::StrongBelievesVersions) => {
                (self.link.versions(&tags, &mut seen.budget).await?, Duration::ZERO)
            }
            _ => self.link.known_versions(&tags, &mut seen.budget).await?,
        };
        let age = if mutant::on(Mutant::VersionsAgeNotCounted) { Duration::ZERO } else { age };
        opened.as_old_as(age, self.asked_ms());
        (versions == opened.versions || mutant::on(Mutant::StoredTagsNotCompared)).then_some(opened)
    }
}

impl<K: Key, V: Value> Inner<K, V> {
    /// What is known of the store before it is asked; `None` without one.
    pub(super) fn unseen<Q: ToKey<K> + ?Sized>(&self, key: &Q, wants: Wants) -> Option<Seen> {
        let shelf = self.shelf.as_ref()?;
        match shelf.name(&key.to_key()) {
            Ok(name) => Some(Seen { name, stored: None, budget: shelf.link.budget(), wants }),
            Err(_no_stable_text) => {
                // Its entries stay in this process.
                Counters::bump(&self.counters.unshared);
                None
            }
        }
    }

    /// Keeps a stale entry of the store in memory, if the flight stands.
    fn stock(&self, flight: &Arc<Flight<K, V>>, loaded: Loaded<V>) {
        let Some(aged) = loaded.aged else { return };
        let named = self.hub.tags.cells(&loaded.tags);
        let tags = distinct(named.iter());
        let fresh = {
            let times = self.believed(aged.times, aged.asked_ms);
            let ties = Ties { tags: &tags, place: flight.place };
            self.fresh_at(flight.key.clone(), loaded.value, None, ties, flight.began, (times, aged.cost_us))
        };
        let mut out = Fallout::new();
        let slice = self.flights.lock(flight.hash);
        let stands = slice.find(&flight.key).is_some_and(|standing| Arc::ptr_eq(standing, flight));
        let mut unkept = Some(fresh);
        if stands && let Some(fresh) = unkept.take() {
            self.memory.put(flight.hash, fresh, &mut out);
        }
        drop(slice);
        drop(unkept);
        self.memory.settle(out);
    }

    /// Ends a flight with what the store had.
    pub(super) fn land_found(&self, flight: &Arc<Flight<K, V>>, loaded: Loaded<V>) {
        let mut out = Fallout::new();
        let outcome = self.land_or_panic(flight, loaded, Duration::ZERO, &mut out);
        flight.publish(outcome);
        self.memory.settle(out);
    }
}

impl<K: Key, V: Value, Q: ToKey<K> + ?Sized> Path<'_, K, V, Q> {
    /// Asks the store for a flight that this lookup leads, as long as its caller waits.
    pub(super) async fn ask_first(&self, flight: &Arc<Flight<K, V>>, seen: Seen, patience: &mut Patience) -> First {
        let (pledge, wants) = (Pledge::new(self.cache, flight), seen.wants);
        let mut consult = pin!(self.consult(flight, seen));
        let ended = poll_fn(|cx| match consult.as_mut().poll(cx) {
            Poll::Ready(consulted) => Poll::Ready(Ok(consulted)),
            Poll::Pending => patience.ends(cx).map_or(Poll::Pending, |waited| Poll::Ready(Err(waited))),
        });
        let first = match ended.await {
            Ok(Consulted::Found(Age::Early)) => First::Early,
            Ok(Consulted::Found(_) | Consulted::Stale) => First::Found,
            Ok(Consulted::Nothing(seen)) => First::Load(Some(seen)),
            Err(Waited::Hard) => return First::TooLate,
            Err(_time_for_a_stale_value) => First::Late(self.cache.unseen(self.key, wants)),
        };
        pledge.kept();
        first
    }

    /// Asks the store for a flight that this lookup leads.
    async fn consult(&self, flight: &Arc<Flight<K, V>>, mut seen: Seen) -> Consulted {
        let Some(shelf) = &self.cache.shelf else { return Consulted::Nothing(seen) };
        if shelf.link.is_untold(&seen.name.key) {
            seen.budget.spend_all();
            return Consulted::Nothing(seen);
        }
        let asked_ms = self.cache.hub.clock.now_ms();
        let key = &seen.name.key;
        let stored = shelf.link.ask(&mut seen.budget, |store, within| store.get(key, within)).await.flatten();
        let Some(stored) = stored else { return Consulted::Nothing(seen) };
        let opened = shelf.standing(&mut seen, &stored, asked_ms).await;
        let fits = |opened: &Opened<V>| opened.value.is_some() || self.call.accepts == Accepts::Absence;
        let Some(opened) = opened.filter(fits) else {
            seen.stored = Some(stored);
            return Consulted::Nothing(seen);
        };
        let now_ms = self.cache.hub.clock.now_ms();
        let times = opened.aged.times;
        let age = self.cache.ages.judge(now_ms, times, opened.aged.cost_us, &self.cache.hub.random);
        if now_ms < times.fresh_until_ms {
            Counters::bump(&self.cache.counters.store_hits);
            self.cache.land_found(flight, opened.loaded());
            return Consulted::Found(age);
        }
        if opened.value.is_none() || now_ms >= times.expiry_ms || seen.wants == Wants::Strong {
            seen.stored = Some(stored);
            return Consulted::Nothing(seen);
        }
        self.cache.stock(flight, opened.loaded());
        if age == Age::Revalidate {
            self.cache.give_up(flight, Outcome::Overtaken);
            return Consulted::Stale;
        }
        seen.stored = Some(stored);
        Consulted::Nothing(seen)
    }

    /// What the store has, for a lookup that loads nothing. A load that runs is not waited for.
    pub(super) async fn fetch(&self) -> Option<Served<V>> {
        let (wants, asks, before) = match self.call.strong {
            true => (Wants::Strong, Asks::Anew, Before::Nothing),
            false => (Wants::Fresh, Asks::Store, Before::LookAtMemory),
        };
        let seen = self.cache.unseen(self.key, wants)?;
        let runtime = runtime::here().or_else(runtime::lasting).unwrap_or_else(runtime::current);
        let departure = self.departure(&runtime, asks);
        let cells = self.cache.hub.tags.cells(&self.call.tags);
        let boarded = self.board(&departure, &cells, before, Ground::Fore);
        let Boarded::Flight(flight, Role::Leads) = boarded else { return None };
        // Whoever waits looks again if it ends with nothing, and loads.
        let _pledge = Pledge::new(self.cache, &flight);
        let Consulted::Found(_) = self.consult(&flight, seen).await else { return None };
        match flight.ended()? {
            Outcome::Landed => Some(Served { value: flight.landed().value.clone(), freshness: Freshness::Fresh }),
            _ => None,
        }
    }
}
