//! What must never be seen, checked on a history of one simulated process.
//!
//! Every event takes the next number of one sequence. A value carries the number at which its loader read the
//! database. An invalidation that began at *b* and returned before a lookup began forbids that lookup everything that
//! was read before *b*: what was read between *b* and the return is allowed, since the write it tells of may already
//! have been seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tierce::Freshness;
use tierce::testing::Death;

use super::race::{Met, Race};

/// How long ids wait for others to share their load.
pub(crate) const WINDOW_MS: u64 = 20;
/// How long past its deadline a load is given up that does not end itself.
const GRACE_MS: u64 = 100;

/// A value as the simulated loaders make it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: u32,
    pub(crate) tags: Vec<u32>,
    /// The last write of the row that its reader saw: the number of an invalidation or `set`, as it began.
    version: u64,
    /// The holds inside which its reader may have seen what was not committed.
    inside: Vec<u64>,
    stamp: Arc<Stamp>,
}

/// How current a row is. A loader that answers "unchanged" moves it, since the value itself stays as it is.
#[derive(Debug)]
pub(crate) struct Stamp {
    /// The number at which a loader last read the database.
    read_at: AtomicU64,
    /// Virtual milliseconds of that load's end.
    confirmed_ms: AtomicU64,
}

impl Row {
    pub(crate) fn confirm(&self, read_at: u64, now_ms: u64) {
        self.stamp.read_at.store(read_at, Relaxed);
        self.stamp.confirmed_ms.store(now_ms, Relaxed);
    }

    pub(crate) fn read_at(&self) -> u64 {
        self.stamp.read_at.load(Relaxed)
    }

    pub(crate) fn confirmed_at_ms(&self) -> u64 {
        self.stamp.confirmed_ms.load(Relaxed)
    }
}

/// What an invalidation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    Key(u32),
    Tag(u32),
    All,
}

/// A lookup that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) key: u32,
    pub(crate) at: u64,
    pub(crate) at_ms: u64,
    barriers: BTreeMap<Scope, u64>,
    /// The holds that had been rolled back.
    rolled_back: BTreeSet<u64>,
    seen: u64,
    stale_barrier: u64,
    /// A load that this lookup waited for failed: it must not call its own loader any more.
    failed: bool,
    /// Something changed the key since this lookup began.
    excused: bool,
}

/// A load that runs.
struct Running {
    key: u32,
    at: u64,
    asked: u64,
    tags: Vec<u32>,
    /// A second load of the key is allowed: something changed the key since, or the load's runtime died.
    excused: bool,
    changed: Vec<(Scope, u64)>,
    began_ms: u64,
    /// It runs behind a caller who was served at once.
    behind: bool,
    /// Its runtime says that it is alive, and does nothing.
    stands_still: bool,
}

