//! Hand-written histories, each with one thing wrong, or right by a hair.

use std::time::Duration;

use super::*;
use crate::consistency::belief::Bounds;
use crate::consistency::record::{Class, Record};

const MS: u64 = 1_000_000;

struct Written(History);

impl Written {
    fn new() -> Self {
        let promise = Promise {
            bounds: Bounds {
                coherence: Duration::from_millis(40),
                serve_for: Duration::from_millis(69),
                memory_age: Duration::from_millis(89),
            },
            calm: Duration::from_secs(1),
            longest: Duration::from_secs(5),
        };
        let mut history = History::new(promise);
        history.begins(1);
        history.begins(2);
        Written(history)
    }

    fn add(mut self, process: u32, record: Record, rows: &[(u32, u64)]) -> Self {
        self.0.take(Event { process, record, rows: rows.to_vec() });
        self
    }

    /// A change of key 3 that was asked for when its row was at this version.
    fn change(self, process: u32, (begin, end): (u64, u64), version: u64, outcome: Outcome) -> Self {
        let record = Record { outcome, begin: begin * MS, end: end * MS, id: begin, ..Record::of(Kind::Begun) };
        let begun = self.add(process, Record { end: begin * MS, ..record }, &[(3, 0)]);
        begun.add(process, Record { kind: Kind::Changed, ..record }, &[(3, version)])
    }

    fn read(self, process: u32, class: Class, begin: u64, version: u64) -> Self {
        let record =
            Record { class, subject: 3, begin: begin * MS, end: (begin + 1) * MS, version, ..Record::of(Kind::Read) };
        self.add(process, record, &[(3, 9)])
    }

    fn load(self, process: u32, (begin, end): (u64, u64), outcome: Outcome, id: u64) -> Self {
        let record = Record { outcome, subject: 3, begin: begin * MS, end: end * MS, id, ..Record::of(Kind::Load) };
        self.add(process, record, &[])
    }

    #[track_caller]
    fn shows(self, names: &[&str]) -> Findings {
        let findings = self.0.finish();
        let shown: Vec<_> = findings.violations.iter().map(|violation| violation.name).collect();
        assert_eq!(shown, names, "{:?}", findings.violations);
        findings
    }
}

use Class::{Aged, Anew, AtRest, Bypassing, Coherent, CutOff, Strong};

fn seen(findings: &Findings, class: Class) -> Seen {
    findings.classes[class as usize - 1]
}

#[test]
fn i1_what_its_own_process_invalidated_is_not_read_again() {
    Written::new().change(1, (10, 20), 5, Outcome::Ok).read(1, Aged, 21, 4).shows(&["I1"]);
    // Also where the store did not take it.
    Written::new().change(1, (10, 20), 5, Outcome::Failed).read(1, Aged, 21, 4).shows(&["I1"]);
    Written::new().change(1, (10, 20), 5, Outcome::Ok).read(1, Aged, 21, 5).shows(&[]);
    Written::new().change(1, (10, 20), 5, Outcome::Ok).read(1, Aged, 19, 4).shows(&[]);
    Written::new().change(1, (10, 20), 5, Outcome::Left).read(1, Aged, 21, 4).shows(&[]);
}

#[test]
fn i2_what_is_to_be_as_new_as_its_call_is() {
    for class in [Anew, Strong] {
        Written::new().change(1, (10, 20), 5, Outcome::Ok).read(2, class, 21, 4).shows(&["I2"]);
        Written::new().change(1, (10, 20), 5, Outcome::Ok).read(2, class, 21, 5).shows(&[]);
    }
}

#[test]
fn i3_what_another_process_invalidated_is_read_no_longer_than_the_bound() {
    let findings = Written::new().change(1, (10, 20), 5, Outcome::Ok).read(2, Aged, 119, 4).shows(&[]);
    assert_eq!((seen(&findings, Aged).old, seen(&findings, Aged).worst), (1, 99 * MS));
    for (class, bound) in [(Aged, 100), (CutOff, 80), (Coherent, 40), (Bypassing, 40)] {
        let read = |at| Written::new().change(1, (10, 20), 5, Outcome::Ok).read(2, class, at, 4);
        read(20 + bound).shows(&[]);
        read(21 + bound).shows(&["I3"]);
    }
}

