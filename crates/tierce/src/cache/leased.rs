//! A load under a lease: of all processes one loads, and what it brings is stored if nothing happened to the key since.
//!
//! ```text
//! lease ── another entry is here ─────────────────▶ that one, if it is good
//!   │  ╰── lost ── ask again, a little later ──╮
//!   │  ╰── held, or no answer ── load, and store nothing
//! won ── versions of the tags, read now
//! loader
//!   │  ╰── failed, dropped ── the lease is given back
//! fill ── refused ▶ the value, kept nowhere
//!   ╰─────────────▶ the value
//! ```
//!
//! A tag that only the result names is accepted if it was read before the load, by whomever in this process, and is at the same
//! version after it: a version that is only read afterwards would stamp as fresh what may have been read before an
//! invalidation.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::core::Accepts;
use super::flight::{AnyError, Flight};
use super::inner::Inner;
use super::load::{Aged, Bare, Keep};
use super::run::LoadFuture;
use super::seen::{Seen, Wants};
use super::shelf::{Opened, Shelf};
use crate::expiry::Age;
use crate::mutant::{self, Mutant};
use crate::runtime::{self, Runtime};
use crate::stats::Counters;
use crate::store::{self, Budget, Lease, Link, Name, Tell, Token, Version};

/// How often those who lost a lease ask again: at first soon, since most loads are short.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(200));

/// What came of asking for a lease.
enum Claim {
    Won(Token),
    /// Load, and store nothing.
    Alone,
    Found(Bare),
}

/// A lease that is given back unless it is ended otherwise.
struct Leased<'a> {
    shelf: &'a Shelf,
    key: &'a store::Key,
    runtime: &'a Arc<dyn Runtime>,
    token: Option<Token>,
}

impl Drop for Leased<'_> {
    fn drop(&mut self) {
        let is_kept = mutant::on(Mutant::LeaseNotGivenBack) || !self.runtime.alive();
        let Some(token) = self.token.take().filter(|_| !is_kept) else { return };
        let (link, key) = (Arc::clone(&self.shelf.link), self.key.clone());
        self.runtime.spawn(Box::pin(async move {
            let mut budget = link.budget();
            // Otherwise its time ends it.
            let _ = link.ask(&mut budget, |store, within| store.give_back(&key, token, within)).await;
        }));
    }
}

/// What a flight's load brings, from the store or from its loader.
pub(super) async fn leased(
    cache: Arc<Inner>,
    flight: Arc<Flight>,
    mut seen: Seen,
    kept_tags: Vec<Arc<str>>,
    load: LoadFuture<Bare>,
) -> Result<Bare, AnyError> {
    let Some(shelf) = &cache.shelf else { return load.await };
    let claim = claim(&cache, shelf, &flight, &mut seen).await;
    let token = match claim {
        Claim::Found(loaded) => {
            Counters::bump(&cache.counters.store_hits);
            return Ok(loaded);
        }
        Claim::Alone => None,
        Claim::Won(token) => Some(token),
    };
    Counters::bump(&cache.counters.loads);
    let Seen { name, mut budget, .. } = seen;
    let runtime = &flight.node.runtime;
    let lease = Leased { shelf, key: &name.key, runtime, token };
    let mut names: Vec<Arc<str>> = flight.tags.iter().map(|cell| Arc::from(cell.name())).collect();
    names.extend(kept_tags.into_iter().filter(|tag| !names.contains(tag)).collect::<Vec<_>>());
    let versions = match token {
        Some(_) => shelf.link.versions(&shelf.tags(names.iter().map(|tag| &**tag)), &mut budget).await,
        None => None,
    };
    let began = cache.hub.clock.precise();
    let began_ms = cache.hub.clock.now_ms();
    let mut loaded = under(&cache, &name, token, runtime, load).await?;
    let took = cache.hub.clock.precise().saturating_sub(began);
    cache.counters.loaded_in(took);
    let times = cache.ages.times(cache.hub.clock.now_ms(), loaded.ttl, loaded.is_absence, &cache.hub.random);
    let cost_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
    loaded.aged = Some(Aged { times, cost_us, asked_ms: began_ms });
    let mut load = Leasing { cache: &cache, flight: &flight, name: &name, lease, began, budget };
    load.store(names, versions, &mut loaded).await;
    Ok(loaded)
}

