//! What a run has shown, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::faults::Fault;
use super::history::{Findings, Promise, Seen, Share};
use super::record::Class;
use crate::args::Check;
use crate::figures::{count, duration};

/// A run's result.
#[derive(Serialize)]
pub(super) struct Report {
    store: String,
    seed: u64,
    processes: u32,
    seconds: f64,
    classes: Vec<Row>,
    reads: u64,
    misses: u64,
    failed_reads: u64,
    changes: u64,
    loads: u64,
    failed_loads: u64,
    store_faults: u64,
    damaged: u64,
    slowest_calm_ms: f64,
    slowest_ms: f64,
    /// How often processes did not get to run for more than 150 ms, and for how long at most.
    stalls: u64,
    longest_stall_ms: f64,
    faults: BTreeMap<String, u64>,
    races: BTreeMap<&'static str, u64>,
    /// What Python's processes did of all this, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    python: Option<Share>,
    violated: u64,
    violations: Vec<String>,
}

/// One class of read.
#[derive(Serialize)]
struct Row {
    class: &'static str,
    /// What is broken where one of them is too old.
    invariant: &'static str,
    reads: u64,
    /// Reads of what had been invalidated before they began.
    old: u64,
    worst_ms: f64,
    bound_ms: f64,
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

impl Report {
    pub(super) fn new(check: &Check, promise: Promise, findings: Findings, struck: &[Fault], took: Duration) -> Self {
        let row = |(class, invariant), seen: Seen, bound: Duration| Row {
            class,
            invariant,
            reads: seen.reads,
            old: seen.old,
            worst_ms: ms(seen.worst),
            bound_ms: bound.as_secs_f64() * 1e3,
        };
        let mut classes = vec![row(("any, of what its process invalidated", "I1"), findings.here, Duration::ZERO)];
        let seen = Class::ALL.into_iter().zip(findings.classes).filter(|(_, seen)| seen.reads > 0);
        classes.extend(seen.map(|(class, seen)| row(class.words(), seen, promise.bound(class))));
        let mut faults = BTreeMap::new();
        for fault in struck {
            *faults.entry(fault.name()).or_default() += 1;
        }
        let races = &findings.races;
        let named = [
            ("loads overtaken by an invalidation of their own process", races.loads_overtaken_here),
            ("loads overtaken by one of another process", races.loads_overtaken_elsewhere),
            ("loads overtaken by a tag of their caller", races.loads_overtaken_by_tag),
            ("loads overtaken by a tag of their result", races.loads_overtaken_by_result_tag),
            ("loads beside another process's of the key", races.loads_beside),
            ("loads beside two changes of the key", races.changes_beside),
            ("reads of less than an earlier one had", races.backwards),
            ("changes the store did not take at once", races.untold),
            ("readers who left", races.left_reads),
            ("writers who left", races.left_changes),
        ];
        Report {
            store: check.store.clone(),
            seed: check.seed,
            processes: check.processes,
            seconds: took.as_secs_f64(),
            reads: findings.here.reads,
            classes,
            misses: findings.misses,
            failed_reads: findings.failed_reads,
            changes: findings.changes,
            loads: findings.loads,
            failed_loads: findings.failed_loads,
            store_faults: findings.store_faults,
            damaged: findings.damaged,
            slowest_calm_ms: ms(findings.slowest_calm),
            slowest_ms: ms(findings.slowest),
            stalls: findings.stalls.0,
            longest_stall_ms: ms(findings.stalls.1),
            faults,
            races: named.into_iter().collect(),
            python: check.python.as_ref().map(|_| findings.python),
            violated: findings.violated,
            violations: findings.violations.into_iter().map(|violation| violation.line).collect(),
        }
    }

    pub(super) fn holds(&self) -> bool {
        self.violated == 0
    }

    pub(super) fn violated(&self) -> u64 {
        self.violated
    }

    pub(super) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The first violation.
    pub(super) fn first(&self) -> Option<&str> {
        self.violations.first().map(String::as_str)
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("a report has no keys that JSON lacks") + "\n"
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "\n{} processes, {} s on {}, seed {}\n\n",
            self.processes,
            self.seconds.round(),
            self.store,
            self.seed
        );
        let mut line = |line: String| {
            // Writing to text cannot fail.
            let _ = writeln!(text, "{line}");
        };
        line(format!("{:<42}{:>13}{:>10}{:>12}{:>11}", "reads", "checked", "older", "worst", "bound"));
        for row in &self.classes {
            let time = |ms: f64| duration(Duration::from_secs_f64(ms / 1e3));
            let (reads, old) = (count(row.reads), count(row.old));
            let (worst, bound) = (time(row.worst_ms), time(row.bound_ms));
            line(format!("{} {:<39}{reads:>13}{old:>10}{worst:>12}{bound:>11}", row.invariant, row.class));
        }
        line(String::new());
        for (name, number) in [
            ("changes told", self.changes),
            ("loads", self.loads),
            ("loads that failed", self.failed_loads),
            ("reads that failed with them", self.failed_reads),
            ("requests the store failed", self.store_faults),
            ("damaged entries read as misses", self.damaged),
        ] {
            line(format!("{name:<58}{:>10}", count(number)));
        }
        for (name, number) in &self.races {
            line(format!("{name:<58}{:>10}", count(*number)));
        }
        let of_python = |share: &Share| {
            [("reads by Python", share.reads), ("changes by Python", share.changes), ("loads by Python", share.loads)]
        };
        for (name, number) in self.python.iter().flat_map(of_python) {
            line(format!("{name:<58}{:>10}", count(number)));
        }
        line(format!("{:<58}{:>7.0} ms", "slowest read with no fault about", self.slowest_calm_ms));
        line(format!("{:<58}{:>7.0} ms", "slowest read", self.slowest_ms));
        line(format!("{:<58}{:>10}", "times a process did not get to run", count(self.stalls)));
        line(format!("{:<58}{:>7.0} ms", "… the longest", self.longest_stall_ms));
        let faults: Vec<_> = self.faults.iter().map(|(name, times)| format!("{name} {times}")).collect();
        line(format!("\nfaults: {}", if faults.is_empty() { "none".to_owned() } else { faults.join(", ") }));
        line(format!("violations: {}", count(self.violated)));
        self.violations.iter().for_each(|violation| line(format!("  {violation}")));
        text
    }
}
