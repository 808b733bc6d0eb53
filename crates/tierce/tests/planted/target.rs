//! Building and running one target's tests in the copy, each within a time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::copy::Copy;
use crate::list::Test;

/// The first build is of all dependencies, on two slow cores.
const BUILD_S: &str = "1500";
/// The slowest of the tests takes a quarter of a minute.
const RUN_S: &str = "120";
/// By which coreutils' timeout says that it ended something.
const TIMED_OUT: i32 = 124;

pub(crate) enum Target {
    /// Of the crate `tierce`: `--lib`, or the name of one of its files of tests.
    Cargo(Vec<String>),
    Python,
}

/// How one test ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Passed,
    Failed,
    Hung,
    Crashed,
}

/// What a target's tests said.
pub(crate) struct Run {
    output: String,
    code: Option<i32>,
    pub(crate) log: PathBuf,
}

impl Target {
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "python" => Target::Python,
            "lib" => Target::Cargo(vec!["--lib".to_owned()]),
            file => Target::Cargo(vec!["--test".to_owned(), file.to_owned()]),
        }
    }

    pub(crate) fn build(&self, copy: &Copy, name: &str) -> Result<(), String> {
        let run = match self {
            Target::Cargo(which) => {
                let cargo = ["cargo", "test", "-q", "-p", "tierce", "--no-run"].map(str::to_owned);
                bounded(copy, (BUILD_S, name, "build"), cargo.iter().chain(which))
            }
            Target::Python => return Err("no Python here".to_owned()),
        }?;
        if run.code == Some(0) { Ok(()) } else { Err(format!("does not build, see {}", run.log.display())) }
    }

    pub(crate) fn run(&self, copy: &Copy, name: &str, tests: &[&Test]) -> Result<Run, String> {
        match self {
            Target::Cargo(which) => {
                let tests = tests.iter().map(|test| &test.name);
                let cargo = ["cargo", "test", "-q", "-p", "tierce"].map(str::to_owned);
                let rest = ["--", "--exact", "--format=pretty"].map(str::to_owned);
                bounded(copy, (RUN_S, name, "tests"), cargo.iter().chain(which).chain(&rest).chain(tests))
            }
            Target::Python => Err("no Python here".to_owned()),
        }
    }
}

impl Run {
    pub(crate) fn of(&self, test: &Test) -> Ended {
        // What the test prints may stand between its name and its end.
        let begins = format!("test {} ... ", test.name);
        let line = self.output.lines().find(|line| line.starts_with(&begins));
        match line {
            Some(line) if line.ends_with("ok") => Ended::Passed,
            Some(line) if line.ends_with("FAILED") => Ended::Failed,
            _ if self.code == Some(TIMED_OUT) => Ended::Hung,
            _ => Ended::Crashed,
        }
    }
}

/// Runs a command in the copy. It has its bound from outside, which holds though this process may be ended.
fn bounded<'a>(
    copy: &Copy,
    (seconds, name, what): (&str, &str, &str),
    command: impl Iterator<Item = &'a String>,
) -> Result<Run, String> {
    let mut bounded = Command::new("timeout");
    bounded.args(["--kill-after=10", seconds]).args(command).current_dir(&copy.tree);
    // Files of cargo's that a next build uses: here each fault is one.
    bounded.env("CARGO_INCREMENTAL", "1").env("CARGO_TARGET_DIR", copy.place.join("build"));
    bounded.env_remove("RUSTFLAGS").env("CARGO_TERM_COLOR", "never");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR")
    {
        bounded.env_remove(name);
    }
    let output = bounded.output().map_err(|error| format!("coreutils' timeout: {error}"))?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let (log, output, code) = (copy.log(name, what), said.concat(), output.status.code());
    fs::write(&log, &output).map_err(|error| format!("{}: {error}", log.display()))?;
    Ok(Run { output, code, log })
}
