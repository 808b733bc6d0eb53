//! Words that stand only in certain places, or nowhere.

use super::Offence;
use super::paths::imports;
use super::text::{Source, after_bracket, is_word, line_of, places_of, skip_attributes};

/// Only `clock.rs` reads the time, so that a test or a simulation can be the clock.
pub(crate) fn time(source: &Source) -> Vec<Offence> {
    if source.file.ends_with("/clock.rs") {
        return Vec::new();
    }
    let readings = ["Instant::now", "SystemTime::now"].into_iter();
    let places = readings.flat_map(|reading| places_of(&source.product, reading).map(move |at| (at, reading)));
    places.map(|(at, reading)| at_place(source, at, format!("`{reading}` outside clock.rs"))).collect()
}

/// No test is ignored, nothing is left for later, no example goes unrun.
pub(crate) fn unfinished(source: &Source) -> Vec<Offence> {
    const MACROS: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];
    const NOTES: [&str; 4] = ["TODO", "FIXME", "XXX", "```ignore"];
    let mut offences = Vec::new();
    for word in MACROS {
        let places = places_of(&source.code, word);
        offences.extend(places.map(|at| at_place(source, at, format!("`{word}` left in"))));
    }
    for word in NOTES {
        let places = places_of(&source.comments, word);
        offences.extend(places.map(|at| at_place(source, at, format!("`{word}` in a comment"))));
    }
    for (at, _) in source.code.match_indices("#[") {
        let attribute = &source.code[at..after_bracket(&source.code, at + 1)];
        if places_of(attribute, "ignore").next().is_some() {
            offences.push(at_place(source, at, "an ignored test is no test".to_owned()));
        }
    }
    offences
}

/// `cfg(feature)` switches whole modules and imports, so that a feature can be read off the
/// `mod` lines. The conditions of a whole file and of the documentation stand apart.
pub(crate) fn features(source: &Source) -> Vec<Offence> {
    let code = &source.product;
    let mut offences = Vec::new();
    for at in places_of(code, "feature") {
        let before = &code[..at];
        let Some(attribute) = before.rfind("#[").filter(|open| after_bracket(code, open + 1) > at) else {
            // In `#![cfg(feature = "x")]` the bracket is another; in `cfg!` there is none.
            if before.rfind("cfg!(").is_some_and(|open| after_bracket(code, open + 4) > at) {
                offences.push(at_place(source, at, "`cfg!(feature)` inside code".to_owned()));
            }
            continue;
        };
        let written = &code[attribute..];
        let item = skip_attributes(code, after_bracket(code, attribute + 1));
        let of_docs = written.starts_with("#[cfg_attr(docsrs");
        let on_module = is_module_or_import(&code[item..]);
        if !of_docs && !on_module {
            let rule = "`cfg(feature)` stands only on `mod` and `use` lines".to_owned();
            offences.push(at_place(source, at, rule));
        }
    }
    offences
}

fn is_module_or_import(item: &str) -> bool {
    let item = match item.strip_prefix("pub") {
        Some(reach) if reach.starts_with('(') => &reach[after_bracket(reach, 0)..],
        Some(rest) => rest,
        None => item,
    };
    ["mod ", "use "].iter().any(|word| item.trim_start().starts_with(word))
}

/// A reader finds each name by searching for it: no `*`, no prelude.
pub(crate) fn globs(source: &Source) -> Vec<Offence> {
    if source.is_test() {
        return Vec::new();
    }
    let (imports, _) = imports(&source.product);
    let globs = imports.iter().filter(|import| import.name == "*");
    let globs = globs.map(|import| {
        let path = import.mention.segments.join("::");
        at_place(source, import.mention.at, format!("`use {path}`: import by name"))
    });
    let preludes = places_of(&source.product, "mod prelude");
    globs.chain(preludes.map(|at| at_place(source, at, "a prelude: one path to each item".to_owned()))).collect()
}

/// `STYLE.md`, Names: words that say nothing of the field.
pub(crate) fn file_name(source: &Source) -> Vec<Offence> {
    const REFUSED: [&str; 9] =
        ["manager", "helper", "helpers", "util", "utils", "common", "data", "handler", "prelude"];
    let mut names = source.file.trim_end_matches(".rs").split('/');
    let refused = names.find(|name| REFUSED.contains(name));
    refused
        .map(|name| Offence::new(&source.file, 1, format!("`{name}` names nothing: use a noun of the field")))
        .into_iter()
        .collect()
}

