//! Imports of the library point down: the order of its modules, as a table.

use super::Offence;
use super::crates::{Crate, Edge};

/// The modules of the library from the ground up. A file may name its own layer and those
/// below. `lib.rs` is the face above them all, which nothing below it names.
const LAYERS: [&[&str]; 5] = [
    &["sync", "error", "clock", "stats", "random", "reentry", "mutant", "trace"],
    &["key", "expiry"],
    &["memory", "runtime", "tag"],
    &["store", "shared"],
    &["cache", "hub", "current", "site", "metrics", "testing", "connect", "servers", "command"],
];

/// Neither knows that the other exists: a cache puts them together.
const STRANGERS: [(&str, &str); 2] = [("memory", "store"), ("store", "memory")];

pub(crate) fn check(library: &Crate) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in &library.files {
        if level(&file.module).is_none() {
            let rule = format!("module `{}` has no layer; give it one in tidy/layers.rs", file.module[0]);
            offences.push(Offence::new(&file.source.file, 1, rule));
        }
    }
    for edge in library.edges() {
        let rule = broken(library, &edge);
        offences.extend(rule.map(|rule| Offence::new(&library.files[edge.from].source.file, edge.line, rule)));
    }
    offences
}

fn broken(library: &Crate, edge: &Edge) -> Option<String> {
    let [from, to] = [edge.from, edge.to].map(|at| &library.files[at].module);
    let names = |module: &[String]| module.first().cloned().unwrap_or("lib.rs".to_owned());
    let (from_name, to_name) = (names(from), names(to));
    if STRANGERS.contains(&(&from_name, &to_name)) {
        return Some(format!("`{}`: {from_name} and {to_name} never name each other", edge.path));
    }
    // A module without a layer is reported once, as such.
    let up = level(to)? > level(from)?;
    up.then(|| format!("`{}`: imports point down, and {to_name} stands above {from_name}", edge.path))
}

/// None for a module the table does not know.
fn level(module: &[String]) -> Option<usize> {
    let Some(first) = module.first() else {
        return Some(LAYERS.len());
    };
    LAYERS.iter().position(|layer| layer.contains(&first.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::crates::{Crate, tests::sources};

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let sources = sources(files);
        let found = super::check(&Crate::new("src", &sources));
        let found: Vec<_> = found.iter().map(|found| format!("{}:{} {}", found.file, found.line, found.rule)).collect();
        assert_eq!(found, expected);
    }

    const CACHE: (&str, &str) = ("cache/mod.rs", "use crate::memory::Memory;\nuse crate::store::Store;");
    const STORE: (&str, &str) = ("store/mod.rs", "use crate::key::Key;");
    const KEY: (&str, &str) = ("key.rs", "");

    #[test]
    fn imports_that_point_down_pass() {
        let lib = ("lib.rs", "mod cache;\npub use cache::Cache;");
        check(&[lib, CACHE, STORE, KEY, ("memory/mod.rs", "use crate::clock;"), ("clock.rs", "")], &[]);
    }

    #[test]
    fn an_import_that_points_up_is_caught_with_its_line() {
        check(
            &[KEY, STORE, ("memory/a/b.rs", "//! x\nuse super::super::super::cache::C;"), CACHE],
            &["src/memory/a/b.rs:2 `super::super::super::cache::C`: imports point down, and cache stands above memory"],
        );
        check(
            &[("clock.rs", "fn f() -> crate::key::Key {}"), KEY],
            &["src/clock.rs:1 `crate::key::Key`: imports point down, and key stands above clock"],
        );
    }

    #[test]
    fn nothing_names_the_face() {
        check(
            &[("lib.rs", ""), ("hub.rs", "use crate::Thing;")],
            &["src/hub.rs:1 `crate::Thing`: imports point down, and lib.rs stands above hub"],
        );
    }

    #[test]
    fn memory_and_store_are_strangers() {
        check(
            &[("store/a.rs", "use crate::memory::M;"), ("memory/mod.rs", "")],
            &["src/store/a.rs:1 `crate::memory::M`: store and memory never name each other"],
        );
    }

    #[test]
    fn a_module_without_a_layer_is_caught() {
        check(&[("thing.rs", "")], &["src/thing.rs:1 module `thing` has no layer; give it one in tidy/layers.rs"]);
    }
}
