//! Judges what the processes under check tell of themselves, while they do.
//!
//! A lookup that began after an invalidation had returned must not bring what is older than the row was when the
//! invalidation was asked for: at once in the process that asked, after the bound elsewhere. So for each key the
//! invalidations that have ended make a flight of *stairs*, (when, the least version since then), one of all processes
//! and one of each process's own; and how old a value was is the time since the first stair that forbids it.
//!
//! Records come in no order among processes. Each says now and then up to when it has told all that ended; nothing that
//! ended at or after the earliest of these times is judged yet. What is kept is bounded by that delay, and by what can
//! still be met by something that runs.

mod event;
mod findings;
mod loads;
mod promise;
mod stairs;
#[cfg(test)]
mod tests;
mod troubles;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

pub(super) use event::Event;
pub(super) use findings::{Findings, Seen, Share};
use loads::Loads;
pub(super) use promise::Promise;
use stairs::Stairs;
use troubles::Troubles;

use super::record::{Kind, Outcome, Scope};
use super::rows::KEYS;

/// What is kept of one process.
#[derive(Default)]
struct Process {
    told_until: u64,
    is_gone: bool,
    own: Vec<Stairs>,
    /// The newest that was read of each key, and when that read had ended.
    newest: Vec<Stairs>,
    /// Failed invalidations that may not have reached the store yet.
    untold: Vec<(u32, u64)>,
}

/// The judge.
pub(super) struct History {
    promise: Promise,
    processes: BTreeMap<u32, Process>,
    pythons: BTreeSet<u32>,
    all: Vec<Stairs>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    arrived: u64,
    loads: Loads,
    /// When something was wrong.
    pub(super) troubles: Troubles,
    findings: Findings,
}

/// An event that is judged once all that was before it is known.
struct Waiting {
    at: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

fn stairs() -> Vec<Stairs> {
    (0..KEYS).map(|_| Stairs::default()).collect()
}

/// How long after a fault what it broke may still be felt: a lease, a breaker's pause and a retry.
const FELT: u64 = 4_000_000_000;
/// How long after its end what concerns the whole of a process is told at the latest: many times its usual pause.
const LATE: u64 = 500_000_000;
/// How long after a fault a process may learn that it missed what others changed: a connection's pause and its bound.
const HEARD: u64 = 1_000_000_000;

impl History {
    pub(super) fn new(promise: Promise) -> Self {
        History {
            promise,
            processes: BTreeMap::new(),
            pythons: BTreeSet::new(),
            all: stairs(),
            waiting: BinaryHeap::new(),
            arrived: 0,
            loads: Loads::default(),
            troubles: Troubles::default(),
            findings: Findings::default(),
        }
    }

    /// A process has begun to tell.
    pub(super) fn begins(&mut self, process: u32) {
        self.processes.insert(process, Process { own: stairs(), newest: stairs(), ..Process::default() });
    }

    /// The process of this number is one of Python's.
    pub(super) fn is_python(&mut self, number: u32) {
        self.pythons.insert(number);
    }

    /// It will tell no more.
    pub(super) fn ends(&mut self, process: u32) {
        if let Some(process) = self.processes.get_mut(&process) {
            process.is_gone = true;
        }
        self.judge();
    }

    /// Takes what a process tells.
    pub(super) fn take(&mut self, event: Event) {
        let record = event.record;
        if record.kind == Kind::Watermark {
            if let Some(process) = self.processes.get_mut(&event.process) {
                process.told_until = record.end;
            }
            return self.judge();
        }
        let at = match record.kind {
            Kind::Begun => record.begin,
            _ => record.end,
        };
        match record.kind {
            // What goes before it may be judged by it.
            Kind::Trouble => {
                return self.troubles.met(event.process, record.begin, record.end, record.outcome == Outcome::Ok);
            }
            Kind::Health => {
                self.findings.store_faults += record.version;
                self.findings.damaged += record.id;
                if record.version > 0 {
                    self.troubles.met(event.process, record.begin, record.end, false);
                }
                return;
            }
            _ => {}
        }
        self.arrived += 1;
        self.waiting.push(Reverse(Waiting { at, number: self.arrived, event }));
    }

    /// Judges the rest: nobody tells any more.
    pub(super) fn finish(mut self) -> Findings {
        self.processes.values_mut().for_each(|process| process.is_gone = true);
        self.judge();
        self.findings
    }

    /// What was found so far.
    pub(super) fn findings(&self) -> &Findings {
        &self.findings
    }

    pub(super) fn findings_mut(&mut self) -> &mut Findings {
        &mut self.findings
    }

    fn judge(&mut self) {
        let telling = self.processes.values().filter(|process| !process.is_gone);
        let known_until = telling.map(|process| process.told_until.saturating_sub(LATE)).min().unwrap_or(u64::MAX);
        while self.waiting.peek().is_some_and(|Reverse(next)| next.at < known_until) {
            let Some(Reverse(Waiting { event, .. })) = self.waiting.pop() else { break };
            self.one(&event);
        }
    }