/// A path that is there on one machine alone has no place in what everyone checks out.
pub(crate) fn machine_paths(file: &str, text: &str) -> Vec<Offence> {
    // Written in two halves, since this file is read too.
    let folders = [("/wo", "rk/"), ("/tm", "p/"), ("/ro", "ot/")].map(|(a, b)| format!("{a}{b}"));
    let mut offences = Vec::new();
    for folder in &folders {
        for (at, _) in text.match_indices(folder.as_str()) {
            // After a name it is a part of some other path: `src/work/`, `example.org/work/`.
            let inside =
                text[..at].bytes().next_back().is_some_and(|byte| is_word(byte) || byte == b'.' || byte == b'-');
            if !inside {
                offences.push(Offence::new(file, line_of(text, at), format!("names `{folder}` of one machine")));
            }
        }
    }
    offences
}

fn at_place(source: &Source, at: usize, rule: String) -> Offence {
    Offence::new(&source.file, source.line(at), rule)
}

#[cfg(test)]
mod tests {
    use super::{Offence, Source};

    /// The lines on which a rule finds an offence in a text.
    #[track_caller]
    fn check(rule: fn(&Source) -> Vec<Offence>, text: &str, expected: &[usize]) {
        check_file(rule, "src/a.rs", text, expected);
    }

    #[track_caller]
    fn check_file(rule: fn(&Source) -> Vec<Offence>, file: &str, text: &str, expected: &[usize]) {
        let found = rule(&Source::new(file, text));
        let lines: Vec<_> = found.iter().map(|found| found.line).collect();
        assert_eq!(lines, expected, "{found:?}");
    }

    #[test]
    fn time_read_outside_the_clock_is_caught() {
        check(super::time, "a();\nlet b = std::time::Instant::now();", &[2]);
        check(super::time, "SystemTime::now()", &[1]);
        check(super::time, "// Instant::now\nlet a = \"Instant::now\";", &[]);
        check(super::time, "#[cfg(test)]\nmod tests { fn a() { Instant::now(); } }", &[]);
        check_file(super::time, "src/clock.rs", "Instant::now()", &[]);
    }

    #[test]
    fn unfinished_work_is_caught() {
        check(super::unfinished, "fn a() {\n    todo!()\n}", &[2]);
        check(super::unfinished, "dbg!(a); unimplemented!()", &[1, 1]);
        check(super::unfinished, "// TODO: b\n/* FIXME */\n//! XXX", &[1, 2, 3]);
        check(super::unfinished, "/// ```ignore\n/// ```", &[1]);
        check(super::unfinished, "#[test]\n#[ignore = \"slow\"]\nfn a() {}", &[2]);
        check(super::unfinished, "#[cfg_attr(a, ignore)]\nfn a() {}", &[1]);
        check(super::unfinished, "let a = \"TODO dbg! #[ignore]\"; // todo dbg", &[]);
    }

    #[test]
    fn a_feature_inside_code_is_caught() {
        check(
            super::features,
            "#[cfg(feature = \"a\")]\nmod a;\n#[cfg(feature = \"a\")]\n#[x]\npub(crate) use a::B;",
            &[],
        );
        check(super::features, "#[cfg_attr(not(feature = \"a\"), allow(dead_code))]\nmod a;", &[]);
        check(super::features, "#![cfg(feature = \"a\")]\nfn a() {}", &[]);
        check(super::features, "#[cfg_attr(docsrs, doc(cfg(feature = \"a\")))]\nfn a() {}", &[]);
        check(super::features, "a();\n#[cfg(feature = \"a\")]\nfn b() {}", &[2]);
        check(super::features, "#[cfg(all(unix, not(feature = \"a\")))]\npub fn b() {}", &[1]);
        check(super::features, "#[cfg_attr(feature = \"a\", derive(B))]\nstruct C;", &[1]);
        check(super::features, "if cfg!(feature = \"a\") {}", &[1]);
        check(super::features, "let feature = 1;", &[]);
    }

    #[test]
    fn globs_and_preludes_are_caught() {
        check(super::globs, "use a::*;\npub use b::{C, d::*};", &[1, 2]);
        check(super::globs, "pub mod prelude {}", &[1]);
        check(super::globs, "use a::b;\n#[cfg(test)]\nmod tests { use super::*; }", &[]);
        check_file(super::globs, "src/a/tests.rs", "use super::*;", &[]);
    }

    #[test]
    fn empty_file_names_are_caught() {
        check_file(super::file_name, "src/util.rs", "", &[1]);
        check_file(super::file_name, "src/common/mod.rs", "", &[1]);
        check_file(super::file_name, "src/memory/shard.rs", "", &[]);
    }

    #[test]
    fn paths_of_one_machine_are_caught() {
        let lines =
            |text: &str| -> Vec<usize> { super::machine_paths("a.md", text).iter().map(|found| found.line).collect() };
        let folder = ["wo", "rk"].concat();
        assert_eq!(lines(&format!("a\nsee /{folder}/x")), [2]);
        assert_eq!(lines(&format!("/{}/x and src/{folder}/x", ["tm", "p"].concat())), [1]);
        assert_eq!(lines("https://example.org/roots/ and ./target/"), Vec::<usize>::new());
    }
}