/// What a load brings, its lease extended meanwhile.
async fn under(
    cache: &Inner,
    name: &Name,
    token: Option<Token>,
    runtime: &Arc<dyn Runtime>,
    load: LoadFuture<Bare>,
) -> Result<Bare, AnyError> {
    let (Some(token), Some(shelf)) = (token, &cache.shelf) else { return load.await };
    match Lasting::of(cache, (&shelf.link, &name.key, token), runtime) {
        Some(_lasting) => load.await,
        None => beside(load, extend((&shelf.link, &name.key, token), runtime, || true)).await,
    }
}

/// A load that has ended, and its lease.
struct Leasing<'a> {
    cache: &'a Inner,
    flight: &'a Flight,
    name: &'a Name,
    lease: Leased<'a>,
    began: Duration,
    budget: Budget,
}

impl Leasing<'_> {
    /// Stores what was loaded, with the versions that its tags had before. What may have been overtaken is not kept here either.
    async fn store(&mut self, names: Vec<Arc<str>>, mut versions: Option<Vec<Version>>, loaded: &mut Bare) {
        let (shelf, token) = (self.lease.shelf, self.lease.token);
        if token.is_some() && mutant::on(Mutant::TagVersionsReadLate) {
            let tags = shelf.tags(names.iter().map(|tag| &**tag));
            versions = shelf.link.versions(&tags, &mut self.budget).await;
        }
        let (Some(token), Some(versions), Keep::Yes) = (token, versions, loaded.keep) else { return };
        if !self.cache.may_store(self.flight) {
            return;
        }
        let stamped = stamp(shelf, (names, versions), loaded, self.began, &mut self.budget).await;
        let Some((names, versions)) = stamped else {
            loaded.keep = Keep::Refused;
            return;
        };
        let sealed =
            loaded.aged.and_then(|aged| shelf.seal(self.name, self.flight.cargo().value(), &aged, &names, &versions));
        let Some((bytes, time)) = sealed else {
            Counters::bump(&self.cache.counters.unshared);
            return;
        };
        let key = &self.name.key;
        if mutant::on(Mutant::FilledWithoutToken) {
            self.lease.token = None;
            let _ = shelf.link.ask(&mut self.budget, |store, within| store.set(key, &bytes, time, within)).await;
            return;
        }
        let fill = shelf
            .link
            .ask(&mut self.budget, |store, within| store.fill(key, token, &bytes, time, Tell::Nobody, within));
        let filled = fill.await;
        if filled.is_some() {
            // It has ended the lease.
            self.lease.token = None;
        }
        if filled == Some(false) && !mutant::on(Mutant::RefusedFillKept) {
            loaded.keep = Keep::Refused;
        }
    }
}

async fn claim(cache: &Inner, shelf: &Shelf, flight: &Flight, seen: &mut Seen) -> Claim {
    let mut pause = ASK_AGAIN.0;
    let lease_time = shelf.link.patience.lease;
    loop {
        let asked_ms = cache.hub.clock.now_ms();
        let (key, stored) = (&seen.name.key, seen.stored.as_ref());
        let ask = shelf.link.ask(&mut seen.budget, |store, within| store.lease(key, stored, lease_time, within));
        match ask.await {
            None | Some(Lease::Held) => return Claim::Alone,
            Some(Lease::Lost) if mutant::on(Mutant::LeaseIgnored) => return Claim::Alone,
            Some(Lease::Won(token)) => return Claim::Won(token),
            Some(Lease::Lost) => {
                flight.node.runtime.sleep(pause).await;
                pause = (pause * 2).min(ASK_AGAIN.1);
                // What is waited for is another's load, not the store.
                seen.budget = shelf.link.budget();
            }
            Some(Lease::Found(stored)) => {
                let opened = shelf.standing(seen, &stored, asked_ms).await;
                let now_ms = cache.hub.clock.now_ms();
                let age = |aged: Aged| cache.ages.judge(now_ms, aged.times, aged.cost_us, &cache.hub.random);
                let is_good = |opened: &Opened| match seen.wants {
                    Wants::Fresh | Wants::Strong => matches!(age(opened.aged), Age::Fresh | Age::Early),
                    Wants::NotEarly => age(opened.aged) == Age::Fresh,
                    Wants::Anew => mutant::on(Mutant::RefreshTakesStored),
                };
                let fits = |opened: &Opened| opened.value.is_some() || seen.accepts == Accepts::Absence;
                match opened.filter(|opened| fits(opened) && is_good(opened)) {
                    Some(opened) => return Claim::Found(opened.into_flight(flight)),
                    None => seen.stored = Some(stored),
                }
            }
        }
    }
}