#[test]
fn i4_what_failed_holds_elsewhere_once_the_store_was_told() {
    let told = Record { end: 300 * MS, ..Record::of(Kind::Told) };
    let failed = || Written::new().change(1, (10, 20), 5, Outcome::Failed);
    failed().read(2, Aged, 900, 4).shows(&[]);
    failed().add(1, told, &[]).read(2, Aged, 399, 4).shows(&[]);
    failed().add(1, told, &[]).read(2, Aged, 401, 4).shows(&["I3"]);
    // At rest no bound is left.
    failed().add(1, told, &[]).read(2, AtRest, 301, 4).shows(&["I4"]);
    failed().add(1, told, &[]).read(2, AtRest, 301, 5).shows(&[]);
    // What another process was told says nothing of it.
    failed().add(2, told, &[]).read(2, Aged, 401, 4).shows(&[]);
}

#[test]
fn i5_reads_that_go_back_within_the_bound_are_counted() {
    let findings = Written::new().read(1, Aged, 10, 5).read(1, Aged, 12, 4).read(2, Aged, 14, 4).shows(&[]);
    assert_eq!(findings.races.backwards, 1);
}

#[test]
fn i6_one_load_of_a_key_at_a_time_between_its_changes() {
    let two = |first: Written| first.load(1, (10, 30), Outcome::Ok, 1).load(1, (20, 40), Outcome::Ok, 2);
    two(Written::new()).shows(&["I6"]);
    two(Written::new().change(1, (12, 14), 5, Outcome::Ok)).shows(&[]);
    two(Written::new().change(1, (22, 24), 5, Outcome::Ok)).shows(&["I6"]);
    // The first may have had its lease before, and called its loader after.
    two(Written::new().change(1, (4, 6), 5, Outcome::Ok)).shows(&[]);
    let long_after = Written::new().change(1, (4, 6), 5, Outcome::Ok).load(1, (60, 80), Outcome::Ok, 1);
    long_after.load(1, (70, 90), Outcome::Ok, 2).shows(&["I6"]);
    // What another process changed is heard within the bound.
    two(Written::new().change(2, (12, 14), 5, Outcome::Ok)).shows(&[]);
    two(Written::new().change(2, (4, 6), 5, Outcome::Ok)).shows(&[]);
    two(Written::new().change(2, (22, 24), 5, Outcome::Ok)).shows(&["I6"]);
    let later = Written::new().change(2, (1, 2), 5, Outcome::Ok).load(1, (110, 130), Outcome::Ok, 1);
    later.load(1, (120, 140), Outcome::Ok, 2).shows(&["I6"]);
    // Who lost the connection may have missed a change.
    let mut in_trouble = Written::new();
    in_trouble.0.troubles.begin(12 * MS, false);
    two(in_trouble).shows(&[]);
    // Of two processes one loads, unless the key was changed, or a store has failed that is to decide between them.
    let beside = |first: Written| first.load(1, (10, 30), Outcome::Ok, 1).load(2, (20, 40), Outcome::Ok, 2);
    assert_eq!(beside(Written::new()).shows(&["I6"]).races.loads_beside, 1);
    beside(Written::new().change(1, (4, 6), 5, Outcome::Ok)).shows(&[]);
    let failed = Record { version: 1, begin: MS, end: 100 * MS, ..Record::of(Kind::Health) };
    beside(Written::new()).add(1, failed, &[]).shows(&[]);
    Written::new().load(1, (10, 19), Outcome::Ok, 1).load(1, (20, 40), Outcome::Ok, 2).shows(&[]);
}

#[test]
fn i7_every_read_ends_in_its_time() {
    let slow = Record { subject: 3, begin: MS, end: 2000 * MS, version: 9, ..Record::of(Kind::Read) };
    Written::new().add(1, slow, &[(3, 9)]).shows(&["I7"]);
    Written::new().add(1, Record::of(Kind::Stuck), &[]).shows(&["I7"]);
    // A load more for each change meanwhile.
    let longer = Record { end: 1270 * MS, ..slow };
    Written::new().add(1, longer, &[(3, 9)]).shows(&["I7"]);
    Written::new().change(1, (10, 12), 5, Outcome::Ok).add(1, longer, &[(3, 9)]).shows(&[]);
    let mut in_trouble = Written::new();
    let fault = in_trouble.0.troubles.begin(2 * MS, false);
    in_trouble.0.troubles.end(fault, 3 * MS);
    in_trouble.add(1, slow, &[(3, 9)]).shows(&[]);
}

