//! A load of many ids under leases: what it brings is stored for each by itself.
//!
//! Where another process has an id's lease it is loaded all the same, with the others, and not stored: to wait for one id would
//! keep all of them waiting.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::flight::{AnyError, Fleet, Flight};
use super::inner::Inner;
use super::leased::{beside, own_tags};
use super::load::{Aged, Bare, Brought, Keep};
use super::run::LoadFuture;
use super::shelf::Shelf;
use crate::runtime::Runtime;
use crate::stats::Counters;
use crate::store::{Budget, Lease, Name, Store, Stored, Tag, Tell, Token, Version, together};

/// The leases of one load's ids, which are given back unless they are ended otherwise.
struct Leases<'a> {
    shelf: &'a Shelf,
    runtime: Arc<dyn Runtime>,
    /// A flight after the other.
    held: Vec<Option<(Name, Token)>>,
    /// What the tags were at that are known before the load, and what they are called.
    before: Option<HashMap<Tag, Version>>,
    names: Vec<Arc<str>>,
    began: Duration,
    budget: Budget,
}

/// What the store has of flights that it is no answer to: what their loads are to replace.
#[derive(Default)]
pub(super) struct Replaced(HashMap<usize, Stored>);

impl Replaced {
    pub(super) fn put(&mut self, flight: &Arc<Flight>, stored: Stored) {
        self.0.insert(address(flight), stored);
    }

    fn of(&self, flight: &Arc<Flight>) -> Option<&Stored> {
        self.0.get(&address(flight))
    }
}

/// Tells the flights of one load apart.
fn address(flight: &Arc<Flight>) -> usize {
    Arc::as_ptr(flight).cast::<()>() as usize
}

/// A load of many ids, under leases.
pub(super) async fn leased_many(
    cache: Arc<Inner>,
    fleet: Fleet,
    replaced: Replaced,
    load: LoadFuture<Brought>,
) -> Result<Brought, AnyError> {
    let Some(shelf) = &cache.shelf else { return load.await };
    let mut leases = Leases::take(&cache, shelf, &fleet, &replaced).await;
    let began_ms = cache.hub.clock.now_ms();
    let mut brought = beside(load, leases.extend()).await?;
    let took = cache.hub.clock.precise().saturating_sub(leases.began);
    for said in &mut brought {
        // What nothing was said of has no value.
        let Ok(loaded) = said.get_or_insert_with(|| Ok(Bare::new(true))) else { continue };
        let now_ms = cache.hub.clock.now_ms();
        let times = cache.ages.times(now_ms, loaded.ttl, loaded.is_absence, &cache.hub.random);
        let cost_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        loaded.aged = Some(Aged { times, cost_us, asked_ms: began_ms });
    }
    leases.fill(&cache, &fleet, &mut brought).await;
    Ok(brought)
}

impl<'a> Leases<'a> {
    async fn take(cache: &Inner, shelf: &'a Shelf, fleet: &Fleet, replaced: &Replaced) -> Self {
        let mut budget = shelf.link.budget();
        let first = fleet.first();
        let named: Vec<_> = fleet.flights().iter().map(|flight| flight.name.clone()).collect();
        let time = shelf.link.patience.lease;
        let asked = named.iter().zip(fleet.flights()).map(|(name, flight)| {
            let mut budget = budget;
            let replaced = replaced.of(flight);
            async move {
                let key = &name.as_ref()?.key;
                let lease = shelf.link.ask(&mut budget, |store, within| store.lease(key, replaced, time, within)).await;
                if let Some(Lease::Won(token)) = lease { Some(token) } else { None }
            }
        });
        let asking = cache.hub.clock.precise();
        let tokens = together(asked).await;
        budget.spend_since(asking, &cache.hub.clock);
        let held = named.into_iter().zip(tokens).map(|(name, token)| name.zip(token)).collect();
        let names: Vec<Arc<str>> = first.tags.iter().map(|cell| Arc::from(cell.name())).collect();
        let runtime = Arc::clone(&first.node.runtime);
        let mut leases = Leases { shelf, runtime, held, before: None, names, began: asking, budget };
        if leases.held.iter().any(Option::is_some) {
            let tags = shelf.tags(leases.names.iter().map(|name| &**name));
            leases.before = shelf.versions_of(tags, &mut leases.budget).await;
        }
        leases.began = cache.hub.clock.precise();
        leases
    }

