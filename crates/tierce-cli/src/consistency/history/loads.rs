//! Loads and changes of each key that were under way at once.

use std::collections::VecDeque;

use super::findings::Findings;
use super::{Event, Promise};
use crate::consistency::record::{Outcome, Scope};
use crate::consistency::rows::KEYS;

/// So many of a key are looked at: those that can still overlap something, many times over.
const KEPT: usize = 256;
/// How long after a failed load a caller may get its error who began later: between the loader's end and the flight's a
/// process may be stopped.
const GRACE: u64 = 2_000_000_000;
/// A load or a change of a key.
#[derive(Clone, Copy)]
struct Span {
    process: u32,
    id: u64,
    begin: u64,
    end: u64,
    scope: Scope,
}

impl Span {
    fn meets(&self, begin: u64, end: u64) -> bool {
        self.begin <= end && self.end >= begin
    }
}

/// What is kept of loads and changes.
pub(super) struct Loads {
    loads: Vec<VecDeque<Span>>,
    changes: Vec<VecDeque<Span>>,
    failed: VecDeque<(u32, u32, u64, u64)>,
}

impl Default for Loads {
    fn default() -> Self {
        let empty = || (0..KEYS).map(|_| VecDeque::new()).collect();
        Loads { loads: empty(), changes: empty(), failed: VecDeque::new() }
    }
}

fn keep<T>(all: &mut VecDeque<T>, one: T) {
    all.push_back(one);
    if all.len() > KEPT {
        all.pop_front();
    }
}

impl Loads {
    pub(super) fn change_begins(&mut self, event: &Event) {
        let record = event.record;
        let span =
            Span { process: event.process, id: record.id, begin: record.begin, end: u64::MAX, scope: record.scope };
        for (key, _) in &event.rows {
            keep(&mut self.changes[*key as usize], span);
        }
    }

    pub(super) fn change_ends(&mut self, event: &Event) {
        for (key, _) in &event.rows {
            let spans = self.changes[*key as usize].iter_mut();
            for span in spans.filter(|span| (span.process, span.id) == (event.process, event.record.id)) {
                span.end = event.record.end;
            }
        }
    }

    /// A load has ended. It ran alone in its process, unless something had overtaken the other: a change of its own
    /// process, one of another that may just have been heard, or the connection's fault, after which all may have
    /// changed.
    pub(super) fn load(
        &mut self,
        event: &Event,
        promise: &Promise,
        was_calm: impl Fn(u64, u64) -> bool,
        findings: &mut Findings,
    ) {
        let (record, key) = (event.record, event.record.subject as usize);
        findings.loads += 1;
        if record.outcome == Outcome::Failed {
            findings.failed_loads += 1;
            keep(&mut self.failed, (event.process, record.subject, record.id, record.end));
        }
        let load =
            Span { process: event.process, id: record.id, begin: record.begin, end: record.end, scope: Scope::Key };
        self.count_races(key, &load, findings);
        // Who takes what is as old as the bound for too old may load beside it.
        let [bound, asks] =
            [promise.widest(), promise.asks()].map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        for other in self.loads[key].iter().filter(|other| other.meets(load.begin, load.end)) {
            let (first, second) = (other.begin.min(load.begin), other.begin.max(load.begin));
            if other.process != load.process {
                findings.races.loads_beside += 1;
                // Who finds a key held by a writer loads without a lease, and begins soon after.
                let since = first.saturating_sub(bound);
                let is_explained = self.changes[key].iter().any(|change| change.meets(since, second));
                if !is_explained && was_calm(first, second) {
                    let why = format!("process {} was loading the key already", other.process);
                    findings.violates("I6", event, why);
                }
                continue;
            }
            let mut changes = self.changes[key].iter();
            let is_overtaken = changes.any(|change| {
                let before = if change.process == load.process { asks } else { bound };
                let since = first.saturating_sub(before);
                change.meets(since, second)
            });
            if !is_overtaken && second - first <= bound && was_calm(first, second) {
                let why = format!("its process was loading the key already, since {} ms", (second - first) / 1_000_000);
                findings.violates("I6", event, why);
            }
        }
        keep(&mut self.loads[key], load);
    }

    /// How many changes of a key were under way in this time.
    pub(super) fn changes(&self, key: u32, begin: u64, end: u64) -> u32 {
        let changes = self.changes[key as usize].iter();
        let met = changes.filter(|change| change.scope != Scope::Refresh && change.meets(begin, end)).count();
        u32::try_from(met).unwrap_or(u32::MAX)
    }

    fn count_races(&self, key: usize, load: &Span, findings: &mut Findings) {
        let races = &mut findings.races;
        let during = |change: &&Span| change.scope != Scope::Refresh && change.meets(load.begin, load.end);
        let changes: Vec<_> = self.changes[key].iter().filter(during).collect();
        races.loads_overtaken_here += u64::from(changes.iter().any(|change| change.process == load.process));
        races.loads_overtaken_elsewhere += u64::from(changes.iter().any(|change| change.process != load.process));
        races.loads_overtaken_by_tag += u64::from(changes.iter().any(|change| change.scope == Scope::Tag));
        races.loads_overtaken_by_result_tag += u64::from(changes.iter().any(|change| change.scope == Scope::ResultTag));
        races.changes_beside += u64::from(changes.len() > 1);
    }

    /// Whether a load of this key failed so, no earlier than the caller could have waited for it.
    pub(super) fn failed(&self, process: u32, key: u32, id: u64, begin: u64) -> bool {
        let fits = |(whose, what, which, end): &(u32, u32, u64, u64)| {
            (*whose, *what, *which) == (process, key, id) && end.saturating_add(GRACE) >= begin
        };
        self.failed.iter().any(fits)
    }
}