#[test]
fn i8_an_error_is_that_of_a_load_its_caller_waited_for() {
    let failed = Record { outcome: Outcome::Failed, id: 7, ..Record::of(Kind::Read) };
    let read = |begin| Record { subject: 3, begin: begin * MS, end: (begin + 1) * MS, ..failed };
    Written::new().load(1, (10, 20), Outcome::Failed, 7).add(1, read(15), &[]).shows(&["I8"]);
    Written::new().load(1, (10, 15), Outcome::Failed, 7).add(1, read(14), &[]).shows(&[]);
    // Kept, and given to those who came much later.
    Written::new().load(1, (10, 15), Outcome::Failed, 7).add(1, read(9_000), &[]).shows(&["I8"]);
    Written::new().load(2, (10, 15), Outcome::Failed, 7).add(1, read(14), &[]).shows(&["I8"]);
}

#[test]
fn i14_no_value_is_anothers_or_was_never_there() {
    Written::new().read(1, Aged, 10, 10).shows(&["I14"]);
    let foreign = Record { outcome: Outcome::Foreign, subject: 3, version: 1, ..Record::of(Kind::Read) };
    Written::new().add(1, foreign, &[(3, 9)]).shows(&["I14"]);
}

#[test]
fn i15_no_read_fails_for_the_store() {
    let broken = Record { outcome: Outcome::Broken, subject: 3, ..Record::of(Kind::Read) };
    Written::new().add(1, broken, &[(3, 9)]).shows(&["I15"]);
}

#[test]
fn i15_what_loads_nothing_waits_no_longer_than_its_part_for_the_store() {
    let get = |ms: u64| Record { subject: 3, begin: MS, end: (1 + ms) * MS, version: 9, ..Record::of(Kind::Get) };
    let in_trouble = |stops| {
        let mut written = Written::new();
        let fault = written.0.troubles.begin(2 * MS, stops);
        written.0.troubles.end(fault, 1500 * MS);
        written
    };
    let stalled = Record { begin: 100 * MS, end: 200 * MS, ..Record::of(Kind::Trouble) };
    in_trouble(false).add(1, get(1040), &[(3, 9)]).shows(&[]);
    in_trouble(false).add(1, get(1060), &[(3, 9)]).shows(&["I15"]);
    in_trouble(true).add(1, get(1060), &[(3, 9)]).shows(&[]);
    in_trouble(false).add(1, get(1060), &[(3, 9)]).add(2, stalled, &[]).shows(&[]);
}

#[test]
fn i2_a_refresh_is_as_new_as_its_call() {
    let refresh = Record { class: Anew, subject: 3, begin: MS, end: 2 * MS, version: 5, ..Record::of(Kind::Read) };
    Written::new().add(1, refresh, &[(3, 9), (3, 6)]).shows(&["I2"]);
    Written::new().add(1, refresh, &[(3, 9), (3, 5)]).shows(&[]);
}

#[test]
fn nothing_is_judged_before_all_that_was_before_it_is_known() {
    let mut written = Written::new().read(2, Aged, 200, 4);
    let known = |end| Record { end: end * MS, ..Record::of(Kind::Watermark) };
    written = written.add(2, known(900), &[]);
    assert_eq!(seen(written.0.findings(), Aged).reads, 0);
    // What was before comes only now.
    written = written.change(1, (10, 20), 5, Outcome::Ok).add(1, known(800), &[]);
    assert_eq!(seen(written.0.findings(), Aged).reads, 1);
    written.shows(&["I3"]);
}

#[test]
fn a_process_that_was_killed_is_not_waited_for() {
    let mut written = Written::new().read(2, Aged, 200, 4);
    written = written.add(2, Record { end: 900 * MS, ..Record::of(Kind::Watermark) }, &[]);
    written.0.ends(1);
    assert_eq!(seen(written.0.findings(), Aged).reads, 1);
}