/// The history so far.
pub(crate) struct Checker<'a> {
    sequence: u64,
    barriers: BTreeMap<Scope, u64>,
    /// When the writes of each scope began.
    writes: BTreeMap<Scope, Vec<u64>>,
    /// The last time that unused tags were made to be forgotten.
    churned: u64,
    stale_barriers: BTreeMap<u32, u64>,
    newest_fresh: BTreeMap<u32, u64>,
    pub(crate) asked: BTreeMap<u64, Asked>,
    running: BTreeMap<u64, Running>,
    /// The holds by number: their keys, and their ends.
    holds: BTreeMap<u64, (u32, Option<u64>)>,
    /// The holds that were rolled back.
    rolled_back: BTreeSet<u64>,
    /// Until when no load of a key may start behind a caller, since one has failed.
    held_back_ms: BTreeMap<u32, u64>,
    /// When runtimes began to stand still.
    stood_still_ms: Vec<u64>,
    /// When a load of a key last ran into its deadline.
    timed_out_ms: BTreeMap<u32, u64>,
    pub(crate) ops: u64,
    pub(crate) violations: Vec<String>,
    met: &'a Met,
    ttl_ms: u64,
    stale_ms: u64,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(met: &'a Met, ttl_ms: u64, stale_ms: u64) -> Self {
        Checker {
            sequence: 0,
            barriers: BTreeMap::new(),
            writes: BTreeMap::new(),
            churned: 0,
            stale_barriers: BTreeMap::new(),
            newest_fresh: BTreeMap::new(),
            asked: BTreeMap::new(),
            running: BTreeMap::new(),
            holds: BTreeMap::new(),
            rolled_back: BTreeSet::new(),
            held_back_ms: BTreeMap::new(),
            stood_still_ms: Vec::new(),
            timed_out_ms: BTreeMap::new(),
            ops: 0,
            violations: Vec::new(),
            met,
            ttl_ms,
            stale_ms,
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(crate) fn met(&self, race: Race) {
        self.met.count(race);
    }

    /// I1, I10: an invalidation is about to be called. Gives its number.
    pub(crate) fn invalidating(&mut self, scope: Scope, race: Race) -> u64 {
        self.ops += 1;
        let at = self.next();
        self.writes.entry(scope).or_default().push(at);
        for load in self.running.values_mut() {
            let direct = scope == Scope::All || scope == Scope::Key(load.key);
            let tagged = matches!(scope, Scope::Tag(tag) if load.tags.contains(&tag));
            if direct || tagged {
                self.met.count(race);
            }
            load.excused |= direct || matches!(scope, Scope::Tag(_));
            load.changed.push((scope, at));
        }
        for asked in self.asked.values_mut() {
            let touched = scope == Scope::All || scope == Scope::Key(asked.key) || matches!(scope, Scope::Tag(_));
            asked.excused |= touched;
        }
        at
    }

    /// The invalidation of this number has returned.
    pub(crate) fn invalidated(&mut self, scope: Scope, began: u64) {
        let barrier = self.barriers.entry(scope).or_default();
        *barrier = (*barrier).max(began);
    }

    /// `mark_stale` has returned: what was read before it must not be called fresh.
    pub(crate) fn marked_stale(&mut self, key: u32, began: u64) {
        let barrier = self.stale_barriers.entry(key).or_default();
        *barrier = (*barrier).max(began);
    }

    /// A writer takes hold of a key. Gives the hold's number.
    pub(crate) fn holding(&mut self, key: u32) -> u64 {
        self.ops += 1;
        if self.is_held(key) {
            self.met.count(Race::WritersOverlapped);
        }
        let hold = self.next();
        self.holds.insert(hold, (key, None));
        hold
    }

    /// A hold has ended: loads from before it may not be joined any more. What was rolled back must not be seen again.
    pub(crate) fn released(&mut self, hold: u64, rolled_back: bool) {
        let now = self.next();
        let (key, end) = self.holds.get_mut(&hold).expect("it was noted when it began");
        let key = *key;
        *end = Some(now);
        if rolled_back {
            self.rolled_back.insert(hold);
        }
        for load in self.running.values_mut().filter(|load| load.key == key) {
            load.excused = true;
        }
        for asked in self.asked.values_mut().filter(|asked| asked.key == key) {
            asked.excused = true;
        }
    }

    pub(crate) fn is_held(&self, key: u32) -> bool {
        self.holds.values().any(|(held, end)| *held == key && end.is_none())
    }

    /// Whether a tag was invalidated since this number.
    pub(crate) fn tag_changed_since(&self, tags: &[u32], at: u64) -> bool {
        let last = |tag: &u32| self.writes.get(&Scope::Tag(*tag)).and_then(|at| at.last()).copied();
        tags.iter().filter_map(last).any(|last| last > at)
    }

    /// Tags that nothing names were made to be forgotten.
    pub(crate) fn churned(&mut self) {
        self.ops += 1;
        self.churned = self.next();
    }

    /// A row as it stands in the database at this number.
    pub(crate) fn row(&self, key: u32, tags: Vec<u32>, read_at: u64, confirmed_ms: u64) -> Row {
        let scopes = [Scope::Key(key), Scope::All].into_iter().chain(tags.iter().map(|tag| Scope::Tag(*tag)));
        let version = scopes.filter_map(|scope| self.writes.get(&scope)?.iter().rfind(|at| **at <= read_at)).max();
        let stamp = Stamp { read_at: AtomicU64::new(read_at), confirmed_ms: AtomicU64::new(confirmed_ms) };
        let inside = |(at, (held, end)): (&u64, &(u32, Option<u64>))| {
            (*held == key && *at <= read_at && end.is_none_or(|end| read_at <= end)).then_some(*at)
        };
        let inside = self.holds.iter().filter_map(inside).collect();
        Row { key, version: version.copied().unwrap_or(0), tags, inside, stamp: Arc::new(stamp) }
    }

    /// A row as its writer knows it.
    pub(crate) fn written_row(&self, key: u32, tags: Vec<u32>, written_at: u64, confirmed_ms: u64) -> Row {
        Row { inside: Vec::new(), ..self.row(key, tags, written_at, confirmed_ms) }
    }

    /// Whether the database still holds what a row says.
    pub(crate) fn is_current(&self, row: &Row) -> bool {
        let tags = row.tags.iter().map(|tag| Scope::Tag(*tag));
        let mut scopes = [Scope::Key(row.key), Scope::All].into_iter().chain(tags);
        !scopes.any(|scope| self.writes.get(&scope).and_then(|at| at.last()).is_some_and(|at| *at > row.read_at()))
    }

    /// A lookup that is free to load whatever failed before: a refresh.
    pub(crate) fn ask_freely(&mut self, key: u32, at_ms: u64) -> u64 {
        if self.loads_of(key) > 0 {
            self.met.count(Race::RefreshDuringLoad);
        }
        let asked = self.ask(key, at_ms);
        self.asked.entry(asked).and_modify(|asked| asked.excused = true);
        asked
    }

    /// A lookup begins.
    pub(crate) fn ask(&mut self, key: u32, at_ms: u64) -> u64 {
        self.ops += 1;
        let at = self.next();
        let loading: Vec<_> = self.running.values().filter(|load| load.key == key).collect();
        if loading.iter().any(|load| load.changed.iter().any(|(scope, _)| *scope == Scope::Key(key))) {
            self.met.count(Race::WaiterAfterInvalidation);
        }
        let asked = Asked {
            key,
            at,
            at_ms,
            barriers: self.barriers.clone(),
            rolled_back: self.rolled_back.clone(),
            seen: self.newest_fresh.get(&key).copied().unwrap_or(0),
            stale_barrier: self.stale_barriers.get(&key).copied().unwrap_or(0),
            failed: false,
            excused: false,
        };
        self.asked.insert(at, asked);
        at
    }

    /// A lookup is over without an answer that could be checked: cancelled, or failed.
    pub(crate) fn gave_up(&mut self, asked: u64) {
        self.asked.remove(&asked);
    }

    /// I7: a lookup ends with a time-out: its own, or that of a load that ran as long as it may. Nobody waits that long for
    /// a runtime that is known to be dead. Of a batch one id may have ended at any time, and is told of with the last.
    pub(crate) fn timed_out(&mut self, asked: u64, now_ms: u64, hard_ms: u64, deadline_ms: u64, of_batch: bool) {
        let Some(asked) = self.asked.get(&asked) else { return };
        let own = now_ms - asked.at_ms >= hard_ms;
        let ended = self.timed_out_ms.get(&asked.key).is_some_and(|at_ms| *at_ms >= asked.at_ms);
        let mut loads = self.running.values().filter(|load| load.key == asked.key && load.stands_still);
        // What waited for its window there is no load yet, and is given up like one, also by who has just come.
        let last_ms = WINDOW_MS + deadline_ms + 2 * GRACE_MS;
        let ended_ms = if of_batch { asked.at_ms } else { now_ms };
        let in_window = self.stood_still_ms.iter().any(|at_ms| ended_ms.saturating_sub(*at_ms) <= last_ms);
        if !own && !ended && !in_window && !loads.any(|load| now_ms - load.began_ms >= deadline_ms) {
            self.violate(format!("I7: {asked:?} timed out at {now_ms} ms, and nothing had taken so long"));
        }
    }

    /// How many lookups of a key are under way.
    pub(crate) fn waiting(&self, key: u32) -> usize {
        self.asked.values().filter(|asked| asked.key == key).count()
    }

    /// I1, I5, I9, I10: a lookup ends with a row.
    pub(crate) fn answered(&mut self, asked: u64, row: &Row, freshness: Freshness, now_ms: u64) {
        let Some(asked) = self.asked.remove(&asked) else { return };
        let tags = row.tags.iter().map(|tag| Scope::Tag(*tag));
        for scope in [Scope::Key(asked.key), Scope::All].into_iter().chain(tags) {
            let barrier = asked.barriers.get(&scope).copied().unwrap_or(0);
            if row.read_at() < barrier {
                self.violate(format!("I1/I10: {row:?} served after {scope:?} was invalidated at {barrier}: {asked:?}"));
            }
        }
        if row.inside.iter().any(|hold| asked.rolled_back.contains(hold)) {
            self.violate(format!("I1: {row:?} served, read inside a hold that was rolled back: {asked:?}"));
        }
        if row.key != asked.key {
            self.violate(format!("I13: asked {asked:?}, got {row:?}"));
        }
        let age_ms = now_ms.saturating_sub(row.confirmed_at_ms());
        if freshness == Freshness::Stale {
            if age_ms > self.ttl_ms + self.stale_ms {
                self.violate(format!("I9: {row:?} is {age_ms} ms old: past every limit"));
            }
            return;
        }
        if freshness == Freshness::Fresh && age_ms > self.ttl_ms {
            self.violate(format!("I9: {row:?} is {age_ms} ms old and called fresh"));
        }
        if row.read_at() < asked.stale_barrier {
            self.violate(format!("I9: {row:?} called {freshness:?} after it was marked stale: {asked:?}"));
        }
        if row.version < asked.seen {
            self.violate(format!("I5: {row:?} after version {} had been seen: {asked:?}", asked.seen));
        }
        let newest = self.newest_fresh.entry(row.key).or_default();
        *newest = (*newest).max(row.version);
    }

    /// `refresh` has returned: the row is as new as the call.
    pub(crate) fn refreshed(&mut self, called: u64, row: &Row) {
        if row.read_at() < called {
            self.violate(format!("refresh called at {called} gave {row:?}"));
        }
    }

    /// I6, I8: a loader is called, for a lookup. Gives the load's number.
    pub(crate) fn loading(&mut self, key: u32, asked: u64, tags: Vec<u32>, began_ms: u64) -> u64 {
        let at = self.next();
        if let Some(other) = self.running.values().find(|load| load.key == key && !load.excused) {
            let message = format!("I6: load {at} of key {key} while load {} runs", other.at);
            self.violate(message);
        }
        if self.asked.get(&asked).is_some_and(|asked| asked.failed && !asked.excused) {
            self.violate(format!("I8: lookup {asked} of key {key} loads again after the load it waited for failed"));
        }
        let load = Running {
            key,
            at,
            asked,
            tags,
            excused: false,
            changed: Vec::new(),
            began_ms,
            behind: false,
            stands_still: false,
        };
        self.running.insert(at, load);
        at
    }

    /// A lookup was served from memory. A load that it began in this very moment runs behind it, and must not where
    /// another has just failed.
    pub(crate) fn served(&mut self, asked: u64, now_ms: u64) {
        let held_back_ms = &self.held_back_ms;
        let mut loads = self.running.values_mut();
        let Some(load) = loads.find(|load| load.asked == asked && load.began_ms == now_ms) else { return };
        load.behind = true;
        let (key, at) = (load.key, load.at);
        if held_back_ms.get(&key).is_some_and(|until_ms| now_ms < *until_ms) {
            self.violate(format!("load {at} of key {key} began behind a caller just after another had failed"));
        }
    }

    /// A load ended, with a result, an error, or by being dropped. Behind callers none is tried before `retried_ms`.
    pub(crate) fn load_over(&mut self, load: u64, end: End, now_ms: u64, retried_ms: u64) {
        let Some(load) = self.running.remove(&load) else { return };
        if end == End::TimedOut {
            self.met.count(Race::LoadTimedOut);
            self.timed_out_ms.insert(load.key, now_ms);
        }
        let waiting = self.waiting(load.key);
        if waiting >= 10 {
            self.met.count(Race::ManyWaited);
        }
        let failed = match end {
            End::Loaded | End::Dropped | End::TimedOut => return,
            End::Failed => Race::LoadFailedForMany,
            End::Panicked => Race::LoadPanickedForMany,
        };
        if waiting >= 2 {
            self.met.count(failed);
        }
        if load.behind {
            self.met.count(Race::FailedBehind);
            self.held_back_ms.insert(load.key, retried_ms);
        }
        // In no time nobody can have joined it for certain: he may have been on his way from an earlier load.
        if load.excused || load.began_ms == now_ms {
            return;
        }
        for asked in self.asked.values_mut().filter(|asked| asked.key == load.key && asked.at > load.asked) {
            asked.failed = true;
        }
    }

    /// What was invalidated since a load began, as far as its result is concerned.
    pub(crate) fn note_result_tags(&mut self, load: u64, tags: &[u32]) {
        let Some(running) = self.running.get(&load) else { return };
        let bumped = running.changed.iter().filter(|(scope, _)| tags.iter().any(|tag| *scope == Scope::Tag(*tag)));
        let Some(last) = bumped.map(|(_, at)| *at).max() else { return };
        self.met.count(Race::ResultTagDuringLoad);
        if self.churned > last {
            self.met.count(Race::TagForgotten);
        }
        if self.asked.values().any(|asked| asked.key == running.key && asked.at > last) {
            self.met.count(Race::WaiterAfterTag);
        }
    }

    /// A runtime died: its loads may be run again, and its lookups never end.
    pub(crate) fn died(&mut self, loads: &[u64], lookups: &[u64], death: Death, now_ms: u64) {
        if death == Death::StandsStill {
            self.stood_still_ms.push(now_ms);
        }
        for load in loads {
            if let Some(load) = self.running.get_mut(load) {
                load.excused = true;
                load.stands_still = death == Death::StandsStill;
            }
        }
        for lookup in lookups {
            self.asked.remove(lookup);
        }
    }

    pub(crate) fn is_running(&self, load: u64) -> bool {
        self.running.contains_key(&load)
    }

    /// Whether a load's key was changed since it began, by its own name.
    pub(crate) fn was_changed(&self, load: u64) -> bool {
        self.running.get(&load).is_some_and(|load| load.changed.iter().any(|(scope, _)| *scope == Scope::Key(load.key)))
    }

    pub(crate) fn loads_of(&self, key: u32) -> usize {
        self.running.values().filter(|load| load.key == key).count()
    }

    /// I7: at rest every lookup has ended.
    pub(crate) fn at_rest(&mut self) {
        let open: Vec<_> = self.asked.values().map(|asked| (asked.at, asked.key)).collect();
        if !open.is_empty() {
            self.violate(format!("I7: lookups that never ended (number, key): {open:?}"));
        }
    }

    pub(crate) fn violate(&mut self, what: String) {
        self.violations.push(what);
    }
}

/// How a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Loaded,
    Failed,
    Panicked,
    Dropped,
    TimedOut,
}