    fn one(&mut self, event: &Event) {
        let record = event.record;
        self.count(event);
        match record.kind {
            Kind::Begun => self.loads.change_begins(event),
            Kind::Changed => self.changed(event),
            Kind::Read | Kind::Get => self.read(event),
            Kind::Load => {
                let was_calm = |begin, end| !self.troubles.felt(HEARD, begin, end);
                self.loads.load(event, &self.promise, was_calm, &mut self.findings);
            }
            Kind::Told => {
                let Some(process) = self.processes.get_mut(&event.process) else { return };
                for (key, version) in process.untold.drain(..) {
                    self.all[key as usize].add(record.end, version);
                }
            }
            Kind::Stuck => self.findings.violates("I7", event, "this call never ended".to_owned()),
            Kind::Health | Kind::Trouble | Kind::Hello | Kind::Watermark | Kind::Row | Kind::Commit | Kind::Rest => {}
        }
    }

    /// Counts what Python's processes do.
    fn count(&mut self, event: &Event) {
        if !self.pythons.contains(&event.process) {
            return;
        }
        let (record, share) = (event.record, &mut self.findings.python);
        match (record.kind, record.scope, record.outcome) {
            (Kind::Read | Kind::Get, _, Outcome::Ok) => share.reads += 1,
            (Kind::Changed, Scope::Refresh, _) => {}
            (Kind::Changed, ..) => share.changes += 1,
            (Kind::Load, ..) => share.loads += 1,
            _ => {}
        }
    }

    fn changed(&mut self, event: &Event) {
        let record = event.record;
        self.loads.change_ends(event);
        if record.scope == Scope::Refresh {
            return;
        }
        let Some(process) = self.processes.get_mut(&event.process) else { return };
        self.findings.changes += 1;
        for (key, version) in event.rows.iter().copied() {
            match record.outcome {
                Outcome::Ok => self.all[key as usize].add(record.end, version),
                // Done in that process all the same, and elsewhere when the store has been told.
                Outcome::Failed => process.untold.push((key, version)),
                _ => continue,
            }
            process.own[key as usize].add(record.end, version);
        }
        match record.outcome {
            Outcome::Failed => self.findings.races.untold += 1,
            Outcome::Left => self.findings.races.left_changes += 1,
            _ => {}
        }
    }

    fn read(&mut self, event: &Event) {
        let record = event.record;
        let took = record.end.saturating_sub(record.begin);
        self.took(event, took);
        match record.outcome {
            Outcome::Ok => self.value(event),
            Outcome::Missed => self.findings.misses += 1,
            Outcome::Left => self.findings.races.left_reads += 1,
            Outcome::Failed => {
                self.findings.failed_reads += 1;
                if !self.loads.failed(event.process, record.subject, record.id, record.begin) {
                    self.findings.violates("I8", event, "the error of no load that it can have waited for".to_owned());
                }
            }
            Outcome::Broken => self.findings.violates("I15", event, "an error that is not the loader's".to_owned()),
            Outcome::Foreign => self.findings.violates("I14", event, "the value of another key".to_owned()),
        }
    }

    fn took(&mut self, event: &Event, took: u64) {
        let record = event.record;
        let is_calm = !self.troubles.felt(FELT, record.begin, record.end);
        let (worst, bound) = if is_calm {
            (&mut self.findings.slowest_calm, self.promise.calm(record.subject))
        } else {
            (&mut self.findings.slowest, self.promise.longest)
        };
        // Each change of its key meanwhile may cost it a load more, of its own process or of another.
        let changes = self.loads.changes(record.subject, record.begin, record.end);
        let bound = bound + self.promise.again(record.subject) * changes;
        // Who does not get to run is not judged by the time.
        let ran = !self.troubles.stood_still(record.begin, record.end);
        *worst = (*worst).max(took);
        if ran && u128::from(took) > bound.as_nanos() {
            let why = format!(
                "it took {} ms, {}",
                took / 1_000_000,
                if is_calm { "with no fault" } else { "too long for any fault" }
            );
            self.findings.violates("I7", event, why);
        }
        // What loads nothing waits for the store alone, whatever that does.
        if ran && record.kind == Kind::Get && u128::from(took) > self.promise.get().as_nanos() {
            let why = format!("it took {} ms, and the store's part is 50 ms at most", took / 1_000_000);
            self.findings.violates("I15", event, why);
        }
    }

    fn value(&mut self, event: &Event) {
        let record = event.record;
        let key = record.subject as usize;
        let Some(process) = self.processes.get_mut(&event.process) else { return };
        if event.rows.first().is_some_and(|(_, newest)| record.version > *newest) || record.version == 0 {
            self.findings.violates("I14", event, "a version that never was".to_owned());
        }
        if let Some(since) = process.own[key].forbids(record.version, record.begin) {
            self.findings.here.older(record.begin - since);
            let why =
                format!("its own process had invalidated that {} µs before it began", (record.begin - since) / 1000);
            self.findings.violates("I1", event, why);
        }
        if event.rows.get(1).is_some_and(|(_, called)| record.version < *called) {
            self.findings.violates("I2", event, "it was loaded before it was asked for".to_owned());
        }
        self.findings.here.reads += 1;
        let since = self.all[key].forbids(record.version, record.begin);
        let seen = self.findings.of(record.class);
        seen.reads += 1;
        if let Some(since) = since {
            let age = record.begin - since;
            seen.older(age);
            if u128::from(age) > self.promise.bound(record.class).as_nanos() {
                let why = format!("that had been invalidated {:.1} ms before it began", age as f64 / 1e6);
                self.findings.violates(record.class.words().1, event, why);
            }
        }
        if process.newest[key].forbids(record.version, record.begin).is_some() {
            self.findings.races.backwards += 1;
        }
        process.newest[key].add(record.end, record.version);
    }
}
