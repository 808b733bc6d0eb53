//! The list of planted faults, as it is read: its form stands at its head, in `faults.txt`.

use std::fmt;

/// Where the list is, from the root of the repository.
pub(crate) const LIST: &str = "crates/tierce/tests/planted/faults.txt";

/// One small change of one file, and the tests that must not pass with it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) name: String,
    /// Where it stands in the list, counted from 1.
    pub(crate) line: usize,
    pub(crate) file: String,
    pub(crate) find: String,
    pub(crate) replace: String,
    pub(crate) tests: Vec<Test>,
    pub(crate) way: Way,
}

/// A test of one target: `it`, `store`, `alloc` and the like of the crate's tests, `lib`, or `python`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Test {
    pub(crate) target: String,
    pub(crate) name: String,
}

/// How a test shows its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Fails,
    /// It does not end.
    Hangs,
    /// It takes its whole process down.
    Crashes,
}

impl Fault {
    /// A text with the fault in it; or else how often the text has what is to be changed.
    pub(crate) fn plant(&self, text: &str) -> Result<String, usize> {
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.replace, 1)),
            times => Err(times),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.target, self.name)
    }
}

/// The faults of the list, or the first line that says nothing.
pub(crate) fn parse(text: &str) -> Result<Vec<Fault>, String> {
    let mut faults = Vec::new();
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate().chain([(0, "")]) {
        match line {
            "" if lines.is_empty() => {}
            "" => faults.push(fault(&std::mem::take(&mut lines))?),
            comment if comment.starts_with('#') => {}
            line => lines.push((at + 1, line)),
        }
    }
    Ok(faults)
}

fn fault(lines: &[(usize, &str)]) -> Result<Fault, String> {
    let (line, name) = lines[0];
    let mut fault = Fault {
        name: name.to_owned(),
        line,
        file: String::new(),
        find: String::new(),
        replace: String::new(),
        tests: Vec::new(),
        way: Way::Fails,
    };
    for (at, line) in &lines[1..] {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("in", file) => file.clone_into(&mut fault.file),
            ("-", text) => push_line(&mut fault.find, text),
            ("+", text) => push_line(&mut fault.replace, text),
            ("by", tests) => fault.tests.extend(named(tests).ok_or_else(|| format!("{at}: by whom?"))?),
            ("hangs", "") => fault.way = Way::Hangs,
            ("crashes", "") => fault.way = Way::Crashes,
            _ => return Err(format!("{at}: neither `in`, `-`, `+`, `by`, `hangs` nor `crashes`")),
        }
    }
    let is_camel =
        name.starts_with(|first: char| first.is_ascii_uppercase()) && name.chars().all(char::is_alphanumeric);
    match () {
        () if !is_camel => Err(format!("{line}: a name is UpperCamel")),
        () if fault.file.is_empty() || fault.find.is_empty() => Err(format!("{line}: nothing is changed")),
        () if fault.tests.is_empty() => Err(format!("{line}: no test is named")),
        () => Ok(fault),
    }
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

/// `target name, name`.
fn named(text: &str) -> Option<Vec<Test>> {
    let (target, names) = text.split_once(' ')?;
    Some(names.split(", ").map(|name| Test { target: target.to_owned(), name: name.to_owned() }).collect())
}