/// The tags of what was loaded, with the versions they had before; `None` if one may have been invalidated since.
async fn stamp(
    shelf: &Shelf,
    (mut names, mut versions): (Vec<Arc<str>>, Vec<Version>),
    loaded: &Bare,
    began: Duration,
    budget: &mut Budget,
) -> Option<(Vec<Arc<str>>, Vec<Version>)> {
    let more: Vec<_> = own_tags(loaded).into_iter().filter(|tag| !names.contains(tag)).collect();
    if more.is_empty() {
        return Some((names, versions));
    }
    let tags: Vec<_> = more.iter().map(|tag| shelf.tag(tag)).collect();
    let before: Option<Vec<_>> = tags.iter().map(|tag| shelf.link.version_before(tag, began)).collect();
    // Read even where it cannot help this load: the next one has a version to compare with.
    let after = match before {
        Some(_) => shelf.link.versions(&tags, budget).await?,
        None => shelf.link.learn(&tags, budget).await?,
    };
    if before.as_ref() != Some(&after) && !mutant::on(Mutant::ResultVersionsReadLate) {
        return None;
    }
    names.extend(more);
    versions.extend(after);
    Some((names, versions))
}

/// The tags that an answer names, each once.
pub(super) fn own_tags(loaded: &Bare) -> Vec<Arc<str>> {
    let mut tags: Vec<Arc<str>> = Vec::new();
    for tag in loaded.tags.iter().cloned().chain(loaded.cells.iter().map(|cell| Arc::from(cell.name()))) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

/// Lets a lease last elsewhere, until this is dropped: on a thread that waits for a plain function nothing runs but that.
struct Lasting {
    _load_runs: Arc<()>,
}

impl Lasting {
    /// `None` where the load's own runtime goes on beside it.
    fn of(
        cache: &Inner,
        (link, key, token): (&Arc<Link>, &store::Key, Token),
        runtime: &Arc<dyn Runtime>,
    ) -> Option<Self> {
        let lasting = runtime::lasting().filter(|lasting| lasting.id() != runtime.id())?;
        let load_runs = Arc::new(());
        let (link, key, runs) = (Arc::clone(link), key.clone(), Arc::downgrade(&load_runs));
        let (on, clock) = (Arc::clone(&lasting), cache.hub.clock.clone());
        let until = clock.precise().saturating_add(cache.limits.deadline);
        lasting.spawn(Box::pin(async move {
            // A load past its deadline was given up, though its thread may not know.
            let runs = || runs.strong_count() > 0 && clock.precise() < until;
            extend((&link, &key, token), &on, runs).await;
        }));
        Some(Lasting { _load_runs: load_runs })
    }
}

/// Lets a lease last while its load runs.
async fn extend(
    (link, key, token): (&Arc<Link>, &store::Key, Token),
    runtime: &Arc<dyn Runtime>,
    runs: impl Fn() -> bool,
) {
    let time = link.patience.lease;
    loop {
        runtime.sleep(time / 4).await;
        if !runs() {
            return;
        }
        let mut budget = link.budget();
        let stands = link.ask(&mut budget, |store, within| store.extend(key, token, time, within)).await;
        if stands == Some(false) {
            return;
        }
    }
}

/// The first future's output; the second is polled beside it.
pub(super) async fn beside<T>(first: impl Future<Output = T>, second: impl Future<Output = ()>) -> T {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let mut is_over = false;
    poll_fn(|cx| {
        if let Poll::Ready(output) = first.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        is_over = is_over || second.as_mut().poll(cx).is_ready();
        Poll::Pending
    })
    .await
}
