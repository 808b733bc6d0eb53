//! No two files, and no longer chain of them, need each other.

use super::Offence;
use super::crates::{Crate, Edge};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Each circle once, shortest first, as the path that closes it.
pub(crate) fn check(all: &Crate) -> Vec<Offence> {
    let mut after: BTreeMap<usize, BTreeMap<usize, Edge>> = BTreeMap::new();
    for edge in all.edges() {
        after.entry(edge.from).or_default().entry(edge.to).or_insert(edge);
    }
    let mut circles: Vec<_> = (0..all.files.len()).filter_map(|file| shortest(&after, file)).collect();
    circles.sort_by_key(Vec::len);
    // Files of a circle already told are left out: one circle is mended at a time.
    let mut told = BTreeSet::new();
    let mut offences = Vec::new();
    for circle in circles {
        if circle.iter().all(|edge| !told.contains(&edge.from)) {
            told.extend(circle.iter().map(|edge| edge.from));
            offences.push(offence(all, &circle));
        }
    }
    offences
}

fn offence(all: &Crate, circle: &[Edge]) -> Offence {
    let name = |at: usize| all.files[at].source.file.as_str();
    let steps = circle.iter().map(|edge| format!("{}:{} `{}` -> ", name(edge.from), edge.line, edge.path));
    let steps: String = steps.collect();
    let (file, line) = (name(circle[0].from), circle[0].line);
    Offence::new(file, line, format!("a circle of files: {steps}{file}"))
}

/// The shortest way from a file back to itself.
fn shortest(after: &BTreeMap<usize, BTreeMap<usize, Edge>>, start: usize) -> Option<Vec<Edge>> {
    let mut reached_by: BTreeMap<usize, &Edge> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(file) = next.pop_front() {
        for (to, edge) in after.get(&file).into_iter().flatten() {
            if !reached_by.contains_key(to) {
                reached_by.insert(*to, edge);
                next.push_back(*to);
            }
        }
    }
    let mut path = vec![(*reached_by.get(&start)?).clone()];
    while path[path.len() - 1].from != start {
        path.push(reached_by[&path[path.len() - 1].from].clone());
    }
    path.reverse();
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::super::crates::{Crate, tests::sources};

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let sources = sources(files);
        let found = super::check(&Crate::new("src", &sources));
        let found: Vec<_> = found.iter().map(|found| found.rule.as_str()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_chain_passes() {
        check(&[("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C;"), ("c.rs", "")], &[]);
    }

    #[test]
    fn a_parent_may_hand_its_children_on() {
        check(&[("a/mod.rs", "mod b;\npub use b::B;\npub struct C;"), ("a/b.rs", "use super::C;")], &[]);
    }

    #[test]
    fn circles_are_told_as_paths() {
        check(
            &[("a.rs", "use crate::b::B;"), ("b.rs", "\nuse crate::a::A;")],
            &["a circle of files: src/a.rs:1 `crate::b::B` -> src/b.rs:2 `crate::a::A` -> src/a.rs"],
        );
        check(
            &[("a.rs", "use crate::b;"), ("b.rs", "use crate::c;"), ("c.rs", "fn f() { crate::a::g() }")],
            &[
                "a circle of files: src/a.rs:1 `crate::b` -> src/b.rs:1 `crate::c` -> src/c.rs:1 `crate::a::g` -> src/a.rs",
            ],
        );
    }

    #[test]
    fn a_parent_that_uses_a_child_which_uses_the_parent_is_a_circle() {
        check(
            &[("a/mod.rs", "mod b;\nuse b::B;\npub struct C(B);"), ("a/b.rs", "use super::C;")],
            &["a circle of files: src/a/mod.rs:2 `b::B` -> src/a/b.rs:1 `super::C` -> src/a/mod.rs"],
        );
    }
}