    /// Lets them last while the load runs.
    fn extend(&self) -> impl Future<Output = ()> + use<'a> {
        let (shelf, runtime) = (self.shelf, Arc::clone(&self.runtime));
        let held: Vec<_> = self.held.iter().flatten().map(|(name, token)| (name.key.clone(), *token)).collect();
        async move {
            let time = shelf.link.patience.lease;
            loop {
                runtime.sleep(time / 4).await;
                let extended = held.iter().map(|(key, token)| async move {
                    let mut budget = shelf.link.budget();
                    shelf.link.ask(&mut budget, |store, within| store.extend(key, *token, time, within)).await
                });
                together(extended).await;
            }
        }
    }

    /// Stores what was brought for each id whose lease stands, and whose tags have not been invalidated since it was given.
    async fn fill(&mut self, cache: &Inner, fleet: &Fleet, brought: &mut Brought) {
        let Some(before) = self.before.take() else { return };
        let named = brought.iter().flatten().flatten().flat_map(own_tags);
        let more: Vec<Tag> = named.map(|name| self.shelf.tag(&name)).filter(|tag| !before.contains_key(tag)).collect();
        let held_before: HashMap<Tag, Option<Version>> =
            more.iter().map(|tag| (tag.clone(), self.shelf.link.version_before(tag, self.began))).collect();
        let after = match more.is_empty() {
            true => Some(HashMap::new()),
            false => self.shelf.versions_of(more, &mut self.budget).await,
        };
        let version = |tag: &Tag| match before.get(tag) {
            Some(version) => Some(*version),
            None => {
                let after = after.as_ref()?.get(tag)?;
                (held_before.get(tag)? == &Some(*after)).then_some(*after)
            }
        };
        let shelf = self.shelf;
        let budget = self.budget;
        let fills = brought.iter_mut().zip(&mut self.held).zip(fleet.flights()).map(|((brought, held), flight)| {
            let sealed = sealed(cache, (shelf, flight), brought, held.as_ref(), &self.names, version);
            async move {
                let (bytes, time) = sealed?;
                let (name, token) = held.as_ref()?;
                let mut budget = budget;
                let (key, token) = (&name.key, *token);
                let fill = |store, within| Store::fill(store, key, token, &bytes, time, Tell::Nobody, within);
                let filled = shelf.link.ask(&mut budget, fill).await;
                if filled.is_some() {
                    // It has ended the lease.
                    *held = None;
                }
                if let (Some(false), Some(Ok(loaded))) = (filled, brought) {
                    loaded.keep = Keep::Refused;
                }
                Some(())
            }
        });
        together(fills).await;
    }
}

/// The bytes of one id, if it is to be stored. What a tag forbids is not kept here either.
fn sealed(
    cache: &Inner,
    (shelf, flight): (&Shelf, &Flight),
    brought: &mut Option<Result<Bare, AnyError>>,
    held: Option<&(Name, Token)>,
    names: &[Arc<str>],
    version: impl Fn(&Tag) -> Option<Version>,
) -> Option<(Vec<u8>, Duration)> {
    let (name, _) = held?;
    let Some(Ok(loaded)) = brought else { return None };
    if loaded.keep != Keep::Yes || !cache.may_store(flight) {
        return None;
    }
    let mut all: Vec<Arc<str>> = names.to_vec();
    all.extend(own_tags(loaded).into_iter().filter(|tag| !names.contains(tag)));
    let tags = shelf.tags(all.iter().map(|tag| &**tag));
    let Some(versions) = tags.iter().map(version).collect::<Option<Vec<_>>>() else {
        loaded.keep = Keep::Refused;
        return None;
    };
    let aged = loaded.aged?;
    let sealed = shelf.seal(name, flight.cargo().value(), &aged, &all, &versions);
    if sealed.is_none() {
        Counters::bump(&cache.counters.unshared);
    }
    sealed
}

impl Drop for Leases<'_> {
    fn drop(&mut self) {
        let held: Vec<_> = self.held.iter_mut().filter_map(Option::take).collect();
        if held.is_empty() || !self.runtime.alive() {
            return;
        }
        let link = Arc::clone(&self.shelf.link);
        self.runtime.spawn(Box::pin(async move {
            let given = held.iter().map(|(name, token)| {
                let mut budget = link.budget();
                let link = &link;
                // Otherwise their time ends them.
                async move { link.ask(&mut budget, |store, within| store.give_back(&name.key, *token, within)).await }
            });
            together(given).await;
        }));
    }
}
