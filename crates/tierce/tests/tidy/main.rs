//! What the compiler and clippy cannot see of `STYLE.md`, held over the whole repository.
//!
//! Every rule is a plain function from texts to offences, with tests of its own on made-up
//! texts, so that a rule which stopped catching anything fails here. The rules read the
//! source as text with comments and strings told apart (`text.rs`), not as a syntax tree: a
//! parser would be the largest dependency of the crate, and the style is regular enough.
//!
//! A packaged crate stands outside the workspace; there is nothing to hold there, and the
//! tests of the repository pass without looking.

mod text;
// The files of a crate and what a path in one of them means.
mod crates;
mod paths;
// The list of planted faults.
#[allow(dead_code, reason = "how a test shows its fault is for who plants it")]
#[path = "../planted/list.rs"]
mod list;
// The rules.
mod circles;
mod layers;
mod planted;
mod sizes;
mod words;

use crates::Crate;
use std::path::{Path, PathBuf};
use std::process::Command;
use text::Source;

/// One broken rule: the file, its line counted from 1, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Offence {
    file: String,
    line: usize,
    rule: String,
}

impl Offence {
    fn new(file: &str, line: usize, rule: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, rule: rule.into() }
    }
}

#[test]
fn imports_point_down() {
    hold(|repository| {
        let library = repository.sources("crates/tierce/src");
        layers::check(&Crate::new("crates/tierce/src", &library))
    });
}

#[test]
fn no_files_stand_in_a_circle() {
    hold(|repository| {
        let mut offences = Vec::new();
        for folder in repository.source_folders() {
            let sources = repository.sources(&folder);
            offences.extend(circles::check(&Crate::new(&folder, &sources)));
        }
        offences
    });
}

#[test]
fn files_and_functions_fit_their_bounds() {
    hold(|repository| over_sources(repository, sizes::check));
}

#[test]
fn time_is_read_in_clock_alone() {
    hold(|repository| repository.sources("crates/tierce/src").iter().flat_map(words::time).collect());
}

#[test]
fn nothing_is_left_unfinished() {
    hold(|repository| {
        let files = repository.files.iter().filter(|file| file.ends_with(".rs"));
        let sources = files.filter_map(|file| repository.source(file));
        sources.flat_map(|source| words::unfinished(&source)).collect()
    });
}

#[test]
fn features_switch_modules_and_imports_alone() {
    hold(|repository| over_sources(repository, words::features));
}

#[test]
fn imports_name_what_they_bring() {
    hold(|repository| over_sources(repository, words::globs));
}

#[test]
fn files_are_named_by_nouns_of_the_field() {
    hold(|repository| over_sources(repository, words::file_name));
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    hold(|repository| {
        let texts = repository.files.iter().filter_map(|file| {
            // What is no UTF-8 is data, and a file listed yet removed is no file.
            Some((file, std::fs::read_to_string(repository.root.join(file)).ok()?))
        });
        texts.flat_map(|(file, text)| words::machine_paths(file, &text)).collect()
    });
}

#[test]
fn faults_can_be_planted_and_are_those_that_the_promises_name() {
    hold(|repository| {
        let text_of = |file: &str| std::fs::read_to_string(repository.root.join(file)).ok();
        let must = |file| text_of(file).unwrap_or_else(|| panic!("there is no {file}"));
        let (list, page) = (must(list::LIST), must("docs/guarantees.md"));
        let code = must("crates/tierce/src/mutant.rs");
        match list::parse(&list) {
            Ok(faults) => planted::check(&faults, &planted::mutants(&code), ("docs/guarantees.md", &page), text_of),
            Err(why) => vec![Offence::new(list::LIST, 1, why)],
        }
    });
}

/// Runs a rule over the repository, if there is one, and fails with all it found.
fn hold(rule: impl FnOnce(&Repository) -> Vec<Offence>) {
    let Some(repository) = Repository::find() else {
        return;
    };
    let mut offences = rule(&repository);
    offences.sort();
    let lines = offences.iter().map(|found| format!("{}:{}: {}\n", found.file, found.line, found.rule));
    let report: String = lines.collect();
    assert!(offences.is_empty(), "{} offences\n{report}", offences.len());
}

fn over_sources(repository: &Repository, rule: fn(&Source) -> Vec<Offence>) -> Vec<Offence> {
    let folders = repository.source_folders().into_iter();
    let sources = folders.flat_map(|folder| repository.sources(&folder));
    sources.flat_map(|source| rule(&source)).collect()
}

/// The checked-out repository and the files of it that are, or would be, committed.
struct Repository {
    root: PathBuf,
    files: Vec<String>,
}

impl Repository {
    fn find() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let manifest = std::fs::read_to_string(root.join("Cargo.toml")).ok()?;
        if !manifest.contains("[workspace]") || !root.join("STYLE.md").exists() {
            return None;
        }
        let files = listed_by_git(&root).unwrap_or_else(|| walked(&root));
        let lost = "neither git nor the folders list the library's own files";
        assert!(files.iter().any(|file| file == "crates/tierce/src/lib.rs"), "{lost}");
        Some(Self { root, files })
    }

    /// `crates/*/src`, `bench/src` and `python/src`.
    fn source_folders(&self) -> Vec<String> {
        let folder_of = |file: &String| {
            let (folder, _) = file.split_once("/src/")?;
            let in_crates = folder.strip_prefix("crates/").is_some_and(|name| !name.contains('/'));
            (in_crates || folder == "bench" || folder == "python").then(|| format!("{folder}/src"))
        };
        let mut folders: Vec<_> = self.files.iter().filter_map(folder_of).collect();
        folders.sort();
        folders.dedup();
        folders
    }

    fn sources(&self, folder: &str) -> Vec<Source> {
        let inside = |file: &&String| file.starts_with(&format!("{folder}/")) && file.ends_with(".rs");
        self.files.iter().filter(inside).filter_map(|file| self.source(file)).collect()
    }

    /// None for a file that git lists and someone has just removed.
    fn source(&self, file: &str) -> Option<Source> {
        let text = std::fs::read_to_string(self.root.join(file)).ok()?;
        Some(Source::new(file, &text))
    }
}

/// Tracked files and new ones that are not ignored: an offence shows before it is committed.
fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").arg("-C").arg(root).args(list).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let files: Vec<_> = text.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success() && !files.is_empty()).then_some(files)
}

/// The same without git, as in a downloaded archive: all but build output and hidden folders.
fn walked(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(root.join(&folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = folder.join(entry.file_name());
            let name = entry.file_name().to_string_lossy().into_owned();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && name != "target" && !name.starts_with('.') => folders.push(path),
                Ok(kind) if kind.is_file() => files.push(path.to_string_lossy().replace('\\', "/")),
                _ => {}
            }
        }
    }
    files.sort();
    files
}
