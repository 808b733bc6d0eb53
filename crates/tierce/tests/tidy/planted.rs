//! Planted faults can be planted, and are those that `docs/guarantees.md` names.

use std::collections::BTreeMap;

use super::Offence;
use super::list::{Fault, LIST};
use super::text::is_word;

/// A name in the Mutant column, and the row in which it stands.
struct Promised<'a> {
    name: &'a str,
    line: usize,
    row: &'a str,
}

/// `mutants` are those of the code; `text_of` gives a file's text.
pub(crate) fn check(
    faults: &[Fault],
    mutants: &[&str],
    (page, text): (&str, &str),
    text_of: impl Fn(&str) -> Option<String>,
) -> Vec<Offence> {
    let mut offences = Vec::new();
    let mut known: BTreeMap<&str, usize> = mutants.iter().map(|name| (*name, 0)).collect();
    let promised = promised(text);
    for fault in faults {
        let mut wrong = |rule: String| offences.push(Offence::new(LIST, fault.line, rule));
        if known.insert(&fault.name, fault.line).is_some() {
            wrong(format!("{} is another fault's name", fault.name));
        }
        match text_of(&fault.file).map(|text| fault.plant(&text)) {
            None => wrong(format!("there is no {}", fault.file)),
            Some(Err(times)) => wrong(format!("what is to be changed is {times} times in {}", fault.file)),
            Some(Ok(_)) => {}
        }
        let rows: Vec<_> = promised.iter().filter(|promised| promised.name == fault.name).collect();
        if rows.is_empty() {
            wrong(format!("no row of {page} names {}", fault.name));
        }
        for test in &fault.tests {
            if !rows.is_empty() && !rows.iter().any(|promised| names(promised.row, &test.name)) {
                wrong(format!("no row with {} names {}", fault.name, test.name));
            }
        }
    }
    let unknown = promised.iter().filter(|promised| !known.contains_key(promised.name));
    offences
        .extend(unknown.map(|promised| Offence::new(page, promised.line, format!("there is no {}", promised.name))));
    offences
}

/// Whether a row names a test, or all of a file's.
fn names(row: &str, test: &str) -> bool {
    let (file, name) = (test.split("::").next().unwrap_or(test), test.rsplit("::").next().unwrap_or(test));
    row.contains(name) || row.split([',', '|']).any(|cell| cell.trim() == format!("`{file}`"))
}

/// The faults in the code: the variants of `enum Mutant`.
pub(crate) fn mutants(code: &str) -> Vec<&str> {
    let variants = code.split_once("pub enum Mutant {").and_then(|(_, rest)| rest.split_once("\n}"));
    let lines = variants.map_or("", |(variants, _)| variants).lines();
    lines.filter_map(|line| line.trim().strip_suffix(',')).filter(|name| name.bytes().all(is_word)).collect()
}

/// What stands in the Mutant columns: the words that begin as a name does, outside of parentheses.
fn promised(text: &str) -> Vec<Promised<'_>> {
    let mut promised = Vec::new();
    let mut has_column = false;
    for (at, row) in text.lines().enumerate() {
        let Some(cells) = row.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")) else {
            has_column &= row.starts_with('|');
            continue;
        };
        let Some((_, last)) = cells.rsplit_once(" | ") else { continue };
        if last == "Mutant" {
            has_column = true;
        } else if has_column {
            let outside = last.split('(').map(|part| part.rsplit_once(')').map_or(part, |(_, after)| after));
            // The first part has no parenthesis before it.
            let words = outside.flat_map(|part| part.split(|letter: char| !letter.is_alphanumeric()));
            let names = words.filter(|word| word.starts_with(|first: char| first.is_ascii_uppercase()));
            promised.extend(names.map(|name| Promised { name, line: at + 1, row }));
        }
    }
    promised
}

#[cfg(test)]
mod tests {
    use super::super::list;
    use super::{check, mutants};

    const PAGE: &str = "| Promise | Bound | Test | Mutant |\n|---|---|---|---|\n\
        | It holds. | always | it::holds, it::stands | Loose, Slack (here) |\n| It ends. | | it::ends | none yet |\n";

    #[track_caller]
    fn check_list(list: &str, expected: &[&str]) {
        let faults = list::parse(list).unwrap();
        let text_of = |file: &str| (file == "a.rs").then(|| "one\ntwo two\n".to_owned());
        let offences = check(&faults, &["Loose"], ("guarantees.md", PAGE), text_of);
        let found: Vec<_> = offences.iter().map(|found| format!("{}: {}", found.line, found.rule)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_fault_is_named_once_and_promised_and_can_be_planted() {
        check_list("Slack\nin a.rs\n- one\n+ three\nby it a::holds\n", &[]);
        check_list("# Nothing.\n", &["3: there is no Slack"]);
        check_list("Slack\nin a.rs\n- two\nby it holds\n", &["1: what is to be changed is 2 times in a.rs"]);
        check_list("Slack\nin b.rs\n- one\nby it holds\n", &["1: there is no b.rs"]);
        check_list("Slack\nin a.rs\n- one\n- two\nby it ends\n", &["1: no row with Slack names ends"]);
        let twice = "\nLoose\nin a.rs\n- one\nby it stands\n\nSlack\nin a.rs\n- one\nby it stands\n";
        check_list(twice, &["2: Loose is another fault's name"]);
        let lost = "Slack\nin a.rs\n- one\nby it holds\n\nLost\nin a.rs\n- one\nby it holds\n";
        check_list(lost, &["6: no row of guarantees.md names Lost"]);
    }

    #[test]
    fn what_is_no_fault_is_told_with_its_line() {
        for (text, expected) in [
            ("slack\nin a.rs\n- one\nby it a\n", "1: a name is UpperCamel"),
            ("Slack\nin a.rs\nby it a\n", "1: nothing is changed"),
            ("\nSlack\nin a.rs\n- one\n", "2: no test is named"),
            ("Slack\nout\n", "2: neither `in`, `-`, `+`, `by`, `hangs` nor `crashes`"),
        ] {
            assert_eq!(list::parse(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn the_variants_are_the_mutants() {
        let code =
            "use a;\npub enum Mutant {\n    /// The control, and so on,\n    Noop,\n    NoFence,\n}\nfn f(a: B,\n) {}";
        assert_eq!(mutants(code), ["Noop", "NoFence"]);
    }
}
